"""Finds a unit's own claims at the start of a hook: in its store, in Juju, and in a predecessor's data.

What lives here: how these are merged. What must not: a hook tool, whose turn it is.
"""

from typing import Dict, Mapping, Optional, Set

from charms.layer.coordinator import merging, orders, rules
from charms.layer.coordinator.turns import Turns
from charms.layer.coordinator.values import ALL_LOCKS, ANEW, MAX_TOKEN, ROLLED, About, Claim, Said, UnitState

# Of so many rolls a leader remembers that it has shown their end: more than a charm has locks.
MAX_ROLLED = 100


class OwnClaims(Turns):
    """The part of a hook in which a unit finds out what it has asked for itself; arguments as for View."""

    def _recall(self, stored: UnitState) -> None:
        """Take what this unit remembers, after the ends of turns that were saved with the charm's flags."""
        self.state = self._saved = stored
        self._remember(own=rules.frozen(self._with_ends_saved()))

    def _compare_own_claims(self, first: bool, reread: bool) -> None:
        """Merge what this unit remembers with what Juju has.

        A process that finds its own hook's id in the store is a second one of that hook: what it
        could read of this unit now may be what the first one wrote, and Juju has not committed
        (rule 12). In its first hook under this layer, the unit asks again for what it had
        asked a predecessor for. A turn that had begun there counts as begun, so it comes first
        in the first ledger.
        """
        lost, ids = not self.state.nonce, (self.context.id, ANEW + self.context.id)
        second = self.context.id != '' and self.state.context in ids
        if (reread or not self.state.known) and not second:
            said = self.port.published()
            self._set_nonce(said)
            self._compare_with(said, first)
            self._remember(own=rules.frozen(self._with_ends_saved(first)))  # also of what the store had lost
        elif not self.state.nonce:
            self._set_nonce(None)
        self.lost = lost
        anew = self.state.context.startswith(ANEW) or (lost and self.context.aside)
        self.unsure = anew and self.context.aside
        if not (first or anew) or self.context.leaving:  # else it is not known which turns have begun
            self._remember(own=rules.frozen(self._fitting(dict(self.state.own))))

    def _with_ends_saved(self, lost: bool = False) -> Mapping[str, Claim]:
        """Return own claims after the turns whose end was saved together with the charm's flags.

        Args:
            lost: whether the store is lost. Then these ends also tell which asks it had numbered: the
                charm keeps the ends of the last ask in each queue, and whatever came before that is over.
        """
        own = dict(self.state.own)
        if not (lost or self.state.rolling or any(claim.outstanding for claim in own.values())):
            return own
        mine = ('', self.state.nonce)  # another unit of this name may have left some behind
        ends = {queue: end for queue, end in self.port.ended().items() if end.nonce in mine}
        for queue, end in ends.items() if lost else ():
            claim = own.get(queue, self._no_claim)
            if end.nonce == self.state.nonce and end.ask > claim.asked:
                left = tuple(pair for pair in end.asked if pair[0] not in end.locks)
                last = Claim(end.ask, end.ask - bool(left), left, nonce=claim.nonce)
                own[queue] = merging.merged(claim, last._replace(token=claim.token, ended=claim.ended))
        shown = ends[ROLLED].locks if ROLLED in ends else ()
        before = (name for name in self.state.rolled if name not in shown)
        self._remember(rolled=(*before, *shown)[-MAX_ROLLED:])
        return rules.after_ends(own, ends)

    def _set_nonce(self, said: Optional[Said]) -> None:
        """Take the incarnation that Juju has for this unit, or make one.

        Where they differ, the store is not of this unit's life, or was made before Juju could
        be asked: only its requests are taken over.
        """
        nonce = (said and said.nonce) or self.state.nonce or self.port.new_nonce()
        own = dict(self.state.own)
        if said and said.nonce and said.nonce != self.state.nonce:
            asked = [
                lock
                for claim in own.values()
                if claim.outstanding and not claim.begun
                for lock in claim.locks + claim.again
            ]
            own = dict(said.queues)
            for lock, requested_at in asked:
                queue = self.policy.queue_of(lock)
                juju_has = dict(said.queues).get(queue, Claim(nonce=nonce))
                more = juju_has.outstanding and lock not in juju_has.names  # see `_needs_another_ticket`
                ask = rules.asked_again if more else rules.asked_for
                own[queue] = ask(own.get(queue, juju_has), lock, requested_at)
            self._remember(committed=(), term=0, heard='', seen=())
        own = {queue: claim._replace(nonce=nonce) for queue, claim in own.items()}
        self._remember(nonce=nonce, own=rules.frozen(own))

    def _compare_with(self, said: Optional[Said], first: bool) -> None:
        own, me = dict(self.state.own), self.context.unit
        spoken = said is not None
        for lock, requested_at, begun in self.port.inherited_requests() if first and not spoken else ():
            queue = self.policy.queue_of(lock)
            claim = rules.asked_for(own.get(queue, self._no_claim), lock, requested_at)
            own[queue] = claim._replace(begun=claim.begun or begun)
        for queue, claim in said.queues if said else ():
            theirs = claim._replace(nonce=self.state.nonce)
            own[queue] = merging.merged(own.get(queue, self._no_claim), theirs)
        about = {**dict(self.state.about), me: said.about if said else About()}
        term, heard = max((self.state.term, self.state.heard), about[me][:2])  # see `merging.merged_states`
        self._remember(
            own=rules.frozen(own), committed=said.queues if said else (), known=spoken,
            spoken=self.state.spoken or spoken, about=rules.frozen(about), term=term, heard=heard,
        )  # fmt: skip

    def _fitting(self, own: Mapping[str, Claim]) -> Dict[str, Claim]:
        """Return own claims without those that this unit may no longer have.

        A unit that leaves gives up everything (rule 10 of the protocol). After a
        charm upgrade that moved a lock to another queue, its requests move there, too, but
        not a turn that has begun (rule 11). What was cancelled there does not.
        """
        moves = not self.context.leaving and any(map(self._moves, own, own.values()))
        if moves and not self.ledger_read:
            self._read_ledger()
        if moves and self.ledger:
            own = orders.obeyed(self.ledger, self.context.unit, self.state.nonce, own)
        fitting = dict(own)
        for queue, claim in own.items():
            if claim.outstanding and (self.context.leaving or self._moves(queue, claim)):
                fitting[queue] = rules.released(claim._replace(again=()))
                if moves:
                    self._move(claim, fitting)
        for queue in self._queues_left(fitting) if self.context.leaving else ():
            fitting[queue] = fitting.get(queue, self._no_claim)._replace(ended=MAX_TOKEN)
        return fitting

    def _queues_left(self, own: Mapping[str, Claim]) -> Set[str]:
        """Return the queues in which a unit that leaves may have a ticket, also one that it has not seen."""
        if self.policy.per_lock and not self.ledger_read:
            self._read_ledger()
        tickets = self.ledger.tickets if self.ledger else ()
        mine = {ticket.queue for ticket in tickets if ticket.unit == self.context.unit}
        return {ALL_LOCKS, *own, *dict(self.state.seen), *mine}

    def _moves(self, queue: str, claim: Claim) -> bool:
        waits = claim.outstanding and not claim.begun
        return waits and any(self.policy.queue_of(lock) != queue for lock in claim.names)

    def _move(self, claim: Claim, own: Dict[str, Claim]) -> None:
        """Ask for the locks of a claim where they are now; also for those that come after its turn."""
        for lock, requested_at in claim.locks:
            home = self.policy.queue_of(lock)
            before = own.get(home, self._no_claim)
            beside = before.holds and lock not in before.names  # that turn has asked no gate of this lock
            own[home] = (rules.asked_again if beside else rules.asked_for)(before, lock, requested_at)
        for lock, requested_at in claim.again:
            home = self.policy.queue_of(lock)
            before = own.get(home, self._no_claim)
            ask = rules.asked_again if lock in before.names else rules.asked_for
            own[home] = ask(before, lock, requested_at)
