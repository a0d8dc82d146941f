"""`make chaos`: random histories of the whole stack, thousands of them, each told again from its seed.

A history is a model of 2 to 7 units on the local Juju, a charm (plans.py), and bad luck (luck.py). Then the
weather calms, and everybody must be served. All of that follows from the seed, and from the strokes that
were chosen.

What is checked, from outside (account.py): never more units hold a lock than it has slots, where a turn
lasts until a hook of the unit itself has succeeded; a unit that asked is served, and works once for it,
unless a hook of it failed before its flags were saved; no unit waits for an update-status unless
docs/limits.md says so; the flags are true to the lock; no action uses a turn; no hook fails that was not
made to. And from word.py, what an operator orders by the actions of the layer: each unit in a roll has its
turn; no turn begins in a pause, after it was cancelled, or behind a gate that is shut; a freed unit begins
nothing before it has a new ticket. In calm an operator ends the pauses, and no roll is left under way.

    make chaos SEEDS=1000                  histories 1 to 1000, with progress
    make chaos SEEDS=1000 ONLY=exec,fail   with these strokes only
    make chaos SEEDS=1000 ONLY=roll,pause,resume,cancel,free,gate,fail,leader     an operator's orders
    make chaos SEED=17                     tells that one
    make chaos SEEDS=1000 LOCK=charmhelpers.coordinator
"""

import argparse
import contextlib
import functools
import hashlib
import multiprocessing
import os
import random
import sys
import time
import uuid
from collections import Counter
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from jujusim.juju import Juju, Restless
from tests.campaigns.account import WORK, Account
from tests.campaigns.luck import STROKES, BadLuck
from tests.campaigns.plans import CHARMS, MAY_WAIT_FOR_UPDATE_STATUS, OPTIONS, OURS, PLANS, charm_of
from tests.deploy import COUNTED

NEVER_S = 10.0**7

# A history


class Kind(NamedTuple):
    """What a seed decides before anything happens.

    Args:
        options: the layer options, by their name in `plans.OPTIONS`.
        refreshed: those of a refresh, if there is one.
        retry: whether Juju retries a failed hook by itself; else an operator does.
        calm_start: units are deployed before bad luck begins.
        faults: how many things go wrong.
        only: the strokes that may be, all if none is named.
    """

    seed: int
    lock: str
    juju: int
    units: int
    plan: str
    options: str
    refreshed: str
    retry: bool
    subordinate: bool
    calm_start: bool
    rolls: int
    faults: int
    work_s: float
    slow: bool
    only: Tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            'seed {0.seed}: {0.lock}, Juju {0.juju}, {0.units} units, charm {0.plan!r}, {0.options}, '
            '{0.rolls} rolls of {0.work_s:.0f} s, {0.faults} faults{1}{2}{3}{4}'
        ).format(
            self,
            ' after deployment' if self.calm_start else ' from the start',
            ', slow' if self.slow else '',
            '' if self.retry else ', no retry',
            ', subordinate' if self.subordinate else '',
        )


def kind_of(seed: int, lock: str = OURS, only: Tuple[str, ...] = ()) -> Kind:
    dice = random.Random('kind {}'.format(seed))
    plan = dice.choice(['plain', 'plain', 'plain', 'guarded', 'guarded', *list(PLANS)[2:]])
    options = dice.choice(['one queue'] * 6 + ['per-lock'] * 2 + list(OPTIONS)[2:])
    kind = Kind(
        seed=seed,
        lock=lock,
        juju=dice.choice([3, 4]),
        units=dice.choices(range(2, 8), weights=[30, 30, 20, 10, 6, 4])[0],
        plan=plan,
        options=options,
        refreshed=dice.choice([name for name in OPTIONS if name != options]),
        retry=dice.random() < 0.85,
        subordinate=dice.random() < 0.1,
        calm_start=dice.random() < 0.5,
        rolls=dice.choice([1, 2, 3]),
        faults=dice.randint(1, 8),
        work_s=dice.choice([2.0, 20.0, 60.0]),
        slow=dice.random() < 0.2,
        only=only,
    )
    if lock == OURS:
        return kind
    return kind._replace(plan='plain', juju=3, options='per-lock', retry=True, subordinate=False)


class Verdict(NamedTuple):
    """What came of one history: '' or the first promise that was broken, and the whole story."""

    kind: Kind
    fault: str
    hooks: int
    turns: int
    happened: Tuple[str, ...]
    story: str


def machine(kind: Kind) -> Callable[[str, List[str]], Optional[Tuple[float, int]]]:
    return lambda unit, argv: (kind.work_s, 0) if argv[:2] == WORK.split() else None


def live(kind: Kind, quick: bool = True) -> Verdict:
    """Live through one history; return what came of it."""
    luck = random.Random('times {}'.format(kind.seed))
    delay_s = (0.5, 20.0) if kind.slow else None
    charm = charm_of(kind.lock, kind.plan, kind.options, kind.subordinate)
    with Juju(
        charm, units=kind.units, juju=kind.juju, seed=kind.seed, config={'go': 0}, machine=machine(kind),
        delay_s=delay_s, update_status_s=NEVER_S, quick=quick, counted=COUNTED,
        retry_automatically=kind.retry, subordinate=kind.subordinate,
    ) as model:  # fmt: skip
        account = Account(model, kind)
        bad = BadLuck(model, kind, account)
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
            if not kind.retry:
                _attend(model, luck, start, last)
            model.run(seconds=last + 40 - start)
            _calm(model, account, bad)
        story = '{}\n{}'.format(kind, model.story())
        fault = account.faults[0] if account.faults else ''
        return Verdict(kind, fault, len(model.costs), account.turns, tuple(bad.happened), story)


@contextlib.contextmanager
def _told(account: Account) -> Iterator[None]:
    known: Counter = Counter()

    def name() -> uuid.UUID:
        """Return a name that the seed decides: each hook has a context of its own."""
        context = os.environ.get('JUJU_CONTEXT_ID', '')
        known[context] += 1
        return uuid.UUID(hashlib.sha256('{} {}'.format(context, known[context]).encode()).hexdigest()[:32])

    real, uuid.uuid4 = uuid.uuid4, name
    try:
        yield
    except Restless:
        account.broken('no rest within a day')
    finally:
        uuid.uuid4 = real


def _roll(model: Juju) -> None:
    model.configure(go=int(str(model.controller.config['go'])) + 1)


def _attend(model: Juju, dice: random.Random, start: float, last: float) -> None:
    """Let an operator come by now and then, and resolve what is in error, with a retry."""
    when = start
    while when < last:
        when += dice.uniform(10, 40)
        model.at(when, functools.partial(_resolve_all, model))


def _resolve_all(model: Juju) -> None:
    for unit in model.units:
        model.resolve(unit)


def _calm(model: Juju, account: Account, bad: BadLuck) -> None:
    """Nothing goes wrong any more. Whoever asked is served before the model comes to rest."""
    bad.ends()
    model.run()
    bad.resumes()
    stalled = _left(account)
    bad.frees_unnamed()
    model.note('calm:', 'update-status may come now')
    for _ in range(8 + 4 * len(model.units) if bad.kind.plan in MAY_WAIT_FOR_UPDATE_STATUS else bad.patience):
        if _left(account):
            for unit in model.units:
                model.update_status(unit)
            model.run()
            bad.resumes()  # an order that had no ledger to stand in may stand in one only now
    lost = _left(account)
    for sentence in lost if bad.waits else stalled:
        account.broken(sentence + (' for ever' if sentence in lost else ' until an update-status'))


def _left(account: Account) -> List[str]:
    return account.unserved() + account.word.left()


# A campaign


def judged(which: Tuple[int, str, Tuple[str, ...]]) -> Verdict:
    verdict = live(kind_of(*which))
    return verdict if verdict.fault else verdict._replace(story='')


def campaign(
    seeds: List[int], lock: str, only: Tuple[str, ...] = (), processes: int = 2
) -> Iterator[Verdict]:
    """Live through many histories on all cores; yield each when it is known."""
    context = multiprocessing.get_context('fork')
    with context.Pool(processes, maxtasksperchild=400) as pool:
        yield from pool.imap_unordered(judged, [(seed, lock, only) for seed in seeds], chunksize=5)


SORTS = {
    'which is paused': 'a turn begun in a pause',
    'was cancelled': 'a turn begun that was cancelled',
    'shut gate': 'a turn begun behind a shut gate',
    'asks its gate': 'a gate asked again',
    'was freed': 'a turn that was freed',
    'out of a roll': 'a unit left out of a roll',
    'does not stand': 'an order that is lost',
    'still paused': 'a pause that nobody can end',
    'left under way': 'a roll left under way',
    'work together': 'two at work',
    'hold a lock together': 'two hold a lock',
    'in an action': 'a turn used in an action',
    'works under': 'work without a request',
    'for ever': 'a turn lost',
    'until an update-status': 'a turn stalled until update-status',
    'is granted': 'granted without a request',
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
    parser.add_argument('--only', default='', help='strokes, with commas: ' + ', '.join(STROKES))
    parser.add_argument('--processes', type=int, default=multiprocessing.cpu_count())
    options = parser.parse_args(words)
    options.only = tuple(word for word in options.only.split(',') if word)
    if not set(options.only) <= set(STROKES):
        parser.error(
            '--only: expected some of {}, found {}'.format(', '.join(STROKES), ', '.join(options.only))
        )
    if options.seed is not None:
        verdict = live(kind_of(options.seed, options.lock, options.only))
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
            list(range(options.first, options.first + options.seeds)),
            options.lock,
            options.only,
            options.processes,
        ):
            done, hooks, turns = done + 1, hooks + verdict.hooks, turns + verdict.turns
            happened.update(verdict.happened)
            rate = '{:.1f} histories/s, {:.0f} hooks/s'.format(
                done / (time.monotonic() - began), hooks / (time.monotonic() - began)
            )
            progress.update(task, advance=1, rate=rate)
            if not console.is_terminal and done % 100 == 0:
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
