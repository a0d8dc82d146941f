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
NOT_REPEATED = 'through[me]'
LEADS_UNHEARD = '(leader!=me)'
ALWAYS_UNREACHED = ('-end-',)
BOUNDED = ('-DFAULTS=', '-DMOVES=', '-DCOARSE')
"""In such a world some statements of the model cannot be reached."""


class Missing(Exception):
    """Raised where a program that is needed cannot be had; says which, and what was tried."""


class Case(NamedTuple):
    """One search.

    Args:
        name: what it shows.
        macros: the world, as `-D` options of the model.
        broken: the assertion that must fail, as spin writes it; '' where all must hold.
        quick: in the share that takes some 30 seconds.
        deep: searched in depth, so that the history that is found is not the shortest.
        live: also that no calm history goes on for ever without everybody being served.
    """

    name: str
    macros: Tuple[str, ...]
    broken: str = ''
    quick: bool = False
    live: bool = False
    deep: bool = False


class Verdict(NamedTuple):
    """What spin said of a case; `fault` says why that is not what was expected, '' if it is."""

    fault: str
    states: int
    seconds: float
    megabytes: float
    story: Tuple[str, ...] = ()


def _case(
    name: str, macros: str, broken: str = '', quick: bool = False, live: bool = False, deep: bool = False
) -> Case:
    return Case(name, tuple('-D' + macro for macro in macros.split()), broken, quick, live, deep)


# Worlds: a leader has made the first ledger; then so many faults, and moves of leadership
FEW = 'N=2 R=1 OPENED FAULTS=1 MOVES=1 '
FAILED = 'N=2 R=1 OPENED FAULTS=1 MOVES=0 '
MOVED = 'N=2 R=1 OPENED FAULTS=0 '
LOST = 'N=2 R=1 OPENED LOSE=3 '
LOST_ASIDE = LOST + 'FAULTS=1 MOVES=1 COARSE ACTIONS '
THREE = 'N=3 R=1 OPENED FAULTS=0 COARSE '
PROVED = [
    _case('a fault, and leadership moves, leader settings', FEW + 'JUJU=3', quick=True),
    _case('a fault, and leadership moves, application databag', FEW + 'JUJU=4', quick=True),
    _case('leadership comes back, leader settings', MOVED + 'JUJU=3 MOVES=4'),
    _case('leadership comes back, application databag', MOVED + 'JUJU=4 MOVES=4'),
    _case('actions, leader settings', FEW + 'JUJU=3 ACTIONS'),
    _case('actions, application databag', FEW + 'JUJU=4 ACTIONS'),
    _case('local stores are lost, leader settings', FEW + 'JUJU=3 FORGET'),
    _case('local stores are lost, application databag', FEW + 'JUJU=4 FORGET'),
    _case('turns are kept, leader settings', FEW + 'JUJU=3 KEEP'),
    _case('turns are kept, application databag', FEW + 'JUJU=4 KEEP'),
    _case('the ledger is lost, leader settings', LOST + 'JUJU=3 FAULTS=0 MOVES=1'),
    _case('the ledger is lost, application databag', LOST + 'JUJU=4 FAULTS=0 MOVES=1'),
    _case('the ledger is lost, a fault, leader settings', LOST + 'JUJU=3 FAULTS=1 MOVES=1 COARSE'),
    _case('the ledger is lost, two moves, leader settings', LOST + 'JUJU=3 FAULTS=0 MOVES=2 COARSE'),
    _case('the ledger is lost, two moves, application databag', LOST + 'JUJU=4 FAULTS=0 MOVES=2 COARSE'),
    _case('the ledger is lost, actions, leader settings', LOST_ASIDE + 'JUJU=3'),
    _case('the ledger is lost, actions, application databag', LOST_ASIDE + 'JUJU=4'),
    _case('calm weather ends, all served, leader settings', MOVED + 'JUJU=3 MOVES=1 LIVE', live=True),
    _case('calm weather ends, all served, application databag', MOVED + 'JUJU=4 MOVES=1 LIVE', live=True),
    _case('2 requests each, leader settings', 'N=2 R=2 OPENED JUJU=3 FAULTS=0 MOVES=1'),
    _case('2 requests each, application databag', 'N=2 R=2 OPENED JUJU=4 FAULTS=0 MOVES=1'),
    _case('3 units, leader settings', THREE + 'JUJU=3 MOVES=0'),
    _case('3 units, application databag', THREE + 'JUJU=4 MOVES=0'),
    _case('3 units, 2 slots, leader settings', THREE + 'JUJU=3 MOVES=0 SLOTS=2'),
    _case('rule 7 without its first read', FEW + 'JUJU=3 BREAK=7'),
    _case('a hook is not retried, leader settings', FEW + 'JUJU=3 NORETRY'),
    _case('a hook is not retried, application databag', FEW + 'JUJU=4 NORETRY'),
]
# Rule 19: the same with hooks that do not run
WAKES = [
    _case('only who must, wakes, leader settings', FEW + 'WAKES JUJU=3'),
    _case('only who must, wakes, application databag', FEW + 'WAKES JUJU=4', quick=True),
    *(
        _case(
            'wakes: {}, {}'.format(name, ledger),
            '{} WAKES JUJU={}'.format(macros, juju),
            live='LIVE' in macros,
        )
        for name, macros in (
            ('leadership comes back', MOVED + 'MOVES=4'),
            ('leadership comes back unheard of', MOVED + 'MOVES=2 SILENT'),
            ('actions', FEW + 'ACTIONS'),
            ('local stores are lost', FEW + 'FORGET'),
            ('turns are kept', FEW + 'KEEP'),
            ('a hook is not retried', FEW + 'NORETRY'),
            ('a hook is not retried, actions', FAILED + 'ACTIONS NORETRY'),
            ('calm weather ends, all served', MOVED + 'MOVES=1 LIVE'),
            ('2 requests each', 'N=2 R=2 OPENED FAULTS=0 MOVES=1'),
        )
        for juju, ledger in ((3, 'leader settings'), (4, 'databag'))
    ),
    _case('wakes: 3 units, leader settings', THREE + 'WAKES JUJU=3 MOVES=0'),
    _case('wakes: 3 units, 2 slots, leader settings', THREE + 'WAKES JUJU=3 MOVES=0 SLOTS=2'),
]
REFUTED = [
    _case('rule 2: absence of data counts as a release', MOVED + 'JUJU=3 MOVES=1 BREAK=2', TWO_AT_WORK),
    _case('rule 2: the leader reorders', MOVED + 'JUJU=3 MOVES=0 BREAK=22', TWO_AT_WORK),
    _case('rule 3: one slot too many', MOVED + 'JUJU=3 MOVES=0 BREAK=3', TWO_AT_WORK),
    _case('rule 4: only the leader hands over', MOVED + 'JUJU=3 MOVES=1 BREAK=4', NOT_SERVED),
    _case('rule 5: a ticket is used before it is durable', MOVED + 'JUJU=4 MOVES=1 BREAK=5', TWO_AT_WORK),
    _case('rule 8: a forgotten ask is not adopted', FAILED + 'JUJU=3 BREAK=8 FORGET', NOT_SERVED),
    _case('rule 9: the release of a hook that fails counts', FAILED + 'JUJU=3 BREAK=9', TWO_AT_WORK),
    _case('rule 11: not written down', LOST + 'JUJU=3 FAULTS=1 MOVES=1 COARSE BREAK=11', NOT_REPEATED),
    _case('rule 12: a release is over at once', FAILED + 'JUJU=3 BREAK=12', NOT_REPEATED, True),
    _case('rule 12: an action says that a turn is over', FAILED + 'JUJU=3 ACTIONS BREAK=121', TWO_AT_WORK),
    _case('rule 13: one ledger, leader settings', MOVED + 'JUJU=3 MOVES=2 BREAK=13', TWO_AT_WORK, True),
    _case('rule 13: one ledger, application databag', MOVED + 'JUJU=4 MOVES=2 BREAK=13', TWO_AT_WORK),
    _case('rule 13: not read again', MOVED + 'JUJU=3 MOVES=2 BREAK=131', TWO_AT_WORK, True),
    _case('rule 13: opened in the hook that claims', MOVED + 'JUJU=4 MOVES=3 BREAK=131', TWO_AT_WORK),
    _case('rule 13: contested, leader settings', MOVED + 'JUJU=3 MOVES=2 BREAK=132', TWO_AT_WORK),
    _case('rule 13: contested, application databag', MOVED + 'JUJU=4 MOVES=3 BREAK=132', TWO_AT_WORK),
    _case(
        'rule 13: two open one term, leader settings',
        'N=2 R=1 JUJU=3 FAULTS=0 MOVES=3 BREAK=133',
        TWO_AT_WORK,
    ),
    _case('rule 13: two open one term, databag', 'N=2 R=1 JUJU=4 FAULTS=0 MOVES=3 BREAK=133', TWO_AT_WORK),
    _case('rule 13: nobody ends a contest, settings', MOVED + 'JUJU=3 MOVES=2 BREAK=136', NOT_SERVED),
    _case('rule 13: nobody ends a contest, databag', MOVED + 'JUJU=4 MOVES=2 BREAK=136', NOT_SERVED),
    _case('rule 14: nobody is awaited', LOST + 'JUJU=3 FAULTS=0 MOVES=1 COARSE BREAK=14', TWO_AT_WORK),
    _case('rule 14: begun in any order', LOST + 'JUJU=3 FAULTS=0 MOVES=1 COARSE KEEP BREAK=142', TWO_AT_WORK),
    _case('rule 14: used before Juju knows', LOST + 'JUJU=3 FAULTS=0 MOVES=1 COARSE BREAK=143', TWO_AT_WORK),
    _case(
        'rule 14: the silent are not awaited', LOST + 'JUJU=3 FAULTS=0 MOVES=1 COARSE BREAK=144', TWO_AT_WORK
    ),
    _case('rule 14: any claim of that term', LOST + 'JUJU=4 FAULTS=0 MOVES=2 COARSE BREAK=145', TWO_AT_WORK),
    _case('rule 14: an action hides a turn', LOST_ASIDE + 'JUJU=3 BREAK=122', TWO_AT_WORK, deep=True),
    _case('rule 14: one term claimed twice', LOST_ASIDE + 'JUJU=4 BREAK=147', TWO_AT_WORK, deep=True),
    _case('rule 14: over before Juju knows', LOST_ASIDE + 'JUJU=3 BREAK=146', TWO_AT_WORK, deep=True),
    _case('rule 19: watches one too few', MOVED + 'JUJU=3 MOVES=0 WAKES BREAK=19', NOT_SERVED),
    _case(
        'rule 19: a leader hears nobody', 'N=2 R=2 OPENED JUJU=3 FAULTS=0 MOVES=0 WAKES BREAK=191', NOT_SERVED
    ),
    _case('rule 19: in force while a hook runs', FAILED + 'JUJU=3 WAKES NORETRY BREAK=192', NOT_SERVED),
    _case('rule 19: put-off news is forgotten', MOVED + 'JUJU=3 MOVES=1 WAKES BREAK=193', NOT_SERVED),
    _case('rule 19: a leader like any other', MOVED + 'JUJU=3 MOVES=0 WAKES BREAK=194', NOT_SERVED),
    _case('rule 19: a release that Juju lacks', FAILED + 'JUJU=3 WAKES NORETRY BREAK=195', NOT_SERVED),
    _case(
        'rule 19: in force while an action asks',
        FAILED + 'JUJU=3 WAKES NORETRY ACTIONS BREAK=196',
        NOT_SERVED,
    ),
    _case('rule 19: deposed, like any other', MOVED + 'JUJU=3 MOVES=2 WAKES SILENT BREAK=197', LEADS_UNHEARD),
    _case("rule 19: deaf to the leader's data", MOVED + 'JUJU=4 MOVES=0 WAKES BREAK=198', NOT_SERVED),
    _case('rule 19: a request that Juju lacks', FAILED + 'JUJU=3 WAKES NORETRY BREAK=199', NOT_SERVED),
    _case('known limit: leadership comes back unheard of', MOVED + 'JUJU=3 MOVES=2 SILENT', NOT_SERVED),
    _case('known limit: the leader asks again', 'N=2 R=2 OPENED JUJU=4 FAULTS=0 MOVES=0 NOTICK', NOT_SERVED),
    _case('known limit: the leader asks in an action', FAILED + 'JUJU=3 ACTIONS NOTICK', NOT_SERVED),
]
LARGE = [  # every number of faults and of moves; some minutes
    _case('every history, leader settings', 'N=2 R=1 JUJU=3'),
    _case('every history, application databag', 'N=2 R=1 JUJU=4'),
    _case('wakes: every history, leader settings', 'N=2 R=1 JUJU=3 WAKES'),
    _case('wakes: every history, application databag', 'N=2 R=1 JUJU=4 WAKES'),
    _case('wakes: 3 units, a move, leader settings', THREE + 'JUJU=3 MOVES=1 WAKES'),
    _case('wakes: 3 units, application databag', THREE + 'JUJU=4 MOVES=0 WAKES'),
]
CASES = PROVED + WAKES + REFUTED + LARGE


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
    kind = ['-DBFS', '-DSAFETY'] if case.broken and not case.deep else [] if case.live else ['-DSAFETY']
    optimise = '-O2' if case in LARGE else '-O1'  # to compile takes longer than most searches
    return [
        [spin, '-a', '-o3', *case.macros, MODEL.name],  # -o3: what is one step is what the model says is one
        ['gcc', optimise, '-w', '-DCOLLAPSE', '-DMEMLIM={}'.format(MEMORY_MB), *kind, '-o', 'pan', 'pan.c'],
    ]


def _search(case: Case) -> List[str]:
    polite = ['nice', '-n', '10'] if shutil.which('nice') else []
    large = case in LARGE or '-DN=3' in case.macros
    options = [] if case.broken and not case.deep else ['-m{}'.format(DEPTH), '-w26' if large else '-w23']
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
    return '' if any(macro.startswith(BOUNDED) for macro in case.macros) else unreached(said)


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
        if re.match(r'\s*(\d: |leadership|calm weather|the ledger is lost)', line)
    )


# All of them


def line(case: Case, verdict: Verdict) -> str:
    found = 'broken in {} steps'.format(len(verdict.story)) if case.broken else 'holds'
    found = 'broken' if case.deep else found
    return '{:4} {:52} {:>20} {:>12,} states {:7.1f} s {:7,.0f} MB'.format(
        'NO' if verdict.fault else 'ok', case.name, '' if verdict.fault else found,
        verdict.states, verdict.seconds, verdict.megabytes,
    )  # fmt: skip


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description='Check tests/proofs/turns.pml with spin.')
    parser.add_argument('--quick', action='store_true', help='only a share, some 30 seconds')
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
