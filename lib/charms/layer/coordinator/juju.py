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
from typing import Any, Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Union

from charmhelpers.core import hookenv, unitdata
from charms.layer.coordinator import wire
from charms.layer.coordinator.protocol import LedgerClosed, Occasion
from charms.layer.coordinator.rules import Claim, Ledger

PEERS = 'coordinator'
"""The peer relation's name. Frozen: Juju refuses an upgrade that changes it (lp:2049953)."""

CLAIMS_KEY = 'coordinator-claims'
LEDGER_KEY = 'coordinator-ledger'
STORE = '.coordinator.db'
MAX_REPORTED = 64

MACHINE = ('is locked', 'disk is full', 'disk I/O error', 'unable to open', 'interrupted')
"""What SQLite says where the file itself may be whole: the hook fails, and its retry may go well."""


class LeaderSettings:
    """The ledger on Juju 2.9-3.x: leader-set lands at once, also where the hook then fails."""

    durable_at_once = True
    where = 'leader settings, key "{}"'.format(LEDGER_KEY)

    def read(self) -> str:
        return hookenv.leader_get(LEDGER_KEY) or ''

    def read_fresh(self) -> str:
        # leader-get is cached for the hook until this unit's own leader-set, and
        # deleting a key that does not exist is a leader-set that wakes nobody.
        self._set({LEDGER_KEY + '-refresh': None})
        return self.read()

    def write(self, text: str) -> None:
        self._set({LEDGER_KEY: text})

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

    def __init__(self, relation: Optional[str]) -> None:
        self.relation = relation
        self.where = 'application databag of {}, key "{}"'.format(relation, LEDGER_KEY)

    def read(self) -> str:
        if self.relation is None:
            return ''
        return hookenv.relation_get(LEDGER_KEY, rid=self.relation, app=hookenv.application_name()) or ''

    def read_fresh(self) -> str:
        if self.relation is None:
            raise LedgerClosed('the peer relation does not exist yet')
        return self.read()

    def write(self, text: str) -> None:
        try:
            hookenv.relation_set(self.relation, {LEDGER_KEY: text}, app=True)
        except CalledProcessError as refused:
            raise _closed('relation-set --app', refused) from refused
        hookenv.flush(LEDGER_KEY)  # charmhelpers keeps what it read before


def _closed(tool: str, refused: CalledProcessError) -> LedgerClosed:
    sentence = '{}: refused with exit code {}: this unit leads no more; the next leader gives the tickets'
    log(sentence.format(tool, refused.returncode))
    return LedgerClosed(tool)


class Juju:
    """This hook's Juju, as `protocol.Port` wants it."""

    def __init__(self) -> None:
        self.unit: str = hookenv.local_unit()
        self._store = Store(os.path.join(hookenv.charm_dir() or '', STORE))
        self._found: Optional[str] = None
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
            self._found = next(iter(sorted(hookenv.relation_ids(PEERS))), None)
            if self._found:
                self._store.set('relation', self._found)
        return self._found

    @property
    def book(self) -> Union[LeaderSettings, ApplicationDatabag]:
        if self._book is None:
            self._book = LeaderSettings() if self.durable_at_once else ApplicationDatabag(self.relation)
        return self._book

    def is_leader(self) -> bool:
        return bool(hookenv.is_leader())

    # The local store

    def load(self) -> Optional[wire.Local]:
        local, problems = wire.local(self._store.get('local'), 'local store {}'.format(STORE))
        self._report(problems)
        return local

    def save(self, local: wire.Local) -> None:
        self._store.set('local', wire.local_text(local))

    # Claims

    def published(self) -> Optional[Dict[str, Claim]]:
        if self.relation is None:
            return None
        return self._claims(self.unit, hookenv.relation_get(CLAIMS_KEY, self.unit, self.relation))

    def publish(self, own: Mapping[str, Claim]) -> None:
        if self.relation is not None:
            hookenv.relation_set(self.relation, {CLAIMS_KEY: wire.claims_text(own)})

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        if self.relation is None:
            return {}
        try:
            return self._claims(unit, hookenv.relation_get(CLAIMS_KEY, unit, self.relation))
        except CalledProcessError:
            # A unit that has not entered the relation's scope has no databag; its
            # first claim comes with its relation-joined. One that we joined must answer.
            if unit in hookenv.related_units(self.relation):
                raise
            return {}

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
        own, problems = wire.claims(text, 'databag of {}, key "{}"'.format(unit, CLAIMS_KEY))
        self._report(problems)
        return own

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
        self._path = path
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
            'this unit begins anew from what Juju has of it'.format(STORE, str(broken), STORE),
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


def occasion() -> Occasion:
    """Return what the environment says of this hook or action (JUJU_*, Juju's hook reference)."""
    unit, name = hookenv.local_unit(), hookenv.hook_name()
    ours = hookenv.relation_type() == PEERS
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


def now() -> str:
    """Return this unit's clock as text that sorts, in UTC."""
    return datetime.now(timezone.utc).strftime('%Y-%m-%d %H:%M:%S.%fZ')


def log(sentence: str, level: str = hookenv.INFO) -> None:
    hookenv.log('coordinator: ' + sentence, level)
