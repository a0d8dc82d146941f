"""`make chaos`: random histories of the whole stack, thousands of them, each told again from its seed.

A history is a model of 2 to 7 units on the local Juju, a charm, and bad luck: leadership moves, partitions,
processes killed at any of their calls or at work, commits lost and repeated, programs and hooks that fail,
units added, removed and lost, clocks minutes apart, charm upgrades, actions, poisoned databags. Then the
weather calms, and everybody must be served. All of that follows from the seed.

What is checked, from outside (`Account`): never more at work than slots; a unit that asked is served, and
works once for it unless a hook of it failed; no unit waits for an update-status unless docs/limits.md
says so; the flags are true to the lock; no hook fails that was not made to.

    make chaos SEEDS=1000                  histories 1 to 1000, with progress
    make chaos SEED=17                     tells that one
    make chaos SEEDS=1000 LOCK=charmhelpers.coordinator
"""

import argparse
import compileall
import contextlib
import functools
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from jujusim.juju import Event, Juju, Restless
from tests.deploy import COUNTED, assemble

ROOT = Path(__file__).resolve().parents[2]

OURS, THEIRS = 'layer:coordinator', 'charmhelpers.coordinator'
CHARMS = {OURS: 'probe', THEIRS: 'seed-db'}
WORK = 'systemctl restart'
NEVER_S = 10.0**7

# The charms

HEAD = """
import os
from subprocess import check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator
from charms.reactive import clear_flag, get_flags, is_flag_set, set_flag, when, when_not


def asking(lock, ask=coordinator.request_lock):
    hookenv.log('asks: ' + lock)
    ask(lock)
    hookenv.log('asked: ' + lock)


@when_not('never')
def look():
    for lock in ('restart', 'reindex'):
        flags = [is_flag_set('coordinator.{}.{}'.format(family, lock)) for family in ('requested', 'granted')]
        truth = [coordinator.is_requested(lock), coordinator.is_granted(lock)]
        if any(flags + truth):
            hookenv.log('flags: {} {} {}'.format(lock, flags, truth))


def work(lock):
    check_call(['systemctl', 'restart', lock])
"""
ASK = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        asking('restart')
"""
PLAIN = """
@when('coordinator.granted.restart')
def restart():
    work('restart')
"""
PLANS = {
    'plain': ASK + PLAIN,
    'guarded': """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        set_flag('wanted')
        asking('restart')


@when('coordinator.granted.restart', 'wanted')
def restart():
    clear_flag('wanted')
    work('restart')
""",
    'two locks': ASK
    + PLAIN
    + """
@when('config.changed.go')
def ask_more():
    if hookenv.config('go') % 2:
        asking('reindex')


@when('coordinator.granted.reindex')
def reindex():
    work('reindex')
""",
    'released early': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    work('restart')
    coordinator.release_lock('restart')
    hookenv.log('released: restart')
""",
    'asked again': """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        asking('restart', coordinator.request_again)


@when('coordinator.granted.restart')
def restart():
    work('restart')
    if coordinator.token('restart') % 3 == 0:
        asking('restart', coordinator.request_again)
""",
    'kept': ASK
    + """
@when('coordinator.granted.restart')
def restart():
    if is_flag_set('kept'):
        clear_flag('kept')
        work('restart')
    else:
        set_flag('kept')
        coordinator.keep_lock('restart')
""",
}
MAY_WAIT_FOR_UPDATE_STATUS = ('asked again', 'kept')
"""Nothing wakes a unit for its own sake: docs/limits.md."""

ACTIONS = {
    'look': None,  # a hook's script: it runs the handlers
    'ask': """#!/usr/bin/env python3
import sys

from charmhelpers.core import hookenv
from charms.layer import coordinator

hookenv.log('asks: restart')
coordinator.request_lock('restart')
hookenv.log('asked: restart')
""",
}


@functools.lru_cache(maxsize=None)
def charm_of(lock: str, plan: str, slots: int, queues: str) -> Path:
    """Return the charm of one kind; each process makes it once."""
    options = {'slots': slots, 'queues': queues} if lock == OURS else None
    charm = assemble(ROOT / 'tests' / 'charms' / CHARMS[lock], _scratch() / str(time.monotonic_ns()), options)
    if lock == OURS:
        (charm / 'reactive' / 'plan.py').write_text(HEAD + PLANS[plan])
        (charm / 'actions').mkdir(exist_ok=True)
        for action, text in ACTIONS.items():
            if text is None:
                shutil.copy(str(charm / 'hooks' / 'update-status'), str(charm / 'actions' / action))
            else:
                (charm / 'actions' / action).write_text(text)
    compileall.compile_dir(str(charm), quiet=1)
    return charm


@functools.lru_cache(maxsize=None)
def _scratch() -> Path:
    folder = tempfile.TemporaryDirectory(prefix='chaos-')
    _scratch_folders.append(folder)
    return Path(folder.name)


_scratch_folders: List[Any] = []


# A history


class Kind(NamedTuple):
    """What a seed decides before anything happens.

    Args:
        calm_start: units are deployed before bad luck begins.
        faults: how many things go wrong.
    """

    seed: int
    lock: str
    juju: int
    units: int
    plan: str
    slots: int
    queues: str
    calm_start: bool
    rolls: int
    faults: int
    work_s: float
    slow: bool

    @property
    def per_lock(self) -> bool:
        return self.queues == 'per-lock' or self.lock == THEIRS

    def __str__(self) -> str:
        return (
            'seed {0.seed}: {0.lock}, Juju {0.juju}, {0.units} units, charm {0.plan!r}, slots {0.slots}, '
            'queues {0.queues}, {0.rolls} rolls of {0.work_s:.0f} s, {0.faults} faults{1}{2}'
        ).format(
            self, ' after deployment' if self.calm_start else ' from the start', ', slow' if self.slow else ''
        )


def kind_of(seed: int, lock: str = OURS) -> Kind:
    dice = random.Random('kind {}'.format(seed))
    ours = lock == OURS
    plan = dice.choice(['plain', 'plain', 'guarded', 'guarded', *list(PLANS)[2:]])
    kind = Kind(
        seed=seed,
        lock=lock,
        juju=dice.choice([3, 4]),
        units=dice.choices(range(2, 8), weights=[30, 30, 20, 10, 6, 4])[0],
        plan=plan,
        slots=dice.choice([1, 1, 1, 1, 2]),
        queues=dice.choice(['one', 'one', 'per-lock']),
        calm_start=dice.random() < 0.5,
        rolls=dice.choice([1, 2, 3]),
        faults=dice.randint(1, 8),
        work_s=dice.choice([2.0, 20.0, 60.0]),
        slow=dice.random() < 0.2,
    )
    return kind if ours else kind._replace(plan='plain', juju=3, slots=1, queues='per-lock')


class Verdict(NamedTuple):
    """What came of one history: '' or the first promise that was broken, and the whole story."""

    kind: Kind
    fault: str
    hooks: int
    turns: int
    happened: Tuple[str, ...]
    story: str


class Account:
    """Counts from outside which units asked, which work, and what was made to happen."""

    def __init__(self, model: Juju, kind: Kind) -> None:
        self.model, self.kind = model, kind
        self.faults: List[str] = []
        self.turns = 0
        self.at_work: Dict[str, Set[str]] = {}
        self.asked: Dict[
            Tuple[str, str], str
        ] = {}  # yes; maybe: a hook failed after the work, or amid the ask
        self.worked: Dict[
            str, Dict[str, str]
        ] = {}  # in the hook under way: the lock, and whether asked since
        self.again: Set[Tuple[str, str]] = set()  # asked in the hook under way, before any work
        self.leavers: Set[str] = set()
        self.excused: Set[str] = set()
        model.observers.append(self._see)
        model.readers.append(self._read)

    def broken(self, sentence: str) -> None:
        self.faults.append('at {:.2f}: {}'.format(self.model.now, sentence))

    def _see(self, event: Event) -> None:
        unit, lock = event.unit, event.text[len(WORK) + 1 :]
        if event.what == 'works':
            self._works(unit, lock)
        elif event.what == 'worked':
            if not self.asked.get((unit, lock)):
                self.broken('{} works under {}, which it has not asked for'.format(unit, lock))
            self.worked.setdefault(unit, {})[lock] = ''
        elif event.what in ('ends', 'ran'):
            self._succeeds(unit, lands=True)
            if event.what == 'ends':
                self.excused.discard(unit)
        elif event.what == 'restarts':
            self._succeeds(unit, lands=False)
        elif event.what in ('is killed', 'fails'):
            self._fails(unit, event)
        elif event.what in ('is gone', 'is lost', 'is removed'):
            self.leavers.add(unit)
            if event.what == 'is gone':
                self._frees(unit)
        elif event.what in ('is cut off', 'is back'):
            self.excused.add(unit)

    def _works(self, unit: str, lock: str) -> None:
        group = self.at_work.setdefault(lock if self.kind.per_lock else '', set())
        group.add(unit)
        if len(group) > self.kind.slots:
            self.broken('{} at work together'.format(' and '.join(sorted(group))))

    def _frees(self, unit: str) -> None:
        for group in self.at_work.values():
            group.discard(unit)

    def _succeeds(self, unit: str, lands: bool) -> None:
        self._frees(unit)
        for lock, again in self.worked.pop(unit, {}).items():
            self.turns += 1
            self.asked[unit, lock] = again or ('maybe' if (unit, lock) in self.again or not lands else '')
        self._forget_hook(unit)
        if lands and self.kind.lock == OURS:
            left = [flag for flag in self.model.flags_of(unit) if flag.startswith('coordinator.granted.')]
            if left:
                self.broken('{} ends a hook with {}'.format(unit, ' and '.join(left)))

    def _fails(self, unit: str, event: Event) -> None:
        for lock, again in self.worked.pop(unit, {}).items():
            self.asked[unit, lock] = again or 'maybe'
        self._forget_hook(unit)
        if event.what == 'fails' and not self._made_to(unit, event.text):
            self.broken('{} fails of itself: {}'.format(unit, event.text))

    def _forget_hook(self, unit: str) -> None:
        self.again = {pair for pair in self.again if pair[0] != unit}

    def _made_to(self, unit: str, text: str) -> bool:
        # "flush refused": Juju 4 refuses a hook that wrote the ledger where leadership has moved (R10)
        causes = ('made to fail', 'flush refused', "CalledProcessError: Command '['systemctl'")
        return unit in self.excused or any(cause in text for cause in causes)

    def _read(self, unit: str, text: str) -> None:
        mark, _, rest = text.partition(': ')
        if mark == 'asks':
            self.asked[unit, rest] = self.asked.get((unit, rest)) or 'maybe'
        elif mark == 'asked':
            done, asks_again = self.worked.get(unit, {}), self.kind.plan == 'asked again'
            if rest not in done:
                self.asked[unit, rest] = 'yes'
                self.again |= {(unit, rest)} if asks_again else set()
            elif asks_again:
                done[rest] = 'yes'
        elif mark == 'flags':
            lock, told, truth = rest.split(' ', 1)[0], *rest.split(' ', 1)[1].replace('] [', ']|[').split('|')
            if told != truth:
                self.broken('{}: flags of {} say {}, the lock {}'.format(unit, lock, told, truth))
            if told.endswith('True]'):
                group = self.at_work.get(lock if self.kind.per_lock else '', set()) - {unit}
                if len(group) >= self.kind.slots:
                    self.broken('{} is granted {} while {} work'.format(unit, lock, ' and '.join(group)))
                if not self.asked.get((unit, lock)):
                    self.broken('{} is granted {}, which it has not asked for'.format(unit, lock))

    def unserved(self) -> List[str]:
        return [
            '{} waits for {}'.format(unit, lock)
            for (unit, lock), asked in sorted(self.asked.items())
            if asked == 'yes' and unit not in self.leavers
        ]


class Strokes:
    """What may hit a unit whatever code it runs."""

    model: Juju
    dice: random.Random

    def crashes(self, unit: str) -> str:
        self.model.crash_hook(unit, self.dice.randint(1, 12))
        return 'a crash at a call'

    def kills(self, unit: str) -> Optional[str]:
        busy = [name for name in self.model.running if self.model.running[name].child is not None]
        if not busy:
            return None
        self.model.kill_hook(self.dice.choice(sorted(busy)))
        return 'a kill'

    def fails_at_work(self, unit: str) -> str:
        self.model.fail_command(unit, WORK + ' restart', times=self.dice.choice([1, 2]))
        return 'a program that fails'

    def repeats_commit(self, unit: str) -> str:
        self.model.repeat_commit(unit)
        return 'a commit repeated'


class BadLuck(Strokes):
    """Makes things go wrong in one model, at times that its dice choose."""

    def __init__(self, model: Juju, kind: Kind) -> None:
        self.model, self.kind = model, kind
        self.dice = random.Random('luck {}'.format(kind.seed))
        self.happened: List[str] = []
        self.poisoned: Set[str] = set()
        self.may_wait = kind.plan in MAY_WAIT_FOR_UPDATE_STATUS
        self._left_in: Dict[str, Any] = {}  # leadership left these units in this hook
        model.observers.append(self._see)
        may_lead = model.may_lead
        model.may_lead = lambda unit: (  # type: ignore[method-assign]
            may_lead(unit) and not self._returns(unit)
        )
        self._leader = model.controller.leader
        self.kinds: List[Callable[[str], Optional[str]]] = [
            self.elects, self.elects, self.elects, self.cuts, self.crashes, self.crashes, self.kills,
            self.kills, self.fails, self.fails_at_work, self.loses_commit, self.repeats_commit, self.adds,
            self.removes, self.loses, self.upgrades,
        ]  # fmt: skip
        if kind.lock == OURS:
            self.kinds += [self.acts, self.acts, self.poisons]

    # Leadership does not return to a unit within one hook: docs/limits.md

    def _see(self, event: Event) -> None:
        leader = self.model.controller.leader
        if leader != self._leader:
            if self._leader in self.model.running:
                self._left_in[self._leader] = self.model.running[self._leader]
            if leader and self.model.agents[leader].local.leads:
                self.may_wait = True  # its agent never knew that it had lost it: no leader-elected (R17)
            self._leader = leader

    def _returns(self, unit: str) -> bool:
        running = self.model.running.get(unit)
        return running is not None and self._left_in.get(unit) is running

    # What may happen

    def strikes(self) -> None:
        if self.model.controller.leader is None:
            self.model.elect()
        alive = [unit for unit in self.model.units if self.model.controller.units[unit].connected]
        if alive:
            kind = self.dice.choice(self.kinds)
            said = kind(self.dice.choice(alive))
            if said:
                self.happened.append(said)
                self.model.note('bad luck:', said)

    def elects(self, unit: str) -> str:
        self.model.elect(unit)
        return 'leadership moves'

    def cuts(self, unit: str) -> str:
        self.model.partition(unit, self.dice.choice([5.0, 40.0, 150.0]))
        return 'a partition'

    def fails(self, unit: str) -> str:
        self.model.fail_hook(unit, times=self.dice.choice([1, 1, 2]))
        return 'a hook that fails'

    def loses_commit(self, unit: str) -> str:
        self.model.lose_commit(unit)
        return 'a commit lost'

    def adds(self, unit: str) -> Optional[str]:
        if len(self.model.units) >= 8:
            return None
        added = self.model.add_unit()
        self.model.clock_skew_s[added] = self.dice.uniform(-300, 300)
        if self.dice.random() < 0.4:
            self.model.elect(added, after_s=self.dice.uniform(0.01, 5))
        return 'a unit added'

    def _can_spare(self, unit: str) -> bool:
        staying = [each for each in self.model.units if self.model.controller.units[each].life == 'alive']
        return len(staying) > 1 and unit in staying

    def removes(self, unit: str) -> Optional[str]:
        if not self._can_spare(unit):
            return None
        self.may_wait = True
        self.model.remove_unit(unit)
        return 'a unit removed'

    def loses(self, unit: str) -> Optional[str]:
        if not self._can_spare(unit) or self.dice.random() < 0.5:
            return None
        self.may_wait = True
        self.model.lose_unit(unit)
        self.model.at(self.model.now + 30, lambda: self.model.lose_unit(unit, force=True))
        return 'a unit lost'

    def upgrades(self, unit: str) -> str:
        self.model.upgrade(unit)
        return 'an upgrade'

    def acts(self, unit: str) -> str:
        action = self.dice.choice(['look'] if self.kind.plan == 'guarded' else ['look', 'look', 'ask'])
        self.may_wait = self.may_wait or action == 'ask'
        self.model.run_action(unit, action)
        return 'an action'

    def poisons(self, unit: str) -> str:
        junk = [
            '',
            '{',
            '[]',
            '{"v": 1, "queues": {"": {"asked": -1}}}',
            '{"v": 2}',
            'null',
            '\ud83d'[:0] + 'x' * 99,
        ]
        self.model.poison(unit, 'coordinator-claims', self.dice.choice(junk))
        self.poisoned.add(unit)
        return 'a poisoned databag'


def machine(kind: Kind) -> Callable[[str, List[str]], Optional[Tuple[float, int]]]:
    return lambda unit, argv: (kind.work_s, 0) if argv[:2] == WORK.split() else None


def live(kind: Kind, quick: bool = True) -> Verdict:
    """Live through one history; return what came of it."""
    luck = random.Random('times {}'.format(kind.seed))
    delay_s = (0.5, 20.0) if kind.slow else None
    charm = charm_of(kind.lock, kind.plan, kind.slots, kind.queues)
    with Juju(
        charm, units=kind.units, juju=kind.juju, seed=kind.seed, config={'go': 0}, machine=machine(kind),
        delay_s=delay_s, update_status_s=NEVER_S, quick=quick, counted=COUNTED,
    ) as model:  # fmt: skip
        account, bad = Account(model, kind), BadLuck(model, kind)
        for unit in model.units:
            model.clock_skew_s[unit] = luck.choice([0.0, luck.uniform(-300, 300)])
        with _told(account):
            if kind.calm_start:
                model.run()
            start = model.now
            last = start + 20 + kind.rolls * kind.work_s * 2
            for _ in range(kind.rolls):
                model.at(start + luck.uniform(0, last - start), functools.partial(_roll, model))
            for _ in range(kind.faults):
                model.at(start + luck.uniform(0, last - start), bad.strikes)
            model.run(seconds=last + 40 - start)
            _calm(model, account, bad)
        story = '{}\n{}'.format(kind, model.story())
        fault = account.faults[0] if account.faults else ''
        return Verdict(kind, fault, len(model.costs), account.turns, tuple(bad.happened), story)


@contextlib.contextmanager
def _told(account: Account) -> Iterator[None]:
    try:
        yield
    except Restless:
        account.broken('no rest within a day')


def _roll(model: Juju) -> None:
    model.configure(go=int(str(model.controller.config['go'])) + 1)


def _calm(model: Juju, account: Account, bad: BadLuck) -> None:
    """Nothing goes wrong any more. Whoever asked is served before the model comes to rest."""
    if model.controller.leader is None:
        model.elect()
    for unit in sorted(bad.poisoned & set(model.units)):
        model.upgrade(unit)  # a unit whose databag was spoilt tells its claims again when it is upgraded
    model.run()
    stalled = account.unserved()
    for _ in range(3 * len(model.units) if bad.kind.plan in MAY_WAIT_FOR_UPDATE_STATUS else 1):
        if account.unserved():
            for unit in model.units:
                model.update_status(unit)
            model.run()
    lost = account.unserved()
    for sentence in lost if bad.may_wait else stalled:
        account.broken(sentence + (' for ever' if sentence in lost else ' until an update-status'))


# A campaign


def judged(seed_and_lock: Tuple[int, str]) -> Verdict:
    verdict = live(kind_of(*seed_and_lock))
    return verdict if verdict.fault else verdict._replace(story='')


def campaign(seeds: List[int], lock: str, processes: int = 2) -> Iterator[Verdict]:
    """Live through many histories on all cores; yield each when it is known."""
    context = multiprocessing.get_context('fork')
    with context.Pool(processes, maxtasksperchild=20) as pool:
        yield from pool.imap_unordered(judged, [(seed, lock) for seed in seeds], chunksize=5)


SORTS = {
    'work together': 'two at work',
    'for ever': 'a turn lost',
    'until an update-status': 'a turn stalled until update-status',
    'is granted': 'granted out of turn',
    'not asked for': 'work without a request',
    'flags of': 'flags that are not true',
    'fails of itself': 'a hook that fails of itself',
    'no rest': 'no rest',
}


def sort_of(fault: str) -> str:
    return next((sort for words, sort in SORTS.items() if words in fault), fault)


def main(words: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='make chaos', description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, default=200, help='how many histories, from --first on')
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--seed', type=int, help='tell this one history')
    parser.add_argument('--lock', choices=sorted(CHARMS), default=OURS)
    parser.add_argument('--processes', type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args(words)
    if options.seed is not None:
        verdict = live(kind_of(options.seed, options.lock))
        print(verdict.story)
        print('\n' + (verdict.fault or 'no promise was broken'))
        return bool(verdict.fault)
    return _campaign(options)


def _campaign(options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(width=None if sys.stdout.isatty() else 130)
    broken: List[Verdict] = []
    sorts: Counter = Counter()
    happened: Counter = Counter()
    hooks = turns = done = 0
    began = time.monotonic()
    columns = (
        TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn('{task.fields[rate]}'),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(options.lock, total=options.seeds, rate='')
        for verdict in campaign(
            list(range(options.first, options.first + options.seeds)), options.lock, options.processes
        ):
            done, hooks, turns = done + 1, hooks + verdict.hooks, turns + verdict.turns
            happened.update(verdict.happened)
            rate = '{:.1f} histories/s, {:.0f} hooks/s'.format(
                done / (time.monotonic() - began), hooks / (time.monotonic() - began)
            )
            progress.update(task, advance=1, rate=rate)
            if not console.is_terminal and done % 1000 == 0:
                print('{} of {}: {}'.format(done, options.seeds, rate), flush=True)
            if verdict.fault:
                broken.append(verdict)
                sorts[sort_of(verdict.fault)] += 1
                if len(broken) <= 10:
                    console.print('seed {}: {}'.format(verdict.kind.seed, verdict.fault), highlight=False)
    seconds = time.monotonic() - began
    console.print(
        '{}: {:,} histories in {:.0f} s, {:,} hooks, {:,} turns used. It went wrong on purpose: {}.'.format(
            options.lock, done, seconds, hooks, turns,
            ', '.join('{} {:,}'.format(what, count) for what, count in sorted(happened.items())),
        ),
        highlight=False,
    )  # fmt: skip
    if not broken:
        console.print('No promise was broken in any.')
        return 0
    console.print(
        'A promise was broken in {:,} of {:,} ({:.1%}): {}. The first: make chaos SEED={}'.format(
            len(broken), done, len(broken) / done,
            ', '.join('{} {:,}'.format(*each) for each in sorts.most_common()),
            min(verdict.kind.seed for verdict in broken),
        ),
        highlight=False,
    )  # fmt: skip
    return 1


if __name__ == '__main__':
    sys.exit(main())
