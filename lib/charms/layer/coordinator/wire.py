"""From text to values and back: what is written to Juju and to the local store.

What lives here: the formats, their version, and what is refused and why. What
must not: IO, a rule. Nothing here raises on bad text. For each entry that cannot be
read, the reader returns a problem, a sentence for the log; other entries are read.

    claims    {"v": 2, "unit": NONCE, "term": 5, "queues": {QUEUE: {"asked": 2, "done": 1, "locks": …}}}
    ledger    {"v": 2, "token": 17, "tickets": […]}, each ticket [TOKEN, QUEUE, UNIT, ASK, SLOTS, NONCE];
              [TOKEN, QUEUE, UNIT, ASK, SLOTS, NONCE, [TOKEN, …] or null, TIME] if a policy decided;
              [TOKEN, QUEUE, UNIT, ASK, SLOTS, NONCE, null, TIME, STAGE, LOCK or ''] during and after a roll.
              Beside them "rolls": […] and "orders": […], if there are any, each
              [KIND, NAME, LOCK, TIME, REASON, FIRST, LAST, UNIT, NONCE, {QUEUE: ASK}]
"""

import json
import re
from typing import Any, Dict, Mapping, Optional, Tuple

from charms.layer.coordinator import ordertext, rules, values
from charms.layer.coordinator.forms import (
    VERSION,
    is_count,
    is_lock,
    is_nonce,
    is_ours,
    is_place,
    is_queue,
    is_reason,
    is_time,
    is_timed,
    is_token,
    is_unit,
    parsed,
    problem,
    shown,
)
from charms.layer.coordinator.values import (
    ALL_LOCKS,
    UNNAMED,
    UNREADABLE,
    About,
    Claim,
    End,
    Ledger,
    Record,
    Said,
    Ticket,
    UnitState,
)

Problems = Tuple[str, ...]

CLAIM_FORM = '{"asked": A, "done": D, "locks": {LOCK: TIME}} with 0 <= D <= A <= 1000000000'
TICKET_FORM = (
    '[TOKEN, QUEUE, UNIT, ASK, SLOTS, NONCE], and [TOKEN, ...] or null, and TIME where a policy decided, '
    'and STAGE and LOCK since a roll'
)
STATE_FORM = 'what this layer saved: {"claims": {"own", "committed", UNIT: CLAIMS}, "led": BOOLEAN, ...}'
CLAIMS_FORM = 'version 2 {"v": 2, "unit": NONCE, "term": T, "queues": {...}}'
LEDGER_FORM = 'version 2 {"v": 2, "token": N, "tickets": [...]}, and "rolls" and "orders" if there are any'
CLAIMED_FORM = '{"v": 2, "anew": BOOLEAN}'
SILENT = 'ignored: what it holds stays held, and it is given nothing until it can be read'


# Claims


def said_text(said: Said) -> str:
    """Return what a unit says as text; the same always gives the same text."""
    return json.dumps(said_value(said), sort_keys=True, separators=(',', ':'))


def said_value(said: Said) -> Dict[str, Any]:
    """Return what a unit says as a value that JSON can express."""
    about = {key: value for key, value in said.about._asdict().items() if value and key != 'spoke'}
    queues = {queue: _claim_entry(claim) for queue, claim in said.queues}
    return {'v': VERSION, 'unit': said.nonce, **about, 'queues': queues}


def _claim_entry(claim: Claim) -> Dict[str, Any]:
    entry: Dict[str, Any] = {'asked': claim.asked, 'done': claim.done}
    more = {'locks': dict(claim.locks), 'begun': claim.begun, 'token': claim.token}
    more.update(again=dict(claim.again), over=list(claim.over), roll=claim.roll, ended=claim.ended)
    more.update(reason=claim.reason)
    return {**entry, **{key: more[key] for key in more if more[key]}}


def said(text: Optional[str], where: str) -> Tuple[Optional[Said], Problems]:
    """Return what a unit's databag says, None if nothing, and what could not be read.

    A unit whose text cannot be read has spoken, and has neither asked for nor released
    anything.

    Args:
        text: what is in the databag; None and '' mean nothing.
        where: the name of the place in a problem.
    """
    return said_in(parsed(text), where, text) if text else (None, ())


def said_in(found: Any, where: str, text: Any) -> Tuple[Said, Problems]:
    """Return what a unit says in a decoded JSON value; `text` is what a problem shows of it."""
    queues = found.get('queues') if is_ours(found) else None
    about = _about(found) if isinstance(queues, dict) else None
    if queues is None or about is None:
        return Said(about=About(spoke=True)), (problem(where, CLAIMS_FORM, text, SILENT),)
    nonce = found.get('unit', '')
    own = {
        queue: _claim(entry, nonce) if is_queue(queue) else None for queue, entry in sorted(queues.items())
    }
    problems = tuple(
        problem('{}, queue {}'.format(where, shown(queue)), CLAIM_FORM, queues[queue], SILENT)
        for queue, claim in own.items()
        if claim is None
    )
    read = tuple((queue, claim) for queue, claim in own.items() if claim is not None)
    return Said(nonce, about._replace(spoke=bool(nonce or queues or about.term)), read), problems


def _about(found: Dict[str, Any]) -> Optional[About]:
    term, nonce, failed = found.get('term', 0), found.get('unit', ''), found.get('failed', 0)
    words = {key: found.get(key, '') for key in ('heard', 'principal', 'zone')}
    named = is_nonce(nonce) and all(word == '' or is_unit(word) for word in words.values())
    counted = is_count(term, values.MAX_TERM) and is_token(failed)
    return About(term, **words, failed=failed) if named and counted else None


def _claim(found: Any, nonce: str) -> Optional[Claim]:
    entry: Dict[str, Any] = found if isinstance(found, dict) else {}
    asked, done, token = entry.get('asked', -1), entry.get('done', -1), entry.get('token', 0)
    locks, again, over = entry.get('locks', {}), entry.get('again', {}), entry.get('over', [])
    begun, roll = entry.get('begun', entry.get('kept', False)), entry.get('roll', False)
    ended, reason = entry.get('ended', 0), entry.get('reason', '')
    counted = is_count(asked) and is_count(done) and done <= asked and is_token(token) and is_token(ended)
    named = isinstance(over, list) and all(life == '' or is_unit(life) for life in over) and is_reason(reason)
    timed = is_timed(locks) and is_timed(again)
    if not (counted and named and timed and isinstance(begun, bool) and isinstance(roll, bool)):
        return None
    times = (tuple(sorted(each.items())) for each in (locks, again))
    return Claim(asked, done, next(times), begun, token, next(times), nonce, tuple(over), roll, ended, reason)


# What a leader keeps


def record_text(record: Record) -> str:
    """Return what a leader wrote as text; each ticket takes about 36 bytes plus the unit's name."""
    if record.ledger is None:
        return json.dumps({'v': VERSION, 'anew': record.anew}, separators=(',', ':'))
    tickets = [ticket_entry(ticket) for ticket in record.ledger.tickets]
    value = {'v': VERSION, 'token': record.ledger.token, 'tickets': tickets}
    for key, is_roll in (('rolls', True), ('orders', False)):
        orders = [order for order in record.ledger.orders if (order.kind == values.ROLL) is is_roll]
        value.update({key: list(map(ordertext.order_entry, orders))} if orders else {})
    return json.dumps(value, separators=(',', ':'))


def record_name(record: Record) -> str:
    """Return the end of the key under which a record is."""
    return '{}-{}-{}'.format(record.term, record.version, record.nonce)


def ticket_entry(ticket: Ticket) -> Any:
    """Return a ticket as an entry of the ledger, a value that JSON can express."""
    if ticket.raw:
        return json.loads(ticket.raw)
    staged = [ticket.stage, ticket.roll] if ticket.stage else []
    decided = ticket.after is not None or ticket.requested_at or staged
    return [*ticket[:5], ticket.nonce] + ([ticket.after, ticket.requested_at] if decided else []) + staged


def record(name: str, text: str, where: str) -> Tuple[Optional[Record], Problems]:
    """Return what a leader wrote, None if the key is not of a record, and what could not be read in it.

    A ticket that cannot be read may be somebody's turn, so it stays where it is
    and is never finished. The tickets behind it in its queue (in any queue, if its
    queue cannot be read either) wait until its unit is gone or it is removed.
    A claim that cannot be read counts as one made because the ledger is lost.

    Args:
        name: the end of its key, see `record_name`.
        text: what is there.
        where: the name of the place in a problem.
    """
    named = _RECORD.match(name)
    if not named or int(named.group(1)) > values.LAST_TERM:
        return None, ()
    (term, version), nonce, found = map(int, named.group(1, 2)), named.group(3), parsed(text)
    entry: Dict[str, Any] = found if is_ours(found) else {}
    if not version:
        anew = entry.get('anew')
        problem_of_claim = problem(
            where, CLAIMED_FORM, text, 'it counts as a claim for a ledger that is lost'
        )
        return Record(nonce, term, anew=anew is not False), () if isinstance(anew, bool) else (
            problem_of_claim,
        )
    entries, token = entry.get('tickets'), entry.get('token')
    orders = ordertext.orders_in(entry.get('rolls', []), entry.get('orders', []))
    if not (isinstance(entries, list) and is_token(token)) or orders is None:
        consequence = 'nobody is given a lock until it can be read'
        return Record(nonce, term, version, UNREADABLE), (problem(where, LEDGER_FORM, text, consequence),)
    tickets, place = tuple(map(_ticket, entries)), where + ', ticket {}'
    problems = tuple(
        problem(place.format(n), TICKET_FORM, entries[n], 'kept as it is; those behind it wait')
        for n, ticket in enumerate(tickets)
        if ticket.raw
    )
    last = max([token or 0, *(ticket.token for ticket in tickets)])
    return Record(nonce, term, version, Ledger(last, tickets, orders=orders)), problems


_NONCE = '[0-9a-f]{8}'
_RECORD = re.compile(r'([1-9][0-9]{{0,15}})-(0|[1-9][0-9]{{0,14}})-({})\Z'.format(_NONCE))


def _ticket(entry: Any) -> Ticket:
    fields = entry if isinstance(entry, list) else []
    token, queue, unit, ask, slots, nonce = (fields + [None] * 6)[:6]
    after, asked_at = fields[6:8] if len(fields) > 7 else (None, '')
    stage, roll = fields[8:] if len(fields) == 10 else (0, '')
    counts = len(fields) in (6, 8, 10) and all(map(is_count, (ask, slots))) and is_token(token)
    decided = after is None or (isinstance(after, list) and all(map(is_token, after)))
    named = is_queue(queue), is_unit(unit)
    whose = is_nonce(nonce) and is_token(stage) and (ask if roll == '' else is_lock(roll) and nonce)
    if counts and decided and is_time(asked_at) and token and slots and all(named) and whose:
        tokens = None if after is None else tuple(after)
        return Ticket(token, queue, unit, ask, slots, '', tokens, asked_at, nonce, stage, roll)
    raw = json.dumps(entry)
    return Ticket(0, queue if named[0] else ALL_LOCKS, unit if named[1] else UNNAMED, ask=0, raw=raw)


# What a unit remembers


def state_value(state: UnitState) -> Dict[str, Any]:
    """Return what a unit remembers as a value that JSON can express."""
    said: Dict[str, Dict[str, Claim]] = {'own': dict(state.own), 'committed': dict(state.committed)}
    for (unit, queue), claim in state.peers:
        said.setdefault(unit, {})[queue] = claim
    claims = {who: said_value(Said(_nonce_of(own), queues=tuple(own.items()))) for who, own in said.items()}
    rest = {key: value for key, value in state._asdict().items() if key not in _CLAIMS_OF_STATE}
    about = {unit: list(about) for unit, about in state.about}
    return {'claims': claims, **rest, 'about': about, 'wishes': list(map(ordertext.wish_entry, state.wishes))}


_CLAIMS_OF_STATE = ('own', 'committed', 'peers')


def _nonce_of(claims: Mapping[str, Claim]) -> str:
    return next((claim.nonce for claim in claims.values()), '')


def state(found: Any, where: str) -> Tuple[Optional[UnitState], Problems]:
    """Return what a unit remembers, None if any part of it cannot be read.

    With None, which is safe, the unit starts again from its claims in Juju. A
    request that is not in Juju yet may be lost, and a turn whose end is not yet
    published may be repeated.

    Args:
        found: a decoded JSON value; None if nothing is stored.
        where: the name of the place in a problem.
    """
    if found is None:
        return None, ()
    entry: Dict[str, Any] = found if isinstance(found, dict) else {}
    said, rest = entry.get('claims'), _rest(entry)
    named = isinstance(said, dict) and {'own', 'committed'} <= set(said) and all(map(is_unit, said))
    if not (said and named and rest):
        return None, (problem(where, STATE_FORM, found, 'this unit starts again from what Juju has of it'),)
    read = {who: said_in(value, '{}, {}'.format(where, who), value) for who, value in said.items()}
    problems = tuple(text for _, texts in read.values() for text in texts)
    if problems:
        return None, problems
    own, committed = (read.pop(who)[0].queues for who in ('own', 'committed'))
    peers = (((unit, queue), claim) for unit, (said, _) in read.items() for queue, claim in said.queues)
    return rest._replace(own=own, committed=committed, peers=tuple(sorted(peers))), ()


def _rest(entry: Mapping[str, Any]) -> Optional[UnitState]:
    """Return the parts of a state that are no claims, None if one of them has another form."""
    forms = {'led': bool, 'known': bool, 'spoken': bool, 'nonce': str, 'heard': str, 'context': str}
    found: Dict[str, Any] = {key: entry.get(key) for key in (*forms, 'about', *_TERMS)}
    formed = all(isinstance(found[key], form) for key, form in forms.items())
    counted = all(is_token(found[key]) for key in _TERMS)
    seen, put_off, about = _places(entry.get('seen')), _places(entry.get('put_off')), found['about']
    progress = _places(entry.get('progress'))
    wishes: Any = entry.get('wishes')
    rolled: Any = entry.get('rolled')
    rolling: Any = entry.get('rolling')
    listed = isinstance(wishes, list) and isinstance(rolled, list) and isinstance(rolling, bool)
    if not (formed and counted and listed and isinstance(about, dict)):
        return None
    if seen is None or put_off is None or progress is None:
        return None
    said = {unit: _about_of(words) for unit, words in about.items() if is_unit(unit)}
    wanted = tuple(filter(None, map(ordertext.wish_in, wishes)))
    if not (all(said.values()) and len(said) == len(about) and len(wanted) == len(wishes)):
        return None
    found.update(about=rules.frozen(said), seen=seen, put_off=put_off, progress=progress)
    return UnitState(**found, rolling=rolling, rolled=tuple(map(str, rolled)), wishes=wanted)


_TERMS = ('term', 'told', 'claimed', 'opened')


def _places(found: Any) -> Optional[Tuple[Tuple[str, int], ...]]:
    """Return (queue, ask) pairs, sorted; None if it is anything else."""
    pairs = found if isinstance(found, list) and all(isinstance(pair, list) for pair in found) else [[]]
    if all(len(pair) == 2 and is_queue(pair[0]) and is_place(pair[1]) for pair in pairs):
        return tuple(sorted((queue, ask) for queue, ask in pairs))
    return None


def _about_of(words: Any) -> Optional[About]:
    if not (isinstance(words, list) and len(words) in (4, 5, 6) and isinstance(words[3], bool)):
        return None
    about = _about(dict(zip(About._fields, words)))
    return about and about._replace(spoke=words[3])


# The ends of turns, in the charm's own key-value store


def ends_value(ends: Mapping[str, End]) -> Dict[str, Any]:
    """Return the ends of turns as a value that JSON can express."""
    return {
        queue: [end.ask, list(end.locks), end.nonce]
        + [end.token] * bool(end.token or end.asked or end.again)
        + [dict(end.asked)] * bool(end.asked or end.again)
        + [dict(end.again)] * bool(end.again)
        for queue, end in ends.items()
    }


def ends(found: Any) -> Dict[str, End]:
    """Return the ends of turns in a decoded JSON value; what cannot be read ended nothing."""
    read = {}
    for queue, end in found.items() if isinstance(found, dict) else ():
        formed = isinstance(end, list) and len(end) in (3, 4, 5, 6) and is_count(end[0])
        formed = formed and all(map(is_token, end[3:4])) and all(map(is_timed, end[4:]))
        if formed and isinstance(end[1], list):
            times = (tuple(sorted(each.items())) for each in end[4:])
            read[queue] = End(end[0], tuple(map(str, end[1])), str(end[2]), *end[3:4], *times)
    return read
