"""What the layer options decide: which queue a lock is in, and how many may hold at once.

What lives here: the options, their allowed values, and the value they become.
What must not: IO, a rule of whose turn it is. Policies that decide on the
leader, in the style of charmhelpers.coordinator, will be chosen here too.
"""

import re
from typing import Any, Mapping, NamedTuple, Tuple

from charms.layer.coordinator.rules import ALL_LOCKS
from charms.layer.coordinator.wire import shown

QUEUES = ('one', 'per-lock')
DEFAULTS: Mapping[str, Any] = {'queues': 'one', 'slots': 1}
SLOTS_FORM = 'a number of units from 1 to 10000, or a percentage from "1%" to "100%"'


class Policy(NamedTuple):
    """The layer options as a value.

    Args:
        per_lock: each lock has a queue of its own; otherwise all share one.
        slots: how many tickets of a queue may be held at once; 0 where `percent` says it.
        percent: the same as a percentage of the application's units, rounded
            down, and at least 1 unit.
    """

    per_lock: bool = False
    slots: int = 1
    percent: int = 0

    def queue_of(self, lock: str) -> str:
        return lock if self.per_lock else ALL_LOCKS

    def slots_among(self, units: int) -> int:
        return self.slots or max(1, units * self.percent // 100)


def from_options(options: Mapping[str, Any]) -> Policy:
    """Return the policy that the layer options of a charm ask for.

    Raises:
        ValueError: for an option that does not exist or a value that is not
            allowed; the sentence names both and what is allowed. charm build
            accepts unknown names silently, so they are refused here.
    """
    for name in options:
        if name not in DEFAULTS:
            place = name if isinstance(name, str) and name.isprintable() else shown(name)
            raise ValueError(_sentence(place, 'one of the options ' + ', '.join(sorted(DEFAULTS)), name))
    chosen = {**DEFAULTS, **options}
    if chosen['queues'] not in QUEUES:
        raise ValueError(_sentence('queues', 'one of ' + ', '.join(QUEUES), chosen['queues']))
    slots, percent = _slots(chosen['slots'])
    return Policy(chosen['queues'] == 'per-lock', slots, percent)


def _slots(found: Any) -> Tuple[int, int]:
    if isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= 10000:
        return found, 0
    number = re.match(r'([0-9]{1,5})(%?)\Z', found.strip()) if isinstance(found, str) else None
    count, in_percent = (int(number.group(1)), bool(number.group(2))) if number else (0, False)
    if not 1 <= count <= (100 if in_percent else 10000):
        raise ValueError(_sentence('slots', SLOTS_FORM, found))
    return (0, count) if in_percent else (count, 0)


def _sentence(name: str, expected: str, found: Any) -> str:
    form = 'layer.yaml, options, coordinator, {}: expected {}, found {}; correct it and build the charm again'
    return form.format(name, expected, shown(found))
