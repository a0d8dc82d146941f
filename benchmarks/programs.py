"""A roll whose hooks are real programs, and the CPU that they take.

A hook is started as Juju starts it: its file, a process of its own, `sh` or a
Python by `#!/usr/bin/env python3`, and all that it starts are real processes. Only
the hook tools and systemctl are stubs that ask the model. What the processes took
is what the kernel says when they have ended (wait4), so the load of the machine
changes little. A stub's own CPU is taken off, and TOOL_MS is added for each tool
instead: that is what a hook tool took on a real controller.

Where a roll has too many hooks to run each as a program, one in so many is; the
others run in this process, with the same effect, and count as much as those of
their kind that were measured. Scripts that leave are always measured.
"""

import os
import random
import statistics
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from benchmarks.hookcost import UBUNTU
from jujusim import shell, tools
from jujusim.executions import Execution
from jujusim.juju import Juju

TOOL_MS = 5.0
"""What one hook tool takes on a real controller (2 - 8 ms were seen)."""

ASKS = 'config-changed'
"""Each is run as a program: two clocks must not order the requests."""


EVERY = 20
REFERENCE = [sys.executable, '-c', 'import charms.reactive']
"""Run after so many programs, for its CPU: how fast the machine is meanwhile."""


class Used(NamedTuple):
    """One hook of a roll.

    Args:
        kind: the hook's name, and whether the unit leads.
        whole: whether Python ran.
        calls: how many hook tools it called, juju-log too.
        ms: the CPU that its processes took, TOOL_MS for each tool included; None if it was not measured.
    """

    kind: Tuple[str, bool]
    whole: bool
    calls: int
    ms: Optional[float]


class Stubs(shell.Stubs):
    """Stubs of the hook tools; python3 is the real one."""

    def before(self, path: str) -> str:
        """Return a PATH with the stubs first, and then this Python's folder."""
        if not os.path.isdir(self.path):
            os.mkdir(self.path)
            stub = os.path.join(self.path, 'stub')
            with open(stub, 'w') as file:
                file.write(shell.STUB)
            os.chmod(stub, 0o755)  # noqa: S103
            for name in {*tools.names(), 'juju-log', *self._programs}:
                os.symlink('stub', os.path.join(self.path, name))
        return os.pathsep.join([self.path, os.path.dirname(sys.executable), path])


class Program(shell.Child):
    """A hook as real processes; or a script that is real until Python begins.

    Attributes:
        calls: how many hook tools it called.
        whole: whether charms.reactive ran.
        cpu_s: what its processes took, the stubs included.
    """

    calls, whole, cpu_s = 0, False, 0.0

    @property
    def measured(self) -> bool:
        """Whether all of it was real."""
        return not self._became

    def _about(self, asking: Any) -> Tuple[Any, ...]:
        self.calls += asking.argv[0] != 'python3' and asking.argv[0] not in self._stubs._programs
        self.whole |= asking.argv[0] == 'juju-log' and asking.argv[-1].startswith('Reactive main running')
        return super()._about(asking)

    def _end(self) -> int:
        with shell.contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, shell.signal.SIGKILL)
        _, status, used = os.wait4(self.pid, 0)
        self.cpu_s = used.ru_utime + used.ru_stime
        self.pid = 0
        self._close()
        return status


class Priced(Juju):
    """A model that counts the CPU of its hooks from `price` on; before, they run in this process.

    Args:
        charm: the folder of a built charm.
        options: further arguments of `jujusim.juju.Juju`.
    """

    def __init__(self, charm: Path, **options: Any) -> None:
        super().__init__(charm, quick=True, programs=('systemctl',), **options)
        site = self.home / 'site'
        site.mkdir()
        (site / 'sitecustomize.py').write_text(UBUNTU)  # charmhelpers 1.2.1 refuses Debian
        self._site = str(site)
        self._real_stubs = Stubs(self.home / 'real-stubs', ('systemctl',))
        self._one_in, self._programs, self._chance = 0, 0, random.Random(self.seed)
        self.used: List[Used] = []
        self.stub_ms = 0.0
        self.reference_ms: List[float] = []

    def price(self, one_in: int = 1) -> None:
        """Measure from now on: one hook in so many as a program."""
        self._one_in = one_in
        self.stub_ms = stub_ms(self._real_stubs)
        self.reference_ms = [reference_ms(self._site) for _ in range(3)]

    def _child(self, script: str, env: Dict[str, str], *about: Any) -> Any:
        if not self._one_in:
            return super()._child(script, env, *about)
        asks = os.path.basename(script) == ASKS
        if asks or self._chance.random() * self._one_in < 1:
            return Program(self._python, self._real_stubs, script, {**env, 'PYTHONPATH': self._site}, *about)
        if shell.is_script(script):
            return Program(self._python, self._stubs, script, env, *about)
        return super()._child(script, env, *about)

    def _finish(self, execution: Execution, code: int, why: str) -> None:
        if self._one_in:
            self.used.append(self._used(execution))
            if code:
                raise RuntimeError(
                    '{}, {}: exit code {}: {}'.format(execution.unit, execution.title, code, why)
                )
        super()._finish(execution, code, why)

    def _used(self, execution: Execution) -> Used:
        kind = execution.operation.name, self.controller.leader == execution.unit
        child = execution.child
        if isinstance(child, Program) and child.measured:
            self._programs += child.whole
            if child.whole and self._programs % EVERY == 0:
                self.reference_ms.append(reference_ms(self._site))
            ms = 1000 * child.cpu_s + child.calls * (TOOL_MS - self.stub_ms)
            return Used(kind, child.whole, child.calls, ms)
        return Used(kind, True, len(execution.tool_calls), None)


def stub_ms(stubs: Stubs, times: int = 40) -> float:
    """Return the CPU that one stub takes, in ms: the median of some."""
    path = stubs.before('').split(os.pathsep)[0]
    taken = []
    for _ in range(times):
        requests, asks = os.pipe()
        reads, answers = os.pipe()
        os.write(answers, b"printf '%s' 'null'; exit 0\n")
        files = [(os.POSIX_SPAWN_DUP2, reads, shell.ANSWERS), (os.POSIX_SPAWN_DUP2, asks, shell.REQUESTS)]
        files += [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        name = os.path.join(path, 'relation-get')
        pid = os.posix_spawn(name, [name, '--format=json'], {'PATH': '/usr/bin:/bin'}, file_actions=files)
        _, status, used = os.wait4(pid, 0)
        for end in (requests, asks, reads, answers):
            os.close(end)
        if status:
            raise RuntimeError('a stub ended with {}'.format(status))
        taken.append(1000 * (used.ru_utime + used.ru_stime))
    return statistics.median(taken)


def reference_ms(site: str) -> float:
    """Run the reference once, with the modules of `site`; return its CPU in ms."""
    pid = os.posix_spawn(REFERENCE[0], REFERENCE, {'PATH': '/usr/bin:/bin', 'PYTHONPATH': site})
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError('the reference ended with {}'.format(status))
    return 1000 * (used.ru_utime + used.ru_stime)


def total_s(used: List[Used]) -> float:
    """Return the CPU seconds of all these hooks; those not measured count as the mean of their kind."""
    return sum(len(group) * mean_ms(group, used) for group in _groups(used).values()) / 1000


def error_s(used: List[Used]) -> float:
    """Return the standard error of that sum, in seconds, from those that were not measured; 0 if all were."""
    variance = 0.0
    for group in _groups(used).values():
        measured = [hook.ms for hook in group if hook.ms is not None]
        missing = len(group) - len(measured)
        if missing and len(measured) > 1:
            variance += missing**2 * statistics.variance(measured) / len(measured)
    return float(variance**0.5) / 1000


def _groups(used: List[Used]) -> Dict[Tuple[Any, ...], List[Used]]:
    groups: Dict[Tuple[Any, ...], List[Used]] = {}
    for hook in used:
        groups.setdefault((hook.kind, hook.whole), []).append(hook)
    return groups


def mean_ms(group: List[Used], used: List[Used]) -> float:
    """Return the mean CPU of a kind's measured hooks; where none was, that of all whole hooks."""
    measured = [hook.ms for hook in group if hook.ms is not None]
    measured = measured or [hook.ms for hook in used if hook.ms is not None and hook.whole]
    if not measured:
        raise ValueError('no hook was measured')
    return statistics.mean(measured)
