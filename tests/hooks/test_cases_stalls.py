"""No turn is lost, and none waits longer than it must."""

import pytest

from tests.cases import (
    ASK,
    ASK_FIRST,
    MINE_PY,
    NO_UPDATE_STATUS_S,
    SKIPS,
    WORK,
    StrictWatch,
    both,
    in_error,
    remove_at_work,
    until,
)
from tests.deploy import begun

spoilt = pytest.mark.parametrize('text', ['', '{"v": 2}', 'null'], ids=['emptied', 'spoilt', 'null'])


@pytest.mark.parametrize(
    'slots, running, absent, most', [('34%', 3, 6, 1), ('50%', 2, 8, 1), ('50%', 4, 3, 2)]
)
@both
def test_a_percentage_counts_the_units_that_run_and_not_the_machines_that_are_not_there(
    model, charm_with, juju, slots, running, absent, most
):
    made = begun(model, charm_with(ASK + WORK, slots=slots), units=running, juju=juju)
    units = made.units
    for _ in range(absent):
        made.lose_unit(made.add_unit())
    made.run(seconds=1)
    watch = StrictWatch(made, slots=most)

    made.configure(go=1)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in units] == [1] * running, made.story(60)
    assert watch.most_at_work == most


@both
@pytest.mark.parametrize(
    'units, slots, most_s',
    [(11, 4, 3 * 61), pytest.param(30, '25%', 5 * 61, marks=pytest.mark.long)],
)
def test_a_roll_with_slots_takes_at_most_one_turn_longer_than_it_must(
    model, charm_with, juju, units, slots, most_s
):
    made = begun(model, charm_with(ASK + WORK, slots=slots), units=units, juju=juju)
    watch = StrictWatch(made, slots=slots if isinstance(slots, int) else 7)

    made.configure(go=1)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * units
    assert watch.duration_s <= 1.1 * (most_s + 61)  # while the leader works first: docs/limits.md


@both
@spoilt
@pytest.mark.parametrize('leader', ['app/0', 'app/2'])
def test_the_next_unit_is_served_although_the_release_it_waits_for_is_lost_from_the_databag(
    model, charm_with, juju, text, leader
):
    """app/1 is cut off when app/0 releases; what app/0 has said is gone before app/1 can read it."""
    first = ASK.replace(
        "if hookenv.config('go'):", "if hookenv.local_unit() == 'app/%d' % (hookenv.config('go') - 1):"
    )
    made = begun(model, charm_with(first + WORK), units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.run(seconds=10)
    made.configure(go=2)
    made.run(seconds=20)
    made.partition('app/1', 700)
    made.run(seconds=600)  # app/0 has had an update-status since it released
    assert watch.served('app/0') == 1

    made.poison('app/0', 'coordinator-claims', text)
    made.run(seconds=1600)

    watch.check()
    assert watch.served('app/1') == 1, made.story(60)


@both
@spoilt
@pytest.mark.parametrize('leader', ['app/0', 'app/1'])
def test_a_request_lost_from_the_databag_of_a_unit_that_waits_is_heard_at_update_status(
    model, charm_with, juju, text, leader
):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=4)

    for unit in made.units:
        made.poison(unit, 'coordinator-claims', text)
    made.run(seconds=1600)

    watch.check()
    assert all(watch.served(unit) == 1 for unit in made.units), made.story(60)


@both
@pytest.mark.parametrize('heard', [True, False], ids=['it heard the request', 'it failed before'])
def test_a_hook_of_the_leader_that_was_resolved_without_retry_delays_a_turn_to_its_next_hook(
    model, charm_with, juju, heard
):
    made = begun(model, charm_with(ASK_FIRST + WORK), units=3, juju=juju, retry_automatically=False)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(
        until=lambda: made.history[-1][1:] == ('app/0', 'begins', 'coordinator-relation-changed (app/1)')
    )
    if heard:
        made.fail_hook('app/0', 'coordinator-relation-changed')
    else:
        made.fail_tool('app/0', 'is-leader')
    until(made, lambda: in_error(made, 'app/0'))
    made.run(seconds=20)

    made.resolve('app/0', retry=False)
    made.configure(go=0)  # the next hook of the leader, which has nothing to do with it
    made.run(
        seconds=40 if heard else 400
    )  # of a hook that failed first nothing is known before update-status

    watch.check()
    assert 'app/1' in watch.at_work or watch.served('app/1'), made.story(40)


@both
@pytest.mark.parametrize('leader', ['app/0', 'app/2'])
def test_a_unit_that_follows_one_removed_at_work_gets_its_turn_in_a_hook_in_which_handlers_run(
    model, charm_with, juju, leader
):
    """It found its turn in update-status only, and charms that skip their handlers there lost it."""
    made = begun(model, charm_with(ASK_FIRST + SKIPS), units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    remove_at_work(made, watch)
    made.run(seconds=3600)

    watch.check()
    assert [watch.served(unit) for unit in ('app/0', 'app/2')] == [1, 1], made.story(60)


@both
@pytest.mark.parametrize('leader', ['app/0', 'app/2'])
def test_those_that_follow_a_unit_removed_at_work_are_served_by_update_status_at_the_latest(
    model, charm_with, juju, leader
):
    made = begun(model, charm_with(ASK_FIRST + WORK), units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    remove_at_work(made, watch)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in ('app/0', 'app/2')] == [1, 1], made.story(60)


@both
def test_exit_0_in_a_handler_is_success_and_releases_the_turn(model, charm_with, juju):
    """Charms rely on it: sys.exit(0) is how a handler ends a hook early; see docs/limits.md."""
    early = """
import sys

@when('coordinator.granted.a')
def early():
    if hookenv.local_unit() == 'app/0':
        sys.exit(0)
"""
    made = begun(model, charm_with(ASK + early + WORK), units=3, juju=juju)
    watch = StrictWatch(made)

    made.configure(go=1)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in ('app/1', 'app/2')] == [1, 1], made.story(60)
    assert not [flag for flag in made.flags_of('app/0') if flag.startswith('coordinator.')]


RELEASE_EARLY = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
    coordinator.release_lock('a')
"""


@both
@pytest.mark.parametrize('leader', ['app/0', 'app/1', 'app/2'])
def test_a_leader_with_a_class_of_its_own_gives_the_next_ticket_in_the_hook_in_which_it_releases(
    model, charm_with, juju, leader
):
    """Nothing would wake it for its own release: not at the end of the hook, and not in a handler either."""
    charm = charm_with(ASK + RELEASE_EARLY, **{'class': 'charms.mine.Mine'})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1], made.story(60)
