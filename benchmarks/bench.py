"""`make bench`: what one rolling restart costs, and one hook, beside charmhelpers.coordinator.

Both charms restart the same service for as long, on the same local Juju with
the same seed; only the lock differs. What a roll costs is counted in the model,
so those figures are the same on every machine. What a hook costs is measured on
this machine, pair by pair, by benchmarks/hookcost.py.

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

RESTART_S, HOOK_S = 60.0, 1.0
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


# What is printed


def table(prices: Prices) -> Any:
    """Return the table of what each roll cost."""
    from rich.table import Table  # here, so that `price` serves where rich is not installed

    shown = Table(title='One rolling restart, {:.0f} s a unit'.format(RESTART_S), title_justify='left')
    for heading in ('lock', 'N', 'hooks', '÷ floor', '+ status', 'calls', 'a hook', 'dearest'):
        shown.add_column(heading, justify='left' if heading == 'lock' else 'right')
    for heading in ('ledger writes', 'bytes', 'longest', 'duration', '÷ floor'):
        shown.add_column(heading, justify='right')
    for run, by_size in prices.items():
        for units, cost in by_size.items():
            shown.add_row(
                '{}, {}'.format(run.lock, MODES[run.juju]),
                str(units),
                '{:,}'.format(cost.hooks),
                '{:.2f}'.format(cost.hooks_over_floor),
                '{:,}'.format(cost.beside),
                '{:,}'.format(cost.lock_calls),
                '{:.1f}'.format(cost.calls_a_hook),
                str(cost.dearest),
                str(cost.ledger_writes),
                '{:,}'.format(cost.ledger_bytes),
                '{:,}'.format(cost.longest_ledger),
                '{:,.0f} s'.format(cost.duration_s),
                '{:.3f}'.format(cost.duration_over_floor),
                end_section=units == max(by_size),
            )
    return shown


def growth(prices: Prices) -> Any:
    """Return the table of how fast each figure grows with the number of units."""
    from rich.table import Table

    shown = Table(title='Growth: k of N^k, least squares over the sizes above', title_justify='left')
    shown.add_column('')
    sizes = sorted({units for by_size in prices.values() for units in by_size})
    for run in prices:
        shown.add_column('{}\n{}'.format(run.lock, MODES[run.juju]), justify='right')
    shown.add_column('floor', justify='right')
    for name, figure in FIGURES.items():
        fits = [exponent({n: figure(cost) for n, cost in by_size.items()}) for by_size in prices.values()]
        fits.append(exponent({n: FLOORS[name](n) for n in sizes}) if name in FLOORS else None)
        shown.add_row(name, *['' if fit is None else '{:.2f}'.format(fit) for fit in fits])
    return shown


def where_hooks_go(prices: Prices) -> List[str]:
    """Explain what comes on top of the floor, which is N−1 hooks for each of N requests and N releases."""
    lines = []
    for run, by_size in prices.items():
        for units, cost in by_size.items():
            waking = cost.ledger_writes * (units - 1 if run.juju == 3 else units)
            rest = cost.hooks - floor_hooks(units) - units - waking
            lines.append(
                '{}, {}, N = {}: {:,} = {:,} floor + {} config-changed + {:,} by the ledger {} {:,}'.format(
                    run.lock,
                    MODES[run.juju],
                    units,
                    cost.hooks,
                    floor_hooks(units),
                    units,
                    waking,
                    '-' if rest < 0 else '+',
                    abs(rest),
                )
            )
    return lines


def picture(prices: Prices, path: Path) -> None:
    """Draw four figures over the number of units into a file."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    styles = {
        Run(OURS, 3): ('#3070c0', 'o', '-'),
        Run(THEIRS, 3): ('#c05030', 's', '-'),
        Run(OURS, 4): ('#309060', '^', '--'),
    }
    sizes = sorted({units for by_size in prices.values() for units in by_size})
    shown = ['hooks', 'hook-tool calls of the lock', 'ledger bytes written', 'duration']
    figure, plots = pyplot.subplots(2, 2, figsize=(11, 8.5))
    for name, axes in zip(shown, plots.flat):
        if name in FLOORS:
            axes.plot(sizes, [FLOORS[name](n) for n in sizes], color='black', linewidth=1, label='floor')
        for run, by_size in prices.items():
            colour, marker, line = styles[run]
            figures = {n: FIGURES[name](cost) for n, cost in by_size.items()}
            fit = exponent(figures)
            label = '{}, {}'.format(run.lock, MODES[run.juju]) + (
                '' if fit is None else ': N^{:.1f}'.format(fit)
            )
            axes.plot(
                list(figures),
                list(figures.values()),
                color=colour,
                marker=marker,
                linestyle=line,
                label=label,
            )
        axes.set_xscale('log')
        axes.set_yscale('log')
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title(name + (', s' if name == 'duration' else ''), loc='left')
        axes.set_xlabel('units')
        axes.grid(True, which='major', color='#dddddd')
        axes.legend(fontsize=8, loc='upper left', frameon=False)
        for side in ('top', 'right'):
            axes.spines[side].set_visible(False)
    figure.suptitle('One rolling restart, {:.0f} s a unit'.format(RESTART_S), x=0.01, ha='left')
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(path), dpi=120)
    pyplot.close(figure)


def aims(prices: Prices, late: List[Late]) -> List[str]:
    """Say of each aim whether it is met, and at what worst figure."""
    ours = [(run, cost) for run, by_size in prices.items() if run.lock == OURS for cost in by_size.values()]

    def line(aim: str, figure: Callable[[Price], float], most: float, form: str = '{:.2f}') -> str:
        run, worst = max(ours, key=lambda pair: figure(pair[1]))
        over = ['N = {}, {}'.format(cost.units, MODES[r.juju]) for r, cost in ours if figure(cost) > most]
        verdict = 'not met at ' + '; '.join(over) if over else 'met'
        where = 'N = {}, {}'.format(worst.units, MODES[run.juju])
        return '{}: worst {} ({}): {}'.format(aim, form.format(figure(worst)), where, verdict)

    lines = [
        line('hooks ≤ 1.1 × floor', lambda cost: cost.hooks_over_floor, 1.1),
        line('≤ 4 calls a hook', lambda cost: cost.calls_a_hook, 4),
        line('≤ 6 ledger writes', lambda cost: cost.ledger_writes, 6, '{:.0f}'),
        line('duration ≤ 1.05 × floor', lambda cost: cost.duration_over_floor, 1.05, '{:.3f}'),
    ]
    for juju in MODES:
        of_this = [roll for roll in late if roll.juju == juju]
        if of_this:
            worst = max(of_this, key=lambda roll: roll.ratio)
            lines.append(
                'duration ≤ 1.05 × floor, {} rolls on {}, leader at each place of {}: worst {:.3f} '
                '(seed {}, place {}): {}'.format(
                    len(of_this),
                    MODES[juju],
                    sorted({roll.place for roll in of_this}),
                    worst.ratio,
                    worst.seed,
                    worst.place,
                    'met' if worst.ratio <= 1.05 else 'not met',
                )
            )
    return lines


def main(words: Optional[List[str]] = None) -> int:
    """Measure what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog='make bench', description=__doc__.splitlines()[0])
    parser.add_argument('--units', type=int, nargs='+', default=[3, 10, 30, 100], help='sizes to roll')
    parser.add_argument(
        '--peer-up-to', type=int, default=30, help='largest size for charmhelpers.coordinator'
    )
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument(
        '--seeds', type=int, default=20, help='seeds of the sweep over the leader, 0 for none'
    )
    parser.add_argument('--pairs', type=int, default=30, help='pairs of hooks to run as programs, 0 for none')
    parser.add_argument('--workers', type=int, default=2, help='processes that roll side by side')
    parser.add_argument('--output', default='', help='where a picture goes, .png or .svg')
    options = parser.parse_args(words)
    if min(options.units) < 2:
        parser.error('UNITS: expected sizes of 2 and more, found {}'.format(min(options.units)))
    if options.output and Path(options.output).suffix not in ('.png', '.svg'):
        parser.error('OUTPUT: expected a file name ending in .png or .svg, found {!r}'.format(options.output))
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    left_out = [str(units) for units in sorted(options.units) if units > options.peer_up_to]
    console.print('Rolling {} units …'.format(', '.join(map(str, sorted(options.units)))))
    prices = rolls(options.units, options.peer_up_to, options.seed, options.workers)
    console.print(table(prices))
    if left_out:
        console.print(
            'charmhelpers.coordinator left out at {}: it makes about N³ calls; --peer-up-to runs it.'.format(
                ', '.join(left_out)
            )
        )
    console.print(growth(prices))
    console.print('\n'.join(where_hooks_go(prices)))
    late = sweep(5, range(1, options.seeds + 1), options.workers) if options.seeds else []
    console.print()
    console.print('\n'.join(aims(prices, late)))
    if options.pairs:
        import hookcost  # now that nothing else of this runs

        console.print()
        lines = hookcost.told(*hookcost.measure(options.pairs))
        console.print(hookcost.table(lines))
        console.print('\n'.join(hookcost.verdicts(lines)))
    if options.output:
        picture(prices, Path(options.output))
        console.print('picture: {}'.format(options.output), soft_wrap=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
