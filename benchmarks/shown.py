"""What `make bench` prints of hooks, calls and ledgers, and its first picture."""

from pathlib import Path
from typing import Any, Callable, List, Sequence

from benchmarks import bench


def table(prices: bench.Prices) -> Any:
    """Return the table of what each roll cost."""
    from rich.table import Table  # here, so that `price` serves where rich is not installed

    shown = Table(title='One rolling restart, {:.0f} s a unit'.format(bench.RESTART_S), title_justify='left')
    for heading in ('lock', 'N', 'hooks', '÷ floor', '+ status', 'calls', 'a hook', 'dearest'):
        shown.add_column(heading, justify='left' if heading == 'lock' else 'right')
    for heading in ('ledger writes', 'bytes', 'longest', 'duration', '÷ floor'):
        shown.add_column(heading, justify='right')
    for run, by_size in prices.items():
        for units, cost in by_size.items():
            shown.add_row(
                '{}, {}'.format(run.lock, bench.MODES[run.juju]),
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


def growth(prices: bench.Prices) -> Any:
    """Return the table of how fast each figure grows with the number of units."""
    from rich.table import Table

    shown = Table(title='Growth: k of N^k, least squares over the sizes above', title_justify='left')
    shown.add_column('')
    sizes = sorted({units for by_size in prices.values() for units in by_size})
    for run in prices:
        shown.add_column('{}\n{}'.format(run.lock, bench.MODES[run.juju]), justify='right')
    shown.add_column('floor', justify='right')
    for name, figure in bench.FIGURES.items():
        fits = [
            bench.exponent({n: figure(cost) for n, cost in by_size.items()}) for by_size in prices.values()
        ]
        fits.append(
            bench.exponent({n: bench.FLOORS[name](n) for n in sizes}) if name in bench.FLOORS else None
        )
        shown.add_row(name, *['' if fit is None else '{:.2f}'.format(fit) for fit in fits])
    return shown


def where_hooks_go(prices: bench.Prices) -> List[str]:
    """Explain what comes on top of the floor, which is N−1 hooks for each of N requests and N releases."""
    lines = []
    for run, by_size in prices.items():
        for units, cost in by_size.items():
            waking = cost.ledger_writes * (units - 1 if run.juju == 3 else units)
            rest = cost.hooks - bench.floor_hooks(units) - units - waking
            lines.append(
                '{}, {}, N = {}: {:,} = {:,} floor + {} config-changed + {:,} by the ledger {} {:,}'.format(
                    run.lock,
                    bench.MODES[run.juju],
                    units,
                    cost.hooks,
                    bench.floor_hooks(units),
                    units,
                    waking,
                    '-' if rest < 0 else '+',
                    abs(rest),
                )
            )
    return lines


def picture(prices: bench.Prices, path: Path) -> None:
    """Draw four figures over the number of units into a file."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    styles = {
        bench.Run(bench.OURS, 3): ('#3070c0', 'o', '-'),
        bench.Run(bench.THEIRS, 3): ('#c05030', 's', '-'),
        bench.Run(bench.OURS, 4): ('#309060', '^', '--'),
    }
    sizes = sorted({units for by_size in prices.values() for units in by_size})
    shown = ['hooks', 'hook-tool calls of the lock', 'ledger bytes written', 'duration']
    figure, plots = pyplot.subplots(2, 2, figsize=(11, 8.5))
    for name, axes in zip(shown, plots.flat):
        if name in bench.FLOORS:
            axes.plot(
                sizes, [bench.FLOORS[name](n) for n in sizes], color='black', linewidth=1, label='floor'
            )
        for run, by_size in prices.items():
            colour, marker, line = styles[run]
            figures = {n: bench.FIGURES[name](cost) for n, cost in by_size.items()}
            fit = bench.exponent(figures)
            label = '{}, {}'.format(run.lock, bench.MODES[run.juju]) + (
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
        scale(axes, name + (', s' if name == 'duration' else ''), sizes, fontsize=8)
    save(figure, path)


def scale(axes: Any, title: str, sizes: Sequence[int], fontsize: int) -> None:
    """Make both axes logarithmic, with the sizes on one; give them their title and legend."""
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xticks(sizes)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, loc='left')
    axes.set_xlabel('units')
    axes.grid(True, which='major', color='#dddddd')
    axes.legend(fontsize=fontsize, loc='upper left', frameon=False)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)


def save(figure: Any, path: Path) -> None:
    """Write a picture of rolls into a file."""
    from matplotlib import pyplot

    figure.suptitle('One rolling restart, {:.0f} s a unit'.format(bench.RESTART_S), x=0.01, ha='left')
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(path), dpi=120)
    pyplot.close(figure)


def aims(prices: bench.Prices, late: List[bench.Late]) -> List[str]:
    """Say of each aim whether it is met, and at what worst figure."""
    ours = [
        (run, cost) for run, by_size in prices.items() if run.lock == bench.OURS for cost in by_size.values()
    ]

    def line(aim: str, figure: Callable[[bench.Price], float], most: float, form: str = '{:.2f}') -> str:
        run, worst = max(ours, key=lambda pair: figure(pair[1]))
        over = [
            'N = {}, {}'.format(cost.units, bench.MODES[r.juju]) for r, cost in ours if figure(cost) > most
        ]
        verdict = 'not met at ' + '; '.join(over) if over else 'met'
        where = 'N = {}, {}'.format(worst.units, bench.MODES[run.juju])
        return '{}: worst {} ({}): {}'.format(aim, form.format(figure(worst)), where, verdict)

    lines = (
        []
        if not ours
        else [
            line('hooks ≤ 1.1 × floor', lambda cost: cost.hooks_over_floor, 1.1),
            line('≤ 4 calls a hook', lambda cost: cost.calls_a_hook, 4),
            line('≤ 6 ledger writes', lambda cost: cost.ledger_writes, 6, '{:.0f}'),
            line('duration ≤ 1.05 × floor', lambda cost: cost.duration_over_floor, 1.05, '{:.3f}'),
        ]
    )
    for juju in bench.MODES:
        of_this = [roll for roll in late if roll.juju == juju]
        if of_this:
            worst = max(of_this, key=lambda roll: roll.ratio)
            lines.append(
                'duration ≤ 1.05 × floor, {} rolls on {}, leader at each place of {}: worst {:.3f} '
                '(seed {}, place {}): {}'.format(
                    len(of_this),
                    bench.MODES[juju],
                    sorted({roll.place for roll in of_this}),
                    worst.ratio,
                    worst.seed,
                    worst.place,
                    'met' if worst.ratio <= 1.05 else 'not met',
                )
            )
    return lines
