"""What a scene showed: values only, from what units wrote down and what was logged."""

from collections import Counter
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from tests.onjuju.history import Line, Work

FOR_EVER = float('inf')
HANDOVER_S = 30.0
"""A turn that begins so long after the one before was not handed over in the next hook.

It is half of what update-status would take, and far more than a hook on a busy machine.
"""


class Turn(NamedTuple):
    """A unit's use of the lock: from its first try to the work that went well.

    Args:
        unit: whose.
        begins: when its first work began.
        ends: when a work of it ended well; or when the unit was gone; or never.
        tries: how many works that took.
    """

    unit: str
    begins: float
    ends: float
    tries: int = 1


class Scene(NamedTuple):
    """What was done in a scene.

    Args:
        name: which.
        began: when the operator's change was made.
        ended: when all was quiet again.
        owed: the units that must work after `began`, unless they are gone.
        gone: when which unit was removed.
        forced: those of them that were removed by force.
        leader: the unit that led when it began.
        direct: whether each turn must follow the one before within a hook: no unit was away or removed.
    """

    name: str
    began: float
    ended: float
    owed: Tuple[str, ...]
    gone: Dict[str, float]
    forced: Tuple[str, ...] = ()
    leader: str = ''
    direct: bool = False


class Verdict(NamedTuple):
    """What a scene showed.

    Args:
        scene: its name.
        turns: how many turns ended well.
        tries: how many works there were.
        most: how many units worked at once, at most.
        broken: a sentence for each promise that was broken.
        excused: a sentence for each overlap that is an exception of the promise.
        hooks: how many hooks there were, by kind.
        writes: hooks in which the leader gave or dropped tickets.
        took_s: from the change to the end of the last turn.
        least_s: the least possible: all turns, one after the other.
    """

    scene: str
    turns: int
    tries: int
    most: int
    broken: Tuple[str, ...]
    excused: Tuple[str, ...]
    hooks: Dict[str, int]
    writes: int
    took_s: float
    least_s: float


def turns(works: Iterable[Work], gone: Dict[str, float]) -> List[Turn]:
    """Join works to turns: one that failed, or whose process died, goes on with the unit's next work."""
    found: List[Turn] = []
    going: Dict[str, Turn] = {}
    for work in sorted(works, key=lambda work: (work.begins, work.unit)):
        before = going.pop(work.unit, None)
        turn = before._replace(tries=before.tries + 1) if before else Turn(work.unit, work.begins, FOR_EVER)
        if work.code == 0 and work.ends is not None:
            found.append(turn._replace(ends=work.ends))
        else:
            going[work.unit] = turn
    found += [turn._replace(ends=gone.get(turn.unit, FOR_EVER)) for turn in going.values()]
    return sorted(found, key=lambda turn: (turn.begins, turn.unit))


def overlaps(found: Sequence[Turn]) -> List[Tuple[Turn, Turn]]:
    """Return the pairs of turns of two units that share a moment, the earlier turn first."""
    return [
        (one, other)
        for place, one in enumerate(found)
        for other in found[place + 1 :]
        if other.unit != one.unit and other.begins < one.ends
    ]


def most_at_once(found: Sequence[Turn]) -> int:
    """Return how many units had a turn at the same moment, at most."""
    return max(
        (len({t.unit for t in found if t.begins <= turn.begins < t.ends}) for turn in found), default=0
    )


def judge(scene: Scene, works: Iterable[Work], lines: Sequence[Line]) -> Verdict:
    """Judge a scene.

    Args:
        scene: what was done.
        works: all works of all units; those before the scene are left out.
        lines: what was logged.
    """
    of_scene = [work for work in works if work.begins >= scene.began]
    found = turns(of_scene, scene.gone)
    ended = [turn for turn in found if turn.ends < FOR_EVER and turn.unit not in scene.gone]
    broken, excused = _exclusion(scene, found)
    broken += _lost(scene, found) + _late(scene, found)
    lines = [line for line in lines if scene.began <= line['s'] <= scene.ended]
    last = max([turn.ends for turn in ended], default=scene.began)
    return Verdict(
        scene.name,
        turns=len(ended),
        tries=len(of_scene),
        most=most_at_once(found),
        broken=tuple(broken),
        excused=tuple(excused),
        hooks=hooks(lines),
        writes=ledger_writes(lines),
        took_s=last - scene.began,
        least_s=sum(turn.ends - turn.begins for turn in ended),
    )


def _exclusion(scene: Scene, found: Sequence[Turn]) -> Tuple[List[str], List[str]]:
    broken, excused = [], []
    for one, other in overlaps(found):
        form = '{} worked from {:.1f} s, while {} had its turn until {}'
        until = '{:.1f} s'.format(one.ends - scene.began) if one.ends < FOR_EVER else 'the end'
        sentence = form.format(other.unit, other.begins - scene.began, one.unit, until)
        removed = one.unit in scene.forced and other.begins >= scene.gone[one.unit]
        (excused if removed else broken).append(sentence)
    return broken, excused


def _lost(scene: Scene, found: Sequence[Turn]) -> List[str]:
    served = {turn.unit for turn in found if turn.ends < FOR_EVER}
    return [
        '{} asked for its turn, and never had it'.format(unit)
        for unit in scene.owed
        if unit not in served and unit not in scene.gone
    ]


def _late(scene: Scene, found: Sequence[Turn]) -> List[str]:
    """Say which turns were not handed over directly."""
    said = []
    for place in range(1, len(found) if scene.direct else 0):
        before, turn = max(found[:place], key=lambda turn: turn.ends), found[place]
        gap_s = turn.begins - before.ends
        if gap_s > HANDOVER_S and turn.unit in scene.owed:
            form = '{} began {:.0f} s after {} had ended, and nobody worked'
            said.append(form.format(turn.unit, gap_s, before.unit))
    return said


def hooks(lines: Iterable[Line]) -> Dict[str, int]:
    """Count hooks by kind: 'config-changed', 'relation-changed', 'action', ..."""
    kinds = Counter(_kind(line['text']) for line in lines if line['what'] == 'begin')
    return dict(kinds.most_common())


def _kind(text: str) -> str:
    return (
        'juju exec' if text.startswith('run commands') or text.startswith('commands') else text.split(' ')[0]
    )


def ledger_writes(lines: Iterable[Line]) -> int:
    """Count the hooks in which a unit that leads gave or dropped tickets."""
    count = 0
    wrote: Dict[str, bool] = {}
    for line in lines:
        if line['what'] == 'begin':
            wrote[line['unit']] = False
        gives = line['what'] == 'says' and (
            'is given a ticket' in line['text'] or 'is dropped' in line['text']
        )
        if gives and not wrote.get(line['unit']):
            wrote[line['unit']], count = True, count + 1
    return count


def waiting(lines: Iterable[Line], unit: str, began: float) -> Optional[float]:
    """Return when a unit asked for the lock, as its log tells."""
    return next(
        (
            float(line['s'])
            for line in lines
            if line['unit'] == unit and line['s'] >= began and ': asked' in line.get('text', '')
        ),
        None,
    )
