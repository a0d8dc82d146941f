"""One hook of one unit: it reads and decides at the start, answers the charm, and releases at the end.

What lives here: in which order a hook reads, decides and writes, on a port to Juju and on the values of
`rules.py`. What must not: a hook tool, a clock, a flag, whose turn it is. tests/proofs runs this file, too.

    look ──▶ begin ──▶ request, keep, release, request_again ──▶ end
      │ own claim, a peer's news, what the leader owes the others, whose turn it is
"""

from typing import Callable, Mapping, Optional, Tuple

from charms.layer.coordinator import orders, rules, terms, why
from charms.layer.coordinator.context import Phase
from charms.layer.coordinator.holding import Holding
from charms.layer.coordinator.values import (
    ANEW,
    CANCEL,
    FREE,
    NO_CLAIM,
    NOBODY,
    ROLL,
    ROLLED,
    Claim,
    Claims,
    End,
    Ledger,
    Ticket,
    Units,
    UnitState,
    Wish,
)


class Session(Holding):
    """One coordinator in the hook or action that runs; arguments as for View.

    Attributes:
        show: called with the locks requested, granted and rolled, and whether all handlers have run.
    """

    show: Optional[Callable[[Units, Units, Units, bool], None]] = None
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
        if self._is_under_way(queue) and lock in self.requested:
            goes_on = lock in self.claim(lock).names
            return '{}: {}'.format(lock, why.GOES_ON if goes_on else why.COMES_AFTER)
        asked = lock in self.requested
        if asked and self.awaited:
            return '{}: asked; {}'.format(lock, self.port.awaiting(self.awaited))
        ledger, ticket, claims = self._told(queue) if look else (self.ledger, None, self.claims)
        if not look:
            ticket = rules.ticket_of(ledger, self.context.unit, queue, self.claim(lock))
        if not asked:
            pause = orders.pause_of(ledger, ticket, frozenset([lock]), claims) if ticket else None
            more = [why.who_holds(ledger, ticket, claims), why.paused(pause) if pause else '']
            return '; '.join(['{}: not asked for by this unit'.format(lock), *filter(None, more)])
        refusal = why.refusal(ledger, ticket, claims, self.failed)
        reason = self._why_no_ledger() if ledger is None else ''
        return '{}: {}{}'.format(lock, refusal, reason and '; ' + reason)

    def _told(self, queue: str, slots: int = 0) -> Tuple[Optional[Ledger], Optional[Ticket], Claims]:
        """Return the ledger, the ticket and the claims that say how a queue stands for this unit.

        A unit without a ticket gets one at the end, of so many slots, or as many as any has that is there, to
        see who is ahead of it.
        """
        if not (self.ledger_read or self.context.restricted):
            self._read_ledger()
        claim = self.own.get(queue, self._no_claim)
        ticket = rules.ticket_of(self.ledger, self.context.unit, queue, claim)
        ledger = self.ledger
        if ledger and ledger.readable:
            if not ticket:
                slots = slots or max((each.slots for each in ledger.tickets), default=1)
                ticket = rules.behind_all(queue, self.context.unit, slots)
                ledger = ledger._replace(tickets=(*ledger.tickets, ticket))
            remembered = self.state, self.unheard
            self._look_ahead(ledger, ticket)
            claims, (self.state, self.unheard) = self.claims, remembered
            return ledger, ticket, claims
        return ledger, ticket, self.claims

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
        if stored and self.context.newborn and (stored.spoken or stored.gave_all_up):
            stored = None  # a former unit of this name left it behind: this one has not said anything yet
        self._recall(stored or UnitState())
        if self.context.restricted:
            return
        self.leading = not self.context.child and self.port.is_leader()
        led = self.state.led or self.leading
        # Beside a turn of a roll, Juju may have the word that its hook failed, which must stay.
        in_roll = self.context.aside and any(claim.roll for _, claim in self.state.own)
        reread = stored is None or self.context.reread or in_roll
        first = not (stored and stored.nonce)  # a request of collect-metrics may be all that is there
        self._compare_own_claims(first, reread or self.context.full_check)
        if not self.context.aside:
            self._find_unheard()
            self._hear_leaver()
        if self.leading:
            self._lead()
        elif self.state.wishes and not self.context.aside:
            self._remember(wishes=())
            self.log('this unit leads no more, so what it was told to do for all units is dropped')
        self.deposed = led and not self.leading
        self._remember(led=self.leading)
        news = self.context.shared_news or self.state.opened < self.state.term  # or no ledger counted
        # A unit that was freed finds it so; and what a unit says first tells the term that it knows.
        held = any(claim.holds for claim in self.own.values())
        self._take_turns(reread or held or news or self.context.full_check or not self.state.spoken)
        if self.leading and (self.context.aside or self.context.woken):
            self._bring_own_turn()
        if self._has_more_to_say():
            self._say()
        self._save()
        self._own_at_look = self.state.own

    def _find_unheard(self) -> None:
        """Find out of which units there has been news since this unit read their claims."""
        skipped = self.port.wake.withdraw()
        self.port.wake_up.withdraw(self.context.woken)
        self.port.failing.withdraw()
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
        if self.state.context.startswith(ANEW) and not (self.context.aside or self.context.restricted):
            self._save(context=self._by)
        self._show_locks()

    def _take_turns(self, reread: bool = False) -> None:
        before, own = self.state.put_off, self.state.own
        super()._take_turns(reread)
        if self.leading and self.state.own != own and self._is_due():
            self._append()  # an order that it has just read lets this unit ask for something anew
            super()._take_turns()
        if self.leading and self.state.put_off != before:
            self._bring_hook()
        if self.phase is Phase.HANDLERS and not self.asks_gate:
            self._begin_turns()

    def handlers_succeeded(self) -> None:
        """Note that only callbacks run from now on: no handler can use a turn that comes now."""
        if self.phase is Phase.HANDLERS:
            self.phase = Phase.CALLBACKS

    def _serve_own(self) -> None:
        """If this unit leads, give it its own ticket now, unless that would hold up the others.

        On Juju 2.9 - 3.x it would, outside handlers: no handler could use the turn
        in this hook, and a write to leader settings wakes every unit but the
        leader. The leader's next hook gives the ticket at its start. If nobody is ahead, no news
        would bring that hook, so this unit has Juju bring it. So does a program that the leader's hook runs:
        it does not lead itself, and that hook may not learn what it has asked for.
        """
        asks = self.context.child and not self.context.restricted
        leads = self.leading or (asks and self.port.is_leader())
        handlers = self.phase is Phase.HANDLERS and not (self.context.aside or self.context.woken)
        if self.leading and (handlers or not (self.port.durable_at_once or self._asks_class_later)):
            self._append()
            self._take_turns()
        elif leads and (self.phase is not Phase.BEFORE_HANDLERS or self.context.aside):
            waits = (queue for queue, claim in self.own.items() if claim.outstanding)
            if any(map(self._would_be_next, waits)):
                self._bring_hook()

    def _would_be_next(self, queue: str) -> bool:
        """Return whether a request of this unit, with or without a ticket, waits for nobody else."""
        if self.policy.grow:
            return True  # only the charm's class can tell
        ledger, ticket, claims = self._told(queue, self._slots())
        if not ledger or not ticket or orders.pause_before(ledger, ticket, self.own[queue], claims):
            return False
        return rules.is_turn(ledger, ticket, claims)

    # What the charm says

    def request(self, lock: str) -> bool:
        """Ask for a lock once; return whether this unit holds it now."""
        if lock not in self._asked and not self.context.leaving:
            self._ask(lock)
            if lock not in self._asked:  # a program of this hook has numbered a request so, and given it up
                self._ask(lock)
            self._show_locks()
            self.log(self.explain(lock, look=False))
        return self.turn(lock) is not None

    def _ask(self, lock: str) -> None:
        """Save and publish a request; if the queue's turn ends with this hook, for the turn after that."""
        queue, own, ends = self.queue_of(lock), dict(self.state.own), dict(self.ends)
        claim, after = own.get(queue, self._no_claim), self.claim(lock)
        ended = claim.outstanding and (not after.outstanding or after.asked > claim.asked)
        held, context = self._is_under_way(queue), self.context
        late = context.child or context.woken or self.phase is Phase.CALLBACKS
        anew = held and (late or lock in claim.names)  # or it was released in this hook
        if ended or anew or self._needs_another_ticket(queue, claim, lock):
            asked = self._asked_again(queue, lock)
        elif queue in ends and lock in claim.names:
            left = tuple(name for name in ends[queue].locks if name != lock)
            self._take_back(ends[queue]._replace(locks=left), queue)
            # Another time, as in `_asked_again`.
            asked = claim._replace(locks=tuple(sorted({**dict(claim.locks), lock: self.port.now()}.items())))
        else:
            asked = rules.asked_for(claim, lock, self.port.now())
        self._say({**own, queue: asked} if asked != claim else None)
        if asked.asked > claim.asked or self.context.child or (ended and self.phase is Phase.OVER):
            self._serve_own()

    def request_again(self, lock: str) -> None:
        """Queue up again for a held lock when its turn is over; if it is not held, ask for it."""
        queue, claim = self.queue_of(lock), dict(self.state.own).get(self.queue_of(lock), NO_CLAIM)
        if lock in claim.names and (self._is_under_way(queue) or self.turn(lock)):
            self._say({**dict(self.state.own), queue: self._asked_again(queue, lock)})
            if self.context.child:
                self._serve_own()
            self._show_locks()
            return
        self.request(lock)

    def _asked_again(self, queue: str, lock: str) -> Claim:
        """Return a claim with a lock asked for again; what this hook has withdrawn of that is taken back."""
        claim, ends = dict(self.state.own).get(queue, self._no_claim), dict(self.ends)
        if queue in ends:
            withdrawn = {pair for pair in ends[queue].again if pair[0] == lock}
            left = tuple(pair for pair in ends[queue].again if pair not in withdrawn)
            self._take_back(ends[queue]._replace(again=left), queue)
            # It gets another time: the charm may have saved already that the earlier one is withdrawn.
            claim = claim._replace(again=tuple(pair for pair in claim.again if pair not in withdrawn))
        return rules.asked_again(claim, lock, self.port.now())

    def _take_back(self, end: End, queue: str) -> None:
        """Let this hook end less in a queue than it has said so far."""
        self.ends = rules.frozen({**dict(self.ends), queue: end})
        self.port.note_ended(dict(self.ends))

    def release(self, lock: str) -> None:
        """Give up a lock, or a request for it. It is true when the hook has succeeded, for this unit too."""
        was_requested, own = lock in self.requested, dict(self.state.own)
        queues = self._queues_with(lock)
        if self.context.restricted or any(self._goes_on(each) for each in queues):
            self.log('{}: not released here; a turn that has begun goes on in the next hook'.format(lock))
            if not self.context.restricted:
                self._withdraw_again(lock, queues)
            return
        self._kept -= {lock}
        held = any(own[queue].holds and lock in own[queue].names for queue in queues)
        for queue in queues:
            own = self._with_reason(own, queue)
            again = tuple(pair for pair in own[queue].again if pair[0] == lock)
            if again or lock in self.own[queue].names:
                self._give_up(queue, own[queue], self.own[queue].names & {lock}, again=again)
        for ticket in self._rolls():
            if ticket.roll == lock and not held:  # otherwise it ends that turn, and no place behind it
                self._leave(ticket, own.get(ticket.queue, self._no_claim))
        if was_requested:
            self._end_turns(own)
            if self.context.aside:
                self._bring_next_turn(own)
                if self._has_unseen_end():
                    self._bring_hook(written=False)
            if self.phase is not Phase.HANDLERS and self._policy_must_decide():
                self._append()
                if self._asks_class_later:
                    self._bring_hook()
        self._show_locks()
        if was_requested and (held or lock not in self.requested):
            self.log('{}: released'.format(lock))

    def _withdraw_again(self, lock: str, queues: Units) -> None:
        """Withdraw what is asked for after a turn that goes on: that turn has not begun."""
        own = dict(self.state.own)
        asked = {queue: tuple(pair for pair in own[queue].again if pair[0] == lock) for queue in queues}
        for queue, again in asked.items():
            if again:
                self._give_up(queue, own[queue], NOBODY, again=again)
        if any(asked.values()):
            self._end_turns(own)

    def _end_turns(self, own: Optional[Mapping[str, Claim]] = None) -> None:
        """Publish what is over; it becomes true with the charm's own key-value store, which has its flags.

        Where nothing saves that store (an action's script, a classic charm), it becomes true here.
        Publishing comes first: if the agent is dead, it fails, and nothing is over.
        """
        self._say(own)
        mine = self.context.aside or self.phase is Phase.OVER
        if self.ends and not self.port.note_ended(dict(self.ends)) and mine:
            self._save(own=rules.frozen(self.own))

    def order(self, wish: Wish) -> str:
        """As the leader, give an order; return why it is refused, '' if it is given.

        It is saved at once, and written with the ledger: now, or in the next hook in which this unit may.
        """
        if not self.leading:
            return orders.NOT_HERE if self.context.restricted else orders.NOT_LEADING
        if not self.ledger_read:
            self._read_ledger()
        if wish.order.kind in (ROLL, CANCEL, FREE):
            self._read_claims(sorted(self.port.everybody()))  # hooks that brought them may not have run
        refused = orders.refused(self._with_wishes(self.ledger or Ledger()), wish, self.claims)
        if not refused and wish.order.kind == FREE and self.ledger is None:
            refused = orders.NO_LEDGER
        if not refused and wish.order.kind == CANCEL and self.policy.grow:
            refused = orders.no_ticket(self.ledger, wish.order.lock, self.claims)
        if not refused:
            self._save(wishes=orders.with_wish(self.state.wishes, wish))
            self._append()
            if not self.leading and not self.port.is_leader():
                self._save(wishes=tuple(each for each in self.state.wishes if each != wish))
                return orders.NOT_LEADING
            self._take_turns()
            self._show_locks()
            self._save()
            self._bring_own_turn()
            if self._asks_class_later or self._has_unseen_end():
                self._bring_hook()
        return refused

    def _bring_own_turn(self) -> None:
        """If a turn of this unit has come that cannot begin here, have Juju bring a hook in which it can."""
        own, usable = dict(self.state.own), self._usable()
        if any(turn not in usable and not own.get(turn.queue, NO_CLAIM).holds for turn in self.turns):
            self._bring_hook()

    def has_written(self, wish: Wish) -> bool:
        """Return whether the ledger has what an order asks for, if this hook succeeds."""
        return any(orders.stands(each, wish) for each in (self.ledger, self.written) if each)

    def why_not_written(self) -> str:
        """Return, as a sentence, what keeps the leader from writing the ledger; '' if nothing is known to."""
        reason = self.port.awaiting(self.awaited) if self.awaited else ''
        reason = reason or (self._why_no_ledger() if self.ledger is None else '')
        return reason and reason[0].upper() + reason[1:] + '.'

    # A hook ends

    def end(self) -> None:
        """Release every turn that is not kept. Call it only once all handlers have succeeded.

        Of a turn that goes on, the locks that are not kept are released. After that, a leader
        drops the tickets whose release was reported, and lets its policy decide.
        """
        before, own, self.phase = self.granted, dict(self.state.own), Phase.OVER
        for ticket in self._usable():
            claim = own[ticket.queue]
            left = claim.names - self._kept
            if left or not claim.names:
                self._give_up(ticket.queue, claim, left)
        self._bring_next_turn(own)
        if self.ends and self.context.woken:
            self._show_locks()  # what is saved with the end stays, even if the wake-up fails after this
            self._save_ends()
        again = frozenset(lock for queue, _ in self.ends for lock in dict(own.get(queue, NO_CLAIM).again))
        if self.rolled:
            shown = End(0, tuple(roll.name for roll in self.rolled))
            self.ends = rules.frozen({**dict(self.ends), ROLLED: shown})
        decides = bool(self.finished or (self.ends and self._policy_must_decide()))
        if decides:
            self._append(reported=self.finished)
        if again and (self.port.durable_at_once or not decides):
            self._serve_own()
        if self.ends and not self.context.aside:
            self._published = None  # say it once more: if the agent is dead, that fails
        if self._has_more_to_say() or self.ends or self.port.failing.has_begun():
            self._end_turns(own)
        self._show_locks()
        for lock in sorted(before - self.granted):
            self.log('{}: released{}'.format(lock, ', and asked for again' if lock in again else ''))

    def _bring_next_turn(self, own: Mapping[str, Claim]) -> None:
        """As the leader, have Juju bring this unit a hook if its next turn comes by what it gives up here.

        No news of others does that. To any other unit the leader's write does (`rules.next_by_own_turn`).
        If that roll was cancelled meanwhile, its turn is over, too.
        """
        child = self.context.child and not self.context.restricted  # of a hook that may not learn of it
        leads = bool(self.ends) and (self.leading or (child and self.port.is_leader()))
        for queue, _ in self.ends:
            if self.ledger and not self.unsure:
                obeyed = orders.obeyed(self.ledger, self.context.unit, self.state.nonce, self.own)[queue]
                if obeyed.ended > self.own[queue].ended:
                    self._give_up(queue, own.get(queue, self._no_claim), NOBODY, obeyed.ended)
            ticket = rules.ticket_of(self.ledger, self.context.unit, queue, self.own[queue])
            if leads and self.ledger and ticket and not self.own[queue].holds:
                self._look_ahead(self.ledger, ticket)  # those ahead may have withdrawn long ago
                if self._has_come(ticket):
                    self._bring_hook(written=False)

    def _policy_must_decide(self) -> bool:
        """Return whether this unit leads, has a policy of its own, and has changed its claims.

        Nothing wakes the leader for its own release, so its policy decides in the hook that releases.
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
            over = self.phase is Phase.OVER
            rolled = frozenset(roll.lock for roll in self.rolled)
            self.show(self.requested, NOBODY if over else self.granted, NOBODY if over else rolled, over)
