"""A unit's name used twice, and a store that a former unit left behind (rule 15)."""

import pytest

from tests.cases import ASK, RESTART, WORK, StrictWatch, both, each_worked, order, until
from tests.deploy import begun

files = pytest.mark.parametrize('keep_files', [False, True], ids=['an empty disk', 'the old disk'])
moments = pytest.mark.parametrize('at_work', [True, False], ids=['it worked', 'it waited'])


def take_over(made, name, keep_files):
    """Add a unit whose name is of a dead one; as on a real Juju 3 its databag's version goes on counting."""
    writes = made.controller.units[name].writes
    made.add_unit(name, keep_files=keep_files)
    made.controller.units[name].writes = writes


@both
@files
@moments
@pytest.mark.parametrize('leader', ['app/0', 'app/1', 'app/2'])
def test_a_unit_that_takes_over_a_name_is_not_taken_for_the_former_one(
    model, charm_with, juju, keep_files, at_work, leader
):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=10)
    holder = next(iter(watch.at_work))
    name = holder if at_work else next(unit for unit in ('app/2', 'app/1') if unit != holder)

    made.lose_unit(name, force=True)
    made.run(seconds=20)
    take_over(made, name, keep_files)
    made.run(seconds=1500)
    made.configure(go=2)
    made.run(seconds=900)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(80)
    assert made.quiet


@both
@files
def test_a_name_used_three_times_costs_nobody_a_turn(model, charm_with, juju, keep_files):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    for turn in (1, 2, 3):
        made.configure(go=turn)
        made.run(seconds=25)
        made.lose_unit('app/2', force=True)
        made.run(seconds=5)
        take_over(made, 'app/2', keep_files)
        made.run(seconds=1000)

    made.configure(go=9)
    made.run(seconds=600)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(80)


@both
@files
def test_a_unit_that_left_before_it_joined_leaves_nothing_to_the_next_of_its_name(
    model, charm_with, juju, keep_files
):
    """Campaign, seed 4528679: the new unit went on saying that it leaves, so no roll had a place for it."""
    made = begun(model, charm_with(RESTART), units=2, juju=juju)
    watch = StrictWatch(made)
    name = made.add_unit()
    until(made, lambda: name in made.running)
    made.remove_unit(name)
    made.run(seconds=60)
    take_over(made, name, keep_files)
    made.run(seconds=900)

    order(made, "request_roll('restart')")
    made.run(seconds=3000)

    watch.check()
    assert each_worked(made) == [1, 1, 1], made.story(80)


@both
def test_a_store_of_another_model_is_not_believed(model, charm_with, juju):
    """The disk comes from a model in which app/1 had asked often, and had a request."""
    charm = charm_with(ASK + WORK)
    other = begun(model, charm, units=2, juju=juju)
    for go in (1, 2, 3):
        other.configure(go=go)
        other.run()
    other.configure(go=4)
    other.run(seconds=8)
    store = (other.home / 'agents' / 'app-1' / 'charm' / '.coordinator.json').read_text()
    made = model(charm, units=3, juju=juju)
    (made.home / 'agents' / 'app-1' / 'charm' / '.coordinator.json').write_text(store)
    made.run()
    watch = StrictWatch(made)

    for go in (1, 2):
        made.configure(go=go)
        made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [2, 2, 2], made.story(80)


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
@pytest.mark.parametrize('when_s', [4, 20], ids=['it has asked', 'a unit works'])
def test_a_store_that_is_lost_costs_one_turn_at_most_and_lets_no_two_work(
    model, charm_with, juju, unit, when_s
):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=when_s)

    made.lose_store(unit, '.coordinator.json')
    made.run(seconds=900)
    made.configure(go=2)
    made.run(seconds=600)

    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(80)
