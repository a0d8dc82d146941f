"""All that touches Juju: the hook tools, both ledgers, the clock, and where the local store lies.

What lives here: one small function for each thing Juju is asked or told. What
must not: a rule, or an `if` about whose turn it is. Every hook tool is called
through charmhelpers.
"""

import os
import re
import zlib
from datetime import datetime, timezone
from subprocess import CalledProcessError
from typing import Any, Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Tuple, Union
from urllib.parse import quote

from charmhelpers.core import hookenv
from charms.layer.coordinator import rules, wire
from charms.layer.coordinator.port import HookContext, LedgerClosed
from charms.layer.coordinator.rules import Claim, Ledger, UnitState
from charms.layer.coordinator.store import Store

PEERS = 'coordinator'
"""The layer's peer relation. Frozen: Juju refuses an upgrade that changes it (lp:2049953)."""

KEY = 'coordinator'
"""What the layer's own keys in databags and leader settings begin with. Frozen, too."""

MAX_REPORTED = 64
TIME_FORM = '%Y-%m-%d %H:%M:%S.%fZ'
_SEVERITY = (hookenv.DEBUG, hookenv.INFO, hookenv.WARNING, hookenv.ERROR, hookenv.CRITICAL)


class LeaderSettings:
    """The ledger on Juju 2.9-3.x: leader-set lands at once, also where the hook then fails (R9)."""

    durable_at_once = True

    def __init__(self, key: str, relation: Optional[str]) -> None:
        self.key = key
        self._found: Dict[str, str] = {}
        self.where = 'leader settings, key "{}"'.format(key)

    def read(self) -> str:
        return hookenv.leader_get(self.key) or ''

    def read_fresh(self) -> str:
        # leader-get is cached for the hook until this unit's own leader-set, and
        # deleting a key that does not exist is a leader-set that wakes nobody (R9, R25).
        self._set({self.key + '-refresh': None})
        return self.read()

    def write(self, text: str) -> None:
        # What a predecessor left here ends with the first ledger, in one step.
        self._set({self.key: text, **dict.fromkeys(self._found)})

    def read_other(self, key: str) -> str:
        """Return what a predecessor keeps here; it is removed when a ledger is written."""
        text = hookenv.leader_get(key) or ''
        self._found = {key: text} if text else {}
        return text

    def _set(self, settings: Dict[str, Optional[str]]) -> None:
        try:
            hookenv.leader_set(settings)
        except CalledProcessError as refused:
            raise _closed('leader-set', refused) from refused


class ApplicationDatabag:
    """The ledger on Juju 4: relation-set --app lands when the hook succeeds and this unit still leads (R10).

    A leader reads back what it wrote in this hook; that is not durable yet.
    """

    durable_at_once = False

    def __init__(self, key: str, relation: Optional[str]) -> None:
        self.key, self.relation = key, relation
        self.where = 'application databag of {}, key "{}"'.format(relation, key)

    def read(self) -> str:
        if self.relation is None:
            return ''
        return hookenv.relation_get(self.key, rid=self.relation, app=hookenv.application_name()) or ''

    def read_other(self, key: str) -> str:
        return ''  # no predecessor runs on Juju 4

    def read_fresh(self) -> str:
        if self.relation is None:
            raise LedgerClosed  # the peer relation does not exist yet
        return self.read()

    def write(self, text: str) -> None:
        try:
            hookenv.relation_set(self.relation, {self.key: text}, app=True)
        except CalledProcessError as refused:
            raise _closed('relation-set --app', refused) from refused
        hookenv.flush(self.key)  # charmhelpers keeps what it read before


def _closed(tool: str, refused: CalledProcessError) -> LedgerClosed:
    sentence = '{}: refused with exit code {}: this unit leads no more; the next leader gives the tickets'
    return LedgerClosed(sentence.format(tool, refused.returncode))


class Juju:
    """This hook's Juju, as `port.Port` wants it for one coordinator.

    Args:
        key: what its keys begin with: KEY-claims in databags, KEY-ledger.
        peers: the name of its peer relation.
    """

    def __init__(self, key: str = KEY, peers: str = PEERS) -> None:
        self.unit: str = hookenv.local_unit()
        self.least = hookenv.DEBUG
        """The least severe level that is logged."""
        self.peers, self.claims_key, self._ledger_key = peers, key + '-claims', key + '-ledger'
        place = os.path.join(hookenv.charm_dir() or '', '.{}.json'.format(quote(key, safe='')))
        self.store = Store(place, lambda sentence: self.log(sentence, hookenv.WARNING))
        self._stored: Optional[UnitState] = None  # as this process last read or wrote it
        self._relation: Optional[str] = None
        self._spoilt = False  # this unit's databag, as it was read in this hook
        self._book: Union[LeaderSettings, ApplicationDatabag, None] = None
        self.durable_at_once = major_version(os.environ.get('JUJU_VERSION', '')) < 4

    @property
    def relation(self) -> Optional[str]:
        """The peer relation's id, None before it exists.

        Remembered, since it never changes, but not believed when the unit goes:
        then Juju may have closed the relation (juju/juju#20713).
        """
        if self._relation is None and not hookenv.hook_name().endswith(
            ('stop', 'remove', '-relation-broken')
        ):
            self._relation = self.store.get('relation')
        if self._relation is None:
            self._relation = next(iter(sorted(hookenv.relation_ids(self.peers))), None)
            if self._relation:
                self.store.set('relation', self._relation)
        return self._relation

    @property
    def book(self) -> Union[LeaderSettings, ApplicationDatabag]:
        """Where this Juju keeps the ledger."""
        if self._book is None:
            kind = LeaderSettings if self.durable_at_once else ApplicationDatabag
            self._book = kind(self._ledger_key, None if self.durable_at_once else self.relation)
        return self._book

    def now(self) -> str:
        return now()

    def is_leader(self) -> bool:
        return bool(hookenv.is_leader())

    # What this unit remembers

    def load(self) -> Optional[UnitState]:
        self._stored = self._state(self.store.get('state'))
        return self._stored

    def save(self, state: UnitState) -> UnitState:
        def merged(found: Any) -> Any:
            other = self._state(found)
            known = other is None or other == self._stored
            self._stored = state if other is None or known else rules.merged_states(state, other)
            return wire.state_value(self._stored)

        self.store.update('state', merged)
        return self._stored or state

    def _state(self, found: Any) -> Optional[UnitState]:
        state, problems = wire.state(found, 'local store ' + self.store.name)
        self.report(problems)
        return state

    # Claims

    def published(self) -> Optional[Dict[str, Claim]]:
        text = self.said(self.unit, self.claims_key)
        if not text:
            return None
        own, problems = self._read(self.unit, text)
        self._spoilt = bool(problems)
        return own

    def publish(self, own: Mapping[str, Claim]) -> None:
        if self.relation is not None:
            # Juju 4 knows a databag by its hash (R25): peers that have read a spoilt one meanwhile would not
            # read it again if it were put right to the letter. A blank makes it another text.
            text = wire.claims_text(own) + (' ' if self._spoilt else '')
            hookenv.relation_set(self.relation, {self.claims_key: text, **self.beside(own)})

    def said(self, unit: str, key: str) -> str:
        """Return the text under a key of a unit's databag, '' where there is none."""
        if self.relation is None:
            return ''
        return hookenv.relation_get(key, unit, self.relation) or ''

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        if self.relation is None:
            return {}
        try:
            return self._read(unit, hookenv.relation_get(self.claims_key, unit, self.relation))[0]
        except CalledProcessError:
            # A unit that has not entered the relation's scope has no databag (R22); its
            # first claim comes with its relation-joined. One that we joined must answer.
            if unit in self.related_units():
                raise
            return {}

    def _read(self, unit: str, text: Optional[str]) -> Tuple[Dict[str, Claim], wire.Problems]:
        own, problems = wire.claims(text, 'databag of {}, key "{}"'.format(unit, self.claims_key))
        self.report(problems)
        return own, problems

    # What came before this layer, which is nothing here: compat/predecessor.py overrides these

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        return ()

    def awaited_units(self) -> FrozenSet[str]:
        return frozenset()

    def awaiting(self, units: FrozenSet[str]) -> str:
        return ''

    def beside(self, own: Mapping[str, Claim]) -> Dict[str, str]:
        """Return what to publish beside this unit's claims, for units that still run a predecessor."""
        return {}

    # The units

    def related_units(self) -> FrozenSet[str]:
        """Return the peers that this unit's agent has seen join, and not depart."""
        return frozenset(hookenv.related_units(self.relation) if self.relation else ())

    def goal_units(self) -> Dict[str, Dict[str, Any]]:
        """Return the application's units by goal-state, {} where Juju does not tell (R23)."""
        try:
            return hookenv.goal_state().get('units') or {}
        except NotImplementedError:  # no such tool
            return {}

    def everybody(self) -> FrozenSet[str]:
        if self.relation is None:
            return frozenset()
        units = self.goal_units()
        if self.unit in units:
            here = frozenset(unit for unit, goal in units.items() if goal.get('status') != 'dying')
        else:
            # A subordinate's goal-state is empty. A principal's lists all units, and on Juju 4
            # relation-list keeps units that were removed (juju/juju#23326).
            here = self.related_units()
        return here - {self.unit}

    def living(self) -> Optional[FrozenSet[str]]:
        units = frozenset(self.goal_units())
        # A subordinate's goal-state is empty, itself included: then it tells nothing.
        return units if self.unit in units else None

    def unit_count(self) -> int:
        living = self.living()
        return 1 + len(self.related_units()) if living is None else len(living)

    # The ledger

    def ledger(self) -> Optional[Ledger]:
        return self._ledger(self.book.read())

    def fresh_ledger(self) -> Optional[Ledger]:
        return self._ledger(self.book.read_fresh())

    def write_ledger(self, ledger: Ledger) -> None:
        self.book.write(wire.ledger_text(ledger))

    def _ledger(self, text: str) -> Optional[Ledger]:
        ledger, problems = wire.ledger(text, self.book.where)
        self.report(problems)
        return ledger

    def report(self, problems: Iterable[str]) -> None:
        """Log each problem once in this unit's life, as far as the store remembers."""
        for problem in problems:
            checksum = '{:08x}'.format(zlib.crc32(problem.encode('utf-8', 'replace')))
            reported = self.store.get('reported') or []
            if checksum not in reported:
                self.store.set('reported', [checksum, *reported][:MAX_REPORTED])
                self.log(problem, hookenv.WARNING)

    def log(self, sentence: str, level: str = hookenv.INFO) -> None:
        if _SEVERITY.index(level) >= _SEVERITY.index(self.least):
            hookenv.log('coordinator: ' + sentence, level)

    def when_handlers_succeeded(self, tell: Callable[[], None]) -> None:
        if not isinstance(hookenv._atexit, _Callbacks):
            hookenv._atexit = _Callbacks(hookenv._atexit)
        hookenv._atexit.tell += (tell,)


# The hook that runs


def context(peers: str = PEERS) -> HookContext:
    """Return what the environment says of this hook or action (JUJU_*, Juju's hook reference)."""
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
    """hookenv's callbacks for the end of the hook, which say when the first of them begins to run.

    charmhelpers runs them with `reversed`, and has no public sign of it.
    """

    def __init__(self, booked: Iterable[Any]) -> None:
        super().__init__(booked)
        self.tell: Tuple[Callable[[], None], ...] = ()

    def __reversed__(self) -> Any:
        for told in self.tell:
            told()
        return super().__reversed__()


def major_version(version: str) -> int:
    """Return the agent's major version.

    Raises:
        RuntimeError: below Juju 2.9, or where JUJU_VERSION tells nothing.
    """
    found = re.match(r'(\d+)\.(\d+)', version)
    if not found or (int(found.group(1)), int(found.group(2))) < (2, 9):
        raise RuntimeError(
            'layer:coordinator: expected JUJU_VERSION 2.9 or newer, found {!r}; upgrade the model, '
            'this hook fails until then'.format(version)
        )
    return int(found.group(1))


def first_peers() -> str:
    """Return the peer relation of the charm's metadata whose name sorts first.

    Raises:
        AssertionError: where the charm has none.
    """
    peers = sorted(hookenv.metadata().get('peers') or {})
    if not peers:
        raise AssertionError(
            'metadata.yaml, peers: expected a peer relation, found none; '
            'units cannot take turns without one, this hook fails'
        )
    return str(peers[0])


def utc() -> datetime:
    """Return this unit's clock, in UTC without a time zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def now() -> str:
    """Return the same as text that sorts."""
    return utc().strftime(TIME_FORM)


def time_of(text: str) -> Optional[datetime]:
    """Return such a text as a UTC time without a time zone, None where it is none."""
    try:
        return datetime.strptime(text, TIME_FORM)
    except ValueError:
        return None
