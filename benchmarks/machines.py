"""The roll of 20 units of a real controller, done again on a local Juju with machines and cores."""

import tempfile
from pathlib import Path
from typing import List, NamedTuple

from benchmarks import bench
from benchmarks.account import Account, purposes
from jujusim.machines import DELAY_S, FULL_S, JUJU_S, SCRIPT_S, Machines
from tests.deploy import assemble
from tests.watch import Watch


class Controlled(NamedTuple):
    """One roll of units that share machines.

    Args:
        account: what each of its hooks was for.
        leader: the unit that led.
        writes: ledger writes.
        duration_s: how long it took.
    """

    account: Account
    leader: str
    writes: int
    duration_s: float

    @property
    def cpu_s(self) -> float:
        """CPU in hooks, predicted: so much for each whole hook, and so much for each that leaves."""
        return FULL_S * len(self.account.whole) + SCRIPT_S * len(self.account.left)


def roll(
    seed: int, units: int = 20, work_s: float = 1.0, wake: str = 'needed', again: bool = True
) -> Controlled:
    """Roll once as it was done on a real controller: 20 units on four machines, 1 s of work, Juju 4.

    Args:
        seed: of all delays.
        units: how many there are.
        work_s: how long each works.
        wake: the layer's option.
        again: whether each unit runs config-changed twice, as on the controller.
    """
    with tempfile.TemporaryDirectory() as folder:
        charm = assemble(bench.CHARMS[bench.OURS], Path(folder) / 'charm', {'wake': wake})
        (charm / 'reactive' / 'plan.py').write_text(bench.PLAN)
        with Machines(
            charm, units=units, juju=4, seed=seed, config={'go': 0}, quick=True,
            update_status_s=1e9, delay_s=DELAY_S,
            machine=lambda _, argv: {'systemctl': (work_s, 0)}.get(argv[0]),
        ) as model:  # fmt: skip
            model.run()
            watch, account = Watch(model), Account(model)
            model.configured_twice = again
            model.configure(go=1)
            model.run(until=lambda: len(watch.turns) >= units and model.quiet)
            watch.check()
            return Controlled(account, str(model.controller.leader), watch.ledger_writes, watch.duration_s)


def told(found: Controlled) -> List[str]:
    """Say what such a roll came to, and what the whole hooks of the leader and of the others were for."""
    account = found.account
    form = '20 units on 4 machines, Juju 4, 1 s of work: {} whole, {} left, {} ledger writes, {:.0f} s long'
    lines = [form.format(len(account.whole), len(account.left), found.writes, found.duration_s)]
    form = 'predicted for the controller: {:.0f} s of CPU in hooks ({} s a whole one, {} s a script), '
    form += '{:.0f} s with Juju’s own'
    lines.append(form.format(found.cpu_s, FULL_S, SCRIPT_S, found.cpu_s + JUJU_S * len(account.hooks)))
    for who, mine in (('the leader', True), ('the others', False)):
        hooks = [hook for hook in account.whole if (hook.unit == found.leader) is mine]
        lines.append('{}: {} whole hooks'.format(who, len(hooks)))
        lines += ['    {:4d}  {}'.format(count, what) for what, count in purposes(hooks)]
    return lines
