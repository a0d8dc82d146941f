"""One hook of one unit: it looks at the start, answers the charm, and speaks at the end.

What lives here: in which order a hook reads, decides and writes, on a port to
Juju and on the values of `rules.py`. What must not: a hook tool, a clock, a
flag, a rule of whose turn it is. The search of every history runs this file.

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
        inherited: turns that had come before this action: it may not use them.
        show: takes the locks requested and granted each time they may have changed.
    """

    inherited: FrozenSet[Ticket] = frozenset()
    show: Optional[Callable[[Units, Units], None]] = None
    _kept: FrozenSet[str] = frozenset()
    _again: FrozenSet[str] = frozenset()
    _own_at_look: Tuple[Tuple[str, Claim], ...] = ()

    @property
    def requested(self) -> FrozenSet[str]:
        """The locks asked for whose turn is not over."""
        waiting = (claim for claim in self.own.values() if claim.outstanding)
        return frozenset(name for claim in waiting for name in claim.names) | self._again

    @property
    def granted(self) -> FrozenSet[str]:
        """The locks that may be used now."""
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
        """Find out what is true at the start of the hook: who leads, what was said, whose turn it is."""
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
        """Let handlers use turns from now on. Where handlers were already running, do nothing.

        It does not look again. Where something was asked for before (at import,
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
        """Note that callbacks run from now on: a turn that comes now can be used by no handler."""
        if self.phase is Phase.HANDLERS:
            self.phase = Phase.CALLBACKS

    def _compare_own_claims(self, first: bool, reread: bool) -> None:
        """Merge what this unit remembers with what Juju has, and tell Juju where it knows less.

        A unit also publishes an empty claim, once: it tells the others that
        this unit runs this layer, see `_awaited_units`. In its first hook of
        this layer it asks for what it had asked a predecessor for. A turn that
        had begun there counts as kept, so it comes first in the first ledger.
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

        A unit that leaves gives up all. After a charm upgrade that changed which
        queue a lock is in, requests move to the queue where the lock is now.
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
        """Give tickets for the requests known, and drop those of units that are gone."""
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
            # Otherwise what they had asked for would be a request without a ticket again.
            self._remember(peers=tuple(peer for peer in self.state.peers if peer[0][0] not in gone))

    def _is_due(self, gone: Units = rules.NOBODY) -> bool:
        return self.ledger is None or self._grown(self.ledger, gone) != self.ledger

    def _grown(self, ledger: Ledger, gone: Units) -> Ledger:
        """Return the ledger as this leader wants it."""
        policy, claims = self.policy, self.claims
        droppable: rules.Claims = {} if policy.reports_releases else self.committed
        if policy.grow is None:
            slots = policy.slots or policy.slots_among(self.port.unit_count())
            return rules.appended(ledger, claims, droppable, slots, gone, policy.reports_releases)
        if self.port.durable_at_once and self.phase > Phase.HANDLERS:
            # Nothing would wake the leader for a ticket of its own, see `_serve_own`.
            for queue, claim in self.state.own:
                claims[self.context.unit, queue] = claim._replace(asked=claim.done, locks=())
        grown = policy.grow(ledger, claims, self.committed, gone)
        return grown if grown == ledger else rules.pruned(grown, rules.finished_tickets(grown, droppable))

    def _append(self, gone: Units = rules.NOBODY, reported: Tuple[Ticket, ...] = ()) -> None:
        """Write the ledger as decided from a read made just before (rule 7 of the protocol).

        is-leader, read, decide, is-leader, write, read back. A write refused
        because leadership is gone is no error: the next leader appends what the
        claims say. Finished tickets whose release was reported are dropped.
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
        """Return the ledger as it is now; where there is none, see whether one may be made.

        The first ledger is made when no unit runs a predecessor any more, so an
        old leader and this one never give turns side by side.
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
        """As the leader, give this unit its ticket.

        Not where no handler could use the turn and nothing would wake the leader
        for it (leader settings wake everybody else). There the ticket would hold
        up the others until the leader's next hook, whose start gives it anyway.
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
                # The turn of its queue was for other locks and is about to be released.
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
        """Give up a lock, or a request for it; known here at once, to others when the hook succeeds."""
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

        A lock to be asked for again beside one that is kept in its queue stays
        in the turn. A leader then drops the tickets whose release was reported,
        and lets its policy decide.
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
        """Return own claims with these turns over, except what is kept, and requests made again."""
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
        """Return whether this unit leads, and has released what its policy thought it held.

        Nothing wakes the leader for its own release, so its policy decides in
        the hook that releases.
        """
        return self.leading and self.policy.grow is not None and self.state.own != self.state.committed

    def hide(self) -> None:
        """Let no flag say that a lock may be used: the handlers are over, also where nothing was released."""
        self.phase = Phase.OVER
        self._show_locks()

    def _show_locks(self) -> None:
        """Show the locks as they are now."""
        if self.show:
            self.show(self.requested, rules.NOBODY if self.phase is Phase.OVER else self.granted)
