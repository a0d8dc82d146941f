"""Which locks a unit may use in its hook, and which it keeps over the hook's end.

What lives here: the turns that may be used, begin, are kept or given up, and what a wake-up owes (wakeup.py).
What must not: a hook tool, a clock, a rule about whose turn it is.
"""

from typing import Callable, Dict, FrozenSet, Optional, Sequence, Tuple

from charms.layer.coordinator import orders, rules
from charms.layer.coordinator.context import Phase
from charms.layer.coordinator.values import NO_CLAIM, NOBODY, Claim, End, Locks, Ticket, Units
from charms.layer.coordinator.waking import Waking

SOON_S = 1
MANY = 2  # a percentage may be more than one slot


class Holding(Waking):
    """What this unit holds in a hook; arguments as for View.

    Attributes:
        gate: called with the locks of a turn that would begin; returns why it may not begin now.
        has_gate: called with such locks; returns whether the charm wants to be asked.
        asks_gate: whether that is just being called: until it has returned, no new turn is usable.
    """

    gate: Callable[[FrozenSet[str]], str] = staticmethod(lambda locks: '')
    has_gate: Callable[[FrozenSet[str]], bool] = staticmethod(lambda locks: False)
    asks_gate = False
    _kept: FrozenSet[str] = frozenset()
    _shut: FrozenSet[str] = frozenset()  # locks whose gate was shut, beside a turn of a roll
    _check_in: Tuple[Tuple[str, int], ...] = ()
    _reasons: Tuple[Tuple[str, str], ...] = ()

    @property
    def requested(self) -> FrozenSet[str]:
        """The locks that this unit, or a roll, has asked for, and whose turn is not over."""
        return self._asked | {ticket.roll for ticket in self._rolls()}

    @property
    def _asked(self) -> FrozenSet[str]:
        waiting = [claim for claim in self.own.values() if claim.outstanding]
        return frozenset(name for claim in waiting for name, _ in claim.locks + claim.again)

    def _rolls(self) -> Tuple[Ticket, ...]:
        """Return this unit's tickets of rolls whose turn has not begun, unless it leaves."""
        if not (self.state.rolling and self.ledger_read) or self.context.leaving:
            return ()
        ledger, me, places = self.ledger, self.context.unit, self.places
        return tuple(each for queue in places for each in orders.waiting_in(ledger, me, queue, places[queue]))

    @property
    def granted(self) -> FrozenSet[str]:
        """The locks that this unit may use now."""
        return frozenset(lock for lock in self.requested if self.turn(lock))

    def turn(self, lock: str) -> Optional[Ticket]:
        """Return the ticket by which the lock may be used now, None if it may not."""
        queue = self.queue_of(lock)
        if lock not in self.claim(lock).names:
            return None
        found = next((turn for turn in self._usable() if turn.queue == queue), None)
        if found and found.roll and lock in self._later(found, self.claim(lock)):
            return None
        if found and self.phase is Phase.BEFORE_HANDLERS:
            self._note_begun([found])  # code at import has learned of it, and may work at once
            found = next(turn for turn in self.turns if turn.queue == queue)
            self._leave_word()
        return found

    def _usable(self) -> Tuple[Ticket, ...]:
        """Return the turns that may be used here: none, if this is not a hook of its own (rule 12).

        A turn goes on in a wake-up, but none begins: if its work failed, no hook would be in error.
        Nor does one begin that comes after the handlers, with an order that a callback gives.
        """
        if self.context.aside:
            return ()
        begun = {queue for queue, claim in self.state.own if claim.holds}
        late = self.context.woken or self.phase > Phase.HANDLERS or self.asks_gate
        early = self.phase is Phase.BEFORE_HANDLERS  # no gate has been asked yet
        return tuple(
            turn
            for turn in self.turns
            if turn.queue in begun or not (late or (early and self.has_gate(self._locks_of(turn))))
        )

    def _locks_of(self, turn: Ticket) -> FrozenSet[str]:
        claim = dict(self.state.own).get(turn.queue, self._no_claim)
        return frozenset([turn.roll]) if turn.roll and not claim.holds else claim.names

    def _is_under_way(self, queue: str) -> bool:
        """Return whether a turn of this unit in a queue has begun, or begins in this hook."""
        begun = dict(self.state.own).get(queue, NO_CLAIM).holds
        return begun and any(turn.queue == queue for turn in self.turns)

    def _begin_turns(self) -> None:
        """Begin the turns that may be used, before any handler runs in them."""
        self._ask_gates()
        self._note_begun(self._usable())
        self._leave_word()

    def _note_begun(self, turns: Sequence[Ticket]) -> None:
        """Note that these turns have begun (rule 11)."""
        own = dict(self.state.own)
        for turn in turns:
            claim = own.get(turn.queue, self._no_claim)
            if turn.roll and not claim.holds:
                claim = rules.put_after(claim, self._later(turn, claim))
                claim = rules.asked_for(claim, turn.roll, self.port.now())._replace(roll=True)
            if not claim.holds and (turn.roll or claim.asked == turn.ask):
                kept = bool(claim.names & self._kept)  # at import; otherwise the reason is of a gate
                reason = claim.reason if kept else ''
                own[turn.queue] = claim._replace(begun=True, token=turn.token, reason=reason)
        if own != dict(self.state.own):
            self._save(own=rules.frozen(own))
            # A turn of a roll is from now on that of the ask which it began.
            asks = {turn.queue: own[turn.queue].asked for turn in turns if turn.queue in own}
            self.turns = tuple(
                turn._replace(ask=asks[turn.queue], roll='') if turn.roll and turn.queue in asks else turn
                for turn in self.turns
            )

    def _later(self, turn: Ticket, claim: Claim) -> FrozenSet[str]:
        """Return the locks of a claim that do not begin with a roll's turn: paused, or behind a shut gate."""
        early = self.phase is Phase.BEFORE_HANDLERS  # no gate has been asked yet
        others = {lock: frozenset([lock]) for lock in claim.names - {turn.roll}}
        return self._shut & frozenset(others) | frozenset(
            lock
            for lock, only in others.items()
            if orders.pause_of(self.ledger, turn, only, self.claims) or (early and self.has_gate(only))
        )

    def _ask_gates(self) -> None:
        """Take back the turns that the charm does not want to begin now, and say why.

        A gate is asked before a turn begins, and never again in that turn. What it asks for or gives up
        itself may change which turns there are.
        """
        asked: Dict[str, str] = {}
        while True:
            new = [turn for turn in self._usable() if turn.queue not in asked]
            if not new:
                break
            turn = new[0]
            claim = dict(self.state.own).get(turn.queue, self._no_claim)
            asked[turn.queue] = '' if claim.holds else self._asked_gate(self._locks_of(turn))
            begins = turn.roll and not claim.holds and not asked[turn.queue]
            for lock in sorted(claim.names - {turn.roll}) if begins else ():
                self._shut |= {lock} if self._asked_gate(frozenset([lock])) else NOBODY
        own, shut = dict(self.state.own), {queue: why for queue, why in asked.items() if why}
        for queue, why_not in shut.items():
            own[queue] = own.get(queue, self._no_claim)._replace(reason=why_not)
        self.turns = tuple(turn for turn in self.turns if turn.queue not in shut)
        if own != dict(self.state.own):
            self._say(own)

    def _asked_gate(self, locks: FrozenSet[str]) -> str:
        self.asks_gate = True
        try:
            return self.gate(locks)
        finally:
            self.asks_gate = False

    def _needs_another_ticket(self, queue: str, claim: Claim, lock: str) -> bool:
        """Return whether a lock that is asked for beside others cannot be served by their ticket.

        Its requests up to there may be cancelled. Or that turn has begun, and this lock is paused, or behind
        a gate that is shut.
        """
        more = claim.outstanding and lock not in claim.names
        if not more or self.context.restricted:
            return more  # where Juju answers nothing it may be so
        if not self.ledger_read:
            self._read_ledger()
        ticket = rules.ticket_of(self.ledger, self.context.unit, queue, claim)
        lock_only = frozenset([lock])
        if ticket is not None and orders.is_cancelled(self.ledger, ticket, lock):
            return True
        paused = ticket is not None and orders.pause_of(self.ledger, ticket, lock_only, self.claims)
        return claim.holds and bool(paused or self._asked_gate(lock_only))

    def _leave_word(self) -> None:
        """Let the others know if this hook fails in a turn of a roll, which then stops.

        With one slot it stops anyway: nobody begins before the turn is over.
        """
        tickets = self.ledger.tickets if self.ledger else ()
        most = max([self.policy.slots or MANY, *(ticket.slots for ticket in tickets if ticket.roll)])
        if most == 1 or self.port.failing.has_begun() or not self.port.relation:
            return
        tokens = {turn.token for turn in self._usable()}
        used = (claim.token for _, claim in self.state.own if claim.roll and claim.token in tokens)
        token = next(used, 0)
        if token:
            self.port.failing.begins(token, self.port.relation)

    def keep(self, lock: str, check_again_in: Optional[int] = None, reason: str = '') -> bool:
        """Keep a held lock over the end of this hook; return whether it is held.

        Args:
            lock: the lock.
            reason: why, for all who wait.
            check_again_in: after how many seconds this unit wakes itself, if the lock is kept.
        """
        if lock not in self.granted:
            return False
        self._kept |= {lock}
        self._reasons = (*(pair for pair in self._reasons if pair[0] != lock), (lock, reason))
        if check_again_in is not None:
            self._check_in += ((lock, check_again_in),)
            if self.asleep:  # in a callback after the layer's own
                self._wake_up_again()
        own = self._with_reason(dict(self.state.own), self.queue_of(lock))
        if own != dict(self.state.own):
            self._say(own)
        return True

    def _with_reason(self, own: Dict[str, Claim], queue: str) -> Dict[str, Claim]:
        """Return own claims, that of a queue with the last reason of a lock that this hook keeps there."""
        kept = self._kept & own[queue].names
        reasons = [reason for lock, reason in self._reasons if lock in kept and reason]
        reason = reasons[-1] if reasons else ''
        return {**own, queue: own[queue]._replace(reason=reason)} if kept else own

    def _queues_with(self, lock: str) -> FrozenSet[str]:
        """Return the queues in which this unit has asked for a lock.

        They are several if a refresh moves the lock to another queue while this unit has a place in a roll.
        """
        own = self.state.own
        return frozenset(queue for queue, claim in own if lock in claim.names | {*dict(claim.again)})

    def _goes_on(self, queue: str) -> bool:
        """Return whether a turn has begun, perhaps in a predecessor, that cannot be ended here."""
        usable = any(turn.queue == queue for turn in self._usable())
        claim = dict(self.state.own).get(queue, NO_CLAIM)
        perhaps = self.unsure and claim.asked == dict(self.state.committed).get(queue, NO_CLAIM).asked
        begun = self.context.aside and claim.begun
        return begun or perhaps or (self._is_under_way(queue) and not usable)

    def _leave(self, ticket: Ticket, claim: Claim) -> None:
        """Give up a place in a roll, if no earlier place of this unit is still needed."""
        if self.unsure:
            self.log('{}: not given up here: its turn may have begun'.format(ticket.roll))
        elif orders.may_end(self.ledger, ticket, self.own.get(ticket.queue, self._no_claim)):
            self._give_up(ticket.queue, claim, NOBODY, ticket.token)
        else:
            self.log('{}: not given up: this unit has an earlier turn in another roll'.format(ticket.roll))

    def _give_up(self, queue: str, claim: Claim, locks: Units, token: int = 0, again: Locks = ()) -> None:
        """Let locks of a claim, what comes after its turn, and tickets of rolls up to a token be over.

        That is true if this hook succeeds.
        """
        ends = dict(self.ends)
        before = ends.get(queue, End(claim.asked, ()))
        earlier = before.locks if before.ask == claim.asked else ()  # it may have asked since the last end
        token = max(before.token, token)
        again += before.again if before.ask == claim.asked else ()
        left = tuple(sorted({*earlier, *locks}))
        end = End(claim.asked, left, claim.nonce, token, claim.locks, tuple(sorted({*again})))
        after = rules.after_ends({queue: claim}, {queue: end})[queue]
        ends[queue] = end._replace(token=max(token, after.ended)) if claim.roll else end
        self.ends = rules.frozen(ends)
        over = bool(locks) and after.done >= claim.asked
        self.turns = tuple(
            turn
            for turn in self.turns
            if turn.queue != queue or not (over or (turn.roll and turn.token <= token))
        )

    def sleep(self, beside: bool = False) -> None:
        """Say whose news this unit must hear until its next hook (rule 19), and when it wakes itself.

        Args:
            beside: whether another coordinator uses this one's peer relation; then every hook runs.
        """
        if not (self.context.aside or self.context.restricted):
            self.port.wake.write(None if beside else self.needed(), self.unheard)
            self._wake_up_again()
            self.port.failing.ends(self.port.wake.said)
            self.asleep = True

    def _wake_up_again(self) -> None:
        """Let this unit wake itself while it keeps a lock, as early as the charm has asked for that.

        So does a leader whose own turn was the last of a roll: no other hook tells it that the roll is over.
        """
        kept = self._kept & self.granted
        after = [seconds for lock, seconds in self._check_in if lock in kept]
        after += [SOON_S] if self.ends and self._has_unseen_end() else []
        if kept or after:
            self.port.wake_up.arrange(min(after, default=None))

    def _has_unseen_end(self) -> bool:
        """Return whether this unit leads, and a roll is over with this hook whose end no handler has seen."""
        known = {*self.state.rolled, *(roll.name for roll in self.rolled)}
        ledger, claims = self.ledger, self.claims
        rolls = orders.rolls(ledger) if self.leading else ()
        return any(
            ledger and roll.name not in known and orders.is_over(ledger, roll, claims) for roll in rolls
        )

    def _save_ends(self) -> None:
        """Save the ends of turns now, with the charm's flags.

        Juju commits what a wake-up published even if it fails afterwards. So the others hear of a
        release only when it is true for this unit.
        """
        if self.port.note_ended(dict(self.ends)):
            self.port.flush()
            self.saved_ends = self.ends
        else:
            self._save(own=rules.frozen(self.own))
