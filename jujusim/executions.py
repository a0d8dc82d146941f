"""A hook's process under way: what it asks is answered when its time has passed (R8, R12)."""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Protocol, Tuple, Union

from jujusim import process, shell, tools
from jujusim.agent import Context, Operation, environment
from jujusim.launch import Launch, file_of, stopped
from jujusim.watchers import Watched

EPOCH_S = 1.8e9
SHELL = '#!/bin/bash\n'  # of juju-exec

Ran = Union[Tuple[float, int], Tuple[float, int, str]]
Machine = Callable[[str, List[str]], Optional[Ran]]
"""Answers a program that is no hook tool, given the unit and the command line.

Returns the seconds it takes, its exit code and, if it prints something, its
output; None for a program that it does not know.
"""


class HookProcess(Protocol):
    """What `process.Child`, `quick.Child` and `shell.Child` have in common."""

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
    """One hook under way.

    Attributes:
        child: the process that runs now, None before the first has begun.
        waiting: processes that wait for the one they started, each with the file of that one's output.
        rounds: how often the hook's file is still to run in this context, the present run included.
        left_with: the exit code that counts instead of the last run's.
        killed: its processes are gone.
        orphaned: its agent is gone, and its processes go on.
        agent_replaced: its agent is of another version by now; nothing will be committed.
        child_lives: the machine's program that runs goes on, although its process was killed.
        child_holds: the hook is not over before that program is.
        program: whether a program of the machine runs.
    """

    def __init__(self, unit: str, operation: Operation, context: Context) -> None:
        self.unit, self.operation, self.context = unit, operation, context
        self.child: Optional[HookProcess] = None
        self.waiting: List[Tuple[HookProcess, Optional[Path]]] = []
        self.script = ''
        self.env: Dict[str, str] = {}
        self.rounds = 1
        self.left_with: Optional[int] = None
        self.tool_calls: List[Tuple[str, bool]] = []
        self.crash_at: Optional[int] = None
        self.killed = self.orphaned = self.child_lives = self.agent_replaced = False
        self.child_holds = self.program = False

    @property
    def title(self) -> str:
        """What the history calls it: the hook and its unit, or `action NAME`, or `exec FILE`."""
        operation = self.operation
        if operation.script:
            return 'exec ' + ('script' if os.path.isabs(operation.script) else operation.script)
        if operation.action:
            return 'action ' + operation.action
        return operation.name + (operation.remote_unit and ' ({})'.format(operation.remote_unit))

    def kill(self) -> None:
        """Kill what runs."""
        self.killed = True
        for child in [self.child, *(child for child, _ in self.waiting)]:
            if child:
                child.kill()


def _child(quick: bool) -> Callable[..., HookProcess]:
    if not quick:
        return process.Child
    from jujusim import quick as greenlets  # here: only quick hooks need greenlet

    return greenlets.Child


class Executing(Watched):
    """Answers the processes of hooks: tools, programs, sleep."""

    def __init__(
        self,
        home: Path,
        version: str,
        machine: Optional[Machine],
        counted: Tuple[str, ...],
        quick: bool,
        hook_s: float,
        tool_s: float,
        script_s: Optional[float] = None,
        programs: Tuple[str, ...] = (),
        **watched: Any,
    ) -> None:
        super().__init__(**watched)
        self.home, self.version, self.quick = home, version, quick
        self.machine: Machine = machine or (lambda unit, argv: None)
        self.counted = counted
        self.hook_s, self.tool_s, self.script_s = hook_s, tool_s, script_s
        self.running: Dict[str, Execution] = {}
        self.beside: List[Execution] = []  # hooks that lost their agent and still work
        self.clock_skew_s: Dict[str, float] = {}
        self.calls_everywhere: Optional[Callable[[Execution, List[str]], None]] = None
        self._python = _child(quick)
        self._stubs = shell.Stubs(home / 'stubs', programs)
        self._faults: Dict[Tuple[str, str], float] = {}
        self._tool_codes: Dict[Tuple[str, str], int] = {}
        self._late: Dict[str, Tuple[float, bool]] = {}
        self._timers: Dict[Tuple[str, str], Optional[Operation]] = {}  # of systemd: what runs, None before
        self._boots: Counter[str] = Counter()

    def _finish(self, execution: Execution, code: int, why: str) -> None:
        """End a hook."""
        raise NotImplementedError

    def run_exec(self, unit: str, script: str, as_action: bool = False) -> Operation:
        """Do juju-exec."""
        raise NotImplementedError

    def _die(self, execution: Execution, why: str) -> None:
        """Kill a hook."""
        raise NotImplementedError

    def _free(self, unit: str) -> Optional[Execution]:
        """Let a unit run nothing more; return the hook that was under way, if any."""
        return self.running.pop(unit, None)

    def _machine_of(self, unit: str) -> int:
        return int(unit.rpartition('/')[2])

    def _restart_machine(self, unit: str) -> None:
        """Do what juju-reboot asked for."""
        raise NotImplementedError

    def _charm_dir(self, name: str) -> Path:
        return self.home / 'agents' / name.replace('/', '-') / 'charm'

    def _clock(self, unit: str) -> float:
        return EPOCH_S + self.now + self.clock_skew_s.get(unit, 0.0)

    def _take(self, fault: str, unit: str) -> bool:
        left = self._faults.get((fault, unit), 0)
        self._faults[fault, unit] = max(0, left - 1)
        return left > 0

    def _child(self, script: str, *about: Any) -> HookProcess:
        if shell.is_script(script):
            return shell.Child(self._python, self._stubs, script, *about)
        return self._python(script, *about)

    def _until_start(self, execution: Execution) -> float:
        """Return the seconds from the choice of a hook to its first line."""
        file = str(self._charm_dir(execution.unit) / execution.operation.file)
        return self.script_s if self.script_s is not None and shell.is_script(file) else self.hook_s

    def _start(self, execution: Execution) -> None:
        if execution.killed:
            return
        operation = execution.operation
        charm_dir = self._charm_dir(execution.unit)
        script = charm_dir / operation.file
        if not script.exists():  # absent hook: success; absent action: failure
            self._finish(execution, 127 if operation.script else 1 if operation.action else 0, '')
            return
        context = execution.context
        version = context.agent.version or self.version
        env = environment(context.agent, operation, str(charm_dir), version, context.id)
        if operation.with_relation:
            env['JUJU_RELATION_ID'] = context.relation_id
        execution.script, execution.env = str(script), env
        self._launch(execution)

    def _launch(self, execution: Execution) -> None:
        now, log = self._clock(execution.unit), str(self._output_of(execution))
        execution.child = self._child(execution.script, execution.env, now, log, self.counted)
        self._listen(execution)

    def _output_of(self, execution: Execution) -> Path:
        """Return the file for what a hook prints; `jujusim.cli` keeps that of each action apart."""
        return self.home / 'output.log'

    def _listen(self, execution: Execution) -> None:
        """Take the next message of a hook's process; answer it once its time has passed."""
        assert execution.child is not None
        logged, kind, *about = execution.child.message()
        if execution.orphaned:
            logged = []  # juju-log dies too
        for argv in logged:
            self._log(execution.unit, *tools.juju_log(argv[1:]))
        spent = self.tool_s * len(logged)
        if kind in ('exit', 'killed') and execution.waiting:
            self._soon(spent + 0.05, lambda: self._back(execution, *(about or (-9, ''))))
        elif kind in ('exit', 'killed') and execution.orphaned:
            self._end_beside(execution, '120' if kind == 'exit' else 'a signal')
        elif kind == 'exit':
            self._soon(spent + 0.05, lambda: self._round_over(execution, *about))
        elif kind == 'killed':
            self._die(execution, 'by a signal')
        elif kind == 'sleep':
            self._soon(spent + about[0], lambda: self._answer(execution))
        elif kind == 'exec':  # a script becomes Python, which begins as any hook, unless the script has paid
            self._soon(
                spent + (self.hook_s if self.script_s is not None else 0), lambda: self._answer(execution)
            )
        elif kind == 'launch':
            self._soon(spent + self.tool_s, lambda: self._start_beside(execution, *about))
        elif kind == 'wait':
            form = '{}: {} waits for {}, and that for the hook under way'
            raise tools.Unanswered(form.format(execution.unit, execution.title, ' '.join(about[0])))
        elif kind == 'start':
            self._soon(spent, lambda: self._start_another(execution, *about))
        elif tools.is_tool(os.path.basename(about[0][0])):
            self._soon(spent + self.tool_s, lambda: self._answer_tool(execution, *about))
        else:
            self._soon(spent, lambda: self._run_program(execution, about[0]))

    def _round_over(self, execution: Execution, code: int, why: str) -> None:
        """End a hook, unless its file is to run again in the same context (`debug_hooks`)."""
        if execution.left_with is not None and not execution.killed and not execution.orphaned:
            self._tell(execution.unit, 'ran by hand', '{}: exit {}'.format(execution.title, code))
            code, why = execution.left_with, why or 'left by hand'
            execution.rounds -= 1
            if execution.rounds > 0:
                self._launch(execution)
                return
        self._finish(execution, code, why)

    def _start_another(
        self, execution: Execution, script: str, arguments: List[str], env: Dict[str, str], captured: bool
    ) -> None:
        """Start a file of the charm that a hook runs as a program; the hook waits for it."""
        if execution.killed:
            return
        assert execution.child is not None
        name = 'captured-{}-{}'.format(execution.unit.replace('/', '-'), len(execution.waiting))
        log = self.home / (name if captured else 'output.log')
        if captured:
            log.write_text('')
        execution.waiting.append((execution.child, log if captured else None))
        now = self._clock(execution.unit)
        execution.child = self._child(script, env, now, str(log), self.counted, tuple(arguments))
        self._listen(execution)

    def _start_beside(self, execution: Execution, argv: List[str], launch: Optional[Launch]) -> None:
        """Answer a hook that starts juju-exec, or stops a timer that would (section 13)."""
        if execution.killed:
            return
        direct = launch is not None and os.path.basename(argv[0]) == launch.program
        known = None if direct else self.machine(execution.unit, argv)
        if known is not None:  # a machine that answers systemd-run has the last word
            self._run_program(execution, argv, known)
            return
        if launch is None:
            code = 0 if self._timers.pop((execution.unit, stopped(argv)), self) is not self else 5
            self._answer(execution, True, code, '', '')
        elif launch.context:
            form = 'ERROR juju-exec cannot be called from within a hook, have context "{}"\n'
            self._answer(execution, True, 2, '', form.format(launch.context))
        elif launch.service:
            self._answer(execution, True, self._book(execution.unit, launch), '', '')
        elif launch.inherits:
            form = '{}: {} holds the output of {}, which is not over before that; juju-exec waits for it'
            raise tools.Unanswered(form.format(execution.unit, ' '.join(argv), execution.title))
        else:
            self._book(execution.unit, launch)
            self._answer(execution, launch.program == self._juju_exec or not direct, None, '', '')

    @property
    def _juju_exec(self) -> str:
        return 'juju-run' if self.version.startswith('2.') else 'juju-exec'

    def _book(self, unit: str, launch: Launch) -> int:
        """Let juju-exec begin in its time; return the exit code of systemd-run."""
        key = unit, launch.name or 'run-{}'.format(len(self._timers))
        before = self._timers.get(key, self)
        under_way = [self.running[unit].operation] if unit in self.running else []
        if before is None or any(before is each for each in self.agents[unit].remote.asides + under_way):
            return 1  # Unit NAME.timer was already loaded
        self._timers[key], boots = None, self._boots[unit]

        def begin() -> None:
            if self._timers.get(key, self) is None and self._boots[unit] == boots:
                del self._timers[key]
                reached = launch.unit == unit and self.controller.units[unit].connected
                if launch.program == self._juju_exec and reached and unit not in self._lost:
                    script = file_of(launch.commands, str(self._charm_dir(unit)))
                    self._timers[key] = self.run_exec(unit, script or SHELL + launch.commands + '\n')

        self._soon(launch.delay_s + 0.05, begin)
        return 0

    def _power_off(self, unit: str) -> None:
        """Let all be gone that runs on a unit's machine, or is to run there."""
        self._boots[unit] += 1
        for execution in [each for each in self.beside if each.unit == unit]:
            execution.kill()
            self.beside.remove(execution)
        for key in [key for key, operation in self._timers.items() if key[0] == unit and operation is None]:
            del self._timers[key]

    def _back(self, execution: Execution, code: int, why: str) -> None:
        """Let a hook go on whose program, a file of the charm, has ended."""
        if execution.killed:
            return
        execution.child, output = execution.waiting.pop()
        if why and not execution.orphaned:
            self._log(execution.unit, 'ERROR', why)
        self._answer(execution, True, code, output.read_text() if output else '', '')

    def _answer(self, execution: Execution, *parts: Any) -> None:
        if not execution.killed:
            assert execution.child is not None
            execution.child.answer(self._clock(execution.unit), *parts)
            self._listen(execution)

    def _answer_tool(self, execution: Execution, argv: List[str], counted: bool) -> None:
        if execution.killed:
            return
        if execution.orphaned:
            self._answer(execution, tools.exists(execution.context, argv[0]), *tools.PIPE_BROKEN)
            return
        execution.tool_calls.append((argv[0], counted))
        if execution.crash_at is not None and len(execution.tool_calls) >= execution.crash_at:
            self._die(execution, 'at {}'.format(' '.join(argv)[:60]))
            return
        if self.calls_everywhere:
            self.calls_everywhere(execution, argv)
            if execution.killed:
                return
        if self._take('tool ' + argv[0], execution.unit):
            self._tell(execution.unit, 'cannot use', argv[0])
            self._answer(
                execution, True, self._tool_codes[argv[0], execution.unit], '', 'ERROR made to fail\n'
            )
            return
        if argv[0] == 'leader-set' and execution.unit in self._late and self.controller.juju == 3:
            self._write_late(execution, argv, *self._late.pop(execution.unit))
            return
        found = tools.answer(execution.context, argv)
        if execution.context.reboots == 'now':
            if execution.left_with is not None:
                raise tools.Unanswered('juju-reboot --now in a hook that is run by hand')
            self._die(execution, 'by juju-reboot --now')
            self._restart_machine(execution.unit)
            return
        self._answer(execution, found is not None, *(found or tools.Answer()))

    def _write_late(self, execution: Execution, argv: List[str], seconds: float, blindly: bool) -> None:
        """Let a leader-set that has passed its check land later: the gap of Juju 3.0 to 3.6 (R9)."""
        checked = tools.answer(execution.context, ['leader-set'])
        assert checked is not None
        if checked.code:
            self._answer(execution, True, *checked)
            return
        self._tell(execution.unit, 'writes late', ' '.join(argv)[:60])
        writes = self.controller.leader_settings_writes

        def land() -> None:
            again = self.controller.leader_settings_writes != writes and not blindly
            found = tools.leader_set_lands(execution.context, argv[1:], not again)
            if execution.orphaned:
                found = tools.PIPE_BROKEN
            elif not execution.context.connected:
                found = tools.SHUT_DOWN
            self._answer(execution, True, *found)

        self._soon(seconds, land)

    def _run_program(self, execution: Execution, argv: List[str], found: Optional[Ran] = None) -> None:
        if execution.killed:
            return
        found = found or self.machine(execution.unit, argv)
        if found is None:
            form = '{}: no answer for the program {}; give Juju a machine(unit, argv) that knows it'
            raise tools.Unanswered(form.format(execution.unit, ' '.join(argv)))
        seconds, code, out = (*found, '')[:3]
        if self._take('command ' + ' '.join(argv), execution.unit):
            code, out = 1, ''
        self._tell(execution.unit, 'works', ' '.join(argv))
        execution.program, boots = True, self._boots[execution.unit]

        def over() -> None:
            if self._boots[execution.unit] != boots:
                return
            execution.program = False
            if execution.child_holds and self.running.get(execution.unit) is execution:
                self._free(execution.unit)
                self._wake(execution.unit)
            if not execution.killed or (execution.child_lives and execution.unit not in self._lost):
                self._tell(execution.unit, 'worked' if code == 0 else 'failed at', ' '.join(argv))
                self._answer(execution, True, code, out, '')

        self._soon(seconds, over)

    def _end_beside(self, execution: Execution, code: str) -> None:
        """End a hook that had lost its agent: nobody hears of it, and nothing is committed (R12)."""
        self.beside.remove(execution)
        self._tell(execution.unit, 'ends beside', '{} with {}'.format(execution.title, code))
