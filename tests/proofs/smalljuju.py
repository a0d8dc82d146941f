"""A small model of Juju: what units share, what a hook sees of it, and what wakes whom.

jujusim/README.md tells Juju's rules (R1 - R32); here they are cut down to what can matter for a lock.
`SmallPort` is the port on which the layer's own session.py runs. What a unit may do is in
smallworld.py, what is promised in promises.py.

A peer's databag is read at the first read after that peer's last news, and kept (R6, R7). In a
`fine` world another unit may come before every step of a hook that reads or writes what others can
see: the protocol function is stopped there and later run again with the same answers. What only
the unit itself can see (its local store, its own unflushed databag) needs no such stop: what
others do meanwhile changes nothing of it, and a crash after it is a crash at the next stop.
"""

from itertools import permutations
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import merging, rules
from charms.layer.coordinator.context import LedgerClosed
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.values import ANEW, ROLL, End, Ledger, Record, Said, Terms, Ticket, UnitState
from charms.layer.coordinator.view import Snapshot
from charms.layer.coordinator.wake import Wake

Picks = Tuple[Tuple[int, int], ...]
"""Which was picked, among how many, at each choice of a run."""

Turn = Tuple[str, int]
"""A turn of the unit at hand: queue and ask."""

UNREAD: Any = ('unread',)

ABSENT, THERE, DYING, GONE = 'absent', 'there', 'dying', 'gone'

# A unit that would need a higher token or term than its world goes to. Nothing is said of such a world.
CUT = 'cut'

WROTE, TOLD, LEFT, JOINED, MOVED = 1, 2, 4, 8, 16
"""What a step does to the other units: what leaders keep changed, the databag did, departed or joined
is due, the model moved to Juju 4."""


class Kind(NamedTuple):
    """What kind of world it is, and what may happen in it."""

    units: int = 2
    asks: int = 1  # of each unit
    juju: int = 3
    policy: Policy = Policy()
    refreshed: Optional[Policy] = None  # the policy of a unit after its charm was refreshed
    locks: Tuple[str, ...] = ('a',)
    exclusive: bool = False  # who works under one lock excludes others from every lock
    fine: bool = False
    late: bool = False  # Juju 3: a write whose leadership was checked lands later; only where `fine`
    aba: bool = False  # leadership may leave and return within a hook
    terms: int = 3  # no leader claims a higher one
    releases: bool = False
    keeps: bool = False  # or asks again, or both in either order
    aside: bool = False  # actions, juju exec, second processes
    classic: bool = False  # a charm without charms.reactive: nothing is flushed with flags
    forgets: int = 0  # how often each unit may lose its local store
    spoils: bool = False  # databags are lost
    loses: int = 0  # how often what leaders keep may be lost, or marked as lost by an operator
    moves: bool = False  # from Juju 3 to 4
    removals: int = 0  # how many units may be removed, or lost
    reborn: str = ''  # a removed unit's name comes back: 'anew', or 'on its disk' with its former store
    newcomer: bool = False  # the last unit is added on the way
    subordinate: bool = False  # goal-state lists principals only
    mute: str = ''  # goal-state fails: 'in some hooks', or 'always'
    skips: bool = False  # an operator may resolve a failed hook without a retry
    looks: bool = False  # what calm weather leaves waiting may wait for one update-status of each unit
    tokens: int = 0  # tokens are kept, up to this one; 0: every token is 1
    # Hooks of all kinds may come at any time: more may happen than in Juju, in fewer worlds, since none
    # knows which hooks are due. So nothing is said of calm weather.
    anytime: bool = False
    stale: bool = False  # and of a peer's databag any version may be read that there ever was
    symmetric: bool = False  # units are interchangeable: see search.py
    whole: bool = False  # records that are superseded are kept
    blank: bool = False  # it begins before any unit has ever run a hook; otherwise there is a ledger
    # What a leader may be told to do for all units: kinds of orders, of the first lock or of the one named.
    words: Tuple[str, ...] = ()
    told: int = 1  # how often each unit may be told so
    batches: Tuple[int, ...] = ()  # the stages of a roll
    pause_after: int = 0  # after how many of them it waits
    gates: bool = False  # a charm that may not want its turn to begin
    wakes: bool = False  # hooks whose news cannot matter do not run; one unit watches as few as it may


class Asleep(NamedTuple):
    """What the wake file of a unit says: see wake.py of the layer."""

    needed: Optional[Wake]
    event: Tuple[str, int]  # ('', -1) if a hook has left since
    unheard: FrozenSet[str]
    told: Optional[Said] = None  # None if a hook has left since, or nothing was published
    rests: bool = False  # whether the store is the one whose checksum the file has


class Face(NamedTuple):
    """What others see of a unit."""

    bag: Optional[Said] = None
    past: Tuple[Optional[Said], ...] = ()
    life: str = THERE
    related: bool = True
    over: Tuple[Turn, ...] = ()
    reborn: bool = False


class U(NamedTuple):
    """One unit's standing: what outlives a hook, then what a hook under way has so far."""

    store: Optional[UnitState] = None
    bag: Optional[Said] = None
    past: Tuple[Optional[Said], ...] = ()  # what it published before, where an old reading may be any
    over: Tuple[Turn, ...] = ()  # what it released in a hook that succeeded; only where databags are lost
    # Where a failure stops a roll: the token of the turn that the last hook used, and what that said last.
    turn: Optional[Tuple[int, Optional[Said]]] = None
    wake: Optional['Asleep'] = None  # the file that says whose news can matter, None where it is missing
    flags: Tuple[Tuple[str, End], ...] = ()  # the ends that the charm's key-value store has, on disk
    rested: Tuple[Turn, ...] = ()  # turns whose handlers have run, as the charm's flags on disk know
    life: str = THERE
    lives: int = 0  # how many nonces it has made
    installed: bool = True  # its first hook has succeeded
    reborn: bool = False
    refreshed: bool = False
    related: bool = True  # it has entered the peer relation's scope
    strangers: FrozenSet[int] = frozenset()  # peers that are not in its relation-list
    seen: Tuple[Any, ...] = ()  # of each peer, the databag as this agent has it cached, or UNREAD
    news: FrozenSet[int] = frozenset()  # peers whose relation-joined or -changed is due
    leavers: FrozenSet[int] = frozenset()  # peers whose relation-departed is due
    shared: bool = False  # the hook is due that what leaders keep has changed
    due: bool = True  # any other hook is due: leadership, a failed hook's retry
    left: bool = False  # a hook of its own leaving has succeeded
    stops: bool = False  # one has begun
    asks: int = 0  # how often this unit will still ask
    shut: bool = False  # its charm does not want a turn to begin
    words: int = 0  # how often it will still be told to do something for all units
    works: Tuple[Turn, ...] = ()  # turns worked in, and no hook of its own has told the end of them
    flying: Any = None  # Juju 3: a write that was checked, and whose sender was killed
    hook: Optional[Snapshot] = None
    why: Tuple[str, int] = ('', -1)  # 'news' or 'departed', and of which peer this hook is
    used: Tuple[Turn, ...] = ()  # turns worked in by the process under way
    noted: Tuple[Tuple[str, End], ...] = ()  # ends noted in the key-value store, and not flushed
    process: Any = UNREAD  # the store as the process under way knows it; UNREAD: as it is
    out: Optional[Said] = None  # published, not yet committed
    wrote: Any = None  # written on Juju 4, not yet committed
    second: bool = False  # the process under way is not the first in its context
    read: Any = UNREAD  # what leaders keep, as this hook has it cached
    minion: bool = False  # is-leader was False once in this hook
    mute: Any = UNREAD  # whether goal-state fails in this hook
    stopped: Tuple[Any, ...] = ()  # a protocol function half way: its name, arguments, answers so far

    @property
    def face(self) -> Face:
        return Face(self.bag, self.past, self.life, self.related, self.over, self.reborn)


class Scene(NamedTuple):
    """What leaders keep, and of the turns used so far what the promise about tokens needs."""

    terms: Terms = Terms()
    firm: Tuple[Any, ...] = ()  # while a higher term is claimed: the tickets that there were before
    moved: bool = False
    lost: int = 0
    used: Tuple[Ticket, ...] = ()


class Around:
    """What a unit's next step depends on beside its own standing. Notes what was looked at."""

    def __init__(self, look: Callable[[Any], Any]) -> None:
        self._look = look
        self.looked: Dict[Any, Any] = {}

    def _at(self, what: Any) -> Any:
        if what not in self.looked:
            self.looked[what] = self._look(what)
        return self.looked[what]

    @property
    def leads(self) -> bool:
        return self._at('leads')

    @property
    def scene(self) -> Scene:
        return self._at('scene')

    def face(self, peer: int) -> Face:
        return self._at(('face', peer))

    def life(self, peer: int) -> str:
        return self._at(('life', peer))


class Stopped(Exception):
    """Raised inside a protocol function where another unit may come between."""


class Beyond(Exception):
    """Raised where a leader would need a token or a term that this world does not go to."""


def name(unit: int) -> str:
    return 'app/{}'.format(unit)


def number(unit: str) -> int:
    return int(unit.split('/')[1])


def nonce_of(unit: int, life: int) -> str:
    return 'nonce/{}/{}'.format(unit, life)


def put(items: Tuple[Any, ...], place: int, item: Any) -> Tuple[Any, ...]:
    return items[:place] + (item,) + items[place + 1 :]


def on_juju_3(kind: Kind, around: Around) -> bool:
    """Whether leaders write to leader settings, where a write lands at once."""
    return kind.juju == 3 and not (kind.moves and around.scene.moved)


class Wrote(NamedTuple):
    """What a leader has written in a hook: records, those taken away, and whether the mark goes."""

    records: Tuple[Record, ...] = ()
    removed: Tuple[Record, ...] = ()
    unmark: bool = False

    def over(self, terms: Terms) -> Terms:
        """Return what there is after this."""
        there = by_key(*terms.records, *self.records)
        for record in self.removed:
            there.pop(record[:3], None)
        return Terms(tuple(there[key] for key in sorted(there)), terms.reset and not self.unmark)


def by_key(*records: Record) -> Dict[Any, Record]:
    """Return records by what is in the name of their key; of two under one key, the later one."""
    return {record[:3]: record for record in records}


def committed(kind: Kind, now: Terms, read: Terms, wrote: Wrote) -> Terms:
    """Return what there is after a leader's hook on Juju 4 was flushed.

    Whatever it had read of the application's databag is written back, however old.
    """
    both = Terms((*now.records, *read.records), now.reset or read.reset)
    return current(kind, wrote.over(both))


def current(kind: Kind, terms: Terms) -> Terms:
    """Return the terms without the records that are superseded: where only the highest count, they do not."""
    newest = max((record.place for record in terms.records if record.version), default=(0, 0))
    return terms._replace(
        records=tuple(record for record in terms.records if kind.whole or record.place >= newest)
    )


def newest(terms: Terms) -> Optional[Record]:
    """Return the record of the open ledger of the highest term and version, None where there is none."""
    opened = [record for record in terms.records if record.version]
    return max(opened, key=lambda record: record.place, default=None)


def contested(terms: Terms) -> bool:
    """Whether a term is claimed that is not open yet."""
    now = newest(terms)
    return max((record.term for record in terms.records), default=0) > (now.term if now else 0)


def with_terms(scene: Scene, terms: Terms) -> Scene:
    """Return the scene with what leaders keep after a write."""
    there = newest(scene.terms)
    firm = scene.firm if contested(scene.terms) else there and there.ledger and there.ledger.tickets
    return scene._replace(terms=terms, firm=firm or () if contested(terms) else ())


class SmallPort:
    """A port on one unit of a small world. Answers given once are given again when a function is rerun."""

    def __init__(
        self, kind: Kind, unit: int, me: U, around: Around, answers: Tuple[Any, ...], picks: Picks
    ) -> None:
        self.store = {}  # the relation has its first id
        self.kind, self.unit, self.me, self.around, self._picks = kind, unit, me, around, picks
        self.scene: Optional[Scene] = None  # after what was written here, None if nothing was
        self.landed: List[Tuple[Scene, Wrote]] = []  # each write that landed, with the scene before it
        # Another process of this hook has written before, on Juju 4.
        self.second = me.second and me.wrote is not None
        self.picked, self.broken = [], ''  # type: List[Tuple[int, int]], str
        self.durable_at_once = on_juju_3(kind, around)
        self.principal = 'db/{}'.format(unit) if kind.subordinate else ''
        self.zone = ''
        self._given, self.answers = list(answers), list(answers)
        self.before = me
        self._shared = False

    def _step(self, does: Callable[[], Any], shared: bool = False) -> Any:
        """Do one step, or repeat its answer. Before a shared one, but not the first, others may come."""
        if self._given:
            found = self._given.pop(0)
        else:
            if shared and self.kind.fine and self._shared:
                raise Stopped
            self._shared = self._shared or shared
            try:
                found = does()
            except LedgerClosed as closed:
                found = str(closed)
            self.answers.append(found)
        if isinstance(found, str):
            raise LedgerClosed(found)
        return found

    def _pick(self, among: int) -> int:
        """Return one of so many, another one each time this function is run again."""
        place = len(self.picked)
        chosen = self._picks[place][0] if place < len(self._picks) else 0
        self.picked.append((chosen, among))
        return chosen

    def _now(self, **changed: Any) -> None:
        self.me = self.me._replace(**changed)

    def is_leader(self) -> bool:
        def does() -> bool:
            if not self.me.minion and not self.around.leads:
                self._now(minion=True)
            return not self.me.minion

        return self._step(does, shared=not self.me.minion)

    # This unit's own, which nobody else sees

    def load(self) -> Optional[UnitState]:
        def does() -> Optional[UnitState]:
            self._now(process=UNREAD)
            return self.me.store

        return self._step(does)

    def save(self, state: UnitState) -> UnitState:
        """Save at once; what another process of this unit has saved meanwhile is merged in."""

        def does() -> UnitState:
            theirs = self.me.store
            both = state._replace(told=0)  # only for the log
            if self.me.process != UNREAD and theirs is not None:
                both = merging.merged_states(both, theirs)
            if self.me.wake and both != theirs:
                self._now(wake=self.me.wake._replace(rests=False))
            self._now(store=both, process=UNREAD)
            return both

        return self._step(does)

    def store_with(self, state: UnitState) -> str:
        """Return a word if this unit's store has just this state: see `Asleep.rests`."""
        same = self._step(lambda: (self.me.store == state._replace(told=0),))
        return 'this one' if same[0] else ''

    @property
    def wake(self) -> 'SmallFile':
        return SmallFile(self)

    @property
    def wake_up(self) -> 'NoWakeUp':
        return NoWakeUp()

    @property
    def failing(self) -> 'SmallWord':
        return SmallWord(self)

    def new_nonce(self) -> Any:
        def does() -> Tuple[int]:
            if self.me.lives > self.kind.forgets + bool(self.kind.reborn):
                raise Beyond
            self._now(lives=self.me.lives + 1)
            return (self.me.lives - 1,)

        return nonce_of(self.unit, self._step(does)[0])

    def ended(self) -> Dict[str, End]:
        return dict(self._step(lambda: self.me.noted or self.me.flags))

    def note_ended(self, ends: Any) -> bool:
        if self.kind.classic:
            return False
        before = dict(self.me.flags)
        noted = {**before, **{queue: end.beside(before.get(queue, end)) for queue, end in ends.items()}}
        self._step(lambda: self._now(noted=rules.frozen(noted)))
        return True

    def published(self) -> Optional[Said]:
        """Return this unit's databag, with what this very hook has written."""
        if not self.me.related:
            return None
        return self._step(lambda: self.me.bag if self.me.out is None else self.me.out)

    def publish(self, said: Said) -> None:
        spoke = bool(said.nonce or said.queues or said.about.term)  # as wire.said reads it
        about = said.about._replace(spoke=spoke)
        if self.me.related:
            self._step(lambda: self._now(out=said._replace(about=about)))

    def bring_hook(self, word: str) -> None:
        """Let this unit have one more hook. The others have none; and it comes even if this hook fails."""
        self._step(lambda: self._now(shared=True))

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        return ()

    def awaited_units(self) -> FrozenSet[str]:
        return frozenset()

    def awaiting(self, units: FrozenSet[str]) -> Any:
        return ''

    def now(self) -> str:
        return ''

    def when_handlers_succeeded(self, tell: Callable[[], None]) -> None:
        """The search itself says when a hook ends."""

    # The others

    def _peers(self) -> Iterator[int]:
        return (peer for peer in range(self.kind.units) if peer != self.unit)

    def said_by(self, unit: str) -> Optional[Said]:
        peer = number(unit)

        def any_version() -> Optional[Said]:
            face = self.around.face(peer)
            if not face.related:
                return None
            return (face.bag, *face.past)[self._pick(1 + len(face.past))]

        def does() -> Optional[Said]:
            if self.me.seen[peer] == UNREAD:
                face = self.around.face(peer)
                self._now(seen=put(self.me.seen, peer, face.bag if face.related else None))
            return self.me.seen[peer]

        if not self.me.related:
            return None
        if self.kind.stale:
            return self._step(any_version, shared=True)
        return self._step(does, shared=self.me.seen[peer] == UNREAD)

    def _is_mute(self) -> bool:
        """Whether goal-state fails; a hook has one answer."""

        def does() -> Tuple[bool]:
            if self.me.mute == UNREAD:
                self._now(mute=self.kind.mute == 'always' or bool(self._pick(2)))
            return (self.me.mute,)

        return bool(self.kind.mute) and self._step(does)[0]

    def everybody(self) -> FrozenSet[str]:
        if not self.me.related:
            return frozenset()
        if self.kind.subordinate or self._is_mute():
            return self._step(lambda: frozenset(map(name, set(self._peers()) - self.me.strangers)))
        return self._step(lambda: self._of_life(THERE), shared=self._changes)

    def living(self) -> Optional[FrozenSet[str]]:
        if self._is_mute():
            return None
        if self.kind.subordinate:
            # goal-state lists the principals only, each until its subordinate has run its last hook.
            there = [peer for peer in self._peers() if self._changes and self.around.life(peer) == GONE]
            return frozenset('db/{}'.format(unit) for unit in range(self.kind.units) if unit not in there)
        return self._step(lambda: self._of_life(THERE, DYING) | {name(self.unit)}, shared=self._changes)

    def alone(self) -> bool:
        return not self.kind.subordinate and self.living() == {name(self.unit)}

    def related_units(self) -> FrozenSet[str]:
        return (
            frozenset(map(name, set(self._peers()) - self.me.strangers)) if self.me.related else frozenset()
        )

    @property
    def relation(self) -> Optional[str]:
        return 'the relation' if self.me.related else None

    @property
    def _changes(self) -> bool:
        return bool(self.kind.removals or self.kind.newcomer)

    def _of_life(self, *lives: str) -> FrozenSet[str]:
        if not self._changes:
            return frozenset(map(name, self._peers()))
        return frozenset(name(peer) for peer in self._peers() if self.around.life(peer) in lives)

    def present(self) -> FrozenSet[str]:
        me = frozenset([name(self.unit)])
        if self.kind.subordinate or self._is_mute():
            return me | self.everybody()
        related = self._step(lambda: {peer for peer in self._peers() if self._joined(peer)})
        return me | (self.living() or frozenset()) & frozenset(map(name, related))

    def _joined(self, peer: int) -> bool:
        return self.me.related and peer not in self.me.strangers

    # What leaders keep

    def terms(self) -> Terms:
        """First read of the hook; on Juju 4 a leader then reads its own uncommitted write."""
        return self._step(self._as_read, shared=self.me.wrote is None and self.me.read == UNREAD)

    def _scene_now(self) -> Scene:
        return self.around.scene if self.scene is None else self.scene

    def _as_read(self) -> Terms:
        if self.me.read == UNREAD:
            readable = self.durable_at_once or self.me.related
            self._now(read=self._scene_now().terms if readable else Terms())
        return self.me.wrote.over(self.me.read) if self.me.wrote and not self.second else self.me.read

    def fresh_terms(self) -> Terms:
        def does() -> Terms:
            self._must_lead()
            if self.second:
                raise LedgerClosed('another process of this hook has written')
            if self.durable_at_once:
                self._now(read=UNREAD)
            return self._as_read()

        return self._step(does, shared=True)

    def write(self, record: Record, superseded: Tuple[Record, ...], unmark: bool) -> None:
        def checked() -> None:
            self._must_lead()
            if record.term > self.kind.terms:
                raise Beyond
            ledger = record.ledger and self._kept_small(self._in_another_order(record.ledger))
            wrote = Wrote((record._replace(ledger=ledger),), superseded, unmark)
            if not self.durable_at_once:
                before = self.me.wrote or Wrote()
                records = wrote.over(Terms(before.records)).records
                removed = by_key(*before.removed, *superseded)
                removed = tuple(removed[key] for key in sorted(removed))
                self._now(wrote=Wrote(records, removed, before.unmark or unmark))
            elif self.kind.late:
                self._now(flying=wrote)
            else:
                self._lands(wrote)

        self._step(checked, shared=True)
        if self.durable_at_once and self.kind.late:
            self._step(lambda: self._lands(self.me.flying), shared=True)

    def _lands(self, wrote: Wrote) -> None:
        before = self._scene_now()
        self.scene = with_terms(before, current(self.kind, wrote.over(before.terms)))
        self.landed.append((before, wrote))
        self._now(read=UNREAD, flying=None)

    def _must_lead(self) -> None:
        if not self.durable_at_once and not self.me.related:
            raise LedgerClosed('the peer relation does not exist yet')
        if self.me.minion or not self.around.leads:
            raise LedgerClosed('another leads')

    def _in_another_order(self, decided: Ledger) -> Ledger:
        """In a symmetric world, requests seen together may have been made in any order of time."""
        if not self.kind.symmetric:
            return decided
        terms = self._scene_now().terms if self.durable_at_once else self._as_read()
        ledgers = [record.ledger for record in terms.records if record.ledger]
        known = {ticket[1:4] for ledger in ledgers for ticket in ledger.tickets}
        added = [ticket for ticket in decided.tickets if ticket[1:4] not in known]
        orders = list(permutations(added))
        place = len(decided.tickets) - len(added)
        chosen = orders[self._pick(len(orders))]
        tokens = [ticket.token for ticket in added]
        renumbered = tuple(ticket._replace(token=token) for ticket, token in zip(chosen, tokens))
        if added and decided.tickets[place:] != tuple(added):
            return decided  # a broken rule's ledger, which has them elsewhere
        return decided._replace(tickets=decided.tickets[:place] + renumbered)

    def _kept_small(self, ledger: Ledger) -> Ledger:
        """Return the ledger with every token 1, except where tokens are what is looked at.

        Nobody decides by a token, so a world in which leaders gave more tickets is not another one.
        But where a policy decides, a ticket names others by their tokens: then these are 1, 2, 3 …
        """
        if self.kind.policy.grow:
            return _numbered_anew(ledger)
        if self.kind.words and ledger.token > self.kind.tokens:
            raise Beyond
        if not self.kind.tokens:
            return ledger._replace(
                token=min(ledger.token, 1),
                tickets=tuple(ticket._replace(token=1) for ticket in ledger.tickets),
            )
        if ledger.token > self.kind.tokens:
            raise Beyond
        return ledger


class NoWakeUp:
    """No unit of a small world wakes itself: update-status comes at any time."""

    def withdraw(self, woken: bool = False) -> None:
        pass

    def arrange(self, seconds: Optional[int]) -> None:
        pass


class SmallWord:
    """The file that says in which turn a hook counts as failed until Juju has what it said at its end."""

    def __init__(self, port: SmallPort) -> None:
        self._port = port

    def has_begun(self) -> bool:
        return self._port._step(lambda: (self._port.me.turn is not None,))[0]

    def withdraw(self) -> None:
        self._port._step(lambda: self._port._now(turn=None))

    def begins(self, token: int, relation: str) -> None:
        self._port._step(lambda: self._port._now(turn=(token, None)))

    def ends(self, said: Optional[Said]) -> None:
        def does() -> None:
            if self._port.me.turn:
                self._port._now(turn=(self._port.me.turn[0], said))

        self._port._step(does)


class SmallFile:
    """The wake file of one unit, on its disk."""

    def __init__(self, port: SmallPort) -> None:
        self._port = port

    @property
    def said(self) -> Optional[Said]:
        """What this hook has published."""
        return self._port._step(lambda: (self._port.me.out,))[0]

    def withdraw(self) -> Optional[FrozenSet[str]]:
        def does() -> Tuple[Optional[FrozenSet[str]]]:
            there = self._port.me.wake
            if there is None:
                return (None,)
            self.put(None, there.unheard)
            return (there.unheard,)

        return self._port._step(does)[0] if self._port.kind.wakes else frozenset()

    def write(self, needed: Optional[Wake], unheard: FrozenSet[str]) -> None:
        if self._port.kind.wakes:
            self._port._step(lambda: self.put(needed, unheard))

    def put(self, needed: Optional[Wake], unheard: FrozenSet[str]) -> None:
        event, told = (self._port.me.why, self._port.me.out) if needed else (('', -1), None)
        rests = bool(needed and needed.store)
        self._port._now(wake=Asleep(needed, event, unheard, told, rests))


def left(asleep: Asleep, unheard: FrozenSet[str]) -> Asleep:
    """Return the wake file after a hook has left, which brought news of these units."""
    return Asleep(asleep.needed, ('', -1), asleep.unheard | unheard, rests=asleep.rests)


def runs(me: U, unit: int, why: str, peer: int, terms: Terms) -> bool:
    """Return whether this hook of a peer's news, or of the leader's data, runs: what the script decides."""
    if me.wake is None or me.wake.needed is None or me.wake.event == (why, peer):
        return True
    if me.wake.told is not None and me.wake.told != me.bag:
        return True
    units, tickets, data = me.wake.needed[:3]
    if why == 'news':
        return name(peer) in units
    ledgers = [record.ledger.tickets for record in terms.records if record.ledger]
    orders = [order for record in terms.records if record.ledger for order in record.ledger.orders]
    told = any(order.kind != ROLL for order in orders)
    if data or told or len(terms.records) > len(ledgers) or len(ledgers) > 1:
        return True
    there = ledgers[0] if ledgers else ()
    starts = range(len(there) - len(tickets) + 1)
    if tickets and any(there[start : start + len(tickets)] == tickets for start in starts):
        return False
    return any(ticket.unit == name(unit) for ticket in there)


def _numbered_anew(ledger: Ledger) -> Ledger:
    places = {ticket.token: place for place, ticket in enumerate(ledger.tickets, 1)}
    tickets = tuple(
        ticket._replace(
            token=places[ticket.token],
            after=ticket.after and tuple(places[token] for token in ticket.after if token in places),
        )
        for ticket in ledger.tickets
    )
    return ledger._replace(token=len(tickets), tickets=tickets)


# How a hook ends, and whom that wakes


def hook_over(kind: Kind, me: U, retry: bool) -> U:
    """Return the unit with its hook over and everything buffered gone."""
    retry = retry and not kind.anytime
    (why, peer), news, leavers = me.why, me.news, me.leavers
    if retry and why == 'departed':
        leavers |= {peer}
    elif retry and why == 'news':
        news |= {peer}
    elif retry and why == 'shared':
        me = me._replace(shared=True)
    # What this unit has not joined is read afresh in each hook (R6).
    seen = tuple(UNREAD if peer in me.strangers else bag for peer, bag in enumerate(me.seen))
    return me._replace(
        hook=None, why=('', -1), used=(), noted=(), process=UNREAD, out=None, wrote=None, second=False,
        read=UNREAD, minion=False, mute=UNREAD, stopped=(), store=_of_an_old_hook(me.store),
        news=news, leavers=leavers, seen=seen, due=me.due or (retry and why not in ('leaving', 'shared')),
    )  # fmt: skip


def _of_an_old_hook(store: Optional[UnitState]) -> Optional[UnitState]:
    """Return the store as the next hook finds it: every id of a hook that is over is as good as another."""
    if not (store and store.context):
        return store
    return store._replace(context=(ANEW if store.context.startswith(ANEW) else '') + 'before')


def unheard(kind: Kind, me: U) -> bool:
    """Whether peers hear nothing more of this unit: on Juju 3, once it is dying (R20)."""
    return not me.related or (me.life == DYING and kind.juju == 3)


def affected(kind: Kind, me: U, cause: int, effect: int) -> U:
    """Return another unit after a step of the unit `cause`."""
    if me.life != THERE:
        return me
    if effect & MOVED:
        return hook_over(kind, me, retry=True)._replace(due=True, flying=None)
    if kind.anytime:
        return me
    if effect & WROTE and (me.related or kind.juju == 3):
        me = me._replace(shared=True)
    if effect & TOLD and me.related:
        me = me._replace(news=me.news | {cause})
    if effect & LEFT and me.related:
        leavers = me.leavers if cause in me.strangers else me.leavers | {cause}
        me = me._replace(news=me.news - {cause}, leavers=leavers)
    if effect & JOINED and me.related:
        me = me._replace(news=me.news | {cause}, strangers=me.strangers | {cause})
    return me


def elected(kind: Kind, me: U) -> U:
    return me._replace(due=True) if me.life == THERE and not kind.anytime else me


def electable(kind: Kind, me: U) -> bool:
    """Whether leadership may come to this unit now.

    Except where `aba`, not where a hook of this unit goes on as if another had not led meanwhile: it
    has not asked is-leader since, or on Juju 4 has written before.
    """
    if me.life in (ABSENT, GONE, CUT):
        return False
    leading = bool(me.stopped) or (me.hook is not None and me.hook.leading)
    return kind.aba or not (me.wrote is not None or (leading and not me.minion))
