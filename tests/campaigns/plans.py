"""The charms of the campaign: what their handlers, actions and scripts do, and what they say of it.

    asks: LOCK WAY HELD      before a call that asks; WAY is request or again, HELD whether the lock is held
    asked: LOCK WAY HELD     the call is over: what it asked for must come
    keeps: LOCK / releases: LOCK, kept: LOCK / released: LOCK      likewise
    flags: LOCK [requested, granted] [is_requested, is_granted]    as the first handler of a hook sees them

The first handler of a hook also notes its context in the charm's own key-value store. So the account knows
of a hook that failed whether charms.reactive had saved its flags, and with them what the hook had decided.
"""

import compileall
import functools
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any, Mapping, NamedTuple

import yaml

from tests.deploy import assemble

ROOT = Path(__file__).resolve().parents[2]

OURS, THEIRS = 'layer:coordinator', 'charmhelpers.coordinator'
CHARMS = {OURS: 'probe', THEIRS: 'seed-db'}

SAYING = """
from charmhelpers.core import hookenv
from charms.layer import coordinator


def asking(lock, way='request'):
    about = '{} {} {}'.format(lock, way, coordinator.is_granted(lock))
    hookenv.log('asks: ' + about)
    (coordinator.request_again if way == 'again' else coordinator.request_lock)(lock)
    hookenv.log('asked: ' + about)


def keeping(lock, **how):
    hookenv.log('keeps: ' + lock)
    if coordinator.keep_lock(lock, **how):
        hookenv.log('kept: ' + lock)


def releasing(lock):
    hookenv.log('releases: ' + lock)
    coordinator.release_lock(lock)
    hookenv.log('released: ' + lock)
"""
HEAD = (
    """
import os
from subprocess import check_call

from charmhelpers.core import unitdata
from charms.reactive import clear_flag, hook, is_flag_set, set_flag, when, when_not
"""
    + SAYING
    + """

@when_not('never')
def look():
    context, _, run = unitdata.kv().get('campaign.hook', '').partition('#')
    here = os.environ['JUJU_CONTEXT_ID']
    unitdata.kv().set('campaign.hook', '{}#{}'.format(here, int(run) + 1 if context == here else 1))
    for lock in ('restart', 'reindex'):
        flags = [is_flag_set('coordinator.{}.{}'.format(family, lock)) for family in ('requested', 'granted')]
        truth = [coordinator.is_requested(lock), coordinator.is_granted(lock)]
        if any(flags + truth):
            hookenv.log('flags: {} {} {}'.format(lock, flags, truth))


@hook('collect-metrics')
def measure():
    held = coordinator.is_granted('restart')
    coordinator.explain('restart')
    hookenv.log('measured: {}'.format(held))


@coordinator.gate('restart')
def not_now():
    shut = os.path.exists(os.path.join(hookenv.charm_dir(), 'gate.shut'))
    hookenv.log('gate: restart ' + ('shut' if shut else 'open'))
    return 'it is shut' if shut else ''


def work(lock):
    check_call(['systemctl', 'restart', lock])
"""
)
ASK = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        asking('restart')
"""
PLAIN = """
@when('coordinator.granted.restart')
def restart():
    work('restart')
"""
PLANS = {
    'plain': ASK + PLAIN,
    'guarded': """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        set_flag('wanted')
        asking('restart')


@when('coordinator.granted.restart', 'wanted')
def restart():
    clear_flag('wanted')
    work('restart')
""",
    'two locks': ASK
    + PLAIN
    + """
@when('config.changed.go')
def ask_more():
    if hookenv.config('go') % 2:
        asking('reindex')


@when('coordinator.granted.reindex')
def reindex():
    work('reindex')
""",
    'released early': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    work('restart')
    releasing('restart')
""",
    'released and asked': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    more = coordinator.token('restart') % 3 == 0
    work('restart')
    releasing('restart')
    if more:
        asking('restart')
""",
    'asked again': """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        asking('restart', 'again')


@when('coordinator.granted.restart')
def restart():
    work('restart')
    if coordinator.token('restart') % 3 == 0:
        asking('restart', 'again')
""",
    'kept': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    if is_flag_set('kept'):
        clear_flag('kept')
        work('restart')
    else:
        set_flag('kept')
        keeping('restart')
""",
    'kept after work': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    if is_flag_set('kept'):
        clear_flag('kept')
    else:
        work('restart')
        set_flag('kept')
        keeping('restart')
""",
    'kept and asked again': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    if is_flag_set('kept'):
        clear_flag('kept')
        return
    work('restart')
    set_flag('kept')
    token = coordinator.token('restart')
    if token % 3 == 0:
        asking('restart', 'again')
    keeping('restart')
    if token % 3 == 1:
        asking('restart', 'again')
""",
    'kept and woken': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    if is_flag_set('kept'):
        clear_flag('kept')
        work('restart')
    else:
        set_flag('kept')
        keeping('restart', check_again_in=5)
""",
    'kept after work and woken': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    times = unitdata.kv().get('looked', 0)
    if not times:
        work('restart')
    unitdata.kv().set('looked', (times + 1) % 4)
    (set_flag if times < 3 else clear_flag)('kept')
    if times < 3:
        keeping('restart', reason='look {}'.format(times), check_again_in=(7, 90, 2)[times])
""",
}
MAY_WAIT_FOR_UPDATE_STATUS = 'kept', 'kept after work', 'kept and asked again'
"""Nothing wakes a unit for its own sake: docs/limits.md."""

CALLS = {
    'ask': "asking('restart')",
    'again': "asking('restart', 'again')",
    'release': "releasing('restart')",
    'keep': "keeping('restart')",
    'explain': "hookenv.log('explained: ' + coordinator.explain('restart'))",
}
"""What an action, or juju exec, may call."""

RUN_HANDLERS = '\nfrom charms.layer import basic\nfrom charms.reactive import main\n'


def script(call: str) -> str:
    """Return a script that makes one of `CALLS`, and runs no handlers."""
    return '#!/usr/bin/env python3\n{}\n\n{}\n'.format(SAYING, CALLS[call])


ACTIONS = ('look', *CALLS)
"""look is a hook's own file: it runs the handlers. The others make one call."""

OWN_CLASSES = """
from charms.layer import coordinator
from charmhelpers.coordinator import BaseCoordinator


class OneByOne(coordinator.BaseCoordinator):
    def default_grant(self, lock, unit, granted, queue):
        return not granted


class Pairs(BaseCoordinator):
    def default_grant(self, lock, unit, granted, queue):
        return len(granted) < 2


class Reporting(coordinator.Serial):
    def released(self, unit, lock, timestamp):
        self.msg('Released {} of {}'.format(lock, unit))
"""


class Options(NamedTuple):
    """Layer options by one name, and what they promise.

    Args:
        given: the options of layer.yaml.
        slots: how many units may hold a lock at once; of a percentage, the percentage.
        per_lock: whether different locks may be held at once.
    """

    given: Mapping[str, Any]
    slots: int = 1
    percent: int = 0
    per_lock: bool = False

    def most(self, units: int) -> int:
        """Return how many units may hold a lock at once among so many."""
        return max(1, units * self.percent // 100) if self.percent else self.slots


OPTIONS = {
    'one queue': Options({}),
    'per-lock': Options({'queues': 'per-lock'}, per_lock=True),
    'two slots': Options({'slots': 2}, slots=2),
    'per-lock, two slots': Options({'queues': 'per-lock', 'slots': 2}, slots=2, per_lock=True),
    'half': Options({'slots': '50%'}, percent=50),
    'Serial': Options({'class': 'charmhelpers.coordinator.Serial'}, per_lock=True),
    'OneByOne': Options({'class': 'mine.OneByOne'}, per_lock=True),
    'Pairs': Options({'class': 'mine.Pairs'}, slots=2, per_lock=True),
    'Reporting': Options({'class': 'mine.Reporting'}, per_lock=True),
}


@functools.lru_cache(maxsize=None)
def charm_of(lock: str, plan: str, options: str, subordinate: bool = False) -> Path:
    """Return the charm of one kind; the processes of a campaign make it once among them."""
    words = (CHARMS[lock], plan, options, 'subordinate' if subordinate else 'principal')
    place = Path(_SCRATCH.name) / '-'.join(re.sub(r'\W+', '_', word) for word in words)
    if not place.exists():
        made = _make(
            lock, plan, options, subordinate, place.with_name('{}-{}'.format(place.name, os.getpid()))
        )
        try:
            made.rename(place)  # at one stroke, for others look at the same time
        except OSError:
            if not place.exists():
                raise
            shutil.rmtree(str(made))  # another process was first
    return place


def _make(lock: str, plan: str, options: str, subordinate: bool, target: Path) -> Path:
    given = dict(OPTIONS[options].given) if lock == OURS else None
    charm = assemble(ROOT / 'tests' / 'charms' / CHARMS[lock], target, given)
    if lock == OURS:
        (charm / 'reactive' / 'plan.py').write_text(HEAD + PLANS[plan])
        (charm / 'lib' / 'mine.py').write_text(OWN_CLASSES)
        if subordinate:
            described = yaml.safe_load((charm / 'metadata.yaml').read_text())
            described['requires'] = {'beside': {'interface': 'juju-info', 'scope': 'container'}}
            (charm / 'metadata.yaml').write_text(yaml.safe_dump({**described, 'subordinate': True}))
        shutil.copy(str(charm / 'hooks' / 'update-status'), str(charm / 'hooks' / 'collect-metrics'))
        (charm / 'actions').mkdir(exist_ok=True)
        shutil.copy(str(charm / 'hooks' / 'update-status'), str(charm / 'actions' / 'look'))
        for call in CALLS:
            (charm / 'actions' / call).write_text(script(call))
    compileall.compile_dir(str(charm), quiet=1)
    return charm


_SCRATCH = tempfile.TemporaryDirectory(prefix='chaos-')
"""Where the charms lie, until the campaign ends. Its processes are forked off later, and have the same."""
