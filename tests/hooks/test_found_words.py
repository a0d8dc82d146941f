"""What units, operators and programs read, and was not so: found by a review, 2026-11-28."""

from tests.cases import WHY, WORK, ask, at_rest, both
from tests.deploy import said


def answered(made, name, on='app/0', **parameters):
    """Run an action of the layer, and return what it answered."""
    made.run_action(on, 'coordinator-' + name, **parameters)
    made.run(seconds=8)
    return [event.text for event in made.history if event.what == 'ran' and name in event.text][-1]


def why(made, unit):
    """Return what `explain` says of the lock a in an action of a unit."""
    made.run_exec(unit, WHY, as_action=True)
    made.run(seconds=8)
    return said(made, unit, 'why ')[-1]


@both
def test_a_unit_without_a_ticket_says_too_that_its_lock_is_paused(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 4, juju)
    answered(made, 'pause', reason='an alarm')
    for unit in ('app/1', 'app/2', 'app/3'):
        ask(made, unit, 'a')
        made.run(seconds=10)

    assert why(made, 'app/3') == (
        'a: asked, and the leader has given no ticket yet; app/1 holds it; '
        'paused since 2027-01-15 08:00 UTC: an alarm'
    )
