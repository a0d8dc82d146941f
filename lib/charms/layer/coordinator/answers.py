"""What the actions that give an order answer, as text for people and as data for programs.

What lives here: words, from an order that was given. What must not: IO, a clock, a decision.

The data are one dict of plain values, which JSON can express. Version 1 keeps these keys; more may come:

    version     1
    order       roll, pause, resume, cancel or free
    name        no other order has it
    lock        the lock; '' for all locks, and where a unit is freed
    unit        the unit that is freed, otherwise ''
    since       when it was given, by the leader's clock (UTC)
    reason      why, in the words of whoever gave it
    written     whether the leader has written it; otherwise it does so in a later hook
    stages      of a roll, the units of each stage, in the order of their turns
    pause_after after how many stages a roll waits for resume; 0 if it does not
    left_out    units that a roll leaves out, because they have said nothing to the others yet
    early       of resume: lock and reason of each pause of a roll after its first stages that ends before
                those are done
"""

import json
from textwrap import wrap
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from charms.layer.coordinator import table
from charms.layer.coordinator.values import CANCEL, FREE, PAUSE, RESUME, ROLL, Order, Wish

VERSION = 1
MOST_UNITS = 6  # the most units of a stage, and the most stages, that the text names
MOST_STAGES = 8

Commands = Iterable[Tuple[str, str]]

WHAT = {
    ROLL: '{}: a roll of {} begins{}.',
    PAUSE: '{}: paused. No turn begins until you resume; a turn that has begun goes on.',
    RESUME: '{}: not paused any more. Turns begin again.',
    CANCEL: '{}: cancelled. Each unit that waits withdraws its request in its next hook; a turn that has '
    'begun goes on.',
    FREE: '{}: freed. By your word, what it held and had asked for is over, and the others go on. When it '
    'runs again it learns that, and asks anew.',
}
BEHIND_A_PAUSE = {ROLL: '{}: a roll of {} waits{}.', RESUME: '{}: not paused any more.'}
STILL_PAUSED = 'No turn begins yet: {}.'
NOT_WRITTEN = 'It is not written yet: the leader writes it in its next hook in which it may. {}'
WAITS = 'After {} it waits for you.'
EARLY = '{}: the roll will not wait for you any more when {}.'
LEFT_OUT = 'Not in it, because no hook of this layer has run there yet: {}.'


def data(
    wish: Wish, written: bool, left_out: Sequence[str] = (), early: Sequence[Order] = ()
) -> Dict[str, Any]:
    """Return an order that was given as plain values; the head of this file tells their form."""
    order = wish.order
    return {
        'version': VERSION,
        'order': order.kind,
        'name': order.name,
        'lock': order.lock,
        'unit': order.unit,
        'since': order.since,
        'reason': order.reason,
        'written': written,
        'stages': [[unit for unit, _ in stage] for stage in wish.stages],
        'pause_after': wish.pause_after,
        'left_out': list(left_out),
        'early': [{'lock': pause.lock, 'reason': pause.reason} for pause in early],
    }


def as_json(found: Dict[str, Any]) -> str:
    """Return the data as JSON."""
    return json.dumps(found, sort_keys=True)


def text(found: Dict[str, Any], app: str, juju: int, why_not: str = '', paused: str = '') -> str:
    """Return the data as lines for people, which end with what to type next.

    Args:
        found: the data.
        app: the application.
        juju: the agent's major version.
        why_not: if the order is not written yet, why, as a sentence or ''.
        paused: because of what pause no turn begins by the order, without a full stop; '' for none.
    """
    subject = found['unit'] or found['lock'] or 'all locks'
    stages, reason = found['stages'], found['reason']
    units = sum(map(len, stages))
    parts = ', in {} stages'.format(len(stages)) if len(stages) > 1 else ''
    what = {**WHAT, **BEHIND_A_PAUSE} if paused else WHAT
    lines = wrap(what[found['order']].format(subject, _count(units, 'unit'), parts), table.WIDTH)
    lines += wrap('Reason: ' + reason, table.WIDTH) if reason else []
    lines += _stages(stages, found['pause_after'])
    for pause in found['early']:
        lines += wrap(EARLY.format(pause['lock'], pause['reason']), table.WIDTH)
    lines += wrap(STILL_PAUSED.format(paused), table.WIDTH) if paused else []
    if found['left_out']:
        lines += wrap(LEFT_OUT.format(_some(found['left_out'])), table.WIDTH)
    if not found['written']:
        lines += wrap(NOT_WRITTEN.format(why_not).strip(), table.WIDTH)
    for why, action, parameters in _next(found, bool(paused)):
        lines += ['', why, '    ' + table.command(juju, app, action, parameters)]
    return '\n'.join(lines)


def _stages(stages: Sequence[Sequence[str]], pause_after: int) -> List[str]:
    lines = []
    for number, units in enumerate(stages[:MOST_STAGES], 1):
        start = '  stage {}: '.format(number) if len(stages) > 1 else '  '
        lines += wrap(_some(units), table.WIDTH, initial_indent=start, subsequent_indent='    ')
    more = len(stages) - MOST_STAGES
    lines += ['  ... and {}'.format(_count(more, 'more stage'))] if more > 0 else []
    if 0 < pause_after < len(stages):
        which = 'stage 1' if pause_after == 1 else 'stage {}'.format(pause_after)
        lines.append(WAITS.format(which))
    return lines


def _next(found: Dict[str, Any], paused: bool) -> Iterable[Tuple[str, str, Dict[str, str]]]:
    kind, lock = found['order'], {'lock': found['lock']} if found['lock'] else {}
    if kind == PAUSE:
        yield 'To let turns begin again:', 'coordinator-resume', lock
    if kind == ROLL and not paused:
        yield 'To let no further turn begin:', 'coordinator-pause', lock
    if kind == ROLL and 0 < found['pause_after'] < len(found['stages']):
        yield 'To go on after that stage:', 'coordinator-resume', lock
    yield 'To see how it stands:', 'coordinator-show', {}


def _some(units: Sequence[str]) -> str:
    more = len(units) - MOST_UNITS
    shown = ', '.join(units[: MOST_UNITS if more > 1 else len(units)])
    return '{} and {} more'.format(shown, more) if more > 1 else shown


def _count(number: int, what: str) -> str:
    return '{} {}{}'.format(number, what, '' if number == 1 else 's')
