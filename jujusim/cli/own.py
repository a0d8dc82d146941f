"""What the client does without a model's process, and how it begins and ends one."""

import json
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from jujusim.cli.forms import dump, table
from jujusim.cli.places import CLOUD, CONTROLLER, USER, Models, ask, version_of
from jujusim.cli.words import Answer, Line, NotKnown, Refused

CONTROLLER_UUID = '8e2c80a1-e868-4cb8-84f2-5a999632b7b7'
ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """#!/bin/sh
PYTHONPATH='{}'"${{PYTHONPATH:+:$PYTHONPATH}}" exec '{}' -m jujusim juju "$@"
"""


def write_script(file: str) -> Answer:
    """Write an executable file that runs this client with this Python."""
    path = Path(file)
    path.write_text(SCRIPT.format(ROOT, sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return Answer()


def _add_model(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    name = line.demand(1, 1, 'a name')[0]
    if name in models.names():
        form = 'failed to create new model: model "{}" for {} already exists (already exists)'
        raise Refused(form.format(name, USER))
    if line.has('config'):
        raise NotKnown('juju add-model: --config is not known here; use juju model-config')
    machine, seed = environ.get('JUJUSIM_MACHINE', ''), environ.get('JUJUSIM_SEED') or '0'
    if not seed.isdigit():
        raise NotKnown('JUJUSIM_SEED: expected a whole number, found {}'.format(seed))
    version = version_of(environ)
    folder = tempfile.mkdtemp(prefix='jujusim-')
    about = {
        'name': name,
        'uuid': str(uuid.uuid5(uuid.UUID(CONTROLLER_UUID), '{} {}'.format(name, seed))),
        'version': version,
        'seed': int(seed),
        'quick': environ.get('JUJUSIM_QUICK', '') not in ('', '0'),
        'machine': machine and os.path.abspath(machine),
        'socket': os.path.join(folder, 'juju'),
        'log': os.path.join(folder, 'log'),
    }
    models.add(name, about)
    try:
        start(models.file(name), about)
    except Exception:
        models.forget(name)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not line.has('no-switch'):
        models.switch(name)
    form = "Added '{}' model on {} with credential 'default' for user '{}'\n"
    return Answer('', form.format(name, CLOUD, USER))


def start(about_file: Path, about: Dict[str, Any]) -> None:
    """Start a model's process.

    Raises:
        Refused: it does not answer, with its last words.
    """
    with socket.socket(socket.AF_UNIX) as listener, open(about['log'], 'w') as log:
        listener.bind(about['socket'])
        listener.listen(16)
        number = listener.fileno()
        subprocess.Popen(
            [sys.executable, '-m', 'jujusim.cli.server', str(about_file.resolve()), str(number)],
            env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[number],
            start_new_session=True,
        )
    try:
        ask(about, {'argv': ['model-config'], 'folder': '/', 'step': 0.0})
    except Refused:
        words = Path(about['log']).read_text().strip().splitlines() or ['it said nothing']
        raise Refused('the process of the model did not start: {}'.format(words[-1])) from None


def _destroy_model(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    if not line.has('no-prompt'):
        raise NotKnown('juju destroy-model: it cannot ask; give --no-prompt')
    name = models.found(line.demand(1, 1, 'a model')[0])
    about = models.about(name)
    try:
        ask(about, {'argv': ['destroy-model']})
    except Refused:  # its process has ended before
        shutil.rmtree(os.path.dirname(about['socket']), ignore_errors=True)
    models.forget(name)
    return Answer('', 'Destroying model\nWaiting for model to be removed...\nModel destroyed.\n')


def _described(models: Models, name: str) -> Dict[str, Any]:
    about = models.about(name)
    return {
        'name': '{}/{}'.format(USER, name),
        'short-name': name,
        'model-uuid': about['uuid'],
        'model-type': 'iaas',
        'controller-uuid': CONTROLLER_UUID,
        'controller-name': CONTROLLER,
        'is-controller': False,
        'cloud': CLOUD,
        'type': CLOUD,
        'life': 'alive',
        'status': {'current': 'available', 'since': 'just now'},
    }


def _models(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    form = line.format(('json', 'yaml', 'tabular'), 'tabular')
    access = {'access': USER, 'last-connection': 'just now'}
    found = [
        {**_described(models, name), **access, 'agent-version': models.about(name)['version']}
        for name in models.names()
    ]
    if form != 'tabular':
        return Answer(dump({'models': found, 'current-model': models.current}, form))
    rows = [['Model', 'Cloud/Region', 'Type', 'Status', 'Access', 'Last connection']]
    for about in found:
        name = about['short-name'] + '*' * (about['short-name'] == models.current)
        rows.append([name, CLOUD, CLOUD, 'available', USER, 'just now'])
    return Answer('Controller: {}\n\n{}'.format(CONTROLLER, table(rows)))


def _show_model(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    form = line.format(('json', 'yaml'), 'yaml')
    name = models.found((line.demand(0, 1, 'a model') or [line.get('model')])[0])
    asked = {'argv': ['machines', '--format', 'json'], 'folder': os.getcwd(), 'step': 0.0}
    machines = json.loads(ask(models.about(name), asked)['out'])['machines']
    version = models.about(name)['version']
    about = {
        **_described(models, name),
        'users': {USER: {'display-name': USER, 'access': USER, 'last-connection': 'just now'}},
        'machines': {number: {'cores': 0} for number in machines},
        'secret-backends': {'internal': {'num-secrets': 0, 'status': 'active'}},
        'agent-version': version,
        'credential': {'name': 'default', 'owner': USER, 'cloud': CLOUD, 'validity-check': 'valid'},
        'supported-features': [
            {'name': 'juju', 'description': 'the version of Juju used by the model', 'version': version}
        ],
    }
    return Answer(dump({name: about}, form))


def _switch(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    words = line.demand(0, 1, 'a model')
    full = '{}:{}/{}'.format
    before = full(CONTROLLER, USER, models.current) if models.current else CONTROLLER
    if not words:
        return Answer(before + '\n')
    name = models.found(words[0])
    models.switch(name)
    return Answer('', '{} -> {}\n'.format(before, full(CONTROLLER, USER, name)))


def _version(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    form = line.format(('json', 'yaml', 'smart'), 'smart')
    machine = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine())
    text = '{}-ubuntu-{}'.format(version_of(environ), machine)
    found: Any = {'version': text, 'git-tree-state': 'clean', 'compiler': 'gc'} if line.has('all') else text
    if form == 'smart' and not line.has('all'):
        return Answer(text + '\n')
    return Answer(dump(found, 'yaml' if form == 'smart' else form))


def _controllers(models: Models, line: Line, environ: Mapping[str, str]) -> Answer:
    form = line.format(('json', 'yaml'), 'yaml')
    about = {
        'current-model': '{}/{}'.format(USER, models.current) if models.current else '',
        'user': USER,
        'access': 'superuser',
        'uuid': CONTROLLER_UUID,
        'api-endpoints': ['localhost:17070'],
        'cloud': CLOUD,
        'agent-version': version_of(environ),
    }
    return Answer(dump({'controllers': {CONTROLLER: about}, 'current-controller': CONTROLLER}, form))


OWN: Dict[str, Callable[[Models, Line, Mapping[str, str]], Answer]] = {
    'add-model': _add_model,
    'controllers': _controllers,
    'destroy-model': _destroy_model,
    'models': _models,
    'show-model': _show_model,
    'switch': _switch,
    'version': _version,
}
