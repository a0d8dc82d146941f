"""One hook of one unit: it reads and decides at the start, answers the charm, and releases at the end.

What lives here: in which order a hook reads, decides and writes, on a port to
Juju and on the values of `rules.py`. What must not: a hook tool, a clock, a
flag, a rule about whose turn it is. tests/proofs runs this file, too.

    look ──▶ begin ──▶ request, keep, release, request_again ──▶ end
      │ own claim, a peer's news, what the leader owes the others, whose turn it is
"""

from typing import Callable, Dict, List, Mapping, Optional, Tuple

from charms.layer.coordinator import rules, terms, wake
from charms.layer.coordinator.context import NEVER_ASKED, NO_REQUEST, Phase
from charms.layer.coordinator.holding import Holding
from charms.layer.coordinator.values import (
    NO_CLAIM,
    NOBODY,
    About,
    Claim,
    End,
    Said,
    Units,
    UnitState,
)


class Session(Holding):
    """One coordinator in the hook or action that runs; arguments as for View.

    Attributes:
        show: called with the locks requested and granted each time they may have changed.
    """

    show: Optional[Callable[[Units, Units], None]] = None
    _own_at_look: Tuple[Tuple[str, Claim], ...] = ()

    def explain(self, lock: str, look: bool = True) -> str:
        """Return why the lock is not held yet, as a sentence.

        Args:
            lock: the lock.
            look: read what is needed to say who holds it; otherwise say what is known.
        """
        turn, queue = self.turn(lock), self.queue_of(lock)
        if turn:
            return '{}: this unit holds it, token {}'.format(lock, turn.token)
        if self.context.leaving:
            return '{}: this unit leaves and takes no new turn'.format(lock)
        if self.context.restricted:
            return '{}: not held in a hook of this kind, in which Juju answers nothing'.format(lock)
        if any(turn.queue == queue for turn in self.turns) and lock in self.claim(lock).names:
            return '{}: its turn goes on in the next hook of this unit; nothing else may use it'.format(lock)
        asked = lock in self.requested
        if asked and self.awaited:
            return '{}: asked; {}'.format(lock, self.port.awaiting(self.awaited))
        ledger, ticket, claims = self._told(queue) if look else (self.ledger, None, self.claims)
        if not look:
            ticket = rules.ticket_of(ledger, self.context.unit, queue, self.claim(lock))
        if not asked:
            holders = rules.who_holds(ledger, ticket, claims)
            return '{}: not asked for by this unit{}'.format(lock, holders and '; ' + holders)
        refusal = rules.refusal(ledger, ticket, claims)
        reason = self._why_no_ledger() if ledger is None else ''
        return '{}: {}{}'.format(lock, refusal, reason and '; ' + reason)

    def _why_no_ledger(self) -> str:
        if self.silent:
            return terms.awaiting(self.silent)
        lost = (
            self.ledger_read
            and self.state.term
            and 'the leader makes a new ledger when all units have answered'
        )
        return self.port.awaiting(frozenset()) or lost or ''

    # A hook begins

    def look(self) -> None:
        """Find out what is true at the start of the hook: who leads, what units claim, whose turn it is."""
        self.port.when_handlers_succeeded(self.handlers_succeeded)
        stored = self.port.load()
        if stored and self.context.newborn and stored.spoken:
            stored = None  # a former unit of this name left it behind: this one has not said anything yet
        self.state = self._saved = stored or UnitState()
        if self.context.restricted:
            return
        self.leading = not self.context.child and self.port.is_leader()
        self.deposed = self.state.led and not self.leading
        reread = stored is None or self.context.reread
        self._compare_own_claims(stored is None, reread or (self.context.full_check and bool(self.state.own)))
        if not self.context.aside:
            self._find_unheard()
        if self.leading:
            self._lead()
        self._remember(led=self.leading)
        news = self.context.shared_news or self.state.opened < self.state.term  # or no ledger counted
        self._take_turns(reread or (self.state.spoken and news))
        if self._has_more_to_say():
            self._say()
        self._save()
        self._own_at_look = self.state.own

    def _find_unheard(self) -> None:
        """Find out of which units there has been news since this unit read their claims."""
        skipped = self.port.wake.withdraw()
        self.port.wake_up.withdraw()
        if skipped is None or self.context.reread:  # a disk that lost power may lack the last names
            skipped = frozenset(unit for (unit, _), _ in self.state.peers)
            self._remember(led=False)  # so a leader reads all claims
        self.unheard = (skipped | {self.context.news}) - {''}

    def begin(self) -> None:
        """Let handlers use turns from now on. If it was called before in this hook, do nothing.

        It does not look again. If code has asked for a lock before (at import, or
        in another layer's atstart), a second look would see this unit's own
        writes, which Juju has not committed.
        """
        if self.phase is not Phase.BEFORE_HANDLERS:
            return
        self.phase = Phase.HANDLERS
        if self.state.own != self._own_at_look and self.waiting:
            self._serve_own()
        self._begin_turns()
        self._show_locks()

    def _take_turns(self, reread: bool = False) -> None:
        super()._take_turns(reread)
        if self.phase is Phase.HANDLERS:
            self._begin_turns()

    def _begin_turns(self) -> None:
        """Note, before any handler runs in them, that these turns have begun (rule 11)."""
        own = dict(self.state.own)
        for turn in self._usable():
            claim = own[turn.queue]
            if not claim.holds and claim.asked == turn.ask:
                own[turn.queue] = claim._replace(begun=True, token=turn.token)
        if own != dict(self.state.own):
            self._save(own=rules.frozen(own))

    def handlers_succeeded(self) -> None:
        """Note that only callbacks run from now on: no handler can use a turn that comes now."""
        if self.phase is Phase.HANDLERS:
            self.phase = Phase.CALLBACKS

    def _compare_own_claims(self, first: bool, reread: bool) -> None:
        """Merge what this unit remembers with what Juju has.

        A process that finds its own hook's id in the store is a second one of that hook: what it
        could read of this unit now may be what the first one wrote, and Juju has not committed
        (rule 12). In its first hook under this layer, the unit asks again for what it had
        asked a predecessor for. A turn that had begun there counts as begun, so it comes first
        in the first ledger.
        """
        self._remember(own=rules.frozen(self._with_ends_saved()))
        second = self.state.context == self.context.id != ''
        if (reread or not self.state.known) and not second:
            said = self.port.published()
            self._set_nonce(said)
            self._compare_with(said, first)
            self._remember(own=rules.frozen(self._with_ends_saved()))  # also of what the store had lost
        elif not self.state.nonce:
            self._set_nonce(None)
        if not first or self.context.leaving:  # without a store, it is not known which turns have begun
            self._remember(own=rules.frozen(self._fitting(dict(self.state.own))))

    def _with_ends_saved(self) -> Mapping[str, Claim]:
        """Return own claims after the turns whose end was saved together with the charm's flags."""
        own = dict(self.state.own)
        outstanding = any(claim.outstanding for claim in own.values())
        return rules.after_ends(own, self.port.ended()) if outstanding else own

    def _set_nonce(self, said: Optional[Said]) -> None:
        """Take the incarnation that Juju has for this unit, or make one.

        Where they differ, the store is not of this unit's life, or was made before Juju could
        be asked: only its requests are taken over.
        """
        nonce = (said and said.nonce) or self.state.nonce or self.port.new_nonce()
        own = dict(self.state.own)
        if said and self.state.nonce and said.nonce and said.nonce != self.state.nonce:
            asked = [
                lock
                for claim in own.values()
                if claim.outstanding and not claim.begun
                for lock in claim.locks
            ]
            own = dict(said.queues)
            for lock, requested_at in asked:
                queue = self.policy.queue_of(lock)
                own[queue] = rules.asked_for(own.get(queue, Claim(nonce=nonce)), lock, requested_at)
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
            own[queue] = rules.merged(own.get(queue, self._no_claim), theirs)
        about = {**dict(self.state.about), me: said.about if said else About()}
        self._remember(
            own=rules.frozen(own), committed=said.queues if said else (), known=spoken,
            spoken=self.state.spoken or spoken, about=rules.frozen(about),
        )  # fmt: skip

    def _fitting(self, own: Mapping[str, Claim]) -> Dict[str, Claim]:
        """Return own claims without those that this unit may no longer have.

        A unit that leaves gives up everything (rule 10 of the protocol). After a
        charm upgrade that moved a lock to another queue, its requests move there, too, but
        not a turn that has begun (rule 11).
        """
        fitting, queue_of = dict(own), self.policy.queue_of
        for queue, claim in own.items():
            moved = not claim.begun and any(queue_of(lock) != queue for lock in claim.names)
            if claim.outstanding and (self.context.leaving or moved):
                fitting[queue] = rules.released(claim._replace(again=()))
                for lock, requested_at in () if self.context.leaving else claim.locks:
                    home = fitting.get(queue_of(lock), self._no_claim)
                    fitting[queue_of(lock)] = rules.asked_for(home, lock, requested_at)
        return fitting

    def _serve_own(self) -> None:
        """If this unit leads, give it its own ticket now, unless that would hold up the others.

        On Juju 2.9 - 3.x it would, outside handlers: no handler could use the turn
        in this hook, and a write to leader settings wakes every unit but the
        leader. The start of the leader's next hook gives the ticket anyway.
        """
        handlers = self.phase is Phase.HANDLERS and not (self.context.aside or self.context.woken)
        if self.leading and (handlers or not self.port.durable_at_once):
            self._append()
            self._take_turns()

    # What the charm says

    def request(self, lock: str) -> bool:
        """Ask for a lock once; return whether this unit holds it now."""
        if lock not in self.requested and not self.context.leaving:
            self._ask(lock)
            self._show_locks()
            self.log(self.explain(lock, look=False))
        return self.turn(lock) is not None

    def _ask(self, lock: str) -> None:
        """Save and publish a request; if the queue's turn ends with this hook, for the turn after that."""
        queue, own, ends = self.queue_of(lock), dict(self.state.own), dict(self.ends)
        claim, after = own.get(queue, self._no_claim), self.claim(lock)
        ended = claim.outstanding and (not after.outstanding or after.asked > claim.asked)
        held = any(turn.queue == queue for turn in self.turns)
        if ended or (held and self.phase is Phase.CALLBACKS):
            asked = rules.asked_again(claim, lock, self.port.now())
        elif queue in ends and lock in claim.names:
            left = tuple(name for name in ends[queue].locks if name != lock)
            self.ends = rules.frozen({**ends, queue: ends[queue]._replace(locks=left)})
            self.port.note_ended(dict(self.ends))
            asked = claim
        else:
            asked = rules.asked_for(claim, lock, self.port.now())
        self._say({**own, queue: asked} if asked != claim else None)
        if asked.asked > claim.asked:
            self._serve_own()

    def request_again(self, lock: str) -> None:
        """Queue up again for a held lock when its turn is over; if it is not held, ask for it."""
        queue, claim = self.queue_of(lock), dict(self.state.own).get(self.queue_of(lock), NO_CLAIM)
        if lock in claim.names and any(turn.queue == queue for turn in self.turns):
            self._say({**dict(self.state.own), queue: rules.asked_again(claim, lock, self.port.now())})
            self._show_locks()
            return
        self.request(lock)

    def release(self, lock: str) -> None:
        """Give up a lock, or a request for it. It is true when the hook has succeeded, for this unit too."""
        was_requested, queue = lock in self.requested, self.queue_of(lock)
        own = dict(self.state.own)
        claim, held = own.get(queue, self._no_claim), any(turn.queue == queue for turn in self.turns)
        if held and not any(turn.queue == queue for turn in self._usable()):
            self.log('{}: not released: its turn goes on in the next hook of this unit'.format(lock))
            return
        self._kept -= {lock}
        if lock in dict(claim.again):
            own[queue] = claim._replace(again=tuple(pair for pair in claim.again if pair[0] != lock))
        if lock in self.claim(lock).names:
            self._give_up(queue, own[queue], {lock})
        if was_requested:
            self._end_turns(own)
            if self.phase is not Phase.HANDLERS and self._policy_must_decide():
                self._append()
        self._show_locks()
        if was_requested:
            self.log('{}: released'.format(lock))

    def _give_up(self, queue: str, claim: Claim, locks: Units) -> None:
        """Let these locks of a claim be over if this hook succeeds."""
        ends = dict(self.ends)
        before = ends.get(queue, End(claim.asked, (), claim.nonce))
        ends[queue] = before._replace(locks=tuple(sorted({*before.locks, *locks})))
        self.ends = rules.frozen(ends)
        if rules.after_ends({queue: claim}, ends)[queue].done >= claim.asked:
            self.turns = tuple(turn for turn in self.turns if turn.queue != queue)

    def _end_turns(self, own: Optional[Mapping[str, Claim]] = None) -> None:
        """Publish what is over; it becomes true with the charm's own key-value store, which has its flags.

        Where nothing saves that store (an action's script, a classic charm), it becomes true here.
        Publishing comes first: if the agent is dead, it fails, and nothing is over.
        """
        self._say(own)
        mine = self.context.aside or self.phase is Phase.OVER
        if self.ends and not self.port.note_ended(dict(self.ends)) and mine:
            self._save(own=rules.frozen(self.own))

    # A hook ends

    def end(self) -> None:
        """Release every turn that is not kept. Call it only once all handlers have succeeded.

        Of a turn that goes on, the locks that are not kept are released. After that, a leader
        drops the tickets whose release was reported, and lets its policy decide.
        """
        before, own, self.phase = self.granted, dict(self.state.own), Phase.OVER
        ends = self.ends
        for ticket in self._usable():
            claim = own[ticket.queue]
            left = claim.names - self._kept
            if left or not claim.names:
                self._give_up(ticket.queue, claim, left)
        if self.ends and self.context.woken:
            self._save_ends()
        again = frozenset(lock for queue, end in self.ends for lock in dict(own[queue].again))
        if self.finished or (self.ends and self._policy_must_decide()):
            self._append(reported=self.finished)
        elif self.ends != ends and again:
            self._serve_own()
        if self._has_more_to_say() or self.ends != ends:
            self._end_turns()
        self._show_locks()
        for lock in sorted(before - self.granted):
            self.log('{}: released{}'.format(lock, ', and asked for again' if lock in again else ''))

    def sleep(self, beside: bool = False) -> None:
        """Say whose news matters to this unit until its next hook that runs (rule 19).

        Args:
            beside: whether another coordinator uses this one's peer relation; then every hook runs.
        """
        if not (self.context.aside or self.context.restricted):
            self.port.wake.write(None if beside else self.needed(), self.unheard)
            self._wake_up_again()
            self.asleep = True

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
        for queue, claim in sorted(self.own.items()):
            if claim.outstanding:
                parts.append(self._needed_to_wait(queue, claim))
        if self.leading:
            told = self.ledger if self.ledger_read and not policy.per_lock else None
            me = self.context.unit
            parts.append(wake.leading(told, me, policy.slots, self.claims) if told else None)
        store = '' if parts or not state.known else self.port.store_with(state)
        if store:
            return wake.Wake(frozenset(), rest=NO_REQUEST if state.own else NEVER_ASKED, store=store)
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

    def _needed_to_wait(self, queue: str, claim: Claim) -> Optional[wake.Wake]:
        ledger = self.ledger
        ticket = rules.ticket_of(ledger, self.context.unit, queue, claim)
        just_asked = claim.asked > dict(self.state.committed).get(queue, NO_CLAIM).asked
        if ticket is None and (ledger or just_asked) and not claim.holds:
            return wake.Wake(frozenset())  # the ledger will name this unit
        if not ledger or not ticket or claim.holds or (queue, claim.asked) not in self.state.seen:
            return None
        return wake.waiting(ledger, ticket, self.claims, self.heard)

    def _policy_must_decide(self) -> bool:
        """Return whether this unit leads, has a policy of its own, and has changed its claims.

        Nothing wakes the leader for its own release, so its policy decides in
        the hook that releases.
        """
        changed = rules.frozen(self.own) != self.state.committed
        return self.leading and self.policy.grow is not None and changed

    def hide(self) -> None:
        """Clear all granted flags, even of locks that are kept: the handlers are over."""
        self.phase = Phase.OVER
        self._show_locks()

    def _show_locks(self) -> None:
        """Show the locks as they are now: in a reactive charm, set and clear the flags (flags.py)."""
        if self.show:
            self.show(self.requested, NOBODY if self.phase is Phase.OVER else self.granted)
