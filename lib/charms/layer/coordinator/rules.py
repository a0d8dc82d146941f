"""The rules of taking turns: values in, values out.

What lives here: claims, tickets, the ledger, whose turn it is, what the leader
appends, and the sentence that says why a turn has not come yet. What must not:
IO, a clock, a log, a flag name, anything about Juju.

    a unit says        the leader gives            everyone works out alone
    claim 3 asked,  →  ticket 17 for ask 3 of  →   fewer than `slots` unfinished
          2 done       app/1, in the ledger        tickets ahead: app/1 holds

Theory of operation
===================

The rule numbers are those of docs/protocol.md, which shows for each rule a history
that goes wrong without it.

Units share two kinds of values. Each unit has one claim in each queue: how often
it has asked, and how many of these asks are done. Only that unit writes it, and
both counts only grow (rule 1). There is one ledger: a list of tickets, each for
one ask of one unit. Only the leader writes it, and new tickets go to its end
(rule 2). They share nothing else. A lock has no owner field; nothing is set
when a turn comes, and nothing is cleared when it ends.

A turn takes these steps. `asked_for` raises `asked` in the claim of a unit. The
leader reads the claim, and `appended` gives the ask a ticket. From then on any
unit can ask `is_turn` whether the turn of that ticket has come: fewer than
`slots` of the tickets ahead of it are unfinished (rule 3). When the work is done,
`released` raises `done`, and every unit that reads the claim sees that the ticket
is `finished`. The next turn comes without the leader (rule 4). The ticket
itself leaves the ledger later, when the leader has something to append (rule 6).

Why it is safe. Of the units at work, take the one whose ticket is last: all the
others stand ahead of it, unfinished, and those are fewer than its slots. So no
more units are at work than a ticket has slots, as long as every unit sees all
the unfinished tickets ahead of its own. It does, even if everything it has
read is old. An old claim shows lower counts, so it can only make a finished
ticket look unfinished. An old ledger can only show more tickets ahead, since
new ones come at the end, and a ticket that was removed was finished or belonged
to a unit that will never run again. No claim at all counts as nothing done. Therefore old news
delays a turn and never brings one too early, and nothing here needs a timeout or
a common clock.

That argument holds if the caller does three things. It uses a ticket only from a
ledger that is durable (rule 5), and not superseded (rule 13: terms.py says which ledger
counts). It appends to the newest ledger, not to one that another leader has replaced
(rule 7). And it passes as `committed` only what units said in hooks that succeeded: a unit
knows its own release before Juju does, and if the hook then fails, nobody else will ever have
seen it (rule 9).

A turn that has begun needs no ledger: its claim `holds` (rule 11). `after_ends` ends it, when
the charm has saved that end together with its flags (rule 12). If the ledger is lost, `rebuilt`
gives such turns the first tickets, and they must all be known before it is called (rule 14).

Why it is live. A request stays in its unit's claim until it is done, and the
unit publishes it until Juju has it. A published claim wakes every unit. One of
them leads or will lead, and a unit that is newly leading reads all claims, so it
learns of earlier requests. It gives tickets while at most `slots` tickets of the
queue are unfinished, that is, before the queue runs dry. Each ticket then ends in
one of two ways: its unit says so (or a later unit of its name, rule 15), or the unit is
gone for good and the leader drops the ticket. If a unit has forgotten an ask, `adopted`
brings it back from the ledger (rule 8). A unit that leaves gives up what it has (rule 10). One turn does
not end by itself: that of a unit that is down and may come back. Nothing expires,
because the lock exists to prevent the restart of a second unit while the first
is down.

Text that cannot be read never counts as a release. A ticket that cannot be read
stays where it is, unfinished, and is written back unchanged. If a class of the
charm's own decides on the leader (compat/), it chooses which asks get tickets, and
a ticket waits only for the tickets that it names.
"""

import json
from typing import AbstractSet, Any, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from charms.layer.coordinator.values import (
    ALL_LOCKS,
    MAX_BYTES,
    MAX_COUNT,
    MAX_TOKEN,
    NO_CLAIM,
    NOBODY,
    Claim,
    Claims,
    End,
    Ledger,
    Ticket,
    Units,
)

# What a unit claims


def asked_for(claim: Claim, lock: str, requested_at: str) -> Claim:
    """Return the claim with one more lock; unchanged if it has the lock, or if MAX_COUNT is reached."""
    if claim.outstanding and lock not in claim.names:
        return claim._replace(locks=tuple(sorted(claim.locks + ((lock, requested_at),))))
    if claim.outstanding or claim.asked >= MAX_COUNT:
        return claim
    return claim._replace(
        asked=claim.asked + 1, locks=((lock, requested_at),), begun=False, again=(), reason=''
    )


def asked_again(claim: Claim, lock: str, requested_at: str) -> Claim:
    """Return the claim of a turn after which the lock is asked for once more."""
    if lock in dict(claim.again):
        return claim
    return claim._replace(again=tuple(sorted(claim.again + ((lock, requested_at),))))


def put_after(claim: Claim, locks: AbstractSet[str]) -> Claim:
    """Return the claim with these of its locks asked for after its next turn."""
    later = tuple(pair for pair in claim.locks if pair[0] in locks)
    left = claim._replace(locks=tuple(pair for pair in claim.locks if pair not in later))
    return left._replace(again=tuple(sorted({**dict(later), **dict(claim.again)}.items())))


def released(claim: Claim) -> Claim:
    """Return the claim after its turn: with the locks asked for again, or with nothing outstanding."""
    ended = max(claim.ended, claim.token) if claim.roll else claim.ended
    over = claim._replace(
        done=claim.asked, locks=(), begun=False, again=(), roll=False, reason='', ended=ended
    )
    more = bool(claim.again) and claim.asked < MAX_COUNT
    return over._replace(asked=claim.asked + 1, locks=claim.again) if more else over


def without(claim: Claim, locks: AbstractSet[str]) -> Claim:
    """Return the claim without these locks; without the last one, the turn is over."""
    rest = tuple(pair for pair in claim.locks if pair[0] not in locks)
    return claim._replace(locks=rest) if rest else released(claim)


def without_rolls(claim: Claim, token: int) -> Claim:
    """Return the claim after its places in rolls up to a token; so ends what a gate said of them."""
    reason = claim.reason if claim.holds else ''
    return claim._replace(ended=token, reason=reason) if token > claim.ended else claim


def after_ends(own: Mapping[str, Claim], ends: Mapping[str, End]) -> Dict[str, Claim]:
    """Return own claims after these ends, each of which counts only for the ask that it names.

    Each hook applies them until others are saved. A lock that was asked for anew meanwhile is not over.
    """
    claims = dict(own)
    for queue, end in ends.items():
        claim = claims.get(queue, NO_CLAIM)
        if claim.outstanding and (claim.asked, claim.nonce) == (end.ask, end.nonce):
            before, now = dict(end.asked), dict(claim.locks)
            left = frozenset(lock for lock in end.locks if before.get(lock) in (None, now.get(lock)))
            claim = claim._replace(again=tuple(pair for pair in claim.again if pair not in end.again))
            claims[queue] = claim = without(claim, left) if left or not end.again else claim
        if end.token > claim.ended and claim.nonce in ('', end.nonce):
            claims[queue] = without_rolls(claim, end.token)._replace(nonce=end.nonce)
    return claims


def beside_a_turn(own: Mapping[str, Claim], committed: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return what may be published while a turn, or its end, waits for the next run of its hook.

    New requests may; that a turn has begun, or is over, may not: only the hook itself says so. A turn
    that began in a predecessor has no token. Juju has that one already.
    """
    said = dict(own)
    for queue, claim in own.items():
        juju_has = committed.get(queue, NO_CLAIM)
        if claim.done != juju_has.done:
            said[queue] = juju_has
        elif juju_has.outstanding:
            said[queue] = juju_has._replace(locks=claim.locks or juju_has.locks, again=claim.again)
        elif claim.token or not claim.begun:
            said[queue] = claim._replace(begun=False, roll=False)
    return {queue: claim for queue, claim in said.items() if claim != NO_CLAIM}


def frozen(known: Mapping[Any, Any]) -> Tuple[Any, ...]:
    """Return values by key, sorted by key, as a value that can be compared."""
    return tuple(sorted(known.items()))


# Whose turn it is


def finished(ticket: Ticket, claims: Claims) -> bool:
    """Return whether the ticket's unit has said that it is done. A missing claim is never a release."""
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    over = claim.ended >= ticket.token if ticket.roll else claim.done >= ticket.ask
    return not ticket.raw and ((over and claim.nonce == ticket.nonce) or ticket.nonce in claim.over)


def ahead(ledger: Ledger, ticket: Ticket, claims: Claims) -> Tuple[Ticket, ...]:
    """Return the unfinished tickets that this one waits for, in order, as far as these claims tell.

    Claims that are out of date can only make this longer: counts never fall.
    """
    place = ledger.tickets.index(ticket)
    earlier = (other for other in ledger.tickets[:place] if ticket.waits_for(other))
    return tuple(other for other in earlier if not finished(other, claims))


def is_turn(ledger: Ledger, ticket: Ticket, claims: Claims) -> bool:
    """Return whether a ticket's turn has come.

    Fewer unfinished tickets than its slots are ahead of it, and none of an earlier stage.
    """
    waits = ahead(ledger, ticket, claims)
    return len(waits) < ticket.slots and all(other.stage >= ticket.stage for other in waits)


def ticket_of(ledger: Optional[Ledger], unit: str, queue: str, claim: Claim) -> Optional[Ticket]:
    """Return the ticket by which a unit's next turn in a queue comes, or None.

    It is the first of those for its outstanding request and of those of rolls that are not over.
    """
    own = (queue, unit, claim.nonce)
    mine = (each for each in (ledger.tickets if ledger else ()) if (*each[1:3], each.nonce) == own)
    return next((each for each in mine if _serves(each, claim)), None)


def _serves(ticket: Ticket, claim: Claim) -> bool:
    if ticket.roll:
        return ticket.token > claim.ended
    return claim.outstanding and ticket.ask == claim.asked


def adopted(ledger: Optional[Ledger], unit: str, nonce: str, own: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return a unit's own claims, raised to the asks that the ledger knows of.

    If a ticket is for an ask above the claim, the unit asked and then lost its own
    record of that, for instance with its disk. A ticket of another incarnation was
    given to a former unit of this name: the claim says that it is over.
    """
    claims = dict(own)
    for ticket in ledger.tickets if ledger else ():
        claim = claims.get(ticket.queue, Claim(nonce=nonce))
        if ticket.unit != unit or ticket.raw:
            continue  # an ask of a roll's ticket is 0, which is above no claim
        if ticket.nonce != nonce and ticket.nonce not in claim.over:
            claims[ticket.queue] = claim._replace(over=(*claim.over[-3:], ticket.nonce))
        elif ticket.nonce == nonce and ticket.ask > claim.asked:
            claims[ticket.queue] = claim._replace(asked=ticket.ask)
    return claims


# What the leader appends


def unserved(ledger: Ledger, claims: Claims) -> Dict[str, List[Tuple[str, Claim]]]:
    """Return the requests that have no ticket, by queue, each queue in order.

    A turn that had begun before a ledger was lost comes first. The others are
    ordered by the time of the request, then by unit. Clocks decide nothing else.
    """
    seated = {(*ticket[1:4], ticket.nonce) for ticket in ledger.tickets}
    rolls = {
        (ticket.unit, ticket.queue, ticket.token, ticket.nonce) for ticket in ledger.tickets if ticket.roll
    }
    freed = {(order.unit, queue, order.nonce): ask for order in ledger.orders for queue, ask in order.asks}
    waiting: Dict[str, List[Tuple[str, Claim]]] = {}
    for (unit, queue), claim in claims.items():
        has_one = (queue, unit, claim.asked, claim.nonce) in seated
        rolls_on = claim.holds and (unit, queue, claim.token, claim.nonce) in rolls
        over = claim.asked <= freed.get((unit, queue, claim.nonce), 0)
        if claim.outstanding and not (has_one or rolls_on or over):
            waiting.setdefault(queue, []).append((unit, claim))
    return {queue: sorted(requests, key=order_of) for queue, requests in waiting.items()}


def order_of(request: Tuple[str, Claim]) -> Tuple[bool, str, str]:
    """Return the key by which requests without a ticket are sorted."""
    unit, claim = request
    return (not claim.begun, first_asked_at(claim), unit)


def first_asked_at(claim: Claim) -> str:
    """Return when the first of the locks was asked for, '' if the claim names none."""
    return min((requested_at for _, requested_at in claim.locks), default='')


def appended(
    ledger: Ledger,
    claims: Claims,
    committed: Claims,
    slots: int,
    gone: Units = NOBODY,
    dated: bool = False,
    every: Units = NOBODY,
) -> Ledger:
    """Return the ledger after the leader has looked at it once.

    While at most `slots` tickets of a queue are unfinished, each known request of
    the queue gets a ticket. Otherwise none does: a write wakes every unit, and a
    waiting request is safe in its claim. If nothing is appended, no ticket
    belongs to a unit that is gone, and no unit needs the hook that a write brings
    (`next_by_own_turn`), the ledger comes back as it was.

    Args:
        ledger: as read just before. One that cannot be read comes back as it was.
        claims: the requests: what each unit says, including what this unit has
            asked for and done in the hook that is running.
        committed: the releases: what each unit has said in a hook that
            succeeded. This unit's own unfinished hook must not be in it.
        slots: how many tickets of a queue may be held at once, at least 1.
        gone: units that will never run again. Their tickets are dropped even if
            unfinished.
        dated: whether a new ticket records the time of its request.
        every: queues in which each known request gets a ticket, however many are unfinished.
    """
    if not ledger.readable:
        return ledger
    there = tuple(ticket for ticket in ledger.tickets if ticket.unit not in gone)
    standing = tuple(ticket for ticket in there if not finished(ticket, committed))
    token, added, room = ledger.token, [], room_after(standing)  # type: int, List[Ticket], int
    if room < 0:
        return ledger
    for queue, requests in sorted(unserved(ledger, claims).items()):
        unfinished = sum(ticket.queue == queue and not finished(ticket, claims) for ticket in there)
        if unfinished > slots and queue not in every:
            continue
        excluding = (each for each in standing if each.queue == queue or ALL_LOCKS in (each.queue, queue))
        stage = max((each.stage for each in excluding), default=0)
        for unit, claim in requests:
            requested_at = first_asked_at(claim) if dated else ''
            ask = claim.asked, slots, '', None, requested_at, claim.nonce, stage
            ticket = Ticket(token + 1, queue, unit, *ask)
            if unit not in gone and bytes_of(ticket) <= room and token < MAX_TOKEN:
                token, room = ticket.token, room - bytes_of(ticket)
                added.append(ticket)
    # On Juju 4 a new unit may never hear of one that leaves. A write brings it a hook.
    left = any(_has_left(each, committed) for each in there)
    changed = added or there != ledger.tickets or next_by_own_turn(ledger, committed) or (left and standing)
    return ledger._replace(token=token, tickets=standing + tuple(added)) if changed else ledger


def _has_left(ticket: Ticket, claims: Claims) -> bool:
    """Return whether a ticket's unit gave up everything when it left."""
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    return claim.ended == MAX_TOKEN and finished(ticket, claims)


def next_by_own_turn(ledger: Ledger, claims: Claims) -> Units:
    """Return the units whose turn has come, behind another turn or place in a roll of theirs that is over.

    If that one has just ended, no news of others brings such a unit a hook. A write of the ledger does.
    """
    later = _later_places(ledger, claims)
    return frozenset(
        place.unit
        for place, earlier in later
        if any(finished(each, claims) for each in earlier) and is_turn(ledger, place, claims)
    )


def has_later_place(ledger: Ledger, claims: Claims) -> Units:
    """Return the units that have, or wait for, another turn before a later one comes."""
    later = _later_places(ledger, claims)
    return frozenset(place.unit for place, earlier in later if any(not finished(x, claims) for x in earlier))


def _later_places(ledger: Ledger, claims: Claims) -> Iterator[Tuple[Ticket, Sequence[Ticket]]]:
    """Yield each unfinished ticket that is not its unit's first in a queue, and those before it."""
    found: Dict[Tuple[str, ...], List[Ticket]] = {}
    for ticket in ledger.tickets:
        mine = found.setdefault((*ticket[1:3], ticket.nonce), [])
        if mine and not finished(ticket, claims):
            yield ticket, tuple(mine)
        mine.append(ticket)


def room_after(tickets: Iterable[Ticket]) -> int:
    """Return how many bytes a ledger with these tickets has left."""
    return MAX_BYTES - sum(map(bytes_of, tickets))


def bytes_of(ticket: Ticket) -> int:
    """Return an upper bound on a ticket's bytes as text; a letter that is not ASCII takes up to 12."""
    words = ticket.raw or ticket.queue + ticket.unit + ticket.requested_at + ticket.roll
    return 64 + 17 * len(ticket.after or ()) + 24 * bool(ticket.stage) + len(json.dumps(words))


# What stands in a ledger


def finished_tickets(ledger: Optional[Ledger], claims: Claims) -> Tuple[Ticket, ...]:
    """Return the tickets of the ledger that are finished."""
    return tuple(ticket for ticket in (ledger.tickets if ledger else ()) if finished(ticket, claims))


def unfinished(ledger: Optional[Ledger], claims: Claims) -> Tuple[Ticket, ...]:
    """Return the tickets of the ledger that are not finished."""
    return tuple(ticket for ticket in (ledger.tickets if ledger else ()) if not finished(ticket, claims))


def unfinished_units(ledger: Optional[Ledger], claims: Claims) -> Tuple[str, ...]:
    """Return the units of the unfinished tickets; a unit is repeated for each of its tickets."""
    return tuple(ticket.unit for ticket in unfinished(ledger, claims))


def behind_all(queue: str, unit: str, slots: int = 1) -> Ticket:
    """Return a stand-in for a ticket that is not given: it waits for all others, and is never finished."""
    return Ticket(0, queue, unit, 0, slots, raw='not given')


def pruned(ledger: Ledger, dropped: Iterable[Ticket]) -> Ledger:
    """Return the ledger without the dropped tickets."""
    left = set(dropped)
    return ledger._replace(tickets=tuple(ticket for ticket in ledger.tickets if ticket not in left))


def rebuilt(claims: Claims, slots: int) -> Ledger:
    """Return the ledger to begin with when there is none: tickets for the turns that have begun.

    They come before all others, whatever their queue. The token is above every token
    that was ever used, so tokens grow even when a ledger is lost: each claim has the
    last token that its unit held, and the last that it gave up in a roll, and each other ticket
    was for one of the asks.
    """
    # A unit that leaves says MAX_TOKEN.
    ended = [claim.ended for claim in claims.values() if claim.ended < MAX_TOKEN]
    held = max([0, *ended, *(claim.token for claim in claims.values())])
    token, tickets = min(MAX_TOKEN, held + sum(claim.asked for claim in claims.values())), []
    for unit, queue in sorted(place for place, claim in claims.items() if claim.outstanding and claim.begun):
        token = min(MAX_TOKEN, token + 1)
        claim = claims[unit, queue]
        tickets.append(Ticket(token, queue, unit, claim.asked, slots, nonce=claim.nonce))
    return Ledger(token, tuple(tickets))


def not_said(own: Mapping[str, Claim], committed: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return a unit's claims with each turn that is over, but not for Juju, as one that goes on."""
    claims = dict(own)
    for queue, claim in own.items():
        done = committed.get(queue, NO_CLAIM).done
        if claim.done > done:
            claims[queue] = claim._replace(asked=claim.done, done=done, begun=True, locks=(), again=())
    return claims
