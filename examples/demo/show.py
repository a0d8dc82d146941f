"""How a scene is shown while it goes on: a table on a terminal, otherwise a line for each event."""

import re
import time
from textwrap import wrap
from typing import Dict, Set

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.demo.programs import CHECK, RESTART_S, START
from examples.demo.record import Recorder
from jujusim.juju import Event

PAINTINGS = 120  # of one scene on a terminal
PAUSE_S, PAUSE_TO_READ_S = 0.03, 0.5  # for the eye
BAR, DOES = 20, 53  # columns: of a bar; of the sentence beside it
PLACE_OF_TEXT = 28  # columns before the text of a line
COUNT = re.compile(r', \d+ ahead of this unit( \([^)]*\))?')
MANY = ((CHECK, 'works'), (CHECK, 'failed at'))  # a unit that holds until it is healthy looks often
TELLS_WAITING_UP_TO = 10  # units: beyond it a line for each change of a reason would hide all else


class Screen:
    """Shows a scene as it goes on; where there is no terminal, it prints what changes."""

    def __init__(self, recorder: Recorder, console: Console, title: str) -> None:
        self.recorder, self.console, self.title = recorder, console, title
        self.told: Set[str] = set()  # since the last line of another kind
        self.said: Dict[str, str] = {}  # by each unit, last
        self.live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> 'Screen':
        if self.live is None:
            self.recorder.juju.observers.append(self.see)
            return self
        rounds = -(-len(self.recorder.doing) // self.recorder.watch.slots)
        self.step_s = max(2.0, rounds * RESTART_S / PAINTINGS)
        self.live.start()
        self._paint()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.update(table(self.recorder, self.title), refresh=True)
            self.live.stop()

    def _paint(self) -> None:
        """Paint at even steps of the model's time."""
        assert self.live is not None
        self.live.update(table(self.recorder, self.title), refresh=True)
        time.sleep(PAUSE_TO_READ_S if self.recorder.failing else PAUSE_S)
        self.recorder.juju.at(self.recorder.juju.now + self.step_s, self._paint)

    def say(self, *lines: str) -> None:
        """Print lines that belong to no unit: what the operator types, and reads."""
        self.told.clear()
        for line in lines:
            self._print(line)
        if self.live is not None:
            time.sleep(PAUSE_TO_READ_S)

    def see(self, event: Event) -> None:
        """Print one event of the model, if it changes what the reader knows."""
        recorder, unit = self.recorder, event.unit
        if event.what in ('works', 'worked', 'failed at'):
            if not event.text.startswith(START) and (event.text, event.what) not in MANY:
                self.tell(unit, event.what, '{}; {}'.format(event.text, recorder.counts))
        elif event.what in ('leads', 'is back'):
            self.tell(unit, event.what)
        elif event.what == 'ends' and recorder.doing[unit][0] == 'waits':
            reason = recorder.reason(unit)
            before, self.said[unit] = self.said.get(unit), reason
            same = COUNT.sub('', reason)
            few = len(recorder.doing) <= TELLS_WAITING_UP_TO
            if few and reason and reason != before and same not in self.told:
                told = {*self.told, same}
                self.tell(unit, 'waits', reason)
                self.told = told

    def tell(self, unit: str, verb: str, text: str = '') -> None:
        """Print what a unit does now, or what becomes of it."""
        self.told.clear()
        passed_s = self.recorder.juju.now - self.recorder.since
        self._print('{:7.1f} s  {:6} {:9} {}'.format(passed_s, unit, verb, text).rstrip(), PLACE_OF_TEXT)

    def _print(self, line: str, indent: int = 4) -> None:
        """Print a line, in several if the console is too narrow."""
        width = self.console.width
        parts = wrap(line, width, subsequent_indent=' ' * indent, break_on_hyphens=False)
        for part in [line] if len(line) <= width else parts:
            self.console.print(part, highlight=False, markup=False, soft_wrap=True)


def table(recorder: Recorder, title: str) -> Table:
    """Return a table of all units as they are now."""
    found = Table(title=title, title_justify='left', caption_justify='left', expand=False)
    found.add_column('unit', no_wrap=True)
    found.add_column('progress', no_wrap=True)
    found.add_column('does', min_width=DOES)
    found.add_column('for', no_wrap=True, justify='right', min_width=5)
    styles = {'works': 'bold', 'until the retry': 'red', 'is down': 'red', 'done': 'green'}
    for unit, (kind, since) in recorder.doing.items():
        name = unit + (' *' if recorder.juju.controller.leader == unit else '')
        elapsed_s = recorder.juju.now - since
        lasts = '' if kind in ('idle', 'done', 'freed') else '{:.0f} s'.format(elapsed_s)
        style = styles.get(kind)
        found.add_row(name, _bar(kind, elapsed_s), Text(_does(recorder, unit)), lasts, style=style)
    passed_s = recorder.juju.now - recorder.since
    found.caption = '* leads · {} · {:.0f} s'.format(recorder.counts, passed_s)
    return found


def _does(recorder: Recorder, unit: str) -> str:
    """Return what a unit does now, as a phrase for the table."""
    kind = recorder.doing[unit][0]
    again = ' (try {})'.format(recorder.tries[unit]) if recorder.tries[unit] > 1 else ''
    return {
        'idle': '',
        'waits': recorder.reason(unit) or 'waits',
        'works': 'works' + again,
        'gets healthy': 'keeps the lock until it is healthy',
        'until the retry': 'its hook has failed; Juju retries it',
        'is down': 'its machine is off',
        'freed': 'freed',
        'done': 'done' + again,
    }[kind]


def _bar(kind: str, elapsed_s: float) -> Text:
    done = min(BAR, round(BAR * elapsed_s / RESTART_S))
    bars = {
        'waits': ('yellow', '·' * BAR),
        'works': ('blue', '█' * done + '░' * (BAR - done)),
        'gets healthy': ('cyan', '▒' * BAR),
        'until the retry': ('red', '✗' * BAR),
        'is down': ('red', '✗' * BAR),
        'done': ('green', '█' * BAR),
    }
    colour, text = bars.get(kind, ('', ''))
    return Text(text, style=colour)
