"""What tests/hooks/test_cases_*.py share: a strict watch, plans of charms, and short words."""

import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

import pytest

from jujusim.juju import Event, Juju
from tests.deploy import begun
from tests.deploy import machine as programs
from tests.watch import Turn, Watch

both = pytest.mark.parametrize('juju', [3, 4])

NO_UPDATE_STATUS_S = 1e6
"""Between two hooks of update-status: none comes within a test."""

ASK = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')
"""

ASK_FIRST = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') > (hookenv.local_unit() != 'app/1'):
        coordinator.request_lock('a')
"""
"""app/1 asks in the first configuration, and everybody in each later one."""

RESTART = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '60'])

@when('coordinator.rolled.restart')
def rolled():
    hookenv.log('ROLLED')
"""
"""What a roll is for: the lock `restart`, and the word that all units have had it."""

WORK = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
"""

TWO = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '100'])

@when('coordinator.granted.b')
def hold_b():
    hookenv.log('has b')
"""
"""Two locks: the work of the first takes its time, that of the second is told."""

SKIPS = """
@when('coordinator.granted.a')
def work():
    if hookenv.hook_name() != 'update-status':
        check_call(['work', '60'])
"""
"""For a charm that skips its handlers in update-status."""

KEEP = """
from subprocess import call

@when('coordinator.granted.a')
def work():
    if not reactive.is_flag_set('restarted'):
        check_call(['work', '10'])
        reactive.set_flag('restarted')
    if call(['healthy']):
        coordinator.keep_lock('a')
    else:
        reactive.clear_flag('restarted')
"""
"""Restarts the service once, and keeps the lock until the program `healthy` says so."""

MINE_PY = """
from charms.layer.coordinator import BaseCoordinator


class Mine(BaseCoordinator):
    def default_grant(self, lock, unit, granted, queue):
        return not granted and queue[0] == unit
"""
"""The file lib/charms/mine.py of a charm with a class of its own, `charms.mine.Mine`."""


WHY = """from charmhelpers.core import hookenv
from charms.layer import coordinator
hookenv.log('why ' + coordinator.explain('a'))
"""
"""A script that logs why the lock a is not held."""


def tells(*locks: str) -> str:
    """Return handlers that tell when a lock is held."""
    form = "\n@when('coordinator.granted.{0}')\ndef has_{0}():\n    hookenv.log('HAS {0}')\n"
    return ''.join(form.format(lock) for lock in locks)


def at_rest(model: Any, charm: Path, units: int, juju: int, **more: Any) -> Any:
    """Return a model that has settled, led by app/0: no failed hook is retried, no update-status comes."""
    made = begun(
        model, charm, units=units, juju=juju,
        **{'retry_automatically': False, 'update_status_s': NO_UPDATE_STATUS_S, **more},
    )  # fmt: skip
    made.elect('app/0')
    made.run()
    return made


class StrictWatch(Watch):
    """A watch for which a unit's work goes on until a program that proves its health has succeeded.

    Args:
        juju: the model.
        slots: how many units may be at work together.
        until: a program; if it is named, that hook must also have run it with success.
    """

    def __init__(self, juju: Juju, slots: int = 1, until: str = '') -> None:
        super().__init__(juju, slots)
        self.until = until
        self._over: Set[str] = set()

    def _see(self, event: Event) -> None:
        unit, action = event.unit, event.text.startswith(('action ', 'exec '))
        if event.what == 'begins' and not action:
            self._over.discard(unit)
        if event.what == 'worked' and event.text == self.until:
            self._over.add(unit)
        only = self.until and event.what == 'worked' and event.text != self.until
        early = self.until and event.what in ('ends', 'restarts') and unit not in self._over
        if not only and not early:
            super()._see(event)


def health(from_s: Callable[[str], float], juju: Callable[[], Juju]) -> Any:
    """Return a machine on which `healthy` fails until a time that each unit has."""

    def answer(unit: str, argv: List[str]) -> Optional[Tuple[float, int]]:
        if argv == ['healthy']:
            return 0.0, int(juju().now < from_s(unit))
        return programs(unit, argv)

    return answer


def until(juju: Juju, happened: Callable[[], bool], within_s: float = 900.0) -> None:
    """Let time pass until something has happened, and fail if it does not happen in that time."""
    deadline = juju.now + within_s
    juju.run(until=lambda: happened() or juju.now > deadline)
    assert happened(), juju.story(40)


def with_metrics(charm: Path) -> Path:
    """Return a charm that also has the hook collect-metrics, which runs its handlers."""
    shutil.copy(str(charm / 'hooks' / 'hook.template'), str(charm / 'hooks' / 'collect-metrics'))
    return charm


def ask(juju: Juju, unit: str, *locks: str) -> None:
    """Let an action of a unit ask for locks."""
    words = ''.join("coordinator.request_lock('{}')\n".format(lock) for lock in locks)
    juju.run_exec(unit, 'from charms.layer import coordinator\n' + words, as_action=True)


def with_child(charm: Path, words: str) -> None:
    """Give a charm the program hooks/child, which says these words to the layer."""
    child = charm / 'hooks' / 'child'
    form = '#!/usr/bin/env python3\nfrom charms.layer import coordinator\ncoordinator.{}\n'
    child.write_text(form.format(words))
    child.chmod(0o755)


def answered(juju: Juju, name: str, on: str = 'app/0', **parameters: Any) -> str:
    """Run an action of the layer to its end; return what it answered, in one line."""
    before = len(juju.history)
    juju.run_action(on, 'coordinator-' + name, **parameters)
    juju.run(seconds=8)
    ran = (e for e in juju.history[before:] if (e.unit, e.what) == (on, 'ran') and name in e.text)
    return ' '.join([event.text for event in ran][-1].split())


def worked(juju: Juju, unit: str) -> int:
    """Return how often a unit has run a program to its end."""
    return sum((event.unit, event.what) == (unit, 'worked') for event in juju.history)


def each_worked(juju: Juju) -> List[int]:
    """Return the same for each unit, in order."""
    return [worked(juju, unit) for unit in juju.units]


def remove_at_work(juju: Juju, watch: StrictWatch) -> None:
    """Let app/1 work, the others ask, and app/1 be removed meanwhile; for a charm with ASK_FIRST."""
    juju.configure(go=1)
    until(juju, lambda: 'app/1' in watch.at_work)
    juju.configure(go=2)
    juju.run(seconds=5)
    juju.remove_unit('app/1')


def order(juju: Juju, words: str) -> None:
    """Run a line of Python on the leader, as an action does, to its end; it must not be refused."""
    leader, before = juju.controller.leader, len(juju.history)
    script = 'from charms.layer import coordinator\nassert not coordinator.{}\n'.format(words)
    juju.run_exec(leader, script, as_action=True)

    def ended() -> List[str]:
        new = (each for each in juju.history[before:] if each.unit == leader)
        return [each.text for each in new if each.what == 'ran' and each.text.startswith('exec script')]

    until(juju, lambda: bool(ended()))
    assert ended() == ['exec script'], juju.story(40)


def failures(juju: Juju) -> List[Event]:
    return [event for event in juju.history if event.what == 'fails']


def in_error(juju: Juju, unit: str) -> bool:
    return bool(juju.agents[unit].local.in_error)


def ledger_keys(juju: Juju) -> List[str]:
    """Return the keys under which leaders keep ledgers."""
    kept = juju.controller.leader_settings if juju.controller.juju == 3 else juju.controller.app_settings
    return [key for key in kept if key.startswith('coordinator-ledger')]


def write_shared(juju: Juju, settings: Dict[str, Optional[str]]) -> None:
    """Write leader settings, or the application's databag, as an operator on the leader may; None removes."""
    controller = juju.controller
    assert controller.leader is not None
    if controller.juju == 3:
        controller.write_leader_settings(controller.leader, settings)
    else:
        after = {**controller.app_settings, **{key: text for key, text in settings.items() if text}}
        left = {key: text for key, text in after.items() if settings.get(key, text)}
        controller.commit(controller.leader, None, left)


def lose_ledger(juju: Juju, how: str) -> None:
    """Lose what leaders have written: 'removed'; 'one removed', the key written last; or 'marked' as lost."""
    keys = ledger_keys(juju)
    assert keys
    if how == 'one removed':
        keys = [max(keys, key=lambda key: last_written(juju, key))]
    write_shared(juju, {'coordinator-ledger': 'lost'} if how == 'marked' else dict.fromkeys(keys))
    juju.note('the ledger is', how)


def last_written(juju: Juju, key: str) -> int:
    """Return the number of the last write by a leader in which a key has changed."""
    before, number = '', 0
    for count, (_, text) in enumerate(juju.controller.leader_writes):
        found = json.loads(text).get(key, before if juju.controller.juju == 3 else '')
        number = number if found == before else count
        before = found
    return number


RELEASE = "from charms.layer import coordinator\ncoordinator.release_lock('a')\n"


def ask_and_look(made: Juju, unit: str, *locks: str) -> None:
    """Ask, and let the unit find its turn; in one more hook it goes on with what it keeps."""
    ask(made, unit, *locks)
    made.run(seconds=20)
    made.update_status(unit)
    made.run(seconds=20)


def failed_in_its_turn(model: Any, charm: Path, juju: int) -> Tuple[Juju, StrictWatch]:
    """Return a model and its watch: app/1 has failed in its turn and lost its store, and app/2 waits."""
    made = at_rest(model, charm, 3, juju)
    watch = StrictWatch(made)
    made.fail_command('app/1', 'work 60')
    ask(made, 'app/1', 'a')
    until(made, lambda: 'app/1' in watch.at_work)
    ask(made, 'app/2', 'a')
    until(made, lambda: in_error(made, 'app/1'))
    made.lose_store('app/1', '.coordinator.json*')
    return made, watch


__all__ = [
    'ASK',
    'ASK_FIRST',
    'KEEP',
    'MINE_PY',
    'NO_UPDATE_STATUS_S',
    'RELEASE',
    'RESTART',
    'SKIPS',
    'TWO',
    'WHY',
    'WORK',
    'StrictWatch',
    'Turn',
    'ask',
    'ask_and_look',
    'at_rest',
    'both',
    'each_worked',
    'failed_in_its_turn',
    'failures',
    'health',
    'in_error',
    'last_written',
    'ledger_keys',
    'lose_ledger',
    'order',
    'remove_at_work',
    'tells',
    'until',
    'with_metrics',
    'worked',
    'write_shared',
]
