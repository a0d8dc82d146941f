"""Units that have left, and that Juju 4 goes on listing or that only some units know to be gone."""

import pytest

from tests.cases import NO_UPDATE_STATUS_S, RELEASE, RESTART, WORK, StrictWatch, ask, both, each_worked, order
from tests.deploy import begun


@both
@pytest.mark.parametrize('subordinate', [True, False])
@pytest.mark.parametrize('answers', [True, False], ids=['', 'goal-state fails'])
def test_a_percentage_counts_no_unit_that_has_left(model, charm_with, juju, subordinate, answers):
    """Half of three is one; relation-list of Juju 4 goes on listing the fourth (campaign, seed 4341853)."""
    made = begun(model, charm_with(WORK, slots='50%'), units=3, juju=juju, subordinate=subordinate)
    made.hear_of_leavers = 0.0
    watch = StrictWatch(made)
    made.remove_unit('app/2')
    made.run()
    made.update_status('app/0')
    made.run()
    if not answers:
        made.fail_tool('app/0', 'goal-state', None)
    made.add_unit()
    made.run()
    for unit in 'app/1', 'app/3':
        ask(made, unit, 'a')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1], made.story(60)


@both
@pytest.mark.parametrize('goes', ['in its last hooks', 'by force, after it had withdrawn'])
def test_a_leaver_that_a_waiting_unit_cannot_read_any_more_holds_it_up_no_longer(
    model, charm_with, juju, goes
):
    """The leader had heard of its release; then the peer relation got another id (campaign, seed 4361717)."""
    made = begun(model, charm_with(WORK), units=5, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.hear_of_leavers = 0.0
    watch = StrictWatch(made)
    for unit in made.units[1:]:
        ask(made, unit, 'a')
        made.run(seconds=5)
    assert watch.at_work == {'app/1'}
    made.update_status('app/0')  # gives three more tickets
    made.run(seconds=5)
    if goes == 'in its last hooks':
        made.remove_unit('app/2')
        made.run(seconds=15)
    else:
        made.partition('app/3', 30.0)
        made.partition('app/4', 30.0)
        made.run_exec('app/2', RELEASE, as_action=True)
        made.run(seconds=5)
        made.lose_unit('app/2', force=True)
        made.run(seconds=5)
    made.update_status('app/0')  # hears of its release
    made.run(seconds=5)
    made.change_relation_id()
    for _ in range(3):
        made.run(seconds=300)
        made.update_status('app/0')
    made.run(seconds=300)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1, 1], made.story(60)


@both
@pytest.mark.parametrize('subordinate', [True, False])
@pytest.mark.parametrize('by_force', [True, False])
def test_a_unit_that_has_left_is_in_no_roll(model, charm_with, juju, subordinate, by_force):
    """Juju 4 lists a subordinate's former units for ever, and their databags can be read."""
    options = {'subordinate': subordinate, 'update_status_s': NO_UPDATE_STATUS_S}
    made = begun(model, charm_with(RESTART), units=4, juju=juju, **options)
    made.hear_of_leavers = 0.0
    if by_force:
        made.lose_unit('app/2', force=True)
    else:
        made.remove_unit('app/2')
    made.run()
    order(made, "request_roll('restart')")
    made.run()

    assert each_worked(made) == [1, 1, 1], made.story(60)
