"""Hooks under way: from the choice of an operation to its commit (R1, R8, R10-R13)."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Protocol, Tuple, Union

from jujusim import process, tools
from jujusim.agent import Context, Operation, environment
from jujusim.model import NotLeader
from jujusim.watchers import Watched

RETRY_FIRST_S, RETRY_MOST_S = 5.0, 300.0  # R11
EPOCH_S = 1.8e9

Machine = Callable[[str, List[str]], Union[Tuple[float, int], Tuple[float, int, str], None]]
"""Answers a program that is no hook tool, given the unit and the command line.

Returns the seconds it takes, its exit code and, if it prints something, its
output; None for a program that it does not know.
"""


class HookProcess(Protocol):
    """What `process.Child` and `quick.Child` have in common."""

    def message(self) -> Tuple[Any, ...]:
        """Let the hook run until it asks something or ends; `process.Child.message` lists the messages."""
        ...

    def answer(self, *parts: Any) -> None:
        """Answer the last message: the time, and for a call what it returned."""
        ...

    def kill(self) -> None:
        """Stop the hook where it is; nothing happens if it has ended already."""
        ...


class Execution:
    """One hook under way."""

    def __init__(self, unit: str, operation: Operation, context: Context) -> None:
        self.unit, self.operation, self.context = unit, operation, context
        self.child: Optional[HookProcess] = None
        self.tool_calls: List[Tuple[str, bool]] = []
        self.crash_at: Optional[int] = None
        self.killed = False


def _child(quick: bool) -> Callable[..., HookProcess]:
    if not quick:
        return process.Child
    from jujusim import quick as greenlets  # here: only quick hooks need greenlet

    return greenlets.Child


class Hooked(Watched):
    """Agents that run hooks and actions, one at a time in each unit."""

    def __init__(
        self,
        home: Path,
        version: str,
        machine: Optional[Machine],
        counted: Tuple[str, ...],
        quick: bool,
        hook_s: float,
        tool_s: float,
        **watched: Any,
    ) -> None:
        super().__init__(**watched)
        self.home, self.version, self.quick = home, version, quick
        self.machine: Machine = machine or (lambda unit, argv: None)
        self.counted = counted
        self.hook_s, self.tool_s = hook_s, tool_s
        self.running: Dict[str, Execution] = {}
        self.costs: List[Tuple[str, str, List[Tuple[str, bool]]]] = []
        self.clock_skew_s: Dict[str, float] = {}
        self.calls_everywhere: Optional[Callable[[Execution, List[str]], None]] = None
        self._child = _child(quick)
        self._faults: Dict[Tuple[str, str], int] = {}
        self._crashes: Dict[str, int] = {}
        self._cut_until: Dict[str, float] = {}

    @property
    def quiet(self) -> bool:
        """Whether no hook runs, no change is on its way, no unit has anything to do."""
        return (
            not self.running
            and not self._on_their_way
            and not any(self._has_work(name) for name in self.agents)
        )

    def _next(self, name: str) -> None:
        """Begin a unit's next operation, if it is idle; each is chosen from scratch (R1)."""
        unit = self.controller.units[name]
        if name in self.running or name in self._lost or unit.life == 'dead' or not unit.connected:
            return
        agent = self.agents[name]
        if (
            agent.local.installed
            and self.controller.relation
            and not unit.entered_scope
            and unit.life == 'alive'
        ):
            self.controller.enter_scope(name)
        operation = agent.next_operation()
        if operation is None:
            return
        if operation.name == 'leader-elected' and self.controller.leader != name:
            agent.done(operation)  # R17: skipped if lost meanwhile
            agent.remote.leads = False
            self._wake(name)
            return
        if operation.action:
            agent.remote.actions.pop(0)
        else:
            agent.local.pending = operation
        self._begin(name, operation)

    def _charm_dir(self, name: str) -> Path:
        return self.home / 'agents' / name.replace('/', '-') / 'charm'

    def _begin(self, name: str, operation: Operation) -> None:
        agent = self.agents[name]
        execution = Execution(name, operation, agent.context(operation))
        execution.crash_at = self._crashes.pop(name, None) if not operation.action else None
        self.running[name] = execution
        self._tell(name, 'begins', _title(operation))
        self._soon(self.hook_s, lambda: self._start(execution))

    def _start(self, execution: Execution) -> None:
        if execution.killed:
            return
        operation = execution.operation
        charm_dir = self._charm_dir(execution.unit)
        script = charm_dir / (
            'actions/' + operation.action if operation.action else 'hooks/' + operation.name
        )
        if not script.exists():
            self._finish(
                execution, 1 if operation.action else 0, ''
            )  # absent hook: success; absent action: failure
            return
        env = environment(execution.context.agent, operation, str(charm_dir), self.version)
        if self.controller.subordinate:
            env['JUJU_PRINCIPAL_UNIT'] = 'principal/' + execution.unit.split('/')[1]
        execution.child = self._child(
            str(script), env, self._clock(execution.unit), str(self.home / 'output.log'), self.counted
        )
        self._listen(execution)

    def _clock(self, unit: str) -> float:
        return EPOCH_S + self.now + self.clock_skew_s.get(unit, 0.0)

    def _listen(self, execution: Execution) -> None:
        """Take the next message of a hook's process; answer it once its time has passed."""
        assert execution.child is not None
        logged, kind, *about = execution.child.message()
        for argv in logged:
            self._log(execution.unit, *tools.juju_log(argv[1:]))
        spent = self.tool_s * len(logged)
        if kind == 'exit':
            self._soon(spent + 0.05, lambda: self._finish(execution, *about))
        elif kind == 'killed':
            self._die(execution, 'by a signal')
        elif kind == 'sleep':
            self._soon(spent + about[0], lambda: self._answer(execution))
        elif tools.is_tool(os.path.basename(about[0][0])):
            self._soon(spent + self.tool_s, lambda: self._answer_tool(execution, *about))
        else:
            self._soon(spent, lambda: self._run_program(execution, about[0]))

    def _answer(self, execution: Execution, *parts: Any) -> None:
        if not execution.killed:
            assert execution.child is not None
            execution.child.answer(self._clock(execution.unit), *parts)
            self._listen(execution)

    def _answer_tool(self, execution: Execution, argv: List[str], counted: bool) -> None:
        if execution.killed:
            return
        execution.tool_calls.append((argv[0], counted))
        if execution.crash_at is not None and len(execution.tool_calls) >= execution.crash_at:
            self._die(execution, 'at {}'.format(' '.join(argv)[:60]))
            return
        if self.calls_everywhere:
            self.calls_everywhere(execution, argv)
            if execution.killed:
                return
        found = tools.answer(execution.context, argv)
        self._answer(execution, found is not None, *(found or tools.Answer()))

    def _die(self, execution: Execution, why: str) -> None:
        """Kill a hook; it runs again, and the unit is not in error (R12)."""
        self._tell(execution.unit, 'is killed', why)
        self._kill(execution.unit)
        self._wake(execution.unit, 1.0)

    def _run_program(self, execution: Execution, argv: List[str]) -> None:
        if execution.killed:
            return
        found = self.machine(execution.unit, argv)
        if found is None:
            form = '{}: no answer for the program {}; give Juju a machine(unit, argv) that knows it'
            raise tools.Unanswered(form.format(execution.unit, ' '.join(argv)))
        seconds, code, out = (*found, '')[:3]
        if self._take('command ' + ' '.join(argv), execution.unit):
            code, out = 1, ''
        self._tell(execution.unit, 'works', ' '.join(argv))

        def over() -> None:
            if not execution.killed:
                self._tell(execution.unit, 'worked' if code == 0 else 'failed at', ' '.join(argv))
                self._answer(execution, True, code, out, '')

        self._soon(seconds, over)

    def _take(self, fault: str, unit: str) -> bool:
        left = self._faults.get((fault, unit), 0)
        self._faults[fault, unit] = max(0, left - 1)
        return left > 0

    def _finish(self, execution: Execution, code: int, why: str) -> None:
        """End a hook: commit what it wrote if it succeeded, else put the unit in error (R8, R10-R12)."""
        if execution.killed:
            return
        name, operation, agent = execution.unit, execution.operation, execution.context.agent
        del self.running[name]
        self.costs.append((name, _title(operation), execution.tool_calls))
        if not operation.action and (self._take('fail ' + operation.name, name) or self._take('fail ', name)):
            code, why = 1, 'made to fail'
        if code == 0:
            try:
                if self._take('lose', name) or not execution.context.connected:
                    raise ConnectionError('connection is shut down')
                execution.context.commit()
            except (NotLeader, ConnectionError) as refused:
                code, why = 1, 'flush refused: {}'.format(refused)
        if operation.action:
            results = ', '.join(
                '{}: {}'.format(*pair) for pair in sorted(execution.context.action_results.items())
            )
            said = _last_line(why) if code else ': ' + results if results else ''
            self._tell(name, 'fails' if code else 'ran', _title(operation) + said)
        elif code != 0:
            self._tell(name, 'fails', _title(operation) + _last_line(why))
            self._log(name, 'ERROR', why)
            self._into_error(name)
            return
        elif self._take('repeat', name):
            self._tell(name, 'restarts', 'before {} was noted as done'.format(_title(operation)))
            agent.restart()
        else:
            self._tell(name, 'ends', _title(operation))
            self._done(name, operation)
        self._wake(name)

    def _done(self, name: str, operation: Operation) -> None:
        self.agents[name].done(operation)
        if operation.name == 'remove':
            self._bury(name)

    def _into_error(self, name: str) -> None:
        agent = self.agents[name]
        agent.local.in_error = True
        wait = min(RETRY_FIRST_S * 2 ** min(agent.failures, 10), RETRY_MOST_S) * self.random.uniform(0.9, 1.1)
        agent.failures += 1
        operation, failures = agent.local.pending, agent.failures
        self._wake(name)  # actions run in error too

        def retry() -> None:
            if agent.local.in_error and agent.local.pending is operation and agent.failures == failures:
                if name in self.running:  # an action
                    self._soon(1.0, retry)
                    return
                agent.local.in_error = False
                self._next(name)

        self._soon(wait, retry)

    def _kill(self, name: str) -> None:
        execution = self.running.pop(name, None)
        if execution:
            execution.killed = True
            if execution.child:
                execution.child.kill()

    def _bury(self, name: str) -> None:
        """Let a unit be dead: it loses leadership, and on Juju 4 its peers never hear of it (R20, R21)."""
        self.controller.units[name].life = 'dead'
        self.controller.units[name].departing |= self.controller.juju == 3
        if self.controller.juju == 3:
            self._notify('scope', name)
        self._tell(name, 'is gone')
        if self.controller.leader == name:
            self.controller.set_leader(None)
            self._fill_vacancy()

    def _reconnect(self, name: str) -> None:
        """Connect a unit again: its agent restarts, and claims the lease if nobody has it (R13, R16)."""
        if name in self._lost or self.now < self._cut_until[name]:
            return
        self.controller.units[name].connected = True
        self.agents[name].restart()
        self._tell(name, 'is back')
        if self.controller.leader == name:
            self._renew()
        self._fill_vacancy()
        self._notify('leadership', name)
        self._wake(name)


def _title(operation: Operation) -> str:
    if operation.action:
        return 'action ' + operation.action
    about = operation.remote_unit and ' ({})'.format(operation.remote_unit)
    return operation.name + about


def _last_line(why: str) -> str:
    lines = why.strip().splitlines()
    return ': ' + lines[-1] if lines else ''
