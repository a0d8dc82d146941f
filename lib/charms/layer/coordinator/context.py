"""What Juju says about the hook that is running, and how far the hook has come.

What lives here: these values. What must not: a hook tool, a rule.
"""

import enum
from typing import Callable, NamedTuple

# Takes a sentence each time something changes.
Log = Callable[[str], None]

# What the wake file (wake.py) says of a unit that has nothing to do in most hooks: it leads nobody, Juju has
# all that it has to say, and all that it asked for is over, or it has never asked. No JSON has a tab.
NO_REQUEST = 'no\trequest'


class LedgerClosed(Exception):
    """Raised by a port if this unit may not write the ledger; the text, if any, is for the log."""


class Phase(enum.IntEnum):
    """How far a hook has come."""

    # No handler has run yet. A request is recorded; its turn can come once handlers run.
    BEFORE_HANDLERS = 0

    # Handlers may run, so a turn can be used.
    HANDLERS = 1

    # The handlers have succeeded, and the callbacks for the end of the hook are running. The turns
    # have not been released yet.
    CALLBACKS = 2

    # The turns are released, except those that are kept.
    OVER = 3


class HookContext(NamedTuple):
    """What Juju says about the hook that is running.

    Args:
        unit: this unit.
        news: the peer, if this is a relation-joined or -changed hook; otherwise ''.
        departed: the peer that departs, if this is a relation-departed hook;
            otherwise ''.
        leaving: whether this unit is being removed, or stops.
        reread: whether this unit may have forgotten something (start, upgrade-charm).
        full_check: whether the leader should now read the claims of all units and
            look for units that are gone (update-status).
        aside: whether this is not a hook of its own: an action, juju exec, or a program
            that a hook runs. It may run between a failed hook and its retry, so it
            uses and ends no turn.
        child: whether it is a program that a hook runs.
        shared_news: whether the leader's data have changed.
        restricted: whether Juju answers next to nothing here (collect-metrics).
        newborn: whether this hook is the first of a unit's life (install).
        woken: whether this unit has woken itself (wakeup.py): a hook of its own, whose relation data Juju
            commits even if it fails, and which Juju does not retry. Turns go on in it; none begins.
        id: Juju's name of this run; all processes of one hook have the same, and a retry has another.
    """

    unit: str
    news: str = ''
    departed: str = ''
    leaving: bool = False
    reread: bool = False
    full_check: bool = False
    aside: bool = False
    child: bool = False
    shared_news: bool = False
    restricted: bool = False
    newborn: bool = False
    id: str = ''
    woken: bool = False

    def is_for_nothing(self, rest: str) -> bool:
        """Return whether a unit that does not lead has nothing to do for its locks in this hook.

        Args:
            rest: NO_REQUEST, if that is what its last hook found; otherwise ''.
        """
        # In update-status a unit looks at the ledger, too: the hook that told of it may have failed before
        # this layer ran, and an operator have had Juju skip it.
        return rest == NO_REQUEST and self == HookContext(self.unit, id=self.id)
