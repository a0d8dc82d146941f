"""What units wrote down and what their agents logged, as lines in the form of tests/conformance/records.

Beside the kinds of jujusim/records.py there are `works` and `worked` (with the exit code as text): the
begin and the end of a work, by the unit's own clock.
"""

import re
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional

Line = Dict[str, Any]

_ENTRY = re.compile(r'unit-(\S+)-(\d+): (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) (\w+) (\S+) (.*)$')
_BEGINS = re.compile(r'running operation (?:run )?(.*) for \S+$')
_COMMITS = re.compile(r'committing operation "(?:run )?(.*)" for \S+$')
_FAILED = re.compile(r'hook "([^"]+)" .*failed: (.*)$')
_OF_A_RELATION = re.compile(r'[\w-]+:\d+: ')
_WORK = re.compile(r'([\d.]+) (\S+) (begin|end (-?\d+))$')


class Work(NamedTuple):
    """One work of a unit.

    Args:
        unit: whose.
        begins: by the unit's clock, in seconds since 1970.
        ends: the same; None where its process died.
        code: with which exit code.
    """

    unit: str
    begins: float
    ends: Optional[float] = None
    code: Optional[int] = None


def works(unit: str, lines: Iterable[str]) -> List[Work]:
    """Read what a unit wrote down of its work; lines that are cut are left out."""
    found: List[Work] = []
    going: Dict[str, int] = {}
    for line in lines:
        match = _WORK.match(line.strip())
        if not match:
            continue
        s, context, what, code = match.groups()
        if what == 'begin':
            going[context] = len(found)
            found.append(Work(unit, float(s)))
        elif context in going:
            place = going.pop(context)
            found[place] = found[place]._replace(ends=float(s), code=int(code))
    return found


def lines_of(log: str) -> List[Line]:
    """Read `juju debug-log --date --utc --ms`; `s` is seconds since 1970."""
    return [line for text in log.splitlines() for line in _line(text)]


def _line(text: str) -> Iterator[Line]:
    match = _ENTRY.match(text)
    if not match:
        return
    app, number, at, _, module, said = match.groups()
    form = '%Y-%m-%d %H:%M:%S' + ('.%f' if '.' in at else '')
    s = datetime.strptime(at, form).replace(tzinfo=timezone.utc).timestamp()
    line = {'s': s, 'unit': '{}/{}'.format(app, number)}
    found = _said(said) if module.endswith('.juju-log') else _by_the_agent(module, said)
    for what, words in found:
        yield {**line, 'what': what, 'text': words}


def _said(text: str) -> Iterator[Any]:
    """What a charm logged: of the layer, or of its work."""
    prefix = _OF_A_RELATION.match(text)
    text = text[prefix.end() :] if prefix else text
    if text.startswith('coordinator: '):
        yield 'says', text[len('coordinator: ') :]
    elif text.startswith('work: '):
        yield 'work', text[len('work: ') :]


def _by_the_agent(module: str, text: str) -> Iterator[Any]:
    for pattern, what in ((_BEGINS, 'begin'), (_COMMITS, 'commit')):
        match = pattern.match(text)
        if match:
            yield what, match.group(1)
    failed = _FAILED.match(text)
    if 'cannot apply changes' in text or 'lease not held' in text:
        yield 'refused', text
    if failed:
        yield 'failed', failed.group(1)
    elif text.endswith(' started') and text.startswith('unit "'):
        yield 'started', text
    elif 'promoted to leadership' in text:
        yield 'leads', ''


def works_logged(lines: Iterable[Line]) -> Dict[str, List[Work]]:
    """Return the works of each unit as its log tells them: for a unit whose disk is gone."""
    said: Dict[str, List[str]] = {}
    for line in lines:
        if line['what'] == 'work':
            said.setdefault(line['unit'], []).append(line['text'])
    return {unit: works(unit, texts) for unit, texts in said.items()}


def record(lines: Iterable[Line], done: Iterable[Work]) -> List[Line]:
    """Return a history as it is written to a file: in order of time, from its first line on."""
    kept = [line for line in lines if line['what'] != 'work']
    for work in done:
        kept.append({'s': work.begins, 'unit': work.unit, 'what': 'works', 'text': ''})
        if work.ends is not None:
            kept.append({'s': work.ends, 'unit': work.unit, 'what': 'worked', 'text': str(work.code)})
    kept.sort(key=lambda line: float(line['s']))
    first = kept[0]['s'] if kept else 0.0
    return [{**line, 's': round(line['s'] - first, 3)} for line in kept]
