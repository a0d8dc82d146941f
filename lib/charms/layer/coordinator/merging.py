"""Two versions of what a unit says or remembers, made one.

What lives here: how a claim in the store and the one that Juju has are merged, and the states of a hook and
of a program beside it. What must not: IO, a clock, whose turn it is.
"""

from typing import Any, Optional

from charms.layer.coordinator import rules
from charms.layer.coordinator.values import NO_CLAIM, Claim, Locks, UnitState


def merged(ours: Claim, theirs: Claim) -> Claim:
    """Return two versions of one claim merged: the larger counts win.

    The names are those of the newer version, or of the first where both are
    equally new. A version of another incarnation does not count.
    """
    if ours.nonce != theirs.nonce:
        return ours
    newer = theirs if (theirs.asked, theirs.done) > (ours.asked, ours.done) else ours
    asked, done = max(ours.asked, theirs.asked), max(ours.done, theirs.done)
    ended = max(ours.ended, theirs.ended)
    both = newer._replace(asked=asked, done=done, token=max(ours.token, theirs.token), ended=ended)
    if not both.outstanding:
        return both._replace(done=asked, locks=(), begun=False, again=(), roll=False)
    same = ours.asked == theirs.asked
    if not same:
        return both
    begun, roll = ours.begun or theirs.begun, ours.roll or theirs.roll
    return both._replace(begun=both.begun or begun, roll=both.roll or roll)


def merged_states(ours: UnitState, theirs: UnitState, before: Optional[UnitState] = None) -> UnitState:
    """Return what two processes of one unit remember, so that no request of either is lost.

    Args:
        ours: what this process remembers.
        theirs: what the other one has saved meanwhile.
        before: what both began with. What it has and one of them lacks, that one has withdrawn.
    """
    own = _merged_pairs(ours.own, theirs.own, before.own if before else ())
    committed, peers = (_merged_pairs(*pair) for pair in zip(ours[1:3], theirs[1:3]))
    wishes, sides = (*theirs.wishes, *ours.wishes), (ours.wishes, theirs.wishes)
    dropped = [wish for wish in (before.wishes if before else ()) if any(wish not in side for side in sides)]
    # Apart, a term would look as if it were known from another ledger: see `terms.known_once_read`.
    term, heard = max((ours.term, ours.heard), (theirs.term, theirs.heard))
    return ours._replace(
        own=own, committed=committed, peers=peers,
        known=ours.known and theirs.known, spoken=ours.spoken or theirs.spoken,
        term=term, heard=heard, about=rules.frozen({**dict(theirs.about), **dict(ours.about)}),
        seen=tuple(sorted({*ours.seen, *theirs.seen})), rolling=ours.rolling or theirs.rolling,
        wishes=tuple({wish.order.name: wish for wish in wishes if wish not in dropped}.values()),
    )  # fmt: skip


def _merged_pairs(ours: Any, theirs: Any, before: Any = ()) -> Any:
    both = dict(ours)
    for key, claim in theirs:
        mine = both.get(key, claim)
        both[key] = merged(mine, claim)
        if both[key].outstanding and mine[:2] == claim[:2]:  # both processes asked: neither request is lost
            was = dict(before).get(key, NO_CLAIM)
            was = was if was[:2] == claim[:2] else NO_CLAIM
            left = both[key]._replace(
                locks=_united(was.locks, claim.locks, mine.locks),
                again=_united(was.again, claim.again, mine.again),
            )
            both[key] = left if left.locks or not was.locks else rules.released(left)
    return rules.frozen(both)


def _united(before: Locks, *sides: Locks) -> Locks:
    """Return what both sides ask for, without what one has withdrawn.

    A lock that one side has asked for anew since then has another time there.
    """
    gone = {pair for pair in before if any(pair not in side for side in sides)}
    return tuple(sorted(dict(pair for side in sides for pair in side if pair not in gone).items()))
