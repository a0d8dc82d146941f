"""What a review of 2026-11-28 found where a store is lost: beside a hook that fails, or collect-metrics."""

import pytest

from tests.cases import (
    RELEASE,
    WHY,
    WORK,
    ask,
    ask_and_look,
    at_rest,
    both,
    failed_in_its_turn,
    in_error,
    order,
    tells,
    with_metrics,
    worked,
)

METRICS_TWO = """
import os
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    if os.path.exists('go'):
        coordinator.request_lock('a')
        coordinator.request_lock('b')
""" + tells('a', 'b')


@pytest.mark.parametrize('lost', [True, False])
def test_two_requests_of_collect_metrics_are_not_lost_if_the_store_was_lost_before(model, charm_with, lost):
    made = at_rest(model, with_metrics(charm_with(METRICS_TWO)), 2, 3, update_status_s=300)
    (made._charm_dir('app/1') / 'go').write_text('')
    if lost:
        made.lose_store('app/1', '.coordinator.json*')
    made.collect_metrics('app/1')
    made.run(seconds=1000)
    assert made.log_of('app/1', 'HAS a'), made.story(30)
    assert made.log_of('app/1', 'HAS b'), made.story(30)


METRICS_B = """
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    coordinator.request_lock('b')
"""


def test_collect_metrics_does_not_make_an_action_give_up_a_turn_of_a_lost_store(model, charm_with):
    made, watch = failed_in_its_turn(model, with_metrics(charm_with(WORK + METRICS_B)), 3)
    made.run_exec('app/1', WHY, as_action=True)
    made.run(seconds=10)
    made.collect_metrics('app/1')
    made.run(seconds=10)
    made.run_exec('app/1', RELEASE, as_action=True)
    made.run(seconds=200)
    watch.check()
    assert not worked(made, 'app/2'), made.story(40)


NOTES = tells('a')


@both
@pytest.mark.parametrize('looked', [True, False])
def test_an_action_withdraws_a_paused_request_after_hooks_have_succeeded(model, charm_with, juju, looked):
    made = at_rest(model, charm_with(NOTES), 3, juju)
    order(made, "pause('a')")
    made.run(seconds=20)
    ask(made, 'app/1', 'a')
    made.run(seconds=20)
    made.lose_store('app/1', '.coordinator.json*')
    if looked:
        made.run_exec('app/1', WHY, as_action=True)
        made.run(seconds=10)
    for memory in (2, 3, 4):
        made.configure(memory=memory)
        made.run(seconds=20)
        made.update_status('app/1')
        made.run(seconds=20)
    made.run_exec('app/1', RELEASE, as_action=True)
    made.run(seconds=20)
    order(made, "resume('a')")
    made.run(seconds=200)
    assert not made.log_of('app/1', 'HAS a'), made.story(40)


GATE_RAISES = """
import os

@coordinator.gate('a')
def not_now():
    if os.path.exists('broken'):
        raise RuntimeError('replicas cannot be asked')
    return ''

@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
"""

BROKEN_IMPORT = """
import os

coordinator.is_requested('a')
if os.path.exists('broken'):
    raise RuntimeError('a module is missing')

@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
"""


@both
@pytest.mark.parametrize('plan', [GATE_RAISES, BROKEN_IMPORT], ids=['gate', 'import'])
def test_no_action_gives_up_a_turn_whose_store_was_lost_and_whose_retry_failed_before_its_handlers(
    model, charm_with, juju, plan
):
    made, watch = failed_in_its_turn(model, charm_with(plan), juju)
    (made._charm_dir('app/1') / 'broken').write_text('')
    made.resolve('app/1')
    made.run(seconds=10)
    assert in_error(made, 'app/1')
    made.run_exec('app/1', RELEASE, as_action=True)
    made.run(seconds=200)
    watch.check()
    assert not worked(made, 'app/2'), made.story(40)


METRICS_GATED = """
import os
from charms.reactive import collect_metrics

@coordinator.gate('b')
def not_now():
    return 'shut'

@collect_metrics()
def metrics():
    if os.path.exists('go'):
        coordinator.request_lock('b')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')
    coordinator.keep_lock('a')
""" + tells('b')


@pytest.mark.parametrize('lost', [True, False])
def test_what_collect_metrics_asks_for_is_not_held_behind_a_shut_gate_if_the_store_was_lost(
    model, charm_with, lost
):
    made = at_rest(model, with_metrics(charm_with(METRICS_GATED)), 2, 3)
    ask_and_look(made, 'app/1', 'a')
    assert made.log_of('app/1', 'HAS a')
    (made._charm_dir('app/1') / 'go').write_text('')
    if lost:
        made.lose_store('app/1', '.coordinator.json*')
    made.collect_metrics('app/1')
    made.run(seconds=20)
    for memory in (2, 3):
        made.configure(memory=memory)
        made.run(seconds=20)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)


METRICS_PAUSED = METRICS_GATED.replace("return 'shut'", "return ''")


def test_what_collect_metrics_asks_for_is_not_held_while_it_is_paused_if_the_store_was_lost(
    model, charm_with
):
    made = at_rest(model, with_metrics(charm_with(METRICS_PAUSED)), 2, 3)
    ask_and_look(made, 'app/1', 'a')
    order(made, "pause('b')")
    made.run(seconds=20)
    (made._charm_dir('app/1') / 'go').write_text('')
    made.lose_store('app/1', '.coordinator.json*')
    made.collect_metrics('app/1')
    made.run(seconds=20)
    for memory in (2, 3):
        made.configure(memory=memory)
        made.run(seconds=20)
    assert not made.log_of('app/1', 'HAS b'), made.story(40)
