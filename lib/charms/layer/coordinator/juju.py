"""All that touches Juju and this unit's disk: hook tools, both ledgers, the local store, the clock.

What lives here: one small function for each thing Juju is asked or told. What
must not: a rule, or an `if` about whose turn it is. Every hook tool is called
through charmhelpers.
"""

import os
import re
import sqlite3
import sys
import zlib
from datetime import datetime, timezone
from subprocess import CalledProcessError
from typing import AbstractSet, Any, Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Tuple, Union
from urllib.parse import quote

from charmhelpers.core import hookenv, unitdata
from charms.layer.coordinator import old, wire
from charms.layer.coordinator.protocol import UNNAMED, LedgerClosed, Occasion
from charms.layer.coordinator.rules import Claim, Ledger

PEERS = 'coordinator'
"""The layer's peer relation. Frozen: Juju refuses an upgrade that changes it (lp:2049953)."""

KEY = 'coordinator'
"""What the layer's own keys in databags and leader settings begin with. Frozen, too."""

MAX_REPORTED = 64
TIME_FORM = '%Y-%m-%d %H:%M:%S.%fZ'
_SEVERITY = (hookenv.DEBUG, hookenv.INFO, hookenv.WARNING, hookenv.ERROR, hookenv.CRITICAL)

MACHINE = ('is locked', 'disk is full', 'disk I/O error', 'unable to open', 'interrupted')
"""What SQLite says where the file itself may be whole: the hook fails, and its retry may go well."""


class LeaderSettings:
    """The ledger on Juju 2.9-3.x: leader-set lands at once, also where the hook then fails."""

    durable_at_once = True

    def __init__(self, key: str, old_key: str) -> None:
        self.key, self.old_key, self._old_found = key, old_key, False
        self.where = 'leader settings, key "{}"'.format(key)

    def read(self) -> str:
        return hookenv.leader_get(self.key) or ''

    def read_fresh(self) -> str:
        # leader-get is cached for the hook until this unit's own leader-set, and
        # deleting a key that does not exist is a leader-set that wakes nobody.
        self._set({self.key + '-refresh': None})
        return self.read()

    def write(self, text: str) -> None:
        # What old code left here ends with the first ledger, in one step.
        self._set({self.key: text, self.old_key: None} if self._old_found else {self.key: text})

    def read_old(self) -> str:
        text = hookenv.leader_get(self.old_key) or ''
        self._old_found = bool(text)
        return text

    def _set(self, settings: Dict[str, Optional[str]]) -> None:
        try:
            hookenv.leader_set(settings)
        except CalledProcessError as refused:
            raise _closed('leader-set', refused) from refused


class ApplicationDatabag:
    """The ledger on Juju 4: relation-set --app lands when the hook succeeds and this unit still leads.

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

    def read_old(self) -> str:
        return ''  # old code cannot run on Juju 4

    def read_fresh(self) -> str:
        if self.relation is None:
            raise LedgerClosed('the peer relation does not exist yet')
        return self.read()

    def write(self, text: str) -> None:
        try:
            hookenv.relation_set(self.relation, {self.key: text}, app=True)
        except CalledProcessError as refused:
            raise _closed('relation-set --app', refused) from refused
        hookenv.flush(self.key)  # charmhelpers keeps what it read before


def _closed(tool: str, refused: CalledProcessError) -> LedgerClosed:
    sentence = '{}: refused with exit code {}: this unit leads no more; the next leader gives the tickets'
    log(sentence.format(tool, refused.returncode))
    return LedgerClosed(tool)


class Juju:
    """This hook's Juju, as `protocol.Port` wants it for one coordinator.

    Args:
        key: what its keys begin with: KEY-claims in databags, KEY-ledger.
        peers: the name of its peer relation.
        old_key: the key of charmhelpers.coordinator, in both places, that it takes over from.
    """

    def __init__(self, key: str = KEY, peers: str = PEERS, old_key: str = KEY) -> None:
        self.unit: str = hookenv.local_unit()
        self.peers, self._claims_key, self._ledger_key = peers, key + '-claims', key + '-ledger'
        self._old_key = old_key
        self._store = Store(os.path.join(hookenv.charm_dir() or '', '.{}.db'.format(quote(key, safe=''))))
        self._found: Optional[str] = None
        self._spoilt = False  # this unit's databag, as it was read in this hook
        self._book: Union[LeaderSettings, ApplicationDatabag, None] = None
        self.durable_at_once = major_version(os.environ.get('JUJU_VERSION', '')) < 4

    @property
    def relation(self) -> Optional[str]:
        """The peer relation's id, None before it exists.

        Remembered, since it never changes, but not believed when the unit goes:
        then Juju may have closed the relation (juju/juju#20713).
        """
        if self._found is None and not hookenv.hook_name().endswith(('stop', 'remove', '-relation-broken')):
            self._found = self._store.get('relation') or None
        if self._found is None:
            self._found = next(iter(sorted(hookenv.relation_ids(self.peers))), None)
            if self._found:
                self._store.set('relation', self._found)
        return self._found

    @property
    def book(self) -> Union[LeaderSettings, ApplicationDatabag]:
        if self._book is None:
            self._book = (
                LeaderSettings(self._ledger_key, self._old_key)
                if self.durable_at_once
                else ApplicationDatabag(self._ledger_key, self.relation)
            )
        return self._book

    def is_leader(self) -> bool:
        return bool(hookenv.is_leader())

    # The local store

    def load(self) -> Optional[wire.Local]:
        local, problems = wire.local(self._store.get('local'), 'local store {}'.format(self._store.name))
        self._report(problems)
        return local

    def save(self, local: wire.Local) -> None:
        self._store.set('local', wire.local_text(local))

    # Claims

    def published(self) -> Optional[Dict[str, Claim]]:
        text = self._said(self.unit, self._claims_key)
        if not text:
            return None
        own, problems = self._read(self.unit, text)
        self._spoilt = bool(problems)
        return own

    def publish(self, own: Mapping[str, Claim]) -> None:
        if self.relation is not None:
            # Juju 4 knows a databag by its hash (R25): put right to the letter, a spoilt one is news to
            # nobody who has read it meanwhile. So a blank tells them that it is another.
            settings = {self._claims_key: wire.claims_text(own) + (' ' if self._spoilt else '')}
            if self.came_over:
                settings[self._old_key] = old.text(own)
            hookenv.relation_set(self.relation, settings)

    def _said(self, unit: str, key: str) -> str:
        if self.relation is None:
            return ''
        return hookenv.relation_get(key, unit, self.relation) or ''

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        if self.relation is None:
            return {}
        try:
            return self._claims(unit, hookenv.relation_get(self._claims_key, unit, self.relation))
        except CalledProcessError:
            # A unit that has not entered the relation's scope has no databag; its
            # first claim comes with its relation-joined. One that we joined must answer.
            if unit in hookenv.related_units(self.relation):
                raise
            return {}

    # The old layer

    @property
    def came_over(self) -> bool:
        """Whether this unit once ran the old layer."""
        return bool(self._store.get('came over'))

    def old_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        text = self._said(self.unit, self._old_key)
        if not text:
            return ()
        self._store.set('came over', 'yes')
        where = 'databag of {}, key "{}"'.format(self.unit, self._old_key)
        asked, problems = old.requests(text, where)
        self._report(problems)
        held = self._old_grants(self.book.read_old()).get(self.unit, {}) if asked else {}
        return tuple((lock, since, held.get(lock) == since) for lock, since in sorted(asked.items()))

    def old_units(self) -> FrozenSet[str]:
        text = self.book.read_old()
        if not text:
            return frozenset()
        goal = set(_goal_units())
        met = set(hookenv.related_units(self.relation)) if self.relation else set()
        holders = {unit for unit, locks in self._old_grants(text).items() if locks}
        units = (goal | met | holders) - {self.unit}
        found = {unit for unit in units if self._may_run_old_code(unit, goal)}
        if self.unit not in goal and not self.came_over:
            found.add(UNNAMED)
        return frozenset(found)

    def _may_run_old_code(self, unit: str, goal: AbstractSet[str]) -> bool:
        try:
            return not self._said(unit, self._claims_key)
        except CalledProcessError:  # it has no databag yet
            return unit in goal

    def _old_grants(self, text: str) -> Dict[str, Dict[str, str]]:
        held, problems = old.grants(text, 'leader settings, key "{}"'.format(self._old_key))
        self._report(problems)
        return held

    def everybody(self) -> FrozenSet[str]:
        if self.relation is None:
            return frozenset()
        units = _goal_units()
        here = {unit for unit, goal in units.items() if goal.get('status') != 'dying'}
        if self.unit not in units:
            # A subordinate's goal-state is empty. A principal's tells all, and on Juju 4
            # relation-list keeps units that were removed (juju/juju#23326).
            here = set(hookenv.related_units(self.relation))
        return frozenset(here - {self.unit})

    def living(self) -> Optional[FrozenSet[str]]:
        units = frozenset(_goal_units())
        # A subordinate's goal-state is empty, itself included: then it tells nothing.
        return units if self.unit in units else None

    def unit_count(self) -> int:
        living = self.living()
        if living is not None:
            return len(living)
        return 1 + (len(hookenv.related_units(self.relation)) if self.relation else 0)

    # The ledger

    def ledger(self) -> Optional[Ledger]:
        return self._ledger(self.book.read())

    def fresh_ledger(self) -> Optional[Ledger]:
        return self._ledger(self.book.read_fresh())

    def write_ledger(self, ledger: Ledger) -> None:
        self.book.write(wire.ledger_text(ledger))

    def _ledger(self, text: str) -> Optional[Ledger]:
        ledger, problems = wire.ledger(text, self.book.where)
        self._report(problems)
        return ledger

    def _claims(self, unit: str, text: Optional[str]) -> Dict[str, Claim]:
        return self._read(unit, text)[0]

    def _read(self, unit: str, text: Optional[str]) -> Tuple[Dict[str, Claim], wire.Problems]:
        own, problems = wire.claims(text, 'databag of {}, key "{}"'.format(unit, self._claims_key))
        self._report(problems)
        return own, problems

    def _report(self, problems: Iterable[str]) -> None:
        """Log each problem once in this unit's life, as far as the store remembers."""
        for problem in problems:
            checksum = _summed(problem)[:8]
            reported = self._store.get('reported').split()
            if checksum not in reported:
                self._store.set('reported', ' '.join([checksum] + reported[: MAX_REPORTED - 1]))
                log(problem, hookenv.WARNING)


class Store:
    """A few texts by name on this unit's disk, written at once, whatever becomes of the hook.

    Beside the charm's own key-value store, which is committed with the hook.
    Juju keeps the file over a charm upgrade. Each text has its checksum before
    it: a digit changed on the disk could free what another unit holds.
    """

    def __init__(self, path: str) -> None:
        self._path, self.name = path, os.path.basename(path)
        self._kv: Any = None

    def get(self, name: str) -> str:
        return self._do(lambda kv: _checked(kv.get(name, _summed(''))))

    def set(self, name: str, text: str) -> None:
        def write(kv: Any) -> str:
            kv.set(name, _summed(text))
            kv.flush()
            return text

        self._do(write)

    def _do(self, what: Callable[[Any], str]) -> str:
        """Do it, in a new file where this one cannot be used or believed any more."""
        try:
            return what(self._opened())
        except (sqlite3.Error, ValueError, TypeError, RecursionError) as broken:
            if any(words in str(broken) for words in MACHINE):
                raise
            self._begin_anew(broken)
        return what(self._opened())

    def _opened(self) -> Any:
        if self._kv is None:
            self._kv = unitdata.Storage(self._path)
        return self._kv

    def _begin_anew(self, broken: Exception) -> None:
        """Put a file that is no database of ours aside: this unit reads again what Juju has of it."""
        if self._kv is not None:
            self._kv.conn.close()
            self._kv = None
        os.replace(self._path, self._path + '.unreadable')
        log(
            'local store {}: expected an SQLite database, found {!r}; put aside as {}.unreadable, and '
            'this unit begins anew from what Juju has of it'.format(self.name, str(broken), self.name),
            hookenv.WARNING,
        )


def _summed(text: str) -> str:
    return '{:08x} {}'.format(zlib.crc32(text.encode('utf-8', 'replace')), text)


def _checked(found: Any) -> str:
    text = found[9:] if isinstance(found, str) else ''
    if found != _summed(text):
        raise ValueError('a text and another checksum')
    return text


def _goal_units() -> Dict[str, Dict[str, Any]]:
    try:
        return hookenv.goal_state().get('units') or {}
    except NotImplementedError:  # no such tool
        return {}


# The hook that runs


def occasion(peers: str = PEERS) -> Occasion:
    """Return what the environment says of this hook or action (JUJU_*, Juju's hook reference)."""
    unit, name = hookenv.local_unit(), hookenv.hook_name()
    ours = hookenv.relation_type() == peers
    remote = (hookenv.remote_unit() or '') if ours else ''
    departing = (hookenv.departing_unit() or remote) if name.endswith('-relation-departed') else ''
    return Occasion(
        unit=unit,
        news=remote if name.endswith(('-relation-joined', '-relation-changed')) else '',
        departed=departing if ours and departing != unit else '',
        leaving=(ours and departing == unit) or name in ('stop', 'remove'),
        reread=name in ('start', 'upgrade-charm'),
        look_around=name == 'update-status',
    )


def in_action() -> bool:
    return bool(hookenv.action_name())


def callbacks_running() -> bool:
    """Return whether the handlers are over and hookenv's atexit callbacks run."""
    code, frame = hookenv._run_atexit.__code__, sys._getframe()
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


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


class _Log:
    """The least severe level that is logged."""

    least = hookenv.DEBUG


def log_from(level: str) -> None:
    """Log nothing below this level (debug, info, warning, error, critical) in this process."""
    _Log.least = level.upper()


def log(sentence: str, level: str = hookenv.INFO) -> None:
    if _SEVERITY.index(level) >= _SEVERITY.index(_Log.least):
        hookenv.log('coordinator: ' + sentence, level)
