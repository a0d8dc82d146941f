"""Everything that touches Juju: hook tools, both ledgers, the clock, and the place of the local store.

What lives here: one small function for each thing that is read from Juju or written
to it. What must not: a rule, or an `if` about whose turn it is. Every hook tool is called
through charmhelpers.
"""

import os
import re
import zlib
from datetime import datetime, timezone
from subprocess import CalledProcessError
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple, TypeVar
from urllib.parse import quote

from charmhelpers.core import hookenv
from charms.layer.coordinator import rules, wire
from charms.layer.coordinator.context import HookContext, LedgerClosed
from charms.layer.coordinator.rules import Claim, Ledger, UnitState
from charms.layer.coordinator.store import Store

# The layer's peer relation. Frozen: Juju refuses an upgrade that changes it (lp:2049953).
PEERS = 'coordinator'

# The beginning of the layer's own keys in databags and leader settings. Frozen, too.
KEY = 'coordinator'

Read = TypeVar('Read')
REFUSED = '{}: refused with exit code {}: this unit leads no more; the next leader gives the tickets'
_LAST_HOOKS = ('stop', 'remove', '-relation-broken')
TIME_FORM = '%Y-%m-%d %H:%M:%S.%fZ'
_SEVERITY = (hookenv.DEBUG, hookenv.INFO, hookenv.WARNING, hookenv.ERROR, hookenv.CRITICAL)


class Juju:
    """This hook's Juju, for one coordinator: the port of a session.

    Other units may run between any two of its calls.

    Args:
        key: the beginning of its keys: KEY-claims in databags, KEY-ledger.
        peers: the name of its peer relation.
    """

    def __init__(self, key: str = KEY, peers: str = PEERS) -> None:
        self.unit: str = hookenv.local_unit()
        self.least = hookenv.DEBUG  # the least severe level that is logged
        self.peers, self.claims_key, self.ledger_key = peers, key + '-claims', key + '-ledger'
        place = os.path.join(hookenv.charm_dir() or '', '.{}.json'.format(quote(key, safe='')))
        self.store = Store(place, lambda sentence: self.log(sentence, hookenv.WARNING))
        self._stored: Optional[UnitState] = None  # as this process last read or wrote it
        self._relation: Optional[str] = None
        self._spoilt = False  # this unit's databag, as it was read in this hook
        self.durable_at_once = major_version(os.environ.get('JUJU_VERSION', '')) < 4

    @property
    def relation(self) -> Optional[str]:
        """The peer relation's id, None before it exists.

        It never changes, so it is kept in the local store. In a unit's last hooks it
        is read from Juju, which may have closed the relation (juju/juju#20713).
        """
        if self._relation is None and not hookenv.hook_name().endswith(_LAST_HOOKS):
            self._relation = self.store.get('relation')
        if self._relation is None:
            self._relation = next(iter(sorted(hookenv.relation_ids(self.peers))), None)
            if self._relation:
                self.store.set('relation', self._relation)
        return self._relation

    def now(self) -> str:
        """Return the time by this unit's clock, in UTC, as text that sorts."""
        return utc().strftime(TIME_FORM)

    def is_leader(self) -> bool:
        """Return whether Juju says that this unit leads."""
        return bool(hookenv.is_leader())

    # What this unit remembers

    def load(self) -> Optional[UnitState]:
        """Return what this unit remembers, None if there is nothing."""
        found = self.store.get('state')
        self._stored = self.believed(wire.state(found, 'local store ' + self.store.name))
        return self._stored

    def save(self, state: UnitState) -> UnitState:
        """Save it at once; return it merged with what another process of this unit has saved."""

        def merged(found: Any) -> Any:
            other = wire.state(found, '')[0]  # `load` has reported it; a report here would wait for this lock
            known = other is None or other == self._stored
            self._stored = state if other is None or known else rules.merged_states(state, other)
            return wire.state_value(self._stored)

        self.store.update('state', merged)
        return self._stored or state

    # Claims

    def published(self) -> Optional[Dict[str, Claim]]:
        """Return this unit's claims as Juju has them, None if Juju does not even have empty ones."""
        text = self.said(self.unit, self.claims_key)
        if not text:
            return None
        own, problems = self._read(self.unit, text)
        self._spoilt = bool(problems)
        return self.believed((own, problems))

    def publish(self, own: Mapping[str, Claim]) -> None:
        """Write this unit's claims to its databag; Juju sends them when the hook succeeds.

        Before the relation exists, do nothing.
        """
        if self.relation is not None:
            # Juju 4 compares databags by their hash (R25). Peers that have read a spoilt text meanwhile would
            # not notice a repair that restores the text exactly, so a blank makes it a different text.
            text = wire.claims_text(own) + (' ' if self._spoilt else '')
            hookenv.relation_set(self.relation, {self.claims_key: text, **self.beside(own)})

    def beside(self, own: Mapping[str, Claim]) -> Dict[str, str]:
        """Return what to publish in addition to the claims: nothing, unless a subclass overrides it."""
        return {}

    def said(self, unit: str, key: str) -> str:
        """Return the text under a key of a unit's databag, '' where there is none."""
        if self.relation is None:
            return ''
        return hookenv.relation_get(key, unit, self.relation) or ''

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        """Return a peer's claims as far as this unit may see them, {} if it has never made any."""
        if self.relation is None:
            return {}
        try:
            text = hookenv.relation_get(self.claims_key, unit, self.relation)
            return self.believed(self._read(unit, text))
        except CalledProcessError:
            # A unit that has not entered the relation's scope has no databag (R22); its first claim comes
            # with its relation-joined. If the unit is in relation-list, its databag must be readable.
            if unit in self.related_units():
                raise
            return {}

    def _read(self, unit: str, text: Optional[str]) -> Tuple[Dict[str, Claim], wire.Problems]:
        return wire.claims(text, 'databag of {}, key "{}"'.format(unit, self.claims_key))

    # What ran before this layer; OldJuju overrides these

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        """Return this unit's requests to a predecessor: lock, when, and whether its turn had begun."""
        return ()

    def awaited_units(self) -> FrozenSet[str]:
        """Return the other units that may still run a predecessor, or did so when they were removed.

        UNNAMED is among them if Juju does not list all units.
        """
        return frozenset()

    def awaiting(self, units: FrozenSet[str]) -> str:
        """Return, in words, why the leader makes no ledger while it waits for these units.

        If there are no units: '', or why there may be no ledger yet.
        """
        return ''

    # The units

    def related_units(self) -> FrozenSet[str]:
        """Return the peers that this unit's agent has seen join, and not depart."""
        return frozenset(hookenv.related_units(self.relation) if self.relation else ())

    def goal_units(self) -> Dict[str, Dict[str, Any]]:
        """Return the application's units in goal-state, {} if Juju has no such tool or lists none (R23)."""
        try:
            return hookenv.goal_state().get('units') or {}
        except NotImplementedError:  # no such tool
            return {}

    def everybody(self) -> FrozenSet[str]:
        """Return the other units that may have claims and are not leaving."""
        units = self.goal_units() if self.relation else {}
        staying = {unit for unit, goal in units.items() if goal.get('status') != 'dying'}
        # A subordinate's goal-state is empty. A principal's lists all units, and on Juju 4
        # relation-list keeps units that were removed (juju/juju#23326).
        return frozenset(staying if self.unit in units else self.related_units()) - {self.unit}

    def living(self) -> Optional[FrozenSet[str]]:
        """Return all units that are not gone, None if Juju does not list them."""
        units = frozenset(self.goal_units())
        # A subordinate's goal-state does not even list itself: then it tells nothing.
        return units if self.unit in units else None

    def unit_count(self) -> int:
        """Return how many units the application has."""
        living = self.living()
        return 1 + len(self.related_units()) if living is None else len(living)

    # The ledger. On Juju 2.9-3.x it is in leader settings. A write to them lands at once, even if the hook
    # then fails (R9). On Juju 4 it is in the application databag. A write to that lands when the hook
    # succeeds and this unit still leads (R10).

    def ledger(self) -> Optional[Ledger]:
        """Return the ledger as this hook may see it, None if there is none."""
        place = 'leader settings' if self.durable_at_once else 'databag of the application'
        text = self.read_shared(self.ledger_key)
        return self.believed(wire.ledger(text, '{}, key "{}"'.format(place, self.ledger_key)))

    def fresh_ledger(self) -> Optional[Ledger]:
        """Return the ledger as it is now, for the leader to decide from. Raises LedgerClosed."""
        if self.durable_at_once:
            # leader-get is cached for the hook until this unit's own leader-set. Deleting a key that does
            # not exist is a leader-set that wakes nobody (R9, R25).
            self.write_shared({self.ledger_key + '-refresh': None})
        elif self.relation is None:
            raise LedgerClosed  # there is no databag yet
        return self.ledger()

    def write_ledger(self, ledger: Ledger) -> None:
        """Write the ledger. Raises LedgerClosed."""
        self.write_shared({self.ledger_key: wire.ledger_text(ledger)})

    def read_shared(self, key: str) -> str:
        """Return what the leader has written under a key, '' if there is nothing.

        On Juju 4 a leader reads back what it wrote in this hook; that is not durable yet.
        """
        if self.durable_at_once:
            return hookenv.leader_get(key) or ''
        if self.relation is None:
            return ''
        return hookenv.relation_get(key, rid=self.relation, app=hookenv.application_name()) or ''

    def write_shared(self, settings: Mapping[str, Optional[str]]) -> None:
        """Write as the leader; None removes a key. Raises LedgerClosed if Juju refuses."""
        try:
            if self.durable_at_once:
                hookenv.leader_set(settings)
            else:
                hookenv.relation_set(self.relation, settings, app=True)
                hookenv.flush(self.ledger_key)  # charmhelpers caches what it has read
        except CalledProcessError as refused:
            tool = 'leader-set' if self.durable_at_once else 'relation-set --app'
            raise LedgerClosed(REFUSED.format(tool, refused.returncode)) from refused

    def believed(self, read: Tuple[Read, wire.Problems]) -> Read:
        """Return what could be read; log each problem that is not among the last 64 in the store."""
        for problem in read[1]:
            checksum = '{:08x}'.format(zlib.crc32(problem.encode('utf-8', 'replace')))
            reported = self.store.get('reported') or []
            if checksum not in reported:
                self.store.set('reported', [checksum, *reported][:64])
                self.log(problem, hookenv.WARNING)
        return read[0]

    def log(self, sentence: str, level: str = hookenv.INFO) -> None:
        """Log a sentence, unless the layer options ask only for more severe ones."""
        if _SEVERITY.index(level) >= _SEVERITY.index(self.least):
            hookenv.log('coordinator: ' + sentence, level)

    def when_handlers_succeeded(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the hook's handlers have succeeded, before any callback for its end runs."""
        hookenv._atexit = _Callbacks(hookenv._atexit)
        _TO_TELL.append(tell)


# The hook that runs


def context(peers: str = PEERS) -> HookContext:
    """Return what the environment says about this hook or action (JUJU_*, see Juju's hook reference)."""
    unit, name = hookenv.local_unit(), hookenv.hook_name()
    ours = hookenv.relation_type() == peers
    remote = (hookenv.remote_unit() or '') if ours else ''
    departing = (hookenv.departing_unit() or remote) if name.endswith('-relation-departed') else ''
    return HookContext(
        unit=unit,
        news=remote if name.endswith(('-relation-joined', '-relation-changed')) else '',
        departed=departing if ours and departing != unit else '',
        leaving=(ours and departing == unit) or name in ('stop', 'remove'),
        reread=name in ('start', 'upgrade-charm'),
        full_check=name == 'update-status',
        action=bool(hookenv.action_name()),
    )


class _Callbacks(list):  # type: ignore[type-arg]
    """hookenv's callbacks for the end of the hook; the list tells when charmhelpers begins to run them.

    charmhelpers iterates over them with `reversed`, and has no public way to tell.
    """

    def __reversed__(self) -> Any:
        for tell in _TO_TELL:
            tell()
        return super().__reversed__()


_TO_TELL: List[Callable[[], None]] = []


def major_version(version: str) -> int:
    """Return the agent's major version.

    Raises:
        RuntimeError: below Juju 2.9, or if JUJU_VERSION has no version.
    """
    found = re.match(r'(\d+)\.(\d+)', version)
    if not found or (int(found.group(1)), int(found.group(2))) < (2, 9):
        consequence = 'upgrade the model: this hook fails until then'
        raise RuntimeError(wire.problem('JUJU_VERSION', '2.9 or newer', version, consequence))
    return int(found.group(1))


def first_peers() -> str:
    """Return the peer relation of the charm's metadata whose name sorts first.

    Raises:
        AssertionError: if the charm has none.
    """
    peers = sorted(hookenv.metadata().get('peers') or {})
    if not peers:
        consequence = 'units cannot take turns without one, so this hook fails'
        raise AssertionError(wire.problem('metadata.yaml, peers', 'a peer relation', peers, consequence))
    return str(peers[0])


def utc() -> datetime:
    """Return the time by this unit's clock, in UTC without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def time_of(text: str) -> Optional[datetime]:
    """Return a text in TIME_FORM as a UTC time without a time zone, None if it is not one."""
    try:
        return datetime.strptime(text, TIME_FORM)
    except ValueError:
        return None
