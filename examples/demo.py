"""`make demo`: a rolling restart of the example charm, live, on the local Juju of this repository.

Real charm code runs in a process per hook; the controller is modelled and time is
virtual. On the way one restart fails and is retried, and leadership moves.
What is shown is seen from outside: programs that run, the status that each unit
sets, the leader. Only the reason why a unit waits is the layer's own sentence.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import policy
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from jujusim.juju import Event, Juju
from tests.deploy import assemble
from tests.watch import Watch

ROOT = Path(__file__).resolve().parents[1]
RESTART_S = 60.0
RESTART = 'systemctl restart rolling-db'
HOOK_S = 1.0
PAINTINGS = 120  # of one roll on a terminal
PAUSE_S, PAUSE_AT_FAILURE_S = 0.03, 0.5  # for the eye
WIDTH, BAR, DOES = 100, 20, 53  # columns: where there is no terminal; of a bar; of the sentence beside it
TELLS_WAITING_UP_TO = 10  # units: beyond it a line for each change of a reason would hide all else
NO_TICKET = 'the leader has given no ticket yet'

COLOURS = {
    'waits': '#e0b040',
    'works': '#3070c0',
    'work that failed': '#c03030',
    'until the retry': '#eeb0b0',
}
LEADER = '#309060'


class Span(NamedTuple):
    """A stretch of one unit's time: waiting, at work, at work that failed, or before the retry."""

    unit: str
    kind: str
    begins: float
    ends: float


class Recorder:
    """Keeps what each unit does, for the table and for the picture."""

    def __init__(self, juju: Juju, watch: Watch) -> None:
        self.juju, self.watch, self.since = juju, watch, juju.now
        self.doing: Dict[str, Tuple[str, float]] = dict.fromkeys(juju.units, ('idle', juju.now))
        self.asked: Dict[str, float] = {}
        self.tries: Dict[str, int] = dict.fromkeys(juju.units, 0)
        self.spans: List[Span] = []
        self.leaders: List[Tuple[float, str]] = [(juju.now, juju.controller.leader or '')]
        juju.observers.append(self.see)

    def see(self, event: Event) -> None:
        """Take in one event of the model."""
        unit = event.unit
        if event.what == 'leads':
            self.leaders.append((event.time, unit))
        elif event.what == 'works':
            self.asked.setdefault(unit, event.time)
            self.tries[unit] += 1
            self._turn_to(unit, 'works')
        elif event.what == 'worked':
            self._turn_to(unit, 'done')
        elif event.what == 'failed at':
            self._turn_to(unit, 'until the retry', 'work that failed')
        elif event.what == 'ends' and self.doing[unit][0] == 'idle' and self.status(unit):
            self.asked.setdefault(unit, event.time)
            self._turn_to(unit, 'waits')

    def _turn_to(self, unit: str, kind: str, before: str = '') -> None:
        was, since = self.doing[unit]
        if was in COLOURS:
            self.spans.append(Span(unit, before or was, since, self.juju.now))
        self.doing[unit] = (kind, self.juju.now)

    def status(self, unit: str) -> str:
        """Return what the charm says of its waiting: the sentence of `explain`, by way of status-set."""
        record = self.juju.controller.units[unit]
        return record.status_message if record.status == 'waiting' else ''

    def reason(self, unit: str) -> str:
        """Return why a unit waits: the layer's sentence, or what is seen while the layer has none."""
        said = self.status(unit)
        if NO_TICKET not in said:
            return said[said.find(': ') + 2 :]
        working = sorted(self.watch.at_work)
        seen = '{} {}'.format(' and '.join(working), 'works' if len(working) == 1 else 'work')
        before = sum(self._asked_before(other, unit) for other in self.asked if other not in working)
        more = ', {} more asked before'.format(before) if before else ''
        return 'no ticket yet; {}{}'.format(seen if working else 'nobody works', more)

    def _asked_before(self, other: str, unit: str) -> bool:
        """Compare two requests: they are dated to the second, and within one the lower number comes first."""
        first, second = (
            (int(self.asked[name]), int(name.rpartition('/')[2])) for name in (other, unit)
        )  # fmt: skip
        return first < second and self.doing[other][0] != 'done'

    def does(self, unit: str) -> str:
        """Return what a unit does now, as a phrase for the table."""
        kind = self.doing[unit][0]
        again = ' (try {})'.format(self.tries[unit]) if self.tries[unit] > 1 else ''
        return {
            'idle': '',
            'waits': 'waits: {}'.format(self.reason(unit)),
            'works': 'works: {}{}'.format(RESTART, again),
            'until the retry': 'restart failed; keeps the lock until Juju retries',
            'done': 'restarted{}'.format(again),
        }[kind]

    @property
    def failing(self) -> bool:
        """Whether a unit's restart has failed and Juju has not retried yet."""
        return any(kind == 'until the retry' for kind, _ in self.doing.values())

    @property
    def counts(self) -> str:
        """How many slots are in use, and how many units are done, as a phrase."""
        done = sum(kind == 'done' for kind, _ in self.doing.values())
        slots = '{} of {} slots in use'.format(len(self.watch.at_work), self.watch.slots)
        return '{}, {} of {} done'.format(slots, done, len(self.doing))

    def table(self, title: str) -> Table:
        """Return a table of all units as they are now."""
        table = Table(title=title, title_justify='left', caption_justify='left', expand=False)
        table.add_column('unit', no_wrap=True)
        table.add_column('progress', no_wrap=True)
        table.add_column('does', min_width=DOES)
        table.add_column('for', no_wrap=True, justify='right', min_width=5)
        styles = {'works': 'bold', 'until the retry': 'red', 'done': 'green'}
        for unit, (kind, since) in self.doing.items():
            name = unit + (' *' if self.juju.controller.leader == unit else '')
            elapsed_s = self.juju.now - since
            lasts = '' if kind in ('idle', 'done') else '{:.0f} s'.format(elapsed_s)
            table.add_row(name, _bar(kind, elapsed_s), escape(self.does(unit)), lasts, style=styles.get(kind))
        passed_s = self.juju.now - self.since
        table.caption = '* leads · {} · {:.0f} s since the change'.format(self.counts, passed_s)
        return table


def _bar(kind: str, elapsed_s: float) -> str:
    done = min(BAR, round(BAR * elapsed_s / RESTART_S))
    bars = {
        'waits': ('yellow', '·' * BAR),
        'works': ('blue', '█' * done + '░' * (BAR - done)),
        'until the retry': ('red', '✗' * BAR),
        'done': ('green', '█' * BAR),
    }
    return '[{}]{}[/]'.format(*bars[kind]) if kind in bars else ''


def least_s(recorder: Recorder, slots: int) -> float:
    """Return the least time in which the same restarts can be done with so many slots.

    Each unit takes a hook and its restarts; one that failed keeps its slot until
    Juju's retry. The longest come first, each into the slot that is free first.
    """
    lost = dict.fromkeys(recorder.doing, 0.0)
    for span in recorder.spans:
        if span.kind == 'until the retry':
            lost[span.unit] += span.ends - span.begins
    busy = [0.0] * slots
    for needs in sorted(
        (HOOK_S + RESTART_S * recorder.tries[unit] + lost[unit] for unit in lost), reverse=True
    ):
        busy[busy.index(min(busy))] += needs
    return max(busy)


def picture(recorder: Recorder, path: Path, title: str, least: float) -> None:
    """Draw the roll: units down, time across, and who led in the last row."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot
    from matplotlib.patches import Patch

    units = list(recorder.doing)
    figure, axes = pyplot.subplots(figsize=(11, 2.2 + 0.42 * len(units)), layout='constrained')
    for span in recorder.spans:
        left, place = span.begins - recorder.since, units.index(span.unit)
        thick = 0.16 if span.kind == 'waits' else 0.6
        axes.barh(place, span.ends - span.begins, left=left, height=thick, color=COLOURS[span.kind])
    ends = [when for when, _ in recorder.leaders[1:]] + [recorder.juju.now]
    for (begins, leader), over in zip(recorder.leaders, ends):
        left = begins - recorder.since
        axes.barh(len(units), over - begins, left=left, height=0.6, color=LEADER, edgecolor='white')
        axes.text(left + 3, len(units), leader, color='white', va='center', fontsize=9)
    axes.axvline(least, color='black', linestyle=':', linewidth=1)
    axes.annotate(
        'least possible {:.0f} s '.format(least), (least, -0.62), ha='right', va='center', fontsize=8
    )
    axes.set_yticks(range(len(units) + 1), [*units, 'leader'])
    axes.set_ylim(len(units) + 0.5, -0.9)
    axes.set_xlim(left=0)
    axes.set_xlabel('seconds of the model since the configuration changed')
    axes.set_title(title, loc='left')
    axes.spines[['top', 'right']].set_visible(False)
    figure.legend(
        handles=[Patch(color=colour, label=kind) for kind, colour in COLOURS.items()],
        loc='outside lower center', ncols=len(COLOURS), frameon=False,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(str(path))
    pyplot.close(figure)


def verdict(recorder: Recorder, watch: Watch, least: float) -> Tuple[bool, List[Tuple[str, str]]]:
    """Return whether all went as promised, and what says so in numbers, each under a heading."""
    units, slots = recorder.juju.units, watch.slots
    served = [watch.served(unit) for unit in units]
    failed = sum(span.kind == 'work that failed' for span in recorder.spans)
    good = served == [1] * len(units) and watch.most_at_work <= slots and not watch.faults
    lost_s = sum(span.ends - span.begins for span in recorder.spans if span.kind == 'until the retry')
    taken = '{} restarts of {:.0f} s'.format(sum(recorder.tries.values()), RESTART_S)
    waited = ', {:.0f} s until Juju retried'.format(lost_s) if failed else ''
    once = '{} of {} units, each once'.format(sum(count == 1 for count in served), len(units))
    return good, [
        ('restarted', once + ('; {} restart failed and was retried'.format(failed) if failed else '')),
        ('at work', 'at most {} of {} slots in use'.format(watch.most_at_work, slots)),
        ('took', '{:.0f} s of the model; the least possible is {:.0f} s'.format(watch.duration_s, least)),
        ('', '({}, {} at a time, a hook of {:.0f} s a unit{})'.format(taken, slots, HOOK_S, waited)),
        ('led by', ', then '.join(leader for _, leader in recorder.leaders)),
        (
            'cost',
            '{} hooks, {} hook-tool calls, {} ledger writes'.format(
                watch.hooks, watch.calls, watch.ledger_writes
            ),
        ),
        ('promises', 'all kept' if good else 'BROKEN: {}'.format(watch.faults or served)),
    ]


def roll(options: argparse.Namespace, charm: Path, console: Console) -> bool:
    """Run the whole demo; return whether all went as promised."""
    program = {RESTART: (RESTART_S, 0), 'systemctl start rolling-db': (0.0, 0)}
    with Juju(
        charm, units=options.units, juju=options.juju, seed=options.seed, app='db', config={'memory': 1},
        machine=lambda unit, argv: program.get(' '.join(argv)),
    ) as juju:  # fmt: skip
        release = {3: 'Juju 2.9–3.x (leader settings)', 4: 'Juju 4 (application databag)'}[options.juju]
        console.print(
            'Deploying {} units of examples/rolling-db on a local {} …'.format(options.units, release)
        )
        juju.run()
        slots = policy.from_options({'slots': options.slots}).slots_among(options.units)
        watch = Watch(juju, slots)
        recorder = Recorder(juju, watch)
        _plan_trouble(juju)
        juju.configure(memory=2)
        _show(juju, recorder, console, 'juju config db memory=2, {} at a time'.format(slots))
        least = least_s(recorder, slots)
        good, lines = verdict(recorder, watch, least)
        path = Path(options.output or str(ROOT / 'build' / 'roll.png'))
        title = '{} units restart, {} at a time, in {:.0f} s · {}'.format(
            options.units, slots, watch.duration_s, release
        )
        picture(recorder, path, title, least)
    console.print()
    for heading, text in lines:
        console.print('  {:<10} {}'.format(heading, text), highlight=False, markup=False)
    console.print('  {:<10} {}'.format('picture', path), highlight=False, markup=False, soft_wrap=True)
    return good


def _plan_trouble(juju: Juju) -> None:
    """One restart fails at the first try; leadership moves while about half of the roll is done."""
    if len(juju.units) > 1:
        juju.fail_command(juju.units[1], RESTART)
        half = juju.now + (RESTART_S + HOOK_S) * len(juju.units) / 2
        successor = juju.units[-1]
        juju.at(half, lambda: juju.elect(successor))


def _show(juju: Juju, recorder: Recorder, console: Console, title: str) -> None:
    """Let the model run, and paint it at even steps of its own time."""
    if not console.is_terminal:
        console.print(title, highlight=False)
        teller = Teller(recorder, console)
        juju.observers.append(teller.see)
        juju.run()
        return
    rounds = -(-len(juju.units) // recorder.watch.slots)
    step_s = max(2.0, rounds * RESTART_S / PAINTINGS)
    with Live(recorder.table(title), console=console, auto_refresh=False) as live:

        def paint() -> None:
            live.update(recorder.table(title), refresh=True)
            time.sleep(PAUSE_AT_FAILURE_S if recorder.failing else PAUSE_S)
            juju.at(juju.now + step_s, paint)

        paint()
        juju.run()
        live.update(recorder.table(title), refresh=True)


class Teller:
    """Prints a line for each turn, result and change of a reason, where there is no terminal."""

    def __init__(self, recorder: Recorder, console: Console) -> None:
        self.recorder, self.console = recorder, console
        self.told: Dict[str, str] = {}

    def see(self, event: Event) -> None:
        """Print one event of the model, if it changes what the reader knows."""
        recorder, unit = self.recorder, event.unit
        if event.what in ('works', 'worked', 'failed at'):
            self._line(event, event.what, '{}; {}'.format(event.text, recorder.counts))
        elif event.what == 'leads':
            self._line(event, 'leads', '')
        elif event.what == 'ends' and recorder.doing[unit][0] == 'waits' and recorder.watch.at_work:
            reason = recorder.reason(unit)
            told, self.told[unit] = self.told.get(unit), reason
            if told != reason and len(recorder.doing) <= TELLS_WAITING_UP_TO:
                self._line(event, 'waits', reason)

    def _line(self, event: Event, verb: str, text: str) -> None:
        line = '{:7.1f} s  {:6} {:9} {}'.format(
            event.time - self.recorder.since, event.unit, verb, text
        )  # fmt: skip
        self.console.print(line.rstrip(), highlight=False, markup=False)


def parsed(words: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
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
    """Run the demo; return 0 if every promise was kept, else 1."""
    options = parsed(words)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(ROOT / 'examples' / 'rolling-db', Path(folder) / 'charm', {'slots': options.slots})
        return 0 if roll(options, charm, console) else 1


if __name__ == '__main__':
    sys.exit(main())
