"""A ledger is lost, and a unit leads that is new and has met nobody yet. Found by a review, by reading."""

import pytest

from tests.cases import ASK, ASK_FIRST, WORK, StrictWatch, both, lose_ledger, until
from tests.deploy import begun

LONG = ASK_FIRST + WORK.replace("'60'", "'600'")
INSTALL = """
@hook('install')
def ask():
    coordinator.request_lock('a')
""" + WORK.replace("'60'", "'600'")
lost = pytest.mark.parametrize('how', ['removed', 'marked', 'move'])


def lose(made, how):
    if how != 'move':
        lose_ledger(made, how)
    elif made.controller.juju == 4:
        pytest.skip('a model on Juju 4 moves no more')
    else:
        made.migrate(4)


def one_at_work(model, charm_with, juju, **options):
    """Return a model in which one of three units is at work for ten minutes, and all others ask."""
    made = begun(model, charm_with(LONG), units=3, juju=juju, **options)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.configure(go=2)
    made.run(seconds=10)
    return made, watch


@both
@lost
@pytest.mark.parametrize('times', [1, 5, 9, None])
def test_a_leader_that_is_new_makes_no_ledger_while_goal_state_fails(model, charm_with, juju, how, times):
    made, watch = one_at_work(model, charm_with, juju)
    lose(made, how)
    new = made.add_unit()
    for unit in [new] if times else made.units:
        made.fail_tool(unit, 'goal-state', times)
    made.elect(new)
    made.run(seconds=4500)

    watch.check()
    assert all(watch.served(unit) for unit in made.units if unit != new), made.story(60)


@both
@lost
@pytest.mark.parametrize('after_s', [0, 4])
def test_a_subordinate_that_is_new_and_leads_waits_for_those_that_it_has_not_met(
    model, charm_with, juju, how, after_s
):
    made, watch = one_at_work(model, charm_with, juju, subordinate=True)
    lose(made, how)
    made.elect(made.add_unit(), after_s=after_s)
    made.run(seconds=4500)

    watch.check()
    assert all(watch.served(unit) for unit in ('app/0', 'app/1', 'app/2')), made.story(60)


@pytest.mark.parametrize(
    'how',
    [
        pytest.param('removed', marks=pytest.mark.xfail(strict=True, reason='docs/limits.md')),
        pytest.param('move', marks=pytest.mark.xfail(strict=True, reason='docs/limits.md')),
        'marked',
    ],
)
def test_a_lone_unit_in_its_very_first_hook_is_safe_from_the_mark_and_from_no_other_loss(
    model, charm_with, how
):
    made = model(charm_with(INSTALL), units=1, juju=3)
    watch = StrictWatch(made)
    until(made, lambda: 'app/0' in watch.at_work)
    lose(made, how)
    made.elect(made.add_unit())
    made.run(seconds=1500)

    watch.check()


@both
@pytest.mark.parametrize('subordinate', [False, True])
def test_units_that_juju_does_not_list_get_their_first_ledger_at_update_status(
    model, charm_with, juju, subordinate
):
    made = model(charm_with(ASK + WORK), units=3, juju=juju, subordinate=subordinate)
    for unit in made.units:
        made.fail_tool(unit, 'goal-state', None)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) for unit in made.units), made.story(60)


def test_it_says_what_it_waits_for(model, charm_with):
    made, _ = one_at_work(model, charm_with, 3)
    lose(made, 'removed')
    new = made.add_unit()
    made.fail_tool(new, 'goal-state', None)
    made.elect(new)
    made.run(seconds=60)

    assert made.log_of(new, "the leader makes a new ledger when Juju's goal-state has answered")
