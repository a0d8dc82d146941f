"""How a scene is shown while it goes on: a table on a terminal, otherwise a line for each event."""

import time
from typing import Dict

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from examples.demo.programs import RESTART_S
from examples.demo.record import Recorder
from jujusim.juju import Event

PAINTINGS = 120  # of one scene on a terminal
PAUSE_S, PAUSE_TO_READ_S = 0.03, 0.5  # for the eye
BAR, DOES = 20, 53  # columns: of a bar; of the sentence beside it
TELLS_WAITING_UP_TO = 10  # units: beyond it a line for each change of a reason would hide all else


class Screen:
    """Shows a scene as it goes on; where there is no terminal, it prints what changes."""

    def __init__(self, recorder: Recorder, console: Console, title: str) -> None:
        self.recorder, self.console, self.title = recorder, console, title
        self.told: Dict[str, str] = {}
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
        for line in lines:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        if self.live is not None:
            time.sleep(PAUSE_TO_READ_S)

    def see(self, event: Event) -> None:
        """Print one event of the model, if it changes what the reader knows."""
        recorder, unit = self.recorder, event.unit
        if event.what in ('works', 'worked', 'failed at'):
            if recorder.doing[unit][0] != 'gets healthy' and not event.text.startswith('systemctl start '):
                self._line(event, '{}; {}'.format(event.text, recorder.counts))
        elif event.what in ('leads', 'is lost', 'is back'):
            self._line(event, '')
        elif event.what == 'ends' and recorder.doing[unit][0] == 'waits':
            reason = recorder.reason(unit)
            told, self.told[unit] = self.told.get(unit), reason
            if told != reason and len(recorder.doing) <= TELLS_WAITING_UP_TO:
                self._line(event._replace(what='waits'), reason)

    def _line(self, event: Event, text: str) -> None:
        line = '{:7.1f} s  {:6} {:9} {}'.format(
            event.time - self.recorder.since, event.unit, event.what, text
        )
        self.console.print(line.rstrip(), highlight=False, markup=False)


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
        found.add_row(name, _bar(kind, elapsed_s), escape(_does(recorder, unit)), lasts, style=style)
    passed_s = recorder.juju.now - recorder.since
    found.caption = '* leads · {} · {:.0f} s'.format(recorder.counts, passed_s)
    return found


def _does(recorder: Recorder, unit: str) -> str:
    """Return what a unit does now, as a phrase for the table."""
    kind = recorder.doing[unit][0]
    again = ' (try {})'.format(recorder.tries[unit]) if recorder.tries[unit] > 1 else ''
    return {
        'idle': '',
        'waits': recorder.reason(unit),
        'works': 'works' + again,
        'gets healthy': 'keeps the lock until it is healthy',
        'until the retry': 'its hook has failed; Juju retries it',
        'is down': 'its machine is off',
        'freed': 'freed',
        'done': 'done' + again,
    }[kind]


def _bar(kind: str, elapsed_s: float) -> str:
    done = min(BAR, round(BAR * elapsed_s / RESTART_S))
    bars = {
        'waits': ('yellow', '·' * BAR),
        'works': ('blue', '█' * done + '░' * (BAR - done)),
        'gets healthy': ('cyan', '▒' * BAR),
        'until the retry': ('red', '✗' * BAR),
        'is down': ('red', '✗' * BAR),
        'done': ('green', '█' * BAR),
    }
    return '[{}]{}[/]'.format(*bars[kind]) if kind in bars else ''
