"""What a unit knows of all locks, as data for programs: the form of `status()`.

What lives here: from the values of a session to plain data. What must not: IO, a clock, a rule about
whose turn it is, the table for people (table.py).

The data are one dict of plain values, which JSON can express. Version 1 keeps these keys; more may come:

    version     1
    unit, at    who says this, and when by its clock (UTC)
    juju        the agent's major version
    leads       whether this unit leads; Juju tells a unit no more about who does
    term        the term of the ledger, 0 if there has been none
    ledger      open, contested, unreadable, lost, none, or unknown (where Juju answers nothing)
    awaits      the units that must run a hook before the leader makes a ledger
    says        what is the matter with the ledger, '' if nothing is
    this_unit   {LOCK: why this unit does not hold it yet}
    queues      queue ('' for the one that all locks share), says (who holds it), tickets and requests (in
                order), more_tickets and more_requests (how many are left out)
    rolls       the rolls that are under way, or whose end no handler has seen, as far as this unit knows:
                lock, since, reason, units (how many are in it), done (how many of them are, or are gone),
                works (of each whose turn has come: unit, since when it has worked if it has said so,
                otherwise '', and paused and failed as below),
                more_stages (how many stages follow)
    pauses      lock ('' for all), since, reason, waits ('' for an operator's pause; of a roll that waits
                after its first stages, 'later' before those are done, and then 'now')
    cancelled   lock, since, reason, while a unit has not withdrawn its request
    freed       unit, since, reason, until that unit has found it so
    to_write    order, lock, unit, since: what this unit, as the leader, has still to write
    problems    what could not be read

Each ticket, and each request that has none, as far as this unit knows:

    unit        '' if that cannot be read
    token       the fencing token; None without a ticket, unless the turn has begun
    slots       how many units may hold the lock together; None without a ticket
    holds       whether its turn has come
    ahead       how many tickets it waits for; None without a ticket
    begun       whether handlers have run in the turn; None if this unit cannot know: a unit says so only
                when a hook has succeeded, and the turn goes on
    failed      whether the hook that began the turn is known not to have succeeded
    gone        whether Juju no longer lists the unit; the leader drops its ticket, at update-status at last
    locks       {LOCK: when it was asked for}, by that unit's clock; of a roll, by the leader's
    since       the first of these times, '' if it is not known
    roll        the lock, in a ticket of a roll; otherwise ''
    stage       the token of the first ticket of its stage, 0 before the first roll; None without a ticket
    paused      whether its turn has come, and does not begin because of a pause, unless it had begun before
    reason      why its unit keeps the lock, or does not begin, in the charm's words
"""

import json
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator import orders, rules, why
from charms.layer.coordinator.values import (
    ALL_LOCKS,
    CANCEL,
    FREE,
    NO_CLAIM,
    NOBODY,
    PAUSE,
    ROLL,
    Claim,
    Claims,
    Ledger,
    Order,
    Ticket,
    Units,
    Wish,
)

VERSION = 1
MOST = 100  # the most tickets, and the most requests, of a queue

NO_LEDGER = 'no leader has given a ticket yet'
CONTESTED = 'a new leader takes over; turns that have not begun wait for it'
NOT_ANSWERED = 'Juju answers nothing in a hook of this kind'

Data = Dict[str, Any]


class Seen(NamedTuple):
    """What one unit knows of all locks.

    Args:
        unit: the unit.
        at: the time by its clock, as text that sorts.
        juju: its agent's major version.
        leads: whether it leads.
        answers: whether Juju answers in this hook.
        term: the highest term that the unit knows of.
        ledger: the ledger that all go by, None if there is none.
        lost: whether there has been another ledger, or an operator has marked it as lost.
        claims: what units say.
        awaited: the units that must run a hook before the leader makes a ledger.
        reason: why there is no ledger, in words.
        gone: the units, among those with unfinished tickets, that will never run again.
        failed: the queues in which a hook that began a turn of this unit has not succeeded.
        failures: by unit, the token of the turn of a roll in which its hook failed, as it says.
        problems: what could not be read.
        wishes: the orders that this unit, as the leader, has still to write.
        rolled: the names of the rolls whose end handlers of this unit have seen.
    """

    unit: str
    at: str
    juju: int
    leads: bool = False
    answers: bool = True
    term: int = 0
    ledger: Optional[Ledger] = None
    lost: bool = False
    claims: Claims = {}  # noqa: RUF012 - nobody changes it
    awaited: Units = NOBODY
    reason: str = ''
    gone: Units = NOBODY
    failed: Units = NOBODY
    failures: Mapping[str, int] = {}
    problems: Tuple[str, ...] = ()
    wishes: Tuple[Wish, ...] = ()
    rolled: Tuple[str, ...] = ()


# For programs


def data(seen: Seen, most: int = MOST) -> Data:
    """Return what a unit knows as plain values; the head of this file tells their form."""
    ledger = seen.ledger
    return {
        'version': VERSION,
        'unit': seen.unit,
        'at': seen.at,
        'juju': seen.juju,
        'leads': seen.leads,
        'term': ledger.term if ledger else seen.term,
        'ledger': _state_of_ledger(seen),
        'awaits': sorted(seen.awaited - {''}),
        'says': _about_ledger(seen),
        'this_unit': _about_this_unit(seen),
        'queues': [_queue(seen, queue, most) for queue in _queues(seen)],
        **_orders(seen),
        'problems': list(seen.problems),
    }


def as_json(seen: Seen, longest: int) -> str:
    """Return the data as JSON, with as many tickets and requests as there is room for."""
    most = MOST
    text = json.dumps(data(seen, most), sort_keys=True)
    while len(text) > longest and most:
        most //= 2
        text = json.dumps(data(seen, most), sort_keys=True)
    return text


def _state_of_ledger(seen: Seen) -> str:
    if not seen.answers:
        return 'unknown'
    if seen.ledger is None:
        return 'lost' if seen.lost else 'none'
    if not seen.ledger.readable:
        return 'unreadable'
    return 'contested' if seen.ledger.contested else 'open'


def _about_ledger(seen: Seen) -> str:
    state = _state_of_ledger(seen)
    return {
        'unknown': NOT_ANSWERED,
        'lost': 'the ledger is lost; ' + seen.reason,
        'none': NO_LEDGER + (seen.reason and '; ' + seen.reason),
        'unreadable': why.refusal(seen.ledger, None, seen.claims) if seen.ledger else '',
        'contested': CONTESTED,
    }.get(state, '')


def _orders(seen: Seen) -> Dict[str, List[Data]]:
    """Return the orders that stand, and those that the leader has still to write."""
    ledger = seen.ledger or Ledger()
    standing = [order for order in ledger.orders if _is_pending(seen, ledger, order)]

    def of_kind(kind: str, name: str) -> List[Data]:
        found = (order for order in standing if order.kind == kind)
        keys = (name, 'since', 'reason')
        return [{key: getattr(order, key) for key in keys} for order in found]

    pauses = [order for order in standing if order.kind == PAUSE]
    waits = [_waits_for_operator(seen, order) for order in pauses]
    wanted = (wish.order for wish in seen.wishes)
    return {
        'rolls': [_roll(seen, ledger, order) for order in standing if order.kind == ROLL],
        'pauses': [{**data, 'waits': now} for data, now in zip(of_kind(PAUSE, 'lock'), waits)],
        'cancelled': of_kind(CANCEL, 'lock'),
        'freed': of_kind(FREE, 'unit'),
        'to_write': [
            {'order': order.kind, 'lock': order.lock, 'unit': order.unit, 'since': order.since}
            for order in wanted
        ],
    }


def _is_pending(seen: Seen, ledger: Ledger, order: Order) -> bool:
    """Return whether a unit has still to obey an order, as far as this unit knows."""
    if order.kind != CANCEL:
        return orders.matters(order, ledger, seen.claims, NOBODY, seen.rolled)
    tickets = (each for each in _unfinished(seen) if order.first <= each.token <= order.last)
    waiting = (each for each in tickets if not rules.is_turn(ledger, each, seen.claims))
    return any(order.lock in _said_of(seen, each).names | {each.roll} for each in waiting)


def _roll(seen: Seen, ledger: Ledger, roll: Order) -> Data:
    left, works, units = orders.left_in(ledger, roll, seen.claims), [], roll.last - roll.first + 1
    for ticket in left if ledger.readable else ():
        said, pause = _said_of(seen, ticket), _pause(seen, ticket)
        waits = pause is not None and pause.first > 0
        if said.holds or (rules.is_turn(ledger, ticket, seen.claims) and not waits):
            since = dict(said.locks).get(roll.lock, '')
            paused = bool(pause) and not said.holds
            failed = _has_failed(seen, ticket)
            works.append({'unit': ticket.unit, 'since': since, 'paused': paused, 'failed': failed})
    return {
        'lock': roll.lock,
        'since': roll.since,
        'reason': roll.reason,
        'units': units,
        'done': units - len(left),
        'works': works,
        'more_stages': max(0, len({ticket.stage for ticket in left}) - 1),
    }


def _waits_for_operator(seen: Seen, pause: Order) -> str:
    """Return whether a roll waits for the operator after its first stages: 'now', 'later', or '' for no."""
    if not (pause.first and pause.kind == PAUSE):
        return ''
    return 'later' if orders.is_to_come(seen.ledger or Ledger(), pause, seen.claims) else 'now'


def _about_this_unit(seen: Seen) -> Dict[str, str]:
    """Return, by lock, what `explain` says of each lock that this unit waits for."""
    found = {}
    for queue, claim in _own(seen):
        ticket = rules.ticket_of(seen.ledger, seen.unit, queue, claim)
        ledger = seen.ledger
        if ledger and ledger.readable and ticket is None:
            ticket = rules.behind_all(queue, seen.unit)
            ledger = ledger._replace(tickets=(*ledger.tickets, ticket))
        rolls = {each.roll for each in orders.waiting_in(ledger, seen.unit, queue, claim)}
        for lock in sorted(rolls | (claim.names if not claim.holds else NOBODY)):
            refusal = '' if claim.holds else why.refusal(ledger, ticket, seen.claims, seen.failures)
            found[lock] = refusal or why.COMES_AFTER
    return found


def _own(seen: Seen) -> List[Tuple[str, Claim]]:
    mine = {queue: claim for (unit, queue), claim in seen.claims.items() if unit == seen.unit}
    tickets = seen.ledger.tickets if seen.ledger else ()
    rolls = [each for each in tickets if each.roll and each.unit == seen.unit]
    places = {**{each.queue: Claim(nonce=each.nonce) for each in rolls}, **mine}
    return sorted(places.items())


def _unfinished(seen: Seen) -> Tuple[Ticket, ...]:
    return rules.unfinished(seen.ledger, seen.claims)


def _queues(seen: Seen) -> List[str]:
    asked = {queue for (_, queue), claim in seen.claims.items() if claim.outstanding}
    return sorted(asked.union(ticket.queue for ticket in _unfinished(seen)))


def _queue(seen: Seen, queue: str, most: int) -> Data:
    unfinished = [ticket for ticket in _unfinished(seen) if ticket.queue == queue]
    asked = rules.unserved(seen.ledger or Ledger(), seen.claims).get(queue, [])
    tickets = [_ticket(seen, ticket) for ticket in unfinished[:most]]
    requests = [_request(seen, queue, unit, claim) for unit, claim in asked[:most]]
    return {
        'queue': queue,
        'says': _who_holds(seen, queue, unfinished[:most], [*tickets, *requests]),
        'tickets': tickets,
        'more_tickets': len(unfinished) - len(tickets),
        'requests': requests,
        'more_requests': len(asked) - len(requests),
    }


def _who_holds(seen: Seen, queue: str, tickets: Iterable[Ticket], rows: Iterable[Data]) -> str:
    """Return who holds a queue, in the words of `explain`."""
    holders = [row['unit'] for row in rows if row['holds']]
    if holders:
        return why.hold(holders, why.reasons(holders, queue, seen.claims))
    ledger = seen.ledger
    for ticket in tickets:
        pause = _pause(seen, ticket)
        if pause:
            return 'nobody holds it; it is ' + why.paused(pause) if not pause.first else why.paused(pause)
    if ledger and ledger.readable and not any(ticket.queue == queue for ticket in _unfinished(seen)):
        ticket = rules.behind_all(queue, seen.unit)
        return why.refusal(ledger._replace(tickets=(*ledger.tickets, ticket)), ticket, seen.claims)
    return 'nobody is known to hold it'


def _ticket(seen: Seen, ticket: Ticket) -> Data:
    said, ledger, mine = _said_of(seen, ticket), seen.ledger, ticket.unit == seen.unit
    locks = dict(said.locks)
    if ticket.queue != ALL_LOCKS:
        locks = {ticket.queue: locks.get(ticket.queue, ticket.requested_at)}
    if ticket.roll:
        locks[ticket.roll] = _rolled_since(seen, ticket)
    come = ledger is not None and ledger.readable and rules.is_turn(ledger, ticket, seen.claims)
    pause = _pause(seen, ticket) if come and not said.holds else None
    holds = said.holds or (come and not (pause and (pause.first or mine)))
    failed = _has_failed(seen, ticket)
    known = said.begun or failed
    begun = known if known or mine or not holds else None
    row = _row(seen, ticket.unit, ticket.queue, locks, begun, holds)
    return {
        **row,
        'failed': row['failed'] or failed,
        'token': ticket.token,
        'slots': ticket.slots,
        'ahead': len(rules.ahead(ledger, ticket, seen.claims)) if ledger else 0,
        'roll': ticket.roll,
        'stage': ticket.stage,
        'paused': pause is not None,
    }


def _said_of(seen: Seen, ticket: Ticket) -> Claim:
    """Return what the ticket's unit says of this turn."""
    claim = seen.claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    if ticket.roll:
        return (
            claim
            if (claim.token, claim.nonce, claim.holds) == (ticket.token, ticket.nonce, True)
            else NO_CLAIM
        )
    if (claim.asked, claim.nonce) != (ticket.ask, ticket.nonce):
        return NO_CLAIM
    return claim._replace(begun=False, token=0) if claim.roll else claim


def _has_failed(seen: Seen, ticket: Ticket) -> bool:
    """Return whether the ticket's unit says that its hook failed in this turn of a roll."""
    return bool(ticket.roll) and seen.failures.get(ticket.unit) == ticket.token


def _rolled_since(seen: Seen, ticket: Ticket) -> str:
    roll = orders.roll_of(seen.ledger, ticket)
    return roll.since if roll else ''


def _pause(seen: Seen, ticket: Ticket) -> Optional[Order]:
    return orders.pause_before(seen.ledger, ticket, _said_of(seen, ticket), seen.claims)


def _request(seen: Seen, queue: str, unit: str, claim: Claim) -> Data:
    row = _row(seen, unit, queue, dict(claim.locks), claim.begun, claim.holds)
    token = claim.token if claim.holds else None
    return {**row, 'token': token, 'slots': None, 'ahead': None, 'roll': '', 'stage': None, 'paused': False}


def _row(
    seen: Seen, unit: str, queue: str, locks: Mapping[str, str], begun: Optional[bool], holds: bool
) -> Data:
    reason = seen.claims.get((unit, queue), NO_CLAIM).reason
    return {
        'reason': reason if holds or unit == seen.unit else '',
        'unit': unit,
        'holds': holds,
        'begun': begun,
        'failed': bool(begun) and unit == seen.unit and queue in seen.failed,
        'gone': unit in seen.gone,
        'locks': dict(locks),
        'since': min((time for time in locks.values() if time), default=''),
    }
