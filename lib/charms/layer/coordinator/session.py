"""One hook of one unit: it reads and decides at the start, answers the charm, and releases at the end.

What lives here: in which order a hook reads, decides and writes, on a port to
Juju and on the values of `rules.py`. What must not: a hook tool, a clock, a
flag, a rule about whose turn it is. tests/proofs runs this file, too.

    look ──▶ begin ──▶ request, keep, release, request_again ──▶ end
      │ own claim, a peer's news, what the leader owes the others, whose turn it is
"""

from typing import Callable, Dict, FrozenSet, Iterable, Mapping, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.context import LedgerClosed, Phase
from charms.layer.coordinator.rules import NO_CLAIM, Claim, Ledger, Ticket, Units, UnitState
from charms.layer.coordinator.view import View


class Session(View):
    """One coordinator in the hook or action that runs; arguments as for View.

    Attributes:
        inherited: in an action, the turns that had come before it; it may not use them.
        show: called with the locks requested and granted each time they may have changed.
    """

    inherited: FrozenSet[Ticket] = frozenset()
    show: Optional[Callable[[Units, Units], None]] = None
    _kept: FrozenSet[str] = frozenset()
    _again: FrozenSet[str] = frozenset()
    _own_at_look: Tuple[Tuple[str, Claim], ...] = ()

    @property
    def requested(self) -> FrozenSet[str]:
        """The locks that this unit has asked for and whose turn is not over."""
        waiting = (claim for claim in self.own.values() if claim.outstanding)
        return frozenset(name for claim in waiting for name in claim.names) | self._again

    @property
    def granted(self) -> FrozenSet[str]:
        """The locks that this unit may use now."""
        return frozenset(lock for lock in self.requested if self.turn(lock))

    def turn(self, lock: str) -> Optional[Ticket]:
        """Return the ticket by which the lock may be used now, None if it may not."""
        if lock not in self.claim(lock).names:
            return None
        turns = (turn for turn in self.turns if turn not in self.inherited)
        return next((turn for turn in turns if turn.queue == self.policy.queue_of(lock)), None)

    def explain(self, lock: str) -> str:
        """Return why the lock is not held yet, as a sentence."""
        turn = self.turn(lock)
        if turn:
            return '{}: this unit holds it, token {}'.format(lock, turn.token)
        if self.context.leaving:
            return '{}: this unit leaves and takes no new turn'.format(lock)
        if lock not in self.requested:
            return '{}: not asked for by this unit'.format(lock)
        if self.awaited:
            return '{}: asked; {}'.format(lock, self.port.awaiting(self.awaited))
        place = self.context.unit, self.policy.queue_of(lock), self.claim(lock)
        refusal = rules.refusal(self.ledger, rules.ticket_of(self.ledger, *place), self.claims)
        reason = self.port.awaiting(frozenset()) if self.ledger is None else ''
        return '{}: {}{}'.format(lock, refusal, reason and '; ' + reason)

    # A hook begins

    def look(self) -> None:
        """Find out what is true at the start of the hook: who leads, what units claim, whose turn it is."""
        self.port.when_handlers_succeeded(self.handlers_succeeded)
        stored = self.port.load()
        self.state, self.leading = stored or UnitState(), self.port.is_leader()
        # A corrupted databag may have lost a request: publish it again at update-status.
        unheard = self.context.full_check and self.waiting
        reread = stored is None or self.context.reread
        self._compare_own_claims(stored is None, reread or unheard)
        if self.context.news and self.leading:
            self._read_claims([self.context.news])
        if self.leading:
            self._lead()
        self._remember(led=self.leading)
        self._take_turns(reread)
        if self.state != stored:
            self.state = self.port.save(self.state)
        self._own_at_look = self.state.own

    def begin(self) -> None:
        """Let handlers use turns from now on. If it was called before in this hook, do nothing.

        It does not look again. If code has asked for a lock before (at import, or
        in another layer's atstart), a second look would see this unit's own
        writes, which Juju has not committed.
        """
        if self.phase is not Phase.BEFORE_HANDLERS:
            return
        self.phase = Phase.HANDLERS
        if self.context.action:
            self.inherited = frozenset(self.turns)
        if self.state.own != self._own_at_look and self.waiting:
            self._serve_own()
        self._show_locks()

    def handlers_succeeded(self) -> None:
        """Note that only callbacks run from now on: no handler can use a turn that comes now."""
        if self.phase is Phase.HANDLERS:
            self.phase = Phase.CALLBACKS

    def _compare_own_claims(self, first: bool, reread: bool) -> None:
        """Merge what this unit remembers with what Juju has, and publish the result if Juju has less.

        Even empty claims are published, once: they tell the others that this
        unit runs this layer (see `_awaited_units`). In its first hook under this
        layer, the unit asks again for what it had asked a predecessor for. A turn
        that had begun there counts as kept, so it comes first in the first ledger.
        """
        own, committed, known = self._fitting(self.own), dict(self.state.committed), self.state.published
        if reread or not known or own != committed:
            published = self.port.published()
            known, committed = published is not None, published or {}
            for lock, requested_at, begun in self.port.inherited_requests() if first and not known else ():
                queue = self.policy.queue_of(lock)
                claim = rules.asked_for(own.get(queue, NO_CLAIM), lock, requested_at)
                own[queue] = claim._replace(kept=claim.kept or begun)
            for queue, claim in committed.items():
                own[queue] = rules.merged(own.get(queue, NO_CLAIM), claim)
            own = self._fitting(own)
            if not known or own != committed:
                self.port.publish(own)
        self._remember(own=rules.frozen(own), committed=rules.frozen(committed), published=known)

    def _fitting(self, own: Mapping[str, Claim]) -> Dict[str, Claim]:
        """Return own claims without those that this unit may no longer have.

        A unit that leaves gives up everything (rule 10 of the protocol). After a
        charm upgrade that moved a lock to another queue, its requests move there, too.
        """
        fitting, queue_of = dict(own), self.policy.queue_of
        for queue, claim in own.items():
            moved = any(queue_of(lock) != queue for lock in claim.names)
            if claim.outstanding and (self.context.leaving or moved):
                fitting[queue] = rules.released(claim)
                for lock, requested_at in () if self.context.leaving else claim.locks:
                    home = fitting.get(queue_of(lock), NO_CLAIM)
                    fitting[queue_of(lock)] = rules.asked_for(home, lock, requested_at)
        return fitting

    # What the leader owes the others

    def _lead(self) -> None:
        """Give tickets for the known requests, and drop the tickets of units that are gone."""
        full_check = self.context.full_check or not self.state.led
        if full_check:
            self._read_ledger()
            self._read_all_claims()
        if not self.policy.reports_releases and not any(claim.outstanding for claim in self.claims.values()):
            return
        if not self.ledger_read:
            self._read_ledger()
        if self.policy.reports_releases:
            self.finished = rules.finished_tickets(self.ledger, self.committed)
        gone = self._gone() if full_check or self.context.departed else frozenset()
        self._forget(gone | {self.context.departed})
        if self._is_due(gone):
            self._append(gone)
        if self.leading:
            # Otherwise their requests, which have lost their tickets, would be given new ones.
            self._remember(peers=tuple(peer for peer in self.state.peers if peer[0][0] not in gone))

    def _is_due(self, gone: Units = rules.NOBODY) -> bool:
        return self.ledger is None or self._grown(self.ledger, gone) != self.ledger

    def _grown(self, ledger: Ledger, gone: Units) -> Ledger:
        """Return the ledger with the tickets that this leader would give, and without those it would drop."""
        policy, claims = self.policy, self.claims
        droppable: rules.Claims = {} if policy.reports_releases else self.committed
        if policy.grow is None:
            slots = policy.slots or policy.slots_among(self.port.unit_count())
            return rules.appended(ledger, claims, droppable, slots, gone, policy.reports_releases)
        if self.port.durable_at_once and self.phase > Phase.HANDLERS:
            # Nothing would wake the leader for its own ticket, so it gives none; see `_serve_own`.
            for queue, claim in self.state.own:
                claims[self.context.unit, queue] = claim._replace(asked=claim.done, locks=())
        grown = policy.grow(ledger, claims, self.committed, gone)
        return grown if grown == ledger else rules.pruned(grown, rules.finished_tickets(grown, droppable))

    def _append(self, gone: Units = rules.NOBODY, reported: Tuple[Ticket, ...] = ()) -> None:
        """Give tickets: read the ledger afresh, decide, and write it if it changes (rule 7 of the protocol).

        The steps are is-leader, read, decide, is-leader, write, read back. If the
        write is refused because this unit no longer leads, that is not an error:
        the next leader appends what the claims say. The tickets in `reported`
        are dropped: they are finished, and their release was reported.
        """
        try:
            self._must_lead()
            found = self._fresh_ledger()
            if found is None and self.awaited:
                return
            ledger = rules.rebuilt(self.claims) if found is None else found
            grown = rules.pruned(self._grown(ledger, gone), reported)
            if grown != ledger:
                self._must_lead()
                self.port.write_ledger(grown)
                given = tuple(ticket for ticket in grown.tickets if ticket.token > ledger.token)
                dropped = tuple(ticket for ticket in ledger.tickets if ticket.unit in gone)
                self.given, self.dropped = self.given + given, self.dropped + dropped
                for ticket in given + dropped:
                    verb = 'is gone, its ticket is dropped' if ticket in dropped else 'is given a ticket'
                    self.log('{} {}, token {}'.format(ticket.unit, verb, ticket.token))
        except LedgerClosed as closed:
            self.leading = False
            if str(closed):
                self.log(str(closed))
            return
        if self.port.durable_at_once:
            self._read_ledger()
        elif not self.ledger_read:
            self.ledger, self.ledger_read = found, True

    def _must_lead(self) -> None:
        if not self.port.is_leader():
            raise LedgerClosed

    def _fresh_ledger(self) -> Optional[Ledger]:
        """Return the ledger as it is now. If there is none, find out whether one may be made.

        The first ledger is made only after the last unit has stopped running a
        predecessor. So an old leader and this one never give turns side by side.
        """
        found = self.port.fresh_ledger()
        if found is None:
            awaited, self.awaited = self.awaited, self._awaited_units()
            if self.awaited:
                self.ledger, self.ledger_read = None, True
                if self.awaited != awaited:
                    self.log(self.port.awaiting(self.awaited))
                return None
            # The first ledger, or one lost when a model moved to Juju 4: every claim must be known.
            self._read_claims(sorted(self.port.everybody()))
            found = self.port.fresh_ledger()
        return found

    def _serve_own(self) -> None:
        """If this unit leads, give it its own ticket now, unless that would hold up the others.

        On Juju 2.9 - 3.x it would, outside handlers: no handler could use the turn
        in this hook, and a write to leader settings wakes every unit but the
        leader. The start of the leader's next hook gives the ticket anyway.
        """
        if self.leading and not (self.port.durable_at_once and self.phase is not Phase.HANDLERS):
            self._append()
            self._take_turns()

    # What the charm says

    def request(self, lock: str) -> bool:
        """Ask for a lock once; return whether this unit holds it now."""
        if lock not in self.requested:
            in_turn = self.policy.queue_of(lock) in {ticket.queue for ticket in self.turns}
            if in_turn and self.phase is Phase.CALLBACKS:
                # The queue's turn was for other locks and is about to be released: ask after that.
                self._again |= {lock}
            else:
                self._ask(lock)
            self._show_locks()
            if lock not in self._again:
                self.log(self.explain(lock))
        return self.turn(lock) is not None

    def _ask(self, lock: str) -> None:
        claim = self.claim(lock)
        asked = rules.asked_for(claim, lock, self.port.now())
        if asked != claim and not self.context.leaving:
            self._say({**self.own, self.policy.queue_of(lock): asked})
            if not claim.outstanding:
                self._serve_own()

    def keep(self, lock: str) -> bool:
        """Keep a held lock over the end of this hook; return whether it is held."""
        self._kept |= {lock} & self.granted
        return lock in self.granted

    def request_again(self, lock: str) -> None:
        """Release a held lock at the end of this hook and queue up again; if it is not held, ask for it."""
        if lock in self.granted and self.phase in (Phase.HANDLERS, Phase.CALLBACKS):
            self._kept, self._again = self._kept - {lock}, self._again | {lock}
            return
        if lock in self.granted:
            self.release(lock)
        self.request(lock)

    def release(self, lock: str) -> None:
        """Give up a lock, or a request for it. This unit knows at once, the others when the hook succeeds."""
        was_requested, queue, claim = lock in self.requested, self.policy.queue_of(lock), self.claim(lock)
        self._kept, self._again = self._kept - {lock}, self._again - {lock}
        if lock in claim.names:
            token = next((ticket.token for ticket in self.turns if ticket.queue == queue), 0)
            left = rules.without(claim, lock, token)
            self._say({**self.own, queue: left})
            if not left.outstanding:
                self.turns = tuple(ticket for ticket in self.turns if ticket.queue != queue)
                if self.phase is not Phase.HANDLERS and self._policy_must_decide():
                    self._append()
        self._show_locks()
        if was_requested:
            self.log('{}: released'.format(lock))

    # A hook ends

    def end(self) -> None:
        """Release every turn that is not kept. Call it only once all handlers have succeeded.

        If one lock of a queue is kept and another is to be asked for again, both
        stay in the turn. After that, a leader drops the tickets whose release was
        reported, and lets its policy decide.
        """
        before, again, self.phase = self.granted, self._again, Phase.OVER
        turns = tuple(turn for turn in self.turns if turn not in self.inherited)
        own, self._again = self._after_turns(turns, again), frozenset()
        changed = own != self.own
        asked_again = changed and any(claim.outstanding and not claim.kept for claim in own.values())
        self.turns = tuple(ticket for ticket in turns if own[ticket.queue].kept) if changed else turns
        if changed:
            self._say(own)
        if self.finished or self._policy_must_decide():
            self._append(reported=self.finished)
        elif asked_again:
            self._serve_own()
        self._show_locks()
        for lock in sorted(before - self.granted):
            self.log('{}: released{}'.format(lock, ', and asked for again' if lock in again else ''))

    def _after_turns(self, turns: Iterable[Ticket], again: Units) -> Dict[str, Claim]:
        """Return own claims after these turns: released unless kept, and with the new requests of `again`."""
        own = self.own
        for ticket in turns:
            claim = own[ticket.queue]
            if set(claim.names) & self._kept:
                locks = tuple(pair for pair in claim.locks if pair[0] in self._kept | again)
                own[ticket.queue] = claim._replace(locks=locks, kept=True, token=ticket.token)
            else:
                own[ticket.queue] = rules.released(claim, ticket.token)
        for lock in sorted(again):
            queue = self.policy.queue_of(lock)
            own[queue] = rules.asked_for(own.get(queue, NO_CLAIM), lock, self.port.now())
        return own

    def _policy_must_decide(self) -> bool:
        """Return whether this unit leads, has a policy of its own, and has changed its claims.

        Nothing wakes the leader for its own release, so its policy decides in
        the hook that releases.
        """
        return self.leading and self.policy.grow is not None and self.state.own != self.state.committed

    def hide(self) -> None:
        """Clear all granted flags, even of locks that are kept: the handlers are over."""
        self.phase = Phase.OVER
        self._show_locks()

    def _show_locks(self) -> None:
        """Show the locks as they are now: in a reactive charm, set and clear the flags (flags.py)."""
        if self.show:
            self.show(self.requested, rules.NOBODY if self.phase is Phase.OVER else self.granted)
