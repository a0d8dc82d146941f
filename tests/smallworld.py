"""Every history of a small world, breadth first, over the layer's own protocol code.

What is real here: `protocol.begin/request/release/end`, `rules`, `policy`, the
local store's value. What is modelled: Juju, as tests/jujusim/README.md tells it,
cut down to what can matter for a lock:

    a hook begins, with or without one peer's news · asks · works · succeeds ·
    fails · is flushed and run again · is not flushed · leadership moves between
    any two steps · a unit forgets its local store

A peer's databag is read as it was at the last news of that peer (R6). In a
`fine` world another unit may come between the steps of a leader's write: the
protocol function is stopped there and later run again with the same answers.

What one unit may do next depends on its own standing, on whether it leads, on
the ledger and on what its peers have published, and on nothing else. So that is
worked out once for each such case, and a world is a tuple of small numbers.
"""

from collections import deque
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import protocol
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import Claim, Ledger
from charms.layer.coordinator.wire import Local

Bag = Tuple[Tuple[str, Claim], ...]
World = Tuple[int, ...]
"""The unit that leads, the ledger's number, then the number of each unit's standing."""

UNREAD: Any = ('unread',)


class U(NamedTuple):
    """One unit's standing: what outlives a hook, then what a hook under way has so far."""

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


class Around(NamedTuple):
    """What a unit's next step depends on beside its own standing."""

    leads: bool
    ledger: Optional[Ledger]
    bags: Tuple[Bag, ...]


class Option(NamedTuple):
    """Something one unit may do next, and what comes of it.

    `wrote`: the ledger changed, which wakes others. `told`: the databag did.
    `calm`: this is what happens where nothing goes wrong.
    """

    said: str
    after: U
    ledger: Optional[Ledger]
    wrote: bool = False
    told: bool = False
    calm: bool = False


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


def _put(items: Tuple[Any, ...], place: int, item: Any) -> Tuple[Any, ...]:
    return items[:place] + (item,) + items[place + 1 :]


def _without_tokens(ledger: Ledger) -> Ledger:
    """Return the ledger with every token 0: a world in which leaders gave more tickets is not another one.

    Nobody decides by a token; tests/test_rules.py has what is promised of them.
    """
    return Ledger(0, tuple(ticket._replace(token=0) for ticket in ledger.tickets))


class SmallPort:
    """A port on one unit of a small world. Answers given once are given again when a function is rerun."""

    def __init__(self, kind: Rules, unit: int, me: U, around: Around, answers: Tuple[Any, ...]) -> None:
        self.kind, self.unit, self.me, self.around = kind, unit, me, around
        self.ledger_now, self.wrote = around.ledger, False
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
                found = str(closed)
            self.answers.append(found)
        if isinstance(found, str):
            raise protocol.LedgerClosed(found)
        return found

    def _now(self, **changed: Any) -> None:
        self.me = self.me._replace(**changed)

    def is_leader(self) -> bool:
        def does() -> bool:
            if not self.around.leads:
                self._now(minion=True)
            return not self.me.minion

        return self._step(does, stops=True)

    def load(self) -> Optional[Local]:
        return self._step(lambda: self.me.store)

    def save(self, local: Local) -> None:
        self._step(lambda: self._now(store=local))

    def published(self) -> Dict[str, Claim]:
        return dict(self._step(lambda: self.me.bag if self.me.out is None else self.me.out))

    def old_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        return ()

    def old_units(self) -> FrozenSet[str]:
        return frozenset()

    def publish(self, own: Any) -> None:
        self._step(lambda: self._now(out=tuple(sorted(own.items()))))

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        def does() -> Bag:
            peer = int(unit.split('/')[1])
            if self.me.seen[peer] is None:
                self._now(seen=_put(self.me.seen, peer, self.around.bags[peer]))
            return self.me.seen[peer] or ()

        return dict(self._step(does))

    def everybody(self) -> FrozenSet[str]:
        return frozenset(name(peer) for peer in range(len(self.around.bags)) if peer != self.unit)

    def living(self) -> FrozenSet[str]:
        return frozenset(name(peer) for peer in range(len(self.around.bags)))

    def unit_count(self) -> int:
        return len(self.around.bags)

    def ledger(self) -> Optional[Ledger]:
        return self._step(self._as_read)

    def _as_read(self) -> Optional[Ledger]:
        """First read of the hook; on Juju 4 a leader then reads its own uncommitted write."""
        if self.me.out_ledger != UNREAD:
            return self.me.out_ledger
        if self.me.read == UNREAD:
            self._now(read=self.ledger_now)
        return self.me.read

    def fresh_ledger(self) -> Optional[Ledger]:
        def does() -> Optional[Ledger]:
            self._must_lead()
            if self.durable_at_once:
                self._now(read=UNREAD)
            return self._as_read()

        return self._step(does, stops=True)

    def write_ledger(self, decided: Ledger) -> None:
        def does() -> None:
            self._must_lead()
            ledger = _without_tokens(decided)
            if self.durable_at_once:
                self.ledger_now, self.wrote = ledger, True
                self._now(read=UNREAD)
            else:
                self._now(out_ledger=ledger)

        self._step(does, stops=True)

    def _must_lead(self) -> None:
        if not self.around.leads or self.me.minion:
            raise protocol.LedgerClosed('another leads')


# What one unit may do


def _call(
    kind: Rules, unit: int, me: U, around: Around, task: Tuple[Any, ...], answers: Tuple[Any, ...] = ()
) -> Option:
    """Run a protocol function, to its end or to where another unit may come between."""
    port = SmallPort(kind, unit, me, around, answers)
    try:
        hook = _TASKS[task[0]](port, kind, me, unit, *task[1:])
    except Stopped:
        return Option('', port.me._replace(stopped=(task, tuple(port.answers))), port.ledger_now, port.wrote)
    hook = hook._replace(given=(), dropped=())
    return Option('', port.me._replace(hook=hook, stopped=()), port.ledger_now, port.wrote)


def _begin(port: SmallPort, kind: Rules, me: U, unit: int, about: int) -> protocol.Hook:
    news = name(about) if about >= 0 else ''
    return protocol.begin(port, protocol.Occasion(unit=name(unit), news=news), kind.policy)


def _ask(port: SmallPort, kind: Rules, me: U, unit: int, lock: str) -> protocol.Hook:
    assert me.hook is not None
    return protocol.request(port, me.hook, lock, '')


def _release(port: SmallPort, kind: Rules, me: U, unit: int, lock: str) -> protocol.Hook:
    assert me.hook is not None
    return protocol.release(port, me.hook, lock)


def _end(port: SmallPort, kind: Rules, me: U, unit: int, keep: bool, again: bool) -> protocol.Hook:
    assert me.hook is not None
    held = frozenset(lock for lock in kind.locks if me.hook.turn(lock))
    return protocol.end(port, me.hook, held if keep else frozenset(), held if again else frozenset(), '')


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


def _flushed(me: U, around: Around, said: str, again: bool = False) -> Option:
    """Commit one hook: all of it, or where it wrote the ledger and leads no more, nothing (R8, R10)."""
    if me.out_ledger != UNREAD and not around.leads:
        return Option(said, _over(me, retry=True), around.ledger, calm=True)
    bag = me.bag if me.out is None else me.out
    wrote = me.out_ledger != UNREAD and me.out_ledger != around.ledger
    done = _over(me, retry=again)._replace(bag=bag, critical=False)
    done = done._replace(due=done.due or wrote)  # R24: the application's databag wakes its writer too
    ledger = me.out_ledger if wrote else around.ledger
    return Option(said, done, ledger, wrote, told=bag != me.bag, calm=not again)


def options(kind: Rules, unit: int, me: U, around: Around) -> Iterator[Option]:
    """Yield everything that one unit may do next."""
    who = name(unit)
    if me.stopped:
        yield _call(kind, unit, me, around, *me.stopped)._replace(said='go on ' + who, calm=True)
        yield Option('crash ' + who, _over(me, retry=True), around.ledger)
    elif me.hook is not None and not me.hook.serving:
        yield from _endings(me, around, who)
    elif me.hook is not None:
        yield from _handlers(kind, unit, me, around, me.hook)
    else:
        yield from _beginnings(kind, unit, me, around)


def _beginnings(kind: Rules, unit: int, me: U, around: Around) -> Iterator[Option]:
    who = name(unit)
    if me.due or not _idle(me, around):
        option = _call(kind, unit, me._replace(due=False), around, ('begin', -1))
        yield option._replace(said='begin ' + who, calm=me.due)
    for about in sorted(me.news):
        seen = _put(me.seen, about, around.bags[about])
        news = me._replace(news=me.news - {about}, seen=seen, about=about)
        option = _call(kind, unit, news, around, ('begin', about))
        said = 'begin {} with news of {}'.format(who, name(about))
        yield option._replace(said=said, calm=not me.due and about == min(me.news))
    if kind.forgets and me.store is not None:
        # It is read again from Juju in the next hook; nothing else brings that hook.
        yield Option('forget ' + who, me._replace(store=None, due=True), around.ledger)


def _idle(me: U, around: Around) -> bool:
    """Whether a hook that nothing brings could change nothing at all."""
    if me.asks or around.leads or me.store is None or me.store.led:
        return False
    return me.store.own == me.store.committed and not any(claim.outstanding for _, claim in me.store.own)


def _handlers(kind: Rules, unit: int, me: U, around: Around, hook: protocol.Hook) -> Iterator[Option]:
    who = name(unit)

    def call(said: str, *task: Any, **spent: Any) -> Option:
        return _call(kind, unit, me._replace(**spent), around, task)._replace(said=said)

    for lock in kind.locks:
        if me.asks and lock not in hook.claim(lock).names:
            yield call('ask {} {}'.format(who, lock), 'ask', lock, asks=me.asks - 1)
    held = [lock for lock in kind.locks if hook.turn(lock)]
    if held and not me.critical:
        yield Option('work ' + who, me._replace(critical=True), around.ledger)
    if held and kind.releases:
        yield call('release {}'.format(who), 'release', held[0])
    yield Option('fail ' + who, _over(me, retry=True), around.ledger)
    if held and kind.again:
        # Who keeps, or asks again, counts on its own next hook, update-status at the latest.
        yield call('end {} and keep'.format(who), 'end', True, False, due=True)
        if me.asks:
            yield call('end {} and ask again'.format(who), 'end', False, True, asks=me.asks - 1, due=True)
    end = call('end ' + who, 'end', False, False)
    if end.after.stopped or end.wrote:
        yield end._replace(calm=True)
    else:
        # Nothing that others see lies between the end of the handlers and the flush.
        yield from _endings(end.after, around, who)


def _endings(me: U, around: Around, who: str) -> Iterator[Option]:
    yield _flushed(me, around, 'succeed ' + who)
    yield _flushed(me, around, 'succeed {}, and run the hook again'.format(who), again=True)
    yield Option('lose the flush of ' + who, _over(me, retry=True), around.ledger)


# The search


class Found(NamedTuple):
    """What a search found: how many worlds it visited, and the shortest way to a fault if any."""

    worlds: int
    fault: str
    history: Tuple[str, ...]

    def __str__(self) -> str:
        told = ''.join('\n  {:2}  {}'.format(place, step) for place, step in enumerate(self.history, 1))
        return '{} worlds; {}{}'.format(self.worlds, self.fault or 'no fault', told)


class Step(NamedTuple):
    """An option with numbers for values."""

    said: str
    after: int
    ledger: int
    wrote: bool
    told: bool
    calm: bool


class Search:
    """Worlds of one kind, each standing and ledger kept once under a number."""

    def __init__(self, kind: Rules, units: int, asks: int) -> None:
        self.kind, self.count = kind, units
        self._numbers: Dict[Any, int] = {}
        self._things: List[Any] = []
        self._steps: Dict[Tuple[int, ...], List[Step]] = {}
        self._affected: Dict[Tuple[int, int, bool, bool], int] = {}
        self._bags: List[int] = []
        self._served: Dict[World, str] = {}
        fresh = self._number(U(seen=(None,) * units, asks=asks))
        self.start: World = (0, self._number(('ledger', None))) + (fresh,) * units

    def _number(self, thing: Any) -> int:
        number = self._numbers.setdefault(thing, len(self._things))
        if number == len(self._things):
            self._things.append(thing)
            self._bags.append(0)
            if isinstance(thing, U):
                self._bags[number] = self._number(('bag', thing.bag))
        return number

    def unit(self, world: World, unit: int) -> U:
        return self._things[world[2 + unit]]

    def _options(self, world: World, unit: int) -> List[Step]:
        bags = self._bags
        key = (unit, world[0] == unit, world[1], world[2 + unit], *[bags[number] for number in world[2:]])
        found = self._steps.get(key)
        if found is None:
            values = tuple(self._things[bags[number]][1] for number in world[2:])
            around = Around(world[0] == unit, self._things[world[1]][1], values)
            found = self._steps[key] = [
                Step(
                    o.said, self._number(o.after), self._number(('ledger', o.ledger)), o.wrote, o.told, o.calm
                )
                for o in options(self.kind, unit, self._things[world[2 + unit]], around)
            ]
        return found

    def _after(self, world: World, unit: int, step: Step) -> World:
        _, after, ledger, wrote, told, _ = step
        if not (wrote or told):
            return (world[0], ledger, *world[2 : 2 + unit], after, *world[3 + unit :])
        numbers = [self._affect(number, unit, wrote, told) for number in world[2:]]
        numbers[unit] = after
        return (world[0], ledger, *numbers)

    def _affect(self, number: int, unit: int, wrote: bool, told: bool) -> int:
        key = (number, unit, wrote, told)
        if key not in self._affected:
            me: U = self._things[number]
            news = me.news | {unit} if told else me.news
            self._affected[key] = self._number(me._replace(news=news, due=me.due or wrote))
        return self._affected[key]

    def steps(self, world: World) -> Iterator[Tuple[str, World]]:
        """Yield everything that may happen next, each with the world after it."""
        for unit in range(self.count):
            for option in self._options(world, unit):
                yield option.said, self._after(world, unit, option)
            if unit != world[0] and (self.kind.aba or not self._believes(world, unit)):
                due = self._affect(world[2 + unit], unit, True, False)
                yield 'elect ' + name(unit), (unit, *world[1 : 2 + unit], due, *world[3 + unit :])

    def _believes(self, world: World, unit: int) -> bool:
        """Whether a hook of this unit goes on as if another had not led meanwhile.

        It has not asked is-leader since, or on Juju 4 has written the ledger before.
        Should leadership return to it within that hook, it could write over its
        successor's ledger: the known limit, searched apart (`aba`).
        """
        me = self.unit(world, unit)
        leading = bool(me.stopped) or (me.hook is not None and me.hook.leading)
        return me.out_ledger != UNREAD or (leading and not me.minion)

    def fault(self, world: World) -> str:
        """Return which promise this world breaks, '' for none."""
        working = [name(unit) for unit in range(self.count) if self.unit(world, unit).critical]
        if len(working) > self.kind.policy.slots_among(self.count):
            return '{} hold one lock'.format(' and '.join(working))
        return ''

    def unserved(self, world: World) -> str:
        """Return whose request calm weather never serves from here, '' if all are served.

        Calm weather: hooks under way end, hooks that are due run, and no other.
        """
        path: List[World] = []
        while world not in self._served:
            path.append(world)
            after = self._calm(world)
            if after is None:
                self._served[world] = self._waiting(world)
            elif len(path) > 500:
                self._served[world] = 'calm weather finds no rest'
            else:
                world = after
        for passed in path:
            self._served[passed] = self._served[world]
        return self._served[world]

    def _calm(self, world: World) -> Optional[World]:
        for unit in range(self.count):
            for option in self._options(world, unit):
                if option.calm:
                    return self._after(world, unit, option)
        return None

    def _waiting(self, world: World) -> str:
        for unit in range(self.count):
            store = self.unit(world, unit).store
            for _, claim in store.own if store else ():
                if claim.outstanding:
                    return '{} waits for ever: {}'.format(name(unit), claim)
        return ''

    def run(self, most: int = 10**9, tell: Callable[[int, int], None] = lambda worlds, left: None) -> Found:
        """Visit every world that can be reached, nearest first; stop at the first that breaks a promise."""
        past: Dict[World, World] = {self.start: ()}
        waiting = deque([self.start])
        while waiting:
            world = waiting.popleft()
            broken = self.fault(world) or self.unserved(world)
            if broken:
                return Found(len(past), broken, self._history(past, world))
            if len(past) > most:
                return Found(len(past), '', ('stopped after so many worlds',))
            for _, after in self.steps(world):
                if after not in past:
                    past[after] = world
                    waiting.append(after)
                    if len(past) % 100000 == 0:
                        tell(len(past), len(waiting))
        return Found(len(past), '', ())

    def _history(self, past: Dict[World, World], world: World) -> Tuple[str, ...]:
        said: List[str] = []
        while past[world]:
            before = past[world]
            said.append(next(told for told, after in self.steps(before) if after == world))
            world = before
        return tuple(reversed(said))
