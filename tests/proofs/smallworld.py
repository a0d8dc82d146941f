"""What one unit of a small world may do next, over the layer's own protocol code.

What is real here: `session.py`, `view.py`, `rules.py`, `policy.py`, and the value
that a unit remembers. What is modelled: Juju, as jujusim/README.md tells it,
cut down to what can matter for a lock:

    a hook begins, with or without one peer's news · asks · works · keeps ·
    releases · succeeds · fails · is flushed and run again · is not flushed ·
    leadership moves between any two steps · a unit forgets its local store ·
    a unit is removed, leaves and is gone, or is lost · a unit is added, and may
    lead before it has joined anyone · update-status

A peer's databag is read at the first read after that peer's last news, and kept
(R6, R7). In a `fine` world another unit may come before every step of a hook
that reads or writes what others can see: the protocol function is stopped there
and later run again with the same answers. What only the unit itself can see
(its local store, its own unflushed databag) needs no such stop: what others do
meanwhile changes nothing of it, and a crash after it is a crash at the next stop.

What one unit may do depends on its own standing, on whether it leads, on the
ledger and on what others see of each peer, and on nothing else; search.py works
that out once for each such case. Which promises are looked at here: `broken`.
"""

from itertools import permutations
from typing import Any, Callable, Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.context import HookContext, LedgerClosed, Phase
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import Claim, Ledger, UnitState
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.view import Snapshot

Bag = Tuple[Tuple[str, Claim], ...]

Picks = Tuple[Tuple[int, int], ...]
"""Which was picked, among how many, at each choice of a run."""

UNREAD: Any = ('unread',)

ABSENT, THERE, DYING, GONE = 'absent', 'there', 'dying', 'gone'

WROTE, TOLD, LEFT, JOINED = 1, 2, 4, 8
"""What a step does to the other units: the ledger changed, the databag did, departed or joined is due."""


NOT_CALM, CALM, LOOK = 0, 1, 2


class _Dead:
    """Stands for what the rest of a hook cannot depend on; the search fails where it does."""

    def _touched(self, *_: Any) -> Any:
        raise AssertionError('the protocol looked at what a hook that does not lead was thought done with')

    __bool__ = __eq__ = __iter__ = _touched  # type: ignore[assignment]
    __getattr__ = _touched

    def __hash__(self) -> int:
        return 17


DEAD: Any = _Dead()


class Kind(NamedTuple):
    """What kind of world it is, and what may happen in it."""

    units: int = 2
    asks: int = 1  # of each unit
    juju: int = 3
    policy: Policy = Policy()
    locks: Tuple[str, ...] = ('a',)
    exclusive: bool = False  # who works under one lock excludes others from every lock
    fine: bool = False
    forgets: bool = False
    aba: bool = False  # leadership may leave and return within a hook
    releases: bool = False
    keeps: bool = False  # or asks again
    removals: int = 0  # how many units may be removed, or lost
    newcomer: bool = False  # the last unit is added on the way
    subordinate: bool = False  # goal-state is empty
    tokens: int = 0  # tokens are kept, up to this one; 0: every token is 0
    # Hooks of all kinds may come at any time, and of a peer's databag any version may be read that
    # there ever was. More may happen than in Juju, in fewer worlds; nothing is said of calm weather.
    anytime: bool = False
    symmetric: bool = False  # units are interchangeable: see search.py


class Face(NamedTuple):
    """What others see of a unit."""

    bag: Bag = ()
    past: Tuple[Bag, ...] = ()
    life: str = THERE
    related: bool = True


class U(NamedTuple):
    """One unit's standing: what outlives a hook, then what a hook under way has so far."""

    store: Optional[UnitState] = None
    bag: Bag = ()
    past: Tuple[Bag, ...] = ()  # what it published before, where an old reading may be any
    life: str = THERE
    related: bool = True  # it has entered the peer relation's scope
    strangers: FrozenSet[int] = frozenset()  # peers that are not in its relation-list
    seen: Tuple[Optional[Bag], ...] = ()  # of each peer, as this agent has it cached; None not read
    news: FrozenSet[int] = frozenset()  # peers whose relation-joined or -changed is due
    leavers: FrozenSet[int] = frozenset()  # peers whose relation-departed is due
    due: bool = True  # any other hook is due: leadership, ledger, a failed hook's retry
    left: bool = False  # a hook of its own leaving has succeeded
    asks: int = 0  # how often this unit will still ask
    works: Tuple[Tuple[str, int], ...] = ()  # (queue, ask) worked for, and no hook has told the end of it
    hook: Optional[Snapshot] = None
    why: Tuple[str, int] = ('', -1)  # 'news' or 'departed', and of which peer this hook is
    out: Optional[Bag] = None  # published, not yet committed
    out_ledger: Any = UNREAD  # written on Juju 4, not yet committed
    read: Any = UNREAD  # the ledger as this hook has it cached
    minion: bool = False  # is-leader was False once in this hook
    stopped: Tuple[Any, ...] = ()  # a protocol function half way: its name, arguments, answers so far

    @property
    def face(self) -> Face:
        return Face(self.bag, self.past, self.life, self.related)


class Scene(NamedTuple):
    """The ledger, and of the turns used so far what the promise about tokens needs."""

    ledger: Optional[Ledger] = None
    used: Tuple[rules.Ticket, ...] = ()


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


class Option(NamedTuple):
    """Something one unit may do next, and what comes of it.

    `scene`: the one after it, None where it stays. `effect`: what others are
    woken by. `calm`: this is what happens where nothing goes wrong; or it is
    an update-status, that calm weather may need. `broken`: the promise that this step breaks, if any.
    """

    said: str
    after: U
    scene: Optional[Scene] = None
    effect: int = 0
    calm: int = NOT_CALM
    broken: str = ''


class Unheard(Session):
    """A session whose log nobody reads."""

    def __init__(self, port: Any, start: Snapshot, policy: Policy) -> None:
        super().__init__(port, start, policy, lambda sentence: None)

    def explain(self, lock: str) -> str:
        return ''


class Stopped(Exception):
    """Raised inside a protocol function where another unit may come between."""


class Beyond(Exception):
    """Raised where a ledger would need a token that this world does not go to."""


def name(unit: int) -> str:
    return 'app/{}'.format(unit)


def number(unit: str) -> int:
    return int(unit.split('/')[1])


def _put(items: Tuple[Any, ...], place: int, item: Any) -> Tuple[Any, ...]:
    return items[:place] + (item,) + items[place + 1 :]


def _claim(bag: Bag, queue: str) -> Claim:
    return dict(bag).get(queue, rules.NO_CLAIM)


class SmallPort:
    """A port on one unit of a small world. Answers given once are given again when a function is rerun."""

    def __init__(
        self, kind: Kind, unit: int, me: U, around: Around, answers: Tuple[Any, ...], picks: Picks
    ) -> None:
        self.kind, self.unit, self.me, self.around, self._picks = kind, unit, me, around, picks
        self.written: Any = UNREAD
        self.broken, self.picked = '', []  # type: str, List[Tuple[int, int]]
        self.durable_at_once = kind.juju == 3
        self._given, self.answers = list(answers), list(answers)
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
        return self._step(lambda: self.me.store)

    def save(self, state: UnitState) -> UnitState:
        self._step(lambda: self._now(store=state))
        return state

    def published(self) -> Optional[Dict[str, Claim]]:
        if not self.me.related:
            return None
        return dict(self._step(lambda: self.me.bag if self.me.out is None else self.me.out))

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        return ()

    def awaited_units(self) -> FrozenSet[str]:
        return frozenset()

    def awaiting(self, units: FrozenSet[str]) -> str:
        return ''

    def now(self) -> str:
        return ''

    def when_handlers_succeeded(self, tell: Callable[[], None]) -> None:
        """The search itself says when a hook ends."""

    def publish(self, own: Any) -> None:
        if self.me.related:
            self._step(lambda: self._now(out=tuple(sorted(own.items()))))

    # The others

    def _peers(self) -> Iterator[int]:
        return (peer for peer in range(self.kind.units) if peer != self.unit)

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        peer = number(unit)

        def any_version() -> Bag:
            face = self.around.face(peer)
            if not face.related:
                return ()
            return (face.bag, *face.past)[self._pick(1 + len(face.past))]

        def does() -> Bag:
            if self.me.seen[peer] is None:
                face = self.around.face(peer)
                self._now(seen=_put(self.me.seen, peer, face.bag if face.related else ()))
            return self.me.seen[peer] or ()

        if not self.me.related:
            return {}
        if self.kind.anytime:
            return dict(self._step(any_version, shared=True))
        return dict(self._step(does, shared=self.me.seen[peer] is None))

    def everybody(self) -> FrozenSet[str]:
        if not self.me.related:
            return frozenset()
        if self.kind.subordinate:
            return self._step(lambda: frozenset(map(name, set(self._peers()) - self.me.strangers)))
        return self._step(lambda: self._of_life(THERE), shared=self._changes)

    def living(self) -> Optional[FrozenSet[str]]:
        if self.kind.subordinate:
            return None
        return self._step(lambda: self._of_life(THERE, DYING) | {name(self.unit)}, shared=self._changes)

    @property
    def _changes(self) -> bool:
        return bool(self.kind.removals or self.kind.newcomer)

    def _of_life(self, *lives: str) -> FrozenSet[str]:
        if not self._changes:
            return frozenset(map(name, self._peers()))
        return frozenset(name(peer) for peer in self._peers() if self.around.life(peer) in lives)

    def unit_count(self) -> int:
        return len(self.living() or self.everybody() | {name(self.unit)})

    # The ledger

    def ledger(self) -> Optional[Ledger]:
        cached = self.me.out_ledger != UNREAD or self.me.read != UNREAD
        return self._step(self._as_read, shared=not cached)

    def _ledger_now(self) -> Optional[Ledger]:
        return self.around.scene.ledger if self.written == UNREAD else self.written

    def _as_read(self) -> Optional[Ledger]:
        """First read of the hook; on Juju 4 a leader then reads its own uncommitted write."""
        if self.me.out_ledger != UNREAD:
            return self.me.out_ledger
        if self.me.read == UNREAD:
            readable = self.durable_at_once or self.me.related
            self._now(read=self._ledger_now() if readable else None)
        return self.me.read

    def fresh_ledger(self) -> Optional[Ledger]:
        def does() -> Optional[Ledger]:
            self._must_lead()
            if self.durable_at_once:
                self._now(read=UNREAD)
            return self._as_read()

        return self._step(does, shared=True)

    def write_ledger(self, decided: Ledger) -> None:
        def does() -> None:
            self._must_lead()
            now = self._ledger_now() if self.durable_at_once else self._as_read()
            ledger = self._kept_small(self._in_another_order(decided, now))
            if self.durable_at_once:
                self.broken = self.broken or lost_ticket(self.around, now, ledger)
                self.written = ledger
                self._now(read=UNREAD)
            else:
                self._now(out_ledger=ledger)

        self._step(does, shared=True)

    def _must_lead(self) -> None:
        if not self.durable_at_once and not self.me.related:
            raise LedgerClosed('the peer relation does not exist yet')
        if self.me.minion or not self.around.leads:
            raise LedgerClosed('another leads')

    def _in_another_order(self, decided: Ledger, now: Optional[Ledger]) -> Ledger:
        """In a symmetric world, requests seen together may have been made in any order of time."""
        if not self.kind.symmetric:
            return decided
        known = {ticket[1:4] for ticket in now.tickets} if now else set()
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
        """Return the ledger with every token 0, except where tokens are what is looked at.

        Nobody decides by a token, so a world in which leaders gave more tickets is not another one.
        But where a policy decides, a ticket names others by their tokens: then these are 1, 2, 3 …
        """
        if self.kind.policy.grow:
            return _numbered_anew(ledger)
        if not self.kind.tokens:
            return Ledger(0, tuple(ticket._replace(token=0) for ticket in ledger.tickets))
        if ledger.token > self.kind.tokens:
            raise Beyond
        return ledger


def _numbered_anew(ledger: Ledger) -> Ledger:
    places = {ticket.token: place for place, ticket in enumerate(ledger.tickets, 1)}
    tickets = tuple(
        ticket._replace(
            token=places[ticket.token],
            after=ticket.after and tuple(places[token] for token in ticket.after if token in places),
        )
        for ticket in ledger.tickets
    )
    return Ledger(len(tickets), tickets)


# Promises about one unit's step


def lost_ticket(around: Around, now: Optional[Ledger], ledger: Optional[Ledger]) -> str:
    """Return who lost a ticket without having said so in a hook that succeeded, '' if nobody did."""
    kept = {ticket[1:4] for ticket in ledger.tickets} if ledger else set()
    for ticket in now.tickets if now else ():
        if ticket[1:4] not in kept:
            face = around.face(number(ticket.unit))
            if _claim(face.bag, ticket.queue).done < ticket.ask and face.life != GONE:
                return '{} lost ticket {} and has released nothing'.format(ticket.unit, ticket.ask)
    return ''


def has_ticket(unit: int, scene: Scene) -> bool:
    return any(ticket.unit == name(unit) for ticket in (scene.ledger.tickets if scene.ledger else ()))


def has_no_ticket(unit: int, me: U, scene: Scene) -> str:
    """Return for which turn a unit works without an unfinished ticket in the ledger, '' for none."""
    for queue, ask in me.works:
        tickets = scene.ledger.tickets if scene.ledger else ()
        seated = any(ticket[1:4] == (queue, name(unit), ask) for ticket in tickets)
        if not seated or _claim(me.bag, queue).done >= ask:
            return '{} works without an unfinished ticket'.format(name(unit))
    return ''


def used(scene: Scene, turn: rules.Ticket) -> Tuple[Scene, str]:
    """Return the scene after a turn was used, and what its token breaks.

    With one slot tokens rise in the order of turns. With more, turns overlap,
    and only that no two have the same token is left of that.
    """
    if turn in scene.used:
        return scene, ''
    same = [past for past in scene.used if past.token == turn.token]
    later = [past for past in scene.used if turn.slots == 1 and past.queue == turn.queue]
    broken = ''
    if same:
        broken = 'token {} was used by {} and by {}'.format(turn.token, same[0].unit, turn.unit)
    elif any(past.token > turn.token for past in later):
        broken = '{} has token {} after token {}'.format(turn.unit, turn.token, later[0].token)
    rest = tuple(past for past in scene.used if past not in later)
    return scene._replace(used=tuple(sorted(rest + (turn,)))), broken


# What one unit may do


def _call(
    kind: Kind, unit: int, me: U, around: Around, task: Tuple[Any, ...], answers: Tuple[Any, ...] = ()
) -> Iterator[Option]:
    """Run a protocol function, to its end or to where another unit may come between."""
    picks: Optional[Picks] = ()
    while picks is not None:
        port = SmallPort(kind, unit, me, around, answers, picks)
        try:
            hook = _TASKS[task[0]](port, kind, me, unit, *task[1:])
            after = _small(port.me, hook)
        except Stopped:
            after = port.me._replace(stopped=(task, tuple(port.answers)))
        except Beyond:
            return
        scene, effect = None, 0
        if port.written != UNREAD:
            scene, effect = around.scene._replace(ledger=port.written), WROTE
        after, scene, broken = _working(kind, after, around, scene)
        yield Option('', after, scene, effect, broken=port.broken or broken)
        picks = _next(port.picked)


def _next(picked: List[Tuple[int, int]]) -> Optional[Picks]:
    """Return what to pick in the next run, None if every choice was made."""
    while picked and picked[-1][0] + 1 == picked[-1][1]:
        picked.pop()
    if not picked:
        return None
    chosen, among = picked.pop()
    return (*picked, (chosen + 1, among))


def _small(me: U, hook: Snapshot) -> U:
    """Return the unit in its hook, without what can matter no more.

    A hook that does not lead reads no ledger again; what was given is only told in the log.
    """
    hook = hook._replace(given=(), dropped=(), finished=())
    if hook.leading:
        return me._replace(hook=hook, stopped=())
    context = HookContext(unit=hook.context.unit, news=DEAD, leaving=hook.context.leaving)
    hook = hook._replace(ledger=DEAD, ledger_read=DEAD, context=context)
    return me._replace(hook=hook, stopped=(), read=DEAD, minion=True)


def _working(kind: Kind, me: U, around: Around, scene: Optional[Scene]) -> Tuple[U, Optional[Scene], str]:
    """Return the unit at work for each turn that it may use in this hook.

    It works as soon as it may. To work later, or not at all, changes nothing
    for anybody else, and can break no promise that this does not break.
    """
    broken = ''
    for turn in me.hook.turns if me.hook and me.hook.phase is Phase.HANDLERS else ():
        if (turn.queue, turn.ask) not in me.works:
            me = me._replace(works=tuple(sorted(me.works + ((turn.queue, turn.ask),))))
            if kind.tokens:
                scene, broken = used(scene or around.scene, turn)
    return me, scene, broken


def _quiet(me: U) -> bool:
    """Whether nothing that this hook has read or done so far can be told from outside."""
    hook = me.hook
    if hook is None or me.stopped or hook.leading or hook.turns:
        return False
    return me.out in (None, me.bag) and me.out_ledger == UNREAD


def _begin(port: SmallPort, kind: Kind, me: U, unit: int, why: str, about: int) -> Snapshot:
    context = HookContext(
        unit=name(unit),
        news=name(about) if why == 'news' else '',
        departed=name(about) if why == 'departed' else '',
        leaving=why == 'leaving',
        full_check=why == 'look',
    )
    session = Unheard(port, Snapshot(context), kind.policy)
    session.look()
    session.begin()
    return session.snapshot()


def _resumed(kind: Kind, me: U, port: Any = None) -> Session:
    """Return the session of a hook under way."""
    assert me.hook is not None
    return Unheard(port, me.hook, kind.policy)


def _ask(port: SmallPort, kind: Kind, me: U, unit: int, lock: str) -> Snapshot:
    session = _resumed(kind, me, port)
    session.request(lock)
    return session.snapshot()


def _release(port: SmallPort, kind: Kind, me: U, unit: int, lock: str) -> Snapshot:
    session = _resumed(kind, me, port)
    session.release(lock)
    return session.snapshot()


def _end(port: SmallPort, kind: Kind, me: U, unit: int, keep: bool, again: bool) -> Snapshot:
    session = _resumed(kind, me, port)
    for lock in sorted(session.granted):
        if keep:
            session.keep(lock)
        if again:
            session.request_again(lock)
    session.end()
    return session.snapshot()


_TASKS: Dict[str, Callable[..., Snapshot]] = {
    'begin': _begin,
    'ask': _ask,
    'release': _release,
    'end': _end,
}


def _over(kind: Kind, me: U, retry: bool) -> U:
    """Return the unit with its hook over and everything buffered gone."""
    retry = retry and not kind.anytime
    (why, peer), news, leavers = me.why, me.news, me.leavers
    if retry and why == 'departed':
        leavers |= {peer}
    elif retry and why == 'news':
        news |= {peer}
    # What this unit has not joined is read afresh in each hook (R6).
    seen = tuple(None if peer in me.strangers else bag for peer, bag in enumerate(me.seen))
    return me._replace(
        hook=None, why=('', -1), out=None, out_ledger=UNREAD, read=UNREAD, minion=False, stopped=(),
        news=news, leavers=leavers, seen=seen, due=me.due or (retry and why != 'leaving'),
    )  # fmt: skip


def _flushed(kind: Kind, me: U, around: Around, said: str, again: bool = False) -> Option:
    """Commit one hook: all of it, or where it wrote the ledger and leads no more, nothing (R8, R10)."""
    scene, effect, broken = None, 0, ''
    if me.out_ledger != UNREAD and not around.leads:
        return Option(said, _over(kind, me, retry=True), calm=CALM)
    if me.out_ledger != UNREAD and me.out_ledger != around.scene.ledger:
        broken = lost_ticket(around, around.scene.ledger, me.out_ledger)
        scene, effect = around.scene._replace(ledger=me.out_ledger), WROTE
    bag = me.bag if me.out is None else me.out
    if bag != me.bag and not _unheard(kind, me):
        effect |= TOLD
    if kind.anytime and bag != me.bag:
        me = me._replace(past=(me.bag, *me.past))
    left = me.left or (me.hook is not None and me.hook.context.leaving and not again)
    works = tuple((queue, ask) for queue, ask in me.works if _claim(bag, queue).done < ask)
    done = _over(kind, me, retry=again)._replace(bag=bag, works=works, left=left)
    # R24: the application's databag wakes its writer too.
    if effect & WROTE and me.life == THERE and not kind.anytime:
        done = done._replace(due=True)
    return Option(said, done, scene, effect, calm=NOT_CALM if again else CALM, broken=broken)


def _unheard(kind: Kind, me: U) -> bool:
    """Whether peers hear nothing more of this unit: on Juju 3, once it is dying (R20)."""
    return not me.related or (me.life == DYING and kind.juju == 3)


def affected(kind: Kind, me: U, cause: int, effect: int) -> U:
    """Return another unit after a step of the unit `cause`."""
    if me.life != THERE:
        return me
    if kind.anytime:
        return me
    if effect & WROTE and (me.related or kind.juju == 3):
        me = me._replace(due=True)
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

    Not where a hook of this unit goes on as if another had not led meanwhile:
    it has not asked is-leader since, or on Juju 4 has written the ledger before.
    Should leadership return to it within that hook, it could write over its
    successor's ledger: the known limit, searched apart (`aba`).
    """
    if me.life in (ABSENT, GONE):
        return False
    leading = bool(me.stopped) or (me.hook is not None and me.hook.leading)
    return kind.aba or not (me.out_ledger != UNREAD or (leading and not me.minion))


def waits(unit: int, me: U) -> str:
    """Return what a unit waits for, '' for nothing."""
    for _, claim in me.store.own if me.store and me.life == THERE else ():
        if claim.outstanding:
            return '{} waits for ever: {}'.format(name(unit), claim)
    return ''


def options(kind: Kind, unit: int, me: U, around: Around) -> Iterator[Option]:
    """Yield everything that one unit may do next.

    A step that leaves the unit in a quiet hook is told together with the next
    one of that unit: that next step is its own affair, so whatever others do
    in between they may as well do after it.
    """
    for option in _options(kind, unit, me, around):
        if _quiet(option.after):
            for more in _options(kind, unit, option.after, around, quiet=True):
                yield _told(me, _both(option, more))
        else:
            yield _told(me, option)


def _both(first: Option, then: Option) -> Option:
    """Return two steps of one unit as one."""
    return then._replace(
        said='{}, {}'.format(first.said, then.said),
        scene=first.scene if then.scene is None else then.scene,
        effect=first.effect | then.effect,
        calm=first.calm if then.calm else NOT_CALM,
        broken=first.broken or then.broken,
    )


def _told(me: U, option: Option) -> Option:
    """Return the option, saying so where the unit begins to work."""
    works = set(option.after.works) - set(me.works)
    return option._replace(said=option.said + ': it works') if works else option


def _options(kind: Kind, unit: int, me: U, around: Around, quiet: bool = False) -> Iterator[Option]:
    who = name(unit)
    if me.life == GONE:
        return
    if me.life == ABSENT:
        yield Option('add ' + who, me._replace(life=THERE))
        return
    if kind.removals and not quiet:
        yield from _removals(kind, unit, me, around, who)
    if me.stopped:
        for option in _call(kind, unit, me, around, *me.stopped):
            yield option._replace(said='go on ' + who, calm=CALM)
        yield Option('crash ' + who, _over(kind, me, retry=True))
    elif me.hook is not None and me.hook.phase is not Phase.HANDLERS:
        yield from _endings(kind, me, around, who)
    elif me.hook is not None:
        yield from _handlers(kind, unit, me, around, me.hook)
    elif me.life == DYING:
        yield from _last_hooks(kind, unit, me, around, who)
    else:
        yield from _beginnings(kind, unit, me, around, who)


def _removals(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    peers = (peer for peer in range(kind.units) if peer != unit)
    removed = sum(around.life(peer) in (DYING, GONE) for peer in peers)
    told = LEFT if kind.juju == 3 and me.related else 0  # R20; Juju 4 never tells the peers
    if me.life == THERE and removed < kind.removals:
        yield Option('remove ' + who, me._replace(life=DYING), effect=told)
        yield Option('lose {}, removed by force'.format(who), _gone(me), effect=told)
    if me.life == DYING:
        yield Option('lose {}, removed by force'.format(who), _gone(me))


def _gone(me: U) -> U:
    return U(bag=me.bag, past=me.past, related=me.related, life=GONE, seen=(None,) * len(me.seen), due=False)


def _last_hooks(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    """A dying unit retries a hook that failed, then runs departed in its own name, stop and remove (R21)."""
    calm = me._replace(due=False)
    if me.due or (kind.anytime and not me.left):
        yield from _begun(kind, unit, calm, around, 'begin ' + who, '', -1, CALM)
    leaving = calm._replace(why=('leaving', -1))
    said = 'begin stop of ' + who
    yield from _begun(kind, unit, leaving, around, said, 'leaving', -1, NOT_CALM if me.left else CALM)
    if me.left and not me.due:
        yield Option(who + ' is gone', _gone(me), calm=CALM)


def _begun(
    kind: Kind, unit: int, me: U, around: Around, said: str, why: str, about: int, calm: int
) -> Iterator[Option]:
    for option in _call(kind, unit, me, around, ('begin', why, about)):
        yield option._replace(said=said, calm=calm)


def _beginnings(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    if me.due or not _idle(me, around):
        yield from _begun(kind, unit, me._replace(due=False), around, 'begin ' + who, '', -1, int(me.due))
    if kind.removals and not me.due and around.leads:
        # Where a unit does not lead, update-status is a hook like any other.
        yield from _begun(kind, unit, me, around, 'begin update-status of ' + who, 'look', -1, LOOK)
    leavers, news = (me.leavers, me.news) if not kind.anytime else _units_to_hear(kind, unit, me, around)
    for peer in sorted(leavers):
        said = 'begin {}, {} departed'.format(who, name(peer))
        departed = _reread(kind, me, peer, 'departed')
        yield from _begun(kind, unit, departed, around, said, 'departed', peer, int(not me.due))
    for peer in sorted(news):
        said = 'begin {} with news of {}'.format(who, name(peer))
        heard = _reread(kind, me, peer, 'news')
        yield from _begun(kind, unit, heard, around, said, 'news', peer, int(not me.due))
    if not me.related and me.store is not None and not me.due:
        yield _entering(kind, unit, me, around)
    if kind.forgets and me.store is not None:
        # It is read again from Juju in the next hook; nothing else brings that hook.
        yield Option('forget ' + who, me._replace(store=None, due=not kind.anytime))


def _reread(kind: Kind, me: U, peer: int, why: str) -> U:
    """Return the unit as its relation-joined, -changed or -departed of that peer begins."""
    if kind.anytime:
        return me
    here = frozenset({peer})
    strangers = me.strangers | here if why == 'departed' else me.strangers - here
    seen = _put(me.seen, peer, None)
    leavers = me.leavers - here if why == 'departed' else me.leavers
    return me._replace(leavers=leavers, news=me.news - here, seen=seen, strangers=strangers, why=(why, peer))


def _units_to_hear(kind: Kind, unit: int, me: U, around: Around) -> Tuple[List[int], List[int]]:
    """Return the peers whose departure, and those whose news, may come where any hook may."""
    peers = [peer for peer in range(kind.units) if peer != unit and me.related]
    left = [peer for peer in peers if kind.removals and around.life(peer) in (DYING, GONE)]
    there = [peer for peer in peers if not kind.newcomer or around.face(peer).related]
    return left if kind.juju == 3 else [], there


def _entering(kind: Kind, unit: int, me: U, around: Around) -> Option:
    """After install a new unit enters the scope of the peer relation, and joins everybody there (R19)."""
    peers = frozenset(peer for peer in range(kind.units) if peer != unit)
    heard = (THERE,) if kind.juju == 3 else (THERE, DYING)
    news = frozenset(peer for peer in peers if around.face(peer).related and around.life(peer) in heard)
    after = me._replace(related=True)
    if not kind.anytime:
        after = after._replace(strangers=peers, news=news, due=True)
    return Option(name(unit) + ' enters the peer relation', after, effect=JOINED, calm=CALM)


def _idle(me: U, around: Around) -> bool:
    """Whether a hook that nothing brings could change nothing at all."""
    if me.asks or me.store is None or me.store.led or around.leads:
        return False
    return me.store.own == me.store.committed and not any(claim.outstanding for _, claim in me.store.own)


def _handlers(kind: Kind, unit: int, me: U, around: Around, hook: Snapshot) -> Iterator[Option]:
    who = name(unit)

    def call(said: str, *task: Any, **spent: Any) -> Iterable[Option]:
        for option in _call(kind, unit, me._replace(**spent), around, task):
            yield option._replace(said=said)

    session = _resumed(kind, me)
    for lock in kind.locks:
        if me.asks and lock not in session.claim(lock).names and not hook.context.leaving:
            yield from call('ask {} {}'.format(who, lock), 'ask', lock, asks=me.asks - 1)
    held = [lock for lock in kind.locks if session.turn(lock)]
    if kind.releases:
        for lock in kind.locks:
            if lock in session.claim(lock).names:
                verb = 'release' if lock in held else 'withdraw'
                yield from call('{} {} {}'.format(verb, who, lock), 'release', lock)
    yield Option('fail ' + who, _over(kind, me, retry=True))
    if held and kind.keeps:
        # Who keeps, or asks again, counts on its own next hook, update-status at the latest.
        yield from call('end {} and keep'.format(who), 'end', True, False, due=not kind.anytime)
        if me.asks:
            yield from call(
                'end {} and ask again'.format(who), 'end', False, True, asks=me.asks - 1, due=not kind.anytime
            )
    for end in call('end ' + who, 'end', False, False):
        if end.after.stopped or kind.fine:
            yield end._replace(calm=CALM)
        else:
            # Nothing that others see lies between the end of the handlers and the flush.
            yield from _ended(kind, end, around, who)


def _ended(kind: Kind, end: Option, around: Around, who: str) -> Iterator[Option]:
    if end.effect or end.broken:
        yield end._replace(calm=CALM)
    else:
        yield from _endings(kind, end.after, around, who)


def _endings(kind: Kind, me: U, around: Around, who: str) -> Iterator[Option]:
    yield _flushed(kind, me, around, 'succeed ' + who)
    yield _flushed(kind, me, around, 'succeed {}, and run the hook again'.format(who), again=True)
    yield Option('lose the flush of ' + who, _over(kind, me, retry=True))
