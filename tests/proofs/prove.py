"""`make prove`: visit every history of every small world, or of some, and say what was found.

Each world is searched in a process of its own, so that one that runs out of memory costs
no other, and its peak memory can be told. A world that breaks a promise is shown with its
shortest history, and the exit code is 1. `beyond` counts the steps that would have needed a
higher term or token than the world goes to: there it was cut.

    python -m tests.proofs.prove                  all worlds
    python -m tests.proofs.prove once-3 aba-4     these
    python -m tests.proofs.prove --counts         a line for each world, to compare with another tree's
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple, Tuple

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.proofs.worlds import WORLDS, visited

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    """What came of one world: see `Found`, and the seconds and megabytes it took."""

    worlds: int
    fault: str
    history: Tuple[str, ...]
    beyond: int = 0
    seconds: float = 0
    megabytes: int = 0


def searched(name: str) -> Result:
    """Search a world in this process, and show progress on stderr."""
    began = time.monotonic()
    columns = [TextColumn('{task.description}'), TimeElapsedColumn()]
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name)

        def tell(depth: int, worlds: int, left: int) -> None:
            rate = worlds / max(time.monotonic() - began, 0.01)
            said = '{}: {:,} worlds, {:,.0f} a second, step {}, {:,} at the edge'
            progress.update(task, description=said.format(name, worlds, rate, depth, left))

        found = visited(WORLDS[name].kind, tell=tell)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return Result(found.worlds, found.fault, found.history, found.beyond, time.monotonic() - began, peak)


def searched_apart(name: str) -> Result:
    """Search a world in a process of its own, whose progress goes to this one's stderr."""
    command = [sys.executable, '-m', 'tests.proofs.prove', '--one', name]
    child = subprocess.run(command, cwd=str(ROOT), stdout=subprocess.PIPE)
    if child.returncode:
        return Result(0, 'the search itself ended with exit code {}'.format(child.returncode), ())
    said: Dict[str, Any] = json.loads(child.stdout.decode())
    return Result(**{**said, 'history': tuple(said['history'])})


def verdict(found: Result) -> str:
    """Return 'none', or what is wrong, which begins with 'FAULT'."""
    return 'FAULT: ' + found.fault if found.fault else 'none'


def row(name: str, found: Result) -> Tuple[str, ...]:
    ledger = '2.9 – 3.x' if WORLDS[name].kind.juju == 3 else '4'
    beyond = '{:,}'.format(found.beyond)
    figures = (
        '{:,}'.format(found.worlds),
        beyond,
        '{:.0f}'.format(found.seconds),
        '{:,}'.format(found.megabytes),
    )
    return (name, ledger, *figures, verdict(found))


def story(name: str, found: Result) -> str:
    steps = ''.join('\n  {:2}  {}'.format(place, step) for place, step in enumerate(found.history, 1))
    return '{}: the shortest history to: {}{}'.format(name, found.fault, steps)


def main() -> int:
    parser = argparse.ArgumentParser(description='Visit every history of every small world.')
    parser.add_argument('world', nargs='*', help='only these: ' + ', '.join(WORLDS))
    parser.add_argument('--counts', action='store_true', help='only a line for each world, without times')
    parser.add_argument(
        '--one', action='store_true', help='search in this process and print one line of JSON'
    )
    asked = parser.parse_args()
    names = asked.world or list(WORLDS)
    unknown = [name for name in names if name not in WORLDS]
    if unknown:
        parser.error('no world {}; there are {}'.format(', '.join(unknown), ', '.join(WORLDS)))
    if asked.one:
        for name in names:
            print(json.dumps(searched(name)._asdict()))
        return 0

    console = Console(width=None if sys.stdout.isatty() else 130)
    table = Table('world', 'Juju', 'worlds', 'beyond', 's', 'MB', 'fault')
    results = {}
    for name in names:
        found = results[name] = searched_apart(name)
        if asked.counts:
            print(
                '{} {} {} {}'.format(name, found.worlds, len(found.history), found.fault).rstrip(), flush=True
            )
            continue
        line = '{} ({}): {:,} worlds, {:.0f} s, {:,} MB, fault: {}'
        figures = (found.worlds, found.seconds, found.megabytes)
        console.print(line.format(name, WORLDS[name].about, *figures, verdict(found)))
        table.add_row(*row(name, found))
    if not asked.counts:
        console.print(table)
        for name, found in results.items():
            if found.history:
                console.print('\n' + story(name, found), highlight=False)
    return int(any(verdict(found).startswith('FAULT') for name, found in results.items()))


if __name__ == '__main__':
    sys.exit(main())
