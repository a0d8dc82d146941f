"""A roll that an operator starts by one action: what it costs, for every number of slots and many seeds.

hooks      all that ran from the action until the model was at rest, the action too
scripts    what juju-exec ran meanwhile: with more slots than one, a look after each hook that used a turn
limit      N·(N−1) for the releases, and two ledger writes, each of which wakes N−1 others
whole      hooks in which Python ran
rolled     hooks in which the flag coordinator.rolled.restart was set
work       so long N units work, as many at once as may
floor      the same where each turn is its work and one hook, as in bench.py
"""

import concurrent.futures
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterable, List, NamedTuple, Tuple, Union

from benchmarks import bench
from benchmarks.account import RUNS_WHOLE
from jujusim.juju import Juju
from tests.deploy import IMPORTS, assemble
from tests.watch import Watch

Slots = Union[int, str]
SLOTS: Tuple[Slots, ...] = (1, 2, '25%')
ROLLED = 'rolled.restart is set'
NEVER_S = 1e9

PLAN = (
    IMPORTS
    + """
@when('coordinator.granted.restart')
def restart():
    check_call(['systemctl', 'restart', 'rolling-db'])


@when('coordinator.rolled.restart')
def rolled():
    hookenv.log('rolled.restart is set')
"""
)
ACTION = """
from charms.layer import coordinator

refused = coordinator.request_roll('restart')
if refused:
    raise SystemExit(refused)
"""


class Ordered(NamedTuple):
    """What one such roll came to; the head of this file says what is counted."""

    juju: int
    slots: Slots
    units: int
    seed: int
    hooks: int
    scripts: int
    whole: int
    writes: int
    rolled: int
    most_at_work: int
    duration_s: float

    @property
    def limit(self) -> int:
        """The most hooks that are allowed."""
        return self.units * (self.units - 1) + 2 * self.units - 2

    @property
    def turns(self) -> int:
        """How many turns follow one another if every slot is used from the start."""
        return -(-self.units // at_once(self.slots, self.units))

    @property
    def over_work(self) -> float:
        """The duration, in multiples of the work alone."""
        return self.duration_s / (self.turns * bench.RESTART_S)

    @property
    def over_floor(self) -> float:
        """The duration, in multiples of the least that a roll needs."""
        return self.duration_s / bench.floor_s(self.turns)


def at_once(slots: Slots, units: int) -> int:
    """Return how many of so many units may work at once."""
    return slots if isinstance(slots, int) else max(1, units * int(slots.rstrip('%')) // 100)


def roll(juju: int, slots: Slots, units: int, seed: int) -> Ordered:
    """Deploy, let an action start a roll, and return what that came to.

    Raises:
        RuntimeError: if too many units were at work together, or one had not one turn.
    """
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(bench.CHARMS[bench.OURS], Path(folder) / 'charm', {'slots': slots})
        (charm / 'reactive' / 'plan.py').write_text(PLAN)
        with Juju(
            charm, units=units, juju=juju, seed=seed, config={'go': 0}, quick=True,
            machine=lambda _, argv: {'systemctl': (bench.RESTART_S, 0)}.get(argv[0]),
            script_s=bench.SCRIPT_S, update_status_s=NEVER_S,
        ) as model:  # fmt: skip
            model.run()
            watch, logged = Watch(model, at_once(slots, units)), len(model.logs)
            model.run_exec(str(model.controller.leader), ACTION, as_action=True)
            model.run()
            scripts = sum(title == 'exec script' for _, title, _ in model.costs[watch.hooks_before :])
            hooks, texts = watch.hooks - scripts + 1, [text for *_, text in model.logs[logged:]]
            model.configure(go=1)  # one more hook of each unit, which must not find the flag set again
            model.run()
            if watch.faults or sorted(turn.unit for turn in watch.turns) != sorted(model.units):
                raise RuntimeError('\n'.join([*watch.faults, '{} turns'.format(len(watch.turns))]))
            return Ordered(
                juju, slots, units, seed, hooks, scripts - 1,
                sum(text.startswith(RUNS_WHOLE) for text in texts),
                watch.ledger_writes, sum(text == ROLLED for *_, text in model.logs[logged:]),
                watch.most_at_work, watch.duration_s,
            )  # fmt: skip


def rolls(units: int, seeds: Iterable[int], workers: int) -> List[Ordered]:
    """Roll on both Jujus with every number of slots, for each seed, in so many processes."""
    wanted = [(juju, slots, units, seed) for juju in bench.MODES for slots in SLOTS for seed in seeds]
    with concurrent.futures.ProcessPoolExecutor(max_workers=workers) as pool:
        told = [pool.submit(roll, *each) for each in wanted]
        return [each.result() for each in told]


# What is printed


def table(found: List[Ordered]) -> Any:
    """Return the table of the worst figures over the seeds, a row for each Juju and number of slots."""
    from rich.table import Table

    kinds = sorted({(each.juju, str(each.slots)) for each in found})
    seeds, units = len({each.seed for each in found}), found[0].units
    title = 'A roll of {} units that an action starts, {:.0f} s a unit: the worst of {} seeds'
    shown = Table(title=title.format(units, bench.RESTART_S, seeds), title_justify='left')
    for heading in ('Juju', 'slots', 'at work', 'hooks', 'limit', 'whole', '÷ N', 'ledger writes', 'rolled'):
        shown.add_column(heading, justify='left' if heading == 'Juju' else 'right')
    for heading in ('scripts', 'duration', '÷ work', '÷ floor'):
        shown.add_column(heading, justify='right')
    for kind in kinds:
        shown.add_row(*_row([each for each in found if (each.juju, str(each.slots)) == kind]))
    return shown


def _row(of_kind: List[Ordered]) -> List[str]:
    first, whole = of_kind[0], max(each.whole for each in of_kind)
    return [
        bench.MODES[first.juju],
        str(first.slots),
        str(max(each.most_at_work for each in of_kind)),
        '{:,}'.format(max(each.hooks for each in of_kind)),
        '{:,}'.format(first.limit),
        '{:,}'.format(whole),
        '{:.1f}'.format(whole / first.units),
        str(max(each.writes for each in of_kind)),
        ' or '.join(map(str, sorted({each.rolled for each in of_kind}))),
        str(max(each.scripts for each in of_kind)),
        '{:,.0f} s'.format(max(each.duration_s for each in of_kind)),
        '{:.3f}'.format(max(each.over_work for each in of_kind)),
        '{:.3f}'.format(max(each.over_floor for each in of_kind)),
    ]


def verdicts(found: List[Ordered]) -> List[str]:
    """Say of each aim whether every roll meets it, and which is the worst."""
    aims: List[Tuple[str, Callable[[Ordered], float], float, str]] = [
        ('hooks ≤ limit', lambda each: each.hooks / each.limit, 1, '{:.3f} times'),
        ('≤ 4 ledger writes', lambda each: each.writes, 4, '{:.0f}'),
        ('the flag is set in one hook', lambda each: abs(each.rolled - 1), 0, '{:.0f} off'),
        ('duration ≤ 1.05 × floor', lambda each: each.over_floor, 1.05, '{:.3f}'),
        ('duration ≤ 1.05 × work', lambda each: each.over_work, 1.05, '{:.3f}'),
    ]
    lines = []
    for aim, figure, most, form in aims:
        worst = max(found, key=figure)
        missed = sum(figure(each) > most for each in found)
        lines.append(
            '{}, {} rolls: worst {} ({}, slots {}, seed {}): {}'.format(
                aim, len(found), form.format(figure(worst)), bench.MODES[worst.juju], worst.slots,
                worst.seed, 'not met in {}'.format(missed) if missed else 'met',
            )
        )  # fmt: skip
    return lines
