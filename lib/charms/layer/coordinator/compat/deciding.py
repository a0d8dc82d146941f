"""Policies that decide on the leader: a policy that grows the ledger by itself.

What lives here: what such a policy is asked, which tickets its answers give,
and who holds what in its eyes. What must not: IO, the classes that charms
derive from.
"""

from typing import AbstractSet, Callable, Dict, FrozenSet, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.policy import Grow
from charms.layer.coordinator.rules import ALL_LOCKS, MAX_TOKEN, NO_CLAIM, Claims, Ledger, Ticket

Locks = Mapping[str, Mapping[str, str]]
"""For each unit the locks that it holds, or has asked for, and when it asked."""


class Question(NamedTuple):
    """What a policy is asked on the leader: may this unit hold this lock now?

    Args:
        lock: the lock.
        unit: the unit that asks for it.
        granted: the units, other than `unit`, that hold the lock or have a
            ticket by which they may.
        queue: the units that wait for it, including `unit`, by time of the
            request and then by name.
        grants: what `granted` says, for every lock there is, by unit.
        requests: all that is asked for, including what is granted, by unit.
    """

    lock: str
    unit: str
    granted: FrozenSet[str]
    queue: Tuple[str, ...]
    grants: Locks
    requests: Locks


Decide = Callable[[Question], bool]


def growing(decide: Decide) -> Grow:
    """Return a growth of the ledger that asks a policy about each request; `decide` must not raise."""

    def grow(ledger: Ledger, claims: Claims, committed: Claims, gone: AbstractSet[str]) -> Ledger:
        return decided(ledger, claims, committed, decide, gone)

    return grow


def decided(
    ledger: Ledger, claims: Claims, committed: Claims, decide: Decide, gone: AbstractSet[str] = frozenset()
) -> Ledger:
    """Return the ledger after a policy was asked about each request that has no ticket.

    Requests are taken in their order, whatever the lock. A yes is a ticket that
    is held at once: the policy has seen what is granted, and says that this may
    go beside it. The ticket waits only for those in `_unsettled`.

    Requests in the queue of all locks come from units whose charm has no such
    policy yet, during a charm upgrade. They get tickets by the common rules.

    Args:
        ledger: as for `rules.appended`; finished tickets stay in it.
        claims: as for `rules.appended`.
        committed: as for `rules.appended`.
        decide: answers a Question; must not raise.
        gone: as for `rules.appended`.
    """
    if not ledger.readable:
        return ledger
    known = {key: claim for key, claim in claims.items() if key[0] not in gone}
    of_all = {key: claim for key, claim in known.items() if key[1] == ALL_LOCKS}
    grown = rules.appended(ledger, of_all, {}, 1, gone)
    waiting = rules.unserved(grown, known)
    waiting.pop(ALL_LOCKS, None)
    asking = [
        (rules.order_of((unit, claim)), lock, claim) for lock in waiting for unit, claim in waiting[lock]
    ]
    for (_, requested_at, unit), lock, claim in sorted(asking):
        unsettled = _unsettled(grown, known, committed, unit)
        ticket = Ticket(grown.token + 1, lock, unit, claim.asked, after=unsettled, requested_at=requested_at)
        fits = rules.bytes_of(ticket) <= rules.room_after(grown.tickets) and ticket.token <= MAX_TOKEN
        if fits and decide(question(grown, known, lock, unit)):
            grown = Ledger(ticket.token, grown.tickets + (ticket,))
    return grown


def question(ledger: Ledger, claims: Claims, lock: str, unit: str) -> Question:
    """Return what a policy is asked about a request that has no ticket."""
    held = grants(ledger, claims)
    return Question(
        lock=lock,
        unit=unit,
        granted=frozenset(holder for holder in held if lock in held[holder]) - {unit},
        queue=tuple(asking for asking, _ in rules.unserved(ledger, claims).get(lock, [])),
        grants=held,
        requests=requests(claims),
    )


def _unsettled(ledger: Ledger, claims: Claims, committed: Claims, unit: str) -> Tuple[int, ...]:
    """Return the tokens of the tickets of others that a new ticket of a unit waits for.

    Whatever the lock, these are two kinds. The leader's own tickets that it has
    released in the hook that asks: the policy sees them as finished, but the
    hook may fail, and then they are not. And tickets that no policy gave: no
    policy can say what may go beside them.
    """
    return tuple(
        ticket.token
        for ticket in ledger.tickets
        if ticket.unit != unit
        and not rules.finished(ticket, committed)
        and (ticket.after is None or rules.finished(ticket, claims))
    )


def grants(ledger: Optional[Ledger], claims: Claims) -> Dict[str, Dict[str, str]]:
    """Return which locks each unit may use, and when it asked for them, '' where that is not known."""
    held: Dict[str, Dict[str, str]] = {}
    for ticket in ledger.tickets if ledger else ():
        if ledger and _is_held(ledger, ticket, claims):
            held.setdefault(ticket.unit, {}).update(_locks_of(ticket, claims))
    return held


def _is_held(ledger: Ledger, ticket: Ticket, claims: Claims) -> bool:
    """Return whether a ticket counts as granted. One that a policy gave does so from then on."""
    if ticket.raw or rules.finished(ticket, claims):
        return False
    return ticket.after is not None or rules.is_turn(ledger, ticket, claims)


def _locks_of(ticket: Ticket, claims: Claims) -> Dict[str, str]:
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    asked = dict(claim.locks) if claim.asked == ticket.ask else {}
    return (
        asked
        if ticket.queue == ALL_LOCKS
        else {ticket.queue: ticket.requested_at or asked.get(ticket.queue, '')}
    )


def requests(claims: Claims) -> Dict[str, Dict[str, str]]:
    """Return which locks each unit has asked for and not finished with, and when it asked."""
    asked: Dict[str, Dict[str, str]] = {}
    for (unit, _), claim in claims.items():
        if claim.outstanding:
            asked.setdefault(unit, {}).update(claim.locks)
    return asked
