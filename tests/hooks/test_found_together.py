"""Faults that need two losses, or one beside a failure: found by a review on 2026-11-28."""

import pytest

from tests.cases import (
    RELEASE,
    RESTART,
    WORK,
    StrictWatch,
    ask,
    at_rest,
    both,
    failed_in_its_turn,
    in_error,
    lose_ledger,
    until,
    with_metrics,
    worked,
)

LONG = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '1500'])
"""

# What app/1 keeps first, and works in later for long; others work for a minute.
KEEPS = """
@when('coordinator.granted.a')
def work():
    if hookenv.local_unit() != 'app/1':
        check_call(['work', '60'])
    elif hookenv.config('go') == 2:
        check_call(['work', '900'])
    else:
        check_call(['work', '10'])
        coordinator.keep_lock('a')
"""


@pytest.mark.parametrize('how', ['marked', 'removed'])
def test_a_leader_without_a_ledger_does_not_forget_the_turn_of_a_unit_that_departs_at_work(
    model, charm_with, how
):
    """It forgot the claim with relation-departed, and the unit had answered: nobody waited for it."""
    made = at_rest(model, charm_with(KEEPS), 4, 3)
    watch = StrictWatch(made)
    ask(made, 'app/1', 'a')
    until(made, lambda: worked(made, 'app/1') >= 1)
    made.run(seconds=30)
    ask(made, 'app/3', 'a')
    made.run(seconds=30)
    made.fail_hook('app/2')
    made.configure(memory=2)
    made.run(seconds=60)
    lose_ledger(made, how)
    made.run(seconds=10)
    made.configure(memory=3)  # a hook of the leader, which claims a new ledger
    made.run(seconds=60)
    made.configure(go=2)
    made.run(seconds=20)
    made.remove_unit('app/1')
    made.run(seconds=20)
    assert 'app/1' in watch.at_work, made.story(40)

    made.resolve('app/2')
    made.run(seconds=300)

    watch.check()


@pytest.mark.parametrize('how', ['marked', 'removed'])
def test_a_unit_that_departs_at_work_is_waited_for_also_while_goal_state_fails(model, charm_with, how):
    """On Juju 3 it leaves relation-list at once, and the leader had never read it."""
    made = at_rest(model, charm_with(LONG), 4, 3, update_status_s=300)
    watch = StrictWatch(made)
    ask(made, 'app/1', 'a')
    until(made, lambda: 'app/1' in watch.at_work)
    ask(made, 'app/2', 'a')
    made.run(seconds=10)
    made.remove_unit('app/1')
    made.run(seconds=10)
    lose_ledger(made, how)
    for unit in made.units:
        made.fail_tool(unit, 'goal-state', None)
    made.elect('app/3')
    made.run(seconds=2000)

    watch.check()
    assert worked(made, 'app/1') == 1


def at_work_under_another_relation_id(model, charm_with, juju):
    made = at_rest(model, charm_with(LONG), 4, juju)
    watch = StrictWatch(made)
    ask(made, 'app/1', 'a')
    until(made, lambda: 'app/1' in watch.at_work)
    return made, watch


def loses_databags(made):
    made.change_relation_id(keep_databags=False)
    if made.controller.juju == 3:
        made.lose_app_data('coordinator-ledger')
    made.run(seconds=20)


@both
@pytest.mark.parametrize('leader', ['app/3', 'a new unit'])
def test_goal_state_that_fails_once_hides_no_unit_that_works_under_another_relation_id(
    model, charm_with, juju, leader
):
    """The unit at work has not joined the new relation and has no databag there; only goal-state lists it."""
    made, watch = at_work_under_another_relation_id(model, charm_with, juju)
    if leader == 'app/3':
        made.elect(leader)
    loses_databags(made)
    if leader != 'app/3':
        leader = made.add_unit()
        made.run(seconds=40)
        made.elect(leader)
        made.run(seconds=20)
    ask(made, 'app/2', 'a')
    made.run(seconds=100)
    made.fail_tool(leader, 'goal-state', 1)
    made.update_status(leader)
    made.run(seconds=100)

    watch.check()
    assert watch.at_work == {'app/1'}


@both
@pytest.mark.parametrize('fails', ['all', 'leader'])
def test_a_leader_of_another_relation_id_that_did_not_lead_before_makes_no_ledger_while_goal_state_fails(
    model, charm_with, juju, fails
):
    made, watch = at_work_under_another_relation_id(model, charm_with, juju)
    made.elect('app/3')
    for unit in made.units if fails == 'all' else ['app/3']:
        made.fail_tool(unit, 'goal-state', None)
    loses_databags(made)
    ask(made, 'app/2', 'a')
    for _ in range(3):
        for unit in ('app/3', 'app/2'):
            made.update_status(unit)
        made.run(seconds=100)

    watch.check()
    assert watch.at_work == {'app/1'}


@both
@pytest.mark.parametrize('works', [True, False])
def test_a_leader_that_led_under_the_old_relation_id_makes_a_ledger_also_if_goal_state_fails_for_ever(
    model, charm_with, juju, works
):
    """It has read the claims of all, and waits for the answer of each."""
    made, watch = at_work_under_another_relation_id(model, charm_with, juju)
    if not works:
        made.run(seconds=1600)
    for unit in made.units:
        made.fail_tool(unit, 'goal-state', None)
    made.change_relation_id(keep_databags=False)
    if juju == 3:
        made.lose_app_data('coordinator-ledger')
    ask(made, 'app/2', 'a')
    for _ in range(18):
        for unit in made.units:
            made.update_status(unit)
        made.run(seconds=300)
        for unit in made.units:
            made.resolve(unit)  # Juju knows the old relation no more, in which the hook of app/1 has worked

    watch.check()
    assert worked(made, 'app/2') == 1, made.story(40)


@both
@pytest.mark.parametrize('actions', [1, 2])
def test_an_action_that_makes_a_lost_store_anew_gives_up_no_turn_of_a_failed_hook(
    model, charm_with, juju, actions
):
    """Only the lost store had it that the turn had begun."""
    made, watch = failed_in_its_turn(model, charm_with(WORK), juju)
    for _ in range(actions):
        made.run_exec('app/1', RELEASE, as_action=True)
        made.run(seconds=50)
    watch.check()
    assert not worked(made, 'app/2')

    made.resolve('app/1')
    made.run()
    watch.check()
    assert (worked(made, 'app/1'), worked(made, 'app/2')) == (1, 1)


def loses_commit_of_turn(made, unit):
    """Let the hook in which a unit works be refused by Juju, once."""
    lost = []

    def sees(event):
        if (event.unit, event.what) == (unit, 'works') and not lost:
            lost.append(unit)
            made.lose_commit(unit)

    made.observers.append(sees)
    until(made, lambda: in_error(made, unit))
    assert worked(made, unit) == 1, made.story(30)


@both
def test_a_turn_of_a_roll_whose_end_only_the_charm_has_saved_is_not_used_twice(model, charm_with, juju):
    made = at_rest(model, charm_with(RESTART), 2, juju)
    watch = StrictWatch(made)
    made.run_action('app/0', 'coordinator-roll', lock='restart')
    loses_commit_of_turn(made, 'app/1')
    made.lose_store('app/1', '.coordinator.json*')

    made.resolve('app/1')
    made.run()

    watch.check()
    assert (worked(made, 'app/0'), worked(made, 'app/1')) == (1, 1), made.story(40)


ONE_OF_TWO = """
import os

@when('coordinator.granted.{0}')
def work():
    check_call(['work', '3'])

@when('coordinator.granted.{1}')
def keeps():
    if not os.path.exists('kept'):
        open('kept', 'w').close()
        coordinator.keep_lock('{1}')
"""


@both
@pytest.mark.parametrize('locks', ['ab', 'ba'])
@pytest.mark.parametrize('options', [{}, {'queues': 'per-lock'}], ids=['one', 'per-lock'])
def test_what_two_hooks_have_ended_is_over_if_only_the_charm_has_saved_it(
    model, charm_with, juju, options, locks
):
    """The end that the second hook saved took the place of the first one's."""
    made = at_rest(model, charm_with(ONE_OF_TWO.format(*locks), **options), 1, juju)
    ask(made, 'app/0', 'a', 'b')
    loses_commit_of_turn(made, 'app/0')
    made.lose_commit('app/0')
    made.resolve('app/0')
    made.run()
    assert in_error(made, 'app/0')
    assert worked(made, 'app/0') == 1, made.story(30)
    made.lose_store('app/0', '.coordinator.json*')

    made.resolve('app/0')
    made.run()

    assert worked(made, 'app/0') == 1, made.story(40)


KEPT_PART = """
import os

@when('config.changed.go')
def asks():
    if hookenv.config('go') and hookenv.local_unit() == 'app/0':
        coordinator.request_lock('a')
        coordinator.request_lock('b')

@when('coordinator.granted.a')
def work():
    hookenv.log('has a')
    if not os.path.exists('kept'):
        open('kept', 'w').close()
        coordinator.keep_lock('a')
"""


def test_the_kept_part_of_a_turn_is_not_lost_with_the_store_if_the_charm_has_saved_the_end_of_the_rest(
    model, charm_with
):
    made = at_rest(model, charm_with(KEPT_PART), 2, 3)
    made.lose_commit('app/0')
    made.configure(go=1)
    made.run(seconds=10)
    assert in_error(made, 'app/0')
    assert len(made.log_of('app/0', 'has a')) == 1, made.story(20)
    made.lose_store('app/0', '.coordinator.json*')

    made.resolve('app/0')
    made.run(seconds=10)

    assert len(made.log_of('app/0', 'has a')) == 2, made.story(20)


METRICS = """
import os
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    if os.path.exists('worked'):
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
    open('worked', 'w').close()
"""


def test_a_request_of_collect_metrics_is_not_lost_if_the_store_was_lost_before_it(model, charm_with):
    made = at_rest(model, with_metrics(charm_with(METRICS)), 2, 3, update_status_s=300)
    ask(made, 'app/1', 'a')
    made.run(seconds=60)
    made.lose_store('app/1', '.coordinator.json*')
    made.collect_metrics('app/1')
    made.run(seconds=1000)

    assert worked(made, 'app/1') == 2, made.story(30)
