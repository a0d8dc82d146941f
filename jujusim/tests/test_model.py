"""The model itself: time, processes, and what it takes from a charm."""

import os
import shutil

import pytest

from jujusim import process
from jujusim.tests.scripts import act, both, forget, hooks, noted


@both
def test_the_clock_a_hook_reads_is_the_models(deployed, juju):
    script = 'began = time.time();time.sleep(1000);note("slept", round(time.time() - began))'
    made = deployed(juju, {'actions/sleep': script}, units=1)

    act(made, 'app/0', 'sleep')

    assert noted(made, 'app/0', 'slept') == [[1000]]


@both
def test_a_closed_model_leaves_no_process_no_file_and_no_open_descriptor(deployed, juju):
    before = len(os.listdir('/proc/self/fd'))
    made = deployed(juju)
    made.run_action('app/0', 'nap')
    made.run_action('app/1', 'nap')
    made.run(seconds=5)
    pids = [execution.child.pid for execution in made.running.values()]

    made.close()

    assert len(pids) == 2
    assert not any(os.path.exists('/proc/{}'.format(pid)) for pid in pids)
    assert len(os.listdir('/proc/self/fd')) == before
    assert not made.home.exists()


@both
def test_a_model_closed_between_a_process_end_and_its_commit_kills_no_other_process(deployed, juju):
    made = deployed(juju, units=1)
    made.run_action('app/0', 'say-a')
    made.run(seconds=0.85)
    execution = made.running['app/0']
    assert not os.path.exists('/proc/{}'.format(execution.child.pid))

    made.close()

    assert made.running == {}


def test_a_hook_whose_model_is_gone_ends_and_never_goes_on_as_a_copy_of_the_test_run(tmp_path):
    hook = tmp_path / 'hook'
    hook.write_text('import subprocess\nsubprocess.call(["is-leader"])\n')
    child = process.Child(str(hook), {'CHARM_DIR': str(tmp_path)}, 0.0, str(tmp_path / 'log'))
    child.message()

    child._line.close()
    _, status = os.waitpid(child.pid, 0)

    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == 0


# What it takes from a charm


def test_options_have_the_defaults_of_config_yaml_unless_the_operator_set_them(deployed):
    script = 'note("config", ask("config-get", "--all"))'
    described = 'options: {memory: {type: int, default: 1}, size: {type: int, default: 2}, key: {}}'
    made = deployed(
        3, {'actions/config': script}, units=1, files={'config.yaml': described}, config={'size': 9}
    )

    act(made, 'app/0', 'config')

    assert noted(made, 'app/0', 'config') == [[{'memory': 1, 'size': 9}]]


def test_the_peer_relation_is_the_one_that_metadata_yaml_names(deployed):
    files = {'metadata.yaml': 'name: app\npeers: {ring: {interface: ring}}\n'}
    made = deployed(3, {'actions/ids': 'note("ids", ask("relation-ids", "ring"))'}, files=files)

    made.add_unit()
    act(made, 'app/0', 'ids')

    assert noted(made, 'app/0', 'ids') == [[['ring:0']]]
    assert hooks(made, 'app/0')[-2:] == ['ring-relation-joined (app/2)', 'ring-relation-changed (app/2)']


def test_a_charm_without_a_peer_relation_runs_no_relation_hook(deployed):
    made = deployed(
        3, {'actions/ids': 'note("ids", ask("relation-ids", "ring"))'}, files={'metadata.yaml': ''}
    )

    added = made.add_unit()
    act(made, 'app/0', 'ids')

    assert noted(made, 'app/0', 'ids') == [[[]]]
    assert hooks(made, added) == ['install', 'leader-settings-changed', 'config-changed', 'start']


PEERS = 'name: app\npeers: {a: {interface: a}, cluster: {interface: cluster}, other: {interface: other}}\n'
ASK = """
for name in ("a", "cluster", "other", "none"):
    for relation in ask("relation-ids", name):
        peers = [unit for unit in ("app/0", "app/1") if unit != ME]
        words = [ask("relation-get", "-r", relation, "word", unit) for unit in (ME, *peers)]
        app = ask("relation-get", "-r", relation, "--app", "word", "app")
        note("found", name, relation, ask("relation-list", "-r", relation), words, app)
"""
SAY = """
for relation in ask("relation-ids", "a"):
    tool("relation-set", "-r", relation, "word=" + ME)
    told("app", tool("relation-set", "-r", relation, "--app", "word=led"))
    note("own", ask("relation-get", "-r", relation, "word", ME))
"""


@both
def test_other_peer_relations_have_ids_and_databags_of_their_own_and_no_hooks(deployed, juju):
    files = {'metadata.yaml': PEERS}
    made = deployed(juju, {'actions/ask': ASK, 'actions/say': SAY}, files=files, relation='cluster')
    act(made, 'app/0', 'say-a')
    forget(made)
    act(made, 'app/0', 'say')
    heard = hooks(made, 'app/1')
    act(made, 'app/1', 'ask')

    assert heard == []
    assert noted(made, 'app/0', 'own') == [['app/0']]
    assert noted(made, 'app/1', 'found') == [
        ['a', 'a:1', ['app/0'], [None, 'app/0'], 'led'],
        ['cluster', 'cluster:0', ['app/0'], [None, 'a'], None],
        ['other', 'other:2', ['app/0'], [None, None], None],
    ]


@both
def test_what_a_failed_hook_or_a_follower_wrote_to_another_peer_relation_is_lost(deployed, juju):
    files = {'metadata.yaml': PEERS}
    made = deployed(juju, {'actions/ask': ASK, 'actions/say': SAY}, files=files, relation='cluster')

    act(made, 'app/1', 'say')
    act(made, 'app/0', 'ask')

    assert noted(made, 'app/1', 'app') == [[1, 'ERROR cannot write relation settings']]
    assert noted(made, 'app/0', 'found')[0] == ['a', 'a:1', ['app/1'], [None, 'app/1'], None]

    made.lose_commit('app/0')
    act(made, 'app/0', 'say')
    forget(made)
    act(made, 'app/0', 'ask')

    assert noted(made, 'app/0', 'found')[0] == ['a', 'a:1', ['app/1'], [None, 'app/1'], None]


@both
def test_a_peer_relation_that_a_refresh_brings_is_there_from_the_refresh_on(deployed, charm, juju, tmp_path):
    made = deployed(juju, {'actions/ask': ASK})
    act(made, 'app/0', 'ask')
    shutil.copytree(str(tmp_path / 'charm'), str(tmp_path / 'next'))
    (tmp_path / 'next' / 'metadata.yaml').write_text(PEERS)

    made.upgrade('app/0', tmp_path / 'next')
    made.run()
    act(made, 'app/0', 'ask')

    names = [name for name, *_ in noted(made, 'app/0', 'found')]
    assert names == ['cluster', 'a', 'cluster', 'other']


def test_of_several_peer_relations_one_must_be_chosen(charm, model):
    top = charm({}, {'metadata.yaml': 'peers: {one: {interface: one}, other: {interface: other}}'})

    with pytest.raises(ValueError, match='one and other; choose with relation=NAME'):
        model(top)
    made = model(top, relation='other')
    made.run()

    assert 'other-relation-created' in hooks(made, 'app/0')


def test_a_layer_that_was_never_built_is_refused(tmp_path, model):
    (tmp_path / 'layer.yaml').write_text('includes: []')

    with pytest.raises(ValueError, match='expected a built charm'):
        model(tmp_path)


# What a test sees and gives


def test_a_machines_program_may_print(deployed):
    script = 'note("said", tool("hostname", "-f").stdout)'
    machine = {'hostname': (1.0, 0, 'app-0.lan')}.get
    made = deployed(3, {'actions/ask': script}, units=1, machine=lambda unit, argv: machine(argv[0]))

    act(made, 'app/0', 'ask')

    assert noted(made, 'app/0', 'said') == [['app-0.lan']]


def test_the_status_that_a_unit_set_can_be_asked(deployed):
    made = deployed(3, {'config-changed': 'tool("status-set", "active", "ready")'}, units=1)

    assert made.status_of('app/0') == ('active', 'ready')


@pytest.mark.parametrize('quick', [False, True])
def test_tool_calls_that_counted_code_makes_are_marked_in_the_costs(deployed, quick):
    made = deployed(3, {'actions/list': 'members()'}, units=1, counted=('actions/list',), quick=quick)

    act(made, 'app/0', 'list')
    act(made, 'app/0', 'say-a')

    calls = [calls for _, title, calls in made.costs if title.startswith('action')]
    assert calls == [[('relation-list', True)], [('relation-set', False)]]
