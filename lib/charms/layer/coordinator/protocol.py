"""In which order a hook reads, decides and writes. The search of every history runs this very file.

What lives here: begin, request, release and end of a hook, on a port to Juju
(`juju.py` in a charm, a small world in the search) and on values. What must
not: a hook tool, a clock, a log, a flag.

    begin ──▶ handlers: request, release ──▶ end
      │ own claim, a peer's news, what the leader owes the others, whose turn it is
"""

from typing import AbstractSet, Dict, FrozenSet, Iterable, Mapping, NamedTuple, Optional, Protocol, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import NO_CLAIM, Claim, Ledger, Ticket
from charms.layer.coordinator.wire import Local

UNNAMED = ''
"""The unit of a ticket that cannot be read: nobody knows whose turn that is."""


class LedgerClosed(Exception):
    """Raised by a port where this unit may not write the ledger: another leads, or no relation yet."""


class Port(Protocol):
    """What the protocol needs of Juju; each call is one step that others may come between."""

    durable_at_once: bool
    """Whether a ledger write stands at once (leader settings) or with the hook (application databag)."""

    def is_leader(self) -> bool:
        """Return whether Juju says that this unit leads."""

    def load(self) -> Optional[Local]:
        """Return what this unit remembers, None if nothing."""

    def save(self, local: Local) -> None:
        """Remember, at once."""

    def published(self) -> Optional[Dict[str, Claim]]:
        """Return this unit's claims as Juju has them, None where it has not even empty ones of it."""

    def publish(self, own: Mapping[str, Claim]) -> None:
        """Tell the other units, when this hook succeeds. Nothing before the relation exists."""

    def old_requests(self) -> Tuple[Tuple[str, str, bool], ...]:
        """Return what this unit asked for in the old layer: lock, since when, whether its turn had begun."""

    def old_units(self) -> FrozenSet[str]:
        """Return the other units that may still run the old layer, or did so when they went.

        UNNAMED is one of them where Juju does not tell all units.
        """

    def claims_of(self, unit: str) -> Dict[str, Claim]:
        """Return a peer's claims as far as this unit may see, {} if it never said any."""

    def everybody(self) -> FrozenSet[str]:
        """Return the other units that may have claims and are not leaving."""

    def living(self) -> Optional[FrozenSet[str]]:
        """Return all units that are not gone, None where Juju does not tell."""

    def unit_count(self) -> int:
        """Return how many units the application has."""

    def ledger(self) -> Optional[Ledger]:
        """Return the ledger as this hook may see it, None if there is none."""

    def fresh_ledger(self) -> Optional[Ledger]:
        """Return the ledger to decide from, as it is now. Raises LedgerClosed."""

    def write_ledger(self, ledger: Ledger) -> None:
        """Write it. Raises LedgerClosed."""


class Occasion(NamedTuple):
    """What Juju says of the hook that runs.

    Args:
        unit: this unit.
        news: the peer whose relation-joined or -changed this is, or ''.
        departed: the peer whose relation-departed this is, or ''.
        leaving: this unit is being removed, or stops.
        reread: nothing remembered is taken for complete (start, upgrade-charm).
        look_around: time to ask who is gone, and to hear everybody (update-status).
    """

    unit: str
    news: str = ''
    departed: str = ''
    leaving: bool = False
    reread: bool = False
    look_around: bool = False


class Hook(NamedTuple):
    """Where one hook stands.

    Args:
        ledger: the durable ledger as last read in this hook; meaningless until `ledger_read`.
        turns: this unit's tickets whose turn it is.
        serving: handlers may still run in this hook, so a turn can be used in it.
        given: tickets that this unit, as the leader, gave in this hook.
        dropped: tickets that it dropped because their units are gone.
        over: tickets that it found finished, where the policy wants releases told.
        awaited: units for which it makes no ledger yet: they still run the old layer.
    """

    occasion: Occasion
    policy: Policy
    local: Local = Local()
    leading: bool = False
    ledger: Optional[Ledger] = None
    ledger_read: bool = False
    turns: Tuple[Ticket, ...] = ()
    serving: bool = True
    given: Tuple[Ticket, ...] = ()
    dropped: Tuple[Ticket, ...] = ()
    over: Tuple[Ticket, ...] = ()
    awaited: FrozenSet[str] = frozenset()

    @property
    def own(self) -> Dict[str, Claim]:
        return dict(self.local.own)

    @property
    def claims(self) -> Dict[Tuple[str, str], Claim]:
        """What every unit says, this one's own truth included."""
        known = dict(self.local.peers)
        known.update(((self.occasion.unit, queue), claim) for queue, claim in self.local.own)
        return known

    @property
    def committed(self) -> Dict[Tuple[str, str], Claim]:
        """The same, without what only this unit knows yet of itself."""
        known = dict(self.local.peers)
        known.update(((self.occasion.unit, queue), claim) for queue, claim in self.local.committed)
        return known

    @property
    def waiting(self) -> bool:
        return any(claim.outstanding for _, claim in self.local.own)

    def claim(self, lock: str) -> Claim:
        return self.own.get(self.policy.queue_of(lock), NO_CLAIM)

    def turn(self, lock: str) -> Optional[Ticket]:
        """Return the ticket by which this unit holds the lock, None if it does not."""
        if lock not in self.claim(lock).names:
            return None
        queue = self.policy.queue_of(lock)
        return next((ticket for ticket in self.turns if ticket.queue == queue), None)

    def ticket(self, lock: str) -> Optional[Ticket]:
        queue = self.policy.queue_of(lock)
        return rules.ticket_of(self.ledger, self.occasion.unit, queue, self.claim(lock))


# A hook begins


def begin(port: Port, occasion: Occasion, policy: Policy) -> Hook:
    """Return the hook with all that is true at its start: who leads, what was said, whose turn it is."""
    stored = port.load()
    hook = Hook(occasion, policy, stored or Local(), port.is_leader())
    # A request that nobody hears since its databag was spoilt is told again, at update-status at the latest.
    unheard = occasion.look_around and hook.waiting
    reread = stored is None or occasion.reread
    hook = _meet_own_claims(port, hook, stored is None, reread or unheard)
    hook = _hear_news(port, hook)
    hook = _lead(port, hook) if hook.leading else _knowing(hook, led=False)
    hook = _take_turns(port, hook, reread)
    if hook.local != stored:
        port.save(hook.local)
    return hook


def _knowing(hook: Hook, **known: object) -> Hook:
    return hook._replace(local=hook.local._replace(**known))  # type: ignore[arg-type]


def _meet_own_claims(port: Port, hook: Hook, first: bool, reread: bool) -> Hook:
    """Merge what this unit remembers with what Juju has, and tell Juju where it knows less.

    Also where there is nothing to tell, once: it is how the others know that
    this unit runs this layer, see `_awaited`.
    """
    own = _fitting(hook, hook.own)
    committed, known = dict(hook.local.committed), hook.local.published
    if reread or not known or own != committed:
        published = port.published()
        known, committed = published is not None, published or {}
        if first and not known:
            own = _come_over(port, hook, own)
        own = _fitting(hook, _merged(own, committed))
        if not known or own != committed:
            port.publish(own)
    return _knowing(hook, own=_frozen(own), committed=_frozen(committed), published=known)


def _come_over(port: Port, hook: Hook, own: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return own claims with what this unit asked for in the old layer.

    A turn that had begun there counts as kept, so that it comes first in the
    first ledger. Only in a unit's first hook of this layer: what was asked for
    there is not served twice.
    """
    claims = dict(own)
    for lock, since, begun in port.old_requests():
        queue = hook.policy.queue_of(lock)
        claim = rules.asked_for(claims.get(queue, NO_CLAIM), lock, since)
        claims[queue] = claim._replace(kept=claim.kept or begun)
    return claims


def _frozen(own: Mapping[str, Claim]) -> Tuple[Tuple[str, Claim], ...]:
    return tuple(sorted(own.items()))


def _merged(ours: Mapping[str, Claim], theirs: Mapping[str, Claim]) -> Dict[str, Claim]:
    queues = set(ours) | set(theirs)
    return {queue: rules.merged(ours.get(queue, NO_CLAIM), theirs.get(queue, NO_CLAIM)) for queue in queues}


def _fitting(hook: Hook, own: Mapping[str, Claim]) -> Dict[str, Claim]:
    """Return own claims without those that this unit may no longer have.

    A unit that leaves gives up all. After a charm upgrade that changed which
    queue a lock is in, requests move to the queue where the lock is now.
    """
    fitting = dict(own)
    for queue, claim in own.items():
        moved = [pair for pair in claim.locks if hook.policy.queue_of(pair[0]) != queue]
        if claim.outstanding and (hook.occasion.leaving or moved):
            fitting[queue] = rules.released(claim)
            for lock, since in () if hook.occasion.leaving else claim.locks:
                home = hook.policy.queue_of(lock)
                fitting[home] = rules.asked_for(fitting.get(home, NO_CLAIM), lock, since)
    return fitting


def _hear_news(port: Port, hook: Hook) -> Hook:
    """Remember what the peer says whose hook this is. Only a leader need know: who waits asks those ahead."""
    news = hook.occasion.news
    return _hear(port, hook, [news]) if news and hook.leading else hook


def _hear(port: Port, hook: Hook, units: Iterable[str]) -> Hook:
    peers = dict(hook.local.peers)
    for unit in units:
        for queue, said in port.claims_of(unit).items():
            peers[unit, queue] = rules.merged(said, peers.get((unit, queue), NO_CLAIM))
    return _knowing(hook, peers=tuple(sorted(peers.items())))


# What the leader owes the others


def _lead(port: Port, hook: Hook) -> Hook:
    """Give tickets for the requests known, and drop those of units that are gone."""
    occasion = hook.occasion
    all_ears = occasion.look_around or not hook.local.led
    if all_ears:
        hook = _hear_all(port, _read_ledger(port, hook))
    if not hook.policy.tells and not any(claim.outstanding for claim in hook.claims.values()):
        return _knowing(hook, led=True)
    hook = hook if hook.ledger_read else _read_ledger(port, hook)
    if hook.policy.tells:
        hook = hook._replace(over=rules.over(hook.ledger, hook.committed))
    gone = _gone(port, hook) if all_ears or occasion.departed else frozenset()
    hook = _forget(hook, gone | {occasion.departed})
    if _due(port, hook, gone):
        hook = _append(port, hook, gone)
    if hook.leading:
        # Or what they asked for last would be a request without a ticket again.
        hook = _knowing(hook, peers=tuple(peer for peer in hook.local.peers if peer[0][0] not in gone))
    return _knowing(hook, led=hook.leading)


def _read_ledger(port: Port, hook: Hook) -> Hook:
    return hook._replace(ledger=port.ledger(), ledger_read=True)


def _hear_everybody(port: Port, hook: Hook) -> Hook:
    return _hear(port, hook, sorted(port.everybody()))


def _hear_all(port: Port, hook: Hook) -> Hook:
    """Hear everybody, and whoever has an unfinished ticket; forget what any other asks for.

    `everybody` leaves out units that leave or have left. Their tickets count,
    but a request without one would get a ticket that nobody uses.
    """
    everybody = port.everybody()
    hook = _hear(port, hook, sorted(everybody))
    tickets, claims = hook.ledger.tickets if hook.ledger else (), hook.claims
    unfinished = {ticket.unit for ticket in tickets if not rules.finished(ticket, claims)}
    hook = _hear(port, hook, sorted(unfinished - everybody - {hook.occasion.unit, UNNAMED}))
    heard = tuple(peer for peer in hook.local.peers if peer[0][0] in everybody | unfinished)
    return _knowing(hook, peers=heard)


def _gone(port: Port, hook: Hook) -> FrozenSet[str]:
    """Return the units that will never run again among those whose tickets block others, or are told of.

    Nobody is gone because he is missing from this unit's relation-list: a new
    leader's is empty. Nor because his relation-departed ran: on Juju 2.9-3.x
    that is while he may still be inside his critical hook. A subordinate's
    goal-state is empty, so there nobody is gone: who leaves in good order
    releases what he has, and the rest is for an operator.
    """
    found = rules.unfinished if hook.policy.tells else rules.blocked_by
    blocking = set(found(hook.ledger, hook.claims)) - {hook.occasion.unit, UNNAMED}
    return _gone_among(port, blocking)


def _gone_among(port: Port, units: AbstractSet[str]) -> FrozenSet[str]:
    living = port.living() if units else None
    return frozenset() if living is None else frozenset(units - living)


def _forget(hook: Hook, leavers: AbstractSet[str] = frozenset()) -> Hook:
    """Forget claims that can no longer matter: not a request, and no ticket stands for them.

    A leaver takes no new turn, so its request without a ticket goes too.
    """
    tickets = hook.ledger.tickets if hook.ledger else ()
    seated = {(ticket.unit, ticket.queue) for ticket in tickets}
    peers = tuple(
        (key, claim)
        for key, claim in hook.local.peers
        if key in seated or (claim.outstanding and key[0] not in leavers)
    )
    return _knowing(hook, peers=peers)


def _due(port: Port, hook: Hook, gone: AbstractSet[str]) -> bool:
    return hook.ledger is None or _grown(port, hook, hook.ledger, gone) != hook.ledger


def _grown(port: Port, hook: Hook, ledger: Ledger, gone: AbstractSet[str]) -> Ledger:
    """Return the ledger as this leader wants it."""
    policy, claims = hook.policy, hook.claims
    droppable: Mapping[Tuple[str, str], Claim] = {} if policy.tells else hook.committed
    if policy.decide is None:
        return rules.appended(ledger, claims, droppable, _slots(port, hook), gone, policy.tells)
    if port.durable_at_once and not hook.serving:
        # Nothing would wake the leader for a ticket of its own, see `_serve_own`.
        own = {key: claim for key, claim in claims.items() if key[0] == hook.occasion.unit}
        claims = {**claims, **{key: claim._replace(asked=claim.done, locks=()) for key, claim in own.items()}}
    grown = rules.decided(ledger, claims, hook.committed, policy.decide, gone)
    return grown if grown == ledger else rules.pruned(grown, rules.over(grown, droppable))


def _slots(port: Port, hook: Hook) -> int:
    return hook.policy.slots or hook.policy.slots_among(port.unit_count())


def _append(
    port: Port, hook: Hook, gone: AbstractSet[str] = frozenset(), told: Tuple[Ticket, ...] = ()
) -> Hook:
    """Write the ledger as decided from a read made just before (rule 7 of the protocol).

    is-leader, read, decide, is-leader, write, read back. A write refused
    because leadership is gone is no error: the next leader appends what the
    claims say. Tickets whose end was told, in a hook that ends, are dropped.

    The first ledger is made when no unit runs the old layer any more: so an
    old leader and ours never give turns side by side.
    """
    if not port.is_leader():
        return hook._replace(leading=False)
    try:
        ledger = port.fresh_ledger()
        if ledger is None:
            awaited = _awaited(port, hook)
            if awaited:
                return hook._replace(ledger=None, ledger_read=True, awaited=awaited)
            # The first ledger, or one lost when a model moved to Juju 4: every claim must be known.
            hook = _hear_everybody(port, hook)
            ledger = port.fresh_ledger()
        start = rules.rebuilt(hook.claims) if ledger is None else ledger
        grown = rules.pruned(_grown(port, hook, start, gone), told)
        if grown != start:
            if not port.is_leader():
                return hook._replace(leading=False)
            port.write_ledger(grown)
            hook = _noting(hook, start, grown, gone)
    except LedgerClosed:
        return hook._replace(leading=False)
    if port.durable_at_once:
        return _read_ledger(port, hook)
    return hook if hook.ledger_read else hook._replace(ledger=ledger, ledger_read=True)


def _awaited(port: Port, hook: Hook) -> FrozenSet[str]:
    """Return the units that still run the old layer, as far as a leader without a ledger can see.

    A subordinate's new unit leads before it has met the others, and no
    goal-state names them: it waits until it has had the time to.
    """
    old = port.old_units()
    met = frozenset([UNNAMED]) if hook.occasion.look_around else frozenset()
    return old - _gone_among(port, old) - met


def _noting(hook: Hook, start: Ledger, grown: Ledger, gone: AbstractSet[str]) -> Hook:
    given = tuple(ticket for ticket in grown.tickets if ticket.token > start.token)
    dropped = tuple(ticket for ticket in start.tickets if ticket.unit in gone)
    return hook._replace(given=hook.given + given, dropped=hook.dropped + dropped)


# Whose turn it is


def _take_turns(port: Port, hook: Hook, reread: bool) -> Hook:
    """Find out which of this unit's requests have come to their turn."""
    if not (hook.waiting or reread):
        return hook._replace(turns=())
    if not hook.ledger_read:
        hook = _forget(_read_ledger(port, hook))
    own = rules.adopted(hook.ledger, hook.occasion.unit, hook.own)
    if own != hook.own and not hook.occasion.leaving:
        hook = _say(port, hook, own)
    turns = []
    for queue, claim in sorted(own.items()):
        ticket = rules.ticket_of(hook.ledger, hook.occasion.unit, queue, claim)
        if ticket and not hook.occasion.leaving:
            hook = _look_ahead(port, hook, ticket)
            if hook.ledger and len(rules.ahead(hook.ledger, ticket, hook.claims)) < ticket.slots:
                turns.append(ticket)
    return hook._replace(turns=tuple(turns))


def _look_ahead(port: Port, hook: Hook, ticket: Ticket) -> Hook:
    """Ask the frontmost units that seem unfinished, until as many as there are slots still are."""
    unfinished, claims = 0, hook.claims
    for earlier in rules.before(hook.ledger, ticket) if hook.ledger else ():
        if unfinished < ticket.slots and not rules.finished(earlier, claims):
            if earlier.unit != UNNAMED and earlier not in hook.dropped:
                hook = _hear(port, hook, [earlier.unit])
                claims = hook.claims
            unfinished += not rules.finished(earlier, claims)
    return hook


def overview(port: Port, hook: Hook) -> Tuple[Hook, Dict[Tuple[str, str], Claim]]:
    """Return the hook with the ledger read, and the claims of every unit, for whoever wants to see them.

    A leader knows them. Another unit reads each, and remembers none of it.
    """
    hook = hook if hook.ledger_read else _read_ledger(port, hook)
    return hook, (hook if hook.leading else _hear_everybody(port, hook)).claims


# What a unit says


def _say(port: Port, hook: Hook, own: Mapping[str, Claim]) -> Hook:
    """Remember at once, and publish with the hook."""
    hook = _knowing(hook, own=_frozen(own))
    port.save(hook.local)
    port.publish(own)
    return hook


def request(port: Port, hook: Hook, lock: str, since: str) -> Hook:
    """Ask for a lock; where this unit leads and the turn can be used, take the ticket at once."""
    queue, claim = hook.policy.queue_of(lock), hook.claim(lock)
    asked = rules.asked_for(claim, lock, since)
    if hook.occasion.leaving or asked == claim:
        return hook
    hook = _say(port, hook, {**hook.own, queue: asked})
    if claim.outstanding:
        return hook
    return _serve_own(port, hook)


def lead(port: Port, hook: Hook) -> Hook:
    """As the leader, ask the policy again about each request that has no ticket."""
    if not hook.leading or hook.policy.decide is None:
        return hook
    hook = hook if hook.ledger_read else _read_ledger(port, hook)
    if not _due(port, hook, frozenset()):
        return hook
    return _take_turns(port, _append(port, hook), False)


def serve(port: Port, hook: Hook) -> Hook:
    """Take this unit's turns once handlers are about to run, where it asked before that."""
    return _serve_own(port, hook) if hook.waiting else hook


def _serve_own(port: Port, hook: Hook) -> Hook:
    """As the leader, give this unit its ticket.

    Not where the turn could be used in no handler and nothing would wake the
    leader for it (leader settings wake everybody else): it would hold up the
    others until the leader's next hook, whose start gives the ticket anyway.
    """
    if not hook.leading or (port.durable_at_once and not hook.serving):
        return hook
    return _take_turns(port, _append(port, hook), False)


def release(port: Port, hook: Hook, lock: str) -> Hook:
    """Give up a lock, or a request for it; known here at once, to others when the hook succeeds."""
    queue, claim, turn = hook.policy.queue_of(lock), hook.claim(lock), hook.turn(lock)
    if lock not in claim.names:
        return hook
    left = rules.without(claim, lock, turn.token if turn else 0)
    hook = _say(port, hook, {**hook.own, queue: left})
    if left.outstanding:
        return hook
    hook = hook._replace(turns=tuple(ticket for ticket in hook.turns if ticket.queue != queue))
    return hook if hook.serving or not _news_for_policy(hook) else _append(port, hook)


def end(port: Port, hook: Hook, kept: AbstractSet[str], again: AbstractSet[str], since: str) -> Hook:
    """Release every turn after all handlers have run, except what is kept.

    Runs only where the handlers succeeded. A lock in `again` is asked for
    anew; beside one that is kept in its queue it stays in the turn. A leader
    then drops the tickets whose end was told, and lets its policy decide.
    """
    own = hook.own
    for ticket in hook.turns:
        asked = {lock for lock in again if hook.policy.queue_of(lock) == ticket.queue}
        own[ticket.queue] = _after_turn(own[ticket.queue], ticket, kept, asked, since)
    for lock in sorted(again):  # also where its queue's turn was released meanwhile
        queue = hook.policy.queue_of(lock)
        own[queue] = rules.asked_for(own.get(queue, NO_CLAIM), lock, since)
    hook = hook._replace(serving=False)
    changed = own != hook.own
    asked_again = changed and any(claim.outstanding and not claim.kept for claim in own.values())
    turns = tuple(ticket for ticket in hook.turns if own[ticket.queue].kept)
    if changed:
        hook = _say(port, hook._replace(turns=turns), own)
    if hook.over or _news_for_policy(hook):
        return _append(port, hook, told=hook.over)
    return _serve_own(port, hook) if asked_again else hook


def _news_for_policy(hook: Hook) -> bool:
    """Whether this unit leads and has released what the policy thought it held.

    Nobody wakes the leader for its own release, so the policy decides in the
    hook that releases.
    """
    return hook.leading and hook.policy.decide is not None and hook.local.own != hook.local.committed


def _after_turn(
    claim: Claim, ticket: Ticket, kept: AbstractSet[str], again: AbstractSet[str], since: str
) -> Claim:
    if set(claim.names) & kept:
        locks = tuple(pair for pair in claim.locks if pair[0] in kept | again)
        claim = claim._replace(locks=locks, kept=True, token=ticket.token)
    else:
        claim = rules.released(claim, ticket.token)
    for lock in sorted(again):
        claim = rules.asked_for(claim, lock, since)
    return claim
