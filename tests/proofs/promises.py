"""What is promised of every history of a small world.

    no more units are at work than there are slots; a unit is at work until a hook of its own
    that came after has succeeded                                         search.py counts them
    a unit at work has an unfinished ticket in the newest ledger, or its turn has begun
    a turn ends only after the charm's flags know that its handlers have run; then it does not begin again
    (the latter is looked at in worlds of one lock without orders)
    a ticket leaves the newest ledger only after its unit has released it in a hook that succeeded
    a hook that rest.py leaves alone, since it has nothing to do, has nothing to do
    in a roll no turn begins in a hook that has read that a hook ahead of it failed
    a unit that an operator has freed starts nothing before it has a new ticket; only where that unit
    is alive after all may two work at once
    tokens rise in the order of turns, and none is used twice
    calm weather serves every request                                     search.py runs it

What must not be here: how the layer keeps these promises.
"""

from typing import Any, Iterable, Mapping, Optional, Set, Tuple

from charms.layer.coordinator import rules
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.values import FREE, NO_CLAIM, PAUSE, ROLL, Claim, Order, Said, Ticket

from tests.proofs.smalljuju import (
    GONE,
    THERE,
    UNREAD,
    Around,
    Kind,
    Scene,
    U,
    Wrote,
    contested,
    name,
    newest,
    nonce_of,
    number,
)


def claim_in(bag: Optional[Said], queue: str) -> Claim:
    return dict(bag.queues).get(queue, NO_CLAIM) if bag else NO_CLAIM


def standing(scene: Scene) -> Tuple[Ticket, ...]:
    """Return the tickets of the open ledger of the highest term, none where it is marked as lost."""
    record = None if scene.terms.reset else newest(scene.terms)
    return record.ledger.tickets if record and record.ledger else ()


def lost_ticket(around: Around, before: Scene, wrote: Wrote, after: Scene) -> str:
    """Return who lost a ticket without having said so in a hook that succeeded, '' if nobody did.

    Not while a higher term is claimed: nobody may use a ticket that is given then.
    """
    terms = {record.term for record in wrote.records}
    if before.terms.reset or any(record.anew and record.term in terms for record in before.terms.records):
        return ''  # the ledger was lost, and this is the new one
    kept = set(map(_place, standing(after)))
    for ticket in before.firm if contested(before.terms) else standing(before):
        if _place(ticket) not in kept:
            face = around.face(number(ticket.unit))
            said = claim_in(face.bag, ticket.queue)
            released = (ticket.queue, ticket.ask) in face.over or rules.finished(
                ticket, {(ticket.unit, ticket.queue): said}
            )
            former = face.reborn and ticket.nonce == nonce_of(number(ticket.unit), 0)
            by_word = any(ticket.token <= last for last in freed(number(ticket.unit), after))
            if not (released or former or by_word or face.life == GONE):
                return '{} lost ticket {} and has released nothing'.format(ticket.unit, ticket.ask)
    return ''


def _place(ticket: Ticket) -> Tuple[Any, ...]:
    return (*ticket.place, ticket.unit, ticket.nonce)


def orders_in(scene: Scene) -> Tuple[Order, ...]:
    record = None if scene.terms.reset else newest(scene.terms)
    return record.ledger.orders if record and record.ledger else ()


def freed(unit: int, scene: Scene) -> Tuple[int, ...]:
    """Return the last token of each order by which the unit's turns are over."""
    return tuple(order.last for order in orders_in(scene) if (order.kind, order.unit) == (FREE, name(unit)))


def is_paused(scene: Scene) -> bool:
    return any(order.kind == PAUSE for order in orders_in(scene))


def begins_though_paused(unit: int, turns: Iterable[Ticket], before: U, scene: Scene) -> str:
    """Return whether a hook begins with a new turn though its lock was paused before, '' otherwise."""
    own = dict(before.store.own) if before.store else {}
    for turn in turns:
        begun = own.get(turn.queue, NO_CLAIM).holds or (turn.queue, turn.ask) in before.works
        if not begun and any(order.kind == PAUSE and turn.token >= order.first for order in orders_in(scene)):
            return '{} begins a turn though its lock is paused'.format(name(unit))
    return ''


def begins_though_stopped(
    unit: int, turns: Iterable[Ticket], before: U, after: U, around: Around, scene: Scene
) -> str:
    """Return whether a hook begins with a new turn of a roll though it could know that one ahead failed."""
    own = dict(before.store.own) if before.store else {}
    new = {turn.token for turn in turns if not own.get(turn.queue, NO_CLAIM).holds}
    for roll in (order for order in orders_in(scene) if order.kind == ROLL):
        mine = [token for token in new if roll.first <= token <= roll.last]
        for ticket in standing(scene) if mine else ():
            if ticket.unit == name(unit) or not roll.first <= ticket.token < max(mine):
                continue
            peer = number(ticket.unit)
            said = after.seen[peer] if after.seen[peer] != UNREAD else around.face(peer).bag
            stops = said and said.about.failed == ticket.token
            if stops and claim_in(said, ticket.queue).ended < ticket.token:
                return '{} begins though a hook of {} failed in the roll'.format(name(unit), ticket.unit)
    return ''


def begins_again(kind: Kind, who: str, turns: Iterable[Ticket], before: U) -> str:
    """Return which turn a hook begins with though the charm's flags know that it is over, '' for none."""
    ends = dict(before.flags) if len(kind.locks) == 1 and not kind.words else {}
    for turn in turns:
        end = ends.get(turn.queue)
        # An end without locks may only withdraw what was to come after the turn.
        if end and (end.locks or not end.again) and end.nonce == turn.nonce and end.ask >= turn.ask:
            return '{} begins turn {}, which its flags know to be over'.format(who, turn.ask)
    return ''


def works_though_freed(unit: int, turns: Iterable[Ticket], scene: Scene) -> str:
    """Return whether a hook of a freed unit begins with a turn that is over by an operator's word."""
    over = freed(unit, scene)
    if any(turn.token <= last for turn in turns for last in over):
        return '{} goes on in a turn that an operator has ended'.format(name(unit))
    return ''


def has_ticket(unit: int, scene: Scene) -> bool:
    return any(ticket.unit == name(unit) for ticket in standing(scene))


def has_no_ticket(unit: int, me: U, scene: Scene) -> str:
    """Return what is wrong with a turn in which the unit works, '' for nothing."""
    for turn in () if freed(unit, scene) else me.works:
        queue, ask = turn
        said = claim_in(me.bag, queue)
        own = dict(me.store.own).get(queue, NO_CLAIM) if me.store else said
        seated = _is_seated(name(unit), turn, scene)
        begun = any(claim.begun and claim.outstanding and claim.asked == ask for claim in (own, said))
        # What the charm's flags know to be over is only said once more.
        rests = turn in me.rested or _of_lost_roll(own, scene)
        rests = rests or bool(me.stops and scene.lost)  # it has given up; who leads awaits its answer
        if said.done >= ask or not (seated or begun or rests):
            return '{} works without an unfinished ticket'.format(name(unit))
    return ''


def _of_lost_roll(claim: Claim, scene: Scene) -> bool:
    """Return whether a turn is of a roll whose ledger was lost after its hook had read it.

    The next ledger awaits that hook: a leader makes none before all have spoken (rule 14).
    """
    return bool(scene.lost) and claim.roll


def _is_seated(who: str, turn: Tuple[str, int], scene: Scene) -> bool:
    """Return whether a unit has a ticket for this turn; one of a roll is for any."""
    queue, ask = turn
    tickets = (ticket for ticket in standing(scene) if ticket[1:3] == (queue, who))
    return any(ticket.roll or ticket.ask == ask for ticket in tickets)


def begins_without(who: str, new: Set[Tuple[str, int]], before: U, after: U, scene: Scene) -> str:
    """Return what is wrong with turns that a unit begins to work in, '' for nothing.

    Each has a ticket that Juju has, or had begun before this step.
    """
    own = dict(before.store.own) if before.store else {}
    # A hook that began before its unit was freed may not know it yet: see works_though_freed.
    for queue, ask in () if freed(number(who), scene) else new:
        seated = _is_seated(who, (queue, ask), scene)
        claims = own.get(queue, NO_CLAIM), claim_in(before.bag, queue)
        now = dict(after.store.own).get(queue, NO_CLAIM) if after.store else NO_CLAIM
        begun = any(claim.begun and claim.asked == ask for claim in claims)
        # A second run of a hook has the ledger that the first one read; see _of_lost_roll.
        lost = (bool(scene.lost) and before.second) or _of_lost_roll(now, scene)
        if not (seated or begun or lost):
            return '{} works without an unfinished ticket'.format(who)
    return ''


def ended_too_early(kind: Kind, who: str, me: U, works: Tuple[Tuple[str, int], ...]) -> str:
    """Return which turn a hook ended though the charm's flags do not know that its handlers have run."""
    for turn in me.works:
        # What a unit forgot before Juju had it is lost with the store. The ledger has no locks.
        said = claim_in(me.bag, turn[0])
        known = said.asked > turn[1] or (said.asked == turn[1] and said.locks) or not kind.forgets
        if known and turn not in works and turn not in me.rested:
            return '{} ended turn {}, and its flags do not know that the handlers have run'.format(
                who, turn[1]
            )
    return ''


def not_done(who: str, does: Tuple[str, ...], held: Mapping[str, int], own: Mapping[str, Claim]) -> str:
    """Return what a hook said at its end of a turn that it held, and did not do, '' for nothing."""
    for queue, ask in held.items():
        claim = own[queue]
        if 'keep' in does and (claim.done >= ask or claim.asked != ask):
            return '{} gave up a turn that it keeps'.format(who)
        if 'ask again' in does and not (claim.again or claim.asked > ask):
            return '{} forgot that it asks again'.format(who)
    return ''


def does_something(who: str, session: Session, before: U) -> str:
    """Return what a unit does at the start of a hook that rest.py leaves alone, '' for nothing."""
    slept = before.wake and (before.wake.needed, before.wake.unheard)
    same = (session.state, (session.needed(), session.unheard)) == (before.store, slept)
    if same and not (session.requested or session.turns or session.ends):
        return ''
    return '{} has something to do in a hook that is left alone'.format(who)


def used(scene: Scene, turn: Ticket, forgets: int) -> Tuple[Scene, str]:
    """Return the scene after a turn was used, and what its token breaks.

    With one slot tokens rise in the order of turns. With more, turns overlap,
    and only that no two have the same token is left of that.
    """
    ended = any(turn.token <= last for last in freed(number(turn.unit), scene))
    # A unit that lost its store, and whose commits were lost, may begin again a turn that it has used.
    again = [past for past in scene.used if forgets and past.unit == turn.unit and past.token >= turn.token]
    if ended or again or any(past[:4] == turn[:4] for past in scene.used):
        return scene, ''
    same = [past for past in scene.used if past.token == turn.token]
    later = [past for past in scene.used if turn.slots == 1 and past.queue == turn.queue]
    broken = ''
    if same:
        broken = 'token {} was used by {} and by {}'.format(turn.token, same[0].unit, turn.unit)
    elif any(past.token > turn.token for past in later):
        broken = '{} has token {} after token {}'.format(turn.unit, turn.token, later[0].token)
    rest = tuple(past for past in scene.used if past not in later)
    return scene._replace(used=tuple(sorted(rest + (turn,)))), broken


def waits(unit: int, me: U) -> str:
    """Return what a unit waits for, '' for nothing."""
    for queue, claim in me.store.own if me.store and me.life == THERE else ():
        done = max([claim_in(me.bag, queue).done, *(ask for at, ask in me.over if at == queue)])
        if claim.asked > max(claim.done, done):
            return '{} waits for ever: {}'.format(name(unit), claim)
    for queue, place in me.store.seen if me.store and me.life == THERE else ():
        if -place > max(claim_in(me.bag, queue).ended, dict(me.store.own).get(queue, NO_CLAIM).ended):
            return '{} waits for ever for its turn in a roll'.format(name(unit))
    return ''
