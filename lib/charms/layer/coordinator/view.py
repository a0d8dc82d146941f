"""What one hook knows, and how it learns it.

What lives here: the values that are read, and in which order. What must
not: a decision of the leader, an answer to the charm, a hook tool.
"""

from typing import TYPE_CHECKING, Any, Collection, Dict, FrozenSet, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator import merging, orders, plan, rules, terms
from charms.layer.coordinator.context import HookContext, Log, Phase
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.values import (
    ANEW,
    MAX_TERM,
    NO_CLAIM,
    NOBODY,
    UNNAMED,
    About,
    Claim,
    End,
    Ledger,
    Order,
    Record,
    Said,
    Terms,
    Ticket,
    Units,
    UnitState,
)

if TYPE_CHECKING:  # at run time any port will do; tests/proofs has a port of its own
    from charms.layer.coordinator.juju import Juju


class Snapshot(NamedTuple):
    """Where a session stands, as a value.

    Args:
        state: what this unit remembers.
        leading: whether Juju said at the start of the hook that this unit leads.
        ledger: the durable ledger as last read in this hook.
        ledger_read: whether it has been read; until then `ledger` means nothing.
        turns: this unit's tickets whose turn it is.
        given: tickets that this unit, as the leader, gave in this hook.
        dropped: tickets that it dropped in this hook because their units are gone.
        finished: tickets that it found finished, if the policy reports releases.
        awaited: units that still run a predecessor; until they are upgraded, no
            ledger is made.
        ends: turns and requests that are over if this hook succeeds, by queue.
        claimed: whether a term was claimed in this hook, and Juju does not have the claim yet.
        silent: units that have not answered since the ledger was lost; until then none is made.
        unheard: the peers of which Juju has told news that this unit has not read; other hooks
            may have come for them, and not run (wake.py).
        heard: the peers on which this unit is up to date, among those that it watches.
        deposed: whether it led in its last hook or when this one began, and may not write the ledger now.
        rolled: the rolls that this unit, as the leader, has found to be over and not shown yet.
    """

    context: HookContext
    phase: Phase = Phase.BEFORE_HANDLERS
    state: UnitState = UnitState()
    leading: bool = False
    ledger: Optional[Ledger] = None
    ledger_read: bool = False
    turns: Tuple[Ticket, ...] = ()
    given: Tuple[Ticket, ...] = ()
    dropped: Tuple[Ticket, ...] = ()
    finished: Tuple[Ticket, ...] = ()
    awaited: FrozenSet[str] = frozenset()
    ends: Tuple[Tuple[str, End], ...] = ()
    claimed: bool = False
    silent: FrozenSet[str] = frozenset()
    unheard: FrozenSet[str] = frozenset()
    heard: FrozenSet[str] = frozenset()
    deposed: bool = False
    rolled: Tuple[Order, ...] = ()


class View:
    """What one hook knows; Snapshot describes the attributes.

    Args:
        port: this hook's Juju.
        start: where the hook stands; at the start of a hook only the context is set.
        policy: what the layer options decide.
        log: called with a sentence each time something changes.
    """

    def __init__(self, port: 'Juju', start: Snapshot, policy: Policy, log: Log) -> None:
        self.port, self.policy, self.log = port, policy, log
        self.context, self.phase, self.state, self.leading = start[:4]
        self.ledger, self.ledger_read, self.turns, self.given = start[4:8]
        self.dropped, self.finished, self.awaited, self.ends = start[8:12]
        self.claimed, self.silent, self.unheard, self.heard, self.deposed, self.rolled = start[12:]
        self._saved: Optional[UnitState] = None
        self.saved_ends: Tuple[Tuple[str, End], ...] = ()  # in a wake-up, those that were saved already
        self.lost = False  # whether this process has found no store
        self.unsure = False  # aside, in a store made anew: a failed hook may have begun a turn
        self.asleep = False  # whether the wake file was written in this hook
        self._published: Optional[Said] = None

    def snapshot(self) -> Snapshot:
        """Return where this session stands, as a value."""
        return Snapshot(*(getattr(self, name) for name in Snapshot._fields))

    @property
    def own(self) -> Dict[str, Claim]:
        """This unit's claims by queue, as they are if this hook succeeds."""
        return rules.after_ends(dict(self.state.own), dict(self.ends))

    @property
    def claims(self) -> Dict[Tuple[str, str], Claim]:
        """What every unit says, including what this one has asked for and done in this hook."""
        return self._beside_peers(self.own)

    @property
    def committed(self) -> Dict[Tuple[str, str], Claim]:
        """What every unit has said in hooks that succeeded."""
        return self._beside_peers(dict(self.state.committed))

    def _beside_peers(self, own: Mapping[str, Claim]) -> Dict[Tuple[str, str], Claim]:
        mine = {(self.context.unit, queue): claim for queue, claim in own.items()}
        return {**dict(self.state.peers), **mine}

    def about(self, unit: str) -> About:
        """Return what a unit, this one too, was last seen to say beside its claims."""
        return dict(self.state.about).get(unit, About())

    @property
    def failed(self) -> Dict[str, int]:
        """By unit, the token of the turn of a roll in which its hook failed, as far as this unit has read."""
        return {unit: about.failed for unit, about in self.state.about if about.failed}

    @property
    def waiting(self) -> bool:
        """Whether this unit has asked for a lock whose turn has not begun, or a roll is under way."""
        asked = any(claim.outstanding and not claim.holds for claim in self.own.values())
        return asked or self.state.rolling

    @property
    def places(self) -> Dict[str, Claim]:
        """This unit's claims by queue, and an empty one in each other queue in which a roll waits for it."""
        tickets = self.ledger.tickets if self.ledger and self.ledger_read else ()
        rolls = {
            each.queue: self._no_claim for each in tickets if each.roll and each.unit == self.context.unit
        }
        return {**rolls, **self.own}

    def queue_of(self, lock: str) -> str:
        """Return the queue that a lock is in: a turn that has begun stays where it is."""
        begun = (queue for queue, claim in self.state.own if claim.holds and lock in claim.names)
        return next(begun, self.policy.queue_of(lock))

    def claim(self, lock: str) -> Claim:
        """Return this unit's claim in the queue of a lock."""
        return self.own.get(self.queue_of(lock), self._no_claim)

    @property
    def _no_claim(self) -> Claim:
        return Claim(nonce=self.state.nonce)

    def _remember(self, **known: Any) -> None:
        self.state = self.state._replace(**known)

    def _save(self, **known: Any) -> None:
        """Remember something, and save everything at once."""
        self._remember(**known)
        if self.state != self._saved:
            if self.context.aside or self.context.restricted or self.asleep:
                self.port.wake.withdraw()
            self.state = self._saved = self.port.save(self.state._replace(context=self._by))

    @property
    def _by(self) -> str:
        kept = self.state.context.startswith(ANEW) or self.lost
        unsure = kept and (
            self.phase is Phase.BEFORE_HANDLERS or self.context.aside or self.context.restricted
        )
        return (ANEW if unsure else '') + self.context.id

    # What this unit says

    def _say(self, own: Optional[Mapping[str, Claim]] = None) -> None:
        """Save own claims at once, and publish them as they will be: Juju sends them if the hook succeeds."""
        claims = self.state.own if own is None else rules.frozen(own)
        # Saved in any case: a second process of this hook must know that what it reads may be this one's.
        self._save(known=False, own=claims, context=self._by)
        said = self._to_say()
        if said != self._published and not self.context.restricted:
            self.port.publish(said)
            self._published = said
            if self.asleep:  # a callback says more after the layer's own
                self.port.failing.ends(self.port.wake.said)

    def _to_say(self) -> Said:
        """Return what this unit has to say: outside a hook of its own, nothing of a turn.

        Juju commits what a wake-up published even if it fails. So it says that a turn is over only
        when that is saved.
        """
        own = (
            rules.after_ends(dict(self.state.own), dict(self.saved_ends)) if self.context.woken else self.own
        )
        heard, term, failed = self.state.heard, self.state.term, 0
        if self.context.aside:
            juju_has = self.about(self.context.unit)
            own = rules.beside_a_turn(dict(self.state.own), dict(self.state.committed))
            # What ends here are requests that it made itself, or whose turn had not come.
            own = rules.after_ends(own, dict(self.ends))
            heard, term, failed = juju_has.heard, juju_has.term, juju_has.failed
        about = About(min(term, MAX_TERM), heard, self.port.principal, zone=self.port.zone, failed=failed)
        return Said(self.state.nonce, about, rules.frozen(own))

    def _has_more_to_say(self) -> bool:
        """Return whether Juju lacks something that others need to know.

        Even empty claims are published, once in each relation: they tell that this unit runs this layer
        (`_awaited_units`), and may be in rolls. A leader also says that there is a ledger (`_may_use`).
        """
        said, juju_has = self._to_say(), self.about(self.context.unit)
        first = self.leading and self.port.durable_at_once and said.about.term and not juju_has.term
        more = said.queues != self.state.committed or said.about[1:3] != juju_has[1:3]
        return bool(more or first or not (self.state.spoken and juju_has.spoke))

    # What the other units say

    def _read_claims(self, units: Collection[str]) -> None:
        """Read what these peers say and remember it."""
        peers, about = dict(self.state.peers), dict(self.state.about)
        for unit in units:
            said = self.port.said_by(unit)
            if said is None:
                continue
            # A databag that is lost unsays nothing.
            spoke = said.about.spoke or about.get(unit, About()).spoke
            about[unit] = said.about._replace(spoke=spoke)
            if said.nonce or said.queues:  # a former unit of this name has nothing to say any more
                peers = {key: old for key, old in peers.items() if key[0] != unit or old.nonce == said.nonce}
            for queue, claim in said.queues:
                peers[unit, queue] = merging.merged(claim, peers.get((unit, queue), NO_CLAIM))
        self._remember(peers=rules.frozen(peers), about=rules.frozen(about))
        self.unheard -= {*units}

    def _hear_leaver(self) -> None:
        """Read what a unit that departs says: if it is at work, the next leader must know of it.

        On Juju 2.9 - 3.x it leaves relation-list while its last hooks run (R20).
        """
        before, unit = (self.state, self.unheard), self.context.departed
        self._read_claims([unit] if unit else [])
        if not any(claim.outstanding for (who, _), claim in self.state.peers if who == unit):
            self.state, self.unheard = before

    def _read_all_claims(self) -> None:
        """Read the claims of every unit that stays or has an unfinished ticket; forget those of all others.

        `everybody` leaves out units that are leaving or have left. Their tickets
        count, but their requests do not: nobody would use a new ticket for one. What such a unit has
        said that is over is remembered while its tickets stand: nobody says it again.
        """
        everybody = self.port.everybody()
        self._read_claims(sorted(everybody))
        holders = frozenset(rules.unfinished_units(self.ledger, self.claims))
        if not self.ledger:  # then any unit that was ever known may be at work
            holders |= {unit for unit, _ in self.state.about}
        heard = everybody.union(holders) - self._gone_among(everybody)
        self._read_claims(sorted(heard - everybody - {self.context.unit, UNNAMED}))
        seated = {ticket.unit for ticket in (self.ledger.tickets if self.ledger else ())}
        matter = {*everybody, *holders, *seated, self.context.unit}
        self._remember(
            peers=tuple(
                (key, claim)
                for key, claim in self.state.peers
                if key[0] in heard or (key[0] in seated and not claim.outstanding)
            ),
            # That of a unit that is gone says beside which principal it ran: see `_gone_among`.
            about=tuple(each for each in self.state.about if each[0] in matter),
        )

    def _gone(self) -> FrozenSet[str]:
        """Return the units that will never run again, among those with unfinished tickets.

        Also where nobody waits for them: a request may come before the next full check.

        Absence from relation-list does not mean gone: a new leader's is empty.
        Neither does relation-departed: on Juju 2.9-3.x it runs while the leaver
        may still be inside its critical hook. goal-state does tell (R23).
        """
        unfinished = rules.unfinished_units(self.ledger, self.claims)
        return self._gone_among(set(unfinished) - {self.context.unit, UNNAMED})

    def _gone_among(self, units: Units) -> FrozenSet[str]:
        """Return those of the units that goal-state no longer lists.

        It does not list a subordinate's units, but their principals, which each unit names.
        A principal stays there until its subordinate has run `remove` (seen on Juju 4.0.14). If their
        relation was removed and made again, the principal has a new unit, with a higher number: Juju
        makes none while the former one is there (juju/juju, state/relationunit.go).
        """
        living = self.port.living() if units else None
        if living is None:
            return frozenset()
        if self.context.unit in living:
            return frozenset(units - living)
        beside = {unit: about.principal for unit, about in self.state.about if about.principal}
        beside[self.context.unit] = self.port.principal
        newest = {beside[unit]: unit for unit in sorted(beside, key=plan.number)}
        known = (unit for unit in units if unit in beside)
        return frozenset(unit for unit in known if beside[unit] not in living or newest[beside[unit]] != unit)

    def staying(self) -> FrozenSet[str]:
        """Return the other units that may have claims and stay.

        Of a subordinate, Juju 4 goes on listing units that are gone (juju/juju#23326).
        """
        everybody = self.port.everybody()
        return everybody - self._gone_among(everybody)

    def _forget(self, leavers: Units = NOBODY) -> None:
        """Forget claims that no longer matter: those with neither a request nor a ticket.

        A leaver takes no new turn, so its request is forgotten too if it has no ticket. While there is no
        ledger, a turn that has begun is remembered, for a leaver may be at work; and all that is over: it
        tells which tokens have been used (`rules.rebuilt`).
        """
        if not self.ledger:
            asks = (key for key, claim in self.state.peers if claim.outstanding and not claim.begun)
            leavers_ask = {key for key in asks if key[0] in leavers}
            self._remember(peers=tuple(peer for peer in self.state.peers if peer[0] not in leavers_ask))
            return
        matter = {(ticket.unit, ticket.queue) for ticket in self.ledger.tickets}
        matter |= {(order.unit, queue) for order in self.ledger.orders for queue, _ in order.asks}
        matter |= {key for key, claim in self.state.peers if claim.outstanding and key[0] not in leavers}
        self._remember(peers=tuple(peer for peer in self.state.peers if peer[0] in matter))

    def _awaited_units(self, claimed: bool) -> FrozenSet[str]:
        """Return the units that still run a predecessor, as far as a leader without a ledger can see.

        goal-state does not list a subordinate's units. So a new subordinate unit
        that leads before it has met the others waits until its first update-status. Then it
        claims a term.
        """
        old = self.port.awaited_units()
        return old - self._gone_among(old) - ({UNNAMED} if claimed or self.context.full_check else set())

    # The ledger

    @property
    def _known_term(self) -> int:
        """The highest term that this unit, or any whose claims it has read, has seen."""
        return max([self.state.term, *(about.term for _, about in self.state.about)])

    def _read_ledger(self) -> None:
        self._learn(self.port.terms())

    def _learn(self, found: Terms) -> None:
        """Note what leaders keep: the ledger that counts, the highest term, the claim that awaits an answer.

        While a higher term is claimed, only tickets seen before may be used (rule 13): a ticket
        counts as seen when it was read in a ledger that was not contested.
        """
        self.ledger, self.ledger_read = terms.newest(found, self.state.term), True
        heard = terms.claim_to_answer(found) or self.state.heard
        seen = self.state.seen
        if self.ledger and not self.ledger.contested:
            whose = self.context.unit, self.state.nonce
            mine = (each for each in self.ledger.tickets if (each.unit, each.nonce) == whose)
            seen = tuple(sorted(ticket.place for ticket in mine))
        self._forget_wishes(found)
        self._remember(
            term=terms.known_once_read(found, self.state.term, self.state.heard), heard=heard,
            seen=seen, opened=self.ledger.term if self.ledger else 0,
            rolling=orders.is_rolling(self.ledger, self.context.unit, self.leading, self.places),
        )  # fmt: skip
        self._tell(terms.newest_record(found))

    def _forget_wishes(self, found: Terms) -> None:
        """Forget the orders that the ledger has: they are carried out.

        If another unit has claimed a term since, it has led: they may have been carried out, and be in the
        ledger no more.
        """
        others = (record.term for record in found.records if record.nonce != self.state.nonce)
        if self.state.wishes and max(others, default=0) > self.state.term:
            self._remember(wishes=())
            self.log('another unit has led, so what this unit was told to do for all units is dropped')
        ledger = self.ledger
        if ledger and self.state.wishes and not ledger.contested:
            left = tuple(wish for wish in self.state.wishes if not orders.stands(ledger, wish))
            self._remember(wishes=left)

    def _tell(self, newest: Optional[Record]) -> None:
        """Log the tickets that this unit gave as the leader, once it has read them back."""
        mine = newest is not None and newest.nonce == self.state.nonce
        if self.ledger and mine and self.ledger.token > self.state.told:
            for ticket in self.ledger.tickets:
                if ticket.token > self.state.told:
                    self.log('{} is given a ticket, token {}'.format(ticket.unit, ticket.token))
            self._remember(told=self.ledger.token)
