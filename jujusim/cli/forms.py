"""How Juju's client writes values: JSON, YAML, times, tables."""

import datetime
import json
import re
from typing import Any, List, Sequence, Tuple

import yaml

from jujusim.executions import EPOCH_S


def as_json(found: Any) -> str:
    """Return JSON as Go writes it: in the given order, without spaces, and with <, > and & escaped."""
    text = json.dumps(found, separators=(',', ':'), ensure_ascii=False)
    return text.replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e') + '\n'


def as_yaml(found: Any) -> str:
    """Return YAML, in the given order."""
    text: str = yaml.safe_dump(found, sort_keys=False, default_flow_style=False, allow_unicode=True)
    return text


def dump(found: Any, form: str) -> str:
    """Return a value as JSON or YAML."""
    return as_json(found) if form == 'json' else as_yaml(found)


def moment(now: float) -> datetime.datetime:
    """Return a time of the model, in seconds since it began, as a date."""
    return datetime.datetime.fromtimestamp(EPOCH_S + now, datetime.timezone.utc)


def since(now: float) -> str:
    """Return a time as in `juju status --format json`."""
    return moment(now).strftime('%d %b %Y %H:%M:%SZ')


def stamp(now: float) -> str:
    """Return a time as in the result of a task, to the nanosecond."""
    return moment(now).strftime('%Y-%m-%d %H:%M:%S.%f') + '000 +0000 UTC'


def clock(now: float, form: str = '%H:%M:%S') -> str:
    """Return a time of day."""
    return moment(now).strftime(form)


def natural(name: str) -> Tuple[Any, ...]:
    """Return a key that sorts app/2 before app/10."""
    return tuple((0, int(part), '') if part.isdigit() else (1, 0, part) for part in re.split(r'(\d+)', name))


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows as a table of the client: columns two spaces apart, no spaces at the end of a line.

    Args:
        rows: the heads, and then the rows.
        right: which columns stand at the right.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines: List[str] = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append('  '.join(cells).rstrip() + '\n')
    return ''.join(lines)
