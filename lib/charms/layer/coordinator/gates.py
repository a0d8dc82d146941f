"""What a charm wants to be asked before a turn begins.

What lives here: the functions that the charm has named for that. What must not: whose turn it is.
"""

from typing import Callable, Dict, FrozenSet, TypeVar

from charms.layer.coordinator import forms

# By lock: the function that returns why no turn begins now, '' if nothing is in the way.
GATES: Dict[str, Callable[[], str]] = {}
LONGEST = 200


Gate = TypeVar('Gate', bound=Callable[[], str])


def gate(name: str) -> Callable[[Gate], Gate]:
    """Name a function that is asked before a turn of this unit begins: a decorator.

        @coordinator.gate('restart')
        def not_now():
            return '' if replicas_in_sync() else 'two replicas still sync'

    While it returns a sentence, the turn does not begin: the unit keeps its place, the others wait behind
    it, and `explain` says the sentence. It is asked in each hook in which the turn could begin,
    update-status at the latest, and never again in a turn that has begun. If it raises, the hook fails. Of
    two functions for one lock the later one counts. It may ask for locks and give them up itself; in it, the
    lock that it guards is not granted yet.

    Args:
        name: the lock: 1 to 200 printable characters, without braces and
            without blanks at either end.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    lock = forms.lock_name(name)

    def named(function: Gate) -> Gate:
        GATES[lock] = function
        return function

    return named


def guards(locks: FrozenSet[str]) -> bool:
    """Return whether the charm wants to be asked before a turn begins under these locks."""
    return not locks.isdisjoint(GATES)


def closed(locks: FrozenSet[str]) -> str:
    """Return why no turn may begin under these locks, in one line of up to 200 characters; '' if one may."""
    for lock in sorted(locks & frozenset(GATES)):
        reason = ' '.join(str(GATES[lock]() or '').split())
        if reason:
            return ''.join(each if each.isprintable() else '?' for each in reason)[:LONGEST].rstrip()
    return ''
