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
ledger that is durable (rule 5). It appends to the newest ledger, not to one that
another leader has replaced (rule 7). And it passes as `committed` only what units
said in hooks that succeeded: a unit knows its own release before Juju does, and
if the hook then fails, nobody else will ever have seen it (rule 9).

Why it is live. A request stays in its unit's claim until it is done, and the
unit publishes it until Juju has it. A published claim wakes every unit. One of
them leads or will lead, and a unit that is newly leading reads all claims, so it
learns of earlier requests. It gives tickets while at most `slots` tickets of the
queue are unfinished, that is, before the queue runs dry. Each ticket then ends in
one of two ways: its unit says so, or the unit is gone for good and the leader
drops the ticket. If a unit has forgotten an ask, `adopted` brings it back from the
ledger (rule 8). A unit that leaves gives up what it has (rule 10). One turn does
not end by itself: that of a unit that is down and may come back. Nothing expires,
because the lock exists to prevent the restart of a second unit while the first
is down.

Text that cannot be read never counts as a release. A ticket that cannot be read
stays where it is, unfinished, and is written back unchanged. If a class of the
charm's own decides on the leader (compat/), it chooses which asks get tickets, and
a ticket waits only for the tickets that it names.
"""

import json
from typing import AbstractSet, Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

# The queue that all locks share by default. No lock can have this name.
ALL_LOCKS = ''

# Stands for the unit of a ticket whose unit cannot be read: nobody knows whose turn that is.
UNNAMED = ''

# No count goes above this, and a higher one is not trusted: a request a second for thirty years.
MAX_COUNT = 10**9

# No token goes above this: not every JSON reader can represent a greater whole number.
MAX_TOKEN = 2**53

# The longest ledger a leader writes. A ledger is one argument of a command line, which Linux limits to
# 128 KiB; a request for which there is no room waits in its claim.
MAX_BYTES = 120000


class Claim(NamedTuple):
    """What one unit says about itself in one queue.

    Args:
        asked: how often it has asked; never falls.
        done: the number of the last ask that it has finished; never falls. The
            claim is a request while `asked > done`.
        locks: the locks it asks for, each with the time of the request (UTC, as
            text that sorts).
        kept: whether the turn has begun and goes on in the next hook.
        token: the last fencing token that this unit held in this queue, 0 for none.
    """

    asked: int = 0
    done: int = 0
    locks: Tuple[Tuple[str, str], ...] = ()
    kept: bool = False
    token: int = 0

    @property
    def outstanding(self) -> bool:
        """Whether the claim is a request: asked for, and not finished."""
        return self.asked > self.done

    @property
    def names(self) -> Tuple[str, ...]:
        """The names of the locks it asks for."""
        return tuple(name for name, _ in self.locks)


class Ticket(NamedTuple):
    """A place in a queue, given by the leader.

    Args:
        token: the fencing token of the turn.
        queue: the queue; ALL_LOCKS for the one that all locks share.
        unit: the unit it is for, UNNAMED where that cannot be read.
        ask: the number of the request that it serves.
        slots: how many tickets of the queue may be held at once, this one
            included. It is fixed when the ticket is given. So a holder loses
            nothing when the option changes later, or the number of units of which
            it is a percentage.
        raw: the text of a ledger entry that cannot be read, otherwise ''. It is
            written back as it was, and the ticket is never finished.
        after: the tokens of the tickets that this one waits for; None if it waits
            for every earlier ticket that excludes it.
        requested_at: when the request was made, '' if that is not recorded.
    """

    token: int
    queue: str
    unit: str
    ask: int
    slots: int = 1
    raw: str = ''
    after: Optional[Tuple[int, ...]] = None
    requested_at: str = ''

    def waits_for(self, earlier: 'Ticket') -> bool:
        """Return whether this ticket's turn may have to wait until an earlier one is finished.

        Tickets of one queue exclude one another. A ticket of the queue of all locks
        and one of a single lock exclude each other, too. The ledger has both kinds
        only during a charm upgrade, while units with different options run.
        """
        if earlier.unit == self.unit:
            return False
        if self.after is not None:
            return earlier.token in self.after
        return self.queue == earlier.queue or ALL_LOCKS in (self.queue, earlier.queue)


class Ledger(NamedTuple):
    """The leader's one record: the last token given, and tickets in order."""

    token: int = 0
    tickets: Tuple[Ticket, ...] = ()
    readable: bool = True


# A ledger that exists and cannot be read: it gives nobody a turn, and nobody may write over it.
UNREADABLE = Ledger(readable=False)

Units = AbstractSet[str]
NOBODY: Units = frozenset()

# Claims by (unit, queue).
Claims = Mapping[Tuple[str, str], Claim]

NO_CLAIM = Claim()


class UnitState(NamedTuple):
    """What a unit remembers between hooks. Each change is saved at once.

    Args:
        own: this unit's claims by queue: what it has asked for and finished, even
            if it has not been committed to Juju yet.
        committed: this unit's claims as Juju was last seen to have them.
        peers: claims of other units by (unit, queue): the requests seen, and
            the releases of tickets that are still in the ledger.
        led: whether this unit led in its last hook.
        published: whether Juju was ever seen to have claims of this unit, even
            empty ones. Such claims tell the other units that it runs this layer.
    """

    own: Tuple[Tuple[str, Claim], ...] = ()
    committed: Tuple[Tuple[str, Claim], ...] = ()
    peers: Tuple[Tuple[Tuple[str, str], Claim], ...] = ()
    led: bool = False
    published: bool = False


# What a unit claims


def asked_for(claim: Claim, lock: str, requested_at: str) -> Claim:
    """Return the claim with one more lock; unchanged if it has the lock, or if MAX_COUNT is reached."""
    if claim.outstanding and lock not in claim.names:
        return claim._replace(locks=tuple(sorted(claim.locks + ((lock, requested_at),))))
    if claim.outstanding or claim.asked >= MAX_COUNT:
        return claim
    return claim._replace(asked=claim.asked + 1, locks=((lock, requested_at),), kept=False)


def released(claim: Claim, token: int = 0) -> Claim:
    """Return the claim with nothing outstanding; `token` is that of the turn that ends, 0 for none."""
    return Claim(claim.asked, claim.asked, (), False, max(claim.token, token))


def without(claim: Claim, lock: str, token: int = 0) -> Claim:
    """Return the claim without this lock; without the last one, the whole turn is released."""
    rest = tuple(pair for pair in claim.locks if pair[0] != lock)
    return claim._replace(locks=rest) if rest else released(claim, token)


def merged(ours: Claim, theirs: Claim) -> Claim:
    """Return two versions of one claim merged: the larger counts win.

    The names are those of the newer version, or of the first where both are
    equally new.
    """
    newer = theirs if (theirs.asked, theirs.done) > (ours.asked, ours.done) else ours
    asked, done = max(ours.asked, theirs.asked), max(ours.done, theirs.done)
    both = newer._replace(asked=asked, done=done, token=max(ours.token, theirs.token))
    return both if both.outstanding else released(both)


def merged_states(ours: UnitState, theirs: UnitState) -> UnitState:
    """Return what two processes of one unit remember, so that no request of either is lost."""
    own, committed, peers = (_merged_pairs(*pair) for pair in zip(ours[:3], theirs[:3]))
    return UnitState(own, committed, peers, ours.led, ours.published or theirs.published)


def _merged_pairs(ours: Any, theirs: Any) -> Any:
    both = dict(ours)
    for key, claim in theirs:
        mine = both.get(key, claim)
        both[key] = merged(mine, claim)
        if both[key].outstanding and (mine.asked, mine.done) == (claim.asked, claim.done):
            locks = {**dict(claim.locks), **dict(mine.locks)}  # both processes asked: neither request is lost
            both[key] = both[key]._replace(locks=tuple(sorted(locks.items())))
    return frozen(both)


def frozen(known: Mapping[Any, Claim]) -> Tuple[Any, ...]:
    """Return claims by key, sorted, as a value that can be compared."""
    return tuple(sorted(known.items()))


# Whose turn it is


def finished(ticket: Ticket, claims: Claims) -> bool:
    """Return whether the ticket's unit has said that it is done. A missing claim is never a release."""
    return not ticket.raw and claims.get((ticket.unit, ticket.queue), NO_CLAIM).done >= ticket.ask


def ahead(ledger: Ledger, ticket: Ticket, claims: Claims) -> Tuple[Ticket, ...]:
    """Return the unfinished tickets that this one waits for, in order, as far as these claims tell.

    Claims that are out of date can only make this longer: counts never fall.
    """
    place = ledger.tickets.index(ticket)
    earlier = (other for other in ledger.tickets[:place] if ticket.waits_for(other))
    return tuple(other for other in earlier if not finished(other, claims))


def is_turn(ledger: Ledger, ticket: Ticket, claims: Claims) -> bool:
    """Return whether a ticket's turn has come: fewer unfinished tickets than its slots are ahead of it."""
    return len(ahead(ledger, ticket, claims)) < ticket.slots


def ticket_of(ledger: Optional[Ledger], unit: str, queue: str, claim: Claim) -> Optional[Ticket]:
    """Return the ticket for a unit's outstanding request, or None."""
    tickets = ledger.tickets if ledger and claim.outstanding else ()
    return next((ticket for ticket in tickets if ticket[1:4] == (queue, unit, claim.asked)), None)


def adopted(ledger: Optional[Ledger], unit: str, own: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return a unit's own claims, raised to the asks that the ledger knows of.

    If a ticket is for an ask above the claim, the unit asked and then lost its own
    record of that, for instance with its disk.
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

    A turn that had begun before a ledger was lost comes first. The others are
    ordered by the time of the request, then by unit. Clocks decide nothing else.
    """
    seated = {ticket[1:4] for ticket in ledger.tickets}
    waiting: Dict[str, List[Tuple[str, Claim]]] = {}
    for (unit, queue), claim in claims.items():
        if claim.outstanding and (queue, unit, claim.asked) not in seated:
            waiting.setdefault(queue, []).append((unit, claim))
    return {queue: sorted(requests, key=order_of) for queue, requests in waiting.items()}


def order_of(request: Tuple[str, Claim]) -> Tuple[bool, str, str]:
    """Return the key by which requests without a ticket are sorted."""
    unit, claim = request
    return (not claim.kept, first_asked_at(claim), unit)


def first_asked_at(claim: Claim) -> str:
    """Return when the first of the locks was asked for, '' if the claim names none."""
    return min((requested_at for _, requested_at in claim.locks), default='')


def appended(
    ledger: Ledger, claims: Claims, committed: Claims, slots: int, gone: Units = NOBODY, dated: bool = False
) -> Ledger:
    """Return the ledger after the leader has looked at it once.

    While at most `slots` tickets of a queue are unfinished, each known request of
    the queue gets a ticket. Otherwise none does: a write wakes every unit, and a
    waiting request is safe in its claim. If nothing is appended and no ticket
    belongs to a unit that is gone, the ledger comes back as it was.

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
    """
    if not ledger.readable:
        return ledger
    there = tuple(ticket for ticket in ledger.tickets if ticket.unit not in gone)
    standing = tuple(ticket for ticket in there if not finished(ticket, committed))
    token, added, room = ledger.token, [], room_after(standing)  # type: int, List[Ticket], int
    if room < 0:
        return ledger
    for queue, requests in sorted(unserved(ledger, claims).items()):
        if sum(ticket.queue == queue and not finished(ticket, claims) for ticket in there) > slots:
            continue
        for unit, claim in requests:
            requested_at = first_asked_at(claim) if dated else ''
            ticket = Ticket(token + 1, queue, unit, claim.asked, slots, requested_at=requested_at)
            if unit not in gone and bytes_of(ticket) <= room and token < MAX_TOKEN:
                token, room = ticket.token, room - bytes_of(ticket)
                added.append(ticket)
    return Ledger(token, standing + tuple(added)) if added or there != ledger.tickets else ledger


def room_after(tickets: Iterable[Ticket]) -> int:
    """Return how many bytes a ledger with these tickets has left."""
    return MAX_BYTES - sum(map(bytes_of, tickets))


def bytes_of(ticket: Ticket) -> int:
    """Return an upper bound on a ticket's bytes as text; a letter that is not ASCII takes up to 12."""
    words = ticket.raw or ticket.queue + ticket.unit + ticket.requested_at
    return 48 + 17 * len(ticket.after or ()) + len(json.dumps(words))


# What stands in a ledger


def finished_tickets(ledger: Optional[Ledger], claims: Claims) -> Tuple[Ticket, ...]:
    """Return the tickets of the ledger that are finished."""
    return tuple(ticket for ticket in (ledger.tickets if ledger else ()) if finished(ticket, claims))


def unfinished_units(ledger: Optional[Ledger], claims: Claims) -> Tuple[str, ...]:
    """Return the units of the unfinished tickets; a unit is repeated for each of its tickets."""
    tickets = ledger.tickets if ledger else ()
    return tuple(ticket.unit for ticket in tickets if not finished(ticket, claims))


def blocking_units(ledger: Optional[Ledger], claims: Claims) -> Tuple[str, ...]:
    """Return the units whose unfinished tickets keep a request of another unit waiting."""
    asking = {unit for (unit, _), claim in claims.items() if claim.outstanding}
    return tuple(unit for unit in unfinished_units(ledger, claims) if asking - {unit})


def pruned(ledger: Ledger, dropped: Iterable[Ticket]) -> Ledger:
    """Return the ledger without the dropped tickets."""
    left = set(dropped)
    return ledger._replace(tickets=tuple(ticket for ticket in ledger.tickets if ticket not in left))


def rebuilt(claims: Claims) -> Ledger:
    """Return the empty ledger to begin with when there is none.

    Its token is above every token that was ever given, so tokens grow even when a
    ledger is lost: each claim has the last token that its unit held, and each
    ticket given since then was for one of the asks.
    """
    held = max((claim.token for claim in claims.values()), default=0)
    return Ledger(token=min(MAX_TOKEN, held + sum(claim.asked for claim in claims.values())))


# Why not yet


def refusal(ledger: Optional[Ledger], ticket: Optional[Ticket], claims: Claims) -> str:
    """Return why the lock is not held yet, as words to put after 'LOCK: '."""
    if ledger is not None and not ledger.readable:
        return "the leader's ledger cannot be read, so nobody is given the lock; see the log"
    if ledger is None or ticket is None:
        return 'asked, and the leader has given no ticket yet'
    if is_turn(ledger, ticket, claims):
        return 'its turn begins in the next hook of this unit'
    waits = ahead(ledger, ticket, claims)
    holders = sorted({earlier.unit or 'a ticket that cannot be read' for earlier in waits[: ticket.slots]})
    verb = 'holds' if len(holders) == 1 else 'hold'
    return '{} {} it, {} ahead of this unit'.format(' and '.join(holders), verb, len(waits))
