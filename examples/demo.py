"""`make demo`: a rolling restart of the example charm, live, on the local Juju of this repository.

Real charm code runs in a process per hook; the controller is modelled and time is
virtual. In the middle one restart fails and is retried, and leadership moves.
What is shown comes from watching the units from outside, never from the lock.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

ROOT = Path(__file__).resolve().parents[1]

from charms.layer.coordinator import policy
from rich.console import Console
from rich.live import Live
from rich.table import Table

from jujusim.juju import Event, Juju
from tests.deploy import assemble
from tests.watch import Watch

RESTART_S = 60.0
RESTART = ['systemctl', 'restart', 'rolling-db']
HOOK_S = 1.0
BAR = 24
COLOURS = {'waiting': '#e0b040', 'working': '#3070c0', 'failed': '#c03030', 'leader': '#309060'}


class Span(NamedTuple):
    """A stretch of one unit's time: waiting, working or failed."""

    unit: str
    kind: str
    begins: float
    ends: float


class Recorder:
    """Keeps what each unit does, for the table and for the picture."""

    def __init__(self, juju: Juju) -> None:
        self.juju, self.since = juju, juju.now
        self.doing: Dict[str, Tuple[str, float]] = dict.fromkeys(juju.units, ('idle', juju.now))
        self.spans: List[Span] = []
        self.leaders: List[Tuple[float, str]] = [(juju.now, juju.controller.leader or '')]
        juju.observers.append(self.see)

    def see(self, event: Event) -> None:
        kinds = {'works': 'working', 'failed at': 'failed', 'worked': 'done'}
        if event.what == 'leads':
            self.leaders.append((event.time, event.unit))
        if event.what in kinds:
            self._now(event.unit, kinds[event.what])
        elif event.what == 'ends' and self._reason(event.unit) and self.doing[event.unit][0] == 'idle':
            self._now(event.unit, 'waiting')

    def _now(self, unit: str, kind: str) -> None:
        before, since = self.doing[unit]
        if before in ('waiting', 'working', 'failed'):
            self.spans.append(Span(unit, before, since, self.juju.now))
        self.doing[unit] = (kind, self.juju.now)

    def _reason(self, unit: str) -> str:
        """What the charm says of its waiting: the sentence of `explain`, by way of status-set."""
        record = self.juju.controller.units[unit]
        return record.status_message if record.status == 'waiting' else ''

    def table(self, title: str) -> Table:
        table = Table(title=title, title_justify='left', expand=False)
        for heading in ('unit', 'progress', 'does', 'since'):
            table.add_column(heading, no_wrap=heading != 'does')
        for unit, (kind, since) in self.doing.items():
            name = unit + (' *' if self.juju.controller.leader == unit else '')
            table.add_row(name, _bar(kind, self.juju.now - since), *self._words(unit, kind, since))
        table.caption = '* leads · {:.0f} s since the configuration changed'.format(
            self.juju.now - self.since
        )
        return table

    def _words(self, unit: str, kind: str, since: float) -> Tuple[str, str]:
        words = {
            'idle': '',
            'waiting': self._reason(unit),
            'working': '[bold]works: {}[/bold]'.format(' '.join(RESTART)),
            'failed': '[red]its restart failed; it keeps the lock, Juju retries the hook[/red]',
            'done': '[green]restarted[/green]',
        }
        return words[kind], '' if kind == 'idle' else '{:.0f} s'.format(since - self.since)


def _bar(kind: str, elapsed_s: float) -> str:
    if kind == 'done':
        return '[green]' + '█' * BAR + '[/green]'
    if kind == 'working':
        done = min(BAR, round(BAR * elapsed_s / RESTART_S))
        return '[blue]' + '█' * done + '░' * (BAR - done) + '[/blue]'
    return {'waiting': '[yellow]' + '·' * BAR + '[/yellow]', 'failed': '[red]' + '✗' * BAR + '[/red]'}.get(
        kind, ''
    )


def picture(recorder: Recorder, path: Path, title: str) -> None:
    """Draw the roll: units down, time across, waiting and working bars, the leader marked."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    juju, units = recorder.juju, list(recorder.doing)
    figure, axes = pyplot.subplots(figsize=(11, 1.6 + 0.42 * len(units)))
    for span in recorder.spans:
        thick = 0.5 if span.kind != 'waiting' else 0.12
        left, place = span.begins - recorder.since, units.index(span.unit)
        axes.barh(place, span.ends - span.begins, left=left, height=thick, color=COLOURS[span.kind])
    ends = [when for when, _ in recorder.leaders[1:]] + [juju.now]
    for (begins, leader), over in zip(recorder.leaders, ends):
        if leader in units:
            place, left = units.index(leader) + 0.36, begins - recorder.since
            axes.barh(place, over - begins, left=left, height=0.1, color=COLOURS['leader'])
    axes.set_yticks(range(len(units)), units)
    axes.invert_yaxis()
    axes.set_xlabel('seconds of the model since the configuration changed')
    axes.set_title(title, loc='left')
    axes.legend(
        handles=[Patch(color=colour, label=kind) for kind, colour in COLOURS.items()],
        loc='upper left', bbox_to_anchor=(1.0, 1.0), frameon=False,
    )  # fmt: skip
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(path))
    pyplot.close(figure)


def verdict(recorder: Recorder, watch: Watch, slots: int) -> Tuple[bool, List[str]]:
    """Return whether all went as promised, and the sentences that say so in numbers."""
    units = recorder.juju.units
    served = [watch.served(unit) for unit in units]
    failed = [span for span in recorder.spans if span.kind == 'failed']
    tries = len(watch.turns) + len(failed)
    lost_s = sum(span.ends - span.begins for span in failed)
    rounds = -(-tries // slots)
    least_s = rounds * (RESTART_S + HOOK_S) + lost_s
    good = served == [1] * len(units) and watch.most_at_work <= slots and not watch.faults
    lines = [
        '{} of {} units restarted, each once; {} restart failed and was retried'.format(
            sum(count == 1 for count in served), len(units), len(failed)
        ),
        'at most {} at work at once, {} allowed'.format(watch.most_at_work, slots),
        'leadership: {}'.format(' → '.join(leader for _, leader in recorder.leaders)),
        '{} hooks run, {} hook-tool calls, {} ledger writes'.format(
            watch.hooks, watch.calls, watch.ledger_writes
        ),
        '{:.0f} s of the model; the least possible is {:.0f} s '
        '({} restarts of {:.0f} s, {} at once, with a hook of {:.0f} s each{})'.format(
            watch.duration_s, least_s, tries, RESTART_S, slots, HOOK_S,
            '; {:.0f} s until Juju retried'.format(lost_s) if failed else '',
        ),
        'no promise was broken' if good else 'A PROMISE WAS BROKEN: {}'.format(watch.faults or served),
    ]  # fmt: skip
    return good, lines


def roll(options: argparse.Namespace, charm: Path, console: Console) -> bool:
    """Run the whole demo; return whether all went as promised."""
    program = {'systemctl': (RESTART_S, 0)}
    with Juju(
        charm, units=options.units, juju=options.juju, seed=options.seed, app='db', config={'memory': 1},
        machine=lambda unit, argv: program.get(argv[0]),
    ) as juju:  # fmt: skip
        release = {3: 'Juju 2.9–3.x (leader settings)', 4: 'Juju 4 (application databag)'}[options.juju]
        console.print(
            'Deploying {} units of examples/rolling-db on a local {} …'.format(options.units, release)
        )
        juju.run()
        slots = policy.from_options({'slots': options.slots}).slots_among(options.units)
        watch, recorder = Watch(juju, slots), Recorder(juju)
        _plan_trouble(juju, recorder)
        juju.configure(memory=2)
        _show(juju, recorder, console, 'juju config db memory=2, {} at a time'.format(slots))
        good, lines = verdict(recorder, watch, slots)
        path = Path(options.output or str(ROOT / 'build' / 'roll.png'))
        title = 'Rolling restart of {} units, {} at a time, {}'.format(options.units, slots, release)
        picture(recorder, path, title)
    console.print()
    for line in lines:
        console.print('  ' + line, highlight=False)
    console.print('  picture: {}'.format(path), highlight=False, soft_wrap=True)
    return good


def _plan_trouble(juju: Juju, recorder: Recorder) -> None:
    """One restart fails at the first try; leadership moves while about half of the roll is done."""
    if len(juju.units) > 1:
        juju.fail_command(juju.units[1], ' '.join(RESTART))
        half = juju.now + (RESTART_S + HOOK_S) * len(juju.units) / 2
        successor = juju.units[-1]
        juju.at(half, lambda: juju.elect(successor))


def _show(juju: Juju, recorder: Recorder, console: Console, title: str) -> None:
    """Let the model run; repaint when it has gone on for some seconds of its own."""
    if not console.is_terminal:
        juju.observers.append(lambda event: _line(console, recorder, event))
        juju.run()
        return
    painted = juju.now
    with Live(recorder.table(title), console=console, auto_refresh=False) as live:

        def still_quiet() -> bool:
            nonlocal painted
            if juju.now - painted >= 2.0:
                painted = juju.now
                live.update(recorder.table(title), refresh=True)
            return juju.quiet

        juju.run(until=still_quiet)
        live.update(recorder.table(title), refresh=True)


def _line(console: Console, recorder: Recorder, event: Event) -> None:
    """Where there is no terminal: a line for each thing worth telling."""
    if event.what in ('works', 'worked', 'failed at', 'leads'):
        done = sum(kind == 'done' for kind, _ in recorder.doing.values())
        text = '{:7.1f} s  {:6} {:9} {:32} {} of {} done'.format(
            event.time - recorder.since, event.unit, event.what, event.text, done, len(recorder.doing)
        )
        console.print(text, highlight=False)
    elif event.what == 'ends' and recorder.doing.get(event.unit, ('',))[0] == 'waiting':
        if recorder.doing[event.unit][1] == event.time:
            reason = recorder.juju.controller.units[event.unit].status_message
            console.print(
                '{:7.1f} s  {:6} waits     {}'.format(event.time - recorder.since, event.unit, reason)
            )


def parsed(words: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the options; a senseless one ends the program with a sentence."""
    parser = argparse.ArgumentParser(prog='make demo', description=__doc__.splitlines()[0])
    parser.add_argument('--units', default='5', help='how many units, 1 to 100 (make demo UNITS=12)')
    parser.add_argument('--juju', default='3', help='3 for Juju 2.9-3.x, 4 for Juju 4 (make demo JUJU=4)')
    parser.add_argument(
        '--slots', default='1', help='units at work at once, as in layer.yaml (make demo SLOTS=2)'
    )
    parser.add_argument('--seed', default='1', help='another history (make demo SEED=7)')
    parser.add_argument(
        '--output', default='', help='where the picture goes, .png or .svg (make demo OUTPUT=roll.svg)'
    )
    options = parser.parse_args(words)
    options.units = _number(parser, 'UNITS', options.units, 1, 100)
    options.seed = _number(parser, 'SEED', options.seed, 0, 10**9)
    options.juju = _number(parser, 'JUJU', options.juju, 3, 4)
    try:
        policy.from_options({'slots': options.slots})
    except ValueError:
        parser.error('SLOTS: expected {}, found {!r}'.format(policy.SLOTS_FORM, options.slots))
    if options.output and Path(options.output).suffix not in ('.png', '.svg'):
        parser.error('OUTPUT: expected a file name ending in .png or .svg, found {!r}'.format(options.output))
    return options


def _number(parser: argparse.ArgumentParser, name: str, text: str, least: int, most: int) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        parser.error('{}: expected a whole number from {} to {}, found {!r}'.format(name, least, most, text))
    return int(text)


def main(words: Optional[List[str]] = None) -> int:
    options = parsed(words)
    console = Console(width=None if sys.stdout.isatty() else 160)
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(ROOT / 'examples' / 'rolling-db', Path(folder) / 'charm', {'slots': options.slots})
        return 0 if roll(options, charm, console) else 1


if __name__ == '__main__':
    sys.exit(main())
