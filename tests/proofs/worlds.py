"""The small worlds that are searched, by name; `make test` visits a part of them, `make prove` all."""

from typing import Any, Callable, Dict, NamedTuple

from charms.layer.coordinator.compat.deciding import Question, growing
from charms.layer.coordinator.policy import Policy

from tests.proofs.smalljuju import Kind

TWO_LOCKS = ('a', 'b')


def first_where_nobody_holds_it(question: Question) -> bool:
    """A policy: one unit at a time holds a lock, in the order of the requests."""
    return question.queue[0] == question.unit and not question.granted


def first_where_nobody_else_holds_anything(question: Question) -> bool:
    """A policy: one unit at a time holds locks, whichever they are."""
    holders = {unit for unit, locks in question.grants.items() if locks}
    return holders <= {question.unit} and question.queue[0] == question.unit


class World(NamedTuple):
    """A world to search.

    Args:
        kind: what may happen in it.
        about: what is in it, as the tables show it.
        quick: `make test` visits it too.
    """

    kind: Kind
    about: str
    quick: bool = False


def visited(
    kind: Kind, most: int = 10**10, only: str = '', tell: Callable[..., None] = lambda *_: None
) -> Any:
    """Search one kind of world; return what was `Found`.

    Args:
        kind: what may happen in it.
        most: stop after so many worlds.
        only: look only for faults told with these words.
        tell: called at each step with its number, the worlds so far, and those at the edge.
    """
    from tests.proofs.search import Search  # needs numpy, which not every Python of `make test` has

    return Search(kind, tell).run(most, only)


def _on(name: str, about: str, quick: str = '', juju: str = '34', **kind: Any) -> None:
    """Add a world on each ledger: 3 for leader settings, 4 for the application databag."""
    for version in juju:
        WORLDS['{}-{}'.format(name, version)] = World(
            Kind(juju=int(version), **kind), about, version in quick
        )


WORLDS: Dict[str, World] = {}
# Hooks may come at any time: fewer worlds, in which nothing is said of calm weather.
ANY_TIME: Dict[str, Any] = {'anytime': True}
THREE: Dict[str, Any] = {'units': 3, 'anytime': True, 'stale': True, 'symmetric': True}
PER_LOCK = Policy(per_lock=True)
MOVED_KEPT: Dict[str, Any] = {'moves': True, 'keeps': True, 'asks': 2, 'terms': 2, 'anytime': True}

# Two units, exactly as in Juju: every request is served.
_on('first', '2 units × 1 request, before there is a ledger', blank=True, terms=2)
_on('once', '2 units × 1', quick='34', terms=1)
_on('once-elected', '2 units × 1, leadership moves', terms=3)
_on('fine', '2 units × 1, others come between any two steps of a hook', fine=True, terms=2)
_on('early', '2 units × 1, released early, withdrawn, kept', releases=True, keeps=True, terms=1)
_on('classic', '2 units × 1, a charm without charms.reactive', classic=True, terms=1)
_on('forgets', '2 units × 1, local stores are lost', forgets=1, terms=1)
_on('spoils', '2 units × 1, databags are lost', spoils=True, looks=True, terms=1)
_on('loses', '2 units × 1, the ledger is lost, or marked as lost', loses=1, looks=True, terms=2)
_on('loses-tokens', '2 units × 1, the same, tokens up to 4', loses=1, looks=True, terms=2, tokens=4)
_on('moves', '2 units × 1, the model moves to Juju 4', '', '3', moves=True, looks=True, terms=2)
_on('removed', '2 units × 1, one is removed or lost', removals=1, terms=2)
_on('reborn', '2 units × 1, its name comes back', removals=1, reborn='anew', looks=True, terms=1)
_on('newcomer', '2 units × 1, the second is added on the way', newcomer=True, terms=2)
_on('subordinate', '2 subordinates × 1, one leaves or is lost', subordinate=True, removals=1, terms=2)

# A unit that has met nobody may lead where the ledger is lost, and Juju may not tell it who is there.
ADDED: Dict[str, Any] = {'newcomer': True, 'looks': True, 'terms': 2}
MUTE: Dict[str, Any] = {'mute': 'in some hooks', 'looks': True, 'terms': 2}
_on('newcomer-loses', '2 units × 1, the second is added, the ledger is lost', loses=1, **ADDED)
_on('newcomer-moves', '2 units × 1, the second is added, the model moves', '', '3', moves=True, **ADDED)
_on('newcomer-subordinate', '2 subordinates × 1, the second is added', subordinate=True, **ADDED)
_on(
    'newcomer-subordinate-loses',
    '2 subordinates × 1, the second is added, the ledger is lost',
    subordinate=True,
    loses=1,
    **ADDED,
)
_on('mute', '2 units × 1, goal-state fails in some hooks, one is removed or lost', removals=1, **MUTE)
_on(
    'removed-loses',
    '2 units × 1, one is removed or lost, the ledger is lost',
    removals=1,
    loses=1,
    looks=True,
    terms=2,
)
_on(
    'mute-removed-loses', '2 units × 1, the same, goal-state fails in some hooks', removals=1, loses=1, **MUTE
)
_on('mute-always', '2 units × 1, goal-state always fails', mute='always', looks=True, terms=2)
_on(
    'mute-first',
    '2 units × 1, the same, before there is a ledger',
    blank=True,
    mute='always',
    looks=True,
    terms=2,
)
_on('mute-loses', '2 units × 1, goal-state fails in some hooks, the ledger is lost', loses=1, **MUTE)
_on('mute-newcomer', '2 units × 1, the same, and the second is added', loses=1, newcomer=True, **MUTE)

# An operator tells Juju to go on after a hook has failed, which is not run again.
SKIPS: Dict[str, Any] = {'skips': True, 'looks': True}
_on('skips', '2 units × 1, failed hooks are resolved without a retry', terms=1, **SKIPS)
_on('skips-elected', '2 units × 1, the same, leadership moves', terms=2, **SKIPS)
_on(
    'skips-early',
    '2 units × 1, the same, released early, withdrawn, kept',
    releases=True,
    keeps=True,
    terms=1,
    **SKIPS,
)
_on('skips-wakes', '2 units × 1, the same, only hooks that must', wakes=True, terms=1, **SKIPS)
_on('skips-forgets', '2 units × 1, the same, local stores are lost', forgets=1, terms=1, **SKIPS)

# Hooks for news that cannot matter do not run (rule 19).
WAKES: Dict[str, Any] = {'wakes': True, 'terms': 1}
_on('wakes', '2 units × 1, only hooks that must', quick='3', **WAKES)
_on('wakes-twice', '2 units × 2, the same', asks=2, **WAKES)
_on('wakes-elected', '2 units × 1, the same, leadership moves', wakes=True, terms=2)
_on(
    'wakes-early',
    '2 units × 1, the same, released early, withdrawn, kept',
    releases=True,
    keeps=True,
    **WAKES,
)


# A leader is told to do something for all units, in a hook at any step (rules 20 - 23).
def _told(name: str, about: str, *words: str, quick: str = '', **kind: Any) -> None:
    _on(name, about, quick, words=words, **{'terms': 1, 'tokens': 4, **kind})


_told('roll', '2 units, each may start a roll while it leads', 'roll', quick='4', asks=0, terms=2)
_told('roll-beside', '2 units × 1, and a roll each', 'roll', tokens=6)
_told('roll-kept', '2 units × 1, kept, released early, and a roll', 'roll', releases=True, keeps=True)
_told(
    'roll-stages',
    '2 units × 1, two slots, and a roll in stages',
    'roll',
    policy=Policy(slots=2),
    batches=(1,),
)
_told(
    'roll-fails',
    '2 units, two slots, and a roll that a failure stops',
    'roll',
    asks=0,
    policy=Policy(slots=2),
)
_told(
    'roll-fails-aside',
    '2 units, the same, kept, with actions',
    'roll',
    asks=0,
    policy=Policy(slots=2),
    keeps=True,
    aside=True,
)
_told('roll-removed', '2 units, one is removed or lost, and a roll', 'roll', asks=0, removals=1)
_told('roll-newcomer', '2 units, one is added on the way, and a roll', 'roll', asks=0, newcomer=True)
_told('roll-forgets', '2 units, local stores are lost, and a roll', 'roll', asks=0, forgets=1)
_told('roll-forgets-asks', '2 units × 1, the same, and a request each', 'roll', forgets=1)
_told('roll-loses', '2 units × 1, the ledger is lost, and a roll', 'roll', loses=1, looks=True, terms=2)
_told('roll-aside', '2 units, a roll from an action', 'roll', asks=0, aside=True)
_told('roll-wakes', '2 units, a roll each, only hooks that must', 'roll', asks=0, wakes=True)
_told(
    'canary',
    '2 units, a roll that waits',
    'roll',
    'resume',
    quick='34',
    asks=0,
    told=2,
    batches=(1,),
    pause_after=1,
)
_told('pause', '2 units × 1, paused and resumed', 'pause', 'resume', told=2, tokens=2)
_told('pause-wakes', '2 units × 1, the same, only hooks that must', 'pause', 'resume', told=2, wakes=True)
_told('cancel', '2 units × 1, cancelled', 'cancel', tokens=2)
_told('cancel-roll', '2 units, a roll is started and cancelled', 'roll', 'cancel', asks=0, told=2)
_told('free', '2 units × 1, one may be freed', 'free')
_told('free-kept', '2 units × 1, the same, kept', 'free', keeps=True)
_told('free-roll', '2 units, a roll, and one may be freed', 'roll', 'free', asks=0, told=2)

# Two rolls of different locks stand in one queue, where each unit has two places.
ROLLS: Dict[str, Any] = {'asks': 0, 'told': 2, 'locks': TWO_LOCKS}
_told('rolls', '2 units, a roll of each of two locks', 'roll', 'roll b', **ROLLS)
_told('rolls-early', '2 units, the same, released early', 'roll', 'roll b', releases=True, **ROLLS)
_told('rolls-kept', '2 units, the same, kept', 'roll', 'roll b', releases=True, keeps=True, **ROLLS)
_told(
    'rolls-cancel',
    '2 units, the same, kept, and one cancelled',
    'roll',
    'roll b',
    'cancel b',
    keeps=True,
    **{**ROLLS, 'told': 3},
)

_on('gates', '2 units × 1, each with a gate that changes its mind', gates=True, terms=1)
_on('gates-wakes', '2 units × 1, the same, only hooks that must', gates=True, **WAKES)
_told('gates-roll', '2 units, the same, and a roll', 'roll', gates=True, asks=0)

# Two units, hooks of any kind at any time: no two hold, no ticket and no turn is lost.
_on('twice', '2 units × 2', asks=2, terms=2, **ANY_TIME)
_on('locks', '2 units × 1, two locks in one queue', quick='34', locks=TWO_LOCKS, terms=1, **ANY_TIME)
_on('forgets-once', '2 units × 1, local stores are lost', forgets=1, terms=1, **ANY_TIME)
_on('queues', '2 units × 1, two queues', locks=TWO_LOCKS, policy=PER_LOCK, terms=2, **ANY_TIME)
_on('again', '2 units × 2, kept, and asked for again', releases=True, keeps=True, asks=2, terms=1, **ANY_TIME)
_on('tokens', '2 units × 1, tokens up to 6', tokens=6, terms=3, **ANY_TIME)
_on('tokens-twice', '2 units × 2, tokens up to 7', asks=2, tokens=7, terms=2, **ANY_TIME)
_on('aside', '2 units × 1, actions, second and child processes', aside=True, terms=1, **ANY_TIME)
_on(
    'aside-forgets',
    '2 units × 1, the same, local stores are lost',
    aside=True,
    forgets=1,
    terms=1,
    **ANY_TIME,
)
_on('aside-loses', '2 units × 1, the same, the ledger is lost', aside=True, loses=1, terms=2, **ANY_TIME)
_on('aside-twice', '2 units × 2, the same', aside=True, asks=2, terms=1, **ANY_TIME)
_on('aba', '2 units × 1, leadership leaves and returns in a hook', aba=True, terms=6, **ANY_TIME)
_on('aba-twice', '2 units × 2, the same', aba=True, asks=2, terms=3, **ANY_TIME)
_on('aba-removed', '2 units × 1, and one is removed', aba=True, removals=1, terms=3, **ANY_TIME)
_on(
    'late',
    '2 units × 1, what a leader wrote lands late',
    '',
    '3',
    fine=True,
    late=True,
    aba=True,
    terms=3,
    **ANY_TIME,
)
_on('forgets-often', '2 units × 2, local stores are lost', forgets=2, asks=2, terms=1, **ANY_TIME)
_on('loses-often', '2 units × 1, the ledger is lost twice', loses=2, terms=3, **ANY_TIME)
_on('moves-kept', '2 units × 2, the model moves, turns are kept', '', '3', **MOVED_KEPT)
_on('reborn-twice', '2 units × 2, a name comes back', removals=1, reborn='anew', asks=2, terms=1, **ANY_TIME)
_on('reborn-disk', '2 units × 1, on its disk', removals=1, reborn='on its disk', terms=2, **ANY_TIME)

# A refresh of the charm changes `queues`, in one unit after the other.
REFRESHED: Dict[str, Any] = {'keeps': True, 'exclusive': True, 'terms': 1, 'anytime': True}
_on('refreshed', '2 units × 1, queues becomes per-lock', refreshed=PER_LOCK, **REFRESHED)
_on('refreshed-back', '2 units × 1, queues becomes one', policy=PER_LOCK, refreshed=Policy(), **REFRESHED)
_on(
    'refreshed-forgets',
    '2 units × 1, the same as refreshed, local stores are lost',
    refreshed=PER_LOCK,
    forgets=1,
    **REFRESHED,
)
_on(
    'refreshed-loses',
    '2 units × 1, the same, the ledger is lost',
    refreshed=PER_LOCK,
    loses=1,
    **{**REFRESHED, 'terms': 2},
)
_on(
    'refreshed-moves',
    '2 units × 1, the same, the model moves',
    '',
    '3',
    refreshed=PER_LOCK,
    moves=True,
    **{**REFRESHED, 'terms': 2},
)

_on('slots-more', '2 units × 1, 1 slot becomes 2', refreshed=Policy(slots=2), keeps=True, terms=1)
_on(
    'slots-fewer',
    '2 units × 1, 2 slots become 1',
    policy=Policy(slots=2),
    refreshed=Policy(),
    keeps=True,
    terms=1,
)

# Three units: of a peer's databag any version may be read that there ever was.
_on('three', '3 units × 1', terms=2, **THREE)
_on('slots', '3 units × 1, 2 slots', policy=Policy(slots=2), terms=2, **THREE)
_on('three-removed', '3 units × 1, one is removed or lost', removals=1, terms=2, **THREE)
_on('three-newcomer', '3 units × 1, the third is added on the way', newcomer=True, terms=2, **THREE)

# A policy decides on the leader. It is asked in the hook in which the leader releases its own
# lock, which is why a ticket names those it waits for (`after`).
ONE = Policy(per_lock=True, grow=growing(first_where_nobody_holds_it))
ANY = Policy(per_lock=True, grow=growing(first_where_nobody_else_holds_anything))
_on('refreshed-class', '2 units × 1, class becomes one of the charm', refreshed=ONE, **REFRESHED)
_on(
    'refreshed-class-back', '2 units × 1, it becomes the default', policy=ONE, refreshed=Policy(), **REFRESHED
)
_on('policy', '2 units × 2, a policy of one at a time', policy=ONE, asks=2, terms=1)
_on(
    'policy-locks',
    '2 units × 1, a policy that looks at two locks',
    policy=ANY,
    locks=TWO_LOCKS,
    exclusive=True,
    terms=1,
)
_on('policy-fine', '2 units × 1, a policy, others come between any two steps', policy=ONE, fine=True, terms=1)
_on(
    'policy-early',
    '2 units × 1, a policy, released early, withdrawn, kept',
    policy=ONE,
    releases=True,
    keeps=True,
    terms=1,
)
_on('policy-forgets', '2 units × 1, a policy, local stores are lost', policy=ONE, forgets=1, terms=1)
_on(
    'policy-reports',
    '2 units × 1, a policy, every release is reported',
    policy=ONE._replace(reports_releases=True),
    terms=1,
)
