"""Why a lock is not held yet, in words: the same in the log, in a status, in an action and in the demo.

What lives here: sentences. What must not: IO, a clock, a decision.
"""

from typing import Iterable, Optional

from charms.layer.coordinator import orders
from charms.layer.coordinator.rules import ahead, is_turn
from charms.layer.coordinator.values import NO_CLAIM, Claims, Ledger, Order, Ticket


def refusal(ledger: Optional[Ledger], ticket: Optional[Ticket], claims: Claims) -> str:
    """Return why the lock is not held yet, as words to put after 'LOCK: '.

    Args:
        ledger: as this unit read it.
        ticket: this unit's ticket; one with `raw`, at the end, if it was given none.
        claims: what units say.
    """
    if ledger is not None and not ledger.readable:
        return "the leader's ledger cannot be read, so nobody is given the lock; see the log"
    if ledger is None or ticket is None:
        return 'asked, and the leader has given no ticket yet'
    if ticket.raw:
        reason = who_holds(ledger, ticket, claims) or 'it gives none while a hook of its own is in error'
        return 'asked, and the leader has given no ticket yet; ' + reason
    names = claims.get((ticket.unit, ticket.queue), NO_CLAIM).names
    pause = orders.pause_of(ledger, ticket, names)
    if is_turn(ledger, ticket, claims):
        if pause:
            return paused(pause)
        if ledger.contested:
            return 'a new leader takes over; its turn begins after that'
        return 'its turn begins in the next hook of this unit'
    waits = '{}, {} ahead of this unit'.format(
        who_holds(ledger, ticket, claims), len(ahead(ledger, ticket, claims))
    )
    return '{}; {}'.format(waits, paused(pause)) if pause else waits


def paused(pause: Order) -> str:
    """Return, in words, that no turn begins because of this pause."""
    since = ' since {} UTC'.format(pause.since[:16]) if pause.since else ''
    return 'paused{}{}'.format(since, pause.reason and ': ' + pause.reason)


def who_holds(ledger: Optional[Ledger], ticket: Optional[Ticket], claims: Claims) -> str:
    """Return, in words, which units hold what a ticket waits for; '' for none, and if that is not known."""
    if not (ledger and ledger.readable and ticket):
        return ''
    waits = ahead(ledger, ticket, claims)
    slots = waits[0].slots if waits and ticket.raw else ticket.slots
    # Of those ahead, only the ones of the first stage may be at work.
    return hold(earlier.unit for earlier in waits[:slots] if earlier.stage == waits[0].stage)


def hold(units: Iterable[str]) -> str:
    """Return, in words, that these units hold a lock; '' for none."""
    names = sorted({unit or 'a ticket that cannot be read' for unit in units})
    return '{} {} it'.format(' and '.join(names), 'holds' if len(names) == 1 else 'hold') if names else ''
