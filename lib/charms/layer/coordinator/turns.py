"""Whose turn it is, as far as this hook knows: it reads what it needs to tell for its own tickets.

What lives here: which of this unit's turns go on or have come. What must not: a hook tool, what the leader
does, the rule itself (rules.py).
"""

from charms.layer.coordinator import orders, rules, wake
from charms.layer.coordinator.context import Phase
from charms.layer.coordinator.values import NO_CLAIM, UNNAMED, Ledger, Ticket
from charms.layer.coordinator.view import View


class Turns(View):
    """The part of a hook that finds this unit's turns; arguments as for View."""

    def _take_turns(self, reread: bool = False) -> None:
        """Find out for which of this unit's requests the turn has come, and set `turns`.

        A turn that has begun goes on, whatever the ledger says (rule 11).

        Args:
            reread: read the ledger even if this unit knows of no request: it may
                have forgotten one.
        """
        if (self.waiting or reread) and not self.ledger_read:
            self._read_ledger()
            self._forget()
        if self.ledger_read:
            self._adopt()
        turns, said = [], dict(self.state.own)
        for queue, claim in sorted(self.places.items()):
            if self.context.leaving or claim.done > said.get(queue, claim).done:
                continue  # it leaves, or the turn is over if this hook succeeds
            if claim.holds:
                here = self.context.unit, claim.asked
                turns.append(Ticket(claim.token, queue, *here, nonce=claim.nonce))
                continue
            ticket = rules.ticket_of(self.ledger, self.context.unit, queue, claim)
            if self.ledger and ticket and self._may_use(ticket):
                self._look_ahead(self.ledger, ticket)
                self._hear_nearest(self.ledger, ticket)
                if self._has_come(ticket) and not self._puts_off(ticket):
                    turns.append(ticket)
        self.turns = tuple(turns)

    def _has_come(self, ticket: Ticket) -> bool:
        """Return whether the turn of an own ticket has come, as far as claims are known, and may begin."""
        paused = orders.pause_before(self.ledger, ticket, self.own.get(ticket.queue, NO_CLAIM), self.claims)
        come = self.ledger and rules.is_turn(self.ledger, ticket, self.claims)
        stopped = self.ledger and orders.stopped_by(self.ledger, ticket, self.claims, self.failed)
        return bool(come) and not (paused or stopped) and self._may_use(ticket)

    def _puts_off(self, ticket: Ticket) -> bool:
        """Return whether a turn found in update-status is left for a better hook, once.

        Many charms run no handlers in update-status. On Juju 2.9 - 3.x it is the first hook in which
        a unit can see that a holder that leaves has released; the leader's own update-status then
        writes the ledger, which brings every other unit a hook, and has Juju bring itself one. No hook comes
        because a gate has opened.
        """
        place, early = ticket.place, self.phase is Phase.BEFORE_HANDLERS  # later, it is a handler that asks
        better = early and self.context.full_check and self.port.durable_at_once
        gated = bool(self.own.get(ticket.queue, NO_CLAIM).reason)
        if not better or gated or place in self.state.put_off:
            return False
        self._remember(put_off=rules.frozen({**dict(self.state.put_off), place[0]: place[1]}))
        return True

    def _adopt(self) -> None:
        own, me = dict(self.state.own), self.context.unit
        adopted = rules.adopted(self.ledger, me, self.state.nonce, own)
        if self.ledger and not self.unsure:
            adopted = orders.obeyed(self.ledger, me, self.state.nonce, adopted)
        if adopted != own and not self.context.leaving:
            self._say(adopted)

    def _may_use(self, ticket: Ticket) -> bool:
        """Return whether the ticket may be used as soon as its turn comes.

        A leader on Juju 2.9 - 3.x may use a ticket for an ask that Juju does not have
        yet. If the ledger is lost then, a new leader must know that it has to wait for this
        unit: so this unit must have said that there is a ledger, or be the only one. A ticket of a roll
        serves no ask; there it is enough that Juju has any claims of this unit, even empty ones.
        """
        asked = dict(self.state.committed).get(ticket.queue, NO_CLAIM).asked
        said = asked >= max(1, ticket.ask) or self.about(self.context.unit).term > 0
        said = said or (bool(ticket.roll) and self.state.spoken)
        return ticket.place in self.state.seen and (said or self.port.alone())

    def _look_ahead(self, ledger: Ledger, ticket: Ticket) -> None:
        """Read the claims ahead, from the front, until as many as there are slots are still unfinished."""
        claims, unfinished = self.claims, 0
        for earlier in rules.ahead(ledger, ticket, claims):
            if earlier.unit != UNNAMED and earlier not in self.dropped:
                self._read_claims([earlier.unit])
                claims = self.claims
            unfinished += not rules.finished(earlier, claims)
            if unfinished == ticket.slots:
                break

    def _hear_nearest(self, ledger: Ledger, ticket: Ticket) -> None:
        """Read the claims of those that this unit watches, where Juju has told more than it has read."""
        known = {key for key, _ in self.state.peers}
        near = wake.watched(ledger, ticket, self.claims)
        while near:
            old = {each.unit for each in near if (each.unit, each.queue) not in known} | self.unheard
            old -= {*self.heard, *(each.unit for each in self.dropped), UNNAMED}
            last = [each.unit for each in near if each.unit in old][-1:]
            self._read_claims(last)
            self.heard |= {*last} or {each.unit for each in near}
            near = wake.watched(ledger, ticket, self.claims) if last else ()
