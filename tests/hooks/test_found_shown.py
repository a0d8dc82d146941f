"""Found by playing what charms and operators do: flags, the ends of rolls, requests that were lost."""

import pytest

from tests.cases import RELEASE, answered, ask, at_rest, both, until, with_child, worked
from tests.deploy import said

WORK = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])

@when('coordinator.rolled.a')
def rolled():
    hookenv.log('ROLLED')
"""


def gives_up(made, unit):
    """Let an action of a unit give up the lock a."""
    made.run_exec(unit, RELEASE, as_action=True)
    made.run(seconds=8)


# What outlives a roll


def trial_whose_rest_is_given_up(model, charm, juju, asks_first):
    made = at_rest(model, charm, 3, juju)
    answered(made, 'roll', lock='a', order='name', batches='1,2', **{'pause-after': 1})
    made.run(seconds=60)
    assert worked(made, 'app/0') == 1
    if asks_first:
        ask(made, 'app/0', 'a')
        made.run(seconds=20)
    for unit in ('app/1', 'app/2'):
        gives_up(made, unit)
    made.run(seconds=60)
    assert made.log_of('app/0', 'ROLLED')
    return made


@both
def test_the_pause_between_two_stages_holds_up_no_request_behind_the_roll(model, charm_with, juju):
    made = trial_whose_rest_is_given_up(model, charm_with(WORK), juju, True)
    made.run(seconds=600)

    assert worked(made, 'app/0') == 2, answered(made, 'show')


@both
def test_the_pause_between_two_stages_holds_up_no_later_roll(model, charm_with, juju):
    made = trial_whose_rest_is_given_up(model, charm_with(WORK), juju, False)
    answered(made, 'roll', lock='a')
    made.run(seconds=600)

    assert [worked(made, unit) for unit in made.units] == [2, 1, 1], answered(made, 'show')


@both
def test_a_roll_of_one_lock_takes_no_slot_of_another(model, charm_with, juju):
    keeps = """
@when('coordinator.granted.b')
def keep():
    hookenv.log('HAS b')
    coordinator.keep_lock('b')
"""
    made = at_rest(model, charm_with(keeps, queues='per-lock', slots=2), 4, juju)
    ask(made, 'app/1', 'b')
    made.run(seconds=20)
    answered(made, 'roll', lock='a', batches='1', **{'pause-after': 1})
    made.run(seconds=60)
    ask(made, 'app/2', 'b')
    made.run(seconds=600)

    assert made.log_of('app/2', 'HAS b'), answered(made, 'show')


# The end of a roll is shown, once


@both
def test_a_cancellation_leaves_the_end_of_a_roll_that_is_over_to_be_shown(model, charm_with, juju):
    asks_more = """
@when('coordinator.granted.a')
def more():
    if hookenv.local_unit() == 'app/1' and not reactive.is_flag_set('asked'):
        reactive.set_flag('asked')
        coordinator.request_again('a')
"""
    made = at_rest(model, charm_with(WORK + asks_more), 2, juju)
    made.run_action('app/0', 'coordinator-roll', lock='a')
    until(made, lambda: worked(made, 'app/0'))
    made.run_action('app/0', 'coordinator-cancel', lock='a')  # for what app/1 has asked for meanwhile
    made.run(seconds=600)

    assert made.log_of('app/0', 'ROLLED'), made.story()


@both
def test_a_roll_whose_last_unit_is_freed_is_shown_as_over(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 3, juju)
    made.lose_unit('app/2')
    answered(made, 'roll', lock='a', order='leader-first')
    made.run(seconds=60)
    assert 'freed' in answered(made, 'free', unit='app/2', confirm='yes')
    made.run(seconds=600)

    assert made.log_of('app/0', 'ROLLED'), answered(made, 'show')


@both
def test_a_roll_whose_last_place_the_leader_gives_up_in_an_action_is_shown_as_over(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 2, juju)
    answered(made, 'roll', lock='a', batches='1', **{'pause-after': 1})
    made.run(seconds=60)
    gives_up(made, 'app/0')
    made.run(seconds=600)

    assert made.log_of('app/0', 'ROLLED'), answered(made, 'show')


@both
def test_the_ends_of_many_rolls_are_each_shown_once(model, charm_with, juju):
    locks = ['l{}'.format(number) for number in range(10)]
    sees = "@when('coordinator.rolled.{0}')\ndef rolled_{0}():\n    hookenv.log('ROLLED {0}')\n\n"
    starts = """
@when('config.changed.go')
def go():
    if hookenv.config('go') == 1 and hookenv.is_leader():
        for number in range(10):
            assert not coordinator.request_roll('l{}'.format(number))
"""
    made = at_rest(model, charm_with(''.join(map(sees.format, locks)) + starts, queues='per-lock'), 3, juju)
    made.configured_twice = False
    made.configure(go=1)
    made.run(seconds=300)
    for go in (2, 3, 4):
        made.configure(go=go)
        made.run(seconds=30)

    assert sorted(said(made, 'app/0', 'ROLLED ')) == locks


# Flags

COUNTS = """
RUNS = []

def count():
    RUNS.append(1)
    hookenv.log('RUN')
    if len(RUNS) > 20:
        raise SystemExit(1)  # or the hook would never end
"""
CLEARS = """
@when('coordinator.{family}.a')
def work():
    count()
    reactive.clear_flag('coordinator.{family}.a')
    {calls}
"""


@both
@pytest.mark.parametrize(
    'family, calls',
    [
        ('granted', "coordinator.request_again('a')"),
        ('granted', "coordinator.request_lock('b')"),
        ('requested', "coordinator.release_lock('b')"),
        ('rolled', "coordinator.release_lock('b')"),
    ],
)
def test_a_flag_that_the_charm_clears_stays_so_in_that_hook(model, charm_with, juju, family, calls):
    made = at_rest(model, charm_with(COUNTS + CLEARS.format(family=family, calls=calls)), 2, juju)
    answered(made, 'roll', lock='a') if family == 'rolled' else ask(made, 'app/0', 'a')
    made.run(seconds=60)

    runs, most = 0, 0
    for text in made.log_of('app/0', ''):
        runs = runs + 1 if text == 'RUN' else 0 if text.startswith('Reactive main') else runs
        most = max(most, runs)
    assert most == 1


@both
def test_a_flag_that_the_charm_sets_itself_is_cleared_when_the_hook_ends(model, charm_with, juju):
    sets = """
@when('config.changed.go')
def go():
    reactive.set_flag('coordinator.granted.b')
"""
    made = at_rest(model, charm_with(sets), 2, juju)
    made.configure(go=1)
    made.run(seconds=60)

    assert not any(flag.startswith('coordinator.') for flag in made.flags_of('app/0'))


@both
def test_no_handler_runs_for_a_lock_that_a_trigger_has_released(model, charm_with, juju):
    plan = """
from charms.reactive import register_trigger

def upgraded():
    coordinator.release_lock('b')

register_trigger(when='coordinator.granted.a', callback=upgraded)

@when('config.changed.go')
def go():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')
        coordinator.request_lock('b')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('HAS a')

@when('coordinator.granted.b')
def has_b():
    hookenv.log('HAS b')
"""
    made = at_rest(model, charm_with(plan), 2, juju)
    made.configure(go=1)
    made.run(seconds=60)

    assert made.log_of('app/1', 'HAS a')
    assert not made.log_of('app/1', 'HAS b')


# A program that a hook runs

RUNS = """
import os

@when('config.changed.go')
def run():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/0' and not os.path.exists('once'):
        open('once', 'w').close()
        check_call(['hooks/child'])
        coordinator.{}('a')
        assert coordinator.is_requested('a')
        {}
"""


@both
@pytest.mark.parametrize('fails', [True, False])
@pytest.mark.parametrize('asks', ['request_lock', 'request_again'])
def test_what_a_hook_asks_for_after_its_program_gave_it_up_is_not_lost(model, charm_with, juju, asks, fails):
    charm = charm_with(RUNS.format(asks, 'raise SystemExit(1)' if fails else '') + WORK)
    with_child(charm, "request_lock('a')\ncoordinator.release_lock('a')")
    made = at_rest(model, charm, 2, juju, retry_automatically=True)
    made.configure(go=1)
    made.run(seconds=300)

    assert worked(made, 'app/0') == 1, made.story()
