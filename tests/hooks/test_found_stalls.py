"""Turns that were lost or stalled, and answers that were untrue: found by a review, 2026-11-28."""

import pytest

from tests.cases import (
    ASK,
    WHY,
    StrictWatch,
    at_rest,
    both,
    failures,
    in_error,
    order,
    until,
    with_metrics,
    worked,
)
from tests.deploy import said

APP_1_ASKS = """
import os

@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')
"""

GATED = """
@coordinator.gate('a')
def not_now():
    return '' if os.path.exists('open') else 'shut'

if coordinator.is_granted('a') or coordinator.token('a'):
    hookenv.log('held at import')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('has a')
"""


@both
def test_a_turn_behind_a_gate_that_has_opened_begins_in_the_first_update_status(model, charm_with, juju):
    """On Juju 3 it was left for a better hook, which nothing brought."""
    made = at_rest(model, charm_with(APP_1_ASKS + GATED), 2, juju)
    made.configure(go=1)
    made.run(seconds=30)
    made.run_exec('app/1', "open('open', 'w').close()")
    made.run(seconds=30)
    assert not made.log_of('app/1', 'has a')

    made.update_status('app/1')
    made.run(seconds=30)

    assert made.log_of('app/1', 'has a'), made.story(40)


ALL_ASK = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
"""


@both
def test_a_unit_whose_hook_was_resolved_before_it_learned_of_its_turn_works_by_the_second_update_status(
    model, charm_with, juju
):
    made = at_rest(model, charm_with(ALL_ASK), 3, juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(worked(made, 'app/0') and watch.at_work & {'app/1', 'app/2'}))
    other = 'app/2' if 'app/1' in watch.at_work else 'app/1'
    made.fail_tool(other, 'is-leader')
    until(made, lambda: in_error(made, other), within_s=300)
    made.run(seconds=50)
    made.resolve(other, retry=False)
    made.run(seconds=50)
    assert not worked(made, other), 'it had another hook'

    for _ in range(2 if juju == 3 else 1):
        made.update_status(other)
        made.run(seconds=100)

    assert worked(made, other) == 1, made.story(40)
    watch.check()


@both
def test_a_lock_behind_a_shut_gate_is_not_held_at_import(model, charm_with, juju):
    made = at_rest(model, charm_with(APP_1_ASKS + GATED), 2, juju)
    made.configure(go=1)
    made.run(seconds=30)
    for _ in range(2):
        made.update_status('app/1')
        made.run(seconds=30)

    assert not made.log_of('app/1', 'held at import'), made.story(40)


AGAIN_AT_IMPORT = """
@coordinator.gate('a')
def not_now():
    return 'shut' if hookenv.config('go') < 2 else ''

if os.path.exists('shut') and not os.path.exists('again') and hookenv.hook_name() == 'config-changed':
    open('again', 'w').close()
    coordinator.request_again('a')  # it is not held, so this is request_lock, and changes nothing

@when('coordinator.requested.a')
@when_not('coordinator.granted.a')
def note_shut():
    if 'shut' in coordinator.explain('a'):
        open('shut', 'w').close()

@when('coordinator.granted.a')
def has_a():
    hookenv.log('has {}'.format(coordinator.token('a')))
"""


@both
def test_what_is_asked_again_at_import_behind_a_shut_gate_gives_no_second_turn(model, charm_with, juju):
    made = at_rest(model, charm_with(APP_1_ASKS + AGAIN_AT_IMPORT), 2, juju)
    for config in ({'go': 1}, {'memory': 5}, {'go': 2}):
        made.configure(**config)
        made.run(seconds=40)

    assert (made._charm_dir('app/1') / 'again').exists()
    assert len(set(said(made, 'app/1', 'has '))) == 1, made.story(20)


ENDS_IN_A_HOOK = """
@when('coordinator.granted.a')
def keep():
    hookenv.log('has a in ' + hookenv.hook_name())
    if hookenv.hook_name() == 'coordinator-wake-up':
        return
    if hookenv.config('go') == 1:
        coordinator.keep_lock('a', check_again_in=30)
    else:
        check_call(['work', '60'])
        coordinator.keep_lock('a')
"""


@both
def test_a_wake_up_whose_time_comes_while_a_hook_keeps_the_lock_comes_after_that_hook(
    model, charm_with, juju
):
    made = at_rest(model, charm_with(APP_1_ASKS + ENDS_IN_A_HOOK), 2, juju)
    made.configure(go=1)
    until(made, lambda: bool(made.log_of('app/1', 'has a')))
    made.run(seconds=10)
    made.configure(go=2)
    made.run(seconds=300)

    assert made.log_of('app/1', 'has a in config-changed')
    assert made.log_of('app/1', 'has a in coordinator-wake-up'), made.story(12)


KEPT_LATE = """
def late():
    if coordinator.is_granted('a') and hookenv.hook_name() != 'coordinator-wake-up':
        hookenv.log('kept {}'.format(coordinator.keep_lock('a', check_again_in=5)))

hookenv.atexit(late)

@when('coordinator.granted.a')
def has_a():
    hookenv.log('has a in ' + hookenv.hook_name())
    if hookenv.hook_name() != 'coordinator-wake-up':
        coordinator.keep_lock('a')
"""


@both
def test_a_callback_after_the_layer_s_own_may_ask_for_a_wake_up(model, charm_with, juju):
    made = at_rest(model, charm_with(APP_1_ASKS + KEPT_LATE), 2, juju)
    made.configure(go=1)
    made.run(seconds=100)

    assert made.log_of('app/1', 'kept True')
    assert made.log_of('app/1', 'has a in coordinator-wake-up'), made.story(40)


RELEASED_AND_FAILED = """
@when('coordinator.granted.a')
def has_a():
    hookenv.log('has {}'.format(coordinator.token('a')))
    if hookenv.config('go') == 1:
        coordinator.keep_lock('a')
        coordinator.request_again('a')
    elif not os.path.exists('failed'):
        open('failed', 'w').close()
        coordinator.release_lock('a')
        raise RuntimeError
"""

# The lock is asked for again, and its turn is over; another lock is kept in the same ask.
BESIDE_AND_FAILED = """
@when('config.changed.go')
def ask_b():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('b')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('has {}'.format(coordinator.token('a')))
    if hookenv.config('go') == 1:
        coordinator.request_again('a')

@when('coordinator.granted.b')
def has_b():
    if hookenv.config('go') == 1:
        coordinator.keep_lock('b')
    elif not os.path.exists('failed'):
        open('failed', 'w').close()
        coordinator.release_lock('a')
        raise RuntimeError
"""


@both
@pytest.mark.parametrize('handlers', [RELEASED_AND_FAILED, BESIDE_AND_FAILED], ids=['held', 'beside'])
def test_what_a_failed_hook_has_withdrawn_is_still_asked_for_again(model, charm_with, juju, handlers):
    made = at_rest(model, charm_with(APP_1_ASKS + handlers), 2, juju)
    made.configure(go=1)
    made.run(seconds=30)
    made.configure(go=2)
    made.run(seconds=30)
    assert in_error(made, 'app/1')

    made.resolve('app/1')
    made.run(seconds=100)

    assert len(set(said(made, 'app/1', 'has '))) == 2, made.story(40)


DIES = """
@when('coordinator.granted.a')
@when_not('worked')
def has_a():
    hookenv.log('has a')
    check_call(['work', '10'])
    coordinator.release_lock('a')
    reactive.set_flag('next')

@when('next')
@when_not('worked')
def go_on():
    check_call(['work', '20'])
    reactive.set_flag('worked')
"""


@both
def test_a_turn_that_was_released_in_a_hook_whose_agent_died_begins_again(model, charm_with, juju):
    """At the end the layer called no tool, so it did not notice that the agent was dead (case 31)."""
    made = at_rest(model, charm_with(APP_1_ASKS + DIES), 2, juju)
    made.configure(go=1)
    until(made, lambda: worked(made, 'app/1') == 1)
    made.run(seconds=2)
    made.die_agent('app/1')
    made.run(seconds=100)
    made.resolve('app/1')
    made.run(seconds=100)

    assert len(made.log_of('app/1', 'has a')) == 2, made.story(40)


ROLL_OF_SIX = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '12' if hookenv.local_unit() == 'app/1' else '10'])
"""


@both
@pytest.mark.parametrize('later', [2, 1])
def test_a_failure_stops_a_roll_with_two_slots_also_if_the_charm_has_one_now(model, charm_with, juju, later):
    made = at_rest(model, charm_with(ROLL_OF_SIX, slots=2), 6, juju)
    order(made, "pause('a')")
    made.run(seconds=20)
    order(made, "request_roll('a', order='name')")
    made.run(seconds=20)
    new = charm_with(ROLL_OF_SIX, slots=later)
    for unit in list(made.units):
        made.upgrade(unit, new)
    made.run(seconds=60)
    made.fail_command('app/1', 'work 12', times=99)
    order(made, "resume('a')")
    made.run(seconds=600)

    assert in_error(made, 'app/1')
    assert 1 <= sum(worked(made, unit) for unit in made.units) <= 2, made.story(60)


TWO_KEPT = """
@when('config.changed.go')
def ask_both():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')
        coordinator.request_lock('b')

@when('coordinator.granted.a', 'coordinator.granted.b')
def keep():
    coordinator.keep_lock('a', reason='it heals')
    coordinator.keep_lock('b')
"""


@both
def test_the_reason_of_a_kept_lock_stays_when_another_is_kept_beside_it(model, charm_with, juju):
    made = at_rest(model, charm_with(TWO_KEPT), 2, juju)
    made.configure(go=1)
    made.run(seconds=60)
    made.run_exec('app/0', WHY, as_action=True)
    made.run(seconds=10)

    assert 'it heals' in said(made, 'app/0', 'why ')[-1]


ORDERS = """
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    hookenv.log('answer ' + coordinator.pause('a'))
"""


def test_a_leader_is_not_told_in_collect_metrics_that_it_does_not_lead(model, charm_with):
    made = at_rest(model, with_metrics(charm_with(ASK + ORDERS)), 2, 3)
    made.collect_metrics('app/0')
    made.run(seconds=30)

    assert said(made, 'app/0', 'answer ') == [
        'a: Juju answers nothing in this hook; give the order in another hook'
    ]
    assert not failures(made)
