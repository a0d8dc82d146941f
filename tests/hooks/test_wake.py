"""A hook whose news cannot matter to a unit leaves before Python starts; nothing is lost by it (rule 19)."""

import pytest

from tests.cases import ASK, NO_UPDATE_STATUS_S, WORK, StrictWatch, both, in_error, until
from tests.deploy import begun

MOST = {}
"""By Juju, seconds of work and slots: hooks a unit where they are more than ten.

Where the work is short the leader writes more often, and on Juju 3 each write runs a hook of each unit.
"""


def hooks_run(made, since):
    """Return how many hooks have begun since then, and in how many of these Python has run."""
    begun_hooks = [event for event in made.history if event.what == 'begins' and event.time > since]
    ran = [text for when, _, _, text in made.logs if when > since and 'Reactive main running' in text]
    return len(begun_hooks), len(ran)


@both
@pytest.mark.parametrize('slots', [1, 3])
@pytest.mark.parametrize('work_s', [60.0, 0.1])
def test_a_roll_runs_few_hooks_a_unit_and_waits_for_no_update_status(model, charm_with, juju, work_s, slots):
    made = begun(
        model, charm_with(ASK + WORK, slots=slots), units=12, juju=juju, script_s=0.05,
        machine=lambda unit, argv: (work_s, 0), update_status_s=NO_UPDATE_STATUS_S,
    )  # fmt: skip
    watch, since = StrictWatch(made, slots=slots), made.now
    made.configure(go=1)
    made.run(seconds=3000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 12, made.story(60)
    every, ran = hooks_run(made, since)
    assert ran <= MOST.get((juju, work_s, slots), 10) * 12 < every


@both
def test_a_charm_that_wants_every_hook_gets_every_hook(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK, wake='all'), units=5, juju=juju)
    since = made.now
    made.configure(go=1)
    made.run()

    every, ran = hooks_run(made, since)
    assert every == ran


@both
def test_a_unit_that_sleeps_hears_of_its_configuration_and_asks_at_once(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    for go in (1, 2, 3):
        made.configure(go=go)
        made.run(seconds=600)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [3] * 4, made.story(60)


@both
def test_a_hook_that_failed_runs_again_though_its_news_matters_to_nobody(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    worker = next(iter(watch.at_work))
    made.lose_commit(worker)
    until(made, lambda: in_error(made, worker) or watch.served(worker) > 0 or not watch.at_work)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
def test_a_lost_file_loses_no_turn(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=6, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.configure(go=1)
    for _ in range(12):
        made.run(seconds=25)
        for unit in made.units:
            made.lose_store(unit, '.coordinator.wake')
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 6, made.story(60)


@both
def test_what_juju_has_lost_is_published_again_in_the_next_hook(model, charm_with, juju):
    """Also where nobody tries the refused hook again, and the news that comes matters to no one here."""
    made = begun(
        model, charm_with(ASK + WORK), units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S,
        retry_automatically=False,
    )  # fmt: skip
    watch = StrictWatch(made)
    made.lose_commit('app/3')
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/3'))
    made.resolve('app/3', retry=False)
    made.run(seconds=600)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1, 1], made.story(60)
