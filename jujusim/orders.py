"""The order in which every history of Juju runs hooks, as sentences that a record can break (R1 to R32).

A predicate gets a history (`jujusim.records`), says how often it found something to judge, and what
broke its sentence. It never asks what a charm does. `jujusim.conformance` has the other sentences.
"""

import itertools
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from jujusim.records import History, Line, Run

Judgement = Iterator[str]
"""One text for each thing that was judged: what broke the sentence there, '' if nothing did."""


class Predicate(NamedTuple):
    """A sentence, its rules, and the function that judges a history by it."""

    rules: str
    sentence: str
    judge: Callable[[History], Judgement]


PREDICATES: Dict[str, Predicate] = {}


def predicate(rules: str) -> Callable[[Callable[[History], Judgement]], Callable[[History], Judgement]]:
    """Return a decorator that keeps a judgement as a predicate: its first line is the sentence."""

    def keep(judge: Callable[[History], Judgement]) -> Callable[[History], Judgement]:
        PREDICATES[judge.__name__] = Predicate(rules, (judge.__doc__ or '').splitlines()[0], judge)
        return judge

    return keep


def _pairs(runs: List[Run]) -> Iterator[Tuple[Run, Run]]:
    return zip(runs, runs[1:])


RETRY_S = 3.5, 6.5
"""A first retry comes 5 s after the failure, or after the agent; records are of whole seconds."""


def unless(kept: bool, form: str, *about: object) -> str:
    """Return what broke a sentence, '' where it was kept."""
    return '' if kept else form.format(*about)


# One loop a unit


@predicate('R1')
def one_at_a_time(history: History) -> Judgement:
    """A unit begins nothing before what it does is over or broken off; juju-exec and actions wait, too."""
    for runs in history.runs.values():
        for before, run in _pairs(runs):
            kept = before.outcome != 'broken' or run.name == before.name or run.news
            yield unless(kept, '{} begins in {}', run, before)


@predicate('R11, R12')
def a_failed_hook_runs_again_with_the_same_event(history: History) -> Judgement:
    """After a hook that failed, or was broken off, the unit's next hook is the same, with the same event."""
    for unit in history.runs:
        for failed, between, run in _retries(history, unit):
            if not between:
                yield unless(run.name == failed.name, '{} follows the failed {}', run, failed)


@predicate('R12, R27')
def a_failed_hook_stays_failed_beside_actions(history: History) -> Judgement:
    """An action, or juju-exec, between a failed hook and its retry changes nothing: the same hook is next."""
    for unit in history.runs:
        for failed, between, run in _retries(history, unit):
            if between:
                yield unless(run.name == failed.name, '{} follows the failed {}', run, failed)


def _retries(history: History, unit: str) -> Iterator[Tuple[Run, List[Run], Run]]:
    """Return each hook that failed, what ran before the next hook, and that.

    An operator's `resolve --no-retry` lets a failed hook count as done. So does an agent that is lost in
    an action between. A failed leader-elected is dropped when leadership is lost meanwhile (R17).
    """
    failed: Optional[Run] = None
    between: List[Run] = []
    for run in history.runs[unit]:
        if run.asked:
            between.append(run)
            continue
        fell = failed and (failed.outcome == 'failed' or any(other.news for other in [*between, run]))
        died = bool(_lost(history, between))
        if failed and failed.name.hook == 'leader-elected' != run.name.hook:
            died |= run.is_leader is False
        if failed and fell and not run.skipped and not died:
            yield failed, between, run
        failed, between = run if run.outcome in ('failed', 'broken') else None, []


def _lost(history: History, between: List[Run]) -> List[Run]:
    """Return the actions in which the agent was lost: it died, or had no connection to tell their end."""
    found = []
    for run in between:
        within = history.lines[run.at[0] : run.at[1]]
        cut = any(line['unit'] == run.unit and line.get('text') == 'is cut off' for line in within)
        if run.name.hook != 'run commands' and (run.outcome == 'broken' or (run.outcome == 'failed' and cut)):
            found.append(run)
    return found


@predicate('R31')
def a_failed_hook_is_over_when_the_agent_is_lost_in_an_action(history: History) -> Judgement:
    """A failed hook counts as done where the agent is lost in an action beside it: it is not retried.

    Where the same hook is next, it is for news: it begins sooner or later than a retry would. Of an
    update-status that cannot be told.
    """
    for unit in history.runs:
        failed: Optional[Run] = None
        between: List[Run] = []
        for run in history.runs[unit]:
            if run.asked:
                between.append(run)
                continue
            if failed and failed.outcome == 'failed' and _lost(history, between):
                back = [float(line['s']) for line in history.lines[: run.at[0]] if _started(line, unit)]
                ended = [other.ended for other in between if other.outcome != 'broken']
                after_s = run.s - max(back + ended)
                retried = run.name == failed.name and RETRY_S[0] < after_s < RETRY_S[1]
                retried &= run.name.hook != 'update-status'
                yield unless(not retried or run.skipped, '{} retries {}', run, failed)
            failed, between = run, []


def _started(line: Line, unit: str) -> bool:
    return bool(line['unit'] == unit and line['what'] == 'started')


@predicate('R32')
def the_start_of_a_reboot_comes_first(history: History) -> Judgement:
    """A start that is not a new unit's comes when its agent is back, after what had failed or been killed.

    Only actions and juju-exec run besides, and the config-changed that upgrade-charm has queued.
    """
    for unit, runs in history.runs.items():
        new = any(run.name.hook == 'install' for run in runs)
        for index, run in enumerate(runs):
            if run.name.hook != 'start' or new:
                new &= run.name.hook != 'start' or run.outcome != 'done'
                continue
            since = [place for place, line in enumerate(history.lines[: run.at[0]]) if _started(line, unit)]
            begun = [other for other in runs[:index] if since and other.at[0] > since[-1]]
            names = {other.name for other in begun if not other.asked} - {run.name}
            if 'upgrade-charm' in {name.hook for name in names}:
                names = {name for name in names if name.hook != 'config-changed'}
            yield unless(bool(since) and len(names) < 2, '{} after {}', run, begun or 'no start of its agent')


@predicate('R26')
def update_status_waits(history: History) -> Judgement:
    """update-status comes neither before a unit's start, nor before a changed that follows a joined."""
    for unit in history.runs:
        done: Set[str] = set()
        new = any(run.name.hook == 'install' for run in history.hooks(unit))
        last = ''
        for run in history.hooks(unit):
            if run.name.hook == 'update-status':
                kept = last != 'relation-joined' and ('start' in done or not new)
                yield unless(kept, '{} before its time', run)
            if counts(history, run):
                done.add(run.name.hook)
                last = run.name.hook if history.is_peer(run) or run.name.hook == 'update-status' else last


@predicate('section 13')
def config_changed_runs_twice(history: History) -> Judgement:
    """On Juju 4 a unit at rest runs config-changed twice in a row for one `juju config`."""
    if history.juju == 4:
        for unit in history.runs:
            yield from _twice(history, history.runs[unit])


def _twice(history: History, runs: List[Run]) -> Judgement:
    told = [float(line['s']) for line in history.lines if line['what'] in ('op', 'roll')]
    for index, run in enumerate(runs[:-1]):
        before, after = runs[index - 1] if index else None, runs[index + 1]
        others = [s for s in told if run.s - 12 < s < after.s]
        calm = run.outcome == 'done' and not (run.news or after.news or after.asked) and len(others) < 2
        calm &= after.name.hook not in ('upgrade-charm', 'leader-elected', 'start', 'stop')
        calm &= not after.departing
        rest = before is None or (before.outcome == 'done' and run.s - before.ended > 3)
        rest &= before is None or before.name.hook not in ('config-changed', 'upgrade-charm')
        rest &= [other.outcome for other in runs[:index] if not other.asked][-1:] in ([], ['done'])
        if run.name.hook == 'config-changed' and rest and calm:
            yield unless(after.name == run.name, '{} follows {}', after, run)


# A new unit, and one that leaves

FIRST = (
    'install',
    'relation-created',
    'leader-elected',
    'leader-settings-changed',
    'config-changed',
    'start',
)


@predicate('R4, R18, R19')
def a_new_unit_begins_in_order(history: History) -> Judgement:
    """A new unit runs install, relation-created, leader-elected if it leads, config-changed, start.

    Where it does not lead, Juju 3 runs leader-settings-changed instead; it may come to lead after that.
    """
    for unit in history.runs:
        hooks = history.hooks(unit)
        if not hooks or hooks[0].name.hook != 'install':
            continue
        reached = 0
        for run in hooks:
            hook = run.name.hook
            if hook in ('upgrade-charm', 'update-status'):
                continue
            place = FIRST.index(hook) if hook in FIRST else len(FIRST)
            if hook == 'stop' or (hook == 'relation-departed' and run.departing == unit):
                break  # removed before it had begun
            elected = hook == 'leader-elected' and reached == 3 and _came_to_lead(history, run, hooks[0])
            kept = (place >= reached or elected) and (hook != 'leader-settings-changed' or history.juju == 3)
            kept &= reached >= 4 or place < 5
            yield unless(kept, '{} after {}', run, FIRST[min(reached, 5)])
            reached = max(reached, place)
            if reached == 5 and counts(history, run):
                break


def _came_to_lead(history: History, run: Run, install: Run) -> bool:
    """Tell whether a unit was elected since its install began."""
    lines = history.lines[install.at[0] : run.at[0]]
    return any(line['what'] == 'leads' and line['unit'] == run.unit for line in lines)


@predicate('R4')
def start_follows_the_first_config_changed(history: History) -> Judgement:
    """A new unit's start comes right after its first config-changed, before any other hook or action."""
    for unit, runs in history.runs.items():
        if 'install' not in {run.name.hook for run in history.hooks(unit)}:
            continue
        done = [run for run in runs if counts(history, run)]
        first = [run for run in done if run.name.hook == 'config-changed'][:1]
        later = [run for run in runs if first and run.at[0] > first[0].at[0]]
        if first and first[0].outcome != 'done':  # what ran beside a failed one came before it was over
            later = list(itertools.dropwhile(lambda run: run.asked, later))
        if first and later and not any(run.name.hook == 'stop' for run in done[: done.index(first[0])]):
            yield unless(later[0].name.hook == 'start', '{} follows {}', later[0], first[0])


@predicate('R19')
def peers_join_a_unit_that_is_installed(history: History) -> Judgement:
    """A peer's joined for a new unit begins only when that unit's install is over."""
    for unit in history.runs:
        installs = [run for run in history.hooks(unit) if run.name.hook == 'install']
        for run in history.all:
            if installs and run.name.hook == 'relation-joined' and run.name.remote == unit:
                kept = any(install.at[1] < run.at[0] and counts(history, install) for install in installs)
                yield unless(kept or any(i.name != installs[0].name for i in installs), '{} too early', run)


@predicate('R4')
def the_first_news_come_in_order(history: History) -> Judgement:
    """A new unit runs the application's changed, if its bag was written before, then joins peers by name."""
    for unit in history.runs:
        hooks = history.hooks(unit)
        created = [run for run in hooks if run.name.hook == 'relation-created' and history.is_peer(run)]
        if len({run.name for run in created}) != 1 or hooks[0].name.hook != 'install':
            continue
        entered = created[0].at[0]
        there = _written(history.lines[:entered]) or any(
            is_app(run) and run.at[0] < entered for run in history.all
        )
        joined: List[str] = []
        told = False
        for run in hooks:
            told = told or is_app(run)
            if run.name.hook == 'relation-joined' and history.is_peer(run) and run.outcome == 'done':
                others = [name for name in joined if _entered(history, name, entered)]
                late = _entered(history, run.name.remote, entered) and others and others[-1] > run.name.remote
                yield unless((told or not there) and not late, '{} after {}', run, joined or 'no news')
                joined.append(run.name.remote)


def _written(lines: List[Line]) -> bool:
    return any(line['what'] == 'writes' and line['bag'] == 'app' and line['text'] != '{}' for line in lines)


def is_app(run: Run) -> bool:
    """Tell whether a hook is the changed of the application's databag."""
    return run.name.hook == 'relation-changed' and not run.name.remote


def _entered(history: History, unit: str, place: int) -> bool:
    """Tell whether a unit had entered the relation before that line: it had installed, or was there."""
    hooks = history.hooks(unit)
    new = [run for run in hooks if run.name.hook == 'install']
    created = [run for run in hooks if run.name.hook == 'relation-created' and history.is_peer(run)]
    return not new or any(run.at[0] < place for run in created)


@predicate('R4')
def changed_follows_joined(history: History) -> Judgement:
    """The next hook of the relation after a unit's joined is that unit's changed."""
    for unit in history.runs:
        hooks = [run for run in history.hooks(unit) if history.is_peer(run)]
        for before, run in _pairs(hooks):
            name = before.name
            if name.hook == 'relation-joined' and counts(history, before):
                kept = run.name == name._replace(hook='relation-changed')
                yield unless(kept, '{} follows {}', run, before)


@predicate('R21')
def a_leaving_unit_departs_stops_and_goes(history: History) -> Judgement:
    """A unit that leaves departs from each member, names itself, then runs stop, remove, and no more."""
    for unit in history.runs:
        hooks = history.hooks(unit)
        places = [index for index, run in enumerate(hooks) if run.name.hook == 'stop']
        if not places:
            continue
        departed = {run.name.remote for run in hooks if run.departing == unit and counts(history, run)}
        members = _members(history, hooks[: places[0]], unit) or set(hooks[places[0]].members or ())
        yield unless(not members, '{} stops, and is not departed from {}', unit, members)
        after = {run.name.hook for run in hooks[places[0] :]} - {'stop', 'remove'}
        known = [run for run in hooks if run.name.remote in departed and run.name.hook == 'relation-departed']
        last = hooks[-1].name.hook == 'remove' or hooks[-1].name.hook == 'stop'
        restarted = any(line['what'] == 'started' and line['unit'] == unit for line in history.lines)
        after -= {'relation-broken', 'start'} if restarted else set()
        yield unless(last and not after and (bool(known) or not departed), '{} after stop: {}', unit, after)


def _members(history: History, hooks: List[Run], unit: str) -> Set[str]:
    members: Set[str] = set()
    for run in hooks:
        if history.is_peer(run) and counts(history, run):
            if run.name.hook == 'relation-joined':
                members.add(run.name.remote)
            elif run.name.hook == 'relation-departed':
                members.discard(run.name.remote)
    return members


def counts(history: History, run: Run) -> bool:
    """Tell whether a hook counts as done: committed, resolved without a retry, or over by a lost action.

    A start after a reboot takes the place of a failed hook, which then is neither done nor retried.
    """
    if run.outcome == 'done':
        return True
    later = [other for other in history.runs[run.unit] if other.at[0] > run.at[0]]
    between = list(itertools.takewhile(lambda other: other.asked, later))
    after = later[len(between) :][:1]
    if after and after[0].skipped and after[0].name != run.name:
        return True
    rebooted = after and after[0].name.hook == 'start' and after[0].name != run.name and after[0].restarted
    return bool(_lost(history, between)) and not (rebooted and run.name.hook != 'config-changed')


@predicate('R21')
def departed_names_who_departs(history: History) -> Judgement:
    """relation-departed names the departing unit: the remote one, or on the leaving unit itself."""
    for run in history.all:
        if run.name.hook == 'relation-departed' and run.departing:
            yield unless(run.departing in (run.name.remote, run.unit), '{} names {}', run, run.departing)
        elif run.departing:
            yield '{} names a departing unit'.format(run)


@predicate('R2, section 4.1')
def no_unit_hears_of_itself(history: History) -> Judgement:
    """No unit runs a relation hook about itself; joined, changed after it and departed name another unit."""
    for run in history.all:
        if run.name.hook.startswith('relation-'):
            named = bool(run.name.remote)
            needs = {'relation-joined': True, 'relation-departed': True, 'relation-created': False}
            kept = run.name.remote != run.unit and needs.get(run.name.hook, named) == named
            yield unless(kept, '{} of {!r}', run, run.name.remote)
