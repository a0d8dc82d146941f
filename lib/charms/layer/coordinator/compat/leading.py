"""A session for charms whose own class decides on the leader, or wants to know of each release.

What lives here: what `classes.py` asks of a session beyond the common API. What
must not: a rule, a hook tool, a name that charms know.
"""

from typing import Callable, Dict, List, Tuple

from charms.layer.coordinator.compat import deciding
from charms.layer.coordinator.policy import Grow, Policy
from charms.layer.coordinator.port import Port
from charms.layer.coordinator.rules import Claims, Ledger, Ticket
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.view import Snapshot

By = Dict[str, Dict[str, str]]
"""For each unit its locks, each with the time of its request."""


class LeaderSession(Session):
    """A session whose policy may ask the charm's own code; arguments as for Session."""

    def __init__(self, port: Port, start: Snapshot, policy: Policy, log: Callable[[str], None]) -> None:
        grow = self._watched(policy.grow) if policy.grow else None
        super().__init__(port, start, policy._replace(grow=grow), log)
        self._asking = False
        self._meanwhile: List[str] = []
        self._releases: List[Ticket] = []

    def _watched(self, grow: Grow) -> Grow:
        """Return the growth so that what the charm's code asks for meanwhile is known as such."""

        def watched(ledger: Ledger, *known: Claims) -> Ledger:
            self._asking = True
            try:
                return grow(ledger, *known)  # type: ignore[arg-type]
            finally:
                self._asking = False

        return watched  # type: ignore[return-value]

    def request(self, lock: str) -> bool:
        """Ask for a lock once; return whether this unit holds it now. The leader asks the policy each time."""
        if self._asking:  # a policy asks: the answer to the question comes first
            self._meanwhile.append(lock)
            return self.turn(lock) is not None
        if lock in self.requested and not self.turn(lock):
            self.lead()
        return super().request(lock)

    def lead(self) -> None:
        """As the leader, ask the policy again about each request that has no ticket."""
        if not (self.leading and self.policy.grow) or self._asking:
            return
        if not self.ledger_read:
            self._read_ledger()
        if self._is_due():
            self._append()
            self._take_turns()
        self._show_locks()

    def has_given(self, lock: str, unit: str) -> bool:
        """Return whether this leader gave a ticket in this hook, also where it is not durable yet."""
        return any((ticket.queue, ticket.unit) == (self.policy.queue_of(lock), unit) for ticket in self.given)

    def requested_at(self, lock: str) -> str:
        """Return when this unit asked for the lock, '' where it has not."""
        return dict(self.claim(lock).locks).get(lock, '')

    def everything(self) -> Tuple[By, By]:
        """Return what every unit holds, and what it has asked for, as far as this unit can see.

        A leader knows the claims of all. Another unit reads the ledger, and each
        unit's claim once a hook, and remembers none of it.
        """
        if not self.ledger_read:
            self._read_ledger()
        known = self.state
        if not self.leading:
            self._read_claims(sorted(self.port.everybody()))
        claims, self.state = self.claims, known
        return deciding.grants(self.ledger, claims), deciding.requests(claims)

    def releases(self) -> List[Ticket]:
        """Return the tickets that this leader has found finished or dropped since it was last asked."""
        found = [ticket for ticket in self.finished + self.dropped if ticket not in self._releases]
        self._releases += found
        return found

    def _show_locks(self) -> None:
        super()._show_locks()
        while self._meanwhile:
            lock = self._meanwhile.pop()
            if lock not in self.requested:
                self.request(lock)
