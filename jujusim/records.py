"""Histories as records: one JSON object a line, of a real Juju or of the local one (`Recorder`).

A line has `s` (seconds from the first line), `unit` and `what`:

    begin       an operation: `hook`, `remote`, `relation`, `departing`, `is_leader` and `relation_list`;
                or, from an agent's log, `text`: 'relation-changed (1; unit: app/0) hook', 'action 7',
                'run commands'
    end         the end of its script: `hook`, `exit`
    commit, failed, refused    what came of it, from an agent's log
    reads       what a hook read, as it wrote that down: `app.a=1 u0.x=2 gs={…}`
    writes      a databag after a commit: `bag` ('unit' or 'app'), `text` (its content as JSON)
    leads, leads no more, started, gone    leadership; an agent has begun; a unit is dead
    op, fault, says, quiet, juju    an operator, bad luck, a charm's words; nothing is left to do; 3 or 4
"""

import json
import re
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from jujusim.juju import Juju
from jujusim.timeline import Event

Line = Dict[str, Any]

FAULTS = ('is killed', 'is cut off', 'is lost', 'loses its agent', 'loses power', 'stops its agent')

_FROM_LOG = re.compile(r'relation-(\w+) \((\d+); (?:unit: ([^\s,)]+)(?:, departee: (\S+))?|app: \S+)\) hook$')


class Name(NamedTuple):
    """What an operation is: its hook without the relation's name, the relation and the remote unit."""

    hook: str
    remote: str = ''
    relation: str = ''

    def __str__(self) -> str:
        return self.hook + (self.remote and ' ({})'.format(self.remote))


class Run:
    """One operation of a unit, as a record shows it.

    Attributes:
        outcome: 'done', 'failed', 'broken' where another began with no end of this, or '' at the end.
        at: the places of its first line and its last among the record's lines.
        asked: whether it is an action or juju-exec: it is no hook of the unit.
        reads: what it read: the subject ('app.a', 'u1.x', 'gs', 'ctx'), the value, the place of the line.
        news: whether an agent started, or bad luck struck, since the run before began.
    """

    def __init__(self, unit: str, name: Name, line: Line, place: int) -> None:
        self.unit, self.name, self.s, self.ended = unit, name, float(line['s']), float(line['s'])
        told = _FROM_LOG.match(line.get('text', ''))
        self.departing: str = line.get('departing', '') or (told and told.group(4)) or ''
        self.is_leader: Optional[bool] = line.get('is_leader')
        self.members: Optional[List[str]] = line.get('relation_list')
        self.outcome = ''
        self.at = [place, place]
        self.asked = name.hook.startswith('action ') or name.hook == 'run commands'
        self.reads: List[Tuple[str, str, int]] = []
        self.restarted = self.news = self.skipped = False

    def __str__(self) -> str:
        return '{:.3f} s, {}: {}'.format(self.s, self.unit, self.name)


class History:
    """A record, with the operations of each unit in order; and the units that are out at its end."""

    def __init__(self, lines: Iterable[Line], name: str = '') -> None:
        self.lines, self.name = list(lines), name
        said = [line['text'] for line in self.lines if line['what'] == 'juju']
        self.juju = int(said[0]) if said else 4
        self.runs: Dict[str, List[Run]] = {}
        self.out = {
            line['unit'] for line in self.lines if line['what'] == 'gone' or line.get('text') == 'is lost'
        }
        self._open: Dict[str, Run] = {}
        self._news: Dict[str, Set[str]] = {}
        for place, line in enumerate(self.lines):
            self._take(place, line)
        every = (run for runs in self.runs.values() for run in runs)
        self.all = sorted(every, key=lambda run: run.at[0])
        remotes = {(run.name.relation, run.name.remote, run.unit) for run in self.all if run.name.remote}
        self.elsewhere = {relation for relation, remote, unit in remotes if _app(remote) != _app(unit)}

    def hooks(self, unit: str) -> List[Run]:
        """Return a unit's operations but actions and juju-exec."""
        return [run for run in self.runs.get(unit, []) if not run.asked]

    def is_peer(self, run: Run) -> bool:
        """Tell whether an operation is a hook of the peer relation."""
        return run.name.hook.startswith('relation-') and run.name.relation not in self.elsewhere

    def _take(self, place: int, line: Line) -> None:
        unit, what = line['unit'], line['what']
        run = self._open.get(unit)
        if what == 'begin':
            self._begin(place, line, run)
        elif what == 'reads' and run:
            if 'run-commands' in line['text']:
                run.asked, run.name = True, Name('run commands')
            run.reads += [(subject, value, place) for subject, value in _read(line['text'], unit)]
        elif what in ('end', 'commit', 'failed') and run:
            committed = what == 'commit' or (what == 'end' and (line['exit'] == 0 or run.asked))
            run.outcome, run.ended, run.at[1] = 'done' if committed else 'failed', float(line['s']), place
            del self._open[unit]
        elif what in ('started', 'fault'):
            for name in [unit] if unit else list(self.runs):
                self._news.setdefault(name, set()).add(what)
        elif what == 'op' and line['text'].startswith('resolve ') and line['text'].endswith('--no-retry'):
            self._news.setdefault(line['text'].split()[1], set()).add('skipped')

    def _begin(self, place: int, line: Line, before: Optional[Run]) -> None:
        unit = line['unit']
        if before:
            before.outcome, before.ended = 'broken', float(line['s'])
        run = self._open[unit] = Run(unit, _name(line), line, place)
        news = self._news.get(unit, set())
        run.restarted, run.news, run.skipped = 'started' in news, bool(news), 'skipped' in news
        if not run.asked:
            self._news[unit] = set()
        self.runs.setdefault(unit, []).append(run)


def load(path: Path) -> History:
    """Read a record; what is known of its writes from elsewhere lies beside it, in NAME.writes."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    more = path.with_suffix('.writes')
    if more.exists():
        lines += [json.loads(line) for line in more.read_text().splitlines()]
        lines.sort(key=lambda line: float(line['s']))
    return History(lines, path.stem)


def _app(unit: str) -> str:
    return unit.split('/')[0]


def _name(line: Line) -> Name:
    if 'hook' in line:
        _, found, event = line['hook'].partition('-relation-')
        hook = 'relation-' + event if found else line['hook']
        return Name(hook, line['remote'], line['relation'] if found else '')
    found_in_log = _FROM_LOG.match(line['text'])
    if found_in_log:
        event, relation, remote = found_in_log.groups()[:3]
        return Name('relation-' + event, remote or '', relation)
    text = line['text']
    return Name(text[: -len(' hook')] if text.endswith(' hook') else text)


def _read(text: str, unit: str) -> Iterator[Tuple[str, str]]:
    """Find what a hook read in what it wrote down; `read1=` is the other unit's x, of two units."""
    other = 'u{}.x'.format(1 - int(unit.split('/')[1])) if unit.endswith(('/0', '/1')) else ''
    gone = 'u9=ERROR' in text
    if text.startswith('direct: '):
        yield 'direct', 'refused' if 'cannot be called from within a hook' in text else 'ran'
    for subject, value in re.findall(r'(\S+?)=(\{.*\}|\S*)', text):
        if re.match(r'read\d*$', subject):
            yield other, value
        elif subject == 'u9' or re.match(r'(app|u\d+)\.\w+$', subject) or subject in ('gs', 'ctx', 'hook'):
            yield subject, 'ERROR' if gone and subject == 'u9' else value


class Recorder:
    """Writes down what happens on a local Juju, from now on."""

    def __init__(self, juju: Juju) -> None:
        self.juju = juju
        self.lines: List[Line] = [{'s': 0.0, 'unit': '', 'what': 'juju', 'text': str(juju.controller.juju)}]
        self._begun: Dict[str, Line] = {}
        juju.observers.append(self._see)
        juju.readers.append(self._hear)
        juju.controller.observers.append(self._committed)
        if juju.controller.leader:
            self._tell(juju.controller.leader, 'leads', '')

    def history(self, name: str = '') -> History:
        """Return what was written down, as a history."""
        return History(self.lines, name)

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        path.write_text(''.join(json.dumps(line) + '\n' for line in self.lines))

    def note_quiet(self) -> None:
        """Write down that nothing is left to do, if that is so."""
        if self.juju.quiet:
            self._tell('', 'quiet', '')

    def _tell(self, unit: str, what: str, text: str, **more: Any) -> None:
        line = {'s': round(self.juju.now, 3), 'unit': unit, 'what': what, **({'text': text} if text else {})}
        self.lines.append({**line, **more} if more or text else {**line, 'text': ''})

    def _hear(self, unit: str, text: str) -> None:
        if text.startswith('reads '):
            self._tell(unit, 'reads', text[len('reads ') :])
        elif not text.startswith('tracer'):
            self._tell(unit, 'says', text.strip().splitlines()[-1] if text.strip() else '')

    def _committed(self, bag: str, unit: str, settings: Optional[Dict[str, str]]) -> None:
        if bag == 'leader':
            self._tell(unit, 'leads' if settings is not None else 'leads no more', '')
        else:
            self._tell(unit, 'writes', json.dumps(settings, sort_keys=True), bag=bag)

    def _see(self, event: Event) -> None:
        unit, what, text = event.unit, event.what, event.text
        if what == 'begins':
            self._begins(unit)
        elif what in ('ends', 'fails', 'ran'):
            self._ends(unit, what, text)
        elif what in FAULTS:
            self._begun.pop(unit, None)
            self._tell(unit, 'fault', what)
        elif what in ('is back', 'restarts', 'upgrades its agent'):
            self._begun.pop(unit, None)
            self._tell(unit, 'started', 'unit "{}" started'.format(unit))
        elif what == 'is gone':
            self._tell(unit, 'gone', '')
        elif what == 'resolved':
            self._tell('', 'op', 'resolve {}{}'.format(unit, text and ' --no-retry'))
        elif what == 'configured':
            self._tell('', 'op', 'config ' + text)
        elif what in ('is removed', 'added'):
            self._tell('', 'op', '{} {}'.format('remove-unit' if what == 'is removed' else 'add-unit', unit))

    def _begins(self, unit: str) -> None:
        execution = self.juju.running[unit]
        operation, context = execution.operation, execution.context
        if operation.aside:
            title = 'action ' + operation.action if operation.action else 'run commands'
            self._begun[unit] = {'text': title}
            self._tell(unit, 'begin', title)
            return
        self._begun[unit] = {'hook': operation.name}
        self._tell(
            unit,
            'begin',
            '',
            hook=operation.name,
            remote=operation.remote_unit,
            relation=context.relation_id if operation.with_relation else '',
            departing=operation.departing,
            is_leader=self.juju.controller.leader == unit and context.connected,
            relation_list=list(context.members),
        )

    def _ends(self, unit: str, what: str, text: str) -> None:
        begun = self._begun.pop(unit, None)
        if begun is None:
            return  # it had lost its agent: that does not hear of it
        if what == 'fails' and 'flush refused' in text:
            self._tell(unit, 'refused', text.split('flush refused: ')[1])
        if what == 'fails':
            self._tell(unit, 'failed', begun.get('hook') or begun['text'])
        elif 'hook' in begun:
            self._tell(unit, 'end', '', hook=begun['hook'], exit=0)
        else:
            self._tell(unit, 'commit', begun['text'])
