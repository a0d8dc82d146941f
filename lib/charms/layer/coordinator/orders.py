"""What an operator's word changes in the ledger, and in the claims of a unit (rules 20 - 23).

What lives here: orders, as pure functions. What must not: IO, a clock, a log, the words of an action.

The leader writes an order into the ledger together with its tickets, in one record. So an order is
never lost while the ledger is not, and every unit that reads a ticket reads the orders, too.

    roll    every unit has a ticket, with tokens FIRST to LAST, in stages; it asks for nothing
    pause   no turn begins by a ticket of the lock with token FIRST or above; one that has begun goes on
    resume  removes the pauses of the lock; it leaves nothing in the ledger
    cancel  each unit withdraws its request for the lock, if its ticket is one from FIRST to LAST, and
            its turn has not begun
    free    all that one unit has asked for so far is over, begun or not, by the operator's word. The leader
            drops its tickets; when that unit runs again it learns that, and asks anew

Safety. A roll adds tickets at the end, and a stage or a pause only delays a turn. A cancelled request has
not begun. Only `free` can let two units work at once: if the freed unit is alive, and in its turn, when
the operator says that it is not.
"""

from typing import Callable, Collection, Dict, List, Mapping, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.values import (
    CANCEL,
    FREE,
    MAX_TOKEN,
    NO_CLAIM,
    PAUSE,
    RESUME,
    ROLL,
    Claim,
    Claims,
    Ledger,
    Order,
    Ticket,
    Units,
    Wish,
)


def stands(ledger: Ledger, wish: Wish) -> bool:
    """Return whether a ledger has what a wish asks for."""
    order = wish.order
    if order.kind == RESUME:
        return not any(_resumes(order, other) for other in ledger.orders)
    return any(other.name == order.name for other in ledger.orders)


def with_wish(wishes: Tuple[Wish, ...], wish: Wish) -> Tuple[Wish, ...]:
    """Return what a leader was told, and one order more: it takes the place of what it undoes.

    Of two orders in one ledger that undo one another, the first would never stand there.
    """
    return (*(each for each in wishes if not _undoes(wish.order, each.order)), wish)


def _undoes(order: Order, earlier: Order) -> bool:
    if order.kind == RESUME:
        return _resumes(order, earlier)
    return order.kind == CANCEL and _ends_with(order, earlier)


def _resumes(order: Order, pause: Order) -> bool:
    return pause.kind == PAUSE and order.lock in ('', pause.lock)


# What the leader writes


def applied(ledger: Ledger, wish: Wish, slots: int, queue: str, claims: Claims) -> Ledger:
    """Return the ledger after an order; as it was, if it has the order, or has no room for it.

    Args:
        ledger: the ledger, with a ticket for each request that a cancellation is about.
        wish: the order.
        slots: how many tickets of a queue may be held at once.
        queue: the queue of the order's lock.
        claims: what units say.
    """
    order = wish.order
    if not ledger.readable or stands(ledger, wish):
        return ledger
    if order.kind == ROLL:
        return _rolled(ledger, wish, slots, queue)
    undone = (each for each in ledger.orders if _undoes(order, each))
    # The leader has still to show the end of a roll that is over.
    ended = {each for each in undone if not (each.kind == ROLL and is_over(ledger, each, claims))}
    ledger = ledger._replace(orders=tuple(each for each in ledger.orders if each not in ended))
    if order.kind == RESUME:
        return ledger
    if order.kind == CANCEL:
        order = order._replace(first=1, last=ledger.token)
    if order.kind == FREE:
        nonce, asks = _said_of(ledger, order.unit, claims)
        order = order._replace(last=ledger.token, nonce=nonce, asks=asks)
        left = tuple(ticket for ticket in ledger.tickets if ticket.unit != order.unit)
        ledger = ledger._replace(tickets=left)
    return ledger._replace(orders=(*ledger.orders, order))


def _rolled(ledger: Ledger, wish: Wish, slots: int, queue: str) -> Ledger:
    order, token = wish.order, ledger.token
    tickets: List[Ticket] = []
    paused_from = 0
    for number, stage in enumerate(wish.stages):
        first = token + 1
        if number == wish.pause_after > 0:
            paused_from = first
        for unit, nonce in stage:
            token += 1
            tickets.append(Ticket(token, queue, unit, 0, slots, nonce=nonce, stage=first, roll=order.lock))
    if token > MAX_TOKEN or sum(map(rules.bytes_of, tickets)) > rules.room_after(ledger.tickets):
        return ledger
    roll = order._replace(first=ledger.token + 1, last=token)
    orders = [_cancelled(each, order) if _is_replaced(each, wish) else each for each in ledger.orders]
    orders = [each for each in orders if not (wish.replace and each.first and _ends_with(order, each))]
    if paused_from:
        done = 'stage 1 of {} is done' if wish.pause_after == 1 else 'stages 1 to {} of {} are done'
        reason = done.format(*([wish.pause_after] * (wish.pause_after > 1)), len(wish.stages))
        name = order.name + '-stage'
        orders.append(Order(PAUSE, name, order.lock, order.since, reason, paused_from, token))
    return ledger._replace(token=token, tickets=(*ledger.tickets, *tickets), orders=(*orders, roll))


def _is_replaced(other: Order, wish: Wish) -> bool:
    return wish.replace and other.kind == ROLL and other.lock == wish.order.lock


def _ends_with(cancel: Order, other: Order) -> bool:
    """Return whether this is a roll of the lock that is cancelled, or the pause between two of its stages."""
    return other.lock == cancel.lock and (other.kind == ROLL or (other.kind == PAUSE and other.first > 0))


def _cancelled(roll: Order, by: Order) -> Order:
    return roll._replace(kind=CANCEL, since=by.since, reason=by.reason)


def _said_of(ledger: Ledger, unit: str, claims: Claims) -> Tuple[str, Tuple[Tuple[str, int], ...]]:
    """Return a unit's incarnation, and the last ask in each queue, as far as the leader knows."""
    said = {queue: claim for (who, queue), claim in claims.items() if who == unit}
    asks = {queue: claim.asked for queue, claim in said.items()}
    mine = [ticket for ticket in ledger.tickets if ticket.unit == unit and not ticket.raw]
    for ticket in mine:
        asks[ticket.queue] = max(ticket.ask, asks.get(ticket.queue, 0))
    nonces = [*(claim.nonce for claim in said.values()), *(ticket.nonce for ticket in reversed(mine)), '']
    return nonces[0], tuple(sorted(asks.items()))


def tidied(ledger: Ledger, claims: Claims, gone: Units, rolled: Collection[str]) -> Ledger:
    """Return the ledger without the orders that nobody needs any more.

    Args:
        ledger: the ledger.
        claims: what units have said in hooks that succeeded.
        gone: units that will never run again.
        rolled: the names of the rolls whose end handlers have seen.
    """
    kept = tuple(order for order in ledger.orders if matters(order, ledger, claims, gone, rolled))
    return ledger if kept == ledger.orders else ledger._replace(orders=kept)


def matters(order: Order, ledger: Ledger, claims: Claims, gone: Units, rolled: Collection[str]) -> bool:
    """Return whether somebody still needs an order; arguments as for `tidied`."""
    if order.kind == ROLL:
        return order.name not in rolled or not is_over(ledger, order, claims)
    if order.kind == CANCEL:
        return any(order.first <= ticket.token <= order.last for ticket in rules.unfinished(ledger, claims))
    if order.kind == FREE:
        said = [claims.get((order.unit, queue), NO_CLAIM) for queue, _ in order.asks]
        anew = any(claim.nonce not in ('', order.nonce) for claim in said)
        over = all(claim.ended >= order.last for claim in said)  # it has read this
        return not (order.unit in gone or anew or over)
    return order.kind != PAUSE or _goes_on(ledger, order, claims)


# Rolls


def is_over(ledger: Ledger, roll: Order, claims: Claims) -> bool:
    """Return whether each unit of a roll has had its turn, or is gone."""
    return not left_in(ledger, roll, claims)


def left_in(ledger: Ledger, roll: Order, claims: Claims) -> Tuple[Ticket, ...]:
    """Return the tickets of a roll, or of its stages behind a pause, that are not finished."""
    tickets = (each for each in rules.unfinished(ledger, claims) if each.roll == roll.lock)
    return tuple(ticket for ticket in tickets if roll.first <= ticket.token <= roll.last)


def done_of(ledger: Ledger, roll: Order, claims: Claims) -> Tuple[int, int]:
    """Return how many units of a roll are done, or gone, and how many there are."""
    units = roll.last - roll.first + 1
    return units - len(left_in(ledger, roll, claims)), units


def rolls(ledger: Optional[Ledger], lock: str = '') -> Tuple[Order, ...]:
    """Return the rolls in a ledger, of one lock or of all."""
    orders = ledger.orders if ledger else ()
    return tuple(order for order in orders if order.kind == ROLL and lock in ('', order.lock))


def roll_of(ledger: Optional[Ledger], ticket: Ticket) -> Optional[Order]:
    """Return the roll that a ticket is of, None if it is of none that stands."""
    named = rolls(ledger, ticket.roll) if ticket.roll else ()
    return next((roll for roll in named if roll.first <= ticket.token <= roll.last), None)


def is_rolling(ledger: Optional[Ledger], unit: str, leads: bool, own: Mapping[str, Claim]) -> bool:
    """Return whether a unit has an unfinished ticket of a roll, or leads while there is one."""
    if leads and rolls(ledger):
        return True
    return any(waiting_in(ledger, unit, queue, claim) for queue, claim in own.items())


def waiting_in(ledger: Optional[Ledger], unit: str, queue: str, claim: Claim) -> Tuple[Ticket, ...]:
    """Return a unit's tickets of rolls that are not over and whose turn has not begun."""
    mine = (each for each in (ledger.tickets if ledger else ()) if each.roll and each.unit == unit)
    begun = claim.token if claim.holds else 0
    return tuple(
        each
        for each in mine
        if (each.queue, each.nonce) == (queue, claim.nonce) and each.token > max(claim.ended, begun)
    )


def is_cancelled(ledger: Optional[Ledger], ticket: Ticket, lock: str) -> bool:
    """Return whether requests for a lock up to this ticket are cancelled: a new one needs another ticket."""
    cancels = (order for order in (ledger.orders if ledger else ()) if order.kind == CANCEL)
    return any(each.lock == lock and each.first <= ticket.token <= each.last for each in cancels)


def may_end(ledger: Optional[Ledger], ticket: Ticket, claim: Claim) -> bool:
    """Return whether a unit may give up its place in a roll: it is the first of those that are not over.

    A claim says that all places up to a token are over. So a later place waits until the earlier
    ones are over, and until the turn that has begun by one of them is.

    Args:
        ledger: the ledger that the unit goes by.
        ticket: its place.
        claim: what it says in that queue.
    """
    began_earlier = claim.holds and claim.roll and claim.ended < claim.token
    return not began_earlier and waiting_in(ledger, ticket.unit, ticket.queue, claim)[:1] == (ticket,)


# What units do


def pause_of(ledger: Optional[Ledger], ticket: Ticket, locks: Units, claims: Claims) -> Optional[Order]:
    """Return the pause because of which no turn begins by this ticket, None if there is none."""
    if ledger is None:
        return None
    named = locks | {ticket.roll or ticket.queue} if ticket.roll or ticket.queue else locks
    for order in ledger.orders:
        about = ticket.token >= order.first and (not order.lock or order.lock in named)
        if order.kind == PAUSE and about and _goes_on(ledger, order, claims):
            return order
    return None


def _goes_on(ledger: Ledger, pause: Order, claims: Claims) -> bool:
    """Return whether a pause goes on. One between two stages ends when nobody behind it is left."""
    return not pause.last or bool(left_in(ledger, pause, claims))


def pause_before(ledger: Optional[Ledger], ticket: Ticket, claim: Claim, claims: Claims) -> Optional[Order]:
    """Return the pause because of which a unit's next turn does not begin, None if there is none.

    Only the lock of a roll counts in its turn: what else the unit has asked for may come after that.
    """
    return pause_of(ledger, ticket, NO_CLAIM.names if ticket.roll else claim.names, claims)


def stopped_by(ledger: Ledger, ticket: Ticket, claims: Claims, failed: Mapping[str, int]) -> str:
    """Return the unit whose hook failed in the same roll, ahead of this ticket; '' for none.

    Args:
        ledger: the ledger that the unit goes by.
        ticket: its ticket.
        claims: what units say.
        failed: by unit, the token of the turn in which its hook failed.
    """
    roll = roll_of(ledger, ticket)
    stop = (
        other.unit
        for other in (rules.ahead(ledger, ticket, claims) if roll else ())
        if roll and other.token >= roll.first and failed.get(other.unit) == other.token
    )
    return next(stop, '')


def is_to_come(ledger: Ledger, pause: Order, claims: Claims) -> bool:
    """Return whether this is a pause between two stages that the roll has not reached yet."""
    left = (each for each in rules.unfinished(ledger, claims) if each.roll == pause.lock)
    return pause.kind == PAUSE and any(each.token < pause.first for each in left)


def ends_early(ledger: Ledger, resume: Order, claims: Claims) -> Tuple[Order, ...]:
    """Return the pauses between two stages that would end before the roll has reached them."""
    pauses = (each for each in ledger.orders if _resumes(resume, each))
    return tuple(pause for pause in pauses if is_to_come(ledger, pause, claims))


def obeyed(ledger: Ledger, unit: str, nonce: str, own: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return a unit's own claims after the cancellations in the ledger, and after it was freed."""
    claims = dict(own)
    for order in ledger.orders:
        if order.kind == FREE and (order.unit, order.nonce) == (unit, nonce):
            asks = dict(order.asks)
            for queue in {*claims, *asks}:
                claims[queue] = _after_free(order, claims.get(queue, Claim(nonce=nonce)), asks.get(queue, 0))
        elif order.kind == CANCEL:
            for ticket in ledger.tickets:
                if (ticket.unit, ticket.nonce) == (unit, nonce) and order.first <= ticket.token <= order.last:
                    claim = claims.get(ticket.queue, Claim(nonce=nonce))
                    claims[ticket.queue] = _after_cancel(order, claim, ticket, ledger)
    return claims


def _after_free(order: Order, claim: Claim, ask: int) -> Claim:
    """Return a freed unit's claim: what it had asked for is over, and it asks for it once more.

    What it had asked for besides, for after its turn, it still asks for after the new one.
    """
    over = rules.without_rolls(claim, order.last)
    if claim.outstanding and (claim.asked <= ask or (claim.holds and claim.token <= order.last)):
        anew = rules.released(over._replace(again=claim.locks or claim.again))
        return anew._replace(again=claim.again) if claim.locks and anew.outstanding else anew
    return over


def _after_cancel(order: Order, claim: Claim, ticket: Ticket, ledger: Ledger) -> Claim:
    if ticket.roll:
        over = ticket.roll == order.lock and may_end(ledger, ticket, claim)
        return rules.without_rolls(claim, ticket.token) if over else claim
    waits = claim.outstanding and claim.asked == ticket.ask and not claim.begun
    if not (waits and order.lock in claim.names):
        return claim
    return rules.without(claim, {order.lock})._replace(reason='')  # of a gate, which is asked anew


# Why an order is refused

NOT_LEADING = 'this unit does not lead'
NO_LEDGER = (
    'there is no ledger; the leader makes one when that unit has answered, too: '
    'resolve that unit or remove it'
)
NOT_HERE = 'Juju answers nothing in this hook; give the order in another hook'
NO_TICKET = "a class of the charm's own gives the tickets, and no unit that waits has one; release it there"


def refused(ledger: Optional[Ledger], wish: Wish, claims: Claims) -> str:
    """Return why an order is not given, in words; '' if nothing is in its way."""
    order = wish.order
    if ledger is not None and not ledger.readable:
        return "the leader's ledger cannot be read, so nothing can be changed; see the log"
    check: Mapping[str, Callable[[Ledger, Wish, Claims], str]] = {
        ROLL: _roll_refused, PAUSE: _pause_refused, RESUME: _resume_refused, CANCEL: _cancel_refused,
        FREE: _free_refused,
    }  # fmt: skip
    found = check.get(order.kind)
    return found(ledger or Ledger(), wish, claims) if found else ''


def _roll_refused(ledger: Ledger, wish: Wish, claims: Claims) -> str:
    others = [roll for roll in rolls(ledger, wish.order.lock) if not is_over(ledger, roll, claims)]
    if others and not wish.replace:
        form = 'a roll is under way, {} of {} done; cancel it first, or replace it'
        return form.format(*done_of(ledger, others[0], claims))
    return ''


def _pause_refused(ledger: Ledger, wish: Wish, claims: Claims) -> str:
    same = [order for order in ledger.orders if order.kind == PAUSE and order.lock == wish.order.lock]
    return 'already paused' if any(not order.first for order in same) else ''


def _resume_refused(ledger: Ledger, wish: Wish, claims: Claims) -> str:
    if not stands(ledger, wish):
        return ''
    everything = any(order.kind == PAUSE and not order.lock for order in ledger.orders)
    return 'all locks are paused; resume them all' if everything else 'not paused'


def _cancel_refused(ledger: Ledger, wish: Wish, claims: Claims) -> str:
    lock = wish.order.lock
    asked = any(claim.outstanding and lock in claim.names for claim in claims.values())
    if asked or any(left_in(ledger, roll, claims) for roll in rolls(ledger, lock)):
        return ''
    return 'no unit has asked for it, and no roll of it is under way'


def no_ticket(ledger: Optional[Ledger], lock: str, claims: Claims) -> str:
    """Return why nothing can be cancelled that has no ticket; '' if something that waits has one."""
    for ticket in rules.unfinished(ledger, claims):
        names = claims.get((ticket.unit, ticket.queue), NO_CLAIM).names | {ticket.roll}
        if lock in names and ledger and not rules.is_turn(ledger, ticket, claims):
            return ''
    return NO_TICKET


def _free_refused(ledger: Ledger, wish: Wish, claims: Claims) -> str:
    unit = wish.order.unit
    asks = any(claim.outstanding for (who, _), claim in claims.items() if who == unit)
    if asks or any(ticket.unit == unit for ticket in rules.unfinished(ledger, claims)):
        return ''
    return 'it holds no lock and waits for none'
