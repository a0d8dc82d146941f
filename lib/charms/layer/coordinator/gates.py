"""What a charm wants to be asked before a turn begins.

What lives here: the functions that the charm has named for that. What must not: whose turn it is.
"""

from typing import Callable, Dict, FrozenSet

# By lock: the function that returns why no turn begins now, '' if nothing is in the way.
GATES: Dict[str, Callable[[], str]] = {}
LONGEST = 200


def closed(locks: FrozenSet[str]) -> str:
    """Return why no turn may begin under these locks, in one line of up to 200 characters; '' if one may."""
    for lock in sorted(locks & frozenset(GATES)):
        reason = ' '.join(str(GATES[lock]() or '').split())
        if reason:
            return ''.join(each if each.isprintable() else '?' for each in reason)[:LONGEST]
    return ''
