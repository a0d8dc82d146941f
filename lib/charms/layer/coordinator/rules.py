"""The rules of taking turns: values in, values out.

What lives here: claims, tickets, the ledger, whose turn it is, what the leader
appends, and the sentence that says why not yet. What must not: IO, a clock, a
log, a flag name, anything of Juju's.

    a unit says        the leader gives            everyone works out alone
    claim 3 asked,  →  ticket 17 for ask 3 of  →   fewer than `slots` unfinished
          2 done       app/1, in the ledger        tickets ahead: app/1 holds
"""

import json
from typing import AbstractSet, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

ALL_LOCKS = ''
"""The queue that all locks share by default. No lock can have this name."""

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
    """

    token: int
    queue: str
    unit: str
    ask: int
    slots: int = 1
    raw: str = ''


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


# What a unit says


def asked_for(claim: Claim, lock: str, since: str) -> Claim:
    """Return the claim with one lock more; asking again changes nothing."""
    if not claim.outstanding:
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
        if earlier.unit != ticket.unit and excludes(earlier, ticket)
    )


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
    return (not claim.kept, min((since for _, since in claim.locks), default=''), unit)


def appended(
    ledger: Ledger, claims: Claims, committed: Claims, slots: int, gone: AbstractSet[str] = frozenset()
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
    """
    if not ledger.readable:
        return ledger
    standing = tuple(
        ticket for ticket in ledger.tickets if ticket.unit not in gone and not finished(ticket, committed)
    )
    token, added, room = ledger.token, [], MAX_BYTES  # type: int, List[Ticket], int
    room -= sum(_bytes(ticket) for ticket in standing)
    for queue, requests in sorted(unserved(ledger, claims).items()):
        if _unfinished(ledger, queue, claims, gone) > slots:
            continue
        for unit, claim in requests:
            ticket = Ticket(token + 1, queue, unit, claim.asked, slots)
            if unit not in gone and _bytes(ticket) <= room:
                token, room = ticket.token, room - _bytes(ticket)
                added.append(ticket)
    if added or any(ticket.unit in gone for ticket in ledger.tickets):
        return Ledger(token, standing + tuple(added))
    return ledger


def _bytes(ticket: Ticket) -> int:
    """Return at least what a ticket takes on the wire, where a letter that is not ASCII takes up to 12."""
    return 48 + len(json.dumps(ticket.raw or ticket.queue + ticket.unit))


def _unfinished(ledger: Ledger, queue: str, claims: Claims, gone: AbstractSet[str]) -> int:
    return sum(
        ticket.queue == queue and ticket.unit not in gone and not finished(ticket, claims)
        for ticket in ledger.tickets
    )


def rebuilt(claims: Claims) -> Ledger:
    """Return the empty ledger to begin with where there is none.

    Its token is above all that was ever given, so that tokens grow even across
    the loss of a ledger: each unit tells the last token it held, and every
    ticket given since stood for one of the asks.
    """
    held = max((claim.token for claim in claims.values()), default=0)
    return Ledger(token=held + sum(claim.asked for claim in claims.values()))


def blocked_by(ledger: Optional[Ledger], claims: Claims) -> Tuple[str, ...]:
    """Return the units whose unfinished tickets keep a request of another unit waiting."""
    asking = {unit for (unit, _), claim in claims.items() if claim.outstanding}
    units: Iterable[str] = (
        ticket.unit for ticket in (ledger.tickets if ledger else ()) if not finished(ticket, claims)
    )
    return tuple(unit for unit in units if asking and asking != {unit})


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
