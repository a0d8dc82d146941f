"""`python tests/proofs/spin.py`: the protocol's second description, tests/proofs/turns.pml, checked by spin.

Each case is one model with its macros, and the verdict that is expected: every history
keeps the promises, or the shortest history breaks one. A search that did not come to
its end for want of depth or memory is no verdict, and fails.

spin is taken from PATH, else Debian's package is unpacked under .venv/spin/, which needs no root.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / 'tests' / 'proofs' / 'turns.pml'
UNPACKED = ROOT / '.venv' / 'spin'
MEMORY_MB = 8000
DEPTH = 2000000


TWO_AT_WORK = '(ahead<='
NOT_SERVED = 'store[who].asked>store[who].done'
ALWAYS_UNREACHED = ('-end-', 'is not served')


class Missing(Exception):
    """Raised where a program that is needed cannot be had; says which, and what was tried."""


class Case(NamedTuple):
    """One search.

    Args:
        name: what it shows.
        macros: the world, as `-D` options of the model.
        broken: the assertion that must fail, as spin writes it; '' where all must hold.
        quick: in the share that takes some 20 seconds.
        live: also that no calm history goes on for ever without everybody being served.
    """

    name: str
    macros: Tuple[str, ...]
    broken: str = ''
    quick: bool = False
    live: bool = False


class Verdict(NamedTuple):
    """What spin said of a case; `fault` says why that is not what was expected, '' if it is."""

    fault: str
    states: int
    seconds: float
    megabytes: float
    story: Tuple[str, ...] = ()


def _case(name: str, macros: str, broken: str = '', quick: bool = False, live: bool = False) -> Case:
    return Case(name, tuple('-D' + macro for macro in macros.split()), broken, quick, live)


PROVED = [
    _case('2 units × 1 request, leader settings', 'N=2 R=1 JUJU=3', quick=True),
    _case('2 units × 1 request, application databag', 'N=2 R=1 JUJU=4', quick=True),
    _case('local stores are lost, leader settings', 'N=2 R=1 JUJU=3 FORGET'),
    _case('local stores are lost, application databag', 'N=2 R=1 JUJU=4 FORGET'),
    _case('leadership comes back within a hook, leader settings', 'N=2 R=1 JUJU=3 ABA'),
    _case('calm weather ends, all served, leader settings', 'N=2 R=1 JUJU=3 LIVE', live=True),
    _case('calm weather ends, all served, application databag', 'N=2 R=1 JUJU=4 LIVE', live=True),
    _case('3 units, 2 slots, no fault, leader settings', 'N=3 R=1 JUJU=3 SLOTS=2 FAULTS=0 COARSE'),
    _case('3 units, no fault, leader settings', 'N=3 R=1 JUJU=3 FAULTS=0 COARSE'),
    _case('3 units, no fault, application databag', 'N=3 R=1 JUJU=4 FAULTS=0 COARSE'),
]
REFUTED = [
    _case('rule 2: absence of data counts as a release', 'N=2 R=1 JUJU=3 BREAK=2', TWO_AT_WORK, True),
    _case('rule 2: the leader reorders', 'N=2 R=1 JUJU=3 BREAK=22', TWO_AT_WORK),
    _case('rule 3: one slot too many', 'N=2 R=1 JUJU=3 BREAK=3', TWO_AT_WORK, True),
    _case('rule 4: only the leader hands over', 'N=2 R=1 JUJU=3 BREAK=4', NOT_SERVED),
    _case('rule 5: a ticket is used before it is durable', 'N=2 R=1 JUJU=4 BREAK=5', TWO_AT_WORK, True),
    _case('rule 7: decided from what the hook read first', 'N=2 R=1 JUJU=3 BREAK=7 ABA', TWO_AT_WORK),
    _case('rule 8: a forgotten ask is not adopted', 'N=2 R=1 JUJU=3 BREAK=8 FORGET', NOT_SERVED),
    _case('rule 9: the release of a hook that fails counts', 'N=2 R=1 JUJU=3 BREAK=9', TWO_AT_WORK),
    _case('known limit: leadership comes back unheard of', 'N=2 R=1 JUJU=3 SILENT', NOT_SERVED),
    _case('known limit: leadership comes back, databag', 'N=2 R=1 JUJU=4 ABA', TWO_AT_WORK),
]
LARGE = [  # up to 3 GB, and some minutes
    _case('2 units × 2 requests, leader settings', 'N=2 R=2 JUJU=3'),
    _case('2 units × 2 requests, application databag', 'N=2 R=2 JUJU=4'),
]
CASES = PROVED + REFUTED + LARGE


# Where spin comes from


def find_spin() -> str:
    """Return the path of spin, unpacking Debian's package under .venv/spin/ if need be. Raises Missing."""
    if not shutil.which('gcc'):
        raise Missing('gcc is not installed, and spin checks a model by compiling it; apt-get install gcc')
    found = shutil.which('spin') or shutil.which(str(UNPACKED / 'usr' / 'bin' / 'spin'))
    return found or _unpack()


def _unpack() -> str:
    """Fetch and unpack Debian's spin as an ordinary user."""
    if not (shutil.which('apt-get') and shutil.which('dpkg')):
        raise Missing("spin is not on PATH, and there is no apt-get and dpkg to unpack Debian's package with")
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(UNPACKED)) as scratch:
        lists = _own_lists(Path(scratch))
        attempts = [['apt-get', 'download', 'spin'], ['apt-get', *lists, 'update']]
        attempts.append(['apt-get', *lists, 'download', 'spin'])
        said = ''
        for command in attempts:
            ran = _run(command, Path(scratch))
            said = ran.stdout.strip() or said
            packages = sorted(Path(scratch).glob('spin_*.deb'))
            if packages:
                subprocess.run(['dpkg', '-x', str(packages[0]), str(UNPACKED)], check=True)
                return str(UNPACKED / 'usr' / 'bin' / 'spin')
    last = said.splitlines()[-1] if said else 'nothing'
    raise Missing('spin is not on PATH, and apt-get could not download it; it said: ' + last)


def _own_lists(scratch: Path) -> List[str]:
    """Return options for apt-get with which it keeps its lists here, where the machine's are empty or old."""
    (scratch / 'lists' / 'partial').mkdir(parents=True)
    (scratch / 'cache' / 'archives' / 'partial').mkdir(parents=True)
    places = {'State::Lists': scratch / 'lists', 'Cache': scratch / 'cache'}
    return [word for name, path in places.items() for word in ('-o', 'Dir::{}={}'.format(name, path))]


def _run(command: List[str], where: Path) -> 'subprocess.CompletedProcess[str]':
    return subprocess.run(
        command, cwd=str(where), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


# One case


def check(spin: str, case: Case) -> Verdict:
    """Search one case to its end and compare with what is expected; at most MEMORY_MB of memory."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        shutil.copy(str(MODEL), scratch)
        began = time.perf_counter()
        for command in _build(spin, case):
            ran = _run(command, place)
            if ran.returncode:
                return Verdict('{} failed: {}'.format(command[0], ran.stdout), 0, 0, 0)
        searched = _run(_search(case), place)
        said, seconds = searched.stdout, time.perf_counter() - began
        return Verdict(
            fault(case, said, searched.returncode),
            int(_number(r'([\d.e+]+) states, stored', said)),
            seconds,
            _number(r'([\d.]+)\s+total actual memory usage', said),
            _story(spin, case, place),
        )


def _build(spin: str, case: Case) -> List[List[str]]:
    kind = ['-DBFS', '-DSAFETY'] if case.broken else [] if case.live else ['-DSAFETY']
    return [
        [spin, '-a', '-o3', *case.macros, MODEL.name],  # -o3: what is one step is what the model says is one
        ['gcc', '-O2', '-w', '-DCOLLAPSE', '-DMEMLIM={}'.format(MEMORY_MB), *kind, '-o', 'pan', 'pan.c'],
    ]


def _search(case: Case) -> List[str]:
    polite = ['nice', '-n', '10'] if shutil.which('nice') else []
    large = '-DR=2' in case.macros or '-DN=3' in case.macros
    options = [] if case.broken else ['-m{}'.format(DEPTH), '-w26' if large else '-w23']
    return [*polite, './pan', *options, *(['-a'] if case.live else [])]


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    return float(found.group(1)) if found else 0.0


UNFINISHED = ('max search depth too small', 'not completed', 'MEMLIM', 'out of memory', 'aborted', 'VECTORSZ')
"""What pan says where it did not visit everything; its `errors: 0` then says nothing."""


def fault(case: Case, said: str, code: int) -> str:
    """Return why what pan said is not the verdict expected, '' if it is."""
    stopped = [line.strip() for line in said.splitlines() if any(word in line for word in UNFINISHED)]
    errors = re.search(r'errors: (\d+)', said)
    broken = re.search(r'assertion violated (.*) \(at depth', said)
    if case.broken:
        if broken and case.broken in broken.group(1):
            return ''
        return 'expected to break {}, found {}'.format(case.broken, broken.group(1) if broken else said)
    if stopped and 'errors: 0' in said:
        return 'the search did not come to its end: ' + stopped[0]
    if code or not errors or errors.group(1) != '0' or broken or 'acceptance cycle' in said:
        return 'a promise is broken: ' + said
    if stopped:
        return 'the search did not come to its end: ' + stopped[0]
    return '' if '-DCOARSE' in case.macros else unreached(said)


def unreached(said: str) -> str:
    """Return which statement no history reaches, '' if none: who stands still keeps every promise."""
    for line in said.splitlines():
        if ', state ' in line and 'turns.pml:' in line and not any(word in line for word in ALWAYS_UNREACHED):
            return 'no history reaches ' + line.strip()
    return ''


def _story(spin: str, case: Case, place: Path) -> Tuple[str, ...]:
    """Return the history that broke a promise, a line for each thing that happened."""
    if not (place / (MODEL.name + '.trail')).exists():
        return ()
    told = _run([spin, '-t', '-T', '-o3', *case.macros, MODEL.name], place).stdout
    return tuple(
        line.strip()
        for line in told.splitlines()
        if re.match(r'\s*(\d: |\d is|leadership|calm weather)', line)
    )


# All of them


def line(case: Case, verdict: Verdict) -> str:
    found = 'broken in {} steps'.format(len(verdict.story)) if case.broken else 'holds'
    return '{:4} {:52} {:>20} {:>12,} states {:7.1f} s {:7,.0f} MB'.format(
        'NO' if verdict.fault else 'ok', case.name, '' if verdict.fault else found,
        verdict.states, verdict.seconds, verdict.megabytes,
    )  # fmt: skip


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description='Check tests/proofs/turns.pml with spin.')
    parser.add_argument('--quick', action='store_true', help='only a share, some 20 seconds')
    parser.add_argument('--tell', action='store_true', help='tell the history of each broken promise')
    parser.add_argument(
        '--only', default='', metavar='WORDS', help='only cases with these words in their name'
    )
    asked = parser.parse_args(argv)
    try:
        spin = find_spin()
    except Missing as missing:
        print(missing)
        return 1
    faults = 0
    for case in CASES:
        if (case.quick or not asked.quick) and asked.only in case.name:
            verdict = check(spin, case)
            print(line(case, verdict), flush=True)
            if verdict.fault:
                faults += 1
                print('     ' + verdict.fault)
            if verdict.story and (asked.tell or verdict.fault):
                print(
                    ''.join('     {:3}  {}\n'.format(n, step) for n, step in enumerate(verdict.story, 1)),
                    end='',
                )
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
