"""The program `juju` of the local Juju, with models that end with the test."""

import os
import shutil
import subprocess

import pytest
import yaml

from jujusim.cli import server
from jujusim.cli.client import run
from jujusim.cli.model import LocalModel
from jujusim.cli.places import Models
from tests.cli.small import CHARM
from tests.deploy import ROOT

MACHINE = """
from pathlib import Path

def machine(unit, argv):
    if argv[:2] == ['systemctl', 'restart']:
        return 20.0, int((Path(__file__).parent / ('ill-' + unit.replace('/', '-'))).exists())
    return (0.0, 0) if argv[0] == 'systemctl' else None
"""
"""A restart takes 20 s, and fails while there is a file ill-APP-N beside this one."""


NAMES = ('JUJU_MODEL', 'JUJUSIM_VERSION', 'JUJUSIM_SEED', 'JUJUSIM_STEP_S', 'JUJUSIM_QUICK')


def surroundings(folder):
    """Return what the client's environment says: a state directory and a machine in a folder of the test."""
    (folder / 'machine.py').write_text(MACHINE)
    return {'JUJU_DATA': str(folder / 'data'), 'JUJUSIM_MACHINE': str(folder / 'machine.py')}


def destroy_all(environ):
    for name in Models(environ).names():
        run(['destroy-model', '--no-prompt', name], environ)


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """The environment of the client, for programs that the test starts, too."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in surroundings(tmp_path).items():
        monkeypatch.setenv(name, value)
    yield os.environ
    destroy_all(os.environ)


@pytest.fixture(scope='module')
def lab(tmp_path_factory, example):
    """Runs commands on the model lab2 with four units of the application lead, at rest: one for all tests."""
    folder = tmp_path_factory.mktemp('lab')
    environ = {**surroundings(folder), 'JUJUSIM_QUICK': '1'}
    charm = folder / 'rdb-lead'
    shutil.copytree(str(example), str(charm))
    described = yaml.safe_load((charm / 'metadata.yaml').read_text())
    (charm / 'metadata.yaml').write_text(yaml.safe_dump({**described, 'name': 'rdb-lead'}))

    def command(*words, **more):
        return run(list(words), {**environ, **more})

    command('add-model', 'lab2')
    command('deploy', str(charm), 'lead', '-n', '4')
    command('status', JUJUSIM_STEP_S='120')
    command('config', 'lead', 'memory=10')
    command('status', JUJUSIM_STEP_S='240')
    command.charm = str(charm)
    yield command
    destroy_all(environ)


@pytest.fixture
def program(environ, tmp_path):
    """The file named juju."""
    path = tmp_path / 'juju'
    assert run(['--write-script', str(path)], environ).code == 0
    return path


@pytest.fixture
def juju(environ):
    """Runs a command in this process; the model's own process answers it."""

    def command(*words):
        return run(list(words), environ)

    return command


@pytest.fixture
def shell(program, tmp_path):
    """Runs a line of a shell, with the program on its PATH."""

    def line(text):
        env = {**os.environ, 'PATH': '{}:{}'.format(tmp_path, os.environ['PATH'])}
        return subprocess.run(
            ['bash', '-c', text],
            cwd=str(tmp_path),
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return line


@pytest.fixture
def readme():
    return (ROOT / 'jujusim' / 'README.md').read_text(encoding='utf-8')


def small(folder):
    """Write the small charm to a folder."""
    for name, text in CHARM.items():
        path = folder / 'db' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return folder / 'db'


def commands(version):
    """Make a model in this process; return a function that does a command on it."""
    about = {'name': 'lab', 'uuid': '1' * 32, 'version': version, 'seed': 0, 'quick': False}
    made = LocalModel({**about, 'machine': ''})

    def does(text, step=5.0, folder='/'):
        return server.answer(made, {'argv': text.split(), 'folder': str(folder), 'step': step})

    does.model = made
    return does


@pytest.fixture
def charm(tmp_path):
    return small(tmp_path)


@pytest.fixture(params=['3.6.1', '4.0.14'])
def model(request):
    """Does commands on an empty model of each Juju."""
    does = commands(request.param)
    yield does
    does.model.close()


@pytest.fixture
def deployed(model, charm):
    """The same with two units at rest."""
    assert model('deploy {} -n 2'.format(charm)).code == 0
    model('status', step=60.0)
    return model


@pytest.fixture(scope='module')
def refusing(tmp_path_factory):
    """Does commands that change nothing on a model with two units: one for all tests of a module."""
    does = commands('4.0.14')
    does.charm = small(tmp_path_factory.mktemp('refusing'))
    assert does('deploy {} -n 2'.format(does.charm)).code == 0
    does('status', step=60.0)
    yield does
    does.model.close()
