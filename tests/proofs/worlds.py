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
        limit: the words of the fault that it is known to have, '' for none.
    """

    kind: Kind
    about: str
    quick: bool = False
    limit: str = ''


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


def _on(name: str, about: str, quick: str = '', juju: str = '34', limit: str = '', **kind: Any) -> None:
    """Add a world on each ledger: 3 for leader settings, 4 for the application databag."""
    for version in juju:
        WORLDS['{}-{}'.format(name, version)] = World(
            Kind(juju=int(version), **kind), about, version in quick, limit
        )


WORLDS: Dict[str, World] = {}
THREE: Dict[str, Any] = {'units': 3, 'anytime': True, 'stale': True, 'symmetric': True}
PER_LOCK = Policy(per_lock=True)

# Two units, exactly as in Juju.
_on('twice', '2 units × 2 requests', quick='4', asks=2)
_on('fine', '2 units × 1, others come between any two steps of a hook', quick='34', fine=True)
_on('locks', '2 units × 1, two locks in one queue', quick='34', locks=TWO_LOCKS)
_on('locks-twice', '2 units × 2, two locks in one queue', asks=2, locks=TWO_LOCKS)
_on('queues', '2 units × 1, two locks in two queues', quick='34', locks=TWO_LOCKS, policy=PER_LOCK)
_on('queues-twice', '2 units × 2, two locks in two queues', asks=2, locks=TWO_LOCKS, policy=PER_LOCK)
_on('early', '2 units × 1, released early, withdrawn, kept', quick='34', releases=True, keeps=True)
_on('again', '2 units × 2, the same, and asked for again', asks=2, releases=True, keeps=True)
_on('classic', '2 units × 1, a charm without charms.reactive', quick='34', classic=True)
_on('tokens', '2 units × 1, tokens up to 6', quick='34', tokens=6)
_on('tokens-twice', '2 units × 2, tokens up to 7', asks=2, tokens=7)

# Between a failed hook and its retry, and beside a hook.
_on('aside', '2 units × 1, actions, juju exec, second and child processes', quick='34', aside=True)
_on('aside-twice', '2 units × 2, the same', asks=2, aside=True)

# Leadership leaves and returns within a hook; a leader's write lands late.
_on('aba', '2 units × 1, leadership leaves and returns in a hook', quick='34', aba=True, terms=6)
_on('aba-twice', '2 units × 2, the same', aba=True, terms=4, asks=2)
_on('late', '2 units × 1, and what a leader wrote lands late', '3', '3', fine=True, late=True, aba=True)

# Something is lost, or comes back.
_on('forgets', '2 units × 1, local stores are lost', quick='34', forgets=1)
_on('spoils', '2 units × 1, databags are lost', quick='34', spoils=True, looks=True)
_on('loses', '2 units × 1, the ledger is lost, or marked as lost', quick='34', loses=1, looks=True)
_on('moves', '2 units × 1, the model moves to Juju 4', '3', '3', moves=True, looks=True)
_on('removed', '2 units × 1, one is removed or lost', quick='34', removals=1)
_on('removed-twice', '2 units × 2, one is removed or lost', asks=2, removals=1)
_on('reborn', '2 units × 1, and its name comes back', removals=1, reborn='anew', looks=True)
_on(
    'reborn-disk',
    '2 units × 1, and its name comes back on its former disk',
    removals=1,
    reborn='on its disk',
    looks=True,
)
_on('newcomer', '2 units × 1, the second is added on the way', quick='34', newcomer=True)
_on('newcomer-twice', '2 units × 2, the second is added on the way', asks=2, newcomer=True)
_on('subordinate', '2 subordinates × 1, one leaves or is lost', quick='34', subordinate=True, removals=1)

# A refresh of the charm changes `queues`, in one unit after the other.
REFRESHED: Dict[str, Any] = {'refreshed': PER_LOCK, 'keeps': True, 'exclusive': True}
_on('refreshed', '2 units × 1, queues becomes per-lock', quick='34', **REFRESHED)
_on(
    'refreshed-back',
    '2 units × 1, queues becomes one',
    **{**REFRESHED, 'policy': PER_LOCK, 'refreshed': Policy()},
)

# Three units: any hook at any time, and of a peer's databag any version there ever was.
_on('three', '3 units × 1', **THREE)
_on('slots', '3 units × 1, 2 slots', policy=Policy(slots=2), **THREE)
_on('three-removed', '3 units × 1, one is removed or lost', removals=1, **THREE)
_on('three-newcomer', '3 units × 1, the third is added on the way', newcomer=True, **THREE)

# A policy decides on the leader. It is asked in the hook in which the leader releases its own
# lock, which is why a ticket names those it waits for (`after`).
ONE = Policy(per_lock=True, grow=growing(first_where_nobody_holds_it))
ANY = Policy(per_lock=True, grow=growing(first_where_nobody_else_holds_anything))
_on('policy', '2 units × 2, a policy of one at a time', '34', policy=ONE, asks=2)
_on(
    'policy-locks',
    '2 units × 1, a policy that looks at two locks',
    '34',
    policy=ANY,
    locks=TWO_LOCKS,
    exclusive=True,
)
_on('policy-fine', '2 units × 1, a policy, others come between any two steps', '34', policy=ONE, fine=True)
_on(
    'policy-early',
    '2 units × 1, a policy, released early, withdrawn, kept',
    '34',
    policy=ONE,
    releases=True,
    keeps=True,
)
_on('policy-forgets', '2 units × 1, a policy, local stores are lost', '34', policy=ONE, forgets=1)
_on(
    'policy-reports',
    '2 units × 1, a policy, every release is reported',
    '34',
    policy=ONE._replace(reports_releases=True),
)
