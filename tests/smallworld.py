"""Every history of a small world, breadth first, over the layer's own protocol code.

What is real here: `protocol.begin/request/release/end`, `rules`, `policy`, the
local store's value. What is modelled: Juju, as tests/jujusim/README.md tells it,
cut down to what can matter for a lock:

    a hook begins, with or without one peer's news · asks · works · ends ·
    fails · is flushed and run again · is not flushed · leadership moves between
    any two steps · a unit forgets its local store

A peer's databag is read as it was at the last news of that peer (R6). In a
`fine` world another unit may come between the steps of a leader's write: the
protocol function is stopped there and later run again with the same answers.
"""

from collections import deque
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import protocol, rules
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import Claim, Ledger
from charms.layer.coordinator.wire import Local

Bag = Tuple[Tuple[str, Claim], ...]
UNREAD: Any = ('unread',)
LOCKS = ('a', 'b')


class U(NamedTuple):
    """One unit: what outlives a hook, then what a hook under way has so far."""

    store: Optional[Local] = None
    bag: Bag = ()
    seen: Tuple[Optional[Bag], ...] = ()  # of each peer, as this agent has it cached; None never read
    news: FrozenSet[int] = frozenset()  # peers whose relation-changed is due
    due: bool = True  # any other hook is due: leadership, ledger, a failed hook's retry
    asks: int = 0  # how often this unit will still ask
    critical: bool = False  # worked, and no hook has succeeded since
    hook: Optional[protocol.Hook] = None
    about: int = -1  # the peer whose news this hook is
    out: Optional[Bag] = None  # published, not yet committed
    out_ledger: Any = UNREAD  # written on Juju 4, not yet committed
    read: Any = UNREAD  # the ledger as this hook has it cached
    minion: bool = False  # is-leader was False once in this hook
    stopped: Tuple[Any, ...] = ()  # a protocol function half way: its name, arguments, answers so far


class World(NamedTuple):
    leader: int
    ledger: Optional[Ledger]
    units: Tuple[U, ...]


class Rules(NamedTuple):
    """What kind of world it is."""

    juju: int = 3
    policy: Policy = Policy()
    fine: bool = False
    forgets: bool = False
    aba: bool = False  # leadership may leave and return within a hook
    releases: bool = False
    again: bool = False
    locks: Tuple[str, ...] = ('a',)


class Stopped(Exception):
    """Raised inside a protocol function where another unit may come between."""


def name(unit: int) -> str:
    return 'app/{}'.format(unit)


class SmallPort:
    """A port on one unit of a world. Answers given once are given again when a function is rerun."""

    def __init__(self, kind: Rules, world: World, unit: int, answers: Tuple[Any, ...]) -> None:
        self.kind, self.world, self.unit = kind, world, unit
        self.me = world.units[unit]
        self.durable_at_once = kind.juju == 3
        self._given, self.answers = list(answers), list(answers)
        self._may_stop = False

    def _step(self, does: Callable[[], Any], stops: bool = False) -> Any:
        if self._given:
            found = self._given.pop(0)
        else:
            if stops and self.kind.fine and self._may_stop:
                raise Stopped
            self._may_stop = True
            try:
                found = does()
            except protocol.LedgerClosed as closed:
                found = closed
            self.answers.append(found)
        if isinstance(found, Exception):
            raise found
        return found

    def is_leader(self) -> bool:
        def does() -> bool:
            if self.world.leader != self.unit:
                self.me = self.me._replace(minion=True)
            return not self.me.minion

        return self._step(does, stops=True)

    def load(self) -> Optional[Local]:
        return self._step(lambda: self.me.store)

    def save(self, local: Local) -> None:
        def does() -> None:
            self.me = self.me._replace(store=local)

        self._step(does)

    def published(self) -> Dict[str, Claim]:
        return self._step(lambda: dict(self.me.bag if self.me.out is None else self.me.out))

    def publish(self, own: Any) -> None:
        def does() -> None:
            self.me = self.me._replace(out=tuple(sorted(own.items())))

        self._step(does)

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        def does() -> Dict[str, Claim]:
            peer = int(unit.split('/')[1])
            seen = self.me.seen[peer]
            if seen is None:
                seen = self.world.units[peer].bag
                self.me = self.me._replace(seen=_put(self.me.seen, peer, seen))
            return dict(seen)

        return self._step(does)

    def everybody(self) -> FrozenSet[str]:
        return frozenset(name(peer) for peer in range(len(self.world.units)) if peer != self.unit)

    def living(self) -> FrozenSet[str]:
        return frozenset(name(peer) for peer in range(len(self.world.units)))

    def unit_count(self) -> int:
        return len(self.world.units)

    def ledger(self) -> Optional[Ledger]:
        def does() -> Optional[Ledger]:
            if self.me.out_ledger is not UNREAD and self.me.out_ledger != UNREAD:
                return self.me.out_ledger
            if self.me.read == UNREAD:
                self.me = self.me._replace(read=self.world.ledger)
            return self.me.read

        return self._step(does)

    def fresh_ledger(self) -> Optional[Ledger]:
        def does() -> Optional[Ledger]:
            self._must_lead()
            if self.durable_at_once:
                self.me = self.me._replace(read=self.world.ledger)
                return self.world.ledger
            if self.me.out_ledger != UNREAD:
                return self.me.out_ledger
            if self.me.read == UNREAD:
                self.me = self.me._replace(read=self.world.ledger)
            return self.me.read

        return self._step(does, stops=True)

    def write_ledger(self, ledger: Ledger) -> None:
        def does() -> None:
            self._must_lead()
            if not self.durable_at_once:
                self.me = self.me._replace(out_ledger=ledger)
                return
            units = tuple(
                unit._replace(due=True) if other != self.unit else unit
                for other, unit in enumerate(self.world.units)
            )
            self.world = self.world._replace(ledger=ledger, units=units)
            self.me = self.me._replace(read=UNREAD)

        self._step(does, stops=True)

    def _must_lead(self) -> None:
        if self.world.leader != self.unit or self.me.minion:
            raise protocol.LedgerClosed('another leads')


def _put(items: Tuple[Any, ...], place: int, item: Any) -> Tuple[Any, ...]:
    return items[:place] + (item,) + items[place + 1 :]


def _with(world: World, unit: int, me: U) -> World:
    return world._replace(units=_put(world.units, unit, me))


def new_world(units: int, asks: int) -> World:
    fresh = U(seen=(None,) * units, asks=asks)
    return World(0, None, (fresh,) * units)


# Steps


def _call(kind: Rules, world: World, unit: int, task: Tuple[Any, ...], answers: Tuple[Any, ...]) -> World:
    """Run a protocol function, to its end or to where another unit may come between."""
    port = SmallPort(kind, world, unit, answers)
    me = world.units[unit]
    try:
        hook = _TASKS[task[0]](port, kind, me, *task[1:])
    except Stopped:
        return _with(port.world, unit, port.me._replace(stopped=(task, tuple(port.answers))))
    hook = hook._replace(given=(), dropped=())
    return _with(port.world, unit, port.me._replace(hook=hook, stopped=()))


def _begin(port: SmallPort, kind: Rules, me: U, unit: int, about: int) -> protocol.Hook:
    news = name(about) if about >= 0 else ''
    return protocol.begin(port, protocol.Occasion(unit=name(unit), news=news), kind.policy)


def _ask(port: SmallPort, kind: Rules, me: U, lock: str) -> protocol.Hook:
    return protocol.request(port, me.hook, lock, '')


def _release(port: SmallPort, kind: Rules, me: U, lock: str) -> protocol.Hook:
    return protocol.release(port, me.hook, lock)


def _end(port: SmallPort, kind: Rules, me: U, keep: bool, again: bool) -> protocol.Hook:
    held = frozenset(lock for lock in kind.locks if me.hook.turn(lock))
    kept, asked = (held if keep else frozenset()), (held if again else frozenset())
    return protocol.end(port, me.hook, kept, asked, '')


_TASKS: Dict[str, Callable[..., protocol.Hook]] = {
    'begin': _begin,
    'ask': _ask,
    'release': _release,
    'end': _end,
}


def _over(me: U, retry: bool) -> U:
    """Return the unit with its hook over and everything buffered gone."""
    news = me.news | {me.about} if retry and me.about >= 0 else me.news
    return me._replace(
        hook=None, about=-1, out=None, out_ledger=UNREAD, read=UNREAD, minion=False, stopped=(),
        news=news, due=me.due or retry,
    )  # fmt: skip


def _flush(kind: Rules, world: World, unit: int, again: bool) -> World:
    """Commit one hook: all of it, or where it wrote the ledger and leads no more, nothing (R8, R10)."""
    me = world.units[unit]
    if me.out_ledger != UNREAD and world.leader != unit:
        return _with(world, unit, _over(me, retry=True))
    bag = me.bag if me.out is None else me.out
    ledger_changed = me.out_ledger != UNREAD and me.out_ledger != world.ledger
    ledger = me.out_ledger if ledger_changed else world.ledger
    done = _over(me, retry=again)._replace(bag=bag, critical=False, due=me.due or again or ledger_changed)
    units = []
    for peer, other in enumerate(world.units):
        if peer != unit:
            news = other.news | {unit} if bag != me.bag else other.news
            units.append(other._replace(news=news, due=other.due or ledger_changed))
        else:
            units.append(done)
    return World(world.leader, ledger, tuple(units))


def steps(kind: Rules, world: World) -> Iterator[Tuple[str, World]]:
    """Yield everything that may happen next, each with the world after it."""
    for unit, me in enumerate(world.units):
        who = name(unit)
        if me.stopped:
            task, answers = me.stopped
            yield 'go on {}'.format(who), _call(kind, world, unit, task, answers)
            yield 'crash {}'.format(who), _with(world, unit, _over(me, retry=True))
        elif me.hook is None:
            for about in [-1] + sorted(me.news):
                yield _begins(kind, world, unit, about)
            if kind.forgets and me.store is not None:
                yield 'forget {}'.format(who), _with(world, unit, me._replace(store=None))
        else:
            yield from _handlers(kind, world, unit, me)
    for unit in range(len(world.units)):
        busy = any(me.hook is not None and rule for me, rule in zip(world.units, _leading_hooks(world)))
        if unit != world.leader and (kind.aba or not busy or not _returns(world, unit)):
            units = _put(world.units, unit, world.units[unit]._replace(due=True))
            yield 'elect {}'.format(name(unit)), World(unit, world.ledger, units)


def _leading_hooks(world: World) -> Tuple[bool, ...]:
    return tuple(bool(me.hook and me.hook.leading) or bool(me.stopped) for me in world.units)


def _returns(world: World, unit: int) -> bool:
    """Whether leadership would come back to a hook that has believed to lead all the while."""
    me = world.units[unit]
    return (me.hook is not None and me.hook.leading and not me.minion) or bool(me.stopped)


def _begins(kind: Rules, world: World, unit: int, about: int) -> Tuple[str, World]:
    me = world.units[unit]
    if about >= 0:
        bag = world.units[about].bag
        me = me._replace(news=me.news - {about}, seen=_put(me.seen, about, bag), about=about)
        said = 'begin {} news of {}'.format(name(unit), name(about))
    else:
        me, said = me._replace(due=False), 'begin {}'.format(name(unit))
    return said, _call(kind, _with(world, unit, me), unit, ('begin', unit, about), ())


def _handlers(kind: Rules, world: World, unit: int, me: U) -> Iterator[Tuple[str, World]]:
    who, hook = name(unit), me.hook
    assert hook is not None
    for lock in kind.locks:
        if me.asks and not hook.claim(lock).names.count(lock) and hook.serving:
            asked = _with(world, unit, me._replace(asks=me.asks - 1))
            yield 'ask {} {}'.format(who, lock), _call(kind, asked, unit, ('ask', lock), ())
    held = [lock for lock in kind.locks if hook.turn(lock)]
    if hook.serving:
        if held and not me.critical:
            yield 'work {}'.format(who), _with(world, unit, me._replace(critical=True))
        if kind.releases and held:
            yield 'release {}'.format(who), _call(kind, world, unit, ('release', held[0]), ())
        yield 'fail {}'.format(who), _with(world, unit, _over(me, retry=True))
        yield 'succeed {}'.format(who), _call(kind, world, unit, ('end', False, False), ())
        if held and kind.again:
            yield 'succeed and keep {}'.format(who), _call(kind, world, unit, ('end', True, False), ())
            if me.asks:
                asked = _with(world, unit, me._replace(asks=me.asks - 1))
                yield 'succeed and ask again {}'.format(who), _call(kind, asked, unit, ('end', False, True), ())
    else:
        yield 'flush {}'.format(who), _flush(kind, world, unit, again=False)
        yield 'flush and repeat {}'.format(who), _flush(kind, world, unit, again=True)
        yield 'lose flush {}'.format(who), _with(world, unit, _over(me, retry=True))


# Promises


def fault(kind: Rules, world: World) -> str:
    """Return which promise this world breaks, '' for none."""
    working = [name(unit) for unit, me in enumerate(world.units) if me.critical]
    if len(working) > kind.policy.slots_among(len(world.units)):
        return '{} hold one lock'.format(' and '.join(working))
    return ''


def calm(kind: Rules, world: World) -> Optional[World]:
    """Let nothing more go wrong: every hook under way ends, every hook due runs, and no other.

    Returns the world at rest, None where it finds none.
    """
    for _ in range(200):
        unit = next((place for place, me in enumerate(world.units) if me.hook or me.stopped), None)
        if unit is not None:
            world = _carry_on(kind, world, unit)
            continue
        unit = next((place for place, me in enumerate(world.units) if me.due or me.news), None)
        if unit is None:
            return world
        me = world.units[unit]
        world = _begins(kind, world, unit, -1 if me.due else min(me.news))[1]
    return None


def _carry_on(kind: Rules, world: World, unit: int) -> World:
    me = world.units[unit]
    if me.stopped:
        return _call(kind, world, unit, *me.stopped)
    assert me.hook is not None
    if not me.hook.serving:
        return _flush(kind, world, unit, again=False)
    return _call(kind, world, unit, ('end', False, False), ())


def unserved(kind: Rules, world: World) -> str:
    """Return whose request calm weather never serves from here, '' if all are served."""
    rest = calm(kind, world)
    if rest is None:
        return 'no rest is found in calm weather'
    for unit, me in enumerate(rest.units):
        for queue, claim in me.store.own if me.store else ():
            if claim.outstanding:
                return '{} waits for ever: {}'.format(name(unit), claim)
    return ''


class Found(NamedTuple):
    worlds: int
    fault: str
    history: Tuple[str, ...]

    def __str__(self) -> str:
        told = '\n'.join('  {:2}  {}'.format(place, step) for place, step in enumerate(self.history, 1))
        return '{} worlds; {}\n{}'.format(self.worlds, self.fault or 'no fault', told)


def search(kind: Rules, start: World, most: int = 10**9, liveness: bool = True) -> Found:
    """Visit every world that can be reached, nearest first; stop at the first that breaks a promise."""
    past: Dict[World, Optional[Tuple[World, str]]] = {start: None}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        broken = fault(kind, world) or (unserved(kind, world) if liveness else '')
        if broken:
            return Found(len(past), broken, _history(past, world))
        if len(past) >= most:
            continue
        for said, after in steps(kind, world):
            if after not in past:
                past[after] = (world, said)
                waiting.append(after)
    return Found(len(past), '', ())


def _history(past: Dict[World, Optional[Tuple[World, str]]], world: World) -> Tuple[str, ...]:
    said: List[str] = []
    step = past[world]
    while step:
        said.append(step[1])
        step = past[step[0]]
    return tuple(reversed(said))
