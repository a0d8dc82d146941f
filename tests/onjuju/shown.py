"""What the suite shows: a line that is written over while it waits, the table at the end, and a picture."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, Optional, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.onjuju.history import Line, Work
from tests.onjuju.verdict import Scene, Verdict, waiting

KINDS = 8
"""So many kinds of hooks are named in the table."""


class Teller:
    """Says what goes on: on a terminal in one line that is written over, else a line for each doing."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status: Optional[Any] = console.status('') if console.is_terminal else None
        self._told = ''

    def now(self, text: str) -> None:
        """Say what is waited for."""
        if self._status:
            self._status.start()
            self._status.update(escape(text))
            return
        doing = text.partition(',')[0]
        if doing != self._told:
            self._told = doing
            self.line('  ' + doing)

    def line(self, text: str, style: str = '') -> None:
        """Say something that stays."""
        if self._status:
            self._status.stop()
        self.console.print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Take the line away that is written over."""
        if self._status:
            self._status.stop()


def table(verdicts: Sequence[Verdict], skipped: Dict[str, str]) -> Table:
    """Return a row for each scene."""
    made = Table(title='What the units wrote down', title_justify='left', expand=False)
    for heading in (
        'scene',
        'promises',
        'turns',
        'works',
        'at once',
        'hooks',
        'ledger writes',
        'took',
        'least',
    ):
        made.add_column(heading, justify='left' if heading in ('scene', 'promises') else 'right')
    for found in verdicts:
        kept = 'BROKEN' if found.broken else 'skipped' if found.scene in skipped else 'kept'
        made.add_row(
            found.scene,
            kept,
            *(
                str(count)
                for count in (found.turns, found.tries, found.most, sum(found.hooks.values()), found.writes)
            ),
            '{:.0f} s'.format(found.took_s),
            '{:.0f} s'.format(found.least_s),
            style='red' if found.broken else None,
        )
    return made


def hooks(verdicts: Sequence[Verdict]) -> str:
    """Return how many hooks of which kind ran in all scenes, as a phrase."""
    count: Counter = Counter()
    for found in verdicts:
        count.update(found.hooks)
    named = ['{} {}'.format(number, kind) for kind, number in count.most_common(KINDS)]
    rest = sum(count.values()) - sum(number for _, number in count.most_common(KINDS))
    return ', '.join(named + (['{} others'.format(rest)] if rest else []))


class Drawn:
    """What the demo's picture needs of a scene: what each unit did, and who led.

    Args:
        scene: what was done.
        works: the works of all units, in other scenes too.
        lines: what was logged, in other scenes too.
    """

    def __init__(self, scene: Scene, works: Sequence[Work], lines: Sequence[Line]) -> None:
        mine = [work for work in works if scene.began <= work.begins <= scene.ended]
        lines = [line for line in lines if scene.began <= line['s'] <= scene.ended]
        self.since = scene.began
        self.doing = dict.fromkeys(scene.owed)
        self.stages: Dict[str, int] = {}
        self.pauses: List[Any] = []
        self.freed: List[Any] = []
        self.begun = [(work.unit, work.begins) for work in mine if work.unit in scene.owed]
        self.spans = [span for unit in scene.owed for span in _spans(unit, scene, mine, lines)]
        now = max([span.ends for span in self.spans], default=scene.ended)
        self.juju, self.watch = SimpleNamespace(now=now), SimpleNamespace(duration_s=now - self.since)
        leaders = [(float(line['s']), str(line['unit'])) for line in lines if line['what'] == 'leads']
        later = [(s, unit) for s, unit in leaders if scene.began < s < now]
        self.leaders = [(scene.began, scene.leader), *later]

    def at_work_between(self, begins: float, ends: float) -> List[Any]:
        """Return from when to when which units had their turn, between two moments."""
        busy = [span for span in self.spans if span.kind != 'waits']
        moments = {at for span in busy for at in (span.begins, span.ends) if begins < at < ends}
        cuts = sorted({begins, ends, *moments})
        return [
            (left, right, sorted({span.unit for span in busy if span.begins <= left and right <= span.ends}))
            for left, right in zip(cuts, cuts[1:])
        ]


def _spans(unit: str, scene: Scene, works: Sequence[Work], lines: Sequence[Line]) -> Iterator[Any]:
    """Yield what a unit did, stretch by stretch."""
    from examples.demo.record import Span

    asked, before = waiting(lines, unit, scene.began), None
    for work in (work for work in works if work.unit == unit):
        ends = work.ends if work.ends is not None else work.begins
        if before is not None:
            yield Span(unit, 'until the retry', before, work.begins)
        elif asked is not None and asked < work.begins:
            yield Span(unit, 'waits', asked, work.begins)
        yield Span(unit, 'works' if work.code == 0 else 'work that failed', work.begins, ends)
        before = None if work.code == 0 else ends
        asked = None
    if asked is not None and unit not in scene.gone:
        yield Span(unit, 'waits', asked, scene.ended)


def picture(drawn: Drawn, path: Path, title: str, least_s: float) -> None:
    """Draw a scene as the demo draws its own: units down, time across, and who led in the last row."""
    from examples.demo.picture import draw

    recorder: Any = drawn
    draw(recorder, path, title, least_s)
