"""Runs the suite on the Python of this script, then a share of it on each other Python there is.

The share is what is marked `every_python`; `--everywhere` runs all on each. A
Python is found as pythonX.Y on PATH or among pyenv's, and has its virtual
environment in .venv/X.Y. `--here` runs on the Python of this script alone. A run
of pytest that fails is the last one, so that nothing hides what pytest said of it.
"""

import argparse
import glob
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, call, run
from typing import Dict, List, Optional, Sequence

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ('3.8', '3.9', '3.10', '3.11', '3.12', '3.13', '3.14')
OWN = '{}.{}'.format(*sys.version_info)

PYTEST = ('-m', 'pytest', '-n', 'auto', '--maxprocesses', '4', '--dist', 'worksteal')
SHARE = ('-m', 'every_python', '-p', 'no:cacheprovider')
WHOLE = ('-p', 'no:cacheprovider')
NO_TESTS = 5
"""What pytest exits with if it found none."""


def say(text: str, end: str = '\n') -> None:
    print(text, end=end, flush=True)


# Finding Pythons


def found(version: str) -> Optional[str]:
    """Return the executable of a Python that has venv, or None."""
    pyenv = os.environ.get('PYENV_ROOT') or os.path.expanduser('~/.pyenv')
    installed = glob.glob(os.path.join(pyenv, 'versions', version + '*', 'bin', 'python'))
    question = 'import ensurepip, sys, venv; print("{}.{}".format(*sys.version_info), sys.executable)'
    for candidate in ['python' + version, *sorted(installed)]:
        try:
            answer = run([candidate, '-c', question], stdout=PIPE, stderr=DEVNULL, text=True)
        except OSError:
            continue
        told, _, executable = answer.stdout.strip().partition(' ')
        if told == version:  # pyenv has a python3.8 on PATH that may refuse to run, and 3.1* is 3.10 too
            return executable
    return None


# Setting them up


def usable(place: Path) -> bool:
    """Return whether an environment was made in full, and its Python is still there."""
    return (place / 'bin' / 'python').exists() and (place / 'bin' / 'pip').exists()


def lacking(version: str, names: Sequence[str]) -> List[str]:
    """Return which requirements are not installed as they are now written."""
    place = ROOT / '.venv' / version
    if not usable(place):
        return list(names)
    stamps = {name: place / (name + '.installed') for name in names}
    return [name for name in names if not stamps[name].exists() or stamps[name].read_text() != written(name)]


def written(name: str) -> str:
    """Return the text of a requirements file, and that of the one all of them include."""
    return ''.join((ROOT / 'requirements' / (part + '.txt')).read_text() for part in ('layer', name))


def install(version: str, executable: str, names: Sequence[str]) -> str:
    """Make an environment, or add to it; return what went wrong, if anything did."""
    place = ROOT / '.venv' / version
    make = [executable, '-m', 'venv', '--clear', str(place)]
    fill = [str(place / 'bin' / 'python'), '-m', 'pip', 'install', '--disable-pip-version-check', '--quiet']
    for name in names:
        fill += ['--requirement', str(ROOT / 'requirements' / (name + '.txt'))]
    for command in [fill] if usable(place) else [make, fill]:
        done = run(command, stdout=PIPE, stderr=STDOUT, text=True)
        if done.returncode:
            return '{}\n{}'.format(' '.join(command), done.stdout)
    for name in names:
        (place / (name + '.installed')).write_text(written(name))
    return ''


def set_up(pythons: Dict[str, str], names: Sequence[str]) -> None:
    """Install what is lacking, on two Pythons at a time."""
    due = {version: lacking(version, names) for version in pythons}
    due = {version: due[version] for version in due if due[version]}
    if not due:
        return
    say('Setting up .venv/X.Y for {} ... '.format(' '.join(due)), end='')
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=2) as pool:
        failures = [text for text in pool.map(lambda v: install(v, pythons[v], due[v]), due) if text]
    if failures:
        say('failed')
        sys.exit('\n'.join(failures))
    say('{:.0f} s'.format(time.monotonic() - began))


# Running the suite


def main() -> int:
    parser = argparse.ArgumentParser(description='Run the suite on each Python from 3.8 to 3.14 there is.')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--everywhere', action='store_true', help='all of it on each, not a share')
    which.add_argument('--here', action='store_true', help='on this Python alone')
    options = parser.parse_args()
    everywhere = options.everywhere

    others = {version: found(version) for version in VERSIONS if version != OWN and not options.here}
    pythons = {version: executable for version, executable in others.items() if executable}
    set_up(pythons, ['test', 'demo'] if everywhere else ['test'])

    part = 'all' if everywhere else 'share'
    waiting = list(pythons)
    ran: List[str] = []
    failed: List[str] = []
    say('\nPython {}: all'.format(OWN))
    code = call([sys.executable, *PYTEST], cwd=str(ROOT))
    (failed if code else ran).append('{} (all)'.format(OWN))
    while waiting and not failed:
        version = waiting.pop(0)
        say('\nPython {}: {}'.format(version, part))
        python = str(ROOT / '.venv' / version / 'bin' / 'python')
        env = {**os.environ, 'SUITE': part}
        code = call([python, *PYTEST, *(WHOLE if everywhere else SHARE)], cwd=str(ROOT), env=env)
        if code == NO_TESTS:
            say('expected tests marked every_python, found none')
        (failed if code else ran).append('{} ({})'.format(version, part))

    absent = [version for version in others if version not in pythons]
    summary = [('ran on', ran), ('failed on', failed), ('not run on', waiting)]
    if not options.here:
        summary.append(('not installed', absent or ['none']))
    say('\nPython: ' + '; '.join('{} {}'.format(what, ', '.join(which)) for what, which in summary if which))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
