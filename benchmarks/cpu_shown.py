"""What `make bench` prints of hooks that run whole and of CPU, and its second picture."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from benchmarks import bench, cpu, machines, thousand
from benchmarks.cpu import BEFORE, NEW, PEER, Counted, Lock, Rolls, Taken
from benchmarks.programs import TOOL_MS
from benchmarks.shown import save, scale

WORKS_S = (60.0, 0.1)
FIGURES: Dict[str, Callable[[Taken], float]] = {
    'hooks': lambda cost: cost.hooks,
    'whole hooks': lambda cost: cost.whole,
    'CPU of hooks': lambda cost: cost.cpu_s,
    'CPU with Juju’s own': lambda cost: cost.with_juju_s,
}
MOST_PER_UNIT, LEAST_BEFORE, LEAST_PEER, AIMED_AT = 10.0, 8.0, 30.0, 30
REAL_CPU_S, REAL_S = 70.0, 100.0
FEW = 4  # units, where only the price of a hook is measured


def run(options: Any, console: Any) -> None:
    """Measure and print the parts that are wanted."""
    rolls: Rolls = {}
    counts: List[Counted] = []
    if 'cpu' in options.only:
        rolls = cpu.rolls(
            options.cpu_units, options.before_up_to, options.peer_up_to, options.seed, options.workers,
            options.measured,
        )  # fmt: skip
        console.print(table(rolls, options.cpu_units))
        console.print(growth(rolls))
    if 'counts' in options.only:
        counts = cpu.counts(options.cpu_units, WORKS_S, options.seed, options.workers)
        console.print(counted_table(counts))
    console.print('\n'.join(verdicts(rolls, counts)))
    if 'controller' in options.only:
        console.print()
        found = machines.roll(options.seed)
        console.print('\n'.join(machines.told(found)))
        prices = rolls.get(NEW[4]) or {FEW: cpu.taken(NEW[4], FEW, options.seed)}
        console.print(here_predicted(found, prices))
    if 'thousand' in options.only and options.simulated:
        console.print()
        for juju in bench.MODES:
            roll = thousand.Roll(options.simulated, juju, bench.RESTART_S, options.seed).run()
            console.print(simulated(roll, rolls.get(NEW[juju], {})))
    if options.output and any(rolls.values()):
        path = Path(options.output)
        path = path.with_name('{}-cpu{}'.format(path.stem, path.suffix))
        picture(rolls, path)
        console.print('picture: {}'.format(path), soft_wrap=True)


def table(rolls: Rolls, sizes: Sequence[int]) -> Any:
    """Return the table of what each roll took."""
    from rich.table import Table

    title = 'CPU of one roll, {:.0f} s a unit: real processes, {:.0f} ms for each hook tool'
    shown = Table(title=title.format(bench.RESTART_S, TOOL_MS), title_justify='left')
    for heading in ('lock', 'N', 'hooks', 'whole', '÷ N', 'left', 'ledger writes', 'CPU', '± by the sample'):
        shown.add_column(heading, justify='left' if heading == 'lock' else 'right')
    for heading in ('of it left', 'with Juju’s own', 'programs', 'reference'):
        shown.add_column(heading, justify='right')
    for lock, by_size in rolls.items():
        for units in sorted(sizes):
            shown.add_row(*_row(lock, units, by_size), end_section=units == max(sizes))
    return shown


def _row(lock: Lock, units: int, by_size: Dict[int, Taken]) -> List[str]:
    cost = by_size.get(units)
    if cost is None:
        guess = cpu.extrapolated(by_size, units)
        said = 'not run' if guess is None else 'not run; N^k says {:,.0f} s'.format(guess)
        return [lock.title, str(units), '', '', '', '', '', said]
    return [
        lock.title,
        str(units),
        '{:,}'.format(cost.hooks),
        '{:,}'.format(cost.whole),
        '{:.1f}'.format(cost.whole / units),
        '{:,}'.format(cost.left),
        str(cost.writes),
        '{:,.1f} s'.format(cost.cpu_s),
        '{:.1f}'.format(cost.error_s) if cost.error_s else '',
        '{:.1f} s'.format(cost.left_s),
        '{:,.0f} s'.format(cost.with_juju_s),
        '{:,} of {:,}'.format(cost.measured, cost.whole),
        '{:.0f} ms'.format(cost.reference_ms),
    ]


def growth(rolls: Rolls) -> Any:
    """Return the table of how fast each figure grows with the number of units."""
    from rich.table import Table

    shown = Table(title='Growth: k of N^k, least squares over the sizes that were run', title_justify='left')
    shown.add_column('')
    for lock in rolls:
        shown.add_column(lock.title.replace(', ', '\n'), justify='right')
    for name, figure in FIGURES.items():
        fits = [
            bench.exponent({n: figure(cost) for n, cost in by_size.items()}) for by_size in rolls.values()
        ]
        shown.add_row(name, *['' if fit is None else '{:.2f}'.format(fit) for fit in fits])
    return shown


def counted_table(counts: Sequence[Counted]) -> Any:
    """Return the table of the hooks that were only counted."""
    from rich.table import Table

    shown = Table(title='Hooks of one roll of {}, counted'.format(bench.OURS), title_justify='left')
    for heading in ('Juju', 'work', 'N', 'whole', '÷ N', 'left', 'ledger writes'):
        shown.add_column(heading, justify='left' if heading == 'Juju' else 'right')
    for each in counts:
        shown.add_row(
            bench.MODES[each.juju],
            '{:g} s'.format(each.work_s),
            str(each.units),
            '{:,}'.format(each.whole),
            '{:.1f}'.format(each.per_unit),
            '{:,}'.format(each.left),
            str(each.writes),
        )
    return shown


def verdicts(rolls: Rolls, counts: Sequence[Counted]) -> List[str]:
    """Say of each aim whether it is met, and at what worst figure."""
    lines = []
    whole = [(each.per_unit, each.units, each.juju, each.work_s) for each in counts]
    whole += [
        (cost.whole / units, units, juju, bench.RESTART_S)
        for juju, lock in NEW.items()
        for units, cost in rolls.get(lock, {}).items()
    ]
    if whole:
        most, units, juju, work_s = max(whole)
        form = 'whole hooks ≤ {:.0f} N: worst {:.1f} (N = {}, {}, {:g} s of work): {}'
        met = 'met' if most <= MOST_PER_UNIT else 'not met'
        lines.append(form.format(MOST_PER_UNIT, most, units, bench.MODES[juju], work_s, met))
    for juju, lock in NEW.items():
        for dear, least in ((BEFORE[juju], LEAST_BEFORE), (PEER, LEAST_PEER)):
            if juju == dear.juju:
                lines += _ratios(rolls, dear, lock, least)
    return lines


def _ratios(rolls: Rolls, dear: Lock, cheap: Lock, least: float) -> List[str]:
    lines = []
    for units, cost in rolls.get(dear, {}).items():
        if units in rolls.get(cheap, {}):
            found = cpu.ratio(cost, rolls[cheap][units])
            form = 'CPU, N = {}, {}: {:.1f} times less than {}{}'
            aim = '; aim {:.0f}: {}'.format(least, 'met' if found >= least else 'not met')
            what = '`wake: all`' if dear.wake else dear.name
            lines.append(
                form.format(units, bench.MODES[cheap.juju], found, what, aim if units == AIMED_AT else '')
            )
    return lines


def simulated(roll: thousand.Simulated, measured: Dict[int, Taken]) -> str:
    """Say what a simulated roll came to, and its CPU at the prices of the largest measured one."""
    form = (
        'Simulated, {}, {} units, {:g} s of work: {:,} whole hooks ({:.1f} N; the leader {}), {:,} left, '
        '{} ledger writes, {:.4f} of the duration is work'
    )
    share = roll.units * roll.work_s / roll.duration_s
    said = form.format(
        bench.MODES[roll.juju], roll.units, roll.work_s, roll.whole, roll.whole / roll.units, roll.by_leader,
        roll.left, roll.writes, share,
    )  # fmt: skip
    cpu_s = priced(roll.whole, roll.left, measured)
    return said if cpu_s is None else said + '; about {:,.0f} s of CPU in hooks'.format(cpu_s)


def here_predicted(found: machines.Controlled, measured: Dict[int, Taken]) -> str:
    """Say what the hooks of a roll would take on this machine, at the prices of the largest measured roll."""
    whole, left = len(found.account.whole), len(found.account.left)
    one, script = (priced(*counts, measured) or 0.0 for counts in ((1, 0), (0, 1)))
    form = 'predicted for this machine: {:.0f} s of CPU in hooks ({:.2f} s a whole one, {:.1f} ms a script)'
    return form.format(whole * one + left * script, one, 1000 * script)


def priced(whole: int, left: int, measured: Dict[int, Taken]) -> Optional[float]:
    """Return the CPU seconds of so many hooks at the prices of the largest measured roll."""
    if not measured:
        return None
    cost = measured[max(measured)]
    a_whole = (cost.cpu_s - cost.left_s) / cost.whole
    a_left = cost.left_s / cost.left if cost.left else 0.0
    return whole * a_whole + left * a_left


def picture(rolls: Rolls, path: Path) -> None:
    """Draw the CPU of a roll, and its whole hooks, over the number of units into a file."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    styles = {
        NEW[3]: ('#3070c0', 'o', '-'), NEW[4]: ('#309060', '^', '-'), PEER: ('#c05030', 's', '-'),
        BEFORE[3]: ('#3070c0', 'o', ':'), BEFORE[4]: ('#309060', '^', ':'),
    }  # fmt: skip
    sizes = sorted({units for by_size in rolls.values() for units in by_size})
    figure, plots = pyplot.subplots(1, 2, figsize=(11, 5))
    for axes, name in zip(plots, ('CPU of hooks', 'whole hooks')):
        for lock, by_size in rolls.items():
            figures = {n: FIGURES[name](cost) for n, cost in by_size.items()}
            fit = bench.exponent(figures)
            colour, marker, line = styles[lock]
            label = lock.title + ('' if fit is None else ': N^{:.1f}'.format(fit))
            axes.plot(list(figures), list(figures.values()), color=colour, marker=marker, linestyle=line,
                      label=label)  # fmt: skip
        scale(axes, name + (', s' if name.startswith('CPU') else ''), sizes, fontsize=7)
    save(figure, path)
