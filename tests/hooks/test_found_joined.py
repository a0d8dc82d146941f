"""What a review of 2026-11-28 found where a unit has several locks, or a gate, or imports its handlers."""

import pytest

from tests.cases import (
    RESTART,
    ask,
    ask_and_look,
    at_rest,
    both,
    failures,
    in_error,
    order,
    tells,
    until,
    with_child,
    worked,
)

SAVED_WAITING = """
import os
from charmhelpers.core import unitdata

@when('config.changed.go')
def anew():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1' and not os.path.exists('once'):
        open('once', 'w').close()
        coordinator.release_lock('b')
        unitdata.kv().flush()
        coordinator.request_lock('b')
        raise RuntimeError

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')
    if hookenv.local_unit() == 'app/0' and hookenv.config('go') < 2:
        coordinator.keep_lock('a')
""" + tells('b')


@both
def test_a_waiting_request_asked_for_anew_after_its_withdrawal_was_saved_is_not_lost(model, charm_with, juju):
    made = at_rest(model, charm_with(SAVED_WAITING), 2, juju)
    ask_and_look(made, 'app/0', 'a')
    ask(made, 'app/1', 'a', 'b')
    made.run(seconds=20)
    assert made.log_of('app/0', 'HAS a')
    assert not made.log_of('app/1', 'HAS a')
    made.configure(go=1)
    made.run(seconds=20)
    assert in_error(made, 'app/1')
    made.resolve('app/1')
    made.run(seconds=20)
    made.configure(go=2)
    made.run(seconds=200)
    assert made.log_of('app/1', 'HAS a'), made.story(40)
    assert made.log_of('app/1', 'HAS b'), made.story(40)


GATE_B = """
@coordinator.gate('b')
def not_now():
    return 'shut'

if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
    coordinator.request_lock('b')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')
    if hookenv.config('go') < 2:
        coordinator.keep_lock('a')
""" + tells('b')


@both
def test_a_lock_asked_for_at_import_beside_a_turn_is_not_held_behind_a_shut_gate(model, charm_with, juju):
    made = at_rest(model, charm_with(GATE_B), 2, juju)
    ask_and_look(made, 'app/1', 'a')
    assert made.log_of('app/1', 'HAS a')
    made.configure(go=1)
    made.run(seconds=30)
    made.configure(memory=4)
    made.run(seconds=30)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)


IMPORTS_HANDLERS = """import runpy
runpy.run_path('reactive/plan.py')
from charms.layer import coordinator
coordinator.request_lock('b')
"""


@both
def test_an_action_that_imports_the_handlers_asks_the_gate_of_a_lock_that_it_adds(model, charm_with, juju):
    made = at_rest(model, charm_with(GATE_B), 2, juju)
    ask_and_look(made, 'app/1', 'a')
    made.run_exec('app/1', IMPORTS_HANDLERS, as_action=True)
    made.run(seconds=20)
    made.configure(memory=4)
    made.run(seconds=30)
    assert 'coordinator.requested.b' in made.flags_of('app/1')
    assert not made.log_of('app/1', 'HAS b'), made.story(40)


ROLL_AT_IMPORT = """
if coordinator.is_granted('a') and hookenv.local_unit() == 'app/1':
    check_call(['work', '12'])

@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
"""

IN_A_HANDLER = ROLL_AT_IMPORT[1:].replace(
    "if coordinator.is_granted('a') and hookenv.local_unit() == 'app/1':",
    """
@when('coordinator.granted.a')
def first():
  if hookenv.local_unit() == 'app/1':""",
)


@both
@pytest.mark.parametrize('words', [ROLL_AT_IMPORT, IN_A_HANDLER], ids=['import', 'handler'])
def test_a_roll_stops_also_if_a_unit_fails_at_import_in_its_turn(model, charm_with, juju, words):
    made = at_rest(model, charm_with(words, slots=2), 6, juju)
    order(made, "pause('a')")
    made.run(seconds=30)
    order(made, "request_roll('a', order='name')")
    made.run(seconds=30)
    ask(made, 'app/1', 'a')  # its claim has the lock, so import may use the roll's turn
    made.run(seconds=30)
    made.fail_command('app/1', 'work 12', times=99)
    order(made, "resume('a')")
    made.run(seconds=600)
    assert in_error(made, 'app/1')
    assert sum(worked(made, unit) for unit in made.units if unit != 'app/1') <= 3, made.story(60)


@both
@pytest.mark.parametrize('removes', [True, False])
def test_a_roll_is_over_soon_also_if_a_unit_that_has_had_its_turn_is_removed(
    model, charm_with, juju, removes
):
    made = at_rest(model, charm_with(RESTART), 5, juju)
    order(made, "request_roll('restart', order='leader-first')")
    until(made, lambda: worked(made, 'app/1') == 1)
    made.run(seconds=20)
    if removes:
        made.remove_unit('app/1')
    until(made, lambda: worked(made, 'app/4') == 1, within_s=2000)
    made.run(seconds=100)
    assert made.log_of('app/0', 'ROLLED'), made.story(30)


RUNS_CHILD = """
import os

@when('config.changed.go')
def run():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        check_call(['hooks/child'])
        coordinator.request_lock('c')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')
    if hookenv.local_unit() == 'app/0' and hookenv.config('go') < 2:
        coordinator.keep_lock('a')
""" + tells('b')


@both
@pytest.mark.parametrize('asks', [('a', 'b'), ('b',)])
def test_what_a_program_of_a_hook_withdraws_beside_another_lock_stays_withdrawn(
    model, charm_with, juju, asks
):
    charm = charm_with(RUNS_CHILD)
    with_child(charm, "release_lock('b')")
    made = at_rest(model, charm, 2, juju)
    ask_and_look(made, 'app/0', 'a')
    ask(made, 'app/1', *asks)
    made.run(seconds=20)
    made.configure(go=1)
    made.run(seconds=20)
    assert not failures(made)
    made.configure(go=2)
    made.run(seconds=200)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)


SKIPS_GATED = """
import os

@coordinator.gate('a')
def not_now():
    return '' if os.path.exists('open') else 'shut'

@when('coordinator.granted.a')
def work():
    if hookenv.hook_name() != 'update-status':
        check_call(['work', '60'])
"""


@pytest.mark.parametrize('roll', [True, False])
def test_a_turn_after_a_roll_that_was_cancelled_at_the_gate_is_left_for_a_better_hook(
    model, charm_with, roll
):
    made = at_rest(model, charm_with(SKIPS_GATED), 3, 3)
    if roll:
        order(made, "request_roll('a', order='leader-first')")
        made.run(seconds=30)
        made.configure(memory=2)
        made.run(seconds=30)
        order(made, "cancel('a')")
        made.run(seconds=60)
    for unit in made.units:
        made.run_exec(unit, "open('open', 'w').close()")
    made.run(seconds=30)
    assert not any(worked(made, unit) for unit in made.units)
    ask(made, 'app/1', 'a')
    until(made, lambda: any(e.unit == 'app/1' and e.what == 'works' for e in made.history))
    ask(made, 'app/0', 'a')
    made.run(seconds=5)
    made.remove_unit('app/1')
    made.run(seconds=200)
    assert not worked(made, 'app/0')
    made.update_status('app/0')
    made.run(seconds=200)
    assert worked(made, 'app/0') == 1, made.story(30)


MOVED = """
@coordinator.gate('b')
def not_now():
    return 'shut'

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')
    coordinator.keep_lock('a')
""" + tells('b')


@both
def test_a_request_that_a_refresh_moves_beside_a_turn_is_not_held_behind_a_shut_gate(model, charm_with, juju):
    made = at_rest(model, charm_with(MOVED), 2, juju)
    ask_and_look(made, 'app/1', 'a')
    assert made.log_of('app/1', 'HAS a')
    for options in ({'queues': 'per-lock'}, {}):
        new = charm_with(MOVED, **options)
        for unit in list(made.units):
            made.upgrade(unit, new)
        made.run(seconds=60)
        if options:
            ask(made, 'app/1', 'b')
            made.run(seconds=20)
            made.update_status('app/1')
            made.run(seconds=20)
            assert not made.log_of('app/1', 'HAS b')
    made.configure(memory=7)
    made.run(seconds=30)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)
