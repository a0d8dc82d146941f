"""One coordinator in the hook or action that this process runs.

What lives here: what joins the protocol to this hook's Juju, to the flags and
to a log; the layer has one of these, and so has each coordinator class of a
charm. What must not: a rule, a hook tool, a layer option, work at import.
"""

from typing import Callable, Dict, FrozenSet, List, Optional, Set, Tuple

from charms.layer.coordinator import flags, juju, old, protocol, rules
from charms.layer.coordinator.policy import Policy

Log = Callable[[str], None]


class Here:
    """What this unit knows and says in this hook, from its first look on.

    Until `begin` no handler runs: what is asked then is recorded, and its turn
    comes once handlers may use it.

    Args:
        to: this hook's Juju, with the coordinator's keys and relation.
        policy: may ask the charm's own code, on the leader.
        log: takes a sentence each time something changes.
    """

    def __init__(self, to: juju.Juju, policy: Policy, log: Log = juju.log) -> None:
        self.juju, self.log = to, log
        self.kept: Set[str] = set()
        self.again: Set[str] = set()
        self.shows_flags = False
        self.began = False
        self.ended = False
        self.aside: FrozenSet[rules.Ticket] = frozenset()
        self._told: FrozenSet[rules.Ticket] = frozenset()
        self._awaited: FrozenSet[str] = frozenset()
        self._released: List[rules.Ticket] = []
        self._meanwhile: List[str] = []
        self._asking = self._asked_early = False
        self._about: Optional[Tuple[str, str]] = None
        self.hook = protocol.begin(to, juju.occasion(to.peers), self._watched(policy))
        self.hook = self.hook._replace(serving=False)

    def _watched(self, policy: Policy) -> Policy:
        """Return the policy so that what its own code asks for meanwhile is known as such."""
        decide = policy.decide
        if decide is None:
            return policy

        def watched(question: rules.Question) -> bool:
            if self._about not in (None, (question.lock, question.unit)):
                return False
            self._asking = True
            try:
                return decide(question)
            finally:
                self._asking = False

        return policy._replace(decide=watched)

    # What is true now

    @property
    def unit(self) -> str:
        return self.hook.occasion.unit

    @property
    def serving(self) -> bool:
        """Whether a handler may still use a turn in this hook."""
        return self.hook.serving and not juju.callbacks_running()

    @property
    def requested(self) -> FrozenSet[str]:
        own = self.hook.own.values()
        waiting = frozenset(name for claim in own if claim.outstanding for name in claim.names)
        return waiting | self.again

    @property
    def granted(self) -> FrozenSet[str]:
        """The locks that handlers may use now."""
        return frozenset(lock for lock in self.requested if self.turn(lock))

    def turn(self, lock: str) -> Optional[rules.Ticket]:
        """Return the ticket by which the lock may be used now: in an action not one that came before it."""
        turn = self.hook.turn(lock)
        return None if turn in self.aside else turn

    def since(self, lock: str) -> str:
        """Return when this unit asked for the lock, '' where it has not."""
        return dict(self.hook.claim(lock).locks).get(lock, '')

    def explain(self, lock: str) -> str:
        """Return why the lock is not held yet, as a sentence."""
        hook, turn = self.hook, self.turn(lock)
        if turn:
            return '{}: this unit holds it, token {}'.format(lock, turn.token)
        if hook.occasion.leaving:
            return '{}: this unit leaves and takes no new turn'.format(lock)
        if lock not in self.requested:
            return '{}: not asked for by this unit'.format(lock)
        if hook.awaited:
            return '{}: asked; {}'.format(lock, old.refusal(hook.awaited))
        refusal = rules.refusal(hook.ledger, hook.ticket(lock), hook.claims)
        if hook.ledger is None and self.juju.came_over:
            refusal += '; it gives none while a unit still runs the old layer'
        return '{}: {}'.format(lock, refusal)

    def everything(self) -> Tuple[Dict[str, Dict[str, str]], Dict[str, Dict[str, str]]]:
        """Return what every unit holds and has asked for, as far as this unit can see.

        Who does not lead reads the ledger, and the claim of each unit once a hook.
        """
        self.hook, claims = protocol.overview(self.juju, self.hook)
        return rules.grants(self.hook.ledger, claims), rules.requests(claims)

    # The course of a hook

    def begin(self) -> None:
        """Handlers are about to run: from now on a turn can be used. Again: nothing."""
        if self.began:
            return
        # Not by looking again where something was asked before (at import, in another layer's atstart):
        # that would take what it wrote, and Juju has not committed, for what is true.
        self.began = True
        if juju.in_action():
            self.aside = frozenset(self.hook.turns)
        hook = self.hook._replace(serving=True)
        self.moved_to(protocol.serve(self.juju, hook) if self._asked_early else hook)

    def end(self) -> None:
        """Release every lock held that is not kept: the handlers are over and have succeeded."""
        before, again = self.granted, frozenset(self.again)
        self.ended = True
        turns = tuple(turn for turn in self.hook.turns if turn not in self.aside)
        self.again.clear()
        self.moved_to(protocol.end(self.juju, self.hook._replace(turns=turns), self.kept, again, juju.now()))
        for lock in sorted(before - self.granted):
            self.log('{}: released{}'.format(lock, ', and asked for again' if lock in again else ''))

    def hide(self) -> None:
        """The handlers are over: no flag says that a lock may be used, also where none was released."""
        if not self.ended:
            self.ended = True
            self.moved_to(self.hook)

    def moved_to(self, hook: protocol.Hook) -> None:
        """Go on from there: log what the leader wrote, bring the flags in line."""
        self.hook = hook
        if hook.awaited - self._awaited:
            self.log(old.refusal(hook.awaited))
            self._awaited = hook.awaited
        news = [ticket for ticket in hook.given + hook.dropped if ticket not in self._told]
        for ticket in news:
            verb = 'is gone, its ticket is dropped' if ticket in hook.dropped else 'is given a ticket'
            self.log('{} {}, token {}'.format(ticket.unit, verb, ticket.token))
        self._released += [ticket for ticket in hook.over + hook.dropped if ticket not in self._told]
        self._told |= frozenset(news + list(hook.over))
        if self.shows_flags:
            granted = frozenset() if self.ended else self.granted
            flags.show(self.requested, granted)
        while self._meanwhile:
            lock = self._meanwhile.pop()
            if lock not in self.requested:
                self.request(lock)

    # What a charm asks for

    def request(self, lock: str) -> bool:
        """Ask for a lock once; return whether this unit holds it now."""
        if self.turn(lock):
            return True
        if self._asking:  # a policy asks: the answer to the question comes first
            self._meanwhile.append(lock)
            return False
        if lock in self.requested:
            self.lead()
            return self.turn(lock) is not None
        self._asked_early |= not self.began
        self._note_serving()
        if self._turn_is_ending(lock):
            # The turn of its queue was for other locks and is about to be released.
            self.again.add(lock)
            self.moved_to(self.hook)
            return False
        self.moved_to(protocol.request(self.juju, self.hook, lock, juju.now()))
        self.log(self.explain(lock))
        return self.turn(lock) is not None

    def _note_serving(self) -> None:
        if not self.serving:
            self.hook = self.hook._replace(serving=False)

    def _turn_is_ending(self, lock: str) -> bool:
        queues = {ticket.queue for ticket in self.hook.turns}
        in_turn = self.hook.policy.queue_of(lock) in queues
        return in_turn and self.began and not self.ended and not self.serving

    def keep(self, lock: str) -> bool:
        if self.turn(lock) is None:
            return False
        self.kept.add(lock)
        return True

    def release(self, lock: str) -> None:
        was_asked = lock in self.requested
        self.kept.discard(lock)
        self.again.discard(lock)
        self._note_serving()
        self.moved_to(protocol.release(self.juju, self.hook, lock))
        if was_asked:
            self.log('{}: released'.format(lock))

    def request_again(self, lock: str) -> None:
        turn = self.turn(lock)  # one that came before an action is left as it is: it comes again
        if turn is None or not self.began or self.ended:
            if turn:
                self.release(lock)
            self.request(lock)
        else:
            self.kept.discard(lock)
            self.again.add(lock)

    # What the leader does

    @property
    def leading(self) -> bool:
        """Whether Juju said at the start of this hook that this unit leads."""
        return self.hook.leading

    def lead(self, about: Optional[Tuple[str, str]] = None) -> None:
        """Where the policy decides and this unit leads, ask it about all that waits, or one lock and unit."""
        if self.hook.leading and self.hook.policy.decide and not self._asking:
            self._about = about
            self.moved_to(protocol.lead(self.juju, self.hook))
            self._about = None

    def has_given(self, lock: str, unit: str) -> bool:
        """Whether this leader gave a ticket in this hook, also where it is not durable yet."""
        queue = self.hook.policy.queue_of(lock)
        return any((ticket.queue, ticket.unit) == (queue, unit) for ticket in self.hook.given)

    def releases(self) -> List[rules.Ticket]:
        """Return the tickets whose end this leader has found and not yet returned here."""
        found, self._released = self._released, []
        return found
