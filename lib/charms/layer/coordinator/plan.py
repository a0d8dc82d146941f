"""In which order, and in which stages, the units of a roll take their turns.

What lives here: that plan, from plain values. What must not: IO, a ledger, whose turn it is.
"""

import re
from typing import List, Mapping, Sequence, Tuple, Union

Size = Union[int, str]
Stages = Tuple[Tuple[str, ...], ...]

LEADER_LAST, LEADER_FIRST, BY_NAME = ORDERS = ('leader-last', 'leader-first', 'name')
SIZE_FORM = 'a number of units from 1 on, or a percentage from "1%" to "100%"'


def planned(
    zones: Mapping[str, str],
    leader: str,
    batches: Sequence[Size] = (),
    order: str = LEADER_LAST,
    by_zone: bool = False,
) -> Stages:
    """Return the units of each stage, in the order of their turns.

    Args:
        zones: the availability zone of each unit, '' if it is not known.
        leader: the unit that leads.
        batches: how many units are in the first stage, the second and so on; the last one repeats. Empty: all
            units are in one stage. A percentage is of all units, rounded down, and at least one unit.
        order: 'leader-last', 'leader-first', or 'name', which puts the leader where its number is.
        by_zone: whether no stage has units of two zones. Then zone comes after zone, by name, and that of
            the leader last or first.
    """
    place = {LEADER_FIRST: -1, LEADER_LAST: 1}.get(order, 0)
    units = sorted(zones, key=lambda unit: (place * (unit == leader), *number(unit)))
    home = zones.get(leader)
    groups = sorted({*zones.values()}, key=lambda zone: (place * (zone == home), zone)) if by_zone else [None]
    sizes = [_units(size, len(units)) for size in batches]
    stages: List[Tuple[str, ...]] = []
    for zone in groups:
        left = [unit for unit in units if zone is None or zones[unit] == zone]
        while left:
            size = sizes[min(len(stages), len(sizes) - 1)] if sizes else len(left)
            stages.append(tuple(left[:size]))
            left = left[size:]
    return tuple(stages)


def number(unit: str) -> Tuple[str, int]:
    """Return the key that sorts app/9 before app/10."""
    app, _, digits = unit.rpartition('/')
    return app, int(digits) if digits.isdigit() else 0


def is_size(found: object) -> bool:
    """Return whether this may be the size of a batch."""
    if isinstance(found, str) and re.match(r'[0-9]{1,3}%\Z', found):
        return 1 <= int(found[:-1]) <= 100
    return isinstance(found, int) and not isinstance(found, bool) and 1 <= found <= 10000


def _units(size: Size, of: int) -> int:
    return max(1, of * int(size[:-1]) // 100) if isinstance(size, str) else size
