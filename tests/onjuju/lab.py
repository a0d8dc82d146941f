"""The model in which scenes are played: made or borrowed, filled, looked at, and left as it was."""

import json
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import jubilant

from tests.onjuju.trouble import Trouble, last_line

APP = 'rolling-db'
ANSWER_S = 90.0
"""How long a controller may take for its first answer."""
LOG_LINES = 8
QUIET_LOOKS = 3
"""After so many looks at units at rest, nothing is going on."""
SETTINGS = {
    'logging-config': '<root>=INFO;juju.worker.uniter=DEBUG',
    'update-status-hook-interval': '1m',
}


class Wishes(NamedTuple):
    """What the command line asks for.

    Args:
        model: a model that is there; '' for one of the suite's own.
        units: how many units.
        more: how many machines scenes need beside those.
        keep: whether to leave all as it is at the end.
        base: of the charm, as 'ubuntu@24.04'.
        patience_s: how long anything may take.
        poll_s: how long a look at the status takes, with the pause before it.
        pause: makes that pause.
    """

    model: str = ''
    units: int = 4
    more: int = 0
    keep: bool = False
    base: str = 'ubuntu@24.04'
    patience_s: float = 900.0
    poll_s: float = 1.5
    pause: Callable[[float], None] = time.sleep


class Lab:
    """One application on one model.

    Args:
        binary: the client.
        wishes: what the command line asks for.
        say: gets what goes on, for a line that is written over.
    """

    def __init__(self, binary: str, wishes: Wishes, say: Callable[[str], None]) -> None:
        self.juju = jubilant.Juju(cli_binary=binary)
        self.wishes, self.say = wishes, say
        self.made = ''
        self.deployed = False
        self.models: List[str] = []
        self.free: List[str] = []
        self.before: Dict[str, Any] = {}
        self.seen: Any = None

    # The controller

    def check(self) -> None:
        """Look whether there is a client, and a controller that answers.

        Raises:
            Trouble: there is not.
        """
        binary = self.juju.cli_binary
        if not shutil.which(binary):
            form = (
                'There is no program {}. Install it (sudo snap install juju), or say where it is '
                '(JUJU=/path/to/juju). LOCAL=4 plays the scenes on the local Juju, which needs none.'
            )
            raise Trouble(form.format(binary))
        version = self._ask('version').strip()
        if version.split('.')[0] in ('1', '2'):
            form = '{} is a client of Juju {}, whose verbs jubilant does not speak. Use one of Juju 3 or 4.'
            raise Trouble(form.format(binary, version))
        controller = json.loads(self._ask('controllers', '--format', 'json') or '{}').get(
            'current-controller'
        )
        if not controller:
            raise Trouble('There is no controller. Make one (juju bootstrap), or choose one (juju switch).')
        self.models = [
            model.get('short-name') or model['name'].rpartition('/')[2]
            for model in json.loads(self._ask('models', '--format', 'json', controller=controller))['models']
        ]

    def _ask(self, *words: str, controller: str = '') -> str:
        """Ask the client something that needs no model, and do not wait for ever."""
        form = (
            'The controller {} does not answer: {}. '
            'Look at it with: juju show-controller; juju status -m controller'
        )
        try:
            asked = [self.juju.cli_binary, *words]
            done = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWER_S, check=True)
        except subprocess.TimeoutExpired:
            why = 'nothing came within {:.0f} s'.format(ANSWER_S)
            raise Trouble(form.format(controller, why)) from None
        except subprocess.CalledProcessError as error:
            if controller:
                raise Trouble(form.format(controller, last_line(error))) from None
            raise Trouble('juju {} failed: {}'.format(words[0], last_line(error))) from None
        except OSError as error:
            raise Trouble('{} does not run: {}'.format(self.juju.cli_binary, error)) from None
        return done.stdout

    # The model

    def open(self, charm: Path) -> None:
        """Make or borrow a model, and deploy the charm; what was made is known to `close` at every moment."""
        if self.wishes.model:
            self._borrow()
        else:
            name = 'on-juju-{:x}'.format(int(time.time()) & 0xFFFFFF)
            self.say('adds the model {}'.format(name))
            self.made = name
            self._do('add a model', lambda: self.juju.add_model(name))
        self._settle()
        self.say('deploys {} units'.format(self.wishes.units))
        to = {'to': self.free[: self.wishes.units]} if self.wishes.model else {}
        self.deployed = True
        self._do(
            'deploy the charm',
            lambda: self.juju.deploy(charm, APP, num_units=self.wishes.units, base=self.wishes.base, **to),
        )
        looks: List[bool] = []

        def quiet(status: Any) -> bool:
            looks.append(self._installed(status))
            return len(looks) > QUIET_LOOKS and all(looks[-QUIET_LOOKS:])

        self.until('installs', quiet)

    def _borrow(self) -> None:
        model = self.wishes.model
        if model not in self.models:
            form = 'MODEL={}: there is no such model. There are: {}.'
            raise Trouble(form.format(model, ', '.join(self.models) or 'none'))
        self.juju.model = model
        status = self.status()
        if APP in status.apps:
            form = (
                'MODEL={0}: it has an application {1} already. Remove it: juju remove-application -m {0} {1}'
            )
            raise Trouble(form.format(model, APP))
        taken = {unit.machine for app in status.apps.values() for unit in app.units.values()}
        self.free = [
            name
            for name, machine in status.machines.items()
            if name not in taken and machine.juju_status.current == 'started'
        ]
        need = self.wishes.units + self.wishes.more
        if len(self.free) < need:
            form = (
                'MODEL={}: {} of its {} machines are free, and {} are needed: {} units, and {} more for '
                'scenes that add one. Add machines (juju add-machine), or say fewer UNITS= or other SCENES=.'
            )
            free, there = len(self.free), len(status.machines)
            raise Trouble(form.format(model, free, there, need, self.wishes.units, self.wishes.more))

    def _settle(self) -> None:
        """Set what the scenes need of the model, and remember what it was."""
        before = self.juju.model_config()
        self.before = {name: before.get(name) for name in SETTINGS}
        self._do('set the configuration of the model', lambda: self.juju.model_config(SETTINGS))

    def _do(self, what: str, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except jubilant.CLIError as error:
            raise Trouble('Could not {}: {}'.format(what, last_line(error))) from None

    def _installed(self, status: Any) -> bool:
        units = self.units(status)
        failed = [name for name, unit in units.items() if unit.workload_status.current == 'error']
        if failed:
            form = '{} failed to install. Its log says why; KEEP=1 leaves the model for you to look at.'
            raise Trouble(form.format(failed[0]), self.about(status, failed))
        ill = [
            name
            for name, machine in status.machines.items()
            if machine.juju_status.current in ('error', 'down')
            or machine.machine_status.current == 'provisioning error'
        ]
        if ill and not self.wishes.model:
            message = status.machines[ill[0]].machine_status.message
            form = 'The cloud gave no machine {}: {}. Take away what uses the quota, or say fewer UNITS=.'
            raise Trouble(form.format(ill[0], message or status.machines[ill[0]].juju_status.message))
        there = len(units) == self.wishes.units
        return there and all(
            resting(unit) and unit.workload_status.current == 'active' for unit in units.values()
        )

    def close(self) -> List[str]:
        """Remove what was made, and nothing else; return a sentence for what could not be."""
        if self.wishes.keep and (self.made or self.deployed):
            return ['Kept: {}'.format(self._how_to_remove())]
        left = []
        if self.made:
            self.say('destroys the model {}'.format(self.made))
            left = self._undo(lambda: self.juju.destroy_model(self.made, force=True, destroy_storage=True))
        elif self.wishes.model:
            if self.deployed:
                self.say('removes the application {}'.format(APP))
                left += self._undo(lambda: self.juju.remove_application(APP, force=True))
            back = {name: value for name, value in self.before.items() if value is not None}
            if back:
                left += self._undo(lambda: self.juju.model_config(back))
        return left

    def _undo(self, step: Callable[[], Any]) -> List[str]:
        try:
            step()
        except jubilant.CLIError as error:
            if 'not found' in str(error.stderr):
                return []  # it was never there
            return ['Could not remove all: {}. By hand: {}'.format(last_line(error), self._how_to_remove())]
        return []

    def _how_to_remove(self) -> str:
        if self.made:
            return 'juju destroy-model --no-prompt --force {}'.format(self.made)
        return 'juju remove-application --no-prompt --force -m {} {}'.format(self.wishes.model, APP)

    # Looking

    def status(self) -> Any:
        """Return the model's status, which `seen` keeps."""
        self.seen = self._do('ask for the status', self.juju.status)
        return self.seen

    @staticmethod
    def units(status: Any) -> Dict[str, Any]:
        """Return the units, app/2 before app/10."""
        app = status.apps.get(APP)
        found = dict(app.units) if app else {}
        return dict(sorted(found.items(), key=lambda pair: int(pair[0].rpartition('/')[2])))

    def until(self, doing: str, ready: Callable[[Any], Any], patience_s: Optional[float] = None) -> Any:
        """Look at the status until something is so; return what `ready` returned.

        Raises:
            Trouble: it takes too long.
        """
        patience_s = patience_s or self.wishes.patience_s
        waited = 0.0
        while True:
            status = self.status()
            found = ready(status)
            if found:
                return found
            self.say('{}, {:.0f} s: {}'.format(doing, waited, self.summary(status)))
            if waited > patience_s:
                form = (
                    'It took more than {:.0f} s: {}. PATIENCE= gives more seconds; '
                    'KEEP=1 leaves all to look at.'
                )
                raise Trouble(form.format(patience_s, doing), self.about(status, self.units(status)))
            waited += self.wishes.poll_s
            self.wishes.pause(self.wishes.poll_s)

    def summary(self, status: Any) -> str:
        """Return how many units have which workload status, as a phrase."""
        said: Dict[str, int] = {}
        for unit in self.units(status).values():
            words = unit.workload_status.message or unit.workload_status.current
            words = (
                'waiting for its turn'
                if unit.workload_status.current == 'waiting' and ':' in words
                else words
            )
            said[words] = said.get(words, 0) + 1
        return ', '.join('{} {}'.format(count, words) for words, count in said.items())

    def about(self, status: Any, names: Any) -> List[str]:
        """Return the status of units, and the last lines of the log of those that do not rest well."""
        found = []
        for name in names:
            unit = self.units(status).get(name)
            if unit is None:
                continue
            work, agent = unit.workload_status, unit.juju_status
            form = '{}: {} ({}), agent {} {}'
            found.append(form.format(name, work.current, work.message, agent.current, agent.message).rstrip())
            if work.current != 'active' or agent.current != 'idle':
                found += ['    ' + line for line in self.last_lines(name)]
        return found

    def last_lines(self, unit: str) -> List[str]:
        """Return the last lines of a unit's log."""
        entity = 'unit-' + unit.replace('/', '-')
        try:
            log = self.juju.cli('debug-log', '--no-tail', '--include', entity, '--lines', str(LOG_LINES))
        except jubilant.CLIError as error:
            return ['its log cannot be read: {}'.format(last_line(error))]
        return log.splitlines()[-LOG_LINES:]

    def log(self) -> str:
        """Return the whole log of the model's units."""
        return self._do(
            'read the log',
            lambda: self.juju.cli('debug-log', '--replay', '--no-tail', '--date', '--utc', '--ms'),
        )

    def work_of(self, unit: str) -> Optional[List[str]]:
        """Return what a unit wrote down of its work; None where it cannot be asked."""
        try:
            said = self.juju.exec('cat work-record 2>/dev/null || true', unit=unit, wait=120)
        except (jubilant.CLIError, jubilant.TaskError, TimeoutError, ValueError):
            return None
        return said.stdout.splitlines()


def resting(unit: Any) -> bool:
    """Tell whether a unit's agent has nothing to do."""
    return unit.juju_status.current == 'idle'


def moment(status: Any) -> float:
    """Return when a status was made, in seconds since 1970, by the controller's clock.

    The status has the time of day alone; the day is that of its newest `since`.
    """
    newest = datetime.fromtimestamp(0, timezone.utc)
    for app in status.apps.values():
        for unit in app.units.values():
            for shown in (unit.workload_status, unit.juju_status):
                if shown.since:
                    newest = max(newest, datetime.strptime(shown.since, '%d %b %Y %H:%M:%S%z'))
    at = datetime.strptime(status.controller.timestamp, '%H:%M:%S%z')
    found = newest.astimezone(at.tzinfo).replace(hour=at.hour, minute=at.minute, second=at.second)
    if found < newest - timedelta(hours=12):
        found += timedelta(days=1)
    return found.timestamp()
