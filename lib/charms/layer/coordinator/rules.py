"""The rules of taking turns: values in, values out.

What lives here: claims, tickets, the ledger, whose turn it is, what the leader
appends, and the sentence that says why not yet. What must not: IO, a clock, a
log, a flag name, anything of Juju's.

    a unit says        the leader gives            everyone works out alone
    claim 3 asked,  →  ticket 17 for ask 3 of  →   fewer than `slots` unfinished
          2 done       app/1, in the ledger        tickets ahead: app/1 holds
"""

import json
from typing import (
    AbstractSet,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Tuple,
)

ALL_LOCKS = ''
"""The queue that all locks share by default. No lock can have this name."""

MAX_COUNT = 10**9
"""No count goes above this, and none above is believed: a request a second for thirty years."""

MAX_TOKEN = 2**53
"""No token goes above this: not every reader of JSON has greater whole numbers."""

MAX_BYTES = 120000
"""The longest ledger a leader writes. A ledger is one argument of a command
line, 128 KiB at most on Linux; a request beyond this waits in its claim."""


class Claim(NamedTuple):
    """What one unit says of itself about one queue.

    `asked` and `done` only grow; the claim is a request while `asked > done`.
    `locks` are the names asked for and when (UTC, as text that sorts). `kept`
    says that the turn has begun and goes on in the next hook. `token` is the
    last token this unit held in this queue, 0 for none.
    """

    asked: int = 0
    done: int = 0
    locks: Tuple[Tuple[str, str], ...] = ()
    kept: bool = False
    token: int = 0

    @property
    def outstanding(self) -> bool:
        return self.asked > self.done

    @property
    def names(self) -> Tuple[str, ...]:
        return tuple(name for name, _ in self.locks)


class Ticket(NamedTuple):
    """A place in a queue, given by the leader.

    `slots` is fixed when the ticket is given: how many tickets of the queue
    may be held at once, this one included. So a later change of the option, or
    of the number of units under a percentage, takes nothing from a holder.
    `raw` is set only where the ledger's entry could not be read: the entry's
    text, which is written back as it was, and the ticket is never finished.
    `after` is set only where a policy decided on the leader: the tokens of the
    earlier tickets that this one waits for, and it waits for no other. `since`
    is the time of the request, where somebody wants to be told of its release.
    """

    token: int
    queue: str
    unit: str
    ask: int
    slots: int = 1
    raw: str = ''
    after: Optional[Tuple[int, ...]] = None
    since: str = ''


class Ledger(NamedTuple):
    """The leader's one record: the last token given, and tickets in order."""

    token: int = 0
    tickets: Tuple[Ticket, ...] = ()
    readable: bool = True


UNREADABLE = Ledger(readable=False)
"""A ledger that is there and cannot be read: nobody may hold by it, nobody may write over it."""

Claims = Mapping[Tuple[str, str], Claim]
"""Claims by (unit, queue)."""

NO_CLAIM = Claim()

Locks = Mapping[str, Mapping[str, str]]
"""For each unit the locks it holds, or has asked for, and since when it asked."""


class Question(NamedTuple):
    """What a policy is asked on the leader: may this unit hold this lock now?

    Args:
        granted: the units that hold the lock, or have been told that they may; never `unit`.
        queue: the units that wait for it, by time of the request and then by name; `unit` is in it.
        grants: the same as `granted` for every lock there is, by unit.
        requests: all that is asked for, what is granted included, by unit.
    """

    lock: str
    unit: str
    granted: FrozenSet[str]
    queue: Tuple[str, ...]
    grants: Locks
    requests: Locks


Decide = Callable[[Question], bool]


# What a unit says


def asked_for(claim: Claim, lock: str, since: str) -> Claim:
    """Return the claim with one lock more; asking again changes nothing, nor does asking beyond MAX_COUNT."""
    if not claim.outstanding:
        if claim.asked >= MAX_COUNT:
            return claim
        return claim._replace(asked=claim.asked + 1, locks=((lock, since),), kept=False)
    if lock in claim.names:
        return claim
    return claim._replace(locks=tuple(sorted(claim.locks + ((lock, since),))))


def released(claim: Claim, token: int = 0) -> Claim:
    """Return the claim with nothing outstanding, after a turn of that token if any."""
    return Claim(claim.asked, claim.asked, (), False, max(claim.token, token))


def without(claim: Claim, lock: str, token: int = 0) -> Claim:
    """Return the claim with one lock less; the last lock takes the whole turn with it."""
    rest = tuple(pair for pair in claim.locks if pair[0] != lock)
    if not rest:
        return released(claim, token)
    return claim._replace(locks=rest)


def merged(ours: Claim, theirs: Claim) -> Claim:
    """Return the truth behind two versions of one claim: counts merge by max.

    The names belong to the newer version; where both are as new, to the first.
    """
    newer = theirs if (theirs.asked, theirs.done) > (ours.asked, ours.done) else ours
    both = newer._replace(
        asked=max(ours.asked, theirs.asked),
        done=max(ours.done, theirs.done),
        token=max(ours.token, theirs.token),
    )
    return both if both.outstanding else released(both)


# Whose turn it is


def finished(ticket: Ticket, claims: Claims) -> bool:
    """Whether the ticket's unit has said it is done. Absence is never a release."""
    if ticket.raw:
        return False
    return claims.get((ticket.unit, ticket.queue), NO_CLAIM).done >= ticket.ask


def excludes(one: Ticket, other: Ticket) -> bool:
    """Whether two tickets wait for one another.

    Tickets of one queue do. So do a ticket of the queue of all locks and one
    of a single lock: both kinds are in the ledger only while units with
    different options run side by side, in the minutes of a charm upgrade.
    """
    return one.queue == other.queue or ALL_LOCKS in (one.queue, other.queue)


def before(ledger: Ledger, ticket: Ticket) -> Tuple[Ticket, ...]:
    """Return the tickets of other units that this one may have to wait for, in order."""
    place = ledger.tickets.index(ticket)
    return tuple(
        earlier
        for earlier in ledger.tickets[:place]
        if earlier.unit != ticket.unit and _may_delay(earlier, ticket)
    )


def _may_delay(earlier: Ticket, ticket: Ticket) -> bool:
    return excludes(earlier, ticket) if ticket.after is None else earlier.token in ticket.after


def ahead(ledger: Ledger, ticket: Ticket, claims: Claims) -> Tuple[Ticket, ...]:
    """Return the unfinished tickets before this one, as far as these claims tell.

    Old claims can only make this longer: counts never fall.
    """
    return tuple(earlier for earlier in before(ledger, ticket) if not finished(earlier, claims))


def ticket_of(ledger: Optional[Ledger], unit: str, queue: str, claim: Claim) -> Optional[Ticket]:
    """Return the ticket for a unit's outstanding request, None while it has none."""
    if ledger is None or not claim.outstanding:
        return None
    for ticket in ledger.tickets:
        if (ticket.unit, ticket.queue, ticket.ask) == (unit, queue, claim.asked):
            return ticket
    return None


def adopted(ledger: Optional[Ledger], unit: str, own: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return a unit's own claims, raised to the asks that the ledger knows of.

    A ticket for an ask above the claim means that the unit asked and lost its
    own record of it, with its disk for instance.
    """
    claims = dict(own)
    for ticket in ledger.tickets if ledger else ():
        claim = claims.get(ticket.queue, NO_CLAIM)
        if ticket.unit == unit and not ticket.raw and ticket.ask > claim.asked:
            claims[ticket.queue] = claim._replace(asked=ticket.ask)
    return claims


# What the leader appends


def unserved(ledger: Ledger, claims: Claims) -> Dict[str, List[Tuple[str, Claim]]]:
    """Return the requests that have no ticket, by queue, each queue in order.

    In order: a turn that had begun before a ledger was lost, then by time of
    the request, then by unit. Clocks decide nothing else.
    """
    seated = {(ticket.unit, ticket.queue, ticket.ask) for ticket in ledger.tickets}
    waiting: Dict[str, List[Tuple[str, Claim]]] = {}
    for (unit, queue), claim in claims.items():
        if claim.outstanding and (unit, queue, claim.asked) not in seated:
            waiting.setdefault(queue, []).append((unit, claim))
    for requests in waiting.values():
        requests.sort(key=_order)
    return waiting


def _order(request: Tuple[str, Claim]) -> Tuple[bool, str, str]:
    unit, claim = request
    return (not claim.kept, since_of(claim), unit)


def since_of(claim: Claim) -> str:
    """Return when the first of the locks was asked for, '' where none is named."""
    return min((since for _, since in claim.locks), default='')


def appended(
    ledger: Ledger,
    claims: Claims,
    committed: Claims,
    slots: int,
    gone: AbstractSet[str] = frozenset(),
    dated: bool = False,
) -> Ledger:
    """Return the ledger after the leader has looked at it once.

    Tickets are appended for all requests known of a queue, once fewer than
    `slots + 1` of its tickets are unfinished: a write wakes every unit, and a
    waiting request is safe in its claim. Where nothing is appended and nobody
    of those named is gone, the ledger comes back as it was.

    Args:
        ledger: as read just before. One that cannot be read comes back as it was.
        claims: the requests: what each unit says, this one's own truth included.
        committed: the releases: what each unit has said in a hook that
            succeeded. This unit's own unfinished hook must not be in it.
        slots: how many tickets of a queue may be held at once, at least 1.
        gone: units that will never run again; only their tickets are dropped unfinished.
        dated: a ticket tells the time of its request.
    """
    if not ledger.readable:
        return ledger
    standing = tuple(
        ticket for ticket in ledger.tickets if ticket.unit not in gone and not finished(ticket, committed)
    )
    token, added, room = ledger.token, [], _room(standing)  # type: int, List[Ticket], int
    if room < 0:
        return ledger
    for queue, requests in sorted(unserved(ledger, claims).items()):
        if _unfinished(ledger, queue, claims, gone) > slots:
            continue
        for unit, claim in requests:
            ticket = Ticket(
                token + 1, queue, unit, claim.asked, slots, since=since_of(claim) if dated else ''
            )
            if unit not in gone and _bytes(ticket) <= room and token < MAX_TOKEN:
                token, room = ticket.token, room - _bytes(ticket)
                added.append(ticket)
    if added or any(ticket.unit in gone for ticket in ledger.tickets):
        return Ledger(token, standing + tuple(added))
    return ledger


def _room(tickets: Iterable[Ticket]) -> int:
    return MAX_BYTES - sum(_bytes(ticket) for ticket in tickets)


def _bytes(ticket: Ticket) -> int:
    """Return at least what a ticket takes on the wire, where a letter that is not ASCII takes up to 12."""
    words = ticket.raw or ticket.queue + ticket.unit + ticket.since
    return 48 + 17 * len(ticket.after or ()) + len(json.dumps(words))


def _unfinished(ledger: Ledger, queue: str, claims: Claims, gone: AbstractSet[str]) -> int:
    return sum(
        ticket.queue == queue and ticket.unit not in gone and not finished(ticket, claims)
        for ticket in ledger.tickets
    )


# What a policy decides


def decided(
    ledger: Ledger, claims: Claims, committed: Claims, decide: Decide, gone: AbstractSet[str] = frozenset()
) -> Ledger:
    """Return the ledger after a policy was asked about each request that has no ticket.

    They are taken in the order of the requests, whatever the lock. A yes is a
    ticket, held at once: the policy has seen what is granted and says that
    this goes beside it. Only what its answer takes for over, and what it knows
    nothing of, must be over first, see `_unsettled`.

    Requests in the queue of all locks come from units whose charm has no such
    policy yet, in the minutes of a charm upgrade, and get tickets as ever.

    Args:
        ledger, claims, committed, gone: as for `appended`; but what is finished stays.
        decide: answers a Question; must not raise.
    """
    if not ledger.readable:
        return ledger
    known = {key: claim for key, claim in claims.items() if key[0] not in gone}
    of_all = {key: claim for key, claim in known.items() if key[1] == ALL_LOCKS}
    grown = appended(ledger, of_all, {}, 1, gone)
    waiting = unserved(grown, known)
    waiting.pop(ALL_LOCKS, None)
    asking = [(_order((unit, claim)), lock, claim) for lock in waiting for unit, claim in waiting[lock]]
    for (_, since, unit), lock, claim in sorted(asking):
        unsettled = _unsettled(grown, known, committed, unit)
        ticket = Ticket(grown.token + 1, lock, unit, claim.asked, after=unsettled, since=since)
        fits = _bytes(ticket) <= _room(grown.tickets) and ticket.token <= MAX_TOKEN
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
        queue=tuple(asking for asking, _ in unserved(ledger, claims).get(lock, [])),
        grants=held,
        requests=requests(claims),
    )


def _unsettled(ledger: Ledger, claims: Claims, committed: Claims, unit: str) -> Tuple[int, ...]:
    """Return the tokens of the tickets of others that a new ticket of a unit waits for.

    These are, whatever the lock, the leader's own that it has released in the
    very hook that asks: the policy sees them as over, but the hook may fail
    and then they are not. And those that no policy gave: nobody can say beside
    what they go.
    """
    return tuple(
        ticket.token
        for ticket in ledger.tickets
        if ticket.unit != unit
        and not finished(ticket, committed)
        and (ticket.after is None or finished(ticket, claims))
    )


def grants(ledger: Optional[Ledger], claims: Claims) -> Dict[str, Dict[str, str]]:
    """Return which locks each unit may use, and since when it asked for them, '' where that is not known."""
    held: Dict[str, Dict[str, str]] = {}
    for ticket in ledger.tickets if ledger else ():
        if not (ticket.raw or finished(ticket, claims) or _waits(ledger, ticket, claims)):
            held.setdefault(ticket.unit, {}).update(_locks_of(ticket, claims))
    return held


def _waits(ledger: Optional[Ledger], ticket: Ticket, claims: Claims) -> bool:
    """Whether the ticket's turn has not come; what a policy gave counts as granted from then on."""
    return ticket.after is None and len(ahead(ledger or Ledger(), ticket, claims)) >= ticket.slots


def _locks_of(ticket: Ticket, claims: Claims) -> Dict[str, str]:
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    asked = dict(claim.locks) if claim.asked == ticket.ask else {}
    return asked if ticket.queue == ALL_LOCKS else {ticket.queue: ticket.since or asked.get(ticket.queue, '')}


def requests(claims: Claims) -> Dict[str, Dict[str, str]]:
    """Return which locks each unit has asked for and not finished with, and since when."""
    asked: Dict[str, Dict[str, str]] = {}
    for (unit, _), claim in claims.items():
        if claim.outstanding:
            asked.setdefault(unit, {}).update(claim.locks)
    return asked


def over(ledger: Optional[Ledger], committed: Claims) -> Tuple[Ticket, ...]:
    """Return the tickets that stand in the ledger and are finished."""
    return tuple(ticket for ticket in (ledger.tickets if ledger else ()) if finished(ticket, committed))


def pruned(ledger: Ledger, dropped: Iterable[Ticket]) -> Ledger:
    """Return the ledger without those tickets."""
    left = set(dropped)
    return ledger._replace(tickets=tuple(ticket for ticket in ledger.tickets if ticket not in left))


# A ledger that is lost, a unit that is gone


def rebuilt(claims: Claims) -> Ledger:
    """Return the empty ledger to begin with where there is none.

    Its token is above all that was ever given, so that tokens grow even across
    the loss of a ledger: each unit tells the last token it held, and every
    ticket given since stood for one of the asks.
    """
    held = max((claim.token for claim in claims.values()), default=0)
    return Ledger(token=min(MAX_TOKEN, held + sum(claim.asked for claim in claims.values())))


def blocked_by(ledger: Optional[Ledger], claims: Claims) -> Tuple[str, ...]:
    """Return the units whose unfinished tickets keep a request of another unit waiting."""
    asking = {unit for (unit, _), claim in claims.items() if claim.outstanding}
    return tuple(unit for unit in unfinished(ledger, claims) if asking and asking != {unit})


def unfinished(ledger: Optional[Ledger], claims: Claims) -> Tuple[str, ...]:
    """Return the units that have unfinished tickets."""
    tickets = ledger.tickets if ledger else ()
    return tuple(ticket.unit for ticket in tickets if not finished(ticket, claims))


# Why not yet


def refusal(ledger: Optional[Ledger], ticket: Optional[Ticket], claims: Claims) -> str:
    """Return why a request does not hold yet, as words that follow 'LOCK: '."""
    if ledger is not None and not ledger.readable:
        return "the leader's ledger cannot be read, so nobody is given the lock; see the log"
    if ledger is None or ticket is None:
        return 'asked, and the leader has given no ticket yet'
    waits = ahead(ledger, ticket, claims)
    if len(waits) < ticket.slots:
        return 'its turn begins in the next hook of this unit'
    holders = sorted({earlier.unit or 'a ticket that cannot be read' for earlier in waits[: ticket.slots]})
    verb = 'holds' if len(holders) == 1 else 'hold'
    return '{} {} it, {} ahead of this unit'.format(' and '.join(holders), verb, len(waits))
