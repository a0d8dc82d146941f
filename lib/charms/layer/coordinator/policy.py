"""What the options `queues` and `slots` decide: the queue of a lock, and how many units may hold it at once.

What lives here: these options, their allowed values, and the value they become.
What must not: IO, a rule about whose turn it is, anything about classes.
"""

import re
from typing import AbstractSet, Any, Callable, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator.forms import problem
from charms.layer.coordinator.values import ALL_LOCKS, Claims, Ledger

PLACE = 'layer.yaml, options, coordinator'  # where a charm sets the options
QUEUES = ('one', 'per-lock')
DEFAULTS: Mapping[str, Any] = {'queues': QUEUES[0], 'slots': 1}
SLOTS_FORM = 'a number of units from 1 to 10000, or a percentage from "1%" to "100%"'

# Returns a ledger with new tickets, given it, all claims, the committed ones and the units that are gone;
# must not raise.
Grow = Callable[[Ledger, Claims, Claims, AbstractSet[str]], Ledger]


class Policy(NamedTuple):
    """These options as a value.

    Args:
        per_lock: each lock has a queue of its own; otherwise all share one.
        slots: how many tickets of a queue may be held at once; 0 if `percent` is used.
        percent: the same as a percentage of the application's units, rounded
            down, and at least 1 unit; 0 if `slots` is used.
        grow: gives tickets on the leader, in place of `rules.appended`; then
            `per_lock` is True and `slots` is ignored. None if turns come in the
            order of requests.
        reports_releases: whether the leader reports each release to the charm's
            class. Then a ticket stays in the ledger until a hook that reported its
            release has succeeded.
        every_hook: whether hooks run whose news cannot matter to the unit (rule 19).
    """

    per_lock: bool = False
    slots: int = 1
    percent: int = 0
    grow: Optional[Grow] = None
    reports_releases: bool = False
    every_hook: bool = False

    def queue_of(self, lock: str) -> str:
        """Return the queue that a lock is in."""
        return lock if self.per_lock else ALL_LOCKS

    def slots_among(self, units: int) -> int:
        """Return how many tickets of a queue may be held at once among so many units."""
        return self.slots or max(1, units * self.percent // 100)


def from_options(options: Mapping[str, Any]) -> Policy:
    """Return the policy that the layer options `queues` and `slots` ask for. Other options are not looked at.

    Raises:
        ValueError: for a value that is not allowed. The message names the option,
            and what is allowed.
    """
    chosen = {**DEFAULTS, **options}
    if chosen['queues'] not in QUEUES:
        raise refused('queues', 'one of ' + ', '.join(QUEUES), chosen['queues'])
    slots, percent = _slots(chosen['slots'])
    return Policy(chosen['queues'] == 'per-lock', slots, percent)


def refused(name: str, expected: str, found: Any) -> ValueError:
    """Return the error for a value that the layer option of this name cannot have."""
    where, consequence = '{}, {}'.format(PLACE, name), 'correct it and build the charm again'
    return ValueError(problem(where, expected, found, consequence))


def _slots(found: Any) -> Tuple[int, int]:
    count, percent = (found, '') if isinstance(found, int) and not isinstance(found, bool) else (0, '')
    number = re.match(r'([0-9]{1,5})(%?)\Z', found.strip()) if isinstance(found, str) else None
    if number:
        count, percent = int(number.group(1)), number.group(2)
    if not 1 <= count <= (100 if percent else 10000):
        raise refused('slots', SLOTS_FORM, found)
    return (0, count) if percent else (count, 0)
