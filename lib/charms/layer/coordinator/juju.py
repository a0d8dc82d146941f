"""Everything that touches Juju: hook tools, both ledgers, the clock, and the place of the local store.

What lives here: one small function for each thing that is read from Juju or written
to it. What must not: a rule, or an `if` about whose turn it is. Every hook tool is called
through charmhelpers.
"""

import os
import uuid
import zlib
from subprocess import CalledProcessError
from typing import Any, Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Tuple, TypeVar

from charmhelpers.core import hookenv
from charms.layer.coordinator import callbacks, environment, forms, merging, wake, wire
from charms.layer.coordinator.context import LedgerClosed
from charms.layer.coordinator.environment import KEY, PEERS, major_version, restricted
from charms.layer.coordinator.failing import Failing
from charms.layer.coordinator.store import Store, WakeFile, checksum
from charms.layer.coordinator.values import Claim, End, Record, Said, Terms, UnitState
from charms.layer.coordinator.wakeup import WakeUp

Read = TypeVar('Read')
REFUSED = '{}: refused with exit code {}: this unit leads no more; the next leader gives the tickets'
# In these hooks the relation may not exist yet, or no longer; a store that knows one may be a former unit's.
_WITHOUT = ('install', 'stop', 'remove', '-relation-broken')
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
        self.principal: str = os.environ.get('JUJU_PRINCIPAL_UNIT', '')
        self.zone = environment.zone()
        self.least = hookenv.DEBUG  # the least severe level that is logged
        self.peers, self.claims_key, self.ledger_key = peers, key + '-claims', key + '-ledger'
        self.ends_key, self.turn_key = key + '.ended', key + '-turn'
        self.store = Store(environment.local_file(key, 'json'), lambda text: self.log(text, hookenv.WARNING))
        self.wake = WakeFile(environment.local_file(key, 'wake'), environment.event(), self._leaders_data)
        self.wake_up = WakeUp(environment.local_file(key, 'wake-up'), self.unit, environment.note, self.log)
        self.failing = Failing(environment.local_file(key, 'turn'), self.unit)
        self._stored: Optional[UnitState] = None  # as this process last read or wrote it
        self._relation: Optional[str] = None
        self._ended: Optional[Dict[str, End]] = None  # as it was when this process began
        # In this hook: asked for the relation's id, found the own databag spoilt, wrote, saw goal-state fail.
        self._looked_up = self._spoilt = self._wrote = self._no_goal_state = False
        self.durable_at_once = restricted() or major_version(os.environ.get('JUJU_VERSION', '')) < 4

    @property
    def relation(self) -> Optional[str]:
        """The peer relation's id, None before it exists.

        It hardly ever changes, so it is kept in the local store. A hook of the relation says
        it. In a unit's first and last hooks it is read from Juju, which may have closed the
        relation (juju/juju#20713).
        """
        if self._relation is None and hookenv.relation_type() == self.peers:
            self._note_relation(hookenv.relation_id())
        if self._relation is None and not (self._looked_up or hookenv.hook_name().endswith(_WITHOUT)):
            self._relation = self.store.get('relation')
        if self._relation is None:
            self._look_up()
        return self._relation

    def _note_relation(self, found: Optional[str]) -> None:
        self._relation, before = found or None, self.store.get('relation')
        if found and found != before:
            self.store.set('relation', found)
            led = self._stored and self._stored.led and self.store.get('moved') != 'moved'
            self.store.set('moved', before and ('led' if led else 'moved'))

    def _look_up(self) -> bool:
        """Ask Juju for the relation's id, once in a hook; return whether it is another than was remembered.

        A refresh may end with another id (juju/juju#19631).
        """
        before, asked, self._looked_up = self._relation, self._looked_up, True
        if not asked:
            known = sorted(hookenv.relation_ids(self.peers))
            if before not in known:
                self._note_relation(next(iter(known), None))
        return before is not None and self._relation not in (None, before)

    def _about_relation(self, tool: Callable[[Optional[str]], Read], nothing: Read) -> Read:
        """Call a tool with the relation's id; return `nothing` where there is no relation.

        If Juju does not know the id, look it up and call again.
        """
        try:
            return nothing if self.relation is None else tool(self.relation)
        except CalledProcessError as refused:
            before = self._relation
            if refused.returncode == 2:
                self._look_up()
            if self._relation == before:
                raise
        return nothing if self.relation is None else tool(self.relation)

    def now(self) -> str:
        """Return the time by this unit's clock, in UTC, as text that sorts."""
        return environment.utc().strftime(environment.TIME_FORM)

    def is_leader(self) -> bool:
        """Return whether Juju says that this unit leads."""
        return bool(hookenv.is_leader())

    # What this unit remembers

    def load(self) -> Optional[UnitState]:
        """Return what this unit remembers, None if there is nothing.

        A store of another model, or of another unit, is not believed.
        """
        values = self.store.values()
        model, whose = os.environ.get('JUJU_MODEL_UUID', ''), values.get('whose')
        if model and whose != [model, self.unit]:  # collect-metrics names no model
            if whose is not None:
                self.store.clear()
                values = {}
            self.store.set('whose', [model, self.unit])
        self._stored = self.believed(wire.state(values.get('state'), 'local store ' + self.store.name))
        before = values.get('relation')
        if before and hookenv.relation_type() == self.peers and hookenv.relation_id() == before:
            self._relation = before  # there is nothing to note, so the store need not be read again
        if self._stored and before and self.relation != before:
            self._stored = self._stored._replace(known=False)  # the new relation's databag may be empty
        return self._stored

    def save(self, state: UnitState) -> UnitState:
        """Save it at once; return it merged with what another process of this unit has saved."""

        def merged(found: Any) -> Any:
            other = wire.state(found, '')[0]  # `load` has reported it; a report here would wait for this lock
            known, base = other is None or other == self._stored or other.nonce != state.nonce, self._stored
            self._stored = state if other is None or known else merging.merged_states(state, other, base)
            return wire.state_value(self._stored)

        self.store.update('state', merged)
        return self._stored or state

    def store_with(self, state: UnitState) -> str:
        """Return the checksum of the local store, '' if another process has changed this state."""
        values = self.store.values()
        return checksum(values) if wire.state(values.get('state'), '')[0] == state else ''

    def new_nonce(self) -> str:
        """Return a name for this life of the unit that no other has."""
        return uuid.uuid4().hex[:8]

    def ended(self) -> Dict[str, End]:
        """Return the ends of turns that were saved together with the charm's flags."""
        self._ended = wire.ends(environment.saved(self.ends_key)) if self._ended is None else self._ended
        return self._ended

    def note_ended(self, ends: Mapping[str, End]) -> bool:
        """Put the ends of turns into the charm's key-value store, which charms.reactive saves with its flags.

        Returns:
            False where charms.reactive does not run, so nobody would save them.
        """
        new = {queue: end.beside(self.ended().get(queue, end)) for queue, end in ends.items()}
        return environment.note(self.ends_key, wire.ends_value({**self.ended(), **new}))

    def flush(self) -> None:
        """Save the charm's key-value store now, with the flags as they are."""
        environment.flush()

    # Claims

    def published(self) -> Optional[Said]:
        """Return what Juju has of this unit, None if there is not even an empty claim."""
        text = self.said(self.unit, self.claims_key)
        emptied = not text and self._stored is not None and self._stored.spoken
        if emptied and self._look_up():
            text = self.said(self.unit, self.claims_key)
        said, problems = self._read(self.unit, text)
        self._spoilt = emptied or bool(problems)
        return self.believed((said, problems))

    def publish(self, said: Said) -> None:
        """Write what this unit says to its databag; Juju sends it when the hook succeeds.

        Before the relation exists, do nothing.
        """
        if self.relation is not None:
            # Juju 4 compares databags by their hash (R25). Peers that read a spoilt text, or none, meanwhile
            # would not notice a repair that restores the text exactly: so a blank makes it a different one.
            text = wire.said_text(said) + (' ' if self._spoilt else '')
            settings = {self.claims_key: text, **self.beside(dict(said.queues))}
            self._about_relation(lambda relation: hookenv.relation_set(relation, settings), None)
            self.wake.said = self.relation, text

    def beside(self, own: Mapping[str, Claim]) -> Dict[str, str]:
        """Return what to publish in addition to the claims: nothing, unless a subclass overrides it."""
        return {}

    def said(self, unit: str, key: str) -> str:
        """Return the text under a key of a unit's databag, '' where there is none."""
        return (self.relation and hookenv.relation_get(key, unit, self.relation)) or ''

    def said_if_any(self, unit: str, key: str) -> Optional[str]:
        """Return the text under a key of a unit's databag, None if the unit has no databag yet (R22).

        Any read that fails looks like that. A unit that has joined has one, so then the hook fails.
        """
        try:
            return self.said(unit, key)
        except CalledProcessError:
            if unit in self.present():
                raise
            return None  # what it says comes with its relation-joined

    def said_by(self, unit: str) -> Optional[Said]:
        """Return what a peer says as far as this unit may see it, None if it has never said anything."""
        text = self.said_if_any(unit, self.claims_key) if self.relation else None
        return None if text is None else self.believed(self._read(unit, text))

    def _read(self, unit: str, text: Optional[str]) -> Tuple[Optional[Said], wire.Problems]:
        return wire.said(text, 'databag of {}, key "{}"'.format(unit, self.claims_key))

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
        return frozenset(self._about_relation(hookenv.related_units, []))

    def goal_state(self) -> Dict[str, Any]:
        """Return Juju's goal-state (R23), {} if there is none, or if it fails or prints anything else.

        If it has failed, it counts as one that fails until the hook is over: a hook has one answer.
        """
        try:
            found: Any = {} if self._no_goal_state else hookenv.goal_state()
        except (NotImplementedError, CalledProcessError):  # juju/juju#8909, #21152
            self._no_goal_state = True
            return {}
        except ValueError as no_json:
            found = str(no_json)
        return self.believed(forms.goal_state(found))

    def goal_units(self) -> Dict[str, Dict[str, Any]]:
        """Return the application's units in goal-state, {} if Juju lists none."""
        return self.goal_state().get('units') or {}

    def everybody(self) -> FrozenSet[str]:
        """Return the other units that may have claims and are not leaving."""
        units = self.goal_units() if self.relation else {}
        staying = {unit for unit, goal in units.items() if goal.get('status') != 'dying'}
        # On Juju 4 relation-list keeps removed units (juju/juju#23326). A subordinate's goal-state is empty.
        return frozenset(staying if self.unit in units else self.related_units()) - {self.unit}

    def living(self) -> Optional[FrozenSet[str]]:
        """Return all units that are not gone, None if Juju does not list them.

        For a subordinate's unit these are the principals' units: Juju lists its own nowhere.
        """
        units = frozenset(self.goal_units())
        if self.unit in units:
            return units
        related, ours = self.goal_state().get('relations') or {}, environment.container_endpoints()
        principals = frozenset(unit for name in ours or related for unit in related.get(name) or ())
        return principals if self.principal in principals else None

    def alone(self) -> bool:
        """Return whether this is the application's only unit, as far as Juju tells."""
        return self.living() == frozenset([self.unit])

    def present(self) -> FrozenSet[str]:
        """Return this unit and the peers that have joined, and live as far as Juju tells.

        Of a subordinate these are all that relation-list prints; on Juju 4 units that are gone, too.
        """
        units, related = frozenset(self.goal_units()), self.related_units()
        return (related & units if self.unit in units else related) | {self.unit}

    # The ledger. On Juju 2.9-3.x it is in leader settings. A write to them lands at once, even if the hook
    # then fails (R9). On Juju 4 it is in the application databag. A write to that lands when the hook
    # succeeds and this unit still leads (R10).

    def terms(self) -> Terms:
        """Return what leaders keep, as this hook may see it.

        A second process of a hook goes by what the first one read: on Juju 4 it would read back
        what the first one wrote, and Juju has not committed.
        """
        first = self._first_read()
        return self._terms(self._leaders_data() if first is None else first)

    def _first_read(self) -> Optional[Dict[str, str]]:
        kept = None if self.durable_at_once or self._wrote else self.store.get('unflushed')
        same = isinstance(kept, dict) and kept.get('context') == os.environ.get('JUJU_CONTEXT_ID')
        return kept['data'] if kept and same else None

    def fresh_terms(self) -> Terms:
        """Return what leaders keep as it is now, for the leader to decide from. Raises LedgerClosed."""
        if self.durable_at_once:
            # It ends the hook's cache of leader-get, and wakes nobody, for there is no such key (R9, R25).
            self.write_shared({self.ledger_key + '-refresh': None})
        elif self.relation is None or self._first_read() is not None:
            raise LedgerClosed  # there is no databag yet, or another process of this hook has written it
        return self._terms(self._leaders_data())

    def write(self, record: Record, superseded: Iterable[Record], unmark: bool) -> None:
        """Write a record under its key, and remove others, and the operator's mark. Raises LedgerClosed."""
        if not (self.durable_at_once or self._wrote):
            there = self._leaders_data()
            data = {key: there[key] for key in there if key.startswith(self.ledger_key)}
            self.store.set('unflushed', {'context': os.environ.get('JUJU_CONTEXT_ID'), 'data': data})
            self._wrote = True
        self.write_shared(self._to_write(record, superseded, unmark))

    def _to_write(self, record: Record, superseded: Iterable[Record], unmark: bool) -> Dict[str, Any]:
        removed = [self._key_of(each) for each in superseded] + [self.ledger_key] * unmark
        return {**dict.fromkeys(removed), self._key_of(record): wire.record_text(record)}

    def _key_of(self, record: Record) -> str:
        return '{}-{}'.format(self.ledger_key, wire.record_name(record))

    def _leaders_data(self) -> Dict[str, str]:
        if self.durable_at_once:
            settings = dict(hookenv.leader_get() or {})
            self.wake.settings = wake.digest(settings, self.ledger_key + '-')
            return settings
        if self.relation is None:
            return {}
        app = hookenv.application_name()
        found = hookenv.relation_get(rid=self.relation, app=app)
        if not found and self._look_up():
            found = hookenv.relation_get(rid=self.relation, app=app)
        return dict(found or {})

    def _terms(self, data: Mapping[str, str]) -> Terms:
        where = 'leader settings' if self.durable_at_once else 'databag of the application'
        start = self.ledger_key + '-'
        found = (
            self.believed(wire.record(key[len(start) :], data[key], '{}, key "{}"'.format(where, key)))
            for key in sorted(data)
            if key.startswith(start)
        )
        # Whatever is under this key is a mark: an operator's word, or the ledger of version 0.1.0.
        return Terms(tuple(record for record in found if record), bool(data.get(self.ledger_key)))

    def bring_hook(self, word: str) -> None:
        """As the leader, bring every unit a hook, this one too, by a new word (R24). Raises LedgerClosed."""
        self.write_shared({self.turn_key: word}, in_databag=True)

    def read_shared(self, key: str) -> str:
        """Return what the leader has written under a key, '' if there is nothing."""
        return self._leaders_data().get(key) or ''

    def write_shared(self, settings: Mapping[str, Optional[str]], in_databag: bool = False) -> None:
        """Write as the leader where the ledger is, or in the databag; None removes a key.

        Raises:
            LedgerClosed: if Juju refuses it, and this unit leads no more.
            CalledProcessError: if Juju refuses it for another reason, such as a lease operation that
                timed out (juju/juju#13332). The hook fails, and Juju retries it.
        """
        tool = 'leader-set' if self.durable_at_once and not in_databag else 'relation-set --app'
        try:
            if tool == 'leader-set':
                hookenv.leader_set(settings)
            else:
                texts = {key: text or '' for key, text in settings.items()}
                self._about_relation(lambda relation: hookenv.relation_set(relation, texts, app=True), None)
                hookenv.flush('"app": ')  # charmhelpers caches what it has read of the application
        except CalledProcessError as refused:
            if self.is_leader():
                raise
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

    def log(self, sentence: str, level: str = hookenv.INFO, by: str = 'coordinator:') -> None:
        """Log a sentence, unless the layer options ask only for more severe ones."""
        if _SEVERITY.index(level) >= _SEVERITY.index(self.least):
            hookenv.log('{} {}'.format(by, sentence), level)

    def when_handlers_succeeded(self, tell: Callable[[], None]) -> None:
        """Call `tell` when the hook's handlers have succeeded, before any callback for its end runs."""
        callbacks.when_they_begin(tell)


def peers_in_use(key: str, old_key: str) -> str:
    """Return the peer relation for a coordinator that names none: the one in which units have spoken.

    Before anybody has, it is the one whose name sorts first. A charm upgrade may add one that
    sorts before it, so the choice is kept in the local store.

    Args:
        key: the beginning of the coordinator's keys.
        old_key: the key under which old code kept its requests.

    Raises:
        AssertionError: if the charm has no peer relation.
    """
    names = environment.peer_relations()
    if len(names) == 1:
        return names[0]
    port = Juju(key, '')
    chosen = str(port.store.get('peers') or '')
    if chosen in names:
        return chosen
    for name in names:
        for relation in hookenv.relation_ids(name):
            port._relation = relation
            related = sorted({port.unit, *port.goal_units(), *hookenv.related_units(relation)})
            if any(port.said_if_any(unit, each) for unit in related for each in (port.claims_key, old_key)):
                port.store.set('peers', name)
                return name
    return names[0]
