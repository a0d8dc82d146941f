"""A local Juju whose units share machines, and whose machines share cores.

On a real controller the units of one machine take turns: Juju's machine lock lets
one hook run at a time (R1), and they lose power together. `jujusim.juju` gives each unit a
machine of its own; here it does not. A full hook takes the CPU that it took on a real
controller, and longer where more full hooks than cores start at once. Kinder: each unit has an
agent of its own, which dies alone; on Juju one agent serves all units of a machine.
"""

from collections import deque
from typing import Any, Deque, Dict, List, Optional, Tuple

from jujusim.agent import Action, Operation
from jujusim.executions import Execution
from jujusim.juju import Juju

FULL_S, SCRIPT_S, JUJU_S, GAP_S, TOOL_S = 0.45, 0.012, 0.05, 0.24, 0.005
DELAY_S = (0.1, 1.0)
"""Seen on the real controller: a full hook's CPU, that of a script that leaves, what Juju takes for a hook,
the time between two hooks of a unit, one hook tool, and from a commit to an idle peer in a roll."""


class Machines(Juju):
    """A model whose units share machines, a unit to each in turn.

    Args:
        charm: the folder of a built charm.
        machines: how many machines there are.
        cores: how many cores they have together.
        full_s: CPU seconds of a full hook.
        options: further arguments of `jujusim.juju.Juju`.
    """

    def __init__(
        self, charm: Any, machines: int = 4, cores: int = 2, full_s: float = FULL_S, **options: Any
    ) -> None:
        self.machines, self.cores, self.full_s = machines, cores, full_s
        self._at_work: Dict[int, str] = {}
        self._queued: Dict[int, Deque[Tuple[str, Operation]]] = {place: deque() for place in range(machines)}
        self._rests_until: Dict[str, float] = {}
        self._busy_until: List[float] = []
        super().__init__(charm, **{'script_s': SCRIPT_S, 'tool_s': TOOL_S, **options})

    @property
    def hook_s(self) -> float:
        """Seconds until Python runs the hook's first line: its CPU, longer where cores are short."""
        self._busy_until = [until for until in self._busy_until if until > self.now]
        takes = self.full_s * max(1.0, (len(self._busy_until) + 1) / self.cores)
        self._busy_until.append(self.now + takes)
        return takes

    @hook_s.setter
    def hook_s(self, seconds: float) -> None:
        """Ignore the seconds that jujusim takes where there are no cores to share."""

    def _machine_of(self, unit: str) -> int:
        return super()._machine_of(unit) % self.machines

    def _next(self, name: str) -> None:
        if any(name == unit for unit, _ in self._queued[self._machine_of(name)]):
            return
        wait = self._rests_until.get(name, 0.0) - self.now
        if wait <= 0:
            super()._next(name)

    def _begin(self, name: str, operation: Operation) -> None:
        place = self._machine_of(name)
        if place in self._at_work or self._queued[place]:
            self._queued[place].append((name, operation))
            return
        self._take_place(name, operation)

    def _take_place(self, name: str, operation: Operation) -> None:
        self._at_work[self._machine_of(name)] = name
        super()._begin(name, operation)

    def _free(self, unit: str) -> Optional[Execution]:
        """Free the machine, too, whatever became of the hook: done, killed, or without its agent or power."""
        execution, place = super()._free(unit), self._machine_of(unit)
        if execution:
            del self._at_work[place]
            self._rests_until[unit] = self.now + GAP_S
            self._soon(GAP_S + 0.001, lambda: self._next(unit))
            self._soon(0.0, lambda: self._serve(place))
        return execution

    def _serve(self, place: int) -> None:
        """Give a free machine to the hook that has been chosen first, if its unit's agent is there."""
        queue = self._queued[place]
        while queue and place not in self._at_work:
            name, operation = queue.popleft()
            unit = self.controller.units[name]
            if unit.connected and unit.life != 'dead':
                self._take_place(name, operation)
            elif not unit.connected:
                self._choose_anew(name, operation)

    def _choose_anew(self, name: str, operation: Operation) -> None:
        """Let an agent forget that it had chosen a hook that has not begun."""
        agent = self.agents[name]
        if operation.script or operation.restricted:
            agent.remote.asides.insert(0, operation)
        elif operation.action:
            agent.remote.actions.insert(0, Action(operation.action, operation.parameters))
        elif not agent.failures:
            agent.local.pending = None
