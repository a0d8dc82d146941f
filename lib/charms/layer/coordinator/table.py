"""What a unit knows of all locks, as text for people: every word of the action coordinator-show.

What lives here: from the data of report.py to lines that fit a terminal. What must not: IO, a clock,
anything that is not in the data.
"""

import json
import re
from datetime import datetime
from textwrap import wrap
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

import yaml
from charms.layer.coordinator.values import ALL_LOCKS

Data = Dict[str, Any]

FIRST = 7  # the most tickets, and the most requests, of a queue
MOST_NAMED = 3  # units of a roll
WIDTH = 98  # Juju indents what an action says by two
HEAD = ('UNIT', 'TURN', 'TOKEN', 'ASKED', 'LOCKS')
TIME_FORM = '%Y-%m-%d %H:%M:%S'

NOBODY = 'As far as this unit knows, nobody holds a lock or has asked for one.'
KEEPS = '{} keeps the lock since a hook of its turn has succeeded; it goes on in its next hook.'
GONE = '{}: Juju no longer lists it. The leader drops its ticket at update-status, if not before.'
FAILED = 'A hook of {} has failed in its turn, or was killed. Repair the cause, then:'
IN_ERROR = 'If `juju status {}` shows {} in error, repair the cause, then:'
DOWN = 'If {} is down, and does not come back soon, make sure that it is off, and give up its turn:'
RESUME = 'To let turns of {} begin again:'
EVERYTHING = 'all locks'
WAITS_LATER = '{}: the roll will wait for you when {}.'
CANCELLED = '{}: cancelled {}{}; not every unit has withdrawn its request yet.'
FREED = '{}: freed {}{}; it has not run since, and will ask anew.'
TO_WRITE = '{}: {}, ordered {}, is not written yet; the leader writes it in its next hook in which it may.'
NOT_LEADING = 'Only the leader knows of all requests without a ticket:'
LOST = 'A unit in error, or without a connection, holds this up:'
UNREADABLE = 'What cannot be read, and where it is:'

TRUE_TOO = ('confirm',)  # a parameter that takes what YAML makes of `yes`
OTHER_IN_GO = re.compile(r'([yYnN]|[-+.]*[0-9][\w.+-]*)\Z')  # what may be true or a number to some YAML

RUN = {2: 'juju run-action --wait {}/leader {}'}
RUN_3 = 'juju run {}/leader {}'
LOG = "juju debug-log --replay --no-tail --include {} | grep 'coordinator: '"


def text(data: Data) -> str:
    """Return the data as lines of at most WIDTH characters, none of which ends in a blank."""
    now, unit = _time(data['at']), data['unit']
    leads = 'It leads.' if data['leads'] else 'It does not lead; Juju does not tell it which unit does.'
    head = 'Locks as {} sees them at {}. {}'
    lines = wrap(head.format(unit, _clock(now, now), leads), WIDTH)
    if data['says']:
        lines += ['', *wrap('The ledger: {}.'.format(data['says']), WIDTH)]
    for sentences in (_rolls(data, now), _others(data, now)):
        lines += [''] * bool(sentences)
        for sentence in sentences:
            lines += wrap(sentence, WIDTH, subsequent_indent='  ')
    for queue in data['queues']:
        lines += ['', *_queue(queue, now)]
    if not data['queues']:
        lines += ['', NOBODY]
    mine = ['{}: {}'.format(lock, reason) for lock, reason in sorted(data['this_unit'].items())]
    for title, sentences in (('This unit:', mine), ('Not readable:', data['problems'])):
        lines += ['', title] if sentences else []
        for sentence in sentences:
            lines += wrap(sentence, WIDTH - 2, initial_indent='  ', subsequent_indent='    ')
    for why, command in _next(data):
        lines += ['', *wrap(why, WIDTH), *(['    ' + command] if command else [])]
    return '\n'.join(line.rstrip() for line in lines)


# Orders


def _rolls(data: Data, now: Optional[datetime]) -> List[str]:
    """Return how far each roll is."""
    sentences = []
    for roll in data['rolls']:
        lock, more = _short(roll['lock'], WIDTH // 2), roll['more_stages']
        works = [_works(work, now) for work in roll['works']]
        parts = ['{} of {} done'.format(roll['done'], roll['units']), *works[:MOST_NAMED]]
        parts += ['{} more likewise'.format(len(works) - MOST_NAMED)] if len(works) > MOST_NAMED else []
        parts += ['{} more stage{}'.format(more, 's' * (more > 1))] if more else []
        over = data['leads'] and roll['done'] == roll['units']  # another unit does not know who has seen it
        parts += ['the leader shows its end in its next hook'] if over else []
        head = '{}: a roll {}{}.'.format(lock, since(roll['since'], now), _because(roll))
        sentences.append('{} {}.'.format(head, ', '.join(parts)))
    return sentences


def _works(work: Data, now: Optional[datetime]) -> str:
    if work['failed']:
        return 'a hook of {} failed'.format(work['unit'])
    if work['since']:
        return '{} works {}'.format(work['unit'], since(work['since'], now))
    return '{} {}'.format(work['unit'], 'works or is paused' if work['paused'] else 'has its turn')


def _others(data: Data, now: Optional[datetime]) -> List[str]:
    """Return the pauses and the other orders that stand, and those that are to be written."""
    sentences = []
    for pause in data['pauses']:
        lock = _short(pause['lock'], WIDTH // 2) or EVERYTHING
        if pause['waits']:
            form = '{}: the roll waits for you: {}.' if pause['waits'] == 'now' else WAITS_LATER
            sentences.append(form.format(lock, pause['reason']))
        else:
            sentences.append('{}: paused {}{}.'.format(lock, since(pause['since'], now), _because(pause)))
    for order in data['cancelled']:
        sentences.append(CANCELLED.format(order['lock'], since(order['since'], now), _because(order)))
    for order in data['freed']:
        sentences.append(FREED.format(order['unit'], since(order['since'], now), _because(order)))
    for order in data['to_write']:
        what = order['unit'] or order['lock'] or EVERYTHING
        sentences.append(TO_WRITE.format(what, order['order'], since(order['since'], now)))
    return sentences


def _because(order: Data) -> str:
    return ': ' + order['reason'] if order['reason'] else ''


# One queue


def _queue(queue: Data, now: Optional[datetime]) -> List[str]:
    lock, shared = queue['queue'], queue['queue'] == ALL_LOCKS
    name = 'All locks, in one queue' if shared else _short(lock, WIDTH // 2)
    lines = wrap('{}: {}'.format(name, queue['says']), WIDTH)
    rows = [_cells(row, now, shared) for row in [*queue['tickets'], *queue['requests']]]
    cut = len(queue['tickets'])
    table = _table([HEAD if shared else HEAD[:-1], *rows])
    lines += table[: cut + 1]
    lines += ['  ... and {} more'.format(queue['more_tickets'])] if queue['more_tickets'] else []
    lines += table[cut + 1 :]
    without = '  ... and {} more without a ticket'.format(queue['more_requests'])
    return lines + ([without] if queue['more_requests'] else [])


def _cells(row: Data, now: Optional[datetime], shared: bool) -> Tuple[str, ...]:
    token = '-' if row['token'] is None else str(row['token'])
    cells = row['unit'] or '(not readable)', _turn(row), token, since(row['since'], now)
    return (*cells, ', '.join(sorted(row['locks'])) or '-') if shared else cells


def _turn(row: Data) -> str:
    if row['gone']:
        return 'unit is gone'
    if row['paused']:
        return 'holds or paused' if row['holds'] else 'paused'
    if row['holds']:
        return {None: 'holds', False: 'holds, not begun'}.get(
            row['begun'], 'holds, hook failed' if row['failed'] else 'holds, begun'
        )
    return 'no ticket yet' if row['ahead'] is None else '{} ahead'.format(row['ahead'])


def _table(rows: List[Tuple[str, ...]]) -> List[str]:
    """Return rows of cells as lines; what is too wide is cut, the last column first."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    spare = WIDTH - 2 * len(widths) - sum(widths)
    for column, least in ((len(widths) - 1, 8), (0, 12)) if len(widths) == len(HEAD) else ((0, 12),):
        narrower = max(min(widths[column], least), widths[column] + min(spare, 0))
        spare, widths[column] = spare + widths[column] - narrower, narrower
    lines = []
    for row in rows:
        cells = [_short(cell, width).ljust(width) for cell, width in zip(row, widths)]
        cells[2] = cells[2].strip().rjust(widths[2])
        lines.append('  ' + '  '.join(cells))
    return lines


def _short(cell: str, width: int) -> str:
    """Return a cell that fits; of a unit's name the number stays."""
    if len(cell) <= width:
        return cell
    number = cell[cell.rindex('/') :] if '/' in cell and cell.rpartition('/')[2].isdigit() else ''
    return cell[: max(0, width - 3 - len(number))] + '...' + number


# Times


def since(asked_at: str, now: Optional[datetime]) -> str:
    """Return since when a unit asks, as people say it: 'since 02:13 UTC, 4 min'; '-' if that is not known."""
    then = _time(asked_at)
    if then is None:
        return '-'
    seconds = int((now - then).total_seconds()) if now else -1
    # Below zero, the clocks of the two units differ.
    return 'since ' + _clock(then, now) + (', ' + _length(seconds) if seconds >= 0 else '')


def _length(seconds: int) -> str:
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return '{} day{}'.format(days, 's' * (days > 1))
    if hours:
        return '{} h {} min'.format(hours, minutes % 60)
    return '{} min'.format(minutes) if minutes else '{} s'.format(seconds)


def _clock(then: Optional[datetime], now: Optional[datetime]) -> str:
    if then is None:
        return 'an unknown time'
    same_day = now is not None and then.date() == now.date()
    return then.strftime('%H:%M UTC' if same_day else '%Y-%m-%d %H:%M UTC')


def _time(found: str) -> Optional[datetime]:
    try:
        return datetime.strptime(found[:19], TIME_FORM)
    except ValueError:
        return None


# What to type next


def _next(data: Data) -> Iterable[Tuple[str, str]]:
    app = data['unit'].partition('/')[0]
    rows = [row for queue in data['queues'] for row in [*queue['tickets'], *queue['requests']]]
    held = [row for row in rows if row['holds'] and row['unit']]
    me = [row for row in held if row['unit'] == data['unit']]
    others = sorted({row['unit'] for row in held if not row['gone']} - {data['unit']})
    gone = sorted({row['unit'] for row in rows if row['gone']})
    if data['problems'] or data['ledger'] == 'unreadable':
        yield UNREADABLE, LOG.format(app)
    if data['ledger'] == 'lost':
        yield LOST, 'juju status ' + app
    if any(row['failed'] for row in me):
        yield FAILED.format(data['unit']), 'juju resolve ' + data['unit']
    elif any(row['begun'] for row in me):
        yield KEEPS.format(data['unit']), ''
    if gone:
        yield GONE.format(' and '.join(gone)), ''
    if others:
        which = others[0] if len(others) == 1 else 'one of them, such as {},'.format(others[0])
        yield IN_ERROR.format(app, which), 'juju resolve ' + others[0]
        yield DOWN.format(others[0]), command(data['juju'], app, 'coordinator-free', {'unit': others[0]})
    for pause in (each for each in data['pauses'] if each['waits'] != 'later'):
        lock = {'lock': pause['lock']} if pause['lock'] else {}
        yield (
            RESUME.format(pause['lock'] or EVERYTHING),
            command(data['juju'], app, 'coordinator-resume', lock),
        )
    if not data['leads']:
        yield NOT_LEADING, command(data['juju'], app, 'coordinator-show')


def command(juju: int, app: str, action: str, parameters: Mapping[str, Any] = {}) -> str:
    """Return the command that runs an action on the leader."""
    words = ['{}={}'.format(name, _typed(name, parameters[name])) for name in sorted(parameters)]
    return ' '.join([RUN.get(juju, RUN_3).format(app, action), *words])


def _typed(name: str, value: Any) -> str:
    """Return a value as one types it: the shell reads it, and then `juju run` reads it as YAML."""
    text = isinstance(value, str) and (name in TRUE_TOO or _is_text(value))
    word = str(value) if text else json.dumps(value, ensure_ascii=False)
    plain = re.match(r'[\w./:%,+@-]+\Z', word)
    return word if plain else "'{}'".format(word.replace("'", "'\\''"))


def _is_text(word: str) -> bool:
    """Return whether YAML reads a word as that very text, in Python and in Juju's Go."""
    try:
        return not OTHER_IN_GO.match(word) and bool(yaml.safe_load(word) == word)
    except (yaml.YAMLError, ValueError):  # such as a day that no month has
        return False
