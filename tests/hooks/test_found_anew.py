"""Faults that random histories have shown, each as the shortest history that shows it."""

import pytest

from tests.cases import (
    ASK,
    ASK_FIRST,
    NO_UPDATE_STATUS_S,
    RESTART,
    WORK,
    StrictWatch,
    both,
    lose_ledger,
    until,
    worked,
)
from tests.deploy import begun, said

KEPT_AND_ASKED_AGAIN = """
@when('coordinator.granted.a')
def work():
    if reactive.is_flag_set('kept'):
        reactive.clear_flag('kept')
        hookenv.log('GOES ON')
        return
    check_call(['work', '60'])
    if not reactive.is_flag_set('asked again'):
        reactive.set_flag('asked again')
        reactive.set_flag('kept')
        coordinator.keep_lock('a')
        coordinator.request_again('a')
"""


@both
def test_a_unit_that_is_freed_in_a_turn_that_it_keeps_has_the_turn_after_that_too(model, charm_with, juju):
    """Both requests became one: the charm went on in its turn, and the other request was lost."""
    made = begun(model, charm_with(ASK_FIRST + KEPT_AND_ASKED_AGAIN), units=2, juju=juju)
    made.elect('app/0')
    made.run()
    made.configure(go=1)
    until(made, lambda: bool(worked(made, 'app/1')))
    made.run(seconds=1)

    made.run_action('app/0', 'coordinator-free', unit='app/1', confirm='yes')
    made.run(seconds=20)
    for _ in range(3):
        for unit in made.units:
            made.update_status(unit)
        made.run()

    assert len(said(made, 'app/1', 'GOES ON')) == 1, made.story(60)
    assert worked(made, 'app/1') == 2, made.story(60)


@both
def test_a_new_unit_that_leads_hears_all_before_it_replaces_a_lost_ledger_where_databags_were_lost_too(
    model, charm_with, juju
):
    """The unit at work had not joined the new relation, and its databag was empty (campaign, 981952).

    On Juju 3 the new unit claimed term 1, as the first leader of all had, and took its ledger for the first.
    """
    made = begun(model, charm_with(ASK + WORK.replace("'60'", "'200'")), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=5)

    made.change_relation_id(keep_databags=False)
    if juju == 3:  # on Juju 4 it goes with the databag of the application
        lose_ledger(made, 'removed')
    made.run(seconds=20)
    new = made.add_unit()
    made.elect(new)
    made.run(seconds=10)
    worker = next(iter(watch.at_work))
    made.run_action(new, 'coordinator-show')
    made.run(seconds=10)
    shown = next(each.text for each in reversed(made.history) if 'coordinator-show' in each.text)
    made.run(seconds=3000)

    assert 'new ledger when {} '.format(worker) in shown, shown
    watch.check()
    assert all(watch.served(unit) for unit in made.units if unit != new), made.story(60)


@both
@pytest.mark.parametrize('how', ['marked', 'removed'])
def test_a_new_subordinate_that_leads_waits_for_a_unit_beside_each_principal_before_it_replaces_a_lost_ledger(
    model, charm_with, juju, how
):
    """It had joined one other unit when it made a new ledger; another one was at work (campaign, 960804)."""
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju, subordinate=True)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.run(seconds=5)

    lose_ledger(made, how)
    new = made.add_unit()
    until(made, lambda: any(event.unit == new and 'joined (app/0)' in event.text for event in made.history))
    made.elect(new)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) for unit in made.units if unit != new), made.story(60)


@pytest.mark.parametrize('juju, keep_databags', [(3, True), (3, False), (4, True), (4, False)])
def test_a_leader_that_never_read_a_subordinate_waits_for_it_when_the_relation_gets_another_id(
    model, charm_with, juju, keep_databags
):
    """app/0 works when the relation goes. No list of units that app/2 can see then has it."""
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju, subordinate=True)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.run(seconds=10)

    if keep_databags:
        made.lose_app_data('coordinator-ledger*')
    made.change_relation_id(keep_databags)
    made.elect('app/2')
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) for unit in made.units), made.story(60)


RELEASED_AND_ASKED_AGAIN = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
    if not reactive.is_flag_set('asked again'):
        reactive.set_flag('asked again')
        coordinator.release_lock('a')
        coordinator.request_lock('a')
"""


@both
def test_a_unit_that_releases_a_lock_has_released_it_in_every_queue(model, charm_with, juju):
    """A refresh had moved its request out of its roll's queue; what it asked for again was lost (983043)."""
    plan = ASK + RELEASED_AND_ASKED_AGAIN
    made = begun(model, charm_with(plan), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.run_action('app/0', 'coordinator-roll', lock='a')
    until(made, lambda: 'app/1' in watch.at_work)  # app/2 is next in the roll, and has asked itself, too

    after = charm_with(plan, queues='per-lock', slots=2)
    for unit in made.units:
        made.upgrade(unit, after)
    made.run()

    assert worked(made, 'app/2') == 2, made.story(60)


FAILS_AT_FIRST = """
@hook('coordinator-relation-created')
def prepare():
    check_call(['systemctl', 'start', 'database'])
"""


@both
def test_a_leader_whose_first_hooks_fail_makes_the_first_ledger_without_machines_that_are_still_being_made(
    model, charm_with, juju
):
    """On Juju 4 its claim was lost with the hook; the next one counted as made for a ledger that was lost."""
    made = model(charm_with(ASK + WORK + FAILS_AT_FIRST), units=2, juju=juju)
    made.lose_unit(made.add_unit())  # juju status shows it as waiting for its machine
    made.fail_command('app/0', 'systemctl start database', times=2)
    watch = StrictWatch(made)
    made.run(seconds=100)
    made.configure(go=1)
    made.run(seconds=200)

    watch.check()
    assert [watch.served(unit) for unit in ('app/0', 'app/1')] == [1, 1], made.story(60)


@both
@pytest.mark.parametrize('asks', [True, False], ids=['others have asked', 'nobody has asked'])
def test_a_unit_that_has_never_asked_is_in_a_roll_after_the_relation_got_another_id_and_its_databag_is_empty(
    model, charm_with, juju, asks
):
    """On Juju 3 it had nothing to say in the new relation, so the leader left it out."""
    made = begun(model, charm_with(ASK_FIRST + WORK + RESTART), units=2, juju=juju)
    joined = made.add_unit()  # it has answered no claim: it found a ledger that was open
    made.run()
    watch = StrictWatch(made)
    made.configure(go=int(asks))
    made.run()

    made.change_relation_id(keep_databags=False)
    made.run(seconds=30)
    before = watch.served(joined)
    made.run_action(made.controller.leader, 'coordinator-roll', lock='restart')
    made.run(seconds=900)

    watch.check()
    assert (before, watch.served(joined)) == (0, 1), made.story(60)
