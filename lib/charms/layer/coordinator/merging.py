"""What two processes of one unit remember, made one again.

What lives here: how a hook's state and that of a program beside it are merged. What must not: IO, a clock,
whose turn it is.
"""

from typing import Any, Dict, Mapping, Optional, Sequence

from charms.layer.coordinator import rules
from charms.layer.coordinator.values import NO_CLAIM, Claim, UnitState


def merged_states(ours: UnitState, theirs: UnitState, before: Optional[UnitState] = None) -> UnitState:
    """Return what two processes of one unit remember, so that no request of either is lost.

    Args:
        ours: what this process remembers.
        theirs: what the other one has saved meanwhile.
        before: what both began with. What it has and one of them lacks, that one has withdrawn.
    """
    own, committed, peers = (_merged_pairs(*pair) for pair in zip(ours[:3], theirs[:3]))
    own = rules.frozen(_without_withdrawn(dict(own), (ours, theirs), before) if before else dict(own))
    # Apart, a term would look as if it were known from another ledger: see `terms.known_once_read`.
    term, heard = max((ours.term, ours.heard), (theirs.term, theirs.heard))
    return ours._replace(
        own=own, committed=committed, peers=peers,
        known=ours.known and theirs.known, spoken=ours.spoken or theirs.spoken,
        term=term, heard=heard, about=rules.frozen({**dict(theirs.about), **dict(ours.about)}),
        seen=tuple(sorted({*ours.seen, *theirs.seen})), rolling=ours.rolling or theirs.rolling,
        wishes=tuple({wish.order.name: wish for wish in (*theirs.wishes, *ours.wishes)}.values()),
    )  # fmt: skip


def _merged_pairs(ours: Any, theirs: Any) -> Any:
    both = dict(ours)
    for key, claim in theirs:
        mine = both.get(key, claim)
        both[key] = rules.merged(mine, claim)
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
        locks = tuple(pair for pair in own[queue].locks if pair not in gone)
        again = tuple(pair for pair in own[queue].again if pair not in gone_again)
        left = own[queue]._replace(locks=locks, again=again)
        own[queue] = left if locks or not was.locks else rules.released(left)
    return own
