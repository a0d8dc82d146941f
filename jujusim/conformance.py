"""What every history of Juju keeps: sentences that a record can break, each with its rule (R1 to R32).

`PREDICATES` has those of `jujusim.orders`, on the order of hooks, and these: what a hook sees, who
leads, what wakes a unit. `judge` asks all of them. A record that the local Juju could not have made is a
fault of the local Juju.
"""

import json
from typing import Dict, List, Optional, Set, Tuple

from jujusim.orders import PREDICATES, Judgement, counts, is_app, predicate, unless
from jujusim.records import History, Line, Run


def judge(history: History) -> Dict[str, Tuple[int, List[str]]]:
    """Return for each predicate how often it found something to judge, and what broke it."""
    found = {}
    for name, (_, _, judgement) in PREDICATES.items():
        judged = list(judgement(history))
        found[name] = len(judged), [text for text in judged if text]
    return found


# What a hook sees


@predicate('R5')
def relation_list_is_the_joins_committed(history: History) -> Judgement:
    """relation-list has the members whose joined was committed, with the one that joins, less who departs."""
    for unit in history.runs:
        members: Optional[Set[str]] = None
        for run in history.runs[unit]:
            if run.members is None or (not run.asked and run.name.relation in history.elsewhere):
                continue
            hook, remote = run.name.hook, run.name.remote
            if members is None or hook == 'relation-created':
                members = set() if hook in ('install', 'relation-created') else set(run.members)
            now = members | {remote} if remote and hook != 'relation-departed' else members - {remote}
            kept = sorted(now) == run.members
            yield unless(kept, '{} lists {}, expected {}', run, run.members, sorted(now))
            if counts(history, run):
                members = now


@predicate('R6, R7')
def a_members_data_change_in_its_own_hook_only(history: History) -> Judgement:
    """What a unit reads of a member is what it read before, but in that member's joined and changed."""
    for unit, runs in history.runs.items():
        known: Dict[str, str] = {}
        for run in runs:
            if run.restarted:
                known.clear()
            own = 'u{}.'.format(run.name.remote.split('/')[1]) if run.name.remote else ''
            if own:
                known = {subject: value for subject, value in known.items() if not subject.startswith(own)}
            for subject, value, _ in run.reads:
                if subject[0] == 'u' and subject != 'u9' and _is_member(history, unit, run, subject):
                    if subject in known:
                        kept = known[subject] == value
                        yield unless(kept, '{} reads {}={}, not {}', run, subject, value, known[subject])
                    known[subject] = value
                elif subject[0] == 'u':
                    known.pop(subject, None)


def _is_member(history: History, unit: str, run: Run, subject: str) -> bool:
    name = '{}/{}'.format(unit.split('/')[0], subject[1:].split('.')[0])
    return run.members is not None and name in run.members


@predicate('R22')
def who_never_was_has_no_data(history: History) -> Judgement:
    """relation-get of a unit that never was fails; of one that has gone, it does not."""
    for run in history.all:
        for subject, value, _ in run.reads:
            if subject == 'u9':
                yield unless(value == 'ERROR', '{} reads {} of unit 9', run, value)


@predicate('R23')
def goal_state_names_who_lives(history: History) -> Judgement:
    """goal-state names every unit that has begun and is not gone; one that leaves is dying."""
    gone = {line['unit']: place for place, line in enumerate(history.lines) if line['what'] == 'gone'}
    for unit, runs in history.runs.items():
        if runs[-1].name.hook == 'remove' and counts(history, runs[-1]):
            gone.setdefault(unit, runs[-1].at[1])
    for run in history.all:
        for subject, value, place in run.reads:
            if subject == 'gs':
                yield _names_living(history, run, value, place, gone)


def _names_living(history: History, run: Run, value: str, place: int, gone: Dict[str, int]) -> str:
    units = json.loads(value.replace(',}', '}'))['units']
    app = run.unit.split('/')[0]
    for unit, runs in history.runs.items():
        if unit.split('/')[0] != app:
            continue
        dead = unit in gone and gone[unit] < run.at[0]
        lives = runs[0].at[0] < run.at[0] and gone.get(unit, place) >= place
        if lives and unit not in units:
            return '{} does not find {}'.format(run, unit)
        if dead and unit in units and float(history.lines[gone[unit]]['s']) + 5 < run.s:
            return '{} finds {}, which is gone'.format(run, unit)
    leaving = run.name.hook in ('stop', 'remove') or (run.departing and run.departing == run.unit)
    return unless(not leaving or units[run.unit]['status'] == 'dying', '{} is not dying', run)


@predicate('R27, R29')
def juju_exec_is_no_hook(history: History) -> Judgement:
    """juju-exec is refused in a hook; elsewhere it has a context of its own, which names no hook."""
    for run in history.all:
        for subject, value, _ in run.reads:
            if subject == 'direct':
                yield unless(value == 'refused', '{} runs juju-exec', run)
            elif subject == 'ctx':
                kept = value.startswith(run.unit + '-run-commands-') and ('hook', '') in [
                    read[:2] for read in run.reads
                ]
                yield unless(kept, '{} has the context {}', run, value)


# Leaders


@predicate('R15, R17')
def leader_elected_runs_on_the_leader(history: History) -> Judgement:
    """leader-elected begins only on a unit that is the leader then."""
    for run in history.all:
        if run.name.hook == 'leader-elected' and run.is_leader is not None:
            yield unless(run.is_leader, '{}, which does not lead', run)


@predicate('R17')
def leader_elected_comes_once_a_term(history: History) -> Judgement:
    """A unit that ran leader-elected runs it again only if it has lost leadership in between."""
    for unit in history.runs:
        done: Optional[int] = None
        for run in history.hooks(unit):
            if run.name.hook == 'leader-elected':
                if done is not None:
                    lost = any(_deposes(line, unit) for line in history.lines[done : run.at[0]])
                    yield unless(lost, '{}, and it had led on', run)
                done = run.at[0] if counts(history, run) else done
            elif run.name.hook == 'install':
                done = None


def _deposes(line: Line, unit: str) -> bool:
    return bool(line['what'] == ('leads no more' if line['unit'] == unit else 'leads'))


@predicate('R10')
def a_followers_batch_is_refused(history: History) -> Judgement:
    """A batch with application data is the leader's; another is refused whole, and its hook fails."""
    leader: Optional[str] = None
    for place, line in enumerate(history.lines):
        if line['what'] == 'leads':
            leader = line['unit']
        elif line['what'] == 'leads no more' and leader == line['unit']:
            leader = None
        elif line['what'] == 'writes' and line['bag'] == 'app' and line['unit']:
            yield unless(
                leader in (line['unit'], None), '{} s: {} writes, {} leads', line['s'], line['unit'], leader
            )
        elif line['what'] == 'refused':
            later = [other for other in history.lines[place + 1 :] if other['unit'] == line['unit']]
            ends = [
                other['what'] for other in later if other['what'] in ('failed', 'commit', 'end', 'writes')
            ]
            yield unless(ends[:1] == ['failed'], '{} s: {} goes on', line['s'], line['unit'])


# What wakes a unit


@predicate('R24, R25')
def only_news_of_the_application_wake(history: History) -> Judgement:
    """The application's changed runs for a change only: a no-op wakes nobody, on 4 not A, B and A again."""
    bag = _Bag(history, 'app', '')
    for unit in history.runs:
        yield from bag.judge(history, unit, [run for run in history.hooks(unit) if is_app(run)], False)


@predicate('R2, R25')
def only_news_of_a_member_wake(history: History) -> Judgement:
    """A member's changed runs for a change only, the one after its joined apart: a no-op wakes nobody."""
    for remote in history.runs:
        bag = _Bag(history, 'unit', remote)
        for unit in history.runs:
            about = [run for run in history.hooks(unit) if run.name.remote == remote and history.is_peer(run)]
            yield from bag.judge(history, unit, about, True)


class _Bag:
    """The contents that a databag had, in order: what a unit may have heard of when it began a hook."""

    def __init__(self, history: History, bag: str, owner: str) -> None:
        self.places: List[int] = []
        self.versions: List[object] = []
        self._last: object = None
        for place, line in enumerate(history.lines):
            if line['what'] == 'writes' and line['bag'] == bag and (bag == 'app' or line['unit'] == owner):
                content = json.loads(line['text'])
                if not self.versions or content != self._last:
                    self._last = content
                    self.places.append(place)
                    self.versions.append(len(self.versions) if history.juju == 3 else line['text'])

    def judge(self, history: History, unit: str, runs: List[Run], joins: bool) -> Judgement:
        """Judge a unit's hooks about this databag; when all is quiet it has heard of the last content."""
        if not self.versions:
            return
        known: Optional[Set[int]] = None
        if not joins and any(run.name.hook == 'install' for run in history.hooks(unit)):
            known = {-1}
        forced = False
        for run in runs:
            reach = {index for index, place in enumerate(self.places) if place < run.at[0]}
            if run.name.hook in ('relation-joined', 'relation-departed') or forced:
                after = {index for index in reach if known is None or forced is False or index >= min(known)}
            else:
                after = reach if known is None else {index for index in reach if self._differs(known, index)}
                if known is not None:
                    yield unless(bool(after), '{} without news', run)
            if counts(history, run):
                known, forced = (after or None), run.name.hook == 'relation-joined'
        if history.lines[-1]['what'] == 'quiet' and runs and known and self._hears(history, unit):
            kept = any(index >= 0 and self.versions[index] == self.versions[-1] for index in known)
            kept |= runs[-1].name.hook == 'relation-departed'
            yield unless(kept, '{} has not heard of the last content', unit)

    def _differs(self, known: Set[int], index: int) -> bool:
        version = self.versions[index]
        return any(index > old and (old < 0 or self.versions[old] != version) for old in known)

    def _hears(self, history: History, unit: str) -> bool:
        """Tell whether a unit still works at the end: neither gone nor leaving."""
        runs = history.runs[unit]
        leaving = any(run.departing == unit or run.name.hook in ('stop', 'remove') for run in runs)
        return unit not in history.out and not leaving and runs[-1].outcome == 'done'
