"""A client that answers what a test told it, and refuses all else."""

import json
import shlex

import pytest

CASE = """{pattern})
  cat {out}; cat {err} >&2; {then}exit {code};;
"""


class FakeClient:
    """Writes an executable file `juju` that answers as it is told."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / 'juju'
        self.cases = []
        self.tell('version', '4.0.14-ubuntu-amd64\n')
        self.tell('controllers --format json', {'current-controller': 'c', 'controllers': {'c': {}}})
        self.tell('models --format json', {'models': [{'name': 'admin/lab', 'short-name': 'lab'}]})

    def tell(self, command, out='', err='', code=0, then=''):
        """Answer a command; in its words, * stands for anything. What is told last counts."""
        name = 'answer-{}'.format(len(self.cases))
        for end, text in (('out', out), ('err', err)):
            words = text if isinstance(text, str) else json.dumps(text)
            (self.folder / '{}.{}'.format(name, end)).write_text(words)
        pattern = '*'.join(shlex.quote(part) for part in command.split('*'))
        files = {end: shlex.quote(str(self.folder / '{}.{}'.format(name, end))) for end in ('out', 'err')}
        self.cases.insert(0, CASE.format(pattern=pattern, code=code, then=then, **files))
        log, refused = (shlex.quote(str(self.folder / name)) for name in ('calls', 'refused'))
        head = '#!/bin/sh\necho "$*" >>{}\ncase "$*" in\n'.format(log)
        tail = '*)\n  echo "$*" >>{}; echo "ERROR not told of $*" >&2; exit 99;;\nesac\n'.format(refused)
        self.path.write_text(head + ''.join(self.cases) + tail)
        self.path.chmod(0o755)

    @property
    def calls(self):
        """The commands that were given, in order."""
        path = self.folder / 'calls'
        return path.read_text().splitlines() if path.exists() else []

    @property
    def refused(self):
        """The commands that it was not told about."""
        path = self.folder / 'refused'
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def client(tmp_path):
    """A client; the test fails if it is asked for what it was not told about."""
    folder = tmp_path / 'client'
    folder.mkdir()
    made = FakeClient(folder)
    yield made
    assert made.refused == []
