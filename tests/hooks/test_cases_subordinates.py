"""Subordinates say beside which principal they run; one whose principal is gone is gone (rule 16)."""

import pytest

from tests.cases import ASK, ASK_FIRST, WORK, StrictWatch, both, until
from tests.deploy import begun


def asked(model, charm, juju, leader='app/0', **options):
    """Return a model of three subordinates, one of them at work, a watch of it, and who works."""
    made = begun(model, charm, units=3, juju=juju, subordinate=True, **options)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    return made, watch, next(iter(watch.at_work))


@both
@pytest.mark.parametrize('leads', [True, False], ids=['it led', 'another leads'])
def test_a_subordinate_removed_by_force_while_it_works_delays_the_roll_and_no_more(
    model, charm_with, juju, leads
):
    made, watch, holder = asked(model, charm_with(ASK + WORK), juju)
    if not leads:
        made.elect(next(unit for unit in made.units if unit != holder))
    made.run(seconds=10)

    made.lose_unit(holder, force=True)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1], made.story(60)


@both
def test_a_subordinate_removed_by_force_while_it_waits_delays_the_roll_and_no_more(model, charm_with, juju):
    made, watch, holder = asked(model, charm_with(ASK + WORK), juju)
    made.run(seconds=10)
    waiting = next(unit for unit in sorted(made.units) if unit != holder)

    made.lose_unit(waiting, force=True)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1], made.story(60)


@both
def test_a_subordinate_whose_machine_is_lost_keeps_its_turn_until_it_is_removed(model, charm_with, juju):
    made, watch, holder = asked(model, charm_with(ASK + WORK), juju)
    made.run(seconds=10)

    made.lose_unit(holder)
    made.run(seconds=2000)

    watch.check()
    assert not watch.turns, made.story(60)
    assert watch.at_work == {holder}


@both
def test_a_subordinate_that_takes_long_to_leave_keeps_its_turn_while_it_works(model, charm_with, juju):
    """Its principal is dying, and stays in goal-state until the subordinate has run remove."""
    made, watch, holder = asked(model, charm_with(ASK + WORK.replace('60', '900')), juju)
    made.run(seconds=10)

    made.remove_unit(holder)
    made.run(seconds=800)
    assert watch.at_work == {holder}, made.story(60)
    made.run(seconds=3000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1], made.story(60)


@both
@pytest.mark.parametrize('slots, most', [('34%', 1), ('67%', 2)])
def test_a_percentage_counts_subordinates(model, charm_with, juju, slots, most):
    made = begun(model, charm_with(ASK + WORK, slots=slots), units=3, juju=juju, subordinate=True)
    watch = StrictWatch(made, slots=most)

    made.configure(go=1)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@both
def test_a_subordinate_beside_a_new_principal_is_not_taken_for_one_that_is_gone(model, charm_with, juju):
    made, watch, holder = asked(model, charm_with(ASK + WORK), juju)
    made.run(seconds=10)
    made.lose_unit(holder, force=True)
    made.run(seconds=5)

    added = made.add_unit(principal='principal/9')
    made.run(seconds=1500)
    made.configure(go=2)
    made.run(seconds=900)

    watch.check()
    assert watch.served(added) >= 1
    assert all(watch.served(unit) >= 2 for unit in made.units if unit != added), made.story(60)


@both
@pytest.mark.parametrize('subordinate', [True, False])
def test_tickets_of_units_that_were_removed_in_good_order_hold_up_nobody(
    model, charm_with, juju, subordinate
):
    """Nobody asks when they leave, so their tickets stand; Juju 4 may go on listing them."""
    leavers = ('app/1', 'app/2')
    ask = ASK_FIRST.replace("!= 'app/1'", 'not in {}'.format(leavers))
    made = begun(model, charm_with(ask + WORK), units=4, juju=juju, subordinate=subordinate)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=200)
    assert [watch.served(unit) for unit in leavers] == [1, 1]

    for unit in leavers:
        made.remove_unit(unit)
    made.run(seconds=900)
    made.configure(go=2)
    made.run(seconds=200)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1], made.story(60)
