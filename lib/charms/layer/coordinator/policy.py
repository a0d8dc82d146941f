"""What the layer options decide: which queue a lock is in, and how many units may hold it at once.

What lives here: the options, their allowed values, and the value they become.
What must not: IO, a rule of whose turn it is, a class of a charm's own.
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

# Grows a ledger from what is claimed, what is committed, and the units that are gone; must not raise.
Grow = Callable[[Ledger, Claims, Claims, AbstractSet[str]], Ledger]


class Policy(NamedTuple):
    """The layer options as a value.

    Args:
        per_lock: each lock has a queue of its own; otherwise all share one.
        slots: how many tickets of a queue may be held at once; 0 where `percent` says it.
        percent: the same as a percentage of the application's units, rounded
            down, and at least 1 unit.
        grow: grows the ledger on the leader, in place of `rules.appended`; then
            `per_lock` is True and `slots` means nothing. None: turns go by the
            order of requests.
        reports_releases: each release is reported on the leader, so a ticket
            stays in the ledger until a hook that reported it has succeeded.
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

    `queues` and `slots` belong to the default class. Any other class decides
    itself, so beside it they must be left alone.

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
    """Return the dotted path of a class of the charm's own, '' where a class of this layer is asked for.

    Raises:
        ValueError: for what is no dotted path.
    """
    path = options.get('class', DEFAULTS['class'])
    if path in SIMPLE + SERIAL:
        return ''
    if not isinstance(path, str) or not re.match(r'[A-Za-z_][\w]*(\.[A-Za-z_][\w]*)+\Z', path):
        raise ValueError(_sentence('class', 'a dotted path to a class such as ' + SIMPLE[0], path))
    return path


def no_such_class(path: str, found: str) -> ValueError:
    """Return the error for a class that cannot be had; `found` says what is there instead."""
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
