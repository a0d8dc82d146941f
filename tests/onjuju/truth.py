"""Whether Juju did what the local Juju does: the sentences of `jujusim.conformance`, over what was recorded.

They are about Juju and not about the layer. A sentence that a controller breaks is a fault of the local
Juju, on which this project's tests stand; or clocks differ. It is told, and breaks no promise of the layer:
the exit code says whether those were kept.
"""

from typing import List, NamedTuple, Sequence

from jujusim.conformance import judge
from jujusim.orders import PREDICATES
from jujusim.records import History
from tests.onjuju.history import Line

SHOWN = 3
"""So many places are told of each sentence."""


def version(juju: str) -> Line:
    """Return the line by which a record tells its Juju, 3 or 4; a 2.9 behaves as a 3."""
    return {'s': 0.0, 'unit': '', 'what': 'juju', 'text': '4' if juju.startswith('4.') else '3'}


class Truth(NamedTuple):
    """What a record shows of Juju.

    Args:
        held: how many sentences hold.
        idle: how many found nothing to judge.
        broken: for each other sentence what it says, its rules, and where it is broken.
    """

    held: int
    idle: int
    broken: List[str]


def judged(record: Sequence[Line]) -> Truth:
    """Judge a record by all sentences."""
    found = judge(History(record))
    broken = [_told(name, texts) for name, (_, texts) in found.items() if texts]
    idle = sum(not count for count, _ in found.values())
    return Truth(len(found) - idle - len(broken), idle, broken)


def _told(name: str, texts: Sequence[str]) -> str:
    more = '; and {} times more'.format(len(texts) - SHOWN) if len(texts) > SHOWN else ''
    about = PREDICATES[name]
    return '{} ({}) {}{}'.format(about.sentence, about.rules, '; '.join(texts[:SHOWN]), more)


def said(found: Truth) -> List[str]:
    """Return what is said of it at the end; docs/on-juju.md says what `NOT SO` means."""
    form = 'Juju: {} sentences of jujusim/conformance.py hold, {} found nothing to judge'
    lines = [form.format(found.held, found.idle)]
    if found.broken:
        lines += ['Juju: NOT SO: ' + sentence for sentence in found.broken]
        lines.append(
            'That is no promise of the layer: the local Juju may be wrong there, or the clocks differ.'
        )
    return lines
