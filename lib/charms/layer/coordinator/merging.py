"""Two versions of what a unit says or remembers, made one.

What lives here: how a claim in the store and the one that Juju has are merged, and the states of a hook and
of a program beside it. What must not: IO, a clock, whose turn it is.
"""

from typing import Any, Dict, Mapping, Optional, Sequence

from charms.layer.coordinator import rules
from charms.layer.coordinator.values import NO_CLAIM, Claim, UnitState


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
    own, committed, peers = (_merged_pairs(*pair) for pair in zip(ours[:3], theirs[:3]))
    own = rules.frozen(_without_withdrawn(dict(own), (ours, theirs), before) if before else dict(own))
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


def _merged_pairs(ours: Any, theirs: Any) -> Any:
    both = dict(ours)
    for key, claim in theirs:
        mine = both.get(key, claim)
        both[key] = merged(mine, claim)
        if both[key].outstanding and mine[:2] == claim[:2]:  # both processes asked: neither request is lost
            locks, again = ({**dict(claim[at]), **dict(mine[at])} for at in (2, 5))
            both[key] = both[key]._replace(
                locks=tuple(sorted(locks.items())), again=tuple(sorted(again.items()))
            )
    return rules.frozen(both)


def _without_withdrawn(
    both: Mapping[str, Claim], sides: Sequence[UnitState], before: UnitState
) -> Dict[str, Claim]:
    """Return merged own claims without the requests that one side has withdrawn from a claim of both."""
    own = dict(both)
    for queue, was in before.own:
        now = [dict(side.own).get(queue, NO_CLAIM) for side in sides]
        if not was.outstanding or any(claim[:2] != was[:2] for claim in now):
            continue
        gone = {pair for pair in was.locks if any(pair not in each.locks for each in now)}
        gone_again = {pair for pair in was.again if any(pair not in each.again for each in now)}
        # A lock that one side has asked for anew since then has another time there.
        locks = dict(pair for each in now for pair in each.locks if pair not in gone)
        again = dict(pair for each in now for pair in each.again if pair not in gone_again)
        left = own[queue]._replace(locks=tuple(sorted(locks.items())), again=tuple(sorted(again.items())))
        own[queue] = left if locks or not was.locks else rules.released(left)
    return own
