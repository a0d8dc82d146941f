"""A model moves from Juju 3 to Juju 4 at any moment (rules 11 and 14)."""

import pytest

from tests.cases import ASK_FIRST, KEEP, WORK, StrictWatch, health, in_error, until
from tests.deploy import begun

leaders = pytest.mark.parametrize('leader', ['app/0', 'app/1', 'app/2'])
FIRST_AGENTS = {'all at once': None, 'the holder last': ['app/0', 'app/2'], 'the holder first': ['app/1']}
agents = pytest.mark.parametrize('first', FIRST_AGENTS.values(), ids=FIRST_AGENTS)


def settled(model, charm, leader, **options):
    """Return a model of Juju 3 at rest, in which app/1 will ask first, by a clock that is fast."""
    made = begun(model, charm, units=3, juju=3, **options)
    made.elect(leader)
    made.run()
    made.clock_skew_s['app/1'] = 500.0
    return made


def move(made, first):
    """Move the model to Juju 4; the other agents follow one by one."""
    made.migrate(4, first)
    for unit in [unit for unit in made.units if first is not None and unit not in first]:
        made.run(seconds=90)
        made.upgrade_agent(unit)


def everybody_was_served(made, watch):
    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@leaders
@agents
def test_a_unit_cut_off_in_its_first_turn_goes_first_after_the_move(model, charm_with, leader, first):
    """The agents are upgraded before its retry; by the time of its request it would be last (juju#18486)."""
    made = settled(model, charm_with(ASK_FIRST + WORK), leader)
    watch = StrictWatch(made, until='work 60')
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.configure(go=2)
    made.run(seconds=5)

    made.kill_hook('app/1')
    move(made, first)
    made.run(seconds=1500)

    everybody_was_served(made, watch)


@leaders
@agents
def test_a_unit_at_work_goes_on_alone_over_the_move(model, charm_with, leader, first):
    made = settled(model, charm_with(ASK_FIRST + WORK), leader)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.configure(go=2)
    made.run(seconds=5)

    move(made, first)
    made.run(seconds=1500)

    everybody_was_served(made, watch)


@leaders
@agents
def test_a_unit_that_failed_in_its_turn_goes_first_after_the_move(model, charm_with, leader, first):
    made = settled(model, charm_with(ASK_FIRST + WORK), leader)
    watch = StrictWatch(made, until='work 60')
    made.fail_command('app/1', 'work 60', times=3)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))
    made.configure(go=2)

    move(made, first)
    made.run(seconds=2000)

    everybody_was_served(made, watch)


@leaders
@agents
def test_a_kept_turn_goes_on_after_the_move(model, charm_with, leader, first):
    machine = health(lambda unit: 500.0 if unit == 'app/1' else 0.0, lambda: made)
    made = settled(model, charm_with(ASK_FIRST + KEEP), leader, machine=machine, update_status_s=60.0)
    watch = StrictWatch(made, until='healthy')
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.run(seconds=20)
    made.configure(go=2)

    move(made, first)
    made.run(seconds=1200)

    everybody_was_served(made, watch)


@leaders
def test_leadership_that_moves_during_the_move_lets_nobody_in_beside_the_holder(model, charm_with, leader):
    made = settled(model, charm_with(ASK_FIRST + WORK), leader)
    watch = StrictWatch(made, until='work 60')
    made.fail_command('app/1', 'work 60', times=2)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))
    made.configure(go=2)
    for turn, unit in enumerate(['app/2', 'app/0', 'app/1', 'app/2']):
        made.elect(unit, after_s=1 + 7 * turn)

    move(made, ['app/1', leader])
    made.run(seconds=2000)

    everybody_was_served(made, watch)


@leaders
def test_agents_of_3_6_on_a_controller_of_4_0_say_nothing_that_was_not_read_back(model, charm_with, leader):
    """leader-set succeeds there, and stores nothing."""
    made = settled(model, charm_with(ASK_FIRST + WORK), leader)
    watch = StrictWatch(made)
    made.migrate(4, [])
    made.run()
    told = len(made.logs)

    made.configure(go=2)
    made.run(seconds=1000)
    assert not [text for _, _, _, text in made.logs[told:] if 'is given a ticket' in text]
    for unit in made.units:
        made.upgrade_agent(unit)
    made.run(seconds=1200)

    everybody_was_served(made, watch)


def test_the_move_at_rest_costs_nobody_a_turn(model, charm_with):
    made = settled(model, charm_with(ASK_FIRST + WORK), 'app/0')
    watch = StrictWatch(made)
    for go in (2, 3):
        made.configure(go=go)
        made.run()

    made.migrate(4)
    made.configure(go=4)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [3, 3, 3], made.story(60)
