"""Policies that a charm's own class decides on the leader, and the session of every coordinator.

What lives here: the question that the leader asks such a policy, the tickets that
follow from the answers, who holds what as it sees it, and the session that asks. What must not: a hook
tool, the classes that charms derive from, a name that charms know.
"""

from typing import AbstractSet, Any, Callable, Dict, FrozenSet, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.policy import Grow
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.values import ALL_LOCKS, MAX_TOKEN, NO_CLAIM, Claims, Ledger, Ticket

# For each unit, the locks that it holds or has asked for, each with the time of the request.
Locks = Dict[str, Dict[str, str]]


class Question(NamedTuple):
    """What the leader asks a policy: may this unit hold this lock now?

    Args:
        ledger: the ledger as it would be without this request.
        claims: what every unit says.
        lock: the lock.
        unit: the unit that asks for it.
    """

    ledger: Ledger
    claims: Claims
    lock: str
    unit: str

    @property
    def grants(self) -> Locks:
        """By unit, all locks that are held, or that a ticket allows the unit to hold."""
        return grants(self.ledger, self.claims)

    @property
    def granted(self) -> FrozenSet[str]:
        """The units, other than `unit`, that hold the lock or have a ticket that allows them to."""
        return frozenset(unit for unit, locks in self.grants.items() if self.lock in locks) - {self.unit}

    @property
    def queue(self) -> Tuple[str, ...]:
        """The units that wait for the lock, including `unit`, by time of the request and then by name."""
        return tuple(unit for unit, _ in rules.unserved(self.ledger, self.claims).get(self.lock, []))


def growing(decide: Callable[[Question], bool]) -> Grow:
    """Return a function that gives tickets by asking a policy about each request that has no ticket.

    Requests are taken in their order, whatever the lock. If the policy says yes, the
    unit gets a ticket that is held at once: the policy has seen what is granted, and
    says that this lock may be held as well. It waits only for the tickets that
    `_unsettled` returns.

    Requests in the queue of all locks come from units whose charm has no such
    policy yet, during a charm upgrade. They get tickets by the common rules.

    Args:
        decide: answers a Question; must not raise.

    Returns:
        A function of a ledger, claims, committed claims and units that are gone,
        with the meaning that they have in `rules.appended`. It returns a ledger, in
        which finished tickets remain.
    """

    def grow(ledger: Ledger, claims: Claims, committed: Claims, gone: AbstractSet[str]) -> Ledger:
        known = {key: claim for key, claim in claims.items() if key[0] not in gone}
        of_all = {key: claim for key, claim in known.items() if key[1] == ALL_LOCKS}
        grown = rules.appended(ledger, of_all, {}, 1, gone)
        waiting = rules.unserved(grown, known)
        waiting.pop(ALL_LOCKS, None)
        asking = [(rules.order_of(each), lock, each[1]) for lock in waiting for each in waiting[lock]]
        for (_, requested_at, unit), lock, claim in sorted(asking):
            after = _unsettled(grown, known, committed, unit)
            ask = claim.asked, 1, '', after, requested_at, claim.nonce
            ticket = Ticket(grown.token + 1, lock, unit, *ask)
            fits = rules.bytes_of(ticket) <= rules.room_after(grown.tickets) and ticket.token <= MAX_TOKEN
            if ledger.readable and fits and decide(Question(grown, known, lock, unit)):
                grown = grown._replace(token=ticket.token, tickets=(*grown.tickets, ticket))
        return grown

    return grow


def _unsettled(ledger: Ledger, claims: Claims, committed: Claims, unit: str) -> Tuple[int, ...]:
    """Return the tokens of the tickets of others that a new ticket of a unit waits for.

    There are two kinds, for any lock. The first are the leader's own tickets that it
    has released in the hook that asks: the policy sees them as finished, but they
    are not if the hook fails. The second are tickets that no policy gave: no policy
    can say what may be held at the same time.
    """
    others = (ticket for ticket in ledger.tickets if ticket.unit != unit)
    unsettled = (ticket for ticket in others if ticket.after is None or rules.finished(ticket, claims))
    return tuple(ticket.token for ticket in unsettled if not rules.finished(ticket, committed))


def grants(ledger: Ledger, claims: Claims) -> Locks:
    """Return which locks each unit may use, and when it asked for them ('' if that is not known)."""
    held: Locks = {}
    unfinished = (ticket for ticket in ledger.tickets if not (ticket.raw or rules.finished(ticket, claims)))
    for ticket in unfinished:
        # A ticket that a policy gave counts as held from the moment it was given.
        if ticket.after is not None or rules.is_turn(ledger, ticket, claims):
            claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
            asked = dict(claim.locks) if claim.asked == ticket.ask else {}
            if ticket.queue != ALL_LOCKS:
                asked = {ticket.queue: ticket.requested_at or asked.get(ticket.queue, '')}
            held.setdefault(ticket.unit, {}).update(asked)
    return held


def requests(claims: Claims) -> Locks:
    """Return which locks each unit has asked for and not finished with, and when it asked."""
    asked: Locks = {}
    for (unit, _), claim in claims.items():
        if claim.outstanding:
            asked.setdefault(unit, {}).update(claim.locks)
    return asked


class LeaderSession(Session):
    """The session of every coordinator. Without `policy.grow` it does just what Session does.

    With it, the leader asks the charm's own code which requests get tickets.

    Attributes:
        question: what that code is being asked now, None at any other time.
        reported: the tickets whose release was reported to it.
    """

    port: Any  # a Juju
    question: Optional[Question] = None
    reported: Tuple[Ticket, ...] = ()
    _meanwhile: Tuple[str, ...] = ()  # locks that the charm's code asked for while it was being asked

    def request(self, lock: str) -> bool:
        """Ask for a lock once, as Session does; a leader that still waits for it asks the policy again."""
        if self.question:  # the answer to it comes first
            self._meanwhile += (lock,)
            return self.turn(lock) is not None
        if lock in self.requested and not self.turn(lock):
            self.lead()
        return super().request(lock)

    def lead(self) -> None:
        """As the leader, ask the policy again about each request that has no ticket."""
        if self.question or not (self.leading and self.policy.grow):
            return
        if not self.ledger_read:
            self._read_ledger()
        if self._is_due():
            self._append()
            self._take_turns()
        self._show_locks()

    def known(self) -> Tuple[Ledger, Claims]:
        """Return the ledger and all claims, during a question as the policy should see them.

        A leader knows the claims of all units. Any other unit reads the ledger, and
        each unit's claim once a hook, and saves none of it.
        """
        if self.question:
            return self.question.ledger, self.question.claims
        if not self.ledger_read:
            self._read_ledger()
        remembered = self.state, self.unheard
        if not self.leading:
            self._read_claims(sorted(self.port.everybody()))
        claims, (self.state, self.unheard) = self.claims, remembered
        return self.ledger or Ledger(), claims

    def _show_locks(self) -> None:
        super()._show_locks()
        while self._meanwhile:
            lock, self._meanwhile = self._meanwhile[-1], self._meanwhile[:-1]
            if lock not in self.requested:
                self.request(lock)
