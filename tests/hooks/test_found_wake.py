"""Hooks that do not run (rule 19): histories that spin found in tests/proofs/turns.pml, with real hooks."""

import os

import pytest

from tests.cases import WORK, StrictWatch, both, in_error, until
from tests.deploy import begun

NO_UPDATE_STATUS_S = 1e6

SCRIPT = """#!/usr/bin/env python3
from charms.layer import coordinator

coordinator.request_lock('a')
"""


@pytest.fixture
def charm_that_asks(charm_with):
    """Makes a charm with such handlers whose script actions/ask asks for the lock."""

    def make(plan=''):
        charm = charm_with(plan + WORK)
        (charm / 'actions').mkdir(exist_ok=True)
        (charm / 'actions' / 'ask').write_text(SCRIPT)
        os.chmod(str(charm / 'actions' / 'ask'), 0o755)
        return charm

    return make


@both
def test_a_request_of_an_action_that_juju_never_heard_of_goes_on_with_the_next_news(
    model, charm_that_asks, juju
):
    made = begun(model, charm_that_asks(), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.lose_commit('app/2')
    made.run_exec('app/2', 'actions/ask')
    made.run()
    assert watch.served('app/2') == 0

    made.run_exec('app/1', 'actions/ask')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1], made.story(60)


PLAN = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() != 'app/0':
        coordinator.request_lock('a')
        check_call(['systemctl', 'start', 'probe'])

@when('config.changed.memory')
def slow():
    if hookenv.config('memory') > 1 and hookenv.local_unit() in ('app/0', 'app/1'):
        check_call(['systemctl', 'start', 'slow'])
"""


def machine(unit, argv):
    return {'slow': 40.0, 'probe': 0.1, '60': 60.0}[argv[-1]], 0


@both
def test_a_request_whose_hook_was_resolved_without_a_retry_goes_on_with_the_next_news(
    model, charm_that_asks, juju
):
    made = begun(
        model, charm_that_asks(PLAN), units=3, juju=juju, retry_automatically=False,
        update_status_s=NO_UPDATE_STATUS_S, machine=machine,
    )  # fmt: skip
    watch = StrictWatch(made)
    made.fail_command('app/2', 'systemctl start probe', times=1)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/2'))
    made.lose_commit('app/2')
    made.resolve('app/2')
    made.run(seconds=3)
    until(made, lambda: in_error(made, 'app/2'))
    made.resolve('app/2', retry=False)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1], made.story(60)


@both
def test_a_leader_to_which_leadership_came_back_unheard_of_hears_the_next_request(
    model, charm_that_asks, juju
):
    made = begun(
        model, charm_that_asks(PLAN), units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S, machine=machine
    )
    watch, since = StrictWatch(made), made.now

    def hooks(unit):
        return [
            event
            for event in made.history
            if event.what == 'begins' and event.unit == unit and event.time > since
        ]

    made.configure(memory=2)
    until(made, lambda: bool(hooks('app/0')))
    made.elect('app/1')
    made.elect('app/0', after_s=20)
    made.run()
    assert not [event for unit in made.units for event in hooks(unit) if 'leader-elected' in event.text]
    for unit in ('app/2', 'app/3'):
        made.run_exec(unit, 'actions/ask')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 0, 1, 1], made.story(60)
