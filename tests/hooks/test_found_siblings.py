"""Faults that were found by asking what else is of the kind of a known case; each as a short history."""

import pytest

from tests.cases import (
    ASK,
    ASK_FIRST,
    MINE_PY,
    NO_UPDATE_STATUS_S,
    RESTART,
    WHY,
    WORK,
    StrictWatch,
    ask,
    both,
    each_worked,
    failures,
    in_error,
    lose_ledger,
    until,
    with_child,
    with_metrics,
    worked,
)
from tests.deploy import begun, said

LATE = """
import os

@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
    open('worked', 'w').close()

@when('coordinator.granted.b')
def work_b():
    check_call(['work', '10'])

def late():
    if os.path.exists('worked') and not os.path.exists('asked'):
        open('asked', 'w').close()
        coordinator.request_lock('{}')

hookenv.atexit(late)  # at import, so it runs after the layer's own callback
"""


@both
@pytest.mark.parametrize('lock', ['a', 'b'])
@pytest.mark.parametrize('options', [{}, {'class': 'charms.mine.Mine'}], ids=['default', 'own class'])
def test_a_leader_that_asks_in_a_callback_after_the_end_of_its_turn_needs_no_update_status(
    model, charm_with, juju, lock, options
):
    """The request was for after the turn, which was over already, and nobody brought the leader a hook."""
    charm = charm_with(LATE.format(lock), **options)
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=2, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()

    ask(made, 'app/0', 'a')
    made.run(seconds=200)

    assert worked(made, 'app/0') == 2, made.story(40)


METRICS = """
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    coordinator.{}
"""


@pytest.mark.parametrize('words', ["release_lock('a')", "request_again('a')", "keep_lock('a')"])
def test_collect_metrics_between_a_failed_hook_and_its_retry_ends_no_turn(model, charm_with, words):
    """What it released was saved with the charm's flags, and the retry let the next unit begin."""
    made = begun(model, with_metrics(charm_with(ASK_FIRST + WORK + METRICS.format(words))), units=3)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made, until='work 60')
    made.fail_command('app/1', 'work 60', times=3)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))
    made.configure(go=2)
    made.collect_metrics('app/1')
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) for unit in made.units), made.story(60)


def test_a_program_that_collect_metrics_runs_may_ask_for_a_lock(model, charm_with):
    """Juju was asked there who leads, and refused to answer."""
    words = "is_granted('a')\n    check_call(['hooks/child'])"
    charm = with_metrics(charm_with(WORK + METRICS.format(words)))
    with_child(charm, "request_lock('a')")
    made = begun(model, charm, units=2)
    made.collect_metrics('app/1')
    made.run(seconds=10)
    made.update_status('app/1')
    made.run(seconds=100)

    assert not failures(made)
    assert worked(made, 'app/1') == 1, made.story(40)


@both
def test_an_application_may_have_the_words_of_juju_exec_in_its_name(model, charm_with, juju):
    """All of its hooks were taken for juju exec, so nobody ever had a turn."""
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju, app='the-run-commands-app')
    made.configure(go=1)
    made.run(seconds=400)

    assert each_worked(made) == [1, 1]


BESIDE = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')
        if hookenv.local_unit() == 'app/1':
            coordinator.request_lock('b')

@when('coordinator.granted.b')
def not_done():
    coordinator.request_again('b')

@when('coordinator.granted.a')
def keep():
    coordinator.keep_lock('a')

@when('coordinator.requested.b')
@when_not('coordinator.granted.b')
def wait():
    hookenv.log('why ' + coordinator.explain('b'))
"""


@both
def test_what_is_asked_for_after_a_turn_that_goes_on_is_not_said_to_begin_in_the_next_hook(
    model, charm_with, juju
):
    """The unit keeps another lock of the queue, and others wait for that one to be over."""
    made = begun(model, charm_with(BESIDE), units=3, juju=juju)
    made.elect('app/1')
    made.run()
    made.configure(go=1)
    made.run(seconds=60)
    before = len(said(made, 'app/1', 'why '))
    made.update_status('app/1')
    made.run(seconds=10)

    sentences = said(made, 'app/1', 'why ')[before:]
    assert sentences
    assert not [each for each in sentences if 'begins in the next hook' in each], sentences


@both
def test_where_there_are_more_slots_a_unit_without_a_ticket_is_told_who_holds_the_lock_now(
    model, charm_with, juju
):
    """It read one claim and named as many holders as there are slots: one of them was done long ago."""
    plan = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() != 'app/4':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', {'app/0': '5', 'app/1': '300', 'app/2': '10', 'app/3': '200'}[hookenv.local_unit()]])
"""
    charm = charm_with(plan, slots=2)
    made = begun(model, charm, units=5, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made, 2)
    made.elect('app/0')
    made.run()
    made.configure(go=1)
    until(made, lambda: watch.at_work >= {'app/1', 'app/3'})
    made.run(seconds=20)
    made.run_exec('app/4', WHY, as_action=True)
    made.run(seconds=5)

    assert 'app/1 and app/3 hold it' in said(made, 'app/4', 'why ')[-1]


@both
def test_turns_are_not_said_to_begin_again_while_all_locks_are_paused(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju)
    leader = made.controller.leader

    def answer(action, **parameters):
        made.run_action(leader, action, **parameters)
        made.run(seconds=5)
        told = [each.text for each in made.history if each.text.startswith('action ' + action + ': ')]
        return ' '.join(told[-1].split())

    answer('coordinator-pause')
    answer('coordinator-pause', lock='a')
    resumed, rolled = answer('coordinator-resume', lock='a'), answer('coordinator-roll', lock='a')

    assert 'Turns begin again.' not in resumed or 'paused since' in resumed, resumed
    assert 'paused since' in rolled, rolled  # it does not begin


def test_a_ticket_is_not_said_to_be_dropped_where_nothing_was_stored(model, charm_with):
    """Agents of 3.6 on a controller of 4.0: leader-set succeeds, and nothing is there."""
    made = begun(model, charm_with(ASK_FIRST + WORK), units=3)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.lose_unit('app/1', force=True)
    made.configure(go=2)
    made.controller.write_leader_settings = lambda *_, **__: None
    made.run(seconds=1000)

    assert not [text for _, _, _, text in made.logs if 'is dropped' in text]


@both
def test_the_first_ledger_of_all_is_not_said_to_be_a_new_one_for_one_that_is_lost(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju)
    made.configure(go=1)
    made.run(seconds=400)

    assert each_worked(made) == [1, 1, 1, 1]
    assert not [text for _, _, _, text in made.logs if 'the ledger is lost' in text]


@both
@pytest.mark.parametrize('lost', [False, True], ids=['a roll', 'a lost ledger'])
def test_a_hook_that_failed_before_the_layer_and_was_skipped_stops_nothing_beyond_update_status(
    model, charm_with, juju, lost
):
    """A unit that has never asked reads the ledger in no other hook, so all waited for it for ever."""
    made = begun(model, charm_with(ASK + WORK + RESTART), units=3, juju=juju, retry_automatically=False)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    made.fail_tool('app/2', 'is-leader')
    if lost:
        lose_ledger(made, 'marked')
        ask(made, 'app/0', 'a')
    else:
        made.run_action('app/0', 'coordinator-roll', lock='restart')
    until(made, lambda: in_error(made, 'app/2'), within_s=900)
    made.run(seconds=10)
    made.resolve('app/2', retry=False)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == ([1, 0, 0] if lost else [1, 1, 1])


KEPT_ONCE = """
import os

@when('coordinator.granted.a')
def work():
    check_call(['work', '2'])
    if not os.path.exists('kept'):
        open('kept', 'w').close()
        coordinator.keep_lock('a')
        coordinator.request_again('a')
"""


def test_of_two_turns_whose_end_only_the_charm_has_saved_none_begins_again_after_the_store_is_lost(
    model, charm_with
):
    """Campaign, seed 4020940: the charm keeps the ends of the last ask in each queue. Juju's is older."""
    charm = charm_with(KEPT_ONCE, **{'class': 'charms.mine.Mine'})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=1, juju=3, retry_automatically=False)
    made.elect('app/0')
    made.run()
    ask(made, 'app/0', 'a')
    made.run()
    assert worked(made, 'app/0') == 1
    for turns in (2, 3):
        made.lose_commit('app/0')
        made.resolve('app/0') if in_error(made, 'app/0') else made.update_status('app/0')
        until(made, lambda: in_error(made, 'app/0'), within_s=100)
        assert worked(made, 'app/0') == turns, made.story(40)
    made.lose_store('app/0', '.coordinator.json*')

    made.resolve('app/0')
    made.run()
    made.update_status('app/0')
    made.run()

    assert worked(made, 'app/0') == 3, made.story(40)
