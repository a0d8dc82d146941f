"""`make plain`: random histories in which nothing goes wrong, and a charm makes the calls in any order.

The other campaign breaks everything, and its charms ask in one way each. Here no hook fails and nothing is
lost. But a unit asks for, releases and keeps three locks in any order, more than once in a hook: in
handlers, in the handler that has its turn, at import, in early and late callbacks, in actions and juju exec.
Around that go gates, rolls, pauses, cancellations, units that join and leave, another leader, and a refresh
to other options. All of that follows from the seed, and so does what each hook of a unit calls.

What is checked: never more units work under a lock than it has slots; what was asked for is worked once for,
and nothing else is; no unit waits for an update-status unless docs/limits.md says so; what a call returns,
the functions and the flags agree; no hook fails.

    make plain SEEDS=1000        histories 1 to 1000
    make plain SEED=17           tells that one
"""

import argparse
import functools
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from jujusim.juju import Event, Juju, Restless
from tests.campaigns.anyorder import ASIDE, CALLED, LAST, LOCKS, RESUME, charm_of
from tests.campaigns.doing import is_wake_up
from tests.campaigns.plans import OPTIONS
from tests.deploy import COUNTED

CALM_S = 10**6
Pair = Tuple[str, str]
"""A unit and a lock."""


class Kind(NamedTuple):
    """What a seed decides before anything happens."""

    seed: int
    juju: int
    units: int
    options: str
    refreshed: str
    orders: Tuple[str, ...]
    keeps: bool
    joins: bool
    leaves: bool
    elects: bool
    calm_start: bool
    asides: int
    slow: bool
    gates: bool

    def __str__(self) -> str:
        told = (each for each in self._asdict().items() if each[1] not in ('', False, ()))
        return ', '.join('{} {}'.format(*each) for each in told)


def kind_of(seed: int) -> Kind:
    dice = random.Random('plain {}'.format(seed))
    options = dice.choice(['one queue'] * 3 + ['per-lock'] * 2 + list(OPTIONS)[2:])
    orders = dice.choice(
        [(), (), ('roll',), ('roll', 'replace'), ('roll', 'cancel', 'replace'), ('roll', 'pause', 'resume')]
    )
    return Kind(
        seed=seed,
        juju=dice.choice([3, 4]),
        units=dice.choice([2, 3, 4]),
        options=options,
        refreshed=dice.choice([each for each in OPTIONS if each != options]) if dice.random() < 0.3 else '',
        orders=orders,
        keeps=dice.random() < 0.5,
        joins=dice.random() < 0.3,
        leaves=dice.random() < 0.25,
        elects=dice.random() < 0.2,
        calm_start=dice.random() < 0.5,
        asides=dice.choice([0, 2, 4]),
        slow=dice.random() < 0.3,
        gates=dice.random() < 0.3,
    )


class Account:
    """Keeps account of what units have asked for and work under; `faults` are the promises that were broken.

    Attributes:
        owed: what was asked for, and not yet worked for.
        after: what is to come after the turn that goes on.
        kept: the locks that the hook under way keeps, or the last one has kept.
    """

    def __init__(self, model: Juju, kind: Kind) -> None:
        self.model, self.kind = model, kind
        self.options = {kind.options}
        self.faults: List[str] = []
        self.owed: Set[Pair] = set()
        self.after: Set[Pair] = set()
        self.kept: Set[Pair] = set()
        self.kept_before: Set[Pair] = set()
        self.worked: Dict[str, Set[str]] = {}  # by unit, in the hook under way
        self.holds: Dict[str, Set[str]] = {}
        self.begins: Set[str] = set()  # units of which a hook has begun that has run no code of the charm
        self.leavers: Set[str] = set()
        self.turns = 0
        model.observers.append(self._see)
        model.readers.append(self._read)

    def broken(self, sentence: str) -> None:
        self.faults.append('at {:.2f}: {}'.format(self.model.now, sentence))

    def _see(self, event: Event) -> None:
        unit = event.unit
        if event.what == 'begins':
            if self._is_own(unit):
                self.begins.add(unit)
        elif event.what == 'works':
            self._works(unit, event.text.split()[-1])
        elif event.what in ('ends', 'ran'):
            self.begins.discard(unit)
            if unit in self.worked:
                self._ends(unit)
        elif event.what == 'fails' and 'flush refused' not in event.text:  # leadership has moved
            self.broken('{} fails: {}'.format(unit, event.text))
        elif event.what == 'is gone':
            self.holds.pop(unit, None)
        elif event.what == 'is removed':
            self.leavers.add(unit)

    def _is_own(self, unit: str) -> bool:
        """Return whether what a unit runs now is a hook of its own, in which it may have turns."""
        operation = self.model.running[unit].operation
        return not operation.aside or is_wake_up(operation.script)

    def _enters(self, unit: str) -> None:
        """Let what the last hook kept be kept before: a hook has begun to run the charm's code.

        A wake-up that does not count runs none.
        """
        if unit in self.begins:
            self.begins.discard(unit)
            kept = self._of(self.kept, unit)
            self.kept_before = (self.kept_before - self._of(self.kept_before, unit)) | kept
            self.kept -= kept
            self.worked[unit] = set()

    @staticmethod
    def _of(pairs: Set[Pair], unit: str) -> Set[Pair]:
        return {pair for pair in pairs if pair[0] == unit}

    def _works(self, unit: str, lock: str) -> None:
        pair = unit, lock
        self.turns += 1
        self.worked.setdefault(unit, set()).add(lock)
        if pair not in self.owed | self.kept_before and not self.kind.orders and unit not in self.leavers:
            self.broken('{} works under {}, which it has not asked for'.format(unit, lock))
        self.owed.discard(pair)
        self.holds.setdefault(unit, set()).add(lock)
        shares = len(self.options) == 1 and not OPTIONS[self.kind.options].per_lock
        others = [each for each, locks in self.holds.items() if locks and (shares or lock in locks)]
        if len(others) > max(OPTIONS[each].most(len(self.model.units) + 1) for each in self.options):
            self.broken('{} work together'.format(' and '.join(sorted(others))))

    def _ends(self, unit: str) -> None:
        self.worked.pop(unit)
        self.holds[unit] = {lock for _, lock in self._of(self.kept, unit)}
        over = self._of(self.after, unit) - self.kept
        self.owed |= over
        self.after -= over

    def _read(self, unit: str, text: str) -> None:
        mark, _, rest = text.partition(' ')
        if mark in ('CALL', 'HOOK'):
            self._enters(unit)
        if mark == 'WRONG:':
            self.broken('{}: {}'.format(unit, rest))
        elif mark == 'CALL' and unit not in self.leavers:
            self._calls(unit, *rest.split()[:3])
        elif mark == 'DONE' and unit not in self.leavers:
            self._called(unit, *rest.split())

    def _calls(self, unit: str, call: str, lock: str, held: str) -> None:
        pair = unit, lock
        if call == 'again' and (held == 'True' or pair in self.kept):  # an action sees no turn that is kept
            self.after.add(pair)
        elif call in CALLED and held == 'False':
            self.owed.add(pair)

    def _called(self, unit: str, call: str, lock: str, held: str, got: str, *now: str) -> None:
        pair, (asked, granted) = (unit, lock), now
        if call in ('request', 'again') and asked != 'True':
            self.broken('{} has asked for {}, and is_requested says no'.format(unit, lock))
        if call == 'request' and got not in ('None', granted):
            self.broken('{}: request_lock of {} says {}, is_granted {}'.format(unit, lock, got, granted))
        if call == 'request' and got == 'True' and held == 'False' and lock in self.worked.get(unit, ()):
            self.broken('{} has {} again in the hook that released it'.format(unit, lock))
        if call == 'release':
            for known in (self.owed, self.after, self.kept):
                known.discard(pair)
            if granted == 'True' or (asked == 'True' and not self.kind.orders):
                self.broken('{} has released {}, and still has it'.format(unit, lock))
        if call == 'keep' and got == 'True':
            self.kept.add(pair)

    def left(self) -> List[str]:
        """Return what is still owed, and flags that are still set."""
        staying = [unit for unit in self.model.units if unit not in self.leavers]
        owed = set() if 'cancel' in self.kind.orders else self.owed
        waiting = sorted(pair for pair in owed if pair[0] in staying)
        flags = [
            '{} has the flag {}'.format(unit, flag)
            for unit in staying
            for flag in sorted(self.model.flags_of(unit))
            if flag.startswith(('coordinator.requested', 'coordinator.granted'))
        ]
        return ['{} waits for {}'.format(*pair) for pair in waiting] + flags


class Verdict(NamedTuple):
    """What came of one history: '' or the first promise that was broken, and the whole story."""

    kind: Kind
    fault: str
    hooks: int
    turns: int
    story: str


def machine(unit: str, argv: List[str]) -> Optional[Tuple[float, int]]:
    return (float(argv[1]), 0) if argv[0] == 'work' else None


def live(kind: Kind) -> Verdict:
    """Live through one history; return what came of it."""
    dice = random.Random('times {}'.format(kind.seed))
    home = Path(tempfile.mkdtemp(prefix='plain-'))
    try:
        charm = charm_of(kind.seed, kind.options, kind.orders, kind.keeps, home / 'charm')
        with Juju(
            charm, units=kind.units, juju=kind.juju, seed=kind.seed, config={'go': 0, 'memory': 1},
            machine=machine, delay_s=(0.5, 15.0) if kind.slow else None, update_status_s=CALM_S, quick=True,
            counted=COUNTED,
        ) as model:  # fmt: skip
            account = Account(model, kind)
            try:
                if kind.calm_start:
                    model.run()
                _plan(model, account, kind, dice, home)
                model.run(seconds=101)
                _calm(model, account)
            except Restless:
                account.broken('no rest within a day')
            story = '{}\n{}'.format(kind, model.story())
            return Verdict(kind, (account.faults or [''])[0], len(model.costs), account.turns, story)
    finally:
        shutil.rmtree(str(home))


def _plan(model: Juju, account: Account, kind: Kind, dice: random.Random, home: Path) -> None:
    """Book what happens within the next 100 seconds."""

    def book(what: Callable[..., object], *words: object) -> None:
        model.at(model.now + dice.uniform(0, 100), functools.partial(what, *words))

    for _ in range(kind.asides):
        unit, lock, call = dice.choice(model.units), dice.choice(LOCKS), dice.choice(sorted(CALLED))
        book(_aside, model, unit, ASIDE.format(lock, call, CALLED[call]), dice.random() < 0.6)
    for go in (1, 2, 3):
        book(functools.partial(model.configure, go=go))
    if kind.joins:
        book(model.add_unit)
    if kind.leaves:
        book(model.remove_unit, dice.choice(model.units))
    if kind.elects:
        book(model.elect)
    if kind.refreshed:
        charm = charm_of(kind.seed, kind.refreshed, kind.orders, kind.keeps, home / 'refreshed')
        model.at(model.now, lambda: _refresh(model, account, kind, charm))
        for unit in model.units:
            book(_upgrade, model, unit, charm)
    if kind.gates:
        book(functools.partial(model.configure, memory=2))
        model.at(model.now + 100, functools.partial(model.configure, memory=3))


def _aside(model: Juju, unit: str, script: str, as_action: bool) -> None:
    if unit in model.units and model.controller.units[unit].life == 'alive':
        model.run_exec(unit, script, as_action)


def _refresh(model: Juju, account: Account, kind: Kind, charm: Path) -> None:
    account.options.add(kind.refreshed)
    model.charm = charm  # of units that are added from now on


def _upgrade(model: Juju, unit: str, charm: Path) -> None:
    if unit in model.units:
        model.upgrade(unit, charm)


def _calm(model: Juju, account: Account) -> None:
    """Everybody must be served, before any update-status but those that look at a lock that is kept."""
    model.run()
    for turn in range(2 * LAST):
        if turn % LAST == 0 and 'pause' in account.kind.orders and model.controller.leader:
            model.run_exec(model.controller.leader, RESUME, as_action=True)
            model.run()
        holders = [unit for unit in model.units if account.holds.get(unit)]
        for unit in holders:  # nothing wakes a unit for its own sake: docs/limits.md
            model.update_status(unit)
        model.run()
    stalled = account.left()
    for _ in range(3):
        for unit in model.units if stalled else ():
            model.update_status(unit)
        model.run()
    lost, kind = account.left(), account.kind
    own = any(str(OPTIONS[each].given.get('class', '')).startswith('mine') for each in account.options)
    excused = kind.juju == 3 and (kind.leaves or own)  # docs/limits.md, docs/compatibility.md
    for sentence in lost or ([] if excused else stalled):
        account.broken(sentence + (' for ever' if lost else ' until an update-status'))


def main(words: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(prog='make plain', description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--seeds', type=int, default=200, help='how many histories, from --first on')
    parser.add_argument('--first', type=int, default=1)
    parser.add_argument('--seed', type=int, help='tell this one history')
    options = parser.parse_args(words)
    if options.seed is not None:
        verdict = live(kind_of(options.seed))
        print('{}\n\n{}'.format(verdict.story, verdict.fault or 'no promise was broken'))
        return bool(verdict.fault)
    broken = hooks = turns = 0
    for number, seed in enumerate(range(options.first, options.first + options.seeds), 1):
        verdict = live(kind_of(seed))
        hooks, turns = hooks + verdict.hooks, turns + verdict.turns
        if verdict.fault:
            broken += 1
            print('seed {}: {}'.format(seed, verdict.fault), flush=True)
        if number % 100 == 0:
            print('{} of {}'.format(number, options.seeds), flush=True)
    print('{:,} histories, {:,} hooks, {:,} turns, {} broken'.format(options.seeds, hooks, turns, broken))
    return bool(broken)


if __name__ == '__main__':
    sys.exit(main())
