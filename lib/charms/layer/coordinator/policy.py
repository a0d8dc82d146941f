"""What the layer options decide: which queue a lock is in, and how many units may hold it at once.

What lives here: the options, their allowed values, and the value they become.
What must not: IO, a rule about whose turn it is, a class of a charm's own.
"""

import re
from typing import AbstractSet, Any, Callable, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator.rules import ALL_LOCKS, Claims, Ledger
from charms.layer.coordinator.wire import shown

ALLOWED = {'queues': ('one', 'per-lock'), 'log_level': ('debug', 'info', 'warning', 'error', 'critical')}
SIMPLE = ('charms.coordinator.SimpleCoordinator', 'charms.layer.coordinator.SimpleCoordinator')
SERIAL = ('charmhelpers.coordinator.Serial', 'charms.layer.coordinator.Serial')
DEFAULTS: Mapping[str, Any] = {'class': SIMPLE[0], 'log_level': 'info', 'queues': 'one', 'slots': 1}
SLOTS_FORM = 'a number of units from 1 to 10000, or a percentage from "1%" to "100%"'

# Returns a ledger with new tickets, given it, all claims, the committed ones and the units that are gone;
# must not raise.
Grow = Callable[[Ledger, Claims, Claims, AbstractSet[str]], Ledger]


class Policy(NamedTuple):
    """The layer options as a value.

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
    """

    per_lock: bool = False
    slots: int = 1
    percent: int = 0
    grow: Optional[Grow] = None
    reports_releases: bool = False

    def queue_of(self, lock: str) -> str:
        """Return the queue that a lock is in."""
        return lock if self.per_lock else ALL_LOCKS

    def slots_among(self, units: int) -> int:
        """Return how many tickets of a queue may be held at once among so many units."""
        return self.slots or max(1, units * self.percent // 100)


def from_options(options: Mapping[str, Any]) -> Policy:
    """Return the policy that the layer options of a charm ask for.

    `queues` and `slots` belong to the default class. Any other class decides by
    itself, and both must then have their defaults.

    Raises:
        ValueError: for an option that does not exist or a value that is not
            allowed. The message names both, and what is allowed. charm build
            silently accepts unknown option names, so this function refuses them.
    """
    for name in options:
        if name not in DEFAULTS:
            place = name if isinstance(name, str) and name.isprintable() else shown(name)
            raise ValueError(_sentence(place, 'one of the options ' + ', '.join(sorted(DEFAULTS)), name))
    chosen = {**DEFAULTS, **options}
    for name, allowed in ALLOWED.items():
        if chosen[name] not in allowed:
            raise ValueError(_sentence(name, 'one of ' + ', '.join(allowed), chosen[name]))
    slots, percent = _slots(chosen['slots'])
    own_class(chosen)
    if chosen['class'] in SIMPLE:
        return Policy(chosen['queues'] == 'per-lock', slots, percent)
    for name in ('queues', 'slots'):
        if chosen[name] != DEFAULTS[name]:
            expected = '{} beside class {}, which decides itself'.format(DEFAULTS[name], chosen['class'])
            raise ValueError(_sentence(name, expected, chosen[name]))
    return Policy(per_lock=True)


def own_class(options: Mapping[str, Any]) -> str:
    """Return the dotted path of the charm's own class, '' if the options name a class of this layer.

    Raises:
        ValueError: if it is not a dotted path.
    """
    path = options.get('class', DEFAULTS['class'])
    if path in SIMPLE + SERIAL:
        return ''
    if not isinstance(path, str) or not re.match(r'[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)+\Z', path):
        raise ValueError(_sentence('class', 'a dotted path to a class such as ' + SIMPLE[0], path))
    return path


def no_such_class(path: str, found: str) -> ValueError:
    """Return the error for a class that cannot be loaded; `found` says what was found instead."""
    return ValueError(_sentence('class', 'a coordinator class at ' + path, found))


def _slots(found: Any) -> Tuple[int, int]:
    counts = isinstance(found, int) and not isinstance(found, bool) and found <= 10000
    number = re.match(r'([0-9]{1,5})(%?)\Z', str(found).strip()) if counts or isinstance(found, str) else None
    count, percent = (int(number.group(1)), number.group(2)) if number else (0, '')
    if not 1 <= count <= (100 if percent else 10000):
        raise ValueError(_sentence('slots', SLOTS_FORM, found))
    return (0, count) if percent else (count, 0)


def _sentence(name: str, expected: str, found: Any) -> str:
    form = 'layer.yaml, options, coordinator, {}: expected {}, found {}; correct it and build the charm again'
    return form.format(name, expected, shown(found))
