"""The small worlds that are searched, by name; `make test` visits a part of them, `make prove` all."""

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, NamedTuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.compat.deciding import Question, growing
from charms.layer.coordinator.policy import Policy

from tests.proofs.smallworld import Kind

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

    with _claims_without_tokens(kind):
        return Search(kind, tell).run(most, only)


@contextmanager
def _claims_without_tokens(kind: Kind) -> Iterator[None]:
    """Where a policy decides, let claims say no token.

    There the tickets have tokens, since they name one another by them. The last token of a
    claim would then make two worlds of one: it matters only when a ledger is lost.
    """
    released = rules.released
    if kind.policy.grow:
        rules.released = lambda claim, token=0: released(claim)._replace(token=0)
    try:
        yield
    finally:
        rules.released = released


def _on(name: str, about: str, quick: str = '', juju: str = '34', limit: str = '', **kind: Any) -> None:
    """Add a world on each ledger: 3 for leader settings, 4 for the application databag."""
    for version in juju:
        WORLDS['{}-{}'.format(name, version)] = World(
            Kind(juju=int(version), **kind), about, version in quick, limit
        )


WORLDS: Dict[str, World] = {}
THREE: Dict[str, Any] = {'units': 3, 'anytime': True, 'symmetric': True}

# Two units, exactly as in Juju.
_on('twice', '2 units × 2 requests', quick='4', asks=2)
_on('thrice', '2 units × 3 requests', asks=3)
_on('fine', '2 units × 1, others come between any two steps of a hook', quick='34', fine=True)
_on('locks', '2 units × 1, two locks in one queue', quick='34', locks=TWO_LOCKS)
_on('locks-twice', '2 units × 2, two locks in one queue', asks=2, locks=TWO_LOCKS)
_on('queues', '2 units × 1, two locks in two queues', quick='34', locks=TWO_LOCKS, policy=Policy(True))
_on('queues-twice', '2 units × 2, two locks in two queues', asks=2, locks=TWO_LOCKS, policy=Policy(True))
_on('early', '2 units × 1, released early, withdrawn, kept', quick='34', releases=True, keeps=True)
_on('again', '2 units × 2, the same, and asked for again', asks=2, releases=True, keeps=True)
_on('forgets', '2 units × 1, local stores are lost', quick='34', forgets=True)
_on('removed', '2 units × 1, one is removed or lost', quick='34', removals=1)
_on('removed-twice', '2 units × 2, one is removed or lost', asks=2, removals=1)
_on('newcomer', '2 units × 1, the second is added on the way', quick='34', newcomer=True)
_on('newcomer-twice', '2 units × 2, the second is added on the way', asks=2, newcomer=True)
_on('tokens', '2 units × 1, tokens up to 6', quick='34', tokens=6)
_on('tokens-twice', '2 units × 2, tokens up to 7', asks=2, tokens=7)
_on('aba', '2 units × 1, leadership leaves and returns in a hook', quick='3', juju='3', aba=True)

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
_on('policy-forgets', '2 units × 1, a policy, local stores are lost', '34', policy=ONE, forgets=True)
_on(
    'policy-reports',
    '2 units × 1, a policy, every release is reported',
    '34',
    policy=ONE._replace(reports_releases=True),
)

# What is known not to hold: docs/limits.md.
# No two subordinates hold one lock, not even where one leaves. Where one is lost that has a ticket, all
# others wait for ever. Two did hold it while the leader regarded a leaver as gone at update-status:
# remove app/0 · begin app/1, app/0 left, ask · fail app/1 · begin app/0 (a retry), ask: it works ·
# elect app/1 · begin, succeed · update-status: so does app/1.
TWO_HOLD, FOR_EVER = 'hold one lock', 'waiting for ever'
_on('aba', '2 units × 2, leadership leaves and returns in a hook', '4', '4', TWO_HOLD, asks=2, aba=True)
_on(
    'subordinate',
    '2 subordinates × 1, one leaves or is lost',
    '34',
    '34',
    FOR_EVER,
    subordinate=True,
    removals=1,
)
