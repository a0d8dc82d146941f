"""What one hook of a unit knows, and how it learns it.

What lives here: the values that are read, and in which order. What must
not: a decision of the leader, an answer to the charm, a hook tool.
"""

from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Iterable, Mapping, NamedTuple, Optional, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.context import HookContext, Log, Phase
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import NO_CLAIM, Claim, Ledger, Ticket, Units, UnitState

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
        self.dropped, self.finished, self.awaited = start[8:]

    def snapshot(self) -> Snapshot:
        """Return where this session stands, as a value."""
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
        """Save own claims at once, and publish them (Juju sends them when the hook succeeds)."""
        self._remember(own=rules.frozen(own))
        self.state = self.port.save(self.state)
        self.port.publish(self.own)

    # What the other units say

    def _read_claims(self, units: Iterable[str]) -> None:
        """Read what these peers say and remember it."""
        peers = dict(self.state.peers)
        for unit in units:
            for queue, said in self.port.claims_of(unit).items():
                peers[unit, queue] = rules.merged(said, peers.get((unit, queue), NO_CLAIM))
        self._remember(peers=rules.frozen(peers))

    def _read_all_claims(self) -> None:
        """Read the claims of every unit that stays or has an unfinished ticket; forget those of all others.

        `everybody` leaves out units that are leaving or have left. Their tickets
        count, but their requests do not: nobody would use a new ticket for one.
        """
        everybody = self.port.everybody()
        self._read_claims(sorted(everybody))
        heard = everybody.union(rules.unfinished_units(self.ledger, self.claims))
        self._read_claims(sorted(heard - everybody - {self.context.unit, rules.UNNAMED}))
        self._remember(peers=tuple(peer for peer in self.state.peers if peer[0][0] in heard))

    def _gone(self) -> FrozenSet[str]:
        """Return the units that will never run again, among those that block others or must be reported on.

        Absence from relation-list does not mean gone: a new leader's is empty.
        Neither does relation-departed: on Juju 2.9-3.x it runs while the leaver
        may still be inside its critical hook. goal-state does tell (R23). It does
        not list a subordinate's units, so none of those ever counts as gone.
        """
        found = rules.unfinished_units if self.policy.reports_releases else rules.blocking_units
        return self._gone_among(set(found(self.ledger, self.claims)) - {self.context.unit, rules.UNNAMED})

    def _gone_among(self, units: Units) -> FrozenSet[str]:
        living = self.port.living() if units else None
        return frozenset() if living is None else frozenset(units - living)

    def _forget(self, leavers: Units = rules.NOBODY) -> None:
        """Forget claims that no longer matter: those with neither a request nor a ticket.

        A leaver takes no new turn, so its request is forgotten too if it has no ticket.
        """
        matter = {(ticket.unit, ticket.queue) for ticket in (self.ledger.tickets if self.ledger else ())}
        matter |= {key for key, claim in self.state.peers if claim.outstanding and key[0] not in leavers}
        self._remember(peers=tuple(peer for peer in self.state.peers if peer[0] in matter))

    def _awaited_units(self) -> FrozenSet[str]:
        """Return the units that still run a predecessor, as far as a leader without a ledger can see.

        goal-state does not list a subordinate's units. So a new subordinate unit
        that leads before it has met the others waits until its first update-status.
        """
        old = self.port.awaited_units()
        return old - self._gone_among(old) - ({rules.UNNAMED} if self.context.full_check else set())

    def _read_ledger(self) -> None:
        self.ledger, self.ledger_read = self.port.ledger(), True

    # Whose turn it is

    def _take_turns(self, reread: bool = False) -> None:
        """Find out for which of this unit's requests the turn has come, and set `turns`.

        Args:
            reread: read the ledger even if this unit knows of no request: it may
                have forgotten one.
        """
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
        """Read the claims ahead, from the front, until as many as there are slots are still unfinished."""
        seen = {*self.dropped, *(ticket for ticket in ledger.tickets if ticket.unit == rules.UNNAMED)}
        unseen: Optional[Ticket] = ticket
        while unseen:
            front = rules.ahead(ledger, ticket, self.claims)[: ticket.slots]
            unseen = next((earlier for earlier in front if earlier not in seen), None)
            if unseen:
                seen.add(unseen)
                self._read_claims([unseen.unit])
