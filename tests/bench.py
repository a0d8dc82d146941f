"""`make bench`: one rolling restart, ours beside charmhelpers.coordinator in the same run.

Both charms restart the same service for as long, on the same local Juju with
the same seed; only the lock differs. Counted in the model, so the figures are
the same on every machine: no wall-clock time is in them. The two run side by
side in two processes, since 30 units run some thousand hooks each.
"""

import argparse
import concurrent.futures
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / 'lib'), str(ROOT / 'tests')]

from jujusim.charm import assemble  # noqa: E402
from jujusim.juju import Juju  # noqa: E402
from watch import Watch  # noqa: E402

RESTART_S, HOOK_S = 60.0, 1.0
CHARMS = {
    'layer:coordinator': ROOT / 'tests' / 'charms' / 'probe',
    'charmhelpers.coordinator': ROOT / 'tests' / 'charms' / 'seed-db',
}
PLAN = """
from subprocess import check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator
from charms.reactive import when


@when('config.changed')
def reconfigure():
    if hookenv.config('go'):
        coordinator.request_lock('restart')


@when('coordinator.granted.restart')
def restart():
    check_call(['systemctl', 'restart', 'rolling-db'])
"""
"""Ours does what tests/charms/seed-db does; neither asks while it is deployed."""


class Price(NamedTuple):
    """What one rolling restart cost."""

    hooks: int
    calls: int
    lock_calls: int
    ledger_writes: int
    duration_s: float
    most_at_work: int
    served: int


def price(lock: str, units: int, seed: int, juju: int = 3) -> Price:
    """Deploy, roll once, and return what the roll cost until the model was at rest again."""
    program = {'systemctl': (RESTART_S, 0)}
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(CHARMS[lock], Path(folder) / 'charm')
        if lock == 'layer:coordinator':
            (charm / 'reactive' / 'plan.py').write_text(PLAN)
        with Juju(
            charm,
            units=units,
            juju=juju,
            seed=seed,
            config={'go': 0},
            machine=lambda _, argv: program.get(argv[0]),
        ) as model:
            model.run()
            watch = Watch(model)
            model.configure(go=1)
            model.run(until=lambda: len(watch.turns) >= units and model.quiet)
            return _told(model, watch)


def _told(model: Juju, watch: Watch) -> Price:
    costs = model.costs[watch.hooks_before :]
    return Price(
        hooks=len(costs),
        calls=watch.calls,
        lock_calls=sum(by_lock for _, _, calls in costs for _, by_lock in calls),
        ledger_writes=watch.ledger_writes,
        duration_s=watch.duration_s,
        most_at_work=watch.most_at_work,
        served=len(watch.turns),
    )


def table(prices: Dict[int, Dict[str, Price]]) -> Any:
    from rich.table import Table  # here, so that `price` serves where rich is not installed

    shown = Table(
        title='One rolling restart, {:.0f} s a unit, Juju 2.9-3.x'.format(RESTART_S), title_justify='left'
    )
    for heading in (
        'units',
        'lock',
        'hooks',
        'hook-tool calls',
        'of the lock',
        'ledger writes',
        'duration',
        '× least',
    ):
        shown.add_column(heading, justify='left' if heading == 'lock' else 'right')
    for units, by_lock in prices.items():
        for lock, cost in by_lock.items():
            shown.add_row(
                str(units),
                lock,
                *[str(count) for count in cost[:4]],
                '{:.0f} s'.format(cost.duration_s),
                '{:.2f}'.format(cost.duration_s / (units * (RESTART_S + HOOK_S))),
            )
        ours, theirs = by_lock.values()
        shown.add_row(
            '', 'ratio', *['{:.1f}'.format(b / a) for a, b in zip(ours[:5], theirs[:5])], '', end_section=True
        )
    return shown


def main(words: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='make bench', description=__doc__.splitlines()[0])
    parser.add_argument('--units', type=int, nargs='+', default=[10, 30])
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args(words)
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 130)
    console.print(
        'Rolling {} units with each lock …'.format(' and '.join(map(str, options.units))), highlight=False
    )
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as pool:
        runs = {
            units: {lock: pool.submit(price, lock, units, options.seed) for lock in CHARMS}
            for units in sorted(options.units)
        }
        prices = {
            units: {lock: run.result() for lock, run in by_lock.items()} for units, by_lock in runs.items()
        }
    console.print(table(prices))
    console.print(
        'hooks: 2·N·(N−1) = {} at least'.format(', '.join(str(2 * n * (n - 1)) for n in options.units))
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
