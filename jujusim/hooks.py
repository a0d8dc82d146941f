"""Which hook comes next, and what comes of it: choice, commit, failure, retry (R1, R8, R10-R13)."""

import contextlib
from typing import Any, Dict, List, Optional, Set, Tuple

from jujusim.agent import Operation
from jujusim.executions import Executing, Execution
from jujusim.model import NoRelation, NotLeader

RETRY_FIRST_S, RETRY_MOST_S = 5.0, 300.0  # R11
REBOOT_AFTER_S = 15.0  # R32: from the hook that asked for it to `shutdown -r now`


class Hooked(Executing):
    """Agents that run hooks and actions, one at a time in each unit."""

    def __init__(self, **executing: Any) -> None:
        super().__init__(**executing)
        self.costs: List[Tuple[str, str, List[Tuple[str, bool]]]] = []
        self._crashes: Dict[str, int] = {}
        self._cut_until: Dict[str, float] = {}
        self._debugged: Dict[str, Tuple[str, int, int]] = {}
        self._broken_off: Dict[str, Execution] = {}
        self._stopping: Dict[str, float] = {}
        self._rebooting: Set[str] = set()
        self.boot_s = 20.0
        self._forgetful: Set[str] = set()

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
        if name in self._stopping:
            self._tell(name, 'stops its agent')
            self._away(name, self._stopping.pop(name))
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
        if operation.script or operation.restricted:
            agent.remote.asides = [each for each in agent.remote.asides if each is not operation]
        elif operation.action:
            agent.remote.actions.pop(0)
        else:
            agent.local.pending = operation
        self._begin(name, operation)

    def _begin(self, name: str, operation: Operation) -> None:
        agent = self.agents[name]
        execution = Execution(name, operation, agent.context(operation))
        if not operation.aside:
            execution.crash_at = self._crashes.pop(name, None)
            if name in self._debugged and self._debugged[name][0] in ('', operation.name):
                _, execution.rounds, execution.left_with = self._debugged.pop(name)
        self.running[name] = execution
        self._tell(name, 'begins', execution.title)
        self._soon(self._until_start(execution), lambda: self._start(execution))

    def _die(self, execution: Execution, why: str) -> None:
        """Kill a hook; it runs again, and the unit is not in error (R12)."""
        self._tell(execution.unit, 'is killed', why)
        execution.kill()
        if not (execution.child_holds and execution.program):  # else when that is over
            self._free(execution.unit)
            self._wake(execution.unit, 1.0)

    def _finish(self, execution: Execution, code: int, why: str) -> None:
        """End a hook: commit what it wrote if it succeeded, else put the unit in error (R8, R10-R12)."""
        if execution.killed:
            return
        if execution.orphaned:
            self._end_beside(execution, '120')
            return
        if code == 0 and self._is_late(execution):
            seconds, _ = self._late.pop(execution.unit)
            self._tell(execution.unit, 'writes late', execution.title)
            execution.context.checked = True
            self._soon(seconds, lambda: self._land(execution, why))
            return
        name, operation, agent = execution.unit, execution.operation, execution.context.agent
        self._free(name)
        self.costs.append((name, execution.title, execution.tool_calls))
        if not operation.aside and (self._take('fail ' + operation.name, name) or self._take('fail ', name)):
            code, why = 1, 'made to fail'
        flushes = not operation.restricted and (code == 0 or operation.script)
        refused = self._flush(execution) if flushes else ''
        if operation.aside:
            self._tell_aside(execution, code, why, refused)
            if operation.action and (execution.agent_replaced or not execution.context.connected):
                self._loses_an_action(name)
        elif code != 0 or refused:
            why = refused or why
            self._tell(name, 'fails', execution.title + _last_line(why))
            self._log(name, 'ERROR', why)
            self._into_error(name)
            return
        elif self._take('repeat', name):
            self._tell(name, 'restarts', 'before {} was noted as done'.format(execution.title))
            agent.restart()
        else:
            self._tell(name, 'ends', execution.title)
            self._done(name, operation)
            if operation.with_relation and execution.context.relation_id != self.controller.relation_id:
                agent.forget_relation()  # it was a hook of the one that is gone
                self._deliver_relation(name)
        if execution.context.reboots and flushes and not refused:
            self._restart_machine(name)
        self._wake(name)

    def _is_late(self, execution: Execution) -> bool:
        """Tell whether a batch passes its check now and lands later: the gap of Juju 4.0 (R10)."""
        led = self.controller.leader == execution.unit and execution.context.app_written
        return execution.unit in self._late and self.controller.juju == 4 and led

    def _land(self, execution: Execution, why: str) -> None:
        """Let a late batch land, and end its hook; it lands though the agent has died meanwhile."""
        if execution.killed or execution.orphaned:
            with contextlib.suppress(NoRelation):
                execution.context.commit()
        self._finish(execution, 0, why)

    def _flush(self, execution: Execution) -> str:
        """Commit what a hook wrote; return why that was refused, '' if it was not."""
        try:
            if self._take('lose', execution.unit) or not execution.context.connected:
                raise ConnectionError('connection is shut down')
            if execution.agent_replaced:
                raise ConnectionError('the agent was replaced')
            execution.context.commit()
        except (NotLeader, NoRelation, ConnectionError) as refused:
            return 'flush refused: {}'.format(refused)
        return ''

    def _tell_aside(self, execution: Execution, code: int, why: str, refused: str) -> None:
        """Tell how an action, juju exec or collect-metrics has ended; the unit is as it was before (R27)."""
        context = execution.context
        failed = [] if context.action_failed is None else [('failed', context.action_failed)]
        results = sorted(context.action_results.items())
        said = ', '.join('{}: {}'.format(*pair) for pair in [*failed, *results])
        if execution.operation.script:
            said = 'exit {}'.format(code) if code else ''
        if why and (execution.operation.script or execution.operation.restricted):
            self._log(execution.unit, 'ERROR', why)
        fails = refused or (code and not execution.operation.script)
        about = _last_line(refused or why) if fails else ': ' + said if said else ''
        self._tell(execution.unit, 'fails' if fails else 'ran', execution.title + about)

    def _done(self, name: str, operation: Operation) -> None:
        self.agents[name].done(operation)
        if operation.name == 'remove':
            self._bury(name)

    def _into_error(self, name: str) -> None:
        agent = self.agents[name]
        agent.local.in_error = True
        wait = min(RETRY_FIRST_S * 2 ** min(agent.failures, 10), RETRY_MOST_S) * self.random.uniform(0.9, 1.1)
        agent.failures += 1
        agent.errors += 1
        operation, errors = agent.local.pending, agent.errors
        self._wake(name)  # actions run in error too
        if not self.retry_automatically:
            return

        def retry() -> None:
            if agent.local.in_error and agent.local.pending is operation and agent.errors == errors:
                if not self.controller.units[name].connected:
                    return  # when its agent is back it waits anew
                if name in self.running:  # an action
                    self._soon(1.0, retry)
                    return
                agent.local.in_error = False
                self._next(name)

        self._soon(wait, retry)

    def _kill(self, name: str) -> None:
        for execution in self._hooks_of(name):
            execution.kill()
        self._free(name)
        self.beside = [execution for execution in self.beside if execution.unit != name]

    def _hooks_of(self, name: str) -> List[Execution]:
        """Return the hooks that work in a unit: the one under way, and those that lost their agent."""
        under_way = [self.running[name]] if name in self.running else []
        return under_way + [execution for execution in self.beside if execution.unit == name]

    def _bury(self, name: str) -> None:
        """Let a unit be dead: it loses leadership, and on Juju 4 only some peers hear of it (R20, R21)."""
        self.controller.units[name].life = 'dead'
        self.controller.units[name].departing |= self.controller.juju == 3
        if self.controller.juju == 3:
            self._notify('scope', name)
        else:
            for peer in self.agents:
                if peer != name and self._chance.random() < self.hear_of_leavers:
                    self._deliver(peer, 'departed', name)
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
        self._resume(name, self._broken_off.pop(name, None))
        self._wake(name)

    def _away(self, unit: str, seconds: float) -> None:
        """Let a unit's agent reach nobody for some seconds, or longer where that was said before."""
        self.controller.units[unit].connected = False
        self._cut_until[unit] = max(self.now + seconds, self._cut_until.get(unit, 0.0))
        self._soon(seconds, lambda: self._reconnect(unit))

    def _resume(self, name: str, broken_off: Optional[Execution]) -> None:
        """Let an agent that is back find what was under way: it has failed, and only a hook runs again (R12).

        A hook that had failed before waits for its retry anew.
        """
        agent, booted = self.agents[name], name in self._rebooting
        self._rebooting.discard(name)
        agent.remote.rebooted = booted and agent.local.started
        if broken_off:
            self._tell(name, 'fails', broken_off.title + ': its agent died')
        if name in self._forgetful or (broken_off and broken_off.operation.action):
            self._forget_failure(name)
        elif agent.local.in_error or (broken_off and not broken_off.operation.aside):
            self._into_error(name)

    def _restart_machine(self, unit: str) -> None:
        """Do what juju-reboot asked for: agents stop now, then the machine loses power, and boots (R32)."""
        for each in self._on_machine_of(unit):
            self._tell(each, 'stops its agent', 'juju-reboot')
            self._away(each, REBOOT_AFTER_S + self.boot_s)
        self._soon(REBOOT_AFTER_S, lambda: self._lose_power(unit))

    def _lose_power(self, unit: str) -> None:
        """Cut the power of a unit's machine, and of all units there."""
        for each in self._on_machine_of(unit):
            execution = self._free(each)
            self._tell(each, 'loses power', execution.title if execution else '')
            if execution:
                self._broken_off[each] = execution
                execution.kill()
            self._power_off(each)
            self._rebooting.add(each)

    def _on_machine_of(self, unit: str) -> List[str]:
        place = self._machine_of(unit)
        return [each for each in self.units if self._machine_of(each) == place and each not in self._lost]

    def _loses_an_action(self, name: str) -> None:
        """End an action whose end no controller hears: its agent restarts, as one that has died in it."""
        if self.controller.units[name].connected:
            self._forget_failure(name)
        else:
            self._forgetful.add(name)

    def _forget_failure(self, name: str) -> None:
        """Count a failed hook as done beside which the agent was lost in an action (R12).

        The state that Juju keeps names one operation. An agent that finds an action
        there commits the hook that had failed; after a reboot, the start hook takes
        the place of both.
        """
        self._forgetful.discard(name)
        agent = self.agents[name]
        lost = agent.local.pending
        if agent.local.in_error and lost is not None:
            self._tell(name, 'forgets', lost.name + (lost.remote_unit and ' ({})'.format(lost.remote_unit)))
            if agent.remote.rebooted:
                agent.drop(lost)
            else:
                self._done(name, lost)


def _last_line(why: str) -> str:
    lines = why.strip().splitlines()
    return ': ' + lines[-1] if lines else ''
