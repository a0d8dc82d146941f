"""A model's own process: it answers one command after the other until the model is destroyed.

Time stands still between commands. `python -m jujusim.cli.server FILE FD` gets the
file that describes the model, and the socket at which the client already knocks.
"""

import contextlib
import json
import os
import shutil
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Dict

from jujusim.cli.known import OF_A_MODEL, WORDS_END_OPTIONS
from jujusim.cli.model import LocalModel
from jujusim.cli.places import receive
from jujusim.cli.verbs import DO
from jujusim.cli.words import Answer, NotKnown, Refused, parse
from jujusim.timeline import Restless
from jujusim.tools import Unanswered

LOOK_S, PATIENCE_S = 30.0, 86400.0
"""After so long without a command, the process looks whether its file is still there; and it ends."""


def answer(model: LocalModel, request: Dict[str, Any]) -> Answer:
    """Do one command."""
    verb, formatted = request['argv'][0], ''
    try:
        mixed = verb not in WORDS_END_OPTIONS
        line = parse(verb, request['argv'][1:], OF_A_MODEL[verb], request['folder'], mixed)
        formatted = line.get('format')
        if model.broken and verb not in ('debug-log', 'model-config'):
            raise NotKnown(model.broken)
        if verb == 'status':
            model.pass_time(request['step'])
        return DO[verb](model, line)
    except Refused as refused:
        out = refused.out or ('{}\n' if formatted in ('json', 'yaml') else '')
        return Answer(out, 'ERROR {}\n'.format(refused), 1)
    except NotKnown as unknown:
        return Answer('', 'jujusim: {}\n'.format(unknown), 2)
    except (Unanswered, Restless) as stopped:
        model.broken = 'this model stands still: {}'.format(stopped)
        return Answer('', 'jujusim: {}\n'.format(model.broken), 2)


def main(about_file: str, listener: socket.socket) -> None:
    """Answer commands until one destroys the model, its file is gone, or nothing was asked for a day."""
    about = json.loads(Path(about_file).read_text())
    model = LocalModel(about)
    listener.settimeout(LOOK_S)
    destroyed, heard = False, time.monotonic()
    while not destroyed and os.path.exists(about_file) and time.monotonic() < heard + PATIENCE_S:
        try:
            line, _ = listener.accept()
        except socket.timeout:
            continue
        heard = time.monotonic()
        line.settimeout(None)
        with line, line.makefile('rb') as said:
            request = receive(said)
            if request is None:
                continue
            destroyed = request['argv'] == ['destroy-model']
            if destroyed:
                _end(model, about)
            found = Answer() if destroyed else _guarded(model, request)
            with contextlib.suppress(OSError):  # the client has gone
                line.sendall(json.dumps(found._asdict()).encode() + b'\n')
    _end(model, about)


def _end(model: LocalModel, about: Dict[str, Any]) -> None:
    """Leave nothing behind."""
    model.close()
    shutil.rmtree(os.path.dirname(about['socket']), ignore_errors=True)


def _guarded(model: LocalModel, request: Dict[str, Any]) -> Answer:
    """Answer, whatever goes wrong: a mistake of this program must not end the model."""
    try:
        return answer(model, request)
    except Exception:
        return Answer('', 'jujusim: a mistake of its own:\n' + traceback.format_exc(), 70)


if __name__ == '__main__':
    main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
