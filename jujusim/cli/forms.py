"""How Juju's client writes values: JSON, YAML, tables."""

import json
import re
from typing import Any, List, Sequence, Tuple


def as_json(found: Any) -> str:
    """Return JSON as Go writes it: in the given order, without spaces, and with <, > and & escaped."""
    text = json.dumps(found, separators=(',', ':'), ensure_ascii=False)
    return text.replace('&', '\\u0026').replace('<', '\\u003c').replace('>', '\\u003e') + '\n'


def as_yaml(found: Any) -> str:
    """Return YAML, in the given order."""
    import yaml  # here: a client that writes none starts in half the time

    text: str = yaml.safe_dump(found, sort_keys=False, default_flow_style=False, allow_unicode=True)
    return text


def dump(found: Any, form: str) -> str:
    """Return a value as JSON or YAML."""
    return as_json(found) if form == 'json' else as_yaml(found)


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
