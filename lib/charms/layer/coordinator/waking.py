"""What a unit must hear until its next hook that runs (rule 19).

What lives here: from what a hook knows at its end to a Wake. What must not: a hook tool, whose
turn it is.
"""

from typing import List, Optional

from charms.layer.coordinator import orders, rules, wake
from charms.layer.coordinator.context import NO_REQUEST
from charms.layer.coordinator.leading import Leading
from charms.layer.coordinator.values import NO_CLAIM, Claim, Ticket


class Waking(Leading):
    """What a unit must hear, by what its hook knows at the end; arguments as for View."""

    def needed(self) -> Optional[wake.Wake]:
        """Return what this unit must hear; None for everything."""
        state, policy = self.state, self.policy
        # If leadership came back within this hook, Juju runs no leader-elected.
        deposed = self.deposed or (state.led and not self.leading)
        wrote, asks_class = self.given or self.dropped or self.claimed, policy.grow or policy.reports_releases
        waits = self.awaited or self.silent or state.opened < state.term or self.context.leaving
        if not self._has_told() or wrote or waits or deposed or self.turns or asks_class or policy.every_hook:
            return None
        parts: List[Optional[wake.Wake]] = []
        for queue, claim in sorted(self.places.items()):
            ticket = rules.ticket_of(self.ledger, self.context.unit, queue, claim)
            if claim.outstanding or ticket:
                parts.append(self._needed_to_wait(queue, claim, ticket))
        if self.leading:
            told = self.ledger if self.ledger_read and not policy.per_lock else None
            me = self.context.unit
            parts.append(wake.leading(told, me, policy.slots, self.claims) if told else None)
        store = '' if parts or not state.known else self.port.store_with(state)
        if store:
            return wake.Wake(frozenset(), rest=NO_REQUEST, store=store)
        needed = wake.both(parts)
        if needed and needed.units and self.port.durable_at_once:
            # On Juju 2.9 - 3.x no hook brings what a unit says after its relation-departed.
            return needed if needed.units <= self.port.related_units() else None
        return needed

    def _has_told(self) -> bool:
        """Return whether Juju has all that this unit says, if it commits this hook; the script looks."""
        if self._published is not None:
            return self._published == self._to_say()
        return self.state.known and not self._has_more_to_say()

    def _needed_to_wait(self, queue: str, claim: Claim, ticket: Optional[Ticket]) -> Optional[wake.Wake]:
        ledger = self.ledger
        just_asked = claim.asked > dict(self.state.committed).get(queue, NO_CLAIM).asked
        if ticket is None and (ledger or just_asked) and not claim.holds:
            return wake.Wake(frozenset())  # the ledger will name this unit
        if not ledger or not ticket or claim.holds or ticket.place not in self.state.seen:
            return None
        needed = wake.waiting(ledger, ticket, self.claims, self.heard)
        # A pause, and its end, changes what this unit says of itself, though not yet whose turn it is.
        paused = orders.pause_before(ledger, ticket, claim, self.claims)
        return needed._replace(data=True) if needed and paused else needed
