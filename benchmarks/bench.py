"""`make bench`: what one rolling restart costs, and one hook, beside charmhelpers.coordinator.

Both charms restart the same service for as long, on the same local Juju with
the same seed; only the lock differs. What a roll costs is counted in the model,
so those figures are the same on every machine. What a hook costs is measured on
this machine, pair by pair, by benchmarks/hookcost.py; the first line says which it is.

    hooks      all but update-status, which Juju runs every five minutes with any lock
    floor      2·N·(N−1) hooks, since each unit asks once and releases once and each
               wakes all others; N turns of one critical section and one hook
    calls      hook-tool calls that the lock makes, juju-log aside
"""

import argparse
import concurrent.futures
import json
import math
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from jujusim.juju import Juju
from tests.deploy import COUNTED, assemble
from tests.watch import Watch

ROOT = Path(__file__).resolve().parents[1]

RESTART_S, HOOK_S, SCRIPT_S = 60.0, 1.0, 0.05
OURS, THEIRS = 'layer:coordinator', 'charmhelpers.coordinator'
CHARMS = {OURS: ROOT / 'tests' / 'charms' / 'probe', THEIRS: ROOT / 'tests' / 'charms' / 'seed-db'}
MODES = {3: 'Juju 2.9-3.x', 4: 'Juju 4'}
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

ONE_AFTER_ANOTHER = """
from subprocess import check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator
from charms.reactive import set_flag, when, when_not


@when('config.changed')
@when_not('plan.asked')
def reconfigure():
    if hookenv.config('go') >= {waves}[hookenv.local_unit()]:
        set_flag('plan.asked')
        coordinator.request_lock('restart')


@when('coordinator.granted.restart')
def restart():
    check_call(['systemctl', 'restart', 'rolling-db'])
"""
"""A unit of wave n asks when `go` is n, so the leader can stand anywhere in the queue."""


class Price(NamedTuple):
    """What one rolling restart cost.

    `beside` counts the update-status hooks, which are not in `hooks`;
    `dearest` is the most calls that the lock made in one hook;
    `ledger_bytes` and `longest_ledger` are of what was written.
    """

    units: int
    hooks: int
    beside: int
    calls: int
    lock_calls: int
    dearest: int
    ledger_writes: int
    ledger_bytes: int
    longest_ledger: int
    duration_s: float
    most_at_work: int
    served: int

    @property
    def hooks_over_floor(self) -> float:
        """Hooks, in multiples of the least that a roll needs."""
        return self.hooks / floor_hooks(self.units)

    @property
    def duration_over_floor(self) -> float:
        """Duration, in multiples of the least that a roll needs."""
        return self.duration_s / floor_s(self.units)

    @property
    def calls_a_hook(self) -> float:
        """Hook-tool calls that the lock makes in one hook, update-status hooks included."""
        return self.lock_calls / (self.hooks + self.beside)


def floor_hooks(units: int) -> int:
    """Return how many hooks a roll needs at least."""
    return 2 * units * (units - 1)


def floor_s(units: int) -> float:
    """Return how many seconds a roll needs at least."""
    return units * (RESTART_S + HOOK_S)


# One roll


def price(lock: str, units: int, seed: int, juju: int = 3, quick: bool = False) -> Price:
    """Deploy, roll once, and return what the roll cost until the model was at rest again."""
    return _rolled(lock, PLAN, units, seed, juju, quick, lambda model: model.configure(go=1))[0]


def leader_at(place: int, units: int, seed: int, juju: int, quick: bool = False) -> Tuple[Price, int]:
    """Roll where so many units ask before the leader and the others after; return the price and its place."""
    leader = seed % units
    waves = {
        'app/{}'.format((leader + rank) % units): 2 if rank == 0 else 3 if rank < units - place else 1
        for rank in range(units)
    }
    plan = ONE_AFTER_ANOTHER.format(waves=waves)
    return _rolled(
        OURS, plan, units, seed, juju, quick, lambda model: _in_waves(model, place), 'app/{}'.format(leader)
    )


def _in_waves(model: Juju, place: int) -> None:
    """Let the leader ask once it has heard those before it, and the others once it has asked."""
    leader, before = str(model.controller.leader), len(model.costs)

    def heard() -> bool:
        ended = [title for unit, title, _ in model.costs[before:] if unit == leader]
        return sum(title.startswith('coordinator-relation-changed (') for title in ended) >= place

    def asked() -> bool:
        told = next(event for event in reversed(model.history) if event.unit == leader)
        return (told.what, told.text) == ('ends', 'config-changed') or told.what == 'works'

    if place:
        model.configure(go=1)
        model.run(until=heard)
    model.configure(go=2)
    model.run(until=asked)
    model.configure(go=3)


def _rolled(
    lock: str,
    plan: str,
    units: int,
    seed: int,
    juju: int,
    quick: bool,
    begin: Callable[[Juju], None],
    leader: str = 'app/0',
) -> Tuple[Price, int]:
    program = {'systemctl': (RESTART_S, 0)}
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(CHARMS[lock], Path(folder) / 'charm')
        if lock == OURS:
            (charm / 'reactive' / 'plan.py').write_text(plan)
        with Juju(
            charm,
            units=units,
            juju=juju,
            seed=seed,
            config={'go': 0},
            machine=lambda _, argv: program.get(argv[0]),
            quick=quick,
            counted=COUNTED,
            script_s=SCRIPT_S,
        ) as model:
            model.run()
            model.elect(leader)
            model.run()
            watch = Watch(model)
            begin(model)
            model.run(until=lambda: len(watch.turns) >= units and model.quiet)
            return _told(model, watch), [turn.unit for turn in watch.turns].index(leader)


def _told(model: Juju, watch: Watch) -> Price:
    costs = model.costs[watch.hooks_before :]
    beside = sum(title == 'update-status' for _, title, _ in costs)
    by_lock = [sum(by_lock for _, by_lock in calls) for _, _, calls in costs]
    ledgers = [_bytes(text) for _, text in model.controller.leader_writes[watch.ledger_writes_before :]]
    return Price(
        units=len(model.units),
        hooks=len(costs) - beside,
        beside=beside,
        calls=watch.calls,
        lock_calls=sum(by_lock),
        dearest=max(by_lock),
        ledger_writes=watch.ledger_writes,
        ledger_bytes=sum(ledgers),
        longest_ledger=max(ledgers),
        duration_s=watch.duration_s,
        most_at_work=watch.most_at_work,
        served=len(watch.turns),
    )


def _bytes(written: str) -> int:
    return sum(len(value.encode()) for value in json.loads(written).values() if value)


# Many rolls


class Run(NamedTuple):
    """One line of the table: a lock on a Juju."""

    lock: str
    juju: int


RUNS = (Run(OURS, 3), Run(THEIRS, 3), Run(OURS, 4))
Prices = Dict[Run, Dict[int, Price]]


def rolls(sizes: Iterable[int], peer_up_to: int, seed: int, workers: int) -> Prices:
    """Roll every size with each lock, the largest first, in so many processes."""
    wanted = [
        (run, units)
        for units in sorted(sizes, reverse=True)
        for run in RUNS
        if run.lock == OURS or units <= peer_up_to
    ]
    with concurrent.futures.ProcessPoolExecutor(max_workers=workers) as pool:
        told = {
            (run, units): pool.submit(price, run.lock, units, seed, run.juju, True) for run, units in wanted
        }
        prices: Prices = {run: {} for run in RUNS}
        for run, units in sorted(told, key=lambda key: key[1]):
            prices[run][units] = told[run, units].result()
    return prices


class Late(NamedTuple):
    """A roll of the sweep: how it was set up, and what came of it."""

    juju: int
    seed: int
    place: int
    ratio: float


def sweep(units: int, seeds: Iterable[int], workers: int) -> List[Late]:
    """Roll with the leader at each place of the queue, for each seed, on both Jujus."""
    wanted = [(juju, seed, place) for juju in MODES for seed in seeds for place in range(units)]
    with concurrent.futures.ProcessPoolExecutor(max_workers=workers) as pool:
        told = {key: pool.submit(leader_at, key[2], units, key[1], key[0], True) for key in wanted}
        return [
            Late(juju, seed, run.result()[1], run.result()[0].duration_over_floor)
            for (juju, seed, _), run in told.items()
        ]


def exponent(figures: Dict[int, float]) -> Optional[float]:
    """Return k of the figure ~ N^k that fits best (least squares of the logarithms)."""
    points = [(math.log(units), math.log(figure)) for units, figure in figures.items() if figure > 0]
    if len(points) < 2:
        return None
    middle_x, middle_y = (sum(axis) / len(points) for axis in zip(*points))
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread


FIGURES: Dict[str, Callable[[Price], float]] = {
    'hooks': lambda cost: cost.hooks,
    'hook-tool calls of the lock': lambda cost: cost.lock_calls,
    'calls a hook': lambda cost: cost.calls_a_hook,
    'ledger writes': lambda cost: cost.ledger_writes,
    'ledger bytes written': lambda cost: cost.ledger_bytes,
    'duration': lambda cost: cost.duration_s,
}
FLOORS: Dict[str, Callable[[int], float]] = {'hooks': floor_hooks, 'duration': floor_s}


# What is run


PARTS = ('rolls', 'sweep', 'orders', 'hook', 'cpu', 'counts', 'controller', 'thousand')


def main(words: Optional[List[str]] = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog='make bench', description=__doc__.splitlines()[0])
    parser.add_argument('--only', nargs='+', choices=PARTS, default=PARTS, help='parts to run')
    parser.add_argument('--units', type=int, nargs='+', default=[3, 10, 30], help='sizes to roll')
    parser.add_argument(
        '--peer-up-to', type=int, default=30, help='largest size for charmhelpers.coordinator'
    )
    parser.add_argument(
        '--cpu-units', type=int, nargs='+', default=[10, 30, 100], help='sizes to roll with real processes'
    )
    parser.add_argument('--before-up-to', type=int, default=30, help='largest of these with `wake: all`')
    parser.add_argument(
        '--measured', type=int, default=60, help='whole hooks of a large roll that are run as programs'
    )
    parser.add_argument('--simulated', type=int, default=1000, help='size of the simulated roll')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument(
        '--seeds', type=int, default=20, help='seeds of the sweep over the leader, 0 for none'
    )
    parser.add_argument('--order-units', type=int, default=20, help='size of the rolls that an action starts')
    parser.add_argument('--order-seeds', type=int, default=2, help='seeds of these, 0 for none')
    parser.add_argument('--pairs', type=int, default=15, help='pairs of hooks to run as programs, 0 for none')
    parser.add_argument('--workers', type=int, default=2, help='processes that roll side by side')
    parser.add_argument('--output', default='', help='where a picture goes, .png or .svg')
    options = parser.parse_args(words)
    least = min(options.units + options.cpu_units)
    if least < 2:
        parser.error('UNITS: expected sizes of 2 and more, found {}'.format(least))
    if options.output and Path(options.output).suffix not in ('.png', '.svg'):
        parser.error('OUTPUT: expected a file name ending in .png or .svg, found {!r}'.format(options.output))
    from rich.console import Console

    from benchmarks import here

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(here.told(), soft_wrap=True)
    console.print('Hooks, calls, bytes and durations are counted on the local Juju; CPU is measured here.\n')
    if 'rolls' in options.only or 'sweep' in options.only:
        _about_hooks(options, console)
    if 'orders' in options.only and options.order_seeds:
        from benchmarks import ordered

        found = ordered.rolls(options.order_units, range(1, options.order_seeds + 1), options.workers)
        console.print(ordered.table(found))
        console.print('\n'.join(ordered.verdicts(found)))
    if 'hook' in options.only and options.pairs:
        from benchmarks import hookcost  # now that nothing else of this runs

        console.print()
        lines = hookcost.told(*hookcost.measure(options.pairs))
        console.print(hookcost.table(lines))
        console.print('\n'.join(hookcost.verdicts(lines)))
    from benchmarks import cpu_shown

    cpu_shown.run(options, console)
    return 0


def _about_hooks(options: Any, console: Any) -> None:
    """Roll, and print what hooks, calls and ledgers came to."""
    from benchmarks import shown

    sizes = options.units if 'rolls' in options.only else []
    left_out = [str(units) for units in sorted(sizes) if units > options.peer_up_to]
    prices = rolls(sizes, options.peer_up_to, options.seed, options.workers)
    if sizes:
        console.print('Rolled {} units'.format(', '.join(map(str, sorted(sizes)))))
        console.print(shown.table(prices))
        if left_out:
            form = 'charmhelpers.coordinator left out at {}: it makes about N³ calls; --peer-up-to runs it.'
            console.print(form.format(', '.join(left_out)))
        console.print(shown.growth(prices))
        console.print('\n'.join(shown.where_hooks_go(prices)))
    seeds = options.seeds if 'sweep' in options.only else 0
    late = sweep(5, range(1, seeds + 1), options.workers) if seeds else []
    console.print()
    console.print('\n'.join(shown.aims(prices, late)))
    if options.output and sizes:
        shown.picture(prices, Path(options.output))
        console.print('picture: {}'.format(options.output), soft_wrap=True)


if __name__ == '__main__':
    sys.exit(main())
