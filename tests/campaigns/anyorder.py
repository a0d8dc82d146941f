"""The charm of `make plain`: what its handlers, callbacks and scripts call follows from dice, in any order.

HOOK                                      a hook of its own runs handlers
CALL NAME LOCK HELD WHERE                 before a call; HELD is whether the lock is held
DONE NAME LOCK HELD GOT REQUESTED GRANTED the call is over: what it returned, and what the functions say now
WRONG: SENTENCE                           the charm itself has seen a promise broken
"""

from pathlib import Path
from typing import Sequence

from tests.campaigns.plans import OPTIONS, OWN_CLASSES
from tests.deploy import ROOT, assemble

LOCKS = 'abc'
LAST = 12
"""In so many first hooks of a unit the charm makes calls."""

CHARM = '''
import os
import random

from charmhelpers.core import hookenv
from charms import reactive
from charms.layer import coordinator
from charms.reactive import when, when_not
from subprocess import check_call

SEED, LAST, ORDERS, KEEPS = {seed!r}, {last!r}, {orders!r}, {keeps!r}
DONE = set()  # locks that this hook has worked under
PATH = os.path.join(hookenv.charm_dir(), 'hooks.count')


def count():
    """Return how many hooks of this unit have begun, with this one."""
    before = int(open(PATH).read()) if os.path.exists(PATH) else 0
    with open(PATH, 'w') as file:
        file.write(str(before + 1))
    return before + 1


NUMBER = count()


def dice_for(where):
    return random.Random('{{}} {{}} {{}} {{}}'.format(SEED, hookenv.local_unit(), NUMBER, where))


def see():
    """Say what the functions and the flags tell of each lock that is asked for."""
    for lock in 'abc':
        flags = [reactive.is_flag_set('coordinator.' + each + lock) for each in ('requested.', 'granted.')]
        truth = [coordinator.is_requested(lock), coordinator.is_granted(lock)]
        if flags != truth:
            hookenv.log('WRONG: flags of {{}} {{}} {{}}'.format(lock, flags, truth))


def calls(where, most=2):
    if NUMBER > LAST:
        return
    dice = dice_for(where)
    for _ in range(dice.randint(0, most)):
        lock, call = dice.choice('abc'), dice.choice(['request'] * 3 + ['again', 'release', 'see', 'keep'])
        held, got = coordinator.is_granted(lock), None
        hookenv.log('CALL {{}} {{}} {{}} {{}}'.format(call, lock, held, where))
        if call == 'request':
            got = coordinator.request_lock(lock)
        elif call == 'again':
            coordinator.request_again(lock)
        elif call == 'release':
            coordinator.release_lock(lock)
        elif call == 'keep' and KEEPS and where != 'late':
            got = coordinator.keep_lock(lock, check_again_in=dice.choice([None, 3, 20]))
        elif call == 'see' and where not in ('import', 'late'):
            see()
        asked, granted = coordinator.is_requested(lock), coordinator.is_granted(lock)
        hookenv.log('DONE {{}} {{}} {{}} {{}} {{}} {{}}'.format(call, lock, held, got, asked, granted))


if dice_for('import?').random() < 0.1:
    calls('import')
if dice_for('late?').random() < 0.1:
    hookenv.atexit(calls, 'late', 1)


@coordinator.gate('a')
def not_now():
    return 'the memory is 2' if hookenv.config('memory') == 2 else ''


@when_not('never')
def act():
    hookenv.log('HOOK')
    if dice_for('early?').random() < 0.15:
        hookenv.atexit(calls, 'early', 1)
    calls('handler')
    dice = dice_for('orders')
    if ORDERS and NUMBER <= LAST and hookenv.is_leader() and dice.random() < 0.3:
        order(dice, dice.choice(ORDERS), dice.choice('abc'))


def order(dice, what, lock):
    batches, way = dice.choice([(), (1,), (1, 2)]), dice.choice(['leader-last', 'leader-first', 'name'])
    if what in ('roll', 'replace'):
        said = coordinator.request_roll(lock, batches, way, replace=what == 'replace')
    else:
        said = getattr(coordinator, what)(lock)
    hookenv.log('ORDER {{}} {{}}: {{}}'.format(what, lock, said))


def work(lock):
    if lock in DONE:
        return
    DONE.add(lock)
    if not coordinator.is_granted(lock):
        hookenv.log('WRONG: the handler of {{}} runs, which is not held'.format(lock))
    check_call(['work', '5', lock])
    calls('turn ' + lock)
'''
CHARM += '\n'.join(
    "\n@when('coordinator.granted.{0}')\ndef work_{0}():\n    work('{0}')\n".format(lock) for lock in LOCKS
)

ASIDE = """
from charms.layer import coordinator
from charmhelpers.core import hookenv
hookenv.log('CALL {1} {0} False aside')
coordinator.{2}('{0}')
hookenv.log('DONE {1} {0} False None True False')
"""
CALLED = {'request': 'request_lock', 'again': 'request_again'}
RESUME = """
from charms.layer import coordinator
for lock in ('a', 'b', 'c', ''):
    coordinator.resume(lock)
"""


def charm_of(seed: int, options: str, orders: Sequence[str], keeps: bool, target: Path) -> Path:
    """Write the charm of one history to a new folder, and return that.

    Args:
        seed: what its dice begin with.
        options: the layer options, by their name in `OPTIONS`.
        orders: what its leader may order.
        keeps: whether it keeps locks.
        target: the folder.
    """
    charm = assemble(ROOT / 'tests' / 'charms' / 'probe', target, dict(OPTIONS[options].given))
    text = CHARM.format(seed=seed, last=LAST, orders=tuple(orders), keeps=keeps)
    (charm / 'reactive' / 'plan.py').write_text(text)
    (charm / 'lib' / 'mine.py').write_text(OWN_CLASSES)
    return charm
