"""What a session needs of Juju, and what Juju says of the hook that runs.

What lives here: the names of both. What must not: a hook tool, a rule. `juju.py`
is the port in a charm; the search of every history has one on a small world.
"""

import enum
from typing import Callable, Dict, FrozenSet, Mapping, NamedTuple, Optional, Protocol, Tuple

from charms.layer.coordinator.rules import Claim, Ledger, UnitState


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


class Port(Protocol):
    """What a session needs of Juju; each call is one step that others may come between."""

    # Whether a ledger write stands at once (leader settings) or with the hook (application databag).
    durable_at_once: bool

    def now(self) -> str:
        """Return this unit's clock, in UTC, as text that sorts."""

    def is_leader(self) -> bool:
        """Return whether Juju says that this unit leads."""

    def load(self) -> Optional[UnitState]:
        """Return what this unit remembers, None if nothing."""

    def save(self, state: UnitState) -> UnitState:
        """Remember it, at once; return it merged with what another process of this unit has saved."""

    def published(self) -> Optional[Dict[str, Claim]]:
        """Return this unit's claims as Juju has them, None where Juju has none, not even empty ones."""

    def publish(self, own: Mapping[str, Claim]) -> None:
        """Tell the other units, when this hook succeeds. Nothing before the relation exists."""

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        """Return a peer's claims as far as this unit may see them, {} if it has never made any."""

    def everybody(self) -> FrozenSet[str]:
        """Return the other units that may have claims and are not leaving."""

    def living(self) -> Optional[FrozenSet[str]]:
        """Return all units that are not gone, None where Juju does not tell."""

    def unit_count(self) -> int:
        """Return how many units the application has."""

    def ledger(self) -> Optional[Ledger]:
        """Return the ledger as this hook may see it, None if there is none."""

    def fresh_ledger(self) -> Optional[Ledger]:
        """Return the ledger to decide from, as it is now. Raises LedgerClosed."""

    def write_ledger(self, ledger: Ledger) -> None:
        """Write it. Raises LedgerClosed."""

    def when_handlers_succeeded(self, tell: Callable[[], None]) -> None:
        """Call this when the hook's handlers have succeeded, before any callback for its end runs."""

    # What came before this layer, if anything did

    def inherited_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        """Return what this unit had asked a predecessor for: lock, when, and whether its turn had begun."""

    def awaited_units(self) -> FrozenSet[str]:
        """Return the other units that may still run a predecessor, or did so when they were removed.

        UNNAMED is one of them where Juju does not list all units.
        """

    def awaiting(self, units: FrozenSet[str]) -> str:
        """Return, in words, why these units keep the leader from making a ledger.

        Without units: '', or why there may be none yet.
        """
