"""What one unit of a small world may do next, over the layer's own protocol code.

What is real here: `session.py`, `view.py`, `rules.py`, `policy.py`, and the value
that a unit remembers. What is modelled is in smalljuju.py; what is promised, in promises.py.

    a hook begins, with or without one peer's news · asks · works · keeps · releases · succeeds ·
    fails · is killed before the charm's key-value store is flushed, or after · is flushed and run
    again · is not flushed · is resolved without a retry · is run a second time in its context · has a
    child process · finds that goal-state fails · leadership moves between any two steps · an action, or
    juju exec, between any two hooks · a charm is refreshed ·
    a local store, a databag, all that leaders keep is lost · the model moves to Juju 4 · a unit is
    removed, leaves and is gone, or is lost · its name comes back · a unit is added, and may
    lead before it has joined anyone · update-status

What one unit may do depends on its own standing, on whether it leads, on the scene
and on what others see of each peer, and on nothing else; search.py works that out
once for each such case.
"""

from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.context import HookContext, Phase
from charms.layer.coordinator.plan import planned
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.values import FREE, ROLL, Order, Said, Terms, Wish
from charms.layer.coordinator.view import Snapshot

from tests.proofs import promises
from tests.proofs.promises import claim_in
from tests.proofs.smalljuju import (
    ABSENT,
    CUT,
    DYING,
    GONE,
    JOINED,
    LEFT,
    MOVED,
    THERE,
    TOLD,
    UNREAD,
    WROTE,
    Around,
    Beyond,
    Kind,
    Picks,
    Scene,
    SmallPort,
    Stopped,
    U,
    committed,
    current,
    hook_over,
    left,
    name,
    put,
    runs,
    unheard,
    with_terms,
)

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

    def __init__(self, port: Any, start: Snapshot, policy: Policy, shut: bool = False) -> None:
        super().__init__(port, start, policy, lambda sentence: None)
        self.gate = lambda locks: 'not now' if shut else ''

    def explain(self, lock: str, look: bool = True) -> str:
        return ''

    def _tell_progress(self, *about: Any) -> None:
        pass


# What one unit may do


def _call(
    kind: Kind, unit: int, me: U, around: Around, task: Tuple[Any, ...], answers: Tuple[Any, ...] = ()
) -> Iterator[Option]:
    """Run a protocol function, to its end or to where another unit may come between."""
    picks: Optional[Picks] = ()
    while picks is not None:
        port = SmallPort(kind, unit, me, around, answers, picks)
        try:
            after = _TASKS[task[0]](port, kind, me, unit, *task[1:])
        except Stopped:
            after = port.me._replace(stopped=(task, tuple(port.answers)))
        except Beyond:
            yield Option('', U(life=CUT, due=False))
            return
        broken = port.broken or _lost(around, port)
        after, scene, misused = _tokens(kind, after, around, port.scene)
        yield Option('', after, scene, WROTE if port.landed else 0, broken=broken or misused)
        picks = _next(port.picked)


def _lost(around: Around, port: SmallPort) -> str:
    scenes = [before for before, _ in port.landed[1:]] + [port.scene]
    found = (
        promises.lost_ticket(around, before, wrote, after)
        for (before, wrote), after in zip(port.landed, scenes)
        if after
    )
    return next(filter(None, found), '')


def _next(picked: List[Tuple[int, int]]) -> Optional[Picks]:
    """Return what to pick in the next run, None if every choice was made."""
    while picked and picked[-1][0] + 1 == picked[-1][1]:
        picked.pop()
    if not picked:
        return None
    chosen, among = picked.pop()
    return (*picked, (chosen + 1, among))


def _after(port: SmallPort, session: Session, works: bool = True, broken: str = '') -> U:
    """Return the unit in its hook, at work in each turn that it may use.

    It works as soon as it may. To work later, or not at all, changes nothing
    for anybody else, and can break no promise that this does not break.
    """
    me, hook = _small(port.me, session.snapshot()), session.snapshot()
    port.broken = port.broken or broken
    if hook.phase is Phase.HANDLERS and works:
        turns = [session.turn(lock) for lock in port.kind.locks]
        now = {(turn.queue, turn.ask) for turn in turns if turn}
        new = now - {*port.me.works}
        scene = port.scene or port.around.scene if new else Scene()
        without = promises.begins_without(name(port.unit), new, port.before, port.me, scene)
        port.broken = port.broken or without
        me = me._replace(
            works=tuple(sorted({*me.works, *now})), used=tuple(sorted({*me.used, *now})),
        )  # fmt: skip
    return me


def _tokens(kind: Kind, me: U, around: Around, scene: Optional[Scene]) -> Tuple[U, Optional[Scene], str]:
    broken = ''
    if kind.tokens and me.hook and me.hook.phase is Phase.HANDLERS:
        for turn in me.hook.turns:
            scene, broken = promises.used(scene or around.scene, turn, kind.forgets)
    return me, scene, broken


def _small(me: U, hook: Snapshot) -> U:
    """Return the unit in its hook, without what can matter no more."""
    hook = hook._replace(given=(), dropped=(), finished=(), state=hook.state._replace(told=0))
    return me._replace(hook=hook, stopped=())


def _quiet(me: U) -> bool:
    """Whether nothing that this hook has read or done so far can be told from outside."""
    hook = me.hook
    if hook is None or me.stopped or hook.leading or hook.turns:
        return False
    return me.out in (None, me.bag) and me.wrote is None


# What the layer does in a hook, and in what runs beside it

HOOK, ASIDE = 'this hook', 'an action'


def _policy(kind: Kind, me: U) -> Policy:
    return kind.refreshed if kind.refreshed and me.refreshed else kind.policy


def _begin(port: SmallPort, kind: Kind, me: U, unit: int, why: str, about: int) -> U:
    context = HookContext(
        unit=name(unit),
        news=name(about) if why == 'news' else '',
        departed=name(about) if why == 'departed' else '',
        leaving=why == 'leaving',
        reread=why == 'refresh',
        full_check=why == 'look',
        shared_news=why == 'shared',
        newborn=not me.installed,
        id=HOOK,
    )
    session = Unheard(port, Snapshot(context), _policy(kind, me), me.shut)
    session.look()
    session.begin()
    slept = me.wake.needed if me.store and me.wake and me.wake.rests else None
    if slept and context.is_for_nothing(slept.rest) and not session.leading:
        port.broken = promises.does_something(name(unit), session, me)
    scene = around_scene(port)
    broken = promises.works_though_freed(unit, session.turns, scene)
    broken = broken or promises.begins_again(kind, name(unit), session.turns, port.before)
    broken = broken or promises.begins_though_paused(unit, session.turns, me, scene)
    broken = broken or promises.begins_though_stopped(unit, session.turns, me, port.me, port.around, scene)
    return _after(port, session, broken=broken)


def around_scene(port: SmallPort) -> Scene:
    return port.scene or port.around.scene if port.kind.words else Scene()


def _resumed(kind: Kind, me: U, port: Any = None) -> Session:
    """Return the session of a hook under way."""
    assert me.hook is not None
    return Unheard(port, me.hook, _policy(kind, me), me.shut)


def _ask(port: SmallPort, kind: Kind, me: U, unit: int, lock: str) -> U:
    session = _resumed(kind, me, port)
    session.request(lock)
    return _after(port, session)


def _release(port: SmallPort, kind: Kind, me: U, unit: int, lock: str) -> U:
    session = _resumed(kind, me, port)
    session.release(lock)
    return _after(port, session)


def _order(port: SmallPort, kind: Kind, me: U, unit: int, word: str) -> U:
    session = _resumed(kind, me, port)
    _tell(session, kind, me, unit, word)
    return _after(port, session)


def _tell(session: Session, kind: Kind, me: U, unit: int, word: str) -> None:
    """Tell a leader to do something for all units; FREE is about the unit after it, others about a lock."""
    what, _, lock = word.partition(' ')
    order = Order(what, '{}/{}'.format(name(unit), me.words))
    if what == FREE:
        session.order(Wish(order._replace(unit=name((unit + 1) % kind.units))))
        return
    order = order._replace(lock=lock or kind.locks[0])
    members = session.members() if what == ROLL and session.leading else {}
    zones = {each: zone for each, (_, zone) in members.items()}
    stages = planned(zones, name(unit), kind.batches)
    named = tuple(tuple((each, members[each][0]) for each in stage) for stage in stages)
    session.order(Wish(order, named, kind.pause_after))


def _end(port: SmallPort, kind: Kind, me: U, unit: int, does: Tuple[str, ...]) -> U:
    session = _resumed(kind, me, port)
    held = {session.queue_of(lock): session.claim(lock).asked for lock in session.granted}
    for lock in sorted(session.granted):
        _say(session, lock, does)
    session.end()
    session.sleep()
    port.broken = promises.not_done(name(unit), does, held, session.own)
    return _after(port, session)


def _say(session: Session, lock: str, verbs: Tuple[str, ...]) -> None:
    for verb in verbs:
        {'keep': session.keep, 'ask again': session.request_again, 'ask': session.request,
         'release': session.release}[verb](lock)  # fmt: skip


def _beside(port: SmallPort, kind: Kind, me: U, unit: int, where: str, lock: str, does: Tuple[str, ...]) -> U:
    """Run an action, juju exec, or a child process of the hook under way, from its begin to its end."""
    context = HookContext(unit=name(unit), aside=True, child=where == HOOK, id=where)
    session = Unheard(port, Snapshot(context), _policy(kind, me))
    session.look()
    session.begin()
    held = session.granted
    words = tuple(verb for verb in does if verb in kind.words)
    _say(session, lock, tuple(verb for verb in does if verb not in words))
    for word in words if session.leading else ():
        _tell(session, kind, me, unit, word)
    if held or session.granted:
        port.broken = '{} is told beside its hooks that it holds a lock'.format(name(unit))
    session.end()
    return port.me


_TASKS: Dict[str, Callable[..., U]] = {
    'begin': _begin,
    'ask': _ask,
    'release': _release,
    'order': _order,
    'end': _end,
    'beside': _beside,
}


# How a hook ends


def _flushed(
    kind: Kind, me: U, around: Around, told: str, again: bool = False, aside: bool = False
) -> Option:
    """Commit one hook: all of it, or where it wrote as the leader and leads no more, nothing (R8, R10)."""
    scene, effect, broken = None, 0, ''
    if me.wrote is not None and not around.leads:
        return Option(told, hook_over(kind, me, retry=not aside), calm=CALM)
    if me.wrote is not None:
        terms = committed(kind, around.scene.terms, me.read, me.wrote)
        scene = with_terms(around.scene, terms)
        broken = promises.lost_ticket(around, around.scene, me.wrote, scene)
        effect = WROTE if scene != around.scene else 0
    bag = me.bag if me.out is None else me.out
    if bag != me.bag and not unheard(kind, me):
        effect |= TOLD
    me = _heard_of(kind, me, bag)
    left = me.left or (me.hook is not None and me.hook.context.leaving and not again)
    said = [turn for turn in me.works if claim_in(bag, turn[0]).done >= turn[1]]
    over = [] if aside else [*said, *me.rested]
    works = tuple(turn for turn in me.works if turn not in over)
    leaves = me.hook is not None and me.hook.context.leaving  # and gives up everything: rule 10
    if not (aside or leaves or kind.classic):
        early = (
            ''
            if kind.words and FREE in kind.words
            else promises.ended_too_early(kind, told.split()[-1], me, works)
        )
        broken = broken or early
    rested = tuple(turn for turn in me.rested if turn in works)
    turn = None if me.turn and me.turn[1] == bag else me.turn
    done = hook_over(kind, me, retry=again)._replace(
        bag=bag, works=works, left=left, rested=rested, turn=turn
    )
    # R24: the application's databag wakes its writer too.
    if effect & WROTE and me.life == THERE and not kind.anytime:
        done = done._replace(shared=True)
    if not (aside or again):
        done = done._replace(installed=True)
    return Option(told, done, scene, effect, calm=NOT_CALM if again else CALM, broken=broken)


def _heard_of(kind: Kind, me: U, bag: Optional[Said]) -> U:
    """Return the unit with what it has said before, where that is kept."""
    if kind.stale and bag != me.bag:
        me = me._replace(past=(me.bag, *me.past))
    if kind.spoils and bag:
        over = {(queue, claim.done) for queue, claim in bag.queues if claim.done}
        me = me._replace(over=tuple(sorted({*me.over, *over})))
    return me


def _with_flags(me: U) -> U:
    """Return the unit whose charm has flushed its key-value store: its flags, and the ends noted."""
    own = rules.after_ends(dict(me.store.own), dict(me.noted)) if me.store else {}
    ended = {turn for turn in me.used if own[turn[0]].done >= turn[1]}
    rested = {*me.rested, *ended & {*me.works}}
    return me._replace(flags=me.noted or me.flags, noted=(), rested=tuple(sorted(rested)))


def _endings(kind: Kind, me: U, around: Around, who: str) -> Iterator[Option]:
    saved = _with_flags(me)
    yield _flushed(kind, saved, around, 'succeed ' + who)
    yield _flushed(kind, saved, around, 'flush, and run again the hook of ' + who, again=True)
    yield from _failures(kind, saved, 'lose the flush of ' + who)
    if saved != me or kind.classic:
        yield from _failures(kind, me, 'kill {} before its flags are saved'.format(who))


def _failures(kind: Kind, me: U, said: str) -> Iterator[Option]:
    """A hook fails: Juju runs it again, or an operator tells Juju to go on (`resolve --no-retry`)."""
    yield Option(said, hook_over(kind, me, retry=True))
    if kind.skips and me.life == THERE:
        skipped = hook_over(kind, me, retry=False)
        yield Option(said + ', which is resolved without a retry', skipped)


# Everything a unit may do


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
    if unit == 0 and not quiet:
        yield from _of_the_model(kind, me, around)
    if me.life == CUT:
        return
    if me.life == GONE:
        if kind.reborn and not me.reborn:
            yield _reborn(kind, unit, me, who)
        return
    if me.life == ABSENT:
        yield Option('add ' + who, me._replace(life=THERE))
        return
    if kind.removals and not quiet:
        yield from _removals(kind, unit, me, around, who)
    if me.stopped:
        for option in _call(kind, unit, me, around, *me.stopped):
            yield option._replace(said='go on ' + who, calm=CALM)
        yield from _failures(kind, me, 'crash ' + who)
        return
    if me.flying is not None:
        yield from _landing(kind, me, around, who)
    if me.hook is not None and me.hook.phase is not Phase.HANDLERS:
        yield from _endings(kind, me, around, who)
    elif me.hook is not None:
        yield from _handlers(kind, unit, me, around, me.hook)
    elif me.life == DYING:
        yield from _last_hooks(kind, unit, me, around, who)
    else:
        yield from _beginnings(kind, unit, me, around, who)
    if kind.aside and me.life == THERE:
        yield from _asides(kind, unit, me, around, who)


def _of_the_model(kind: Kind, me: U, around: Around) -> Iterator[Option]:
    """What happens to all units; that it is told of the first one is of no account."""
    here = around.scene if kind.moves or kind.loses else Scene()
    woken = me._replace(shared=True) if me.life == THERE and not kind.anytime else me
    if kind.moves and not here.moved:
        moved = hook_over(kind, me, retry=True)._replace(due=True, flying=None) if me.life == THERE else me
        yield Option(
            'move the model to Juju 4', moved, here._replace(terms=Terms(), firm=(), moved=True), MOVED
        )
    if here.lost < kind.loses and here.terms.records:
        lost = here._replace(terms=Terms(), firm=(), lost=here.lost + 1)
        yield Option('lose the ledger', woken, lost, WROTE)
        if not here.terms.reset:
            marked = here._replace(terms=here.terms._replace(reset=True), firm=(), lost=here.lost + 1)
            yield Option('mark the ledger as lost', woken, marked, WROTE)


def _landing(kind: Kind, me: U, around: Around, who: str) -> Iterator[Option]:
    """The write of a hook that was killed lands late, or never."""
    terms = current(kind, me.flying.over(around.scene.terms))
    scene = with_terms(around.scene, terms)
    broken = promises.lost_ticket(around, around.scene, me.flying, scene)
    landed = me._replace(flying=None)
    yield Option('the write of {} lands'.format(who), landed, scene, WROTE, broken=broken)
    yield Option('the write of {} is lost'.format(who), landed, calm=CALM)


def _removals(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    peers = (peer for peer in range(kind.units) if peer != unit)
    removed = me.reborn + sum(
        around.life(peer) in (DYING, GONE) or (bool(kind.reborn) and around.face(peer).reborn)
        for peer in peers
    )
    told = LEFT if kind.juju == 3 and me.related else 0  # R20; Juju 4 never tells the peers
    if me.life == THERE and removed < kind.removals:
        yield Option('remove ' + who, me._replace(life=DYING), effect=told)
        yield Option('lose {}, removed by force'.format(who), _gone(kind, me), effect=told)
    if me.life == DYING:
        yield Option('lose {}, removed by force'.format(who), _gone(kind, me))


def _gone(kind: Kind, me: U) -> U:
    store = me.store if kind.reborn == 'on its disk' else None
    return U(
        store=store, bag=me.bag, past=me.past, over=me.over, related=me.related, lives=me.lives, life=GONE,
        seen=(UNREAD,) * len(me.seen), due=False,
    )  # fmt: skip


def _reborn(kind: Kind, unit: int, me: U, who: str) -> Option:
    peers = frozenset(peer for peer in range(kind.units) if peer != unit)
    again = U(
        store=me.store, lives=me.lives, reborn=True, installed=False, related=False, strangers=peers,
        seen=me.seen, asks=kind.asks, past=me.past, due=not kind.anytime,
    )  # fmt: skip
    return Option('add {} again'.format(who), again)


def _last_hooks(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    """A dying unit retries a hook that failed, then runs departed in its own name, stop and remove (R21)."""
    owed, calm = me.due or me.shared, me._replace(due=False, shared=False)
    if owed or (kind.anytime and not me.stops):
        yield from _begun(kind, unit, calm, around, 'begin ' + who, '', -1, CALM)
    leaving = calm._replace(why=('leaving', -1), stops=True)
    said = 'begin stop of ' + who
    yield from _begun(kind, unit, leaving, around, said, 'leaving', -1, NOT_CALM if me.left else CALM)
    if me.left and not owed:
        yield Option(who + ' is gone', _gone(kind, me), calm=CALM)


def _begun(
    kind: Kind, unit: int, me: U, around: Around, said: str, why: str, about: int, calm: int
) -> Iterator[Option]:
    for option in _call(kind, unit, me, around, ('begin', why, about)):
        yield option._replace(said=said, calm=calm)


def _beginnings(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    if me.due or not _idle(me, around):
        yield from _begun(kind, unit, me._replace(due=False), around, 'begin ' + who, '', -1, int(me.due))
    if me.shared and _sleeps(kind, unit, me, around, 'shared', -1):
        noted = left(me.wake, frozenset())
        skipped = me._replace(shared=False, wake=noted)
        yield Option('leaders wrote, not heard by ' + who, skipped, calm=int(not me.due))
    elif me.shared or (kind.anytime and not _idle(me, around)):
        heard = me._replace(shared=False, why=('shared', -1))
        said = 'begin {}, leaders wrote'.format(who)
        yield from _begun(kind, unit, heard, around, said, 'shared', -1, int(not me.due))
    calm = not (me.due or me.shared)
    looks = kind.looks or kind.spoils or kind.loses or kind.moves or kind.reborn
    looks = looks or (kind.removals and around.leads)
    if looks and calm and not me.news & me.strangers:  # each relation-joined that is due comes first (R26)
        # Where a unit does not lead, update-status is mostly a hook like any other.
        yield from _begun(kind, unit, me, around, 'begin update-status of ' + who, 'look', -1, LOOK)
    leavers, news = _units_to_hear(kind, unit, me, around)
    for peer in leavers:
        said = 'begin {}, {} departed'.format(who, name(peer))
        departed = _reread(kind, me, peer, 'departed')
        yield from _begun(kind, unit, departed, around, said, 'departed', peer, int(calm))
    for peer in news:
        if _sleeps(kind, unit, me, around, 'news', peer):
            noted = left(me.wake, frozenset({name(peer)}))
            skipped = _reread(kind, me, peer, 'news')._replace(why=('', -1), wake=noted)
            yield Option('news of {}, not heard by {}'.format(name(peer), who), skipped, calm=int(calm))
            continue
        said = 'begin {} with news of {}'.format(who, name(peer))
        heard = _reread(kind, me, peer, 'news')
        yield from _begun(kind, unit, heard, around, said, 'news', peer, int(calm))
    if me.turn and me.bag and me.turn[1] != me.bag:
        bag = me.bag._replace(about=me.bag.about._replace(failed=me.turn[0]))
        said = '{} says that its hook failed'.format(who)
        yield Option(said, _heard_of(kind, me, bag)._replace(bag=bag), effect=TOLD * (bag != me.bag))
    if not me.related and me.installed and calm:
        yield _entering(kind, unit, me, around)
    if kind.gates and me.shut:
        yield Option('the gate of {} opens'.format(who), me._replace(shut=False, due=True), calm=CALM)
    elif kind.gates:
        yield Option('the gate of {} shuts'.format(who), me._replace(shut=True))
    if kind.refreshed and not me.refreshed:
        refreshed = me._replace(refreshed=True)
        said = 'begin {} with its charm refreshed'.format(who)
        yield from _begun(kind, unit, refreshed, around, said, 'refresh', -1, NOT_CALM)
    if kind.forgets and me.store is not None and me.lives <= kind.forgets:
        # It is read again from Juju in the next hook; nothing else brings that hook.
        yield Option('forget ' + who, me._replace(store=None, due=not kind.anytime))
    if kind.spoils and me.bag is not None:
        yield Option('empty the databag of ' + who, me._replace(bag=None), effect=TOLD)


def _sleeps(kind: Kind, unit: int, me: U, around: Around, why: str, peer: int) -> bool:
    """Whether the script leaves in this hook: rule 19."""
    if not kind.wakes:
        return False
    terms = around.scene.terms if why == 'shared' else Terms()
    return not runs(me, unit, why, peer, terms)


def _reread(kind: Kind, me: U, peer: int, why: str) -> U:
    """Return the unit as its relation-joined, -changed or -departed of that peer begins."""
    if kind.stale:
        return me
    here = frozenset({peer})
    strangers = me.strangers | here if why == 'departed' else me.strangers - here
    seen = put(me.seen, peer, UNREAD)
    leavers = me.leavers - here if why == 'departed' else me.leavers
    return me._replace(leavers=leavers, news=me.news - here, seen=seen, strangers=strangers, why=(why, peer))


def _units_to_hear(kind: Kind, unit: int, me: U, around: Around) -> Tuple[List[int], List[int]]:
    """Return the peers whose departure, and those whose news, may come now."""
    if not kind.anytime:
        return sorted(me.leavers), sorted(me.news)
    if _idle(me, around):
        return [], []
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
    if not kind.stale:
        after = after._replace(strangers=peers)
    if not kind.anytime:
        after = after._replace(news=news, due=True)
    return Option(name(unit) + ' enters the peer relation', after, effect=JOINED, calm=CALM)


def _idle(me: U, around: Around) -> bool:
    """Whether a hook that nothing brings could change nothing at all."""
    if (
        me.asks
        or me.words
        or me.store is None
        or me.store.rolling
        or me.store.wishes
        or me.store.led
        or around.leads
        or not me.store.known
    ):
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
            if lock in session.requested:
                verb = 'release' if lock in held else 'withdraw'
                yield from call('{} {} {}'.format(verb, who, lock), 'release', lock)
    for word in kind.words if me.words and hook.leading else ():
        yield from call('tell {} to {}'.format(who, word), 'order', word, words=me.words - 1)
    yield from _failures(kind, me, 'fail ' + who)
    for does in _ways_to_end(kind, me) if held else ():
        # Who keeps, or asks again, counts on its own next hook, update-status at the latest.
        spent = me.asks - ('ask again' in does)
        said = 'end {} and {}'.format(who, ' and '.join(does))
        yield from call(said, 'end', does, due=not kind.anytime, asks=spent)
    for end in call('end ' + who, 'end', ()):
        if end.after.stopped or kind.fine or kind.aside:
            yield end._replace(calm=CALM)
        else:
            # Nothing that others see lies between the end of the handlers and the flush.
            yield from _ended(kind, end, around, who)


def _ways_to_end(kind: Kind, me: U) -> List[Tuple[str, ...]]:
    ways: List[Tuple[str, ...]] = [('keep',)] if kind.keeps else []
    if kind.keeps and me.asks:
        ways += [('ask again',), ('keep', 'ask again'), ('ask again', 'keep')]
    return ways


def _ended(kind: Kind, end: Option, around: Around, who: str) -> Iterator[Option]:
    if end.effect or end.broken or end.after.life == CUT:
        yield end._replace(calm=CALM)
    else:
        yield from _endings(kind, end.after, around, who)


# What runs beside the hooks


def _asides(kind: Kind, unit: int, me: U, around: Around, who: str) -> Iterator[Option]:
    """An action or juju exec between two hooks; a child process or a second one in a hook's context."""
    alone = kind._replace(fine=False, late=False)
    if me.hook is None:
        for does in _deeds(kind, me):
            for option in _ran_beside(alone, unit, me, around, ASIDE, does):
                said = '{} on {} between hooks'.format(' and '.join(does) or 'look', who)
                ran = option.after._replace(
                    due=me.due, shared=me.shared, flags=_with_flags(option.after).flags
                )
                if ran.life == CUT or option.broken:
                    yield option._replace(said=said)
                    continue
                flushed = _flushed(alone, ran._replace(noted=()), around, 'an action', aside=True)
                yield _both(option, flushed)._replace(said=said, calm=NOT_CALM)
                lost = hook_over(alone, ran, retry=False)
                yield option._replace(said=said + ', which is not committed', after=lost, calm=NOT_CALM)
        return
    if me.hook.context.leaving:
        return
    if me.hook.phase is Phase.HANDLERS:
        for does in _deeds(kind, me):
            for option in _ran_beside(alone, unit, me, around, HOOK, does):
                said = '{} in a child of the hook of {}'.format(' and '.join(does) or 'look', who)
                process = me.hook.state if option.after.store != me.store else me.process
                yield option._replace(said=said, after=option.after._replace(process=process))
    said = 'run the hook of {} once more in its context'.format(who)
    context = me.hook.context
    why, about = me.why if me.why[0] or not context.full_check else ('look', -1)
    for before in {me, _with_flags(me)} if me.hook.phase is Phase.OVER else {me}:
        anew = before._replace(hook=None, used=(), noted=(), process=UNREAD, second=True)
        yield from _begun(alone, unit, anew, around, said, why, about, NOT_CALM)


def _deeds(kind: Kind, me: U) -> List[Tuple[str, ...]]:
    deeds: List[Tuple[str, ...]] = [(), ('release',), ('keep',)]
    deeds += [(word,) for word in kind.words if me.words]
    return deeds + [('ask',), ('ask again',)] if me.asks else deeds


def _ran_beside(
    kind: Kind, unit: int, me: U, around: Around, where: str, does: Tuple[str, ...]
) -> Iterator[Option]:
    spent = me.asks - sum(verb.startswith('ask') for verb in does)
    words = me.words - sum(verb in kind.words for verb in does)
    for lock in kind.locks:
        spent_me = me._replace(asks=spent, words=words)
        yield from _call(kind, unit, spent_me, around, ('beside', where, lock, does))
