"""Contexts: their ids, and what runs beside a unit's hooks: R27, R29."""

import re

import pytest

from jujusim.tests.scripts import CHANGED, act, both, forget, hooks, noted, published, run_until, times

SAY_ID = 'note("id", os.environ["JUJU_CONTEXT_ID"], os.environ["JUJU_MODEL_UUID"])'

# R29: ids


@both
def test_each_context_has_an_id_of_its_own_that_names_the_unit_and_the_hook(deployed, juju):
    made = deployed(juju, {'config-changed': SAY_ID, 'actions/id': SAY_ID}, units=1)

    made.configure(go=1)
    made.run()
    made.configure(go=2)
    made.run()
    act(made, 'app/0', 'id')
    made.run_exec('app/0', 'hooks/config-changed')
    made.run()

    ids = [name for name, _ in noted(made, 'app/0', 'id')]
    kinds = ['config-changed', 'config-changed', 'id', 'run-commands']
    for found, kind in zip(ids, kinds):
        assert re.fullmatch('app/0-{}-[0-9a-f]{{32}}'.format(kind), found)
    assert len(set(ids)) == len(kinds)


@both
def test_the_ids_are_the_same_for_the_same_seed_and_others_for_another(model, charm, juju):
    top = charm({'config-changed': SAY_ID})

    ids = []
    for seed in (1, 1, 2):
        made = model(top, juju=juju, seed=seed)
        made.run()
        ids.append(noted(made, 'app/0', 'id'))

    assert ids[0] == ids[1]
    assert {*ids[0][0]}.isdisjoint(ids[2][0])


# R27: juju exec


@both
def test_juju_exec_runs_a_hooks_file_in_no_hook(deployed, juju):
    names = '[os.environ.get(name) for name in ("JUJU_HOOK_NAME", "JUJU_DISPATCH_PATH", "JUJU_ACTION_NAME")]'
    made = deployed(juju, {'update-status': 'note("env", *{})'.format(names)}, units=1)

    made.run_exec('app/0', 'hooks/update-status')
    made.run()

    assert hooks(made, 'app/0') == ['exec hooks/update-status']
    assert noted(made, 'app/0', 'env') == [['', None, None]]


@both
def test_juju_exec_runs_a_script_and_waits_for_the_hook_under_way(deployed, charm, juju):
    made = deployed(juju, {'config-changed': 'time.sleep(30)'})
    script = 'import subprocess\nsubprocess.check_call(["relation-set", "-r", "cluster:0", "word=a"])\n'

    made.configure(go=1)
    run_until(made, 'app/0', 'begins')
    made.run_exec('app/0', script)
    made.run()

    assert hooks(made, 'app/0') == ['config-changed', 'exec script']
    assert times(made, 'app/0', 'begins', 'exec')[0] >= times(made, 'app/0', 'ends', 'config-changed')[0]
    assert published(made, 'app/0') == 'a'
    assert hooks(made, 'app/1') == ['config-changed', CHANGED + ' (app/0)']


@both
def test_what_juju_exec_wrote_in_hook_error_is_committed_though_it_exits_3(deployed, juju):
    made = deployed(juju, {'update-status': 'say("a")\nsys.exit(3)'})
    made.fail_hook('app/0', 'config-changed')

    made.configure(go=1)
    run_until(made, 'app/0', 'fails')
    made.run_exec('app/0', 'hooks/update-status')
    run_until(made, 'app/0', 'ran', 'exec')

    assert times(made, 'app/0', 'ran', 'exec hooks/update-status: exit 3')
    assert published(made, 'app/0') == 'a'
    assert made.agents['app/0'].local.in_error
    made.run()
    assert hooks(made, 'app/0') == ['config-changed', 'exec hooks/update-status', 'config-changed']


@both
def test_juju_exec_runs_before_a_killed_hook_runs_again_and_an_action_after_it(deployed, juju):
    made = deployed(juju, {'config-changed': 'time.sleep(5)'}, units=1)

    made.configure(go=1)
    made.run(seconds=3)
    made.run_exec('app/0', 'hooks/update-status')
    made.run_action('app/0', 'list')
    made.kill_hook('app/0')
    made.run()

    again = ['exec hooks/update-status', 'config-changed', 'action list']
    assert hooks(made, 'app/0') == ['config-changed', *again]


@both
def test_juju_exec_of_an_operators_client_runs_in_the_context_of_an_action(deployed, juju):
    names = ('JUJU_HOOK_NAME', 'JUJU_DISPATCH_PATH', 'JUJU_ACTION_NAME', 'JUJU_CONTEXT_ID')
    script = 'note("env", *[os.environ.get(name) for name in {}])\nsay("a")\nsys.exit(3)'.format(names)
    made = deployed(juju, {'update-status': script}, units=1)

    made.run_exec('app/0', 'hooks/update-status', as_action=True)
    made.run()

    ((*env, context),) = noted(made, 'app/0', 'env')
    assert env == ['', None, 'juju-exec']
    assert context.startswith('app/0-juju-exec-')
    assert published(made, 'app/0') == 'a'


@both
def test_a_file_that_juju_exec_does_not_find_changes_nothing(deployed, juju):
    made = deployed(juju, units=1)

    made.run_exec('app/0', 'hooks/none')
    made.run()

    assert times(made, 'app/0', 'ran', 'exec hooks/none: exit 127')


# R11: without automatic retry


@both
@pytest.mark.parametrize('retry', [True, False])
def test_without_automatic_retry_a_failed_hook_waits_for_resolve(deployed, juju, retry):
    made = deployed(juju, units=1, retry_automatically=False)
    made.fail_hook('app/0', 'config-changed')

    made.configure(go=1)
    made.run()
    made.run(seconds=1000)
    waited = hooks(made, 'app/0')
    act(made, 'app/0', 'list')
    forget(made)
    made.resolve('app/0', retry=retry)
    made.run()

    assert waited == ['config-changed']
    assert hooks(made, 'app/0') == ['config-changed'] * retry
