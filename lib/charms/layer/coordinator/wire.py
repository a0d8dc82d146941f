"""From text to values and back: what is written to Juju and to the local store.

What lives here: the formats, their version, and what is refused and why. What
must not: IO, a rule. Nothing here raises on bad text. For each entry that cannot be
read, the reader returns a problem, a sentence for the log; other entries are read.

    claims    {"v": 1, "queues": {QUEUE: {"asked": 2, "done": 1, "locks": {LOCK: TIME}}}}
    ledger    {"v": 1, "token": 17, "tickets": [[TOKEN, QUEUE, UNIT, ASK, SLOTS], …]}
              or [TOKEN, QUEUE, UNIT, ASK, SLOTS, [TOKEN, …] or null, TIME] if a policy decided
"""

import json
import math
from typing import Any, Dict, List, Mapping, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.rules import ALL_LOCKS, UNNAMED, UNREADABLE, Claim, Ledger, Ticket, UnitState

VERSION = 1

# This layer writes no number with more digits. Python 3.11 refuses one; older versions may take minutes.
LONGEST_NUMBER = 4300

OwnClaims = Mapping[str, Claim]
Problems = Tuple[str, ...]

NAME_FORM = '1 to 200 printable characters without braces and without blanks at either end'
CLAIM_FORM = '{"asked": A, "done": D, "locks": {LOCK: TIME}} with 0 <= D <= A <= 1000000000'
TICKET_FORM = '[TOKEN, QUEUE, UNIT, ASK, SLOTS], and [TOKEN, ...] or null, and TIME where a policy decided'
STATE_FORM = '{"claims": {"own", "committed", UNIT: CLAIMS}, "led": BOOLEAN, "published": BOOLEAN}'
CLAIMS_FORM = 'version 1 {"v": 1, "queues": {...}}'
LEDGER_FORM = 'version 1 {"v": 1, "token": T, "tickets": [...]}'


def shown(found: Any) -> str:
    """Return a value as error messages show it, at most 80 characters of it."""
    try:
        text = found if isinstance(found, str) else json.dumps(found, default=repr)
    except (TypeError, ValueError, RecursionError):  # a list may contain itself
        text = 'a {}'.format(type(found).__name__)
    return repr(text if len(text) <= 80 else text[:77] + '...')


def lock_name(name: Any) -> str:
    """Return the lock name as it was given.

    Raises:
        ValueError: if it is not a lock name. Braces would break charms.reactive's
            `@when`, which formats flag names. Blanks at an end and control
            characters are mistakes that nobody would see in a log.
    """
    if is_lock(name):
        return str(name)
    raise ValueError(problem('lock name', NAME_FORM, name, 'nothing was asked for or released'))


# Claims


def claims_text(own: OwnClaims) -> str:
    """Return a unit's claims as text; the same claims always give the same text."""
    return json.dumps(claims_value(own), sort_keys=True, separators=(',', ':'))


def claims_value(own: OwnClaims) -> Dict[str, Any]:
    """Return a unit's claims as a value that JSON can express."""
    return {'v': VERSION, 'queues': {queue: _claim_entry(claim) for queue, claim in own.items()}}


def _claim_entry(claim: Claim) -> Dict[str, Any]:
    entry = {'locks': dict(claim.locks), 'kept': claim.kept, 'token': claim.token}
    return {'asked': claim.asked, 'done': claim.done, **{key: entry[key] for key in entry if entry[key]}}


def claims(text: Optional[str], where: str) -> Tuple[Dict[str, Claim], Problems]:
    """Return the claims by queue that a unit's databag holds, and what could not be read.

    Args:
        text: what is in the databag; None and '' mean no claims.
        where: the name of the place in a problem.
    """
    return claims_in(parsed(text), where, text) if text else ({}, ())


def claims_in(found: Any, where: str, text: Any) -> Tuple[Dict[str, Claim], Problems]:
    """Return the claims by queue in a decoded JSON value; `text` is what a problem shows of it."""
    consequence = 'ignored: what it holds stays held, and it is given nothing until it can be read'
    queues = found.get('queues') if _is_ours(found) else None
    if not isinstance(queues, dict):
        return {}, (problem(where, CLAIMS_FORM, text, consequence),)
    own = {queue: _claim(entry) if _is_queue(queue) else None for queue, entry in sorted(queues.items())}
    problems = tuple(
        problem('{}, queue {}'.format(where, shown(queue)), CLAIM_FORM, queues[queue], consequence)
        for queue, claim in own.items()
        if claim is None
    )
    return {queue: claim for queue, claim in own.items() if claim is not None}, problems


def _claim(found: Any) -> Optional[Claim]:
    entry: Dict[str, Any] = found if isinstance(found, dict) else {}
    asked, done, token = entry.get('asked', -1), entry.get('done', -1), entry.get('token', 0)
    locks, kept = entry.get('locks', {}), entry.get('kept', False)
    counted = _is_count(asked) and _is_count(done) and done <= asked and _is_token(token)
    timed = isinstance(locks, dict) and all(is_lock(name) and _is_time(locks[name]) for name in locks)
    if not (counted and timed and isinstance(kept, bool)):
        return None
    return Claim(asked, done, tuple(sorted(locks.items())), kept, token)


# The ledger


def ledger_text(ledger: Ledger) -> str:
    """Return the ledger as text; each ticket takes about 25 bytes plus the unit's name."""
    tickets = [_ticket_entry(ticket) for ticket in ledger.tickets]
    return json.dumps({'v': VERSION, 'token': ledger.token, 'tickets': tickets}, separators=(',', ':'))


def _ticket_entry(ticket: Ticket) -> Any:
    if ticket.raw:
        return json.loads(ticket.raw)
    decided = ticket.after is not None or ticket.requested_at
    return list(ticket[:5]) + ([ticket.after, ticket.requested_at] if decided else [])


def ledger(text: Optional[str], where: str) -> Tuple[Optional[Ledger], Problems]:
    """Return the ledger, None if there is none, and what could not be read in it.

    A ticket that cannot be read may be somebody's turn, so it stays where it is
    and is never finished. The tickets behind it in its queue (in any queue, if its
    queue cannot be read either) wait until its unit is gone or it is removed.
    """
    if not text:
        return None, ()
    found = parsed(text)
    entries = found.get('tickets') if _is_ours(found) else None
    if not (isinstance(entries, list) and _is_token(found.get('token'))):
        return UNREADABLE, (problem(where, LEDGER_FORM, text, 'nobody is given a lock until it can be read'),)
    tickets, place = tuple(map(_ticket, entries)), where + ', ticket {}'
    problems = tuple(
        problem(place.format(n), TICKET_FORM, entries[n], 'kept as it is; those behind it wait')
        for n, ticket in enumerate(tickets)
        if ticket.raw
    )
    return Ledger(max([found['token'], *(ticket.token for ticket in tickets)]), tickets), problems


def _ticket(entry: Any) -> Ticket:
    fields = entry if isinstance(entry, list) else []
    token, queue, unit, ask, slots = (fields + [None] * 5)[:5]
    after, asked_at = fields[5:] if len(fields) == 7 else (None, '')
    counts = len(fields) in (5, 7) and all(map(_is_count, (ask, slots))) and _is_token(token)
    decided = after is None or (isinstance(after, list) and all(map(_is_token, after)))
    named = _is_queue(queue), is_unit(unit)
    if counts and decided and _is_time(asked_at) and token and ask and slots and all(named):
        return Ticket(token, queue, unit, ask, slots, '', None if after is None else tuple(after), asked_at)
    raw = json.dumps(entry)
    return Ticket(0, queue if named[0] else ALL_LOCKS, unit if named[1] else UNNAMED, ask=0, raw=raw)


# What a unit remembers


def state_value(state: UnitState) -> Dict[str, Any]:
    """Return what a unit remembers as a value that JSON can express."""
    said = {'own': dict(state.own), 'committed': dict(state.committed)}
    for (unit, queue), claim in state.peers:
        said.setdefault(unit, {})[queue] = claim
    claims = {who: claims_value(own) for who, own in said.items()}
    return {'claims': claims, 'led': state.led, 'published': state.published}


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
    said, led, published = entry.get('claims'), entry.get('led'), entry.get('published')
    named = isinstance(said, dict) and {'own', 'committed'} <= set(said) and all(map(is_unit, said))
    if not (said and named and isinstance(led, bool) and isinstance(published, bool)):
        return None, (problem(where, STATE_FORM, found, 'this unit starts again from what Juju has of it'),)
    read = {who: claims_in(value, '{}, {}'.format(where, who), value) for who, value in said.items()}
    problems = tuple(text for _, texts in read.values() for text in texts)
    if problems:
        return None, problems
    own, committed = (tuple(sorted(read.pop(who)[0].items())) for who in ('own', 'committed'))
    peers = (((unit, queue), claim) for unit, (own, _) in read.items() for queue, claim in own.items())
    return UnitState(own, committed, tuple(sorted(peers)), led, published), ()


# What can be read at all


def parsed(text: str) -> Any:
    """Return the decoded JSON; None if it is not JSON, or JSON that not all readers read alike."""
    try:
        return _STRICT.decode(text)
    except (ValueError, RecursionError):
        return None


def _object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError('a key that is there twice')
    return found


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise ValueError('a number that is too long')
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(float(digits)):
        raise ValueError('a number that not every reader of JSON knows')
    return float(digits)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_finite, parse_constant=_finite
)


def _is_ours(found: Any) -> bool:
    return isinstance(found, dict) and found.get('v') == VERSION and found.get('v') is not True


def _is_count(found: Any, most: int = rules.MAX_COUNT) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= most


def _is_token(found: Any) -> bool:
    return _is_count(found, rules.MAX_TOKEN)  # tokens count the turns of all units, so they may outgrow asks


def _is_time(found: Any) -> bool:
    return isinstance(found, str) and len(found) <= 40


def _is_name(found: Any) -> bool:
    # Printable, because names are logged, and a command line can have neither NUL nor a lone surrogate.
    return isinstance(found, str) and 0 < len(found) <= 200 and found.isprintable()


def is_unit(found: Any) -> bool:
    """Return whether this may be a unit's name."""
    # The name becomes an argument of relation-get, where '-o/etc/passwd' would be an option.
    return _is_name(found) and found[0] != '-'


def is_lock(found: Any) -> bool:
    """Return whether this may be a lock's name."""
    return _is_name(found) and found == found.strip() and not set(found) & {'{', '}'}


def _is_queue(found: Any) -> bool:
    return found == ALL_LOCKS or is_lock(found)


def problem(where: str, expected: str, found: Any, consequence: str) -> str:
    """Return a sentence that says where, what was expected, what was found, and what happens next."""
    return '{}: expected {}, found {}; {}'.format(where, expected, shown(found), consequence)
