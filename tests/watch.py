"""What is promised, watched from outside: who works when, and whether two ever do.

A unit is at work from the moment it starts its program until a hook of its own
has succeeded: the one in which it did so, or a later one. A hook that fails, is
killed or is resolved without a retry leaves it at work; so do an action and
`juju exec`, which run while the unit is in error, too.
The first start of a service is no such work: it needs no lock.
"""

from typing import Dict, List, NamedTuple, Set

from jujusim.juju import Event, Juju

NEEDS_NO_LOCK = 'systemctl start '


class Turn(NamedTuple):
    """A turn that was used: from the start of its program to the end of the hook that succeeded."""

    unit: str
    begins: float
    ends: float


class Watch:
    """Watches one model from now on."""

    def __init__(self, juju: Juju, slots: int = 1) -> None:
        self.juju, self.slots = juju, slots
        self.at_work: Set[str] = set()
        self.most_at_work = 0
        self.turns: List[Turn] = []
        self.faults: List[str] = []
        self.since, self.hooks_before = juju.now, len(juju.costs)
        self.ledger_writes_before = len(juju.controller.leader_writes)
        self._began: Dict[str, float] = {}
        self._worked: Dict[str, int] = {}
        juju.observers.append(self._see)

    def _see(self, event: Event) -> None:
        unit = event.unit
        if event.text.startswith(NEEDS_NO_LOCK):
            return
        if event.what == 'works':
            self.at_work.add(unit)
            self._began.setdefault(unit, event.time)
            self.most_at_work = max(self.most_at_work, len(self.at_work))
            if len(self.at_work) > self.slots:
                self.faults.append('{} at work together at {:.2f}'.format(sorted(self.at_work), event.time))
        elif event.what == 'worked':
            self._worked[unit] = self._worked.get(unit, 0) + 1
        elif event.what in ('ends', 'restarts', 'is gone'):
            self.at_work.discard(unit)
            began = self._began.pop(unit, event.time)
            self.turns += [Turn(unit, began, event.time)] * self._worked.pop(unit, 0)

    def served(self, unit: str) -> int:
        return sum(turn.unit == unit for turn in self.turns)

    @property
    def duration_s(self) -> float:
        """From the beginning of the watch to the end of the last turn."""
        return max((turn.ends for turn in self.turns), default=self.juju.now) - self.since

    @property
    def hooks(self) -> int:
        return len(self.juju.costs) - self.hooks_before

    @property
    def calls(self) -> int:
        return sum(len(calls) for _, _, calls in self.juju.costs[self.hooks_before :])

    @property
    def ledger_writes(self) -> int:
        return len(self.juju.controller.leader_writes) - self.ledger_writes_before

    def check(self) -> None:
        assert not self.faults, '\n'.join(self.faults + [self.juju.story(60)])
