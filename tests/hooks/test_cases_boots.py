"""Machines that boot and agents that restart in a roll, and hooks that Juju forgets (R13, R31, R32)."""

import pytest

from tests.cases import ASK, WORK, StrictWatch, both, in_error, until
from tests.deploy import begun

workers = pytest.mark.parametrize('unit', ['app/0', 'app/1'], ids=['the leader', 'another'])
NAP = 'import time\ntime.sleep(5)\n'


@pytest.fixture
def rolling(model, charm_with):
    """Makes a model of three units that begin to ask for their turns, and a watch of it."""

    def make(juju):
        made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
        watch = StrictWatch(made)
        made.configure(go=1)
        return made, watch

    return make


def all_served(made, watch):
    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


@both
@workers
@pytest.mark.parametrize('away_s', [5, 90])
def test_a_unit_whose_machine_boots_at_work_keeps_its_turn_and_works_again(rolling, juju, unit, away_s):
    made, watch = rolling(juju)
    until(made, lambda: unit in watch.at_work)
    made.run(seconds=5)

    made.reboot(unit, seconds=away_s)
    made.run()

    all_served(made, watch)
    assert len([event for event in made.history if (event.unit, event.what) == (unit, 'works')]) == 2


@both
@workers
def test_an_agent_that_restarts_by_itself_at_any_moment_of_a_roll_costs_no_turn(rolling, juju, unit):
    made, watch = rolling(juju)

    for after_s in range(0, 200, 20):
        made.at(made.now + after_s, lambda: made.restart_agent(unit))
    made.run()

    all_served(made, watch)


@both
@workers
@pytest.mark.parametrize('lose', ['die_agent', 'partition', 'reboot'])
def test_a_turn_that_failed_and_whose_hook_juju_forgets_goes_on_in_the_units_next_hook(
    rolling, juju, unit, lose
):
    made, watch = rolling(juju)
    made.fail_command(unit, 'work 60')
    until(made, lambda: in_error(made, unit))
    made.run_exec(unit, NAP, as_action=True)
    made.run(seconds=2)

    getattr(made, lose)(unit, seconds=8)
    made.run()
    forgotten = [event for event in made.history if (event.unit, event.what) == (unit, 'forgets')]
    made.update_status(unit)
    made.run()

    assert len(forgotten) == 1
    all_served(made, watch)
