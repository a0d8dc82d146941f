"""`make prove`: visit every history of every small world, or of one, and say what was found.

A world that is known to break a promise is told with its shortest history; any
other that does so, or a known one that does not, makes the exit code 1.
"""

import argparse
import resource
import sys
import time
from multiprocessing import Pool
from typing import Tuple

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.proofs.search import Found, Search
from tests.proofs.worlds import WORLDS


def verdict(name: str, found: Found) -> str:
    """Return 'none', 'known: …', or what is wrong, which begins with 'FAULT'."""
    limit = WORLDS[name].limit
    if limit:
        return 'known: ' + found.fault if limit in found.fault else 'FAULT: expected ' + limit
    return 'FAULT: ' + found.fault if found.fault else 'none'


def searched(name: str) -> Tuple[Found, float, int]:
    """Return what was found in a world, the seconds and the MB it took. Runs in a process of its own."""
    world, began = WORLDS[name], time.monotonic()
    columns = [TextColumn('{task.description}'), TimeElapsedColumn()]
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task(name)

        def tell(depth: int, worlds: int, left: int) -> None:
            rate = worlds / max(time.monotonic() - began, 0.01)
            said = '{}: {:,} worlds, {:,.0f} a second, step {}, {:,} at the edge'
            progress.update(task, description=said.format(name, worlds, rate, depth, left))

        found = Search(world.kind, tell).run(only=world.limit)
    return found, time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description='Visit every history of every small world.')
    parser.add_argument('world', nargs='*', help='only these: ' + ', '.join(WORLDS))
    names = parser.parse_args().world or list(WORLDS)
    unknown = [name for name in names if name not in WORLDS]
    if unknown:
        parser.error('no world {}; there are {}'.format(', '.join(unknown), ', '.join(WORLDS)))

    console = Console(width=None if sys.stdout.isatty() else 130)
    table = Table('world', 'Juju', 'worlds', 's', 'MB', 'fault')
    histories, code = [], 0
    with Pool(1, maxtasksperchild=1) as pool:
        for name, (found, seconds, peak) in zip(names, pool.imap(searched, names, chunksize=1)):
            told = verdict(name, found)
            code |= told.startswith('FAULT')
            console.print(
                '{} ({}): {:,} worlds, {:.0f} s, {:,} MB, fault: {}'.format(
                    name, WORLDS[name].about, found.worlds, seconds, peak, told
                )
            )
            ledger = '2.9 – 3.x' if WORLDS[name].kind.juju == 3 else '4'
            figures = ('{:,}'.format(found.worlds), '{:.0f}'.format(seconds), '{:,}'.format(peak))
            table.add_row(name, ledger, *figures, told)
            if found.history:
                histories.append((name, found))
    console.print(table)
    for name, found in histories:
        console.print('\n{}: the shortest history of {}'.format(name, found), highlight=False)
    return code


if __name__ == '__main__':
    sys.exit(main())
