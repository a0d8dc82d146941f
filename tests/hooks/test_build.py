"""The real `charm build` of the example charm, and a hook of what was built as a real process.

charm build walks a directory, not git, so what is built here is a copy of the
working tree with the rubbish of a developer's day put into it.
"""

import json
import os
import shutil
import sys
import uuid
from pathlib import Path
from subprocess import PIPE, STDOUT, run

import pytest
import yaml

from tests.ledger import ledger_in

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / 'examples' / 'rolling-db'
CACHES = ('.git', '.hypothesis', '.mypy_cache', '.pytest_cache', '.ruff_cache', '.venv', '__pycache__')

MODULES = (
    '__init__', 'actions', 'answers', 'callbacks', 'context', 'environment', 'failing', 'flags', 'forms',
    'gates', 'holding', 'juju', 'leading', 'merging', 'onlooker', 'ordering', 'orders', 'ordertext', 'own',
    'plan', 'policy', 'report', 'rest', 'rules', 'session', 'store', 'table', 'terms', 'turns', 'values',
    'view', 'wake', 'wakeup', 'waking', 'why', 'wire',
    'compat/__init__', 'compat/choice', 'compat/classes', 'compat/deciding', 'compat/predecessor',
)  # fmt: skip
SHIPPED = {'lib/charms/layer/coordinator/{}.py'.format(module) for module in MODULES} | {
    'actions.yaml',  # of the layer alone, where the charm has no actions of its own
    *('actions/coordinator-' + name for name in ('cancel', 'free', 'pause', 'resume', 'roll', 'show')),
    'copyright.layer-coordinator',
    'hooks/coordinator-failed',
    'hooks/coordinator-relation-changed',
    'hooks/coordinator-relation-joined',
    'hooks/coordinator-wake-up',
    'hooks/leader-settings-changed',
    'hooks/relations/coordinator/interface.yaml',
    'hooks/relations/coordinator/peers.py',
    'lib/charms/coordinator.py',
    'reactive/coordinator.py',
}
"""All files that a charm gets from this layer; layer.yaml and metadata.yaml are merged."""

DEFAULTS = {
    'class': 'charms.coordinator.SimpleCoordinator',
    'log_level': 'info',
    'queues': 'one',
    'slots': 1,
    'wake': 'needed',
}

RUBBISH = """
    .ci/x .gitignore .hypothesis/x .mypy_cache/x .pytest_cache/x .ruff_cache/x .venv/x CHANGES.md HACKING.md
    LICENSE Makefile README.md build/x docs/x examples/x pyproject.toml requirements/x tests/x
    interfaces/coordinator/__pycache__/x.pyc lib/charms/layer/coordinator/__pycache__/x.pyc
    reactive/__pycache__/x.pyc
"""

TOOL = """#!/usr/bin/env python3
import json, os, pathlib, sys
import yaml

tool, args, unit = pathlib.Path(sys.argv[0]).name, sys.argv[1:], 'rolling-db/0'
state = pathlib.Path(sys.argv[0]).parent.parent / 'state'

def kept(name):
    return json.loads((state / name).read_text())

def keep(name, settings):
    known = {**kept(name), **settings}
    (state / name).write_text(json.dumps({key: text for key, text in known.items() if text}))

def record(name, line):
    with (state / name).open('a') as lines:
        lines.write(line + '\\n')

command = ' '.join([tool] + args)
answers = {
    'is-leader --format=json': True,
    'config-get --all --format=json': kept('config'),
    'goal-state --format=json': {'units': {unit: {'status': 'active'}}, 'relations': {}},
    'relation-ids --format=json coordinator': ['coordinator:0'],
    'relation-list --format=json -r coordinator:0': [],
    'relation-set --help': 'relation-set [--file path]',
}
if command in answers:
    print(json.dumps(answers[command]))
elif command == 'action-get --format=json' and 'PARAMETERS' in os.environ:
    print(os.environ['PARAMETERS'])
elif tool in ('juju-log', 'status-set', 'systemctl', 'action-set', 'action-fail'):
    record(tool, ' '.join(args))
elif tool == 'leader-get' and args == ['--format=json', '-']:
    print(json.dumps(kept('leader')))
elif tool == 'leader-set' and all('=' in setting for setting in args):
    keep('leader', dict(setting.split('=', 1) for setting in args))
elif tool == 'relation-get' and args[:3] == ['--format=json', '-r', 'coordinator:0'] and args[4:] == [unit]:
    print(json.dumps(kept('databag').get(args[3])))
elif tool == 'relation-set' and args[:3] == ['-r', 'coordinator:0', '--file'] and len(args) == 4:
    keep('databag', yaml.safe_load(pathlib.Path(args[3]).read_text()))
elif tool == 'relation-set' and args[:4] == ['--app', '-r', 'coordinator:0', '--file'] and len(args) == 5:
    keep('application', yaml.safe_load(pathlib.Path(args[4]).read_text()))
else:
    record('refused', command)
    sys.exit('{}: expected a call this fake was told about, found: {}'.format(tool, command))
"""
TOOLS = """
    config-get goal-state is-leader juju-log leader-get leader-set relation-get relation-ids relation-list
    relation-set status-set systemctl action-fail action-get action-set application-version-set juju-reboot
    network-get open-port relation-model-get resource-get secret-get state-get state-set status-get
    storage-get unit-get
"""


# charm-tools


@pytest.fixture(scope='module')
def charm_tools(tmp_path_factory):
    """A function that runs one of charm-tools, with this layer and no network."""
    told = os.environ.get('CHARM_TOOLS_BIN')
    tools = Path(told).resolve() if told else ROOT / '.venv' / 'charm-tools' / 'bin'
    if not told and not tools.is_dir():
        pytest.skip('charm-tools is not in {}: run `make test`, or set CHARM_TOOLS_BIN'.format(tools))
    place = tmp_path_factory.mktemp('charm-tools')
    coordinator = place / 'layers' / 'coordinator'
    shutil.copytree(str(ROOT), str(coordinator), symlinks=True, ignore=shutil.ignore_patterns(*CACHES))
    for name in RUBBISH.split():
        (coordinator / name).parent.mkdir(parents=True, exist_ok=True)
        (coordinator / name).touch()
    shutil.copytree(str(ROOT / 'tests' / 'layers' / 'basic'), str(place / 'layers' / 'basic'))
    env = {
        'CHARM_CACHE_DIR': str(place / 'cache'),
        'CHARM_HIDE_METRICS': '1',
        'CHARM_LAYERS_DIR': str(place / 'layers'),
        'HOME': str(place),
        'PATH': '{}:/usr/bin:/bin'.format(tools),
        'https_proxy': 'http://127.0.0.1:9',  # nobody listens there
    }

    def call(tool, *args):
        command = [str(tools / tool)] + [str(arg) for arg in args]
        return run(command, env=env, stdout=PIPE, stderr=STDOUT, text=True)

    return call


@pytest.fixture(scope='module')
def charm(charm_tools, tmp_path_factory):
    """The example charm, built."""
    place = tmp_path_factory.mktemp('example')
    shutil.copytree(str(EXAMPLE), str(place / 'source'), ignore=shutil.ignore_patterns(*CACHES))
    built = charm_tools('charm-build', '--build-dir', place, place / 'source')
    assert built.returncode == 0, built.stdout
    return place / 'rolling-db'


def bare(place, options):
    """Write a charm that has no README or other file to hide one of this layer's."""
    place.mkdir()
    layers = {'includes': ['layer:basic', 'layer:coordinator'], 'options': {'coordinator': options}}
    (place / 'layer.yaml').write_text(yaml.safe_dump(layers))
    for needed in ('metadata.yaml', 'copyright'):
        shutil.copy(str(EXAMPLE / needed), str(place))
    return place


def origins(charm):
    """Return which layer each file of a built charm comes from."""
    signatures = json.loads((charm / '.build.manifest').read_text())['signatures']
    return {name: signature[0] for name, signature in signatures.items()}


# What ships


def test_a_charm_gets_exactly_these_files_from_the_layer(charm_tools, tmp_path):
    source = bare(tmp_path / 'source', {})

    built = charm_tools('charm-build', '--build-dir', tmp_path, source)

    assert built.returncode == 0, built.stdout
    layers = origins(tmp_path / 'rolling-db')
    assert {name for name in layers if layers[name] == 'layer:coordinator'} == SHIPPED
    assert (layers['lib/charms/__init__.py'], layers['lib/charms/layer/__init__.py']) == ('layer:basic',) * 2


def test_every_file_of_the_built_charm_is_a_real_one_and_no_directory_is_empty(charm):
    found = list(charm.rglob('*'))

    odd = [path for path in found if path.is_symlink() or (path.is_dir() and not list(path.iterdir()))]
    assert odd == []
    assert {str(path.relative_to(charm)) for path in found if path.is_file()} == set(origins(charm))


def test_the_peer_relation_has_its_five_hooks_and_they_can_be_executed(charm):
    hooks = sorted(charm.glob('hooks/coordinator-relation-*'))

    events = [hook.name.rsplit('-', 1)[1] for hook in hooks]
    assert events == ['broken', 'changed', 'created', 'departed', 'joined']
    assert all(os.access(str(hook), os.X_OK) for hook in hooks)


def test_the_built_charm_has_the_layers_options_relation_and_copyright(charm):
    layers = yaml.safe_load((charm / 'layer.yaml').read_text())
    metadata = yaml.safe_load((charm / 'metadata.yaml').read_text())

    assert layers['options']['coordinator'] == DEFAULTS
    assert metadata['peers'] == {'coordinator': {'interface': 'coordinator'}}
    assert (charm / 'copyright.layer-coordinator').read_text() == (ROOT / 'copyright').read_text()


def test_the_built_charm_has_its_own_actions_and_the_layers_and_they_can_be_executed(charm):
    described = yaml.safe_load((charm / 'actions.yaml').read_text())

    assert set(described) == {'restart', *yaml.safe_load((ROOT / 'actions.yaml').read_text())}
    assert {path.name for path in (charm / 'actions').iterdir()} == set(described)
    assert all(os.access(str(path), os.X_OK) for path in (charm / 'actions').iterdir())


def test_charm_proof_has_nothing_but_information_on_the_built_charm(charm_tools, charm):
    proof = charm_tools('charm-proof', charm)

    complaints = [line for line in proof.stdout.splitlines() if not line.startswith('I: ')]
    assert (proof.returncode, complaints) == (0, [])


# Layer options at build


@pytest.mark.parametrize(
    'options',
    [
        {'slots': '25%', 'queues': 'per-lock'},
        {'class': 'SimpleCoordinator', 'log_level': 'DEBUG', 'leftover': 'of the old layer'},
    ],
    ids=['of this layer', 'of the old layer'],
)
def test_charm_build_takes_and_passes_on_the_options(charm_tools, tmp_path, options):
    source = bare(tmp_path / 'source', options)

    built = charm_tools('charm-build', '--build-dir', tmp_path, source)

    assert built.returncode == 0, built.stdout
    layers = yaml.safe_load((tmp_path / 'rolling-db' / 'layer.yaml').read_text())
    assert layers['options']['coordinator'] == {**DEFAULTS, **options}


@pytest.mark.parametrize(
    'options, refusal',
    [
        ({'queues': 'two'}, "coordinator.queues: 'two' is not one of ['one', 'per-lock']"),
        ({'class': 7}, "coordinator.class: 7 is not of type 'string'"),
        ({'log_level': 'loud'}, "coordinator.log_level: 'loud' does not match"),
        ({'slots': [1]}, "coordinator.slots: [1] is not of type 'integer', 'string'"),
        ({'slots': True}, "coordinator.slots: True is not of type 'integer', 'string'"),
        ({'slots': 0}, 'coordinator.slots: 0 is less than the minimum of 1'),
        ({'slots': 10001}, 'coordinator.slots: 10001 is greater than the maximum of 10000'),
    ],
)
def test_charm_build_refuses_a_wrong_option_and_says_which(charm_tools, tmp_path, options, refusal):
    source = bare(tmp_path / 'source', options)

    built = charm_tools('charm-build', '--build-dir', tmp_path, source)

    assert built.returncode != 0
    assert 'Invalid value for option ' + refusal in built.stdout


# A hook of the built charm


@pytest.fixture
def unit(charm, tmp_path):
    """The directory of a unit that leads alone: charm/, bin/ with strict fakes, state/ that they keep."""
    shutil.copytree(str(charm), str(tmp_path / 'charm'))
    (tmp_path / 'charm' / '.juju-persistent-config').write_text('{"memory": 1}')  # as after install
    for name in ('bin', 'state', 'site'):
        (tmp_path / name).mkdir()
    for name in ('config', 'leader', 'databag', 'application'):
        (tmp_path / 'state' / name).write_text('{}')
    ubuntu = "import platform\nplatform.linux_distribution = lambda *a, **k: ('Ubuntu', '22.04', 'jammy')\n"
    (tmp_path / 'site' / 'sitecustomize.py').write_text(ubuntu)  # charmhelpers 1.2.1 refuses Debian
    (tmp_path / 'tool').write_text(TOOL)
    (tmp_path / 'bin' / 'python3').write_text('#!/bin/sh\nexec "{}" "$@"\n'.format(sys.executable))
    for script in (tmp_path / 'tool', tmp_path / 'bin' / 'python3'):
        script.chmod(0o755)
    for name in TOOLS.split():
        (tmp_path / 'bin' / name).symlink_to(tmp_path / 'tool')
    return tmp_path


def run_hook(unit, name, memory):
    """Run a hook; return what systemctl was called with in it."""
    (unit / 'state' / 'config').write_text(json.dumps({'memory': memory}))
    (unit / 'state' / 'systemctl').write_text('')
    run_file(unit, 'hooks/' + name, JUJU_HOOK_NAME=name)
    return (unit / 'state' / 'systemctl').read_text().splitlines()


def run_action(unit, name, **parameters):
    """Run an action; return what it has set."""
    (unit / 'state' / 'action-set').write_text('')
    told = json.dumps(parameters)
    run_file(unit, 'actions/' + name, JUJU_HOOK_NAME='', JUJU_ACTION_NAME=name, PARAMETERS=told)
    return (unit / 'state' / 'action-set').read_text()


def run_file(unit, file, **more):
    """Run a file of the charm as Juju does."""
    env = {
        'CHARM_DIR': str(unit / 'charm'),
        'JUJU_CHARM_DIR': str(unit / 'charm'),
        'JUJU_CONTEXT_ID': 'rolling-db/0-{}-{}'.format(file, uuid.uuid4().hex),
        'JUJU_MODEL_NAME': 'model',
        'JUJU_UNIT_NAME': 'rolling-db/0',
        'JUJU_VERSION': '3.6.1',
        'PATH': '{}:/usr/bin:/bin'.format(unit / 'bin'),
        'PYTHONPATH': str(unit / 'site'),
        **more,
    }
    command = [str(unit / 'charm' / file)]
    hook = run(command, cwd=str(unit / 'charm'), env=env, stdout=PIPE, stderr=STDOUT, text=True)
    assert hook.returncode == 0, hook.stdout
    assert not (unit / 'state' / 'refused').exists(), (unit / 'state' / 'refused').read_text()


def test_a_changed_config_restarts_a_lone_leader_once_in_the_same_hook(unit):
    started = run_hook(unit, 'start', memory=1)

    restarts = run_hook(unit, 'config-changed', memory=2)

    assert (started, restarts) == (['start rolling-db'], ['restart rolling-db'])
    ledger = ledger_in(json.loads((unit / 'state' / 'leader').read_text()))
    assert [ticket.unit for ticket in ledger.tickets] == ['rolling-db/0']
    assert 'ERROR' not in (unit / 'state' / 'juju-log').read_text()


def test_an_unchanged_config_restarts_nothing_after_the_turn_and_the_next_change_does(unit):
    run_hook(unit, 'start', memory=1)

    first = run_hook(unit, 'config-changed', memory=2)
    same = run_hook(unit, 'config-changed', memory=2)
    other = run_hook(unit, 'config-changed', memory=3)

    assert (first, same, other) == (['restart rolling-db'], [], ['restart rolling-db'])


@pytest.mark.parametrize('form', ['text', 'json'])
def test_the_layers_action_runs_as_a_process_of_its_own_and_writes_nothing(unit, form):
    run_hook(unit, 'start', memory=1)
    run_hook(unit, 'config-changed', memory=2)
    before = {path: path.read_bytes() for path in unit.rglob('*') if path.is_file() and is_kept(path)}

    answer = run_action(unit, 'coordinator-show', format=form)

    if form == 'text':
        assert answer.startswith('coordinator=Locks as rolling-db/0 sees them at ')
    else:
        found = json.loads(answer[len('coordinator=') :])
        assert (found['version'], found['leads'], found['ledger'], found['queues']) == (1, True, 'open', [])
    assert {path: path.read_bytes() for path in unit.rglob('*') if path.is_file() and is_kept(path)} == before


def is_kept(path):
    return path.name not in ('action-set', 'juju-log') and path.suffix != '.pyc'


def test_an_action_that_gives_an_order_runs_as_a_process_of_its_own_and_changes_no_status(unit):
    run_hook(unit, 'start', memory=1)
    before = (unit / 'state' / 'status-set').read_text()

    answer = run_action(unit, 'coordinator-roll', lock='restart', format='json')

    found = json.loads(answer[len('coordinator=') :])
    assert (found['written'], found['stages']) == (True, [['rolling-db/0']])
    # Juju brings the leader a hook for its own turn.
    word = json.loads((unit / 'state' / 'application').read_text())
    assert list(word) == ['coordinator-turn']
    assert 'coordinator-roll-' in word['coordinator-turn']  # new in each context
    assert (unit / 'state' / 'status-set').read_text() == before
    assert run_hook(unit, 'config-changed', memory=1) == ['restart rolling-db']
