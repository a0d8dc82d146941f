"""A local Juju: units running real hooks in virtual time, the same history for the same seed.

    juju = Juju(charm, units=5, juju=3, seed=7)
    juju.run()                          # until nothing is left to do
    juju.configure(memory=2)
    juju.run()
    print(juju.story())

What may go wrong, and how to make it: `elect` (leadership moves, an old leader's
hook goes on), `fail_hook`, `fail_command`, `crash_hook`, `lose_commit`,
`repeat_commit`, `partition`, `add_unit`, `remove_unit`, `lose_unit`, `poison`.
What is checked here is only that Juju's own rules hold; it knows no lock.
"""

import compileall
import heapq
import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from jujusim import process, tools
from jujusim.agent import Agent, Context, Operation, environment
from jujusim.model import Controller, NotLeader, Unit

VERSIONS = {3: '3.6.1', 4: '4.0.13'}
LEASE_S, RENEW_S, SWEEP_S = 60.0, 30.0, {3: 1.0, 4: 5.0}  # R14
RETRY_FIRST_S, RETRY_MOST_S = 5.0, 300.0  # R11
UPDATE_STATUS_S, UPDATE_STATUS_SPREAD = 300.0, 0.2  # R26
EPOCH_S = 1.8e9

Machine = Callable[[str, List[str]], Optional[Tuple[float, int]]]
"""Answers a program that is no hook tool: seconds it takes and its exit code; None if unknown."""


class Event(NamedTuple):
    """One thing that happened: a hook began, a program ran, a commit landed …"""

    time: float
    unit: str
    what: str
    text: str = ''


class Restless(Exception):
    """Raised where a model goes on and on."""


class Execution:
    """One hook under way."""

    def __init__(self, unit: str, operation: Operation, context: Context) -> None:
        self.unit, self.operation, self.context = unit, operation, context
        self.child: Any = None  # a process.Child or a quick.Child
        self.tool_calls: List[Tuple[str, bool]] = []
        self.crash_at: Optional[int] = None
        self.killed = False


def quick_child() -> Any:
    from jujusim.quick import Child  # here: only who wants it needs greenlet

    return Child


class Juju:
    """One model with one application, and its machines' clocks."""

    def __init__(
        self,
        charm: Path,
        units: int = 1,
        juju: int = 3,
        seed: int = 0,
        app: str = 'app',
        machine: Optional[Machine] = None,
        config: Optional[Dict[str, Any]] = None,
        subordinate: bool = False,
        delay_s: Optional[Tuple[float, float]] = None,
        hook_s: float = 0.8,
        tool_s: float = 0.02,
        update_status_s: float = UPDATE_STATUS_S,
        quick: bool = False,
    ) -> None:
        process.warm_up()
        self.quick, self.update_status_s = quick, update_status_s
        self._child: Any = quick_child() if quick else process.Child
        self.seed, self.subordinate = seed, subordinate
        self.random = random.Random(seed)
        self.now = 0.0
        self.machine: Machine = machine or (lambda unit, argv: None)
        # 4.0 polls its change stream from 0.1 s up; an idle controller may take 10 s (§5).
        self.delay_s = delay_s or {3: (0.02, 0.2), 4: (0.1, 2.0)}[juju]
        self.hook_s, self.tool_s = hook_s, tool_s
        self.history: List[Event] = []
        self.observers: List[Callable[[Event], None]] = []
        self.readers: List[Callable[[str, str], None]] = []
        self.logs: List[Tuple[float, str, str, str]] = []
        self.costs: List[Tuple[str, str, List[Tuple[str, bool]]]] = []
        self.running: Dict[str, Execution] = {}
        self.agents: Dict[str, Agent] = {}
        self.clock_skew_s: Dict[str, float] = {}
        self.calls_everywhere: Optional[Callable[[Execution, List[str]], None]] = None
        self._events: List[Tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._faults: Dict[Tuple[str, str], int] = {}
        self._crashes: Dict[str, int] = {}
        self._lost: Set[str] = set()
        self._cut_until: Dict[str, float] = {}
        self._renewals = 0
        self.controller = Controller(app, juju, self._notify)
        self.controller.config.update(config or {})
        memory = '/dev/shm' if os.path.isdir('/dev/shm') else None
        self.home = Path(tempfile.mkdtemp(prefix='jujusim-', dir=memory))
        self._charms: Dict[Path, Path] = {}
        self.charm = self._compiled(charm)
        for _ in range(units):
            self.add_unit()
        if units:
            self.elect('{}/0'.format(app))
            self.agents[
                '{}/0'.format(app)
            ].remote.leads = True  # no agent begins before its claim is answered (§5)

    def close(self) -> None:
        """Kill what runs and remove what was written."""
        for execution in self.running.values():
            if execution.child:
                execution.child.kill()
        self.running.clear()
        shutil.rmtree(str(self.home), ignore_errors=True)

    def __enter__(self) -> 'Juju':
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # What an operator does

    def _compiled(self, charm: Path) -> Path:
        """Copy a charm and compile it once, so that its hooks need not, one by one.

        Quick hooks use it where it lies: what was compiled for one model then serves the next.
        """
        if self.quick:
            return charm
        if charm not in self._charms:
            copy = self._charms[charm] = self.home / 'charm-{}'.format(len(self._charms))
            shutil.copytree(str(charm), str(copy))
            compileall.compile_dir(str(copy), quiet=1)
        return self._charms[charm]

    def _lay(self, charm: Path, unit: str) -> None:
        """Put a charm's files into a unit's charm directory: links, since no hook writes to them."""
        place = self._charm_dir(unit)
        place.mkdir(parents=True, exist_ok=True)
        for item in charm.iterdir():
            link = place / item.name
            if link.is_symlink():
                link.unlink()
            link.symlink_to(item)

    @property
    def units(self) -> List[str]:
        """The units that are not dead, in the order in which they were added."""
        return [name for name, unit in self.controller.units.items() if unit.life != 'dead']

    def add_unit(self) -> str:
        name = '{}/{}'.format(self.controller.app, len(self.controller.units))
        self._lay(self.charm, name)
        self.controller.units[name] = Unit(name)
        agent = self.agents[name] = Agent(name, self.controller)
        agent.remote.config = self.controller.config_version()
        agent.remote.leader_settings = 1  # R18: the first delivery counts
        for peer in self.controller.units:
            if peer != name and self.controller.in_scope(peer) and self.controller.units[peer].life != 'dead':
                self._deliver(name, 'scope', peer)
        self._deliver(name, 'app', name)
        self._schedule_update_status(name)
        self._wake(name, self._delay())
        self._tell(name, 'added')
        self._fill_vacancy()
        return name

    def configure(self, **config: Any) -> None:
        """Change the charm's configuration: config-changed on every unit, if its hash differs (§4.6)."""
        self.controller.config.update(config)
        for name in self.agents:
            self._deliver(name, 'config', name)
        self._tell('', 'configured', ', '.join('{}={}'.format(*pair) for pair in sorted(config.items())))

    def run_action(self, unit: str, action: str) -> None:
        self.agents[unit].remote.actions.append(action)
        self._wake(unit)

    def upgrade(self, unit: str, charm: Optional[Path] = None) -> None:
        """Refresh one unit to a charm (its own again by default); files that no charm brought stay."""
        source = self._compiled(charm) if charm else self.charm
        self._lay(source, unit)
        self.agents[unit].remote.upgrade += 1
        self._wake(unit)

    def resolve(self, unit: str, retry: bool = True) -> None:
        """R11: `juju resolve`, or `--no-retry`: the hook counts as done without running."""
        agent = self.agents[unit]
        if agent.local.in_error and agent.local.pending:
            self._tell(unit, 'resolved', '' if retry else 'no retry')
            agent.local.in_error = False
            if not retry:
                self._done(unit, agent.local.pending)
            self._wake(unit, 0.0)

    def remove_unit(self, unit: str) -> None:
        """R20, R21: the unit is dying; on 2.9-3.x its peers are told at once."""
        record = self.controller.units[unit]
        record.life = 'dying'
        record.departing = self.controller.juju == 3
        if record.departing:
            self._notify('scope', unit)
        self._deliver(unit, 'life', unit)
        self._tell(unit, 'is removed')

    def lose_unit(self, unit: str, force: bool = False) -> None:
        """The machine dies without a hook. With force: `juju remove-unit --force`, too."""
        self._kill(unit)
        self.controller.units[unit].connected = False
        self._lost.add(unit)
        self._tell(unit, 'is lost')
        if force:
            self._bury(unit)

    # What else goes wrong

    def elect(self, unit: Optional[str] = None, after_s: float = 0.0) -> None:
        """Move leadership now, whatever its cause. A hook under way goes on (R16)."""
        if after_s:
            self.at(self.now + after_s, lambda: self.elect(unit))
            return
        chosen = unit or self.random.choice(self._candidates() or [''])
        if chosen and self.may_lead(chosen) and chosen != self.controller.leader:
            self.controller.set_leader(chosen)
            self._renew()
            self._tell(chosen, 'leads')

    def partition(self, unit: str, seconds: float) -> None:
        """R16: the agent loses the controller; tools fail, commits fail, the lease runs out."""
        self.controller.units[unit].connected = False
        if unit in self.running:
            self.running[unit].context.cut_off = True
        self._cut_until[unit] = max(self.now + seconds, self._cut_until.get(unit, 0.0))
        self._tell(unit, 'is cut off')
        self._soon(seconds, lambda: self._reconnect(unit))

    def fail_hook(self, unit: str, hook: str = '', times: int = 1) -> None:
        """Let this unit's next hooks of that name (any, without a name) exit 1 after all they did."""
        self._faults['fail ' + hook, unit] = times

    def crash_hook(self, unit: str, at_call: int) -> None:
        """R12: kill the process of this unit's next hook at its n-th tool call; it runs again."""
        self._crashes[unit] = at_call

    def kill_hook(self, unit: str) -> None:
        """R12: kill the process of the hook that this unit runs now, if any; it runs again."""
        execution = self.running.get(unit)
        if execution and not execution.operation.action:
            self._die(execution, 'by a signal')

    def lose_commit(self, unit: str) -> None:
        """R11, R12: the next hook of this unit succeeds and its flush fails."""
        self._faults['lose', unit] = 1

    def repeat_commit(self, unit: str) -> None:
        """R12: the next hook's flush lands, the agent dies before it notes so, the hook runs again."""
        self._faults['repeat', unit] = 1

    def poison(self, unit: str, key: str, text: str) -> None:
        """Put a text into a unit's databag, as a broken peer would."""
        record = self.controller.units[unit]
        self.controller.commit(unit, {**record.settings, key: text}, None)

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at a virtual time, in seconds since the model began."""
        self._sequence += 1
        heapq.heappush(self._events, (when, self._sequence, do))

    # Time

    def run(self, seconds: Optional[float] = None, until: Optional[Callable[[], bool]] = None) -> bool:
        """Let time pass: for so long, or until a condition holds, or until nothing is left to do.

        Update-status and lease renewals are not "left to do". Returns whether
        the condition held, or without one, True.

        Raises:
            Restless: where it does not come to rest within a day of the model.
        """
        patience = self.now + 86400
        stop = None if seconds is None else self.now + seconds
        while self._events and (stop is None or self._events[0][0] <= stop):
            if until is not None and until():
                return True
            if stop is None and until is None and self.quiet:
                return True
            self.now, _, do = heapq.heappop(self._events)
            if stop is None and self.now > patience:
                raise Restless('no rest within a day; the last events:\n' + self.story(30))
            do()
        if stop is not None:
            self.now = stop
        return until is None or until()

    @property
    def quiet(self) -> bool:
        """Whether no hook runs, no change is on its way, no unit has anything to do."""
        return (
            not self.running
            and not self._on_their_way
            and not any(self._has_work(name) for name in self.agents)
        )

    def _has_work(self, unit: str) -> bool:
        if unit in self._lost or not self.controller.units[unit].connected:
            return False
        agent = self.agents[unit]
        if agent.local.in_error:
            return True
        operation = agent.next_operation()
        return operation is not None and operation.name != 'update-status'

    _on_their_way = 0

    def _delay(self) -> float:
        return self.random.uniform(*self.delay_s)

    def _soon(self, seconds: float, do: Callable[[], None]) -> None:
        """Something that is left to do."""
        self._on_their_way += 1

        def done() -> None:
            self._on_their_way -= 1
            do()

        self.at(self.now + seconds, done)

    # Watchers (R3)

    def _notify(self, channel: str, unit: str) -> None:
        """A controller's change is on its way to every agent that watches it."""
        for name in self.agents:
            if channel == 'leadership':
                if name == unit:
                    self._deliver(name, channel, unit)
            elif channel in ('app', 'leader-settings') or name != unit:
                # R24: the application's bag wakes its writer; R18: leader settings do once it is deposed
                self._deliver(name, channel, unit)

    def _deliver(self, name: str, channel: str, unit: str) -> None:
        self._soon(self._delay(), lambda: self._arrive(name, channel, unit))

    def _arrive(self, name: str, channel: str, unit: str) -> None:
        """The snapshot takes the value of now: later values overwrite earlier ones."""
        if not self.controller.units[name].connected:
            if name not in self._lost:
                self._soon(1.0, lambda: self._arrive(name, channel, unit))
            return
        agent = self.agents[name]
        if channel in ('unit', 'scope'):
            if self.controller.in_scope(unit):
                if unit in agent.remote.members or self.controller.units[unit].life != 'dead':
                    agent.remote.members[unit] = self.controller.version(unit)
            else:
                agent.remote.members.pop(unit, None)
        elif channel == 'app':
            agent.remote.app_version = self.controller.app_version()
        elif channel == 'leader-settings':
            agent.remote.leader_settings += 1
        elif channel == 'leadership':
            agent.remote.leads = self.controller.leader == name
        elif channel == 'config':
            agent.remote.config = self.controller.config_version()
        elif channel == 'life':
            agent.remote.dying = True
        self._wake(name, 0.0)

    # Agents

    def _wake(self, name: str, after_s: float = 0.01) -> None:
        self._soon(after_s, lambda: self._next(name))

    def _next(self, name: str) -> None:
        """R1: one operation at a time, chosen from scratch after each."""
        unit = self.controller.units[name]
        if name in self.running or name in self._lost or unit.life == 'dead' or not unit.connected:
            return
        agent = self.agents[name]
        if agent.local.installed and not unit.entered_scope and unit.life == 'alive':
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
        execution.context.cached['subordinate'] = self.subordinate
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
        env = environment(execution.context.agent, operation, str(charm_dir), VERSIONS[self.controller.juju])
        if self.subordinate:
            env['JUJU_PRINCIPAL_UNIT'] = 'principal/' + execution.unit.split('/')[1]
        execution.child = self._child(
            str(script), env, self._clock(execution.unit), str(self.home / 'output.log')
        )
        self._listen(execution)

    def _clock(self, unit: str) -> float:
        return EPOCH_S + self.now + self.clock_skew_s.get(unit, 0.0)

    def _listen(self, execution: Execution) -> None:
        """Take the process's next word; the answer comes when its time has passed."""
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

    def _answer_tool(self, execution: Execution, argv: List[str], by_lock: bool) -> None:
        if execution.killed:
            return
        execution.tool_calls.append((argv[0], by_lock))
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
        """R12: a killed hook runs again, without error."""
        self._tell(execution.unit, 'is killed', why)
        self._kill(execution.unit)
        self._wake(execution.unit, 1.0)

    def _run_program(self, execution: Execution, argv: List[str]) -> None:
        if execution.killed:
            return
        found = self.machine(execution.unit, argv)
        if found is None:
            raise tools.Untold('{}: no such program: {}'.format(execution.unit, ' '.join(argv)))
        seconds, code = found
        if self._take('command ' + ' '.join(argv), execution.unit):
            code = 1
        self._tell(execution.unit, 'works', ' '.join(argv))

        def over() -> None:
            if not execution.killed:
                self._tell(execution.unit, 'worked' if code == 0 else 'failed at', ' '.join(argv))
                self._answer(execution, True, code, '', '')

        self._soon(seconds, over)

    def fail_command(self, unit: str, command: str, times: int = 1) -> None:
        """Let a program of the machine exit 1 the next times this unit runs it."""
        self._faults['command ' + command, unit] = times

    def _take(self, fault: str, unit: str) -> bool:
        left = self._faults.get((fault, unit), 0)
        self._faults[fault, unit] = max(0, left - 1)
        return left > 0

    def _finish(self, execution: Execution, code: int, why: str) -> None:
        """R8, R10-R12: flush on success, error otherwise."""
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
        """R20, R21: Dead at last; leadership is revoked; peers on 4.0 never hear of it."""
        self.controller.units[name].life = 'dead'
        self.controller.units[name].departing |= self.controller.juju == 3
        if self.controller.juju == 3:
            self._notify('scope', name)
        self._tell(name, 'is gone')
        if self.controller.leader == name:
            self.controller.set_leader(None)
            self._fill_vacancy()

    def _reconnect(self, name: str) -> None:
        """R13, R16: the agent's workers start anew, the one that claims the lease too."""
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

    # Leases (R14) and update-status (R26), which go on for ever

    def may_lead(self, name: str) -> bool:
        """Whether a unit can hold the lease now; a test may put a stricter rule in its place."""
        unit = self.controller.units[name]
        return unit.connected and unit.life != 'dead'

    def _candidates(self) -> List[str]:
        return [
            name for name in self.units if self.may_lead(name) and self.controller.units[name].life == 'alive'
        ]

    def _fill_vacancy(self) -> None:
        """Where nobody holds the lease, whoever is there claims it before long (§7.5)."""

        def claim() -> None:
            if self.controller.leader is None:
                self.elect()

        if self.controller.leader is None:
            self._soon(self.random.uniform(0.1, 1.0), claim)

    def _renew(self) -> None:
        """The lease holds for LEASE_S from now; the holder's agent comes again after RENEW_S."""
        self._renewals += 1
        holder, renewal = self.controller.leader, self._renewals

        def due() -> None:
            if holder is None or self.controller.leader != holder or self._renewals != renewal:
                return
            if self.controller.units[holder].connected:
                self._renew()
            else:
                sweep = self.random.uniform(0.5, SWEEP_S[self.controller.juju]) + 1.0
                self._soon(LEASE_S - RENEW_S + sweep, expire)

        def expire() -> None:
            if self.controller.leader == holder and self._renewals == renewal:
                self._tell(str(holder), 'lost its lease')
                self.controller.set_leader(None)
                self.elect()

        self.at(self.now + RENEW_S, due)

    def _schedule_update_status(self, name: str) -> None:
        spread = self.random.uniform(1 - UPDATE_STATUS_SPREAD, 1 + UPDATE_STATUS_SPREAD)

        def due() -> None:
            if self.controller.units[name].life != 'dead' and name not in self._lost:
                self.agents[name].update_status_due = True
                self._next(name)
                self._schedule_update_status(name)

        self.at(self.now + self.update_status_s * spread, due)

    def update_status(self, unit: str) -> None:
        """Let a unit's next update-status be due now."""
        self.agents[unit].update_status_due = True
        self._wake(unit)

    # What happened

    def note(self, what: str, text: str) -> None:
        """Put a line of somebody else's into the history."""
        self._tell('', what, text)

    def _tell(self, unit: str, what: str, text: str = '') -> None:
        event = Event(self.now, unit, what, text)
        self.history.append(event)
        for observer in self.observers:
            observer(event)

    def _log(self, unit: str, level: str, text: str) -> None:
        self.logs.append((self.now, unit, level, text))
        for reader in self.readers:
            reader(unit, text)

    def log_of(self, unit: str, containing: str = '') -> List[str]:
        """Return what a unit logged, in order, without charms.reactive's tracer."""
        return [
            text
            for _, by, _, text in self.logs
            if by == unit and containing in text and not text.startswith('tracer')
        ]

    def flags_of(self, unit: str) -> Set[str]:
        """Return the charms.reactive flags as the unit's last hook left them."""
        import sqlite3

        path = self._charm_dir(unit) / '.unit-state.db'
        if not path.exists():
            return set()
        store = sqlite3.connect(str(path))
        try:
            rows = store.execute("select key from kv where key like 'reactive.states.%'").fetchall()
        finally:
            store.close()
        return {key[len('reactive.states.') :] for (key,) in rows}

    def story(self, last: int = 0) -> str:
        """Return the history as text, a line an event; the last so many lines only, if asked."""
        lines = ['{:9.2f}  {:10} {} {}'.format(*event).rstrip() for event in self.history]
        return '\n'.join(lines[-last:])


def _title(operation: Operation) -> str:
    if operation.action:
        return 'action ' + operation.action
    about = operation.remote_unit and ' ({})'.format(operation.remote_unit)
    return operation.name + about


def _last_line(why: str) -> str:
    lines = why.strip().splitlines()
    return ': ' + lines[-1] if lines else ''
