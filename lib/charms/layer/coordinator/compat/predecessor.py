"""Coming over from charmhelpers.coordinator or the old layer, which keep both under one key.

What lives here: the old formats, what is refused in them, which units still run
old code, and what is published for a leader that does. What must not: a hook
tool, a rule. Old code reads all of it in every hook and fails on what it cannot
parse, so nothing is written there that it could not have written itself.

    requests    {LOCK: TIME}            in a unit's databag
    grants      {UNIT: {LOCK: TIME}}    in leader settings
"""

import json
import re
from subprocess import CalledProcessError
from typing import AbstractSet, Any, Dict, FrozenSet, Iterable, Mapping, Optional, Tuple

from charms.layer.coordinator.juju import KEY, PEERS, Juju
from charms.layer.coordinator.rules import UNNAMED, Claim, Ledger
from charms.layer.coordinator.wire import Problems, is_lock, is_unit, ledger_text, parsed, problem

REQUESTS_FORM = '{LOCK: "YYYY-MM-DD HH:MM:SS.ffffffZ"} as the old layer writes it'
GRANTS_FORM = '{UNIT: {LOCK: "YYYY-MM-DD HH:MM:SS.ffffffZ"}} as the old layer writes it'
_TIME = re.compile(r'[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z\Z')


def requests(text: Optional[str], where: str) -> Tuple[Dict[str, str], Problems]:
    """Return which locks a unit asked for and when, and what could not be read."""
    consequence = 'ignored: the charm asks again, or not at all'
    found = parsed(text) if text else {}
    if not isinstance(found, dict):
        return {}, (problem(where, REQUESTS_FORM, text, consequence),)
    asked: Dict[str, str] = {}
    problems: Problems = ()
    for lock, asked_at in sorted(found.items()):
        if is_lock(lock) and _is_time(asked_at):
            asked[lock] = asked_at
        else:
            problems += (problem(where, REQUESTS_FORM, {lock: asked_at}, consequence),)
    return asked, problems


def grants(text: Optional[str], where: str) -> Tuple[Dict[str, Dict[str, str]], Problems]:
    """Return which lock each unit was granted, and when it had asked, and what could not be read."""
    found = parsed(text) if text else {}
    if not isinstance(found, dict):
        return {}, (problem(where, GRANTS_FORM, text, 'ignored: it counts as no grant'),)
    held: Dict[str, Dict[str, str]] = {}
    problems: Problems = ()
    for unit, locks in sorted(found.items()):
        if is_unit(unit) and isinstance(locks, dict):
            held[unit] = {lock: asked_at for lock, asked_at in locks.items() if isinstance(asked_at, str)}
        else:
            problems += (problem(where, GRANTS_FORM, {unit: locks}, 'ignored: it counts as no grant'),)
    return held, problems


def text(own: Mapping[str, Claim]) -> str:
    """Return what to publish under the old key of a unit that runs this layer.

    Nothing, except a turn that had begun in the old layer and is not over: an
    old leader must go on counting that one as held. It is the claim that is kept
    and has had no token yet.
    """
    begun = [claim for claim in own.values() if claim.outstanding and claim.kept and not claim.token]
    return json.dumps(dict(pair for claim in begun for pair in claim.locks), sort_keys=True)


def refusal(units: Iterable[str]) -> str:
    """Return why the leader gives no ticket yet, where these units still run old code; '' is an unknown unit."""
    names = sorted(unit or 'a unit that has not been heard of yet' for unit in units)
    verb = 'runs' if len(names) == 1 else 'run'
    form = '{} still {} the old layer; turns begin when every unit runs the new one'
    return form.format(' and '.join(names), verb)


class OldJuju(Juju):
    """A Juju on which other units may still run the old layer, or a class of charmhelpers.coordinator.

    Args:
        old_key: its key, in databags and in leader settings.
    """

    def __init__(self, key: str = KEY, peers: str = PEERS, old_key: str = KEY) -> None:
        super().__init__(key, peers)
        self._old_key, self._old_found = old_key, False

    @property
    def _came_over(self) -> bool:
        """Whether this unit once ran the old layer."""
        return bool(self.store.get('came over'))

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        said = self.said(self.unit, self._old_key)
        if not said:
            return ()
        self.store.set('came over', True)
        asked = self.believed(requests(said, 'databag of {}, key "{}"'.format(self.unit, self._old_key)))
        held = self._old_grants().get(self.unit, {}) if asked else {}
        return tuple((lock, asked_at, held.get(lock) == asked_at) for lock, asked_at in sorted(asked.items()))

    def awaited_units(self) -> FrozenSet[str]:
        old = self._old_grants()
        if not self._old_found:
            return frozenset()
        goal = set(self.goal_units())
        holders = {unit for unit, locks in old.items() if locks}
        units = (goal | self.related_units() | holders) - {self.unit}
        found = {unit for unit in units if self._may_run_old_code(unit, goal)}
        if self.unit not in goal and not self._came_over:
            found.add(UNNAMED)
        return frozenset(found)

    def awaiting(self, units: FrozenSet[str]) -> str:
        if units:
            return refusal(units)
        return 'it gives none while a unit still runs the old layer' if self._came_over else ''

    def beside(self, own: Mapping[str, Claim]) -> Dict[str, str]:
        return {self._old_key: text(own)} if self._came_over else {}

    def write_ledger(self, ledger: Ledger) -> None:
        # What old code left in leader settings ends with the first ledger, in one step.
        old = dict.fromkeys([self._old_key] if self._old_found else [])
        self.write_shared({self.ledger_key: ledger_text(ledger), **old})

    def _may_run_old_code(self, unit: str, goal: AbstractSet[str]) -> bool:
        try:
            return not self.said(unit, self.claims_key)
        except CalledProcessError:  # it has no databag yet
            return unit in goal

    def _old_grants(self) -> Dict[str, Dict[str, str]]:
        # Old code cannot run on Juju 4.
        said = self.read_shared(self._old_key) if self.durable_at_once else ''
        self._old_found = bool(said)
        held: Dict[str, Dict[str, str]] = self.believed(
            grants(said, 'leader settings, key "{}"'.format(self._old_key))
        )
        return held


def _is_time(found: Any) -> bool:
    return isinstance(found, str) and bool(_TIME.match(found))
