"""What text may be read at all, and what a name, a count or a time may be.

What lives here: JSON that all readers read alike, the forms of single values, and the sentence about one
that is not as expected. What must not: IO, a rule, the form of a claim or a ledger (wire.py).
"""

import json
import math
from typing import Any, Dict, List, Tuple

from charms.layer.coordinator import values
from charms.layer.coordinator.values import ALL_LOCKS

VERSION = 2

# This layer writes no number with more digits. Python 3.11 refuses one; older versions may take minutes.
LONGEST_NUMBER = 4300

GOALS_FORM = 'units and relations by name'
REASON_FORM = 'one line of at most 200 printable characters, without blanks at either end'
NAME_FORM = '1 to 200 printable characters without braces and without blanks at either end'


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


_HEX = frozenset('0123456789abcdef')


def is_nonce(found: Any) -> bool:
    """Return whether this may be the name of a life of a unit."""
    # A unit takes its nonce from its databag, and writes it into the names of keys, which it must read again.
    return isinstance(found, str) and len(found) in (0, 8) and _HEX.issuperset(found)


def is_place(found: Any) -> bool:
    """Return whether this may be the number in the place of a ticket: see Ticket.place."""
    return is_count(found) or (isinstance(found, int) and is_token(-found))


def reason(found: Any, consequence: str) -> str:
    """Return a reason as it was given.

    Raises:
        ValueError: if it is not one line of at most 200 printable characters, without blanks at either end.
    """
    if is_reason(found):
        return str(found)
    raise ValueError(problem('reason', REASON_FORM, found, consequence))


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


def is_ours(found: Any) -> bool:
    """Return whether this is of a version that this layer reads."""
    return isinstance(found, dict) and found.get('v') in (1, VERSION) and found.get('v') is not True


def is_count(found: Any, most: int = values.MAX_COUNT) -> bool:
    """Return whether this may be a count."""
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= most


def is_token(found: Any) -> bool:
    """Return whether this may be a token: these count the turns of all units, and may outgrow asks."""
    return is_count(found, values.MAX_TOKEN)


def goal_state(found: Any) -> Tuple[Dict[str, Any], Tuple[str, ...]]:
    """Return what goal-state prints: goals by unit, and by endpoint; {} and a problem for anything else."""
    parts = [found.get(name) or {} for name in ('units', 'relations')] if isinstance(found, dict) else [None]
    formed = all(
        isinstance(part, dict) and all(isinstance(goal, dict) for goal in part.values()) for part in parts
    )
    return (found, ()) if formed else ({}, (problem('goal-state', GOALS_FORM, found, 'it tells nothing'),))


def is_time(found: Any) -> bool:
    """Return whether this may be a time."""
    return isinstance(found, str) and len(found) <= 40


def is_timed(found: Any) -> bool:
    """Return whether these may be locks, each with a time."""
    return isinstance(found, dict) and all(is_lock(name) and is_time(found[name]) for name in found)


def _is_name(found: Any) -> bool:
    # Printable, because names are logged, and a command line can have neither NUL nor a lone surrogate.
    return isinstance(found, str) and 0 < len(found) <= 200 and found.isprintable()


def is_unit(found: Any) -> bool:
    """Return whether this may be a unit's name."""
    # The name becomes an argument of relation-get, where '-o/etc/passwd' would be an option.
    return _is_name(found) and found[0] != '-'


def is_reason(found: Any) -> bool:
    """Return whether this may be a reason: '' or one line of up to 200 printable characters."""
    return found == '' or (_is_name(found) and found == found.strip())


def is_lock(found: Any) -> bool:
    """Return whether this may be a lock's name."""
    return _is_name(found) and found == found.strip() and not set(found) & {'{', '}'}


def is_queue(found: Any) -> bool:
    """Return whether this may be a queue's name."""
    return found == ALL_LOCKS or is_lock(found)


def problem(where: str, expected: str, found: Any, consequence: str) -> str:
    """Return a sentence that says where, what was expected, what was found, and what happens next."""
    return '{}: expected {}, found {}; {}'.format(where, expected, shown(found), consequence)
