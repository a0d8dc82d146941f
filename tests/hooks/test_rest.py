"""A hook with nothing to do for the layer imports little of it, and loses nothing (rest.py)."""

import pytest

from tests.cases import ASK, WORK, StrictWatch, both
from tests.deploy import begun, said

# Quick hooks import everything once, so tests with these handlers run hooks as processes.
IMPORTED = """
import sys

@when_not('never')
def tell():
    found = [name.split('charms.layer.coordinator.')[1:] for name in sys.modules]
    hookenv.log('imported {}'.format(' '.join(sorted(name[0] for name in found if name))))
"""
LITTLE = 'callbacks context environment flags rest'

ASK_LAST = """
@when('config.changed.go')
def ask_last():
    if hookenv.config('go'):
        hookenv.atexit(coordinator.request_lock, 'a')
"""
FLAG = """
@when('config.changed.go')
def meddle():
    reactive.set_flag('coordinator.granted.a')
"""
TOLD = """
@when('coordinator.granted.a')
def work():
    hookenv.log('worked')
"""


def at_rest(model, charm, juju, quick=True):
    """Return a model after the first hooks and update-statuses of all units: the first leads."""
    made = begun(model, charm, units=3, juju=juju, quick=quick)
    made.run(seconds=700)
    return made


def imported(made, unit, since):
    """Return what the hooks of a unit since then had imported of the layer when their handlers ran."""
    return {
        text.split(' ', 1)[1]
        for when, by, _, text in made.logs
        if by == unit and when > since and text.startswith('imported ')
    }


@both
def test_an_idle_hook_imports_little_of_the_layer(model, charm_with, juju):
    made = at_rest(model, charm_with(IMPORTED), juju, quick=False)
    followers = [unit for unit in made.units if unit != made.controller.leader]

    since = made.now
    made.configure(go=1)
    made.run(seconds=20)

    assert [imported(made, unit, since) for unit in followers] == [{LITTLE}] * 2


@both
def test_after_a_turn_only_update_status_looks_whether_juju_still_has_the_claim(model, charm_with, juju):
    made = at_rest(model, charm_with(ASK + WORK + IMPORTED), juju, quick=False)
    made.configure(go=1)
    made.run(seconds=1000)
    followers = [unit for unit in made.units if unit != made.controller.leader]
    assert [StrictWatch(made).served(unit) for unit in followers] == [0, 0]  # nobody works any more

    since = made.now
    made.configure(go=0)
    made.run(seconds=20)
    assert [imported(made, unit, since) for unit in followers] == [{LITTLE}] * 2

    since = made.now
    made.run(seconds=400)
    assert all('session' in found for unit in followers for found in imported(made, unit, since))


@both
def test_a_leader_and_a_unit_that_waits_have_a_session_in_each_hook(model, charm_with, juju):
    made = at_rest(model, charm_with(ASK + WORK + IMPORTED), juju, quick=False)
    since = made.now
    made.configure(go=1)
    made.run(seconds=30)
    made.configure(go=2)
    made.run(seconds=5)

    for unit in made.units:
        *_, last = [text for when, by, _, text in made.logs if by == unit and text.startswith('imported ')]
        assert 'session' in last, since


@both
@pytest.mark.parametrize('plan', [ASK + WORK, ASK_LAST + WORK], ids=['handler', 'callback'])
def test_what_is_asked_in_a_hook_that_seemed_idle_is_served_in_a_later_hook(model, charm_with, juju, plan):
    made = at_rest(model, charm_with(plan), juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=1000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3, made.story(40)


@both
def test_a_flag_of_the_layer_that_was_left_behind_is_cleared_before_any_handler(model, charm_with, juju):
    made = at_rest(model, charm_with(FLAG + TOLD), juju)
    made.configure(go=1)  # from here the flag is set, and no lock was asked for
    made.run(seconds=5)
    before = [said(made, unit, 'worked') for unit in made.units]
    made.run(seconds=700)

    assert [said(made, unit, 'worked') for unit in made.units] == before


@both
def test_a_store_that_was_changed_is_read_again_in_the_next_hook(model, charm_with, juju):
    made = at_rest(model, charm_with(IMPORTED), juju, quick=False)
    unit = next(unit for unit in made.units if unit != made.controller.leader)
    made.lose_store(unit, '.coordinator.json')
    made.configured_twice = False

    since = made.now
    made.configure(go=1)
    made.run(seconds=20)

    assert 'session' in imported(made, unit, since).pop()
