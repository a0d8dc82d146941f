"""Why a lock is not held yet, in words: the same in the log, in a status, in an action and in the demo.

What lives here: sentences. What must not: IO, a clock, a decision.
"""

from types import MappingProxyType
from typing import Dict, Iterable, List, Mapping, Optional, Tuple

from charms.layer.coordinator import orders
from charms.layer.coordinator.rules import ahead, is_turn
from charms.layer.coordinator.values import NO_CLAIM, Claims, Ledger, Order, Ticket, Units

FEW = 3  # so many units are named
NO_TICKET = 'asked, and the leader has given no ticket yet'
STOPPED = 'a hook of {0} failed in its turn; the roll goes on when a hook of {0} has succeeded'
GOES_ON = 'its turn goes on in the next hook of this unit; nothing else may use it'
COMES_AFTER = 'asked for after the turn that this unit has now'
UNREADABLE_TICKET = 'a ticket that cannot be read'


def refusal(
    ledger: Optional[Ledger],
    ticket: Optional[Ticket],
    claims: Claims,
    failed: Mapping[str, int] = MappingProxyType({}),
) -> str:
    """Return why the lock is not held yet, as words to put after 'LOCK: '.

    Args:
        ledger: as this unit read it.
        ticket: this unit's ticket; one with `raw`, at the end, if it was given none.
        claims: what units say.
        failed: by unit, the token of the turn of a roll in which its hook failed.
    """
    if ledger is not None and not ledger.readable:
        return "the leader's ledger cannot be read, so nobody is given the lock; see the log"
    if ledger is None or ticket is None:
        return NO_TICKET
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    if ticket.raw:
        return '; '.join([NO_TICKET, *_without(ledger, ticket, claim.names, claims)])
    pause = orders.pause_before(ledger, ticket, claim, claims)
    if is_turn(ledger, ticket, claims):
        return paused(pause) if pause else _not_begun(ledger, ticket, claims, failed)
    waits = _waits(ledger, ticket, claims)
    return '{}; {}'.format(waits, _then(pause)) if pause else waits


def _not_begun(ledger: Ledger, ticket: Ticket, claims: Claims, failed: Mapping[str, int]) -> str:
    """Return why a turn that has come, and is not paused, has not begun."""
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    stops = orders.stopped_by(ledger, ticket, claims, failed)
    gate = '' if stops or claim.holds else claim.reason
    if ledger.contested and not gate:
        return "a new leader takes over; this unit's turn begins after that"
    if stops:
        return STOPPED.format(stops)
    return gate or 'its turn begins in the next hook of this unit'


def _without(ledger: Ledger, ticket: Ticket, names: Units, claims: Claims) -> List[str]:
    """Return what a unit waits for that has no ticket: who holds it, and what would stop its next ticket."""
    holds = who_holds(ledger, ticket, claims)
    pause = orders.pause_of(ledger, ticket._replace(token=ledger.token + 1), names, claims)
    stops = [_then(pause) if holds else paused(pause)] if pause else []
    return [holds or 'a leader in error gives none', *stops]


def _then(pause: Order) -> str:
    """Return what a pause stops when those ahead are done."""
    return 'then the roll waits for the operator' if pause.first else paused(pause)


def _waits(ledger: Ledger, ticket: Ticket, claims: Claims) -> str:
    """Return who holds it and how many are ahead of this unit; who they are, if they are few."""
    before = [each.unit or UNREADABLE_TICKET for each in ahead(ledger, ticket, claims)]
    holders = _holders(ledger, ticket, claims)
    few = ' ({})'.format(', '.join(dict.fromkeys(before))) if len(holders) < len(before) <= FEW else ''
    holds = hold(holders, reasons(holders, ticket.queue, claims))
    return '{}, {} ahead of this unit{}{}'.format(holds, len(before), few, _progress(ledger, ticket, claims))


def _progress(ledger: Ledger, ticket: Ticket, claims: Claims) -> str:
    """Return how far the roll is that a ticket is of, to put behind a sentence; '' for any other ticket."""
    roll = orders.roll_of(ledger, ticket)
    return '; {} of {} done'.format(*orders.done_of(ledger, roll, claims)) if roll else ''


def progress(ledger: Ledger, roll: Order, claims: Claims) -> str:
    """Return how far a roll is, and who has the lock or what the roll waits for, for the leader's log."""
    left, now = orders.left_in(ledger, roll, claims), ''
    if left:
        pause = orders.pause_of(ledger, left[0], NO_CLAIM.names, claims)
        last = left[0]._replace(token=0, unit='', raw='not given')  # a stand-in, behind all others
        behind = ledger._replace(tickets=(*ledger.tickets, last))
        now = paused(pause) if pause else who_holds(behind, last, claims)
    said = '{}: {} of {} done'.format(roll.lock, *orders.done_of(ledger, roll, claims))
    return said + (now and '; ' + now)


def paused(pause: Order) -> str:
    """Return, in words, that no turn begins because of this pause."""
    if pause.first:
        return 'waits for the operator: ' + pause.reason
    since = ' since {} UTC'.format(pause.since[:16]) if pause.since else ''
    return 'paused{}{}'.format(since, pause.reason and ': ' + pause.reason)


def who_holds(ledger: Optional[Ledger], ticket: Optional[Ticket], claims: Claims) -> str:
    """Return, in words, which units hold what a ticket waits for; '' for none, and if that is not known."""
    if not (ledger and ledger.readable and ticket):
        return ''
    holders = _holders(ledger, ticket, claims)
    return hold(holders, reasons(holders, ticket.queue, claims))


def _holders(ledger: Ledger, ticket: Ticket, claims: Claims) -> Tuple[str, ...]:
    waits = ahead(ledger, ticket, claims)
    slots = waits[0].slots if waits and ticket.raw else ticket.slots
    # Of those ahead, only the ones of the first stage may be at work.
    return tuple(earlier.unit for earlier in waits[:slots] if earlier.stage == waits[0].stage)


def reasons(units: Iterable[str], queue: str, claims: Claims) -> Dict[str, str]:
    """Return what units say of why they keep the lock, or do not begin."""
    said = {unit: claims.get((unit, queue), NO_CLAIM).reason for unit in units}
    return {unit: reason for unit, reason in said.items() if reason}


def hold(units: Iterable[str], reasons: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return, in words, that these units hold a lock, and what they say of it; '' for none."""
    names = sorted({unit or UNREADABLE_TICKET for unit in units})
    if not names:
        return ''
    text = '{} {} it'.format(' and '.join(names), 'holds' if len(names) == 1 else 'hold')
    if len(names) == 1:
        return ': '.join([text, *reasons.values()])
    return '; '.join([text, *('{}: {}'.format(unit, reasons[unit]) for unit in sorted(reasons))])
