"""A read that fails fails its hook, which Juju tries again; a unit without a databag fails none (rule 17)."""

import pytest

from tests.cases import ASK, NO_UPDATE_STATUS_S, WORK, StrictWatch, both, failures, until
from tests.deploy import begun


def deployed(model, charm_with, juju, units=3, **options):
    made = begun(
        model, charm_with(ASK + WORK), units=units, juju=juju, update_status_s=NO_UPDATE_STATUS_S, **options
    )
    return made, StrictWatch(made)


def fails_at(made, unit, tool, which):
    """Let one of a unit's calls of a tool fail; return the calls so far."""
    calls = []

    def count(execution, argv):
        if execution.unit == unit and argv[0] == tool:
            calls.append(argv)
            if len(calls) == which:
                made.fail_tool(unit, tool)

    made.calls_everywhere = count
    return calls


def cannot_read(made, unit, peer, times):
    """Let a unit's next reads of a peer's databag fail; None: for ever. Return the reads."""
    reads = []

    def stop(execution, argv):
        if execution.unit == unit and argv[0] == 'relation-get' and argv[-1] == peer:
            reads.append(argv)
            made.fail_tool(unit, 'relation-get', int(times is None or len(reads) <= times))

    made.calls_everywhere = stop
    return reads


def served(made, watch, times=1):
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [times] * len(made.units), made.story(60)


def everybody_asks(made):
    made.configure(go=1)


def another_leads(made):
    """Another unit becomes leader during the roll, and reads what all say."""
    made.configure(go=1)
    made.elect('app/1', after_s=70)


@both
@pytest.mark.parametrize(
    'tool, begins',
    [
        ('relation-get', everybody_asks),
        ('relation-get', another_leads),
        ('relation-list', everybody_asks),
        ('leader-get', everybody_asks),
    ],
)
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_whichever_read_fails_everybody_is_served_without_an_update_status(
    model, charm_with, juju, tool, begins, unit
):
    for which in range(1, 60):
        made, watch = deployed(model, charm_with, juju)
        calls = fails_at(made, unit, tool, which)
        begins(made)
        made.run(seconds=900)
        made.calls_everywhere = None

        if len(calls) < which:
            return
        watch.check()
        assert all(watch.served(each) for each in made.units), '{}: {}'.format(calls[-1], made.story(60))
    raise AssertionError('more calls than this test lets fail')


@both
@pytest.mark.parametrize('times', [1, 3])
@pytest.mark.parametrize('asker', ['app/1', 'app/2'])
def test_a_request_that_the_leader_could_not_read_is_read_in_the_retry(model, charm_with, juju, asker, times):
    made, watch = deployed(model, charm_with, juju)
    reads = cannot_read(made, 'app/0', asker, times)

    made.configure(go=1)
    made.run(seconds=900)

    assert len(reads) > times
    assert len([event for event in failures(made) if 'relation-get' in event.text]) == times
    served(made, watch)


@both
def test_a_unit_that_has_not_entered_the_relation_yet_fails_no_hook(model, charm_with, juju):
    """Juju gives the same answer then as where the read fails (R22)."""
    made, watch = deployed(model, charm_with, juju)
    made.configure(go=1)
    added = made.add_unit()
    made.elect('app/1')  # a new leader reads what all units say
    refused = []

    def note(execution, argv):
        if argv[0] == 'relation-get' and argv[-1] == added and not made.controller.in_scope(added):
            refused.append(argv)

    made.calls_everywhere = note
    made.run(seconds=900)

    assert refused
    assert not failures(made)
    served(made, watch)


@both
def test_a_unit_that_is_gone_fails_no_hook_although_nobody_can_read_its_databag(model, charm_with, juju):
    """On Juju 4 relation-list may keep it (juju#23326)."""
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    gone = next(iter(watch.at_work))
    made.lose_unit(gone, force=True)
    reads = cannot_read(made, next(unit for unit in made.units if unit != gone), gone, None)

    made.run(seconds=2000)

    assert reads
    assert not failures(made)
    served(made, watch)
