"""Where the client finds its models: a folder of JSON files, and a socket for each model.

Everything lies in the folder `jujusim` of $JUJU_DATA, where a real client keeps
its own files, or of ~/.local/share/juju where that is not set.
"""

import contextlib
import json
import os
import socket
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from jujusim.cli.words import NotKnown, Refused

CONTROLLER, CLOUD = 'jujusim', 'simulated'
USER = 'admin'
VERSION = '4.0.14'


class Models:
    """The models there are, each with the process that answers for it."""

    def __init__(self, environ: Dict[str, str]) -> None:
        data = environ.get('JUJU_DATA') or os.path.expanduser('~/.local/share/juju')
        self.folder = Path(data) / 'jujusim'
        self.chosen = environ.get('JUJU_MODEL', '')

    def names(self) -> List[str]:
        """Return the models' names, in order."""
        return sorted(path.stem for path in self.folder.glob('models/*.json'))

    def file(self, name: str) -> Path:
        """Return where a model is described."""
        return self.folder / 'models' / (name + '.json')

    def about(self, name: str) -> Dict[str, Any]:
        """Return what is written of a model."""
        found: Dict[str, Any] = json.loads(self.file(name).read_text())
        return found

    def add(self, name: str, about: Dict[str, Any]) -> None:
        """Write a model down."""
        self.file(name).parent.mkdir(parents=True, exist_ok=True)
        self.file(name).write_text(json.dumps(about))

    def forget(self, name: str) -> None:
        """Forget a model."""
        with contextlib.suppress(FileNotFoundError):
            self.file(name).unlink()
        if self.current == name:
            (self.folder / 'current').unlink()

    @property
    def current(self) -> str:
        """The model that `juju switch` chose, '' where there is none."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / 'current').read_text()
        return ''

    def switch(self, name: str) -> None:
        """Let a model be the current one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / 'current').write_text(name)

    def found(self, reference: str = '') -> str:
        """Return the name of the model that is meant: 'lab', 'admin/lab', 'jujusim:lab', or the current one.

        Raises:
            Refused: there is no such model.
        """
        meant = reference or self.chosen or self.current
        if not meant:
            raise Refused(
                'No selected model.\n\n"juju switch" to select a model, or "juju add-model" to make one.'
            )
        controller, _, model = meant.rpartition(':')
        if controller not in ('', CONTROLLER):
            raise Refused('controller {} not found'.format(controller))
        name = model.rpartition('/')[2]
        if name not in self.names():
            raise Refused('model {}:{} not found'.format(CONTROLLER, model))
        return name


def ask(about: Dict[str, Any], request: Dict[str, Any]) -> Dict[str, Any]:
    """Send a request to a model's process, and return its answer.

    Raises:
        Refused: the process has ended.
    """
    answer = None
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as line:
        line.connect(about['socket'])
        line.sendall(json.dumps(request).encode() + b'\n')
        with line.makefile('rb') as said:
            answer = receive(said)
    if answer is None:
        form = (
            'the process of model {} has ended; its last words are in {}; forget it with: juju destroy-model'
        )
        raise Refused(form.format(about['name'], about['log']))
    return answer


def receive(said: Any) -> Optional[Dict[str, Any]]:
    """Read one message: a line of JSON; None where there is no more."""
    text = said.readline()
    found: Optional[Dict[str, Any]] = json.loads(text) if text.endswith(b'\n') else None
    return found


def version_of(environ: Mapping[str, str]) -> str:
    """Return which Juju this is."""
    version = environ.get('JUJUSIM_VERSION') or VERSION
    if version.partition('.')[0] not in ('3', '4') or not version.replace('.', '').isdigit():
        form = 'JUJUSIM_VERSION: expected the version of a Juju 3 or 4, as {}; found {}'
        raise NotKnown(form.format(VERSION, version))
    return version
