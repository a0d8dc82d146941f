"""Hooks that do not run (rule 19): histories that spin found in tests/proofs/turns.pml, with real hooks."""

import os

import pytest

from tests.cases import WORK, StrictWatch, both
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
