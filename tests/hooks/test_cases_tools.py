"""Tools that fail, and facts that change: a hook that could not ask Juju decides nothing by it (rule 17)."""

import pytest

from jujusim import tools
from tests.cases import ASK, ASK_FIRST, WORK, StrictWatch, both, failures, in_error, until
from tests.deploy import begun

times = pytest.mark.parametrize('times', [1, None], ids=['once', 'for ever'])


def served(made, watch, times=1):
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [times] * len(made.units), made.story(60)


@both
@times
@pytest.mark.parametrize('options', [{}, {'slots': '34%'}, {'queues': 'per-lock'}], ids=str)
def test_a_goal_state_that_fails_tells_nothing_and_fails_no_hook(model, charm_with, juju, times, options):
    """An application with a cross-model relation never gets an answer (juju#8909, juju#21152)."""
    made = model(charm_with(ASK + WORK, **options), units=3, juju=juju)
    for unit in made.units:
        made.fail_tool(unit, 'goal-state', times)
    made.run(seconds=700)  # at rest, with update-status
    made.elect('app/2')
    made.run()
    watch = StrictWatch(made)

    made.configure(go=1)
    made.elect('app/1', after_s=30)
    made.run(seconds=900)

    assert not [event for event in failures(made) if 'goal-state' in event.text]
    served(made, watch)


@both
@pytest.mark.parametrize(
    'text',
    ['ERROR', '[]', '{"units": null}', '{"units": ["app/0"]}', '{"units": {"app/1": null}, "relations": 3}'],
)
def test_a_goal_state_that_prints_something_else_counts_as_one_that_fails(
    model, charm_with, juju, text, monkeypatch
):
    monkeypatch.setitem(tools._TOOLS, 'goal-state', lambda context, arguments: text)
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    made.run(seconds=700)
    made.elect('app/2')
    made.run()
    watch = StrictWatch(made)

    made.configure(go=1)
    made.run(seconds=900)

    assert not failures(made)
    said = any('goal-state: expected' in log for _, _, _, log in made.logs)
    assert said is (text != '{"units": null}')  # a subordinate's lists no units either
    served(made, watch)


@both
def test_a_goal_state_that_fails_counts_nobody_as_gone(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made, until='work 60')
    for unit in made.units:
        made.fail_tool(unit, 'goal-state', None)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    holder = next(iter(watch.at_work))
    made.lose_unit(holder)

    made.run(seconds=2000)

    watch.check()
    assert watch.at_work == {holder}


@both
def test_a_unit_that_is_gone_is_dropped_once_goal_state_answers_again(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made, until='work 60')
    for unit in made.units:
        made.fail_tool(unit, 'goal-state', None)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    holder = next(iter(watch.at_work))
    made.lose_unit(holder, force=True)
    made.run(seconds=1000)
    assert not failures(made)

    for unit in made.units:
        made.fail_tool(unit, 'goal-state', 0)
    made.run(seconds=1500)

    served(made, watch)


@pytest.mark.parametrize('only', ['app/1', 'app/0'], ids=['another asks', 'the leader asks'])
def test_a_leader_set_that_fails_once_costs_one_retry(model, charm_with, only):
    """'lease operation timed out' (juju#13332) was taken for a lost leadership, and nothing happened."""
    one = ASK.replace("hookenv.config('go'):", "hookenv.config('go') and hookenv.local_unit() == 'ONLY':")
    made = begun(model, charm_with(one.replace('ONLY', only) + WORK), units=3)
    watch = StrictWatch(made)
    made.fail_tool('app/0', 'leader-set', 1)

    made.configure(go=1)
    made.run(seconds=15)

    assert only in watch.at_work, made.story(40)
    assert not made.log_of('app/0', 'leads no more')


def test_a_leader_set_that_fails_for_ever_fails_the_leaders_hook_and_says_why(model, charm_with):
    made = begun(model, charm_with(ASK_FIRST + WORK), units=3)
    made.fail_tool('app/0', 'leader-set', None)
    watch = StrictWatch(made)

    made.configure(go=1)
    made.run(seconds=40)
    assert in_error(made, 'app/0'), made.story(40)
    made.fail_tool('app/0', 'leader-set', 0)
    made.run(seconds=600)

    watch.check()
    assert watch.served('app/1') == 1, made.story(60)


@both
@pytest.mark.parametrize('leader', ['app/0', 'app/1'])
def test_a_write_refused_because_leadership_is_gone_is_left_to_the_next_leader(
    model, charm_with, juju, leader
):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made)
    moved = []

    def move(execution, argv):
        writes = argv[0].endswith('leader-set') or ('--app' in argv and argv[0].endswith('relation-set'))
        if writes and execution.unit == leader and not moved:
            moved.append(made.now)
            made.elect('app/2')

    made.calls_everywhere = move
    made.configure(go=1)
    made.run()

    assert moved
    served(made, watch)


@both
@pytest.mark.parametrize('tool', ['relation-get', 'relation-list', 'relation-set', 'is-leader', 'config-get'])
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_any_tool_that_fails_once_costs_a_retry_and_no_promise(model, charm_with, juju, tool, unit):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    for count in range(4):
        made.at(made.now + 1 + 17 * count, lambda: made.fail_tool(unit, tool))

    made.run(seconds=900)

    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


def test_a_leader_set_that_stores_nothing_is_not_logged_as_a_ticket(model, charm_with):
    """Agents of 3.6 on a controller of 4.0: leader-set succeeds, and nothing is there."""
    made = begun(model, charm_with(ASK_FIRST + WORK), units=2)
    made.run()
    told = len(made.logs)
    made.controller.write_leader_settings = lambda *_, **__: None

    made.configure(go=1)
    made.run(seconds=2000)

    given = [text for _, _, _, text in made.logs[told:] if 'is given a ticket' in text]
    assert not given


@both
def test_no_token_is_given_twice_in_the_logs_although_a_batch_is_refused(model, charm_with, juju):
    """The log of a leader whose batch was refused named a token that the next leader gave, too."""
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju)
    watch = StrictWatch(made)
    others = iter(['app/1', 'app/2', 'app/3', 'app/0', 'app/2', 'app/1'])

    def move(execution, argv):
        shared = argv[0].endswith('leader-set') or (argv[0].endswith('relation-set') and '--app' in argv)
        if shared and execution.unit == made.controller.leader:
            made.at(made.now + 0.001, lambda: made.elect(next(others, None)))

    made.calls_everywhere = move
    made.configure(go=1)
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units)
    lines = [text for _, _, _, text in made.logs if 'is given a ticket' in text]
    tokens = sorted(int(text.split('token ')[1]) for text in lines)
    assert tokens == sorted(set(tokens)), lines
