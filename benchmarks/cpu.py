"""What a roll costs in hooks that run whole, hooks that leave, and CPU of all processes.

Rolls of one charm that restarts a service, with real processes (programs.py). The
locks: layer:coordinator; the same with `wake: all`, where every hook runs whole as
before rule 19; charmhelpers.coordinator. CPU is that of the hooks' processes, with
TOOL_MS for each hook tool; what Juju itself takes (JUJU_MS a hook, seen on a
controller) stands in a column of its own.

A whole hook here is a start of Python, charms.reactive and the lock, and that is
most of it. The real layer:basic adds a second start of Python, in its virtual
environment, to each whole hook. A script that leaves has no such part. So real
charms save more by hooks that leave than these figures say, and the ratio to
charmhelpers.coordinator is smaller with them by as much as each hook is dearer.
"""

import concurrent.futures
import statistics
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from benchmarks import bench
from benchmarks.account import Account
from benchmarks.programs import Priced, error_s, total_s
from jujusim.juju import Juju
from tests.deploy import assemble
from tests.watch import Watch

OURS, THEIRS = bench.OURS, bench.THEIRS
JUJU_MS = 50.0
"""What the agent and the controller took for one hook, seen on a controller of Juju 4.0.14."""

NEVER_S = 1e9
MEASURED = 60
"""Of a roll with more whole hooks than four times this, about so many are programs, and all that ask."""


class Lock(NamedTuple):
    """A lock on a Juju; `wake` is an option of ours, '' for theirs."""

    name: str
    juju: int
    wake: str = ''

    @property
    def title(self) -> str:
        """What a table calls it."""
        name = '{}, wake: all'.format(self.name) if self.wake == 'all' else self.name
        return '{}, {}'.format(name, bench.MODES[self.juju])


NEW = {juju: Lock(OURS, juju, 'needed') for juju in bench.MODES}
BEFORE = {juju: Lock(OURS, juju, 'all') for juju in bench.MODES}
PEER = Lock(THEIRS, 3)
LOCKS = (*NEW.values(), *BEFORE.values(), PEER)


class Taken(NamedTuple):
    """What one roll took.

    Args:
        units: how many there were.
        whole: hooks in which Python ran.
        left: hooks that a script left.
        cpu_s: CPU of all their processes.
        left_s: that of the hooks that a script left.
        error_s: standard error of cpu_s; 0 where each hook was measured.
        measured: how many whole hooks were run as programs.
        reference_ms: CPU of a program that is always the same: the machine's speed meanwhile.
        writes: ledger writes.
    """

    units: int
    whole: int
    left: int
    cpu_s: float
    left_s: float
    error_s: float
    measured: int
    reference_ms: float
    writes: int

    @property
    def hooks(self) -> int:
        """All hooks, but for update-status."""
        return self.whole + self.left

    @property
    def with_juju_s(self) -> float:
        """The CPU and what Juju itself takes for so many hooks."""
        return self.cpu_s + self.hooks * JUJU_MS / 1000

    @property
    def units_of_reference(self) -> float:
        """The CPU in multiples of the reference, so that two rolls can be compared on a busy machine."""
        return 1000 * self.cpu_s / self.reference_ms


Rolls = Dict[Lock, Dict[int, Taken]]


# One roll


def charm_of(lock: Lock, folder: Path) -> Path:
    """Write the charm of a lock to a folder."""
    options = {'wake': lock.wake} if lock.wake else None
    charm = assemble(bench.CHARMS[lock.name], folder / 'charm', options)
    if lock.name == OURS:
        (charm / 'reactive' / 'plan.py').write_text(bench.PLAN)
    return charm


def expected(lock: Lock, units: int) -> int:
    """Return about how many whole hooks a roll will have."""
    per_unit = {'needed': 4.0, 'all': 2.1 * units, '': 3.0 * units}[lock.wake]
    return round(units * per_unit)


def one_in(lock: Lock, units: int, measured: int = MEASURED) -> int:
    """Return of how many hooks one is to be a program."""
    hooks = expected(lock, units)
    return 1 if hooks <= 4 * measured else hooks // measured


def taken(lock: Lock, units: int, seed: int, measured: int = MEASURED) -> Taken:
    """Deploy in this process, roll once with real processes, and return what that took."""
    with tempfile.TemporaryDirectory() as folder:
        charm = charm_of(lock, Path(folder))
        with Priced(
            charm, units=units, juju=lock.juju, seed=seed, config={'go': 0},
            machine=_machine(bench.RESTART_S), script_s=bench.SCRIPT_S, update_status_s=NEVER_S,
        ) as model:  # fmt: skip
            model.run()
            watch = Watch(model)
            model.price(one_in(lock, units, measured))
            _roll(model, watch, units)
            used = model.used
            whole = [hook for hook in used if hook.whole]
            return Taken(
                units=units,
                whole=len(whole),
                left=len(used) - len(whole),
                cpu_s=total_s(used),
                left_s=sum(hook.ms or 0.0 for hook in used if not hook.whole) / 1000,
                error_s=error_s(used),
                measured=sum(hook.ms is not None for hook in whole),
                reference_ms=statistics.mean(model.reference_ms),
                writes=watch.ledger_writes,
            )


def _machine(work_s: float) -> Callable[[str, List[str]], Optional[Tuple[float, int]]]:
    return lambda _, argv: {'systemctl': (work_s, 0)}.get(argv[0])


def _roll(model: Juju, watch: Watch, units: int) -> None:
    model.configure(go=1)
    model.run(until=lambda: len(watch.turns) >= units and model.quiet)
    watch.check()
    served = sorted({turn.unit for turn in watch.turns})
    if len(watch.turns) != units or len(served) != units:
        raise RuntimeError('{} of {} units had their turn'.format(len(served), units))


class Counted(NamedTuple):
    """The hooks of one roll of ours, counted: no CPU is measured."""

    juju: int
    work_s: float
    units: int
    whole: int
    left: int
    writes: int

    @property
    def per_unit(self) -> float:
        """Whole hooks, for each unit."""
        return self.whole / self.units


def counted(units: int, juju: int, work_s: float, seed: int) -> Counted:
    """Roll once with hooks in this process; count those that run whole and those that a script leaves."""
    with tempfile.TemporaryDirectory() as folder:
        charm = charm_of(NEW[juju], Path(folder))
        with Juju(
            charm, units=units, juju=juju, seed=seed, config={'go': 0}, quick=True,
            machine=_machine(work_s), script_s=bench.SCRIPT_S, update_status_s=NEVER_S,
        ) as model:  # fmt: skip
            model.run()
            watch, account = Watch(model), Account(model)
            _roll(model, watch, units)
            whole, left = len(account.whole), len(account.left)
            return Counted(juju, work_s, units, whole, left, watch.ledger_writes)


# Many rolls


def rolls(
    sizes: Iterable[int],
    before_up_to: int,
    peer_up_to: int,
    seed: int,
    workers: int,
    measured: int = MEASURED,
) -> Rolls:
    """Roll every size with each lock, the dearest first, in so many processes.

    Args:
        sizes: numbers of units.
        before_up_to: the largest size with `wake: all`.
        peer_up_to: the largest size with charmhelpers.coordinator.
        seed: of each roll.
        workers: how many rolls side by side.
        measured: about how many whole hooks of a large roll are programs.
    """
    most = {'needed': max(sizes, default=0), 'all': before_up_to, '': peer_up_to}
    wanted = [(lock, units) for units in sizes for lock in LOCKS if units <= most[lock.wake]]
    wanted.sort(key=lambda roll: -expected(*roll))
    with concurrent.futures.ProcessPoolExecutor(max_workers=workers) as pool:
        told = {roll: pool.submit(taken, *roll, seed, measured) for roll in wanted}
        done = {roll: run.result() for roll, run in told.items()}
    return {
        lock: {units: done[lock, units] for units in sorted(sizes) if (lock, units) in done} for lock in LOCKS
    }


def counts(sizes: Iterable[int], works_s: Iterable[float], seed: int, workers: int) -> List[Counted]:
    """Count the hooks of a roll of ours for each size, Juju and length of work."""
    wanted = [
        (units, juju, work_s)
        for units in sorted(sizes, reverse=True)
        for juju in bench.MODES
        for work_s in works_s
    ]
    with concurrent.futures.ProcessPoolExecutor(max_workers=workers) as pool:
        told = [pool.submit(counted, *roll, seed) for roll in wanted]
        return sorted(run.result() for run in told)


def extrapolated(by_size: Dict[int, Taken], units: int) -> Optional[float]:
    """Return the CPU seconds of a size that was not run, by the power of N that fits; None without one."""
    figures = {n: cost.cpu_s for n, cost in by_size.items()}
    power = bench.exponent(figures)
    if power is None:
        return None
    largest = max(figures)
    return figures[largest] * (units / largest) ** power


def ratio(dear: Taken, cheap: Taken) -> float:
    """Return how many times the CPU of a roll another took, each at the speed that the machine had."""
    return dear.units_of_reference / cheap.units_of_reference
