"""What one hook of a unit knows, and how it gets to know it.

What lives here: the values read, and which are read in which order. What must
not: a decision of the leader, an answer to the charm, a hook tool.
"""

from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Iterable, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.context import HookContext, Log, Phase
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import NO_CLAIM, Claim, Ledger, Ticket, Units, UnitState

if TYPE_CHECKING:  # at run time any port will do; the search of every history has one of its own
    from charms.layer.coordinator.juju import Juju


class Snapshot(NamedTuple):
    """Where a session stands, as a value.

    Args:
        state: what this unit remembers.
        leading: whether Juju said at the start of the hook that this unit leads.
        ledger: the durable ledger as last read in this hook; no meaning until `ledger_read`.
        turns: this unit's tickets whose turn it is.
        given: tickets that this unit, as the leader, gave in this hook.
        dropped: tickets that it dropped because their units are gone.
        finished: tickets that it found finished, where the policy reports releases.
        awaited: units that keep it from making a ledger: they still run a predecessor.
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


class View:
    """What one hook knows; see Snapshot for its attributes.

    Args:
        port: this hook's Juju.
        start: where the hook stands; one that begins knows its context alone.
        policy: what the layer options decide.
        log: takes a sentence each time something changes.
    """

    def __init__(self, port: 'Juju', start: Snapshot, policy: Policy, log: Log) -> None:
        self.port, self.policy, self.log = port, policy, log
        self.context, self.phase, self.state, self.leading = start[:4]
        self.ledger, self.ledger_read, self.turns, self.given = start[4:8]
        self.dropped, self.finished, self.awaited = start[8:]

    def snapshot(self) -> Snapshot:
        """Return where this session stands."""
        return Snapshot(*(getattr(self, name) for name in Snapshot._fields))

    @property
    def own(self) -> Dict[str, Claim]:
        """This unit's claims by queue."""
        return dict(self.state.own)

    @property
    def claims(self) -> Dict[Tuple[str, str], Claim]:
        """What every unit says, including what this one has asked for and done in this hook."""
        own = (((self.context.unit, queue), claim) for queue, claim in self.state.own)
        return {**dict(self.state.peers), **dict(own)}

    @property
    def committed(self) -> Dict[Tuple[str, str], Claim]:
        """What every unit has said in hooks that succeeded."""
        own = (((self.context.unit, queue), claim) for queue, claim in self.state.committed)
        return {**dict(self.state.peers), **dict(own)}

    @property
    def waiting(self) -> bool:
        """Whether this unit has asked for a lock and not released it."""
        return any(claim.outstanding for _, claim in self.state.own)

    def claim(self, lock: str) -> Claim:
        """Return this unit's claim in the queue of a lock."""
        return self.own.get(self.policy.queue_of(lock), NO_CLAIM)

    def _remember(self, **known: Any) -> None:
        self.state = self.state._replace(**known)

    def _say(self, own: Mapping[str, Claim]) -> None:
        """Remember own claims at once, and publish them with the hook."""
        self._remember(own=rules.frozen(own))
        self.state = self.port.save(self.state)
        self.port.publish(own)

    # What the others say

    def _read_claims(self, units: Iterable[str]) -> None:
        """Read what these peers say and remember it."""
        peers = dict(self.state.peers)
        for unit in units:
            for queue, said in self.port.claims_of(unit).items():
                peers[unit, queue] = rules.merged(said, peers.get((unit, queue), NO_CLAIM))
        self._remember(peers=rules.frozen(peers))

    def _read_all_claims(self) -> None:
        """Read the claims of every unit, and of each with an unfinished ticket; forget all other requests.

        `everybody` leaves out units that are leaving or have left. Their tickets
        count, but a request without one would get a ticket that nobody uses.
        """
        everybody = self.port.everybody()
        self._read_claims(sorted(everybody))
        heard = everybody.union(rules.unfinished_units(self.ledger, self.claims))
        self._read_claims(sorted(heard - everybody - {self.context.unit, rules.UNNAMED}))
        self._remember(peers=tuple(peer for peer in self.state.peers if peer[0][0] in heard))

    def _gone(self) -> FrozenSet[str]:
        """Return the units that will never run again, among those that block others or must be reported.

        Absence from relation-list does not mean gone: a new leader's is empty.
        Neither does relation-departed: on Juju 2.9-3.x it runs while the leaver
        may still be inside its critical hook. goal-state tells (R23), but does
        not list subordinates, so among subordinates no unit counts as gone.
        """
        found = rules.unfinished_units if self.policy.reports_releases else rules.blocking_units
        return self._gone_among(set(found(self.ledger, self.claims)) - {self.context.unit, rules.UNNAMED})

    def _gone_among(self, units: Units) -> FrozenSet[str]:
        living = self.port.living() if units else None
        return frozenset() if living is None else frozenset(units - living)

    def _forget(self, leavers: Units = rules.NOBODY) -> None:
        """Forget claims that can no longer matter: not a request, and no ticket stands for them.

        A leaver takes no new turn, so its request without a ticket goes too.
        """
        matter = {(ticket.unit, ticket.queue) for ticket in (self.ledger.tickets if self.ledger else ())}
        matter |= {key for key, claim in self.state.peers if claim.outstanding and key[0] not in leavers}
        self._remember(peers=tuple(peer for peer in self.state.peers if peer[0] in matter))

    def _awaited_units(self) -> FrozenSet[str]:
        """Return the units that still run a predecessor, as far as a leader without a ledger can see.

        goal-state does not list a subordinate's units, so a new one that leads
        before it has met the others waits until its first update-status.
        """
        old = self.port.awaited_units()
        return old - self._gone_among(old) - ({rules.UNNAMED} if self.context.full_check else set())

    def _read_ledger(self) -> None:
        self.ledger, self.ledger_read = self.port.ledger(), True

    # Whose turn it is

    def _take_turns(self, reread: bool = False) -> None:
        """Find out which of this unit's requests have come to their turn."""
        self.turns = ()
        if not (self.waiting or reread):
            return
        if not self.ledger_read:
            self._read_ledger()
            self._forget()
        own = rules.adopted(self.ledger, self.context.unit, self.own)
        if own != self.own and not self.context.leaving:
            self._say(own)
        turns = []
        for queue, claim in sorted(own.items()):
            ticket = rules.ticket_of(self.ledger, self.context.unit, queue, claim)
            if self.ledger and ticket and not self.context.leaving:
                self._look_ahead(self.ledger, ticket)
                if rules.is_turn(self.ledger, ticket, self.claims):
                    turns.append(ticket)
        self.turns = tuple(turns)

    def _look_ahead(self, ledger: Ledger, ticket: Ticket) -> None:
        """Read the frontmost units that seem unfinished, until as many as there are slots still are."""
        seen = {*self.dropped, *(ticket for ticket in ledger.tickets if ticket.unit == rules.UNNAMED)}
        unseen: Optional[Ticket] = ticket
        while unseen:
            front = rules.ahead(ledger, ticket, self.claims)[: ticket.slots]
            unseen = next((earlier for earlier in front if earlier not in seen), None)
            if unseen:
                seen.add(unseen)
                self._read_claims([unseen.unit])
