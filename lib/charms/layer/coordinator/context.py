"""What Juju says of the hook that runs, and how far it has come.

What lives here: these values. What must not: a hook tool, a rule.
"""

import enum
from typing import Callable, NamedTuple

# Takes a sentence each time something changes.
Log = Callable[[str], None]


class LedgerClosed(Exception):
    """Raised by a port where this unit may not write the ledger; the text, if any, is for the log."""


class Phase(enum.IntEnum):
    """How far a hook has come."""

    # No handler runs yet; what is asked for is recorded, and its turn comes once handlers run.
    BEFORE_HANDLERS = 0

    # Handlers may run, so a turn can be used.
    HANDLERS = 1

    # The handlers have succeeded, and callbacks for the end of the hook run; turns are not released
    # yet.
    CALLBACKS = 2

    # The turns are released, except those that are kept.
    OVER = 3


class HookContext(NamedTuple):
    """What Juju says of the hook that runs.

    Args:
        unit: this unit.
        news: the peer whose relation-joined or -changed this is, or ''.
        departed: the peer whose relation-departed this is, or ''.
        leaving: this unit is being removed, or stops.
        reread: what this unit remembers may be incomplete (start, upgrade-charm).
        full_check: time to read the claims of all units, and to look for units
            that are gone (update-status).
        action: this is an action, which may run between a failed hook and its retry.
    """

    unit: str
    news: str = ''
    departed: str = ''
    leaving: bool = False
    reread: bool = False
    full_check: bool = False
    action: bool = False
