"""Breaks the layer on purpose, one rule at a time, and shows which test notices: `make mutants`.

tests/broken.py says what is broken, and what must notice it: searches, or a few tests, the
cheapest that do. Each entry is written into a copy of the tree, and all that must notice runs
there. First the same runs on the tree as it is: it must find nothing there, or a failure would
mean nothing. Exits with 1 where anything does not notice.

    python -m tests.campaigns.mutants            all of them
    python -m tests.campaigns.mutants 'rule 7'   those with these words in their name
"""

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from tests.broken import BROKEN, ROOT, Broken, History, written_into
from tests.proofs.worlds import visited

LEFT_OUT = ('.git', '.venv', '.hypothesis', '.pytest_cache', '.ruff_cache', '.mypy_cache', '__pycache__')

FAILED, FAULT = 1, 3
"""What pytest exits with if a test failed, and what a search exits with if it found its fault."""

PYTEST = ('-m', 'pytest', '-x', '-q', '-rf', '-p', 'no:cacheprovider', '-m', '')
SEARCH = ('-m', 'tests.campaigns.mutants', '--search')

OUR_MISTAKES = ('NameError', 'SyntaxError', 'ImportError', 'UnboundLocalError')
"""What a test ends with where a replacement does not fit, rather than where it breaks a rule."""


class Outcome(NamedTuple):
    """What came of one command: who noticed ('' for nobody), after how long, and the output."""

    by: str
    seconds: float
    output: str


def commands(entry: Broken) -> Iterator[Tuple[str, ...]]:
    """Yield the arguments of Python for each test or search that must notice."""
    for place, notice in enumerate(entry.noticed_by):
        if isinstance(notice, History):
            yield (*SEARCH, entry.name, str(place))
        else:
            yield (*PYTEST, 'tests/' + notice)


def search(name: str, place: int) -> int:
    """Run one search of the table in this process; return FAULT where it finds its fault."""
    (entry,) = [entry for entry in BROKEN if entry.name == name]
    notice = entry.noticed_by[place]
    assert isinstance(notice, History)
    found = visited(notice.kind, notice.most, notice.fault)
    print(found)
    return FAULT if found.fault else 0


def copied(place: Path) -> Path:
    """Return a copy of the tree, without what is not in git."""
    shutil.copytree(str(ROOT), str(place / 'tree'), symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return place / 'tree'


def outcome(command: Sequence[str], tree: Path) -> Tuple[int, Outcome]:
    """Run a command in a tree; return its exit code, and what came of it."""
    began = time.monotonic()
    env = {'PATH': '/usr/bin:/bin', 'PYTHONPATH': 'lib:.', 'PYTHONDONTWRITEBYTECODE': '1', 'LANG': 'C.UTF-8'}
    done = run([sys.executable, *command], cwd=str(tree), env=env, stdout=PIPE, stderr=STDOUT)
    output = done.stdout.decode('utf-8', 'replace')
    return done.returncode, Outcome(noticed(done.returncode, output), time.monotonic() - began, output)


def noticed(code: int, output: str) -> str:
    """Return who noticed: the test, or the fault and the length of the shortest history; '' for nobody."""
    if code == FAULT:
        steps = len(re.findall(r'^ +\d+  ', output, re.M))
        found = re.search(r'^([\d,]+) worlds; (.*)$', output, re.M)
        return (
            'a search: {}, in {} steps, after {} worlds'.format(found.group(2), steps, found.group(1))
            if found
            else ''
        )
    failed = re.search(r'^FAILED tests/(.+?)( - .*)?$', output, re.M)
    if code != FAILED or not failed or any(word in (failed.group(2) or '') for word in OUR_MISTAKES):
        return ''
    return failed.group(1)


def tried(entry: Broken) -> List[Outcome]:
    """Break one rule in a copy of the tree and run there all that must notice."""
    with tempfile.TemporaryDirectory() as place:
        tree = copied(Path(place))
        written_into(entry, tree)
        return [outcome(command, tree)[1] for command in commands(entry)]


def control(entries: Sequence[Broken]) -> str:
    """Run the same on the tree as it is; return the output of what failed."""
    every = {command for entry in entries for command in commands(entry)}
    selected = sorted(command[-1] for command in every if command[: len(PYTEST)] == PYTEST)
    searches = sorted(command for command in every if command[: len(SEARCH)] == SEARCH)
    with tempfile.TemporaryDirectory() as place:
        tree = copied(Path(place))
        for command in [(*PYTEST, *selected)] * bool(selected) + searches:
            code, found = outcome(command, tree)
            if code:
                return found.output
    return ''


def main(words: List[str]) -> int:
    entries = [entry for entry in BROKEN if all(word in entry.name for word in words)]
    began = time.monotonic()
    print('The tree as it is ... ', end='', flush=True)
    failure = control(entries)
    if failure:
        print('fails what should notice a broken rule, so that a failure would mean nothing:\n' + failure)
        return 1
    print('passes, {:.0f} s'.format(time.monotonic() - began))
    missed = []
    for entry in entries:
        print('\n' + entry.name, flush=True)
        for found in tried(entry):
            if found.by:
                print('    noticed after {:.1f} s by {}'.format(found.seconds, found.by), flush=True)
            else:
                missed.append(entry.name)
                print('    NOT NOTICED\n' + found.output[-2000:], flush=True)
    told = 'not noticed by all that must: {}'.format('; '.join(missed)) if missed else 'all noticed'
    print('\n{} broken rules, {}, in {:.0f} s'.format(len(entries), told, time.monotonic() - began))
    return 1 if missed else 0


if __name__ == '__main__':
    if sys.argv[1:2] == ['--search']:
        sys.exit(search(sys.argv[2], int(sys.argv[3])))
    sys.exit(main(sys.argv[1:]))
