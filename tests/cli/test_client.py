"""What the local Juju's client does by itself: models, time, what it refuses, and what a machine does."""

import json
import os
import re
import shutil
import subprocess

import pytest

from jujusim.cli import known, server, verbs
from jujusim.cli.client import run
from jujusim.cli.model import LocalModel
from jujusim.cli.places import Models
from jujusim.cli.words import NotKnown, Refused, parse, seconds

CHARM = {
    'metadata.yaml': 'name: db\npeers: {mates: {interface: mates}}',
    'config.yaml': 'options: {size: {type: int, default: 1}, ready: {type: boolean}, name: {type: string}}',
    'actions.yaml': 'count: {params: {to: {type: integer, default: 3}}}\nfail: {}\nbreak: {}',
    'hooks/start': '#!/bin/sh\nstatus-set active ready\n',
    'hooks/config-changed': '#!/bin/sh\nif [ -e ill ]; then exit 1; fi\nsleep 10\n',
    'actions/count': '#!/bin/sh\necho counting\naction-set n.last=$(action-get --format json to)\n',
    'actions/fail': '#!/bin/sh\naction-fail "not today"\n',
    'actions/break': '#!/bin/sh\necho oh\nexit 4\n',
}


@pytest.fixture
def charm(tmp_path):
    for name, text in CHARM.items():
        path = tmp_path / 'db' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return tmp_path / 'db'


@pytest.fixture(params=['3.6.1', '4.0.14'])
def model(request):
    """A model in this process, with a function that does a command on it."""
    about = {'name': 'lab', 'uuid': '1' * 32, 'version': request.param, 'seed': 0, 'quick': False}
    made = LocalModel({**about, 'machine': ''})

    def does(text, step=5.0, folder='/'):
        return server.answer(made, {'argv': text.split(), 'folder': str(folder), 'step': step})

    does.model = made
    yield does
    made.close()


@pytest.fixture
def deployed(model, charm):
    """The same with two units at rest."""
    assert model('deploy {} -n 2'.format(charm)).code == 0
    model('status', step=60.0)
    return model


def units(model):
    return json.loads(model('status --format json', step=0.0).out)['applications']['db']['units']


# What is known


def test_each_verb_that_is_known_is_done_somewhere():
    assert set(verbs.DO) == set(known.OF_A_MODEL)
    assert not set(known.OF_A_MODEL) & set(known.OF_THE_CLIENT)
    assert set(known.ALIASES.values()) <= set(known.VERBS)


@pytest.mark.parametrize('text', ['integrate a b', 'bootstrap', 'frobnicate', ''])
def test_a_verb_that_is_not_known_is_refused_by_name(juju, text):
    found = juju(*text.split())

    assert found.code == 2
    assert found.err.startswith('jujusim: juju {}: not known here; known: '.format(text.split(' ')[0]))
    assert 'deploy' in found.err


@pytest.mark.parametrize(
    'text, said',
    [
        ('deploy ./db --trust', 'the option --trust is not known here'),
        ('deploy postgresql', 'no Charmhub here'),
        ('status --format dot', '--format dot is not known here; known: json, yaml, tabular'),
        ('remove-unit db/0', 'give --no-prompt'),
        ('model-config ssl=no', 'ssl is not known here'),
        ('exec --machine 0 -- true', 'the option --machine is not known here'),
        ('exec -- true', 'only --unit and --application are known here'),
        ('refresh db', 'only --path is known here'),
        ('ssh 0 reboot', 'reboot is not known here; known, also with sudo: systemctl stop jujud-machine-0'),
        ('deploy {} other', 'this model has db already'),
    ],
)
def test_what_is_not_known_is_refused_with_exit_code_2(deployed, charm, text, said):
    found = deployed(text.format(charm))

    assert (found.code, found.out) == (2, '')
    assert said in found.err


@pytest.mark.parametrize(
    'text, said',
    [
        ('deploy {}', 'cannot add application "db": application already exists'),
        ('config db size=large', 'option "size" expected int'),
        ('config db ready=perhaps', 'option "ready" expected boolean'),
        ('config db nosuch', 'key "nosuch" not found in "db"'),
        ('add-unit other', 'application other not found'),
        ('add-unit db --to 7', 'machine 7 not found'),
        ('remove-unit --no-prompt db/9', 'removing unit db/9 failed: unit "db/9" does not exist'),
        ('run db/0 count to', 'must be of the form key.key.key...=value'),
        ('run count', 'run: expected a unit and an action'),
        ('show-task 99', 'task "99" not found'),
        ('run db/0 count --wait soon', 'time: invalid duration'),
        ('status other', '"other" not found'),
        ('ssh 9 reboot', 'machine 9 not found'),
    ],
)
def test_what_juju_refuses_is_an_error_with_exit_code_1(deployed, charm, text, said):
    found = deployed(text.format(charm))

    assert found.code == 1
    assert found.err.startswith('ERROR ')
    assert said in found.err


def test_what_is_no_charm_is_not_deployed(model, tmp_path):
    found = model('deploy ./nothing', folder=tmp_path)

    assert (found.code, found.err) == (1, 'ERROR no charm was found at "{}/nothing"\n'.format(tmp_path))
    assert model('status').err == '\nModel "admin/lab" is empty.\n'


def test_a_packed_charm_is_deployed_as_its_folder_is(model, charm, tmp_path):
    packed = shutil.make_archive(str(tmp_path / 'packed'), 'zip', str(charm))
    os.rename(packed, str(tmp_path / 'db.charm'))

    assert model('deploy ./db.charm', folder=tmp_path).code == 0
    model('status', step=60.0)

    assert units(model)['db/0']['workload-status']['message'] == 'ready'


def test_a_command_line_is_taken_apart_as_by_juju():
    line = parse(
        'deploy', ['-n', '3', './db', '--config=a=1', '--config', 'b=2', 'x'], 'num-units|n= config='
    )
    assert (line.options, line.words) == ({'num-units': ['3'], 'config': ['a=1', 'b=2']}, ['./db', 'x'])
    line = parse('exec', ['--unit', 'a/0', 'ls', '-l'], 'unit|u=', mixed=False)
    assert (line.options, line.words) == ({'unit': ['a/0']}, ['ls', '-l'])
    with pytest.raises(NotKnown):
        parse('deploy', ['--to', '1'], 'force')
    with pytest.raises(Refused):
        parse('deploy', ['--config'], 'config=')
    assert [seconds(text) for text in ('5s', '1m30s', '0.5s', '2.0s', '1h', '20ms')] == [
        5,
        90,
        0.5,
        2,
        3600,
        0.02,
    ]


# Models


def test_a_model_lives_between_commands_and_ends_when_it_is_destroyed(juju, charm, environ):
    assert juju('add-model', 'one').err.startswith("Added 'one' model on simulated")
    assert juju('add-model', 'two', '--no-switch').code == 0
    assert juju('deploy', str(charm), '-n', '2').code == 0
    assert juju('add-model', 'one').err.endswith('model "one" for admin already exists (already exists)\n')

    found = json.loads(juju('models', '--format', 'json').out)
    assert [model['short-name'] for model in found['models']] == ['one', 'two']
    assert found['current-model'] == 'one'
    assert 'db' in json.loads(juju('status', '--format', 'json').out)['applications']
    assert not json.loads(juju('status', '-m', 'jujusim:admin/two', '--format', 'json').out)['applications']
    assert run(['status'], {**environ, 'JUJU_MODEL': 'two'}).err == '\nModel "admin/two" is empty.\n'
    assert juju('switch', 'two').err == 'jujusim:admin/one -> jujusim:admin/two\n'
    assert juju('switch').out == 'jujusim:admin/two\n'

    about = Models(environ).about('one')
    assert juju('destroy-model', '--no-prompt', 'one').err.endswith('Model destroyed.\n')
    assert juju('status', '-m', 'one').err == 'ERROR model jujusim:one not found\n'
    assert not os.path.exists(about['socket'])
    assert juju('destroy-model', 'two').code == 2  # it cannot ask


def test_without_a_model_it_says_what_to_do(juju):
    assert juju('status').code == 1
    assert 'juju add-model' in juju('status').err


def test_a_model_whose_process_has_ended_is_told_so_and_can_be_forgotten(juju, environ):
    juju('add-model', 'lab')
    about = Models(environ).about('lab')
    os.unlink(about['socket'])

    assert juju('status').code == 1
    assert 'has ended; its last words are in' in juju('status').err
    assert juju('destroy-model', '--no-prompt', 'lab').code == 0


@pytest.mark.parametrize(
    'name, value, code',
    [
        ('JUJUSIM_VERSION', '2.9.1', 2),
        ('JUJUSIM_VERSION', 'latest', 2),
        ('JUJUSIM_SEED', 'x', 2),
        ('JUJUSIM_MACHINE', '/nowhere/machine.py', 1),
    ],
)
def test_what_the_environment_says_wrong_is_told_at_once(environ, name, value, code):
    found = run(['add-model', 'lab'], {**environ, name: value})

    assert found.code == code
    assert (name if code == 2 else 'No such file or directory') in found.err
    assert Models(environ).names() == []


def test_the_program_hands_on_what_the_client_says(program, tmp_path):
    done = subprocess.run(
        [str(program), 'version'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith('4.0.14-ubuntu-')
    done = subprocess.run(
        [str(program), 'ssh-keys'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert (done.returncode, done.stdout) == (2, '')
    assert done.stderr.startswith('jujusim: juju ssh-keys: not known here')


# Time


def test_a_status_takes_some_seconds_and_other_commands_none(deployed):
    before = deployed.model.now

    for text in ('config db size=2', 'machines', 'debug-log', 'show-unit db/0', 'add-unit db'):
        assert deployed(text).code == 0
    assert deployed.model.now == before
    deployed('status', step=7.0)
    assert deployed.model.now == before + 7.0


def test_a_task_takes_as_long_as_it_takes_with_the_hook_before_it(deployed):
    deployed('config db size=2')
    deployed('status', step=2.5)
    before = deployed.model.now

    assert units(deployed)['db/0']['juju-status']['message'] == 'running config-changed hook'
    assert deployed('run db/0 count').code == 0
    assert 5 < deployed.model.now - before < 15


def test_a_task_that_is_late_says_so_and_goes_on(deployed):
    deployed('config db size=2')
    deployed('status', step=2.5)

    found = deployed('run db/0 count --wait 1s')
    assert found.code == 1
    assert found.err.endswith('ERROR timed out waiting for results from: unit db/0\n')
    number = found.err.split('task ')[1].split(' ')[0]
    deployed('status', step=30.0)
    assert json.loads(deployed('show-task {} --format json'.format(number)).out)['status'] == 'completed'


def test_the_same_seed_has_the_same_history(charm):
    logs = []
    for seed in (1, 1, 2):
        about = {'name': 'lab', 'uuid': '1' * 32, 'version': '4.0.14', 'quick': False, 'machine': ''}
        model = LocalModel({**about, 'seed': seed})
        for text in (
            'deploy {} -n 3'.format(charm),
            'status',
            'config db size=2',
            'status',
            'debug-log --ms',
        ):
            found = server.answer(model, {'argv': text.split(), 'folder': '/', 'step': 20.0})
        logs.append(found.out)
        model.close()

    assert logs[0] == logs[1] != logs[2]


# Tasks


def test_an_action_returns_what_it_set_and_printed(deployed):
    found = json.loads(deployed('run db/0 db/1 count to=5 --format json').out)

    assert list(found) == ['db/0', 'db/1']
    assert found['db/0']['results'] == {'n': {'last': '5'}, 'return-code': 0, 'stdout': 'counting\n'}
    assert deployed('run db/0 count').out == "n:\n  last: '3'\n\ncounting\n"


def test_an_action_fails_by_its_own_word_or_by_its_exit_code(deployed):
    found = deployed('run db/0 fail')
    assert found.code == 0
    assert re.fullmatch(r'Action id \d+ failed: not today\n\n', found.out)

    found = deployed('run db/0 break --format json')
    about = json.loads(found.out)['db/0']
    assert found.code == 1
    assert (about['status'], about['message'], about['results']['return-code']) == (
        'failed',
        'exit status 4',
        4,
    )
    assert 'with return code 4' in found.err


def test_a_command_on_all_units_prints_each(deployed):
    assert deployed('exec -a db hostname').code == 0
    assert deployed('exec -u db/0,db/1 -- basename metadata.yaml .yaml').out == (
        'db/0:\nmetadata\n\ndb/1:\nmetadata\n\n'
    )


# Errors, and a model that stands still


def test_a_failed_hook_is_shown_and_logged_and_its_retry_can_be_skipped(deployed):
    deployed('model-config automatically-retry-hooks=false')
    deployed('exec -u db/1 -- touch ill')
    deployed('config db size=2')
    deployed('status', step=30.0)

    unit = units(deployed)['db/1']
    assert unit['workload-status']['current'] == 'error'
    assert unit['workload-status']['message'] == 'hook failed: "config-changed"'
    assert unit['juju-status']['current'] == 'idle'
    since = unit['workload-status']['since']
    deployed('status', step=30.0)
    assert units(deployed)['db/1']['workload-status']['since'] == since
    log = deployed('debug-log --include db/1 --level ERROR').out
    assert 'hook "config-changed" (via explicit, bespoke hook script) failed: exit status 1' in log

    assert deployed('resolve db/1').code == 0
    deployed('status', step=30.0)
    assert units(deployed)['db/1']['workload-status']['current'] == 'error'
    assert deployed('resolve --no-retry db/1').code == 0
    deployed('status', step=1.0)
    assert units(deployed)['db/1']['workload-status']['current'] == 'active'


def test_a_program_that_no_machine_answers_stops_the_model_with_its_name(model, charm):
    (charm / 'hooks' / 'install').write_text(
        '#!/usr/bin/env python3\nimport subprocess\nsubprocess.call(["reboot"])\n'
    )
    model('deploy {}'.format(charm))

    for text in ('status', 'config db size=2'):
        found = model(text)
        assert found.code == 2
        assert 'no answer for the program reboot' in found.err
    assert model('debug-log').code == 0


# Machines


def test_units_are_placed_on_free_machines_or_on_those_that_are_named(model, charm):
    assert model('add-machine -n 3').err == 'created machine 0\ncreated machine 1\ncreated machine 2\n'
    model('deploy {} -n 2 --to 2,0'.format(charm))
    assert [unit['machine'] for unit in units(model).values()] == ['2', '0']
    model('add-unit db -n 2')
    assert [unit['machine'] for unit in units(model).values()] == ['2', '0', '1', '3']


def test_a_leader_whose_agent_is_stopped_is_lost_and_another_unit_leads(deployed):
    leader = deployed.model.live.controller.leader
    machine = deployed.model.machine_of(leader)

    assert deployed('ssh {0} sudo systemctl stop jujud-machine-{0}'.format(machine)).code == 0
    assert units(deployed)[leader]['juju-status']['current'] == 'lost'
    deployed('status', step=120.0)
    assert deployed.model.live.controller.leader not in (leader, None)
    assert deployed('ssh {} sudo systemctl start jujud-machine-{}.service'.format(leader, machine)).code == 0
    deployed('status', step=20.0)
    assert units(deployed)[leader]['juju-status']['current'] == 'idle'


def test_a_hooks_process_is_killed_and_the_hook_runs_again(deployed):
    assert deployed('ssh 0 pkill -KILL -f hooks/').code == 1  # none runs
    deployed('config db size=2')
    deployed('status', step=3.0)

    assert deployed('ssh 0 sudo pkill -KILL -f hooks/start').code == 1
    assert deployed('ssh 0 sudo pkill -KILL -f hooks/config-changed').code == 0
    assert 'message' not in units(deployed)['db/0']['juju-status']
    deployed('status', step=3.0)
    assert units(deployed)['db/0']['juju-status']['message'] == 'running config-changed hook'


def test_the_log_keeps_what_the_models_setting_keeps(deployed):
    assert ' DEBUG ' not in deployed('debug-log --replay').out
    deployed('model-config logging-config=<root>=WARNING;juju.worker.uniter=DEBUG')

    log = deployed('debug-log --replay --include unit-db-0').out
    assert 'DEBUG juju.worker.uniter.operation running operation run config-changed hook for db/0' in log
    assert 'DEBUG juju.worker.uniter.operation committing operation "run config-changed hook" for db/0' in log
    assert 'running operation run relation-joined (0; unit: db/1) hook for db/0' in log
    assert 'juju.worker.leadership' not in log
    assert 'unit-db-1' not in log
