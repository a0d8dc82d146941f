"""What the local Juju's client does by itself: models, time, what it refuses, and what a machine does."""

import json
import os
import shutil
import subprocess

import pytest

from jujusim.cli import known, server, verbs
from jujusim.cli.client import run
from jujusim.cli.model import LocalModel
from jujusim.cli.places import Models
from jujusim.cli.words import NotKnown, Refused, parse, seconds
from tests.cli.small import units

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
def test_what_is_not_known_is_refused_with_exit_code_2(refusing, text, said):
    found = refusing(text.format(refusing.charm))

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
def test_what_juju_refuses_is_an_error_with_exit_code_1(refusing, text, said):
    found = refusing(text.format(refusing.charm))

    assert found.code == 1
    assert found.err.startswith('ERROR ')
    assert said in found.err


def test_what_is_no_charm_is_not_deployed(model, tmp_path):
    found = model('deploy ./nothing', folder=tmp_path)

    assert (found.code, found.err) == (1, 'ERROR no charm was found at "{}/nothing"\n'.format(tmp_path))
    assert model('status').err == '\nModel "admin/lab" is empty.\n'


@pytest.mark.parametrize(
    'text, said',
    [
        ('{name: db, subordinate: true}', 'db is a subordinate, which is not known here'),
        ('{name: db, peers: {a: {interface: a}, b: {interface: b}}}', 'has one peer relation'),
    ],
)
def test_a_charm_that_the_local_juju_does_not_run_is_refused(model, charm, text, said):
    (charm / 'metadata.yaml').write_text(text)

    found = model('deploy {}'.format(charm))

    assert found.code == 2
    assert said in found.err
    assert model('status').err == '\nModel "admin/lab" is empty.\n'


def test_a_deployment_with_a_wrong_option_leaves_nothing_behind(model, charm):
    found = model('deploy {} --config nosuch=1'.format(charm))

    assert (found.code, found.err) == (1, 'ERROR invalid application config: unknown option "nosuch"\n')
    assert model('status').err == '\nModel "admin/lab" is empty.\n'
    assert model('deploy {} --config size=7'.format(charm)).code == 0
    assert model('config db size').out == '7\n'


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


def test_a_status_of_one_unit_shows_that_one(deployed):
    found = json.loads(deployed('status db/1 --format json').out)

    assert list(found['applications']['db']['units']) == ['db/1']


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
