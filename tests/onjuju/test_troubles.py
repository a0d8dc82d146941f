"""What keeps the scenes from being played: a sentence that says what to do, and nothing is left behind."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('jubilant', reason='jubilant is not installed; it needs Python 3.10')
pytest.importorskip('rich', reason='the suite shows with rich, which this environment has not')

from tests.deploy import ROOT
from tests.onjuju import charm, lab, play
from tests.onjuju.scenes import Stage
from tests.onjuju.trouble import Skipped, Trouble

SINCE = '26 Nov 2026 10:42:43Z'
SETTINGS = {
    'logging-config': {'Value': '<root>=INFO', 'Source': 'default'},
    'update-status-hook-interval': {'Value': '5m', 'Source': 'default'},
}
OWN = 'on-juju-*'


def status(units=None, machines=1, app='rolling-db'):
    """What `juju status` has of units, each with a workload status and a message."""
    found = {
        name: {
            'workload-status': {'current': current, 'message': message, 'since': SINCE},
            'juju-status': {'current': 'idle', 'since': SINCE},
            'machine': name.split('/')[1],
        }
        for name, (current, message) in (units or {}).items()
    }
    about = {
        'charm': 'local:x-0',
        'charm-origin': 'local',
        'charm-name': 'x',
        'charm-rev': 0,
        'exposed': False,
        'units': found,
    }
    return {
        'model': {
            'name': 'lab',
            'type': 'iaas',
            'controller': 'c',
            'cloud': 'x',
            'version': '4.0.14',
            'model-status': {},
        },
        'machines': {str(number): {'juju-status': {'current': 'started'}} for number in range(machines)},
        'applications': {app: about} if units else {},
        'controller': {'timestamp': '10:50:00Z'},
    }


@pytest.fixture
def played(client, example, capsys, monkeypatch, tmp_path):
    """Plays a scene with the client; returns the exit code and what was said."""
    monkeypatch.chdir(tmp_path)

    def go(*words):
        given = ['--charm', str(example), '--scenes', 'roll', '--juju', str(client.path), *words]
        code = play.main(given)
        return code, ' '.join(capsys.readouterr().out.split())

    return go


@pytest.fixture
def deployed(client):
    """A client that knows what it takes to deploy on a model of the suite's own, and to destroy that."""
    client.tell('add-model --no-switch ' + OWN)
    client.tell('model-config --model {} --format json'.format(OWN), SETTINGS)
    client.tell('model-config --model {} logging-config=*'.format(OWN))
    client.tell('deploy --model {} * rolling-db *'.format(OWN))
    client.tell('destroy-model {} --no-prompt --destroy-storage --force'.format(OWN))
    return client


def destroyed(client):
    return [call for call in client.calls if call.startswith('destroy-model ')]


def test_without_a_client_it_says_where_to_get_one(example, capsys):
    assert play.main(['--charm', str(example), '--juju', '/nowhere/juju']) == 2
    said = capsys.readouterr().out
    assert 'There is no program /nowhere/juju. Install it (sudo snap install juju)' in said
    assert 'LOCAL=4' in said


def test_a_client_of_juju_2_is_refused(client, played):
    client.tell('version', '2.9.52-ubuntu-amd64\n')
    code, said = played()
    assert code == 2
    assert 'is a client of Juju 2.9.52-ubuntu-amd64' in said


def test_without_a_controller_it_says_how_to_make_one(client, played):
    client.tell('controllers --format json', {'controllers': {}, 'current-controller': ''})
    code, said = played()
    assert code == 2
    assert 'There is no controller. Make one (juju bootstrap), or choose one (juju switch).' in said


@pytest.mark.parametrize(
    'answer, why',
    [
        ({'err': 'ERROR connection is shut down\n', 'code': 1}, 'ERROR connection is shut down'),
        ({'then': 'exec sleep 5; '}, 'nothing came within 0 s'),
    ],
)
def test_a_controller_that_does_not_answer_is_named(client, played, monkeypatch, answer, why):
    monkeypatch.setattr(lab, 'ANSWER_S', 0.4)
    client.tell('models --format json', **answer)
    code, said = played()
    assert code == 2
    assert 'The controller c does not answer: {}. Look at it with:'.format(why) in said


def test_a_model_that_is_not_there_is_named_with_those_that_are(client, played):
    code, said = played('--model', 'lob')
    assert code == 2
    assert 'MODEL=lob: there is no such model. There are: lab.' in said


def test_too_few_free_machines_are_counted(client, played):
    client.tell('status --model lab --format json', status({'other/0': ('active', '')}, 4, app='other'))
    code, said = played('--model', 'lab', '--scenes', 'roll scale')
    assert code == 2
    assert 'MODEL=lab: 3 of its 4 machines are free, and 5 are needed: 4 units, and 1 more' in said
    assert not [
        call for call in client.calls if call.split()[0] not in ('version', 'controllers', 'models', 'status')
    ]


def test_an_application_of_that_name_is_not_touched(client, played):
    client.tell('status --model lab --format json', status({'rolling-db/0': ('active', '')}))
    code, said = played('--model', 'lab')
    assert code == 2
    assert 'it has an application rolling-db already' in said
    assert not [call for call in client.calls if 'remove' in call or 'destroy' in call]


def test_a_unit_that_fails_to_install_is_shown_with_its_log_and_the_model_goes(deployed, played):
    failed = status({'rolling-db/0': ('error', 'hook failed: "install"'), 'rolling-db/1': ('active', '')})
    deployed.tell('status --model {} --format json'.format(OWN), failed)
    deployed.tell(
        'debug-log --model {} --no-tail --include unit-rolling-db-0 --lines 8'.format(OWN),
        'No module named yaml\n',
    )
    code, said = played()
    assert code == 2
    assert 'rolling-db/0 failed to install. Its log says why' in said
    assert 'rolling-db/0: error (hook failed: "install"), agent idle No module named yaml' in said
    assert len(destroyed(deployed)) == 1


def test_what_takes_too_long_is_said_with_the_units_that_are_not_ready(deployed, played, monkeypatch):
    monkeypatch.setattr(play, 'wishes_of', hurried(play.wishes_of))
    late = status({'rolling-db/0': ('waiting', 'installing agent')})
    deployed.tell('status --model {} --format json'.format(OWN), late)
    deployed.tell('debug-log --model {} --no-tail *'.format(OWN), 'unit-rolling-db-0: allocating\n')
    code, said = played()
    assert code == 2
    assert 'It took more than 3 s: installs. PATIENCE= gives more seconds' in said
    assert 'rolling-db/0: waiting (installing agent), agent idle unit-rolling-db-0: allocating' in said
    assert len(destroyed(deployed)) == 1


def hurried(wishes_of, pause=lambda seconds: None):
    return lambda options: wishes_of(options)._replace(patience_s=3.0, pause=pause)


def test_ctrl_c_removes_what_was_made(deployed, played, monkeypatch):
    def pressed(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(play, 'wishes_of', hurried(play.wishes_of, pressed))
    deployed.tell('status --model {} --format json'.format(OWN), status())
    code, said = played()
    assert code == 2
    assert 'Stopped by hand; what was made is removed.' in said
    added = next(call for call in deployed.calls if call.startswith('add-model ')).split()[-1]
    assert destroyed(deployed) == ['destroy-model {} --no-prompt --destroy-storage --force'.format(added)]


def heeds_ctrl_c():
    """What a shell runs in the background ignores SIGINT, and so does all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_real_ctrl_c_while_juju_adds_the_model_removes_it_too(deployed, example, tmp_path):
    began = tmp_path / 'began'
    deployed.tell('add-model --no-switch ' + OWN, then='touch {}; sleep 5; '.format(began))
    words = ['--charm', str(example), '--scenes', 'roll', '--juju', str(deployed.path)]
    argv = [sys.executable, '-m', 'tests.onjuju.play', *words]
    environ = {**os.environ, 'PYTHONPATH': '{0}/lib:{0}'.format(ROOT)}
    ran = subprocess.Popen(
        argv, cwd=str(tmp_path), env=environ, stdout=subprocess.PIPE, start_new_session=True,
        preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
    while not began.exists():
        assert ran.poll() is None
        time.sleep(0.02)
    os.killpg(ran.pid, signal.SIGINT)

    assert ran.wait(60) == 2
    assert b'Stopped by hand' in ran.stdout.read()
    assert len(destroyed(deployed)) == 1


def test_keep_leaves_all_and_says_how_to_remove_it(deployed, played, monkeypatch):
    monkeypatch.setattr(play, 'wishes_of', hurried(play.wishes_of))
    deployed.tell('status --model {} --format json'.format(OWN), status())
    code, said = played('--keep')
    assert code == 2
    assert destroyed(deployed) == []
    assert re.search(r'Kept: juju destroy-model --no-prompt --force on-juju-\w+', said)


def test_a_borrowed_model_is_left_as_it_was(client, played, monkeypatch):
    monkeypatch.setattr(play, 'wishes_of', hurried(play.wishes_of))
    client.tell('status --model lab --format json', status(machines=4))
    client.tell('model-config --model lab --format json', SETTINGS)
    client.tell('model-config --model lab logging-config=<root>=INFO;juju.worker.uniter=DEBUG *=1m')
    client.tell('deploy --model lab * rolling-db *--to 0,1,2,3*')
    client.tell('remove-application --model lab --no-prompt rolling-db --force')
    client.tell('model-config --model lab logging-config=<root>=INFO update-status-hook-interval=5m')
    code, _ = played('--model', 'lab')
    assert code == 2
    assert [call.split()[0] for call in client.calls][-2:] == ['remove-application', 'model-config']
    assert destroyed(client) == []


def test_what_cannot_be_removed_is_said_with_the_command_for_it(deployed, played, monkeypatch):
    monkeypatch.setattr(play, 'wishes_of', hurried(play.wishes_of))
    deployed.tell('status --model {} --format json'.format(OWN), status())
    deployed.tell('destroy-model {} *'.format(OWN), err='ERROR no route to host\n', code=1)
    _, said = played()
    assert re.search(
        r'Could not remove all: ERROR no route to host. By hand: juju destroy-model .* on-juju-\w+', said
    )


@pytest.mark.parametrize(
    'words, sentence',
    [
        (['--units', '2'], "UNITS: expected a whole number from 3 to 50, found '2'"),
        (['--work', 'long'], "WORK: expected a whole number from 1 to 600, found 'long'"),
        (['--patience', '1'], 'PATIENCE: expected a whole number from 10 to 86400'),
        (['--scenes', 'roll fall'], 'SCENES: there is no fall; there are roll, ordered, failure, action'),
        (['--work', '1'], "WORK: less than 5 s go with SCENES='roll ordered' only"),
        (['--local', '2'], "LOCAL: expected 3 or 4, found '2'"),
    ],
)
def test_a_senseless_value_is_refused_in_a_sentence(capsys, words, sentence):
    with pytest.raises(SystemExit) as ended:
        play.parsed(words)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_charm_that_was_not_built_is_refused(client, capsys):
    client.tell('version', '4.0.14\n')
    source = ROOT / 'examples' / 'rolling-db'
    assert play.main(['--charm', str(source), '--juju', str(client.path)]) == 2
    assert 'this is the example as a layer; build it first' in capsys.readouterr().out


def test_a_folder_that_is_not_the_example_is_refused(tmp_path):
    with pytest.raises(Trouble, match='expected the folder of the built example'):
        charm.recorded(tmp_path, tmp_path / 'copy', 10)


def test_a_build_that_fails_is_said_with_its_last_lines(tmp_path):
    def start(argv, **more):
        assert more['env']['CHARM_LAYERS_DIR'] == str(tmp_path / 'build' / 'layers')
        code = int(argv[-1].startswith('setuptools'))
        return subprocess.CompletedProcess(argv, code, stdout='Collecting\nERROR: no matching distribution\n')

    steps = []
    with pytest.raises(Trouble, match='Could not install charm-tools: pip failed') as failed:
        charm.built(tmp_path / 'build', steps.append, start)
    assert failed.value.details[-1] == 'ERROR: no matching distribution'
    assert steps == ['make an environment for charm-tools', 'install charm-tools']


def test_the_build_is_the_one_of_the_page(tmp_path):
    ran = []

    def start(argv, **more):
        ran.append(argv)
        return subprocess.CompletedProcess(argv, 0, stdout='')

    charm.built(tmp_path, lambda text: None, start)
    page = (ROOT / 'docs' / 'building.md').read_text()
    pip, build = ran[1], ran[2]
    assert "pip install '{}' '{}' '{}'".format(*pip[3:]) in page
    assert build[1] == '--binary-wheels'
    assert build[2].endswith('layers/coordinator/examples/rolling-db')
    assert (tmp_path / 'layers' / 'coordinator' / 'layer.yaml').exists()


@pytest.mark.parametrize(
    'answer, why',
    [
        ({'err': 'ERROR permission denied (publickey)\n', 'code': 255}, 'has none: ERROR permission denied'),
        ({'code': 1}, 'no process of a hook was found on the machine of rolling-db/0'),
    ],
)
def test_a_scene_that_needs_a_shell_says_so_where_it_has_none(client, answer, why):
    client.tell(
        'config --model lab --format json rolling-db', {'settings': {'memory': {'type': 'int', 'value': 1}}}
    )
    client.tell('ssh --model lab --no-host-key-checks rolling-db/0 sudo pkill *', **answer)
    borrowed = lab.Lab(str(client.path), lab.Wishes(), print)
    borrowed.juju.model = 'lab'

    with pytest.raises(Skipped, match=re.escape(why)):
        Stage(borrowed, 'kill').on_machine_of('rolling-db/0', "sudo pkill -KILL -f '[h]ooks/'")
