"""Upgrades from charmhelpers.coordinator or the old layer.

What lives here: the old formats, what is refused in them, which units still run
old code, and what is published for a leader that runs it. What must not: a hook
tool, a rule. Old code keeps its requests and its grants under one key, in two places.
It reads them all in every hook and fails on anything that it cannot parse, so this
layer writes nothing there that the old code could not have written itself.

    requests    {LOCK: TIME}            in a unit's databag
    grants      {UNIT: {LOCK: TIME}}    in leader settings
"""

import json
import re
from typing import AbstractSet, Any, Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Tuple

from charms.layer.coordinator.environment import KEY, PEERS
from charms.layer.coordinator.forms import is_lock, is_unit, parsed, problem
from charms.layer.coordinator.juju import Juju
from charms.layer.coordinator.values import UNNAMED, Claim, Record
from charms.layer.coordinator.wire import Problems

Check = Callable[[Any], bool]
Entries = Tuple[Dict[str, Any], Problems]
REQUESTS_FORM = '{LOCK: "YYYY-MM-DD HH:MM:SS.ffffffZ"} as the old layer writes it'
GRANTS_FORM = '{UNIT: {LOCK: "YYYY-MM-DD HH:MM:SS.ffffffZ"}} as the old layer writes it'
_TIME = r'[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z'  # compiled if old code ran here


def requests(text: str, where: str) -> Entries:
    """Return which locks a unit asked for and when, and what could not be read."""
    consequence = 'ignored: the charm asks again, or not at all'
    return _entries(text, where, REQUESTS_FORM, consequence, is_lock, _is_time)


def grants(text: str, where: str) -> Entries:
    """Return the locks granted to each unit, and when it had asked, and what could not be read."""
    consequence = 'ignored: it counts as no grant'
    return _entries(text, where, GRANTS_FORM, consequence, is_unit, lambda found: isinstance(found, dict))


def _entries(text: str, where: str, form: str, consequence: str, is_name: Check, is_value: Check) -> Entries:
    """Return the entries of a text that have the right form, sorted, and a problem for each other entry."""
    found = parsed(text) if text else {}
    if not isinstance(found, dict):
        return {}, (problem(where, form, text, consequence),)
    good = {name: entry for name, entry in sorted(found.items()) if is_name(name) and is_value(entry)}
    bad = [{name: found[name]} for name in sorted(found) if name not in good]
    return good, tuple(problem(where, form, entry, consequence) for entry in bad)


def _is_time(found: Any) -> bool:
    return isinstance(found, str) and bool(re.match(_TIME, found))


def text(own: Mapping[str, Claim]) -> str:
    """Return what to publish under the old key of a unit that runs this layer.

    It is empty, except for a turn that had begun in the old layer and is not over: an
    old leader must go on counting that one as held. Its claim has begun and has had no
    token yet.
    """
    begun = [claim for claim in own.values() if claim.outstanding and claim.begun and not claim.token]
    return json.dumps(dict(pair for claim in begun for pair in claim.locks), sort_keys=True)


class OldJuju(Juju):
    """This hook's Juju, where the old layer or charmhelpers.coordinator may have run before.

    Args:
        key: as for Juju.
        peers: as for Juju.
        old_key: the key under which the old code keeps its requests and grants.
    """

    def __init__(self, key: str = KEY, peers: str = PEERS, old_key: str = KEY) -> None:
        super().__init__(key, peers)
        self._old_key, self._old_found = old_key, False

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        """Return this unit's requests to the old code: lock, when, and whether its turn had begun."""
        said = self.said(self.unit, self._old_key)
        if not said:
            return ()
        self.store.set('came over', True)
        asked = self.believed(requests(said, 'databag of {}, key "{}"'.format(self.unit, self._old_key)))
        held = self._grants().get(self.unit, {}) if asked else {}
        return tuple((lock, asked_at, held.get(lock) == asked_at) for lock, asked_at in asked.items())

    def awaited_units(self) -> FrozenSet[str]:
        """Return the other units that may still run old code, or did so when they were removed."""
        holders = {unit for unit, locks in self._grants().items() if locks}
        if not self._old_found:
            return frozenset()
        goal = set(self.goal_units())
        units = (goal | self.related_units() | holders) - {self.unit}
        found = {unit for unit in units if self._may_run_old_code(unit, goal)}
        unlisted = self.unit not in goal and not self.store.get('came over')
        return frozenset(found | ({UNNAMED} if unlisted else set()))

    def awaiting(self, units: FrozenSet[str]) -> str:
        """Return, in words, why the leader makes no ledger while it waits for these units."""
        if not units:
            came_over = self.store.get('came over')
            return 'it gives none while a unit still runs the old layer' if came_over else ''
        names = sorted(unit or 'a unit that has not been heard of yet' for unit in units)
        form = '{} still {} the old layer; turns begin when every unit runs the new one'
        return form.format(' and '.join(names), 'runs' if len(names) == 1 else 'run')

    def beside(self, own: Mapping[str, Claim]) -> Dict[str, str]:
        """Return what to publish in this unit's databag for a leader that still runs old code."""
        return {self._old_key: text(own)} if self.store.get('came over') else {}

    def _to_write(
        self, record: Record, superseded: Iterable[Record], unmark: bool
    ) -> Dict[str, Optional[str]]:
        """Return what to write: with a ledger, the removal of what the old code left in leader settings."""
        # In one write: there is never a moment at which both the old grants and the ledger are valid.
        old: Dict[str, Optional[str]] = dict.fromkeys([self._old_key] if self._old_found else [])
        written = super()._to_write(record, superseded, unmark)
        return {**written, **(old if record.version else {})}

    def _may_run_old_code(self, unit: str, goal: AbstractSet[str]) -> bool:
        said = self.said_if_any(unit, self.claims_key)
        return unit in goal if said is None else not said

    def _grants(self) -> Dict[str, Dict[str, str]]:
        said = self.read_shared(self._old_key) if self.durable_at_once else ''  # no old code runs on Juju 4
        self._old_found = bool(said)
        return self.believed(grants(said, 'leader settings, key "{}"'.format(self._old_key)))
