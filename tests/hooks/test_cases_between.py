"""What runs between a failed hook and its retry uses, ends and tells nothing of the turn (rule 12)."""

import os
import shutil

import pytest

from tests.cases import ASK, KEEP, WORK, StrictWatch, both, health, in_error, until
from tests.deploy import begun, said

SCRIPT = """#!/usr/bin/env python3
from charmhelpers.core import hookenv
from charms.layer import coordinator

hookenv.log('answer {{}}'.format({}))
"""
HANDLER = """
import os

@when_not('never')
def act():
    if hookenv.action_name() or '-run-commands-' in os.environ['JUJU_CONTEXT_ID']:
        hookenv.log('answer {{}}'.format({}))
"""
CALLS = {
    'request_lock': "coordinator.request_lock('a')",
    'request_lock of another': "coordinator.request_lock('b')",
    'keep_lock': "coordinator.keep_lock('a')",
    'release_lock': "coordinator.release_lock('a')",
    'request_again': "coordinator.request_again('a')",
    'is_granted': "coordinator.is_granted('a')",
    'is_requested': "coordinator.is_requested('a')",
    'token': "coordinator.token('a')",
    'explain': "coordinator.explain('a')",
}
SAYS = {
    'request_lock': 'False',
    'request_lock of another': 'False',
    'keep_lock': 'False',
    'is_granted': 'False',
    'is_requested': 'True',
    'token': 'None',
}
WORK_B = """
@when('coordinator.granted.b')
def work_b():
    check_call(['work', '2'])
"""
ORDERS = {'one queue': {}, 'per-lock': {'queues': 'per-lock'}}

queues = pytest.mark.parametrize('queues', ORDERS.values(), ids=ORDERS)
PER_LOCK = ['request_lock of another', 'release_lock', 'request_again']
called = [(call, {}) for call in CALLS] + [(call, ORDERS['per-lock']) for call in PER_LOCK]
names = [*CALLS, *(call + ', per-lock' for call in PER_LOCK)]
every_call = pytest.mark.parametrize('call, queues', called, ids=names)
KINDS = {
    'plain action': lambda made, unit: made.run_action(unit, 'plain'),
    'reactive action': lambda made, unit: made.run_action(unit, 'main'),
    'juju exec of a script': lambda made, unit: made.run_exec(unit, 'actions/plain'),
    'juju exec of a hook file': lambda made, unit: made.run_exec(unit, 'hooks/update-status'),
}
MOST = ('reactive action', 'juju exec of a script')
kinds = pytest.mark.parametrize(
    'act',
    [pytest.param(act, id=kind, marks=[pytest.mark.long] * (kind in MOST)) for kind, act in KINDS.items()],
)
some_kinds = pytest.mark.parametrize('act', [KINDS['plain action'], KINDS['juju exec of a hook file']])


@pytest.fixture
def charm_that_acts(charm_with):
    """Makes a charm whose actions `plain` and `main` make a call, the second through reactive.main()."""

    def make(plan, call, **options):
        charm = charm_with(plan + WORK_B + HANDLER.format(call), **options)
        (charm / 'actions').mkdir(exist_ok=True)
        (charm / 'actions' / 'plain').write_text(SCRIPT.format(call))
        os.chmod(str(charm / 'actions' / 'plain'), 0o755)
        shutil.copy(str(charm / 'hooks' / 'update-status'), str(charm / 'actions' / 'main'))
        return charm

    return make


def failed_in_its_turn(model, charm, juju, times=1, unit='app/0'):
    """Return a model in which a unit has just failed in its turn, and a watch of it."""
    made = begun(model, charm, units=3, juju=juju)
    made.elect(unit)
    made.run()
    watch = StrictWatch(made, until='work 60')
    made.fail_command(unit, 'work 60', times=times)
    made.configure(go=1)
    until(made, lambda: in_error(made, unit))
    return made, watch


@both
@kinds
@every_call
def test_no_call_between_a_failed_hook_and_its_retry_frees_or_uses_the_turn(
    model, charm_that_acts, juju, act, queues, call
):
    made, watch = failed_in_its_turn(model, charm_that_acts(ASK + WORK, CALLS[call], **queues), juju, times=3)

    act(made, 'app/0')
    made.run()

    watch.check()
    assert said(made, 'app/0', 'answer ')[:1] == [SAYS[call]] if call in SAYS else True
    times = 2 if call == 'request_again' else 1
    assert [watch.served(unit) for unit in made.units] == [times, 1, 1], made.story(60)


@both
@kinds
@pytest.mark.parametrize('call', ['keep_lock', 'release_lock', 'request_again', 'explain'])
def test_no_call_at_rest_ends_a_turn_that_is_kept(model, charm_that_acts, juju, act, call):
    machine = health(lambda unit: 300.0 if unit == 'app/0' else 0.0, lambda: made)
    charm = charm_that_acts(ASK + KEEP, CALLS[call])
    made = begun(model, charm, units=3, juju=juju, machine=machine, update_status_s=60.0)
    watch = StrictWatch(made, until='healthy')
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.run(seconds=15)

    act(made, 'app/0')
    made.run(seconds=1200)

    watch.check()
    times = 2 if call == 'request_again' else 1
    assert [watch.served(unit) for unit in made.units] == [times, 1, 1], made.story(60)


@both
@kinds
@queues
@pytest.mark.parametrize('call', ['explain', 'is_granted', 'request_lock', 'request_lock of another'])
def test_a_release_whose_flush_was_lost_is_not_told_before_the_retry_has_succeeded(
    model, charm_that_acts, juju, act, queues, call
):
    made = begun(model, charm_that_acts(ASK + WORK, CALLS[call], **queues), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.fail_hook('app/0', times=3)
    until(made, lambda: in_error(made, 'app/0'))

    act(made, 'app/0')
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@kinds
@pytest.mark.parametrize('call', ['explain', 'is_granted', 'release_lock', 'request_again'])
def test_a_release_before_a_step_that_fails_is_not_told_by_what_runs_before_the_retry(
    model, charm_that_acts, juju, act, call
):
    later = WORK + "    coordinator.release_lock('a')\n    check_call(['systemctl', 'restart', 'later'])\n"
    made = begun(model, charm_that_acts(ASK + later, CALLS[call]), units=3, juju=juju)
    watch = StrictWatch(made)
    made.fail_command('app/0', 'systemctl restart later', times=2)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/0'))

    act(made, 'app/0')
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
def test_an_action_may_ask_for_a_turn_after_the_one_in_which_the_restart_failed(
    model, example, tmp_path, juju
):
    """As the action of the example, with request_again in place of request_lock."""
    charm, again = tmp_path / 'example', "coordinator.request_again('restart')"
    shutil.copytree(str(example), str(charm), symlinks=True)
    action = charm / 'actions' / 'restart'
    action.write_text(action.read_text().replace("coordinator.request_lock('restart')", again))
    assert again in action.read_text()
    made = model(charm, units=3, juju=juju)
    made.run()
    watch = StrictWatch(made, until='systemctl restart rolling-db')
    made.fail_command('app/0', 'systemctl restart rolling-db', times=3)
    made.configure(memory=2)
    until(made, lambda: in_error(made, 'app/0'))

    made.run_action('app/0', 'restart')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [2, 1, 1], made.story(60)
