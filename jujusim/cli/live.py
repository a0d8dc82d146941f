"""A model that an operator looks at: since when each status is so, what tasks said, and the log."""

from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from jujusim.agent import Operation
from jujusim.executions import Execution
from jujusim.juju import Juju

INITIALISING = ('waiting', 'waiting for machine')
INSTALLING = ('maintenance', 'installing charm software')


class Status(NamedTuple):
    """A status, as `juju status` shows it."""

    current: str
    message: str = ''
    since: float = 0.0


class Entry(NamedTuple):
    """One line of `juju debug-log`."""

    time: float
    unit: str
    level: str
    module: str
    text: str


class Task:
    """One action, or one command of `juju exec`, on one unit.

    Attributes:
        started: when it began, in seconds since the model did; None before.
        status: pending, running, completed or failed.
        results: what the action set, and its exit code and output.
        message: why it failed.
    """

    def __init__(self, number: int, unit: str, action: str, enqueued: float) -> None:
        self.id, self.unit, self.action, self.enqueued = str(number), unit, action, enqueued
        self.started: Optional[float] = None
        self.completed: Optional[float] = None
        self.status, self.message = 'pending', ''
        self.results: Dict[str, Any] = {}
        self.output: List[Path] = []

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.completed is not None


class Live(Juju):
    """One application of a model that is driven by commands.

    Args:
        began: the model's time when it was deployed.
        options: as of `Juju`.
    """

    def __init__(self, charm: Path, began: float, **options: Any) -> None:
        self._shown: Dict[str, List[Status]] = {}
        self._last: Dict[str, Operation] = {}
        self._due: Dict[str, List[Task]] = {}
        self.entries: List[Entry] = []
        super().__init__(charm, units=0, **options)
        self.now = began

    # Statuses

    def workload(self, unit: str) -> Status:
        """Return a unit's workload status."""
        self._look(unit)
        return self._shown[unit][0]

    def agent_status(self, unit: str) -> Status:
        """Return the status of a unit's agent."""
        self._look(unit)
        return self._shown[unit][1]

    def _look(self, unit: str) -> None:
        """Keep since when a unit's statuses are what they are."""
        now = [self._workload_now(unit), self._agent_now(unit)]
        before = self._shown.get(unit, [Status('')] * 2)
        self._shown[unit] = [
            was if is_now == was._replace(since=0.0) else is_now._replace(since=self.now)
            for was, is_now in zip(before, now)
        ]

    def _workload_now(self, unit: str) -> Status:
        record, local = self.controller.units[unit], self.agents[unit].local
        if unit in self._lost or not record.connected:
            return Status('unknown', "agent lost, see 'juju show-status-log {}'".format(unit))
        if local.in_error and local.pending:
            return Status('error', 'hook failed: "{}"'.format(local.pending.name))
        if (record.status, record.status_message) != ('waiting', ''):
            return Status(record.status, record.status_message)
        if unit not in self._last:
            return Status(*INITIALISING)
        return Status('unknown') if local.started else Status(*INSTALLING)

    def _agent_now(self, unit: str) -> Status:
        if unit in self._lost or not self.controller.units[unit].connected:
            return Status('lost', 'agent is not communicating with the server')
        if unit in self.running:
            return Status('executing', 'running ' + _doing(self.running[unit].operation))
        return Status('idle' if unit in self._last else 'allocating')

    # Tasks

    def begin_task(self, task: Task, parameters: Optional[Dict[str, Any]] = None) -> None:
        """Run an action of the charm as a task."""
        self._due.setdefault(task.unit, []).append(task)
        self.run_action(task.unit, task.action, **(parameters or {}))

    def begin_command(self, task: Task, command: str) -> None:
        """Run a shell's command line as a task, as `juju exec` does."""
        task.output = [self.home / 'task-{}.{}'.format(task.id, end) for end in ('out', 'err')]
        for path in task.output:
            path.write_text('')
        self._due.setdefault(task.unit, []).append(task)
        head = '#!/bin/bash\nexec >>{} 2>>{}\n'.format(*task.output)
        self.run_exec(task.unit, head + command + '\n', as_action=True)

    def _task_of(self, unit: str, operation: Operation) -> Optional[Task]:
        """Return the task that an operation is of; a hook's own juju-exec is of none."""
        due = [task for task in self._due.get(unit, []) if task.action == operation.action]
        return due[0] if due else None

    def _output_of(self, execution: Execution) -> Path:
        task = self._task_of(execution.unit, execution.operation)
        if task and not execution.operation.script:
            task.output = [self.home / 'task-{}.out'.format(task.id)]
            task.output[0].touch()
            return task.output[0]
        return super()._output_of(execution)

    def _tell_aside(self, execution: Execution, code: int, why: str, refused: str) -> None:
        super()._tell_aside(execution, code, why, refused)
        task = self._task_of(execution.unit, execution.operation)
        if task is None:
            return
        self._due[task.unit].remove(task)
        task.completed, task.status = self.now, 'completed'
        printed = [path.read_text(errors='replace') for path in task.output] + ['', '']
        said = {'stdout': printed[0], 'stderr': printed[1] + (why + '\n' if why else '')}
        context = execution.context
        task.results = {**context.action_results, 'return-code': code}
        task.results.update({name: text for name, text in said.items() if text})
        if context.action_failed is not None:
            task.status, task.message = 'failed', context.action_failed
        elif refused or (code and not execution.operation.script):
            task.status = 'failed'
            task.message = refused or self._why_action_failed(execution, code)

    def _why_action_failed(self, execution: Execution, code: int) -> str:
        if not (self._charm_dir(execution.unit) / execution.operation.file).exists():
            return 'action not implemented on unit "{}"'.format(execution.unit)
        return 'exit status {}'.format(code)

    # Agents

    def start_agent(self, unit: str) -> None:
        """Start the agent of a unit that was stopped."""
        self._cut_until[unit] = self.now
        if not self.controller.units[unit].connected:
            self._reconnect(unit)

    # What happens

    def _begin(self, name: str, operation: Operation) -> None:
        self._last[name] = operation
        task = self._task_of(name, operation)
        if task:
            task.started, task.status = self.now, 'running'
        super()._begin(name, operation)

    def _reconnect(self, name: str) -> None:
        broken = self._broken_off.get(name)
        super()._reconnect(name)
        task = self._task_of(name, broken.operation) if broken and name not in self._broken_off else None
        if task:  # its agent died meanwhile
            self._due[name].remove(task)
            task.completed, task.status, task.message = self.now, 'failed', 'action terminated'

    def _answer_tool(self, execution: Execution, argv: List[str], counted: bool) -> None:
        super()._answer_tool(execution, argv, counted)
        self._look(execution.unit)

    def _into_error(self, name: str) -> None:
        super()._into_error(name)
        self._look(name)

    def _tell(self, unit: str, what: str, text: str = '') -> None:
        super()._tell(unit, what, text)
        if unit in self.agents:
            self._look(unit)
        if unit in self._last and what in ('begins', 'ends', 'fails', 'ran', 'leads'):
            self._write(unit, what, text)

    # The log

    def _log(self, unit: str, level: str, text: str) -> None:
        super()._log(unit, level, text)
        operation = self._last[unit]
        if text.startswith('Traceback'):  # what a hook prints to stderr
            for line in text.splitlines():
                self._entry(unit, 'WARNING', 'unit.{}.{}'.format(unit, _title(operation)), line)
        elif not text.startswith('flush refused'):
            relation = '{}: '.format(self.controller.relation_id) if operation.with_relation else ''
            self._entry(unit, level, 'unit.{}.juju-log'.format(unit), relation + text)

    def _entry(self, unit: str, level: str, module: str, text: str) -> None:
        self.entries.append(Entry(self.now, unit, level, module, text))

    def _write(self, unit: str, what: str, text: str) -> None:
        """Write what an agent logs of its operations."""
        operation, module = self._last[unit], 'juju.worker.uniter.operation'
        about = 'run {}'.format(self._called(operation))
        if what == 'leads':
            said = '{} promoted to leadership of {}'.format(unit, self.controller.app)
            self._entry(unit, 'INFO', 'juju.worker.leadership', said)
        elif what == 'begins':
            self._entry(unit, 'DEBUG', module, 'running operation {} for {}'.format(about, unit))
        elif what == 'fails' and not operation.aside:
            why = text.partition('flush refused: ')[2] or 'exit status 1'
            form = 'hook "{}" (via explicit, bespoke hook script) failed: {}'
            self._entry(unit, 'ERROR', module, form.format(operation.name, why))
            waits = 'awaiting error resolution for "{}" hook'.format(operation.name)
            self._entry(unit, 'INFO', 'juju.worker.uniter', waits)
        else:
            if operation.name:
                form = 'ran "{}" hook (via explicit, bespoke hook script)'
                self._entry(unit, 'INFO', module, form.format(operation.name))
            self._entry(unit, 'DEBUG', module, 'committing operation "{}" for {}'.format(about, unit))

    def _called(self, operation: Operation) -> str:
        """Return an operation as the agent's log calls it."""
        if not operation.name:
            return 'action {}'.format(operation.action)
        if not operation.with_relation:
            return operation.name + ' hook'
        about = 'unit: ' + operation.remote_unit if operation.remote_unit else 'app: ' + self.controller.app
        if operation.departing:
            about += ', departee: ' + operation.departing
        kind = 'relation-' + operation.name.rpartition('-')[2]
        return '{} ({}; {}) hook'.format(kind, self.controller.relation_number, about)


def _title(operation: Operation) -> str:
    return operation.name or operation.action or 'run-commands'


def _doing(operation: Operation) -> str:
    """Return what an agent says that it runs."""
    if operation.action:
        return 'action ' + operation.action
    if not operation.name:
        return 'commands'
    about = ' for ' + operation.remote_unit if operation.remote_unit else ''
    return '{} hook{}'.format(operation.name, about)
