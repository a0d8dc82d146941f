"""What the demo records of a scene: what each unit does and when, stages, pauses, and who leads.

All of it is seen from outside, in events of the model and in the ledger that the leader has written. Why a
unit waits is the layer's own sentence, by way of the status that the charm sets.
"""

from typing import Dict, List, NamedTuple, Tuple

from charms.layer.coordinator.values import FREE, PAUSE, Order

from examples.demo.programs import CHECK, HEALTHY_S, RESTART, START, Turns
from jujusim.juju import Event, Juju
from tests.ledger import data_of, ledger_in

HOOK_S = 1.0
READS_S = 5.0  # after so long a unit has read of a pause

COLOURS = {
    'waits': '#e0b040',
    'works': '#3070c0',
    'gets healthy': '#80b0e0',
    'work that failed': '#c03030',
    'until the retry': '#eeb0b0',
    'is down': '#909090',
}
AT_WORK = ('works', 'gets healthy', 'until the retry', 'is down')


class Span(NamedTuple):
    """A stretch of one unit's time, of a kind that COLOURS names."""

    unit: str
    kind: str
    begins: float
    ends: float


class Stretch(NamedTuple):
    """A time in which no turn begins: the order, and from when to when it stood in the ledger."""

    order: Order
    begins: float
    ends: float


class Recorder:
    """Keeps what each unit does, for the table and for the picture."""

    def __init__(self, juju: Juju, watch: Turns) -> None:
        self.juju, self.watch, self.since = juju, watch, juju.now
        self.doing: Dict[str, Tuple[str, float]] = dict.fromkeys(juju.units, ('idle', juju.now))
        self.tries: Dict[str, int] = dict.fromkeys(juju.units, 0)
        self.spans: List[Span] = []
        self.begun: List[Tuple[str, float]] = []
        self.freed: List[Tuple[str, float]] = []
        self.stages: Dict[str, int] = {}
        self.pauses: List[Stretch] = []
        self.too_late: List[str] = []
        self.leaders: List[Tuple[float, str]] = [(juju.now, juju.controller.leader or '')]
        self._open: Dict[str, Tuple[Order, float]] = {}
        self._freed: Dict[str, str] = {}
        self._writes = len(juju.controller.leader_writes)
        self._turn: Dict[str, bool] = {}
        juju.observers.append(self.see)

    def see(self, event: Event) -> None:
        """Take in one event of the model."""
        if len(self.juju.controller.leader_writes) != self._writes:
            self._writes = len(self.juju.controller.leader_writes)
            self._read_ledger()
        unit, kind = event.unit, self.doing.get(event.unit, ('', 0.0))[0]
        if event.what == 'leads':
            self.leaders.append((event.time, unit))
        elif event.what == 'works' and not event.text.startswith((START, CHECK)):
            self._begins(unit, kind, event.text)
        elif event.what == 'worked' and event.text.startswith(self.watch.last):
            self._turn_to(unit, 'done')
        elif event.what == 'failed at' and event.text == CHECK:
            if kind != 'gets healthy':
                self._turn_to(unit, 'gets healthy')
        elif event.what == 'failed at':
            self._turn_to(unit, 'until the retry', 'work that failed')
        elif event.what in ('is killed', 'is lost') and kind in AT_WORK:
            self._turn_to(unit, 'is down', 'work that failed' if kind == 'works' else '')
        elif event.what == 'ends' and kind in ('idle', 'done', 'is down', 'freed') and self.reason(unit):
            self._turn_to(unit, 'waits')

    def _begins(self, unit: str, kind: str, program: str) -> None:
        if kind not in AT_WORK:
            self.begun.append((unit, self.juju.now))
            paused = [order for order, since in self._open.values() if self.juju.now > since + READS_S]
            if any(not order.first for order in paused):
                self.too_late.append('{} begins though a pause stands'.format(unit))
        self.tries[unit] += program.startswith(RESTART)
        if kind != 'works':
            self._turn_to(unit, 'works')

    def _turn_to(self, unit: str, kind: str, before: str = '') -> None:
        was, since = self.doing[unit]
        if was in COLOURS:
            self.spans.append(Span(unit, before or was, since, self.juju.now))
        self.doing[unit] = (kind, self.juju.now)

    def _read_ledger(self) -> None:
        ledger, now = ledger_in(data_of(self.juju.controller)), self.juju.now
        rolls = [ticket for ticket in ledger.tickets if ticket.roll and not ticket.raw]
        if not self.stages:
            numbers = sorted({ticket.stage for ticket in rolls})
            self.stages = {ticket.unit: numbers.index(ticket.stage) + 1 for ticket in rolls}
            for unit in self.stages:
                self._turn_to(unit, 'waits')  # it has a ticket, whether it knows that or not
        standing = {order.name: order for order in ledger.orders}
        for name, order in standing.items():
            if order.kind == PAUSE and name not in self._open:
                self._open[name] = (order, now)
            if order.kind == FREE and name not in self._freed:
                self._freed[name] = order.unit
                self.freed.append((order.unit, now))
                self.watch.freed(order.unit)
                self._turn_to(order.unit, 'freed')
        for name in set(self._open) - set(standing):
            self.pauses.append(Stretch(*self._open.pop(name), now))

    def finish(self) -> None:
        """Close what is still open: the scene is over."""
        self.pauses += [Stretch(order, since, self.juju.now) for order, since in self._open.values()]
        for unit, (kind, _) in self.doing.items():
            self._turn_to(unit, kind)

    def reason(self, unit: str) -> str:
        """Return why a unit waits: the sentence of `explain`, by way of status-set; '' if it does not."""
        record = self.juju.controller.units[unit]
        return record.status_message if record.status == 'waiting' else ''

    def at_work_between(self, begins: float, ends: float) -> List[Tuple[float, float, Tuple[str, ...]]]:
        """Return who was at work in a stretch of time, cut where that changes."""
        busy = [span for span in self.spans if span.kind != 'waits']
        cuts = {begins, ends, *(cut for span in busy for cut in (span.begins, span.ends))}
        times = sorted(cut for cut in cuts if begins <= cut <= ends)
        found: List[Tuple[float, float, Tuple[str, ...]]] = []
        for left, right in zip(times, times[1:]):
            units = tuple(sorted({each.unit for each in busy if each.begins <= left and right <= each.ends}))
            if found and found[-1][2] == units:
                found[-1] = (found[-1][0], right, units)
            else:
                found.append((left, right, units))
        return found

    @property
    def failing(self) -> bool:
        """Whether a unit's work has failed, and Juju has not retried it yet."""
        return any(kind in ('until the retry', 'is down') for kind, _ in self.doing.values())

    @property
    def counts(self) -> str:
        """How many slots are in use, and how many units are done, as a phrase."""
        done = sum(kind == 'done' for kind, _ in self.doing.values())
        slots = '{} of {} slots in use'.format(len(self.watch.at_work), self.watch.slots)
        return '{}, {} of {} done'.format(slots, done, len(self.doing))

    def least_s(self) -> float:
        """Return the least time in which the same work can be done with so many slots.

        Each unit takes a hook and what it did; one that failed keeps its slot until Juju's retry, one that
        is down until it is freed. The longest come first, each into the slot that is free first; no unit of
        a stage begins before the stage before it is over.
        """
        needs: Dict[str, float] = {}
        for span in self.spans:
            if span.kind != 'waits':
                took = HEALTHY_S if span.kind == 'gets healthy' else span.ends - span.begins
                needs[span.unit] = needs.get(span.unit, HOOK_S) + took
        begins = 0.0
        for stage in sorted({self.stages.get(unit, 0) for unit in needs}):
            busy = [begins] * self.watch.slots
            for unit in sorted(needs, key=lambda name: -needs[name]):
                if self.stages.get(unit, 0) == stage:
                    busy[busy.index(min(busy))] += needs[unit]
            begins = max(busy)
        return begins
