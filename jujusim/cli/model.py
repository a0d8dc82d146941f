"""The model behind the commands: its application, machines, settings and tasks."""

import runpy
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import yaml

from jujusim.cli.forms import natural
from jujusim.cli.live import Live, Task
from jujusim.cli.words import NotKnown, Refused, seconds
from jujusim.model import address_of

MODEL_SETTINGS = {
    'automatically-retry-hooks': 'true',
    'logging-config': '<root>=INFO',
    'update-status-hook-interval': '5m',
}
LEVELS = ('TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL')


class Place:
    """A machine: since when it is there, and which units were ever placed on it."""

    def __init__(self, number: int, since: float) -> None:
        self.number, self.since = number, since
        self.units: List[str] = []

    @property
    def address(self) -> str:
        """Its address: that of its first unit."""
        return address_of(self.units[0] if self.units else 'machine/{}'.format(self.number))


class LocalModel:
    """A model of at most one application.

    Args:
        about: what `juju add-model` chose: name, uuid, version, seed, quick, machine.
    """

    def __init__(self, about: Dict[str, Any]) -> None:
        self.name, self.uuid, self.version = about['name'], about['uuid'], about['version']
        self.juju = int(self.version.partition('.')[0])
        self._seed, self._quick = about['seed'], about['quick']
        self._machine = runpy.run_path(about['machine'])['machine'] if about['machine'] else None
        self.home = Path(tempfile.mkdtemp(prefix='jujusim-charms-'))
        self.live: Optional[Live] = None
        self.settings = dict(MODEL_SETTINGS)
        self.places: Dict[str, Place] = {}
        self.app, self.charm_name, self.revision, self.base = '', '', 0, ('ubuntu', '24.04')
        self.charm = Path()
        self.given: Dict[str, Any] = {}  # the options that the operator set
        self.tasks: Dict[str, Task] = {}
        self.old_entries: List[Any] = []
        self._past, self._numbers = 0.0, 0 if self.juju == 4 else 1
        self._revisions: Dict[str, int] = {}
        self._next_place = 0
        self.broken = self._removed = ''

    def close(self) -> None:
        """Kill what runs and remove what was written."""
        if self.live:
            self.live.close()
        shutil.rmtree(str(self.home), ignore_errors=True)

    # Time

    @property
    def now(self) -> float:
        """Seconds since the model began."""
        return self.live.now if self.live else self._past

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        if self.live:
            self.live.run(seconds=seconds)
            self._tidy()
        else:
            self._past += seconds

    def wait_for(self, tasks: List[Task], seconds: float) -> bool:
        """Let time pass until tasks are over, or for so long; return whether they are."""
        demanded = self.demand_live()
        over = demanded.run(seconds=seconds, until=lambda: all(task.over for task in tasks))
        self._tidy()
        return over

    def _tidy(self) -> None:
        """Remove machines whose units are gone, and the application where it was to go."""
        units = self.units
        for name, place in list(self.places.items()):
            if place.units and not set(place.units) & set(units):
                del self.places[name]
        if self.live and self.leaving and not units:
            self.old_entries += self.live.entries
            self._past = self.live.now
            self.live.close()
            self.live, self.app = None, ''

    # The application

    def demand_live(self, app: Optional[str] = None) -> Live:
        """Return the application's model.

        Raises:
            Refused: there is none, or none of that name.
        """
        if self.live is None or (app is not None and app != self.app):
            raise Refused('application {} not found (not found)'.format(app or self.app))
        return self.live

    @property
    def units(self) -> List[str]:
        """The units that are not dead, app/2 before app/10."""
        return sorted(self.live.units, key=natural) if self.live else []

    @property
    def leaving(self) -> bool:
        """Whether the application is to go."""
        return bool(self.app) and self._removed == self.app

    def deploy(self, charm: Path, app: str, config: Dict[str, Any]) -> None:
        """Make the application, without units yet.

        Raises:
            NotKnown: the charm is one that the local Juju does not run.
        """
        self.charm, self.charm_name, self.revision = self.upload(charm)
        if self.described('metadata.yaml').get('subordinate'):
            raise NotKnown(
                'juju deploy: {} is a subordinate, which is not known here'.format(self.charm_name)
            )
        self.given = {}
        try:
            live = Live(
                self.charm,
                began=self._past,
                app=app or self.charm_name,
                juju=self.juju,
                seed=self._seed,
                quick=self._quick,
                machine=self._machine,
                retry_automatically=self.retries,
                update_status_s=seconds(self.settings['update-status-hook-interval']),
            )
        except ValueError as error:
            raise NotKnown('juju deploy: {}'.format(error)) from None
        live.version = self.version
        self.live, self.app, self._removed = live, app or self.charm_name, ''
        try:
            self.configure(config)
        except Refused:
            self.live, self.app = None, ''
            live.close()
            raise

    def remove_application(self, force: bool) -> None:
        """Let the application go with all its units."""
        self._removed = self.app
        for unit in self.units:
            self.remove_unit(unit, force)
        self._tidy()

    def upload(self, charm: Path) -> Tuple[Path, str, int]:
        """Copy a charm, a folder or a .charm file; return the copy, the charm's name and revision.

        Raises:
            Refused: it is no charm.
        """
        copy = self.home / 'charm-{}'.format(len(list(self.home.iterdir())))
        if charm.is_dir():
            shutil.copytree(str(charm), str(copy), symlinks=False)
        elif zipfile.is_zipfile(str(charm)):
            _unpack(charm, copy)
        else:
            raise Refused('no charm was found at "{}"'.format(charm))
        described = _read(copy / 'metadata.yaml')
        if 'name' not in described:
            raise Refused('no charm was found at "{}"'.format(charm))
        name = str(described['name'])
        self._revisions[name] = self._revisions.get(name, -1) + 1
        return copy, name, self._revisions[name]

    def refresh(self, charm: Path) -> None:
        """Refresh all units to a charm."""
        live = self.demand_live()
        self.charm, name, self.revision = self.upload(charm)
        if name != self.charm_name:
            form = 'cannot upgrade "{}" to "{}"'
            raise Refused(form.format(self.charm_name, name))
        live.charm = live._compiled(self.charm)
        live.controller.config.update({**self.defaults(), **self.given})
        for unit in self.units:
            live.upgrade(unit, self.charm)

    def described(self, name: str) -> Dict[str, Any]:
        """Return what one of the charm's YAML files says."""
        return _read(self.charm / name)

    def endpoints(self) -> List[str]:
        """Return the charm's endpoints, in order."""
        found = self.described('metadata.yaml')
        named = [name for role in ('peers', 'provides', 'requires') for name in found.get(role) or {}]
        return sorted([*named, *(found.get('extra-bindings') or {}), 'juju-info'])

    # Configuration

    def options(self) -> Dict[str, Any]:
        """Return the options of config.yaml."""
        found: Dict[str, Any] = self.described('config.yaml').get('options') or {}
        return found

    def defaults(self) -> Dict[str, Any]:
        """Return the options that have a default."""
        return {
            name: about['default']
            for name, about in self.options().items()
            if about.get('default') is not None
        }

    def configure(self, values: Dict[str, Any], reset: Tuple[str, ...] = ()) -> None:
        """Set options, given as text, and reset others to their defaults.

        Raises:
            Refused: an option is unknown, or its value of another type.
        """
        live, options = self.demand_live(), self.options()
        for name in [*values, *reset]:
            if name not in options:
                raise Refused('invalid application config: unknown option "{}"'.format(name))
        typed = {name: _typed(name, options[name].get('type'), value) for name, value in values.items()}
        self.given = {name: value for name, value in {**self.given, **typed}.items() if name not in reset}
        for name in set(reset) - set(self.defaults()):
            live.controller.config.pop(name, None)
        defaults = {name: value for name, value in self.defaults().items() if name in reset}
        live.configure(**defaults, **typed)

    # Units and machines

    def add_machine(self) -> str:
        """Add a machine without a unit."""
        name = str(self._next_place)
        self.places[name] = Place(self._next_place, self.now)
        self._next_place += 1
        return name

    def add_units(self, count: int, placed: List[str]) -> None:
        """Add units: where they are placed, else on machines that no unit ever used, else on new ones.

        Raises:
            Refused: there is no such machine.
        """
        live = self.demand_live()
        for name in placed:
            if name not in self.places:
                raise Refused('machine {} not found'.format(name))
        for number in range(count):
            free = [name for name, place in self.places.items() if not place.units]
            chosen = placed[number : number + 1] or free[:1] or [self.add_machine()]
            self.places[chosen[0]].units.append(live.add_unit())

    def machine_of(self, unit: str) -> str:
        """Return the machine of a unit."""
        return next(name for name, place in self.places.items() if unit in place.units)

    def remove_unit(self, unit: str, force: bool) -> None:
        """Remove a unit; by force, one whose hook has failed or whose agent is away is gone at once."""
        live = self.demand_live()
        ill = live.agents[unit].local.in_error or not live.controller.units[unit].connected
        if force and ill:
            live.lose_unit(unit, force=True)
        elif live.controller.units[unit].life == 'alive':
            live.remove_unit(unit)
        self._tidy()

    # Tasks

    def number(self) -> int:
        """Return the next number of an operation or a task."""
        self._numbers += 1
        return self._numbers - 1

    def named(self, unit: str) -> str:
        """Return a unit's name, where app/leader means the one that leads."""
        app, _, number = unit.rpartition('/')
        if number == 'leader' and app == self.app and self.live:
            if self.live.controller.leader is None:
                raise Refused('could not determine leader for "{}"'.format(app))
            return self.live.controller.leader
        return unit

    # Settings of the model, and the log

    @property
    def retries(self) -> bool:
        """Whether a failed hook runs again by itself."""
        return self.settings['automatically-retry-hooks'] == 'true'

    def change_settings(self, changes: Dict[str, str]) -> None:
        """Change settings of the model; update-status hooks that are due already keep their time."""
        settings = {**self.settings, **changes}
        every = seconds(settings['update-status-hook-interval'])
        if settings['automatically-retry-hooks'] not in ('true', 'false'):
            raise Refused('automatically-retry-hooks: expected bool, got string')
        self.settings = settings
        if self.live:
            self.live.update_status_s = every
            self.live.retry_automatically = self.retries

    def entries(self) -> List[Any]:
        """Return what was logged, as far as the model's logging-config keeps it."""
        rules = dict(rule.split('=', 1) for rule in self.settings['logging-config'].split(';') if '=' in rule)
        found = self.old_entries + (self.live.entries if self.live else [])
        return [entry for entry in found if _kept(entry, rules)]


def _kept(entry: Any, rules: Dict[str, str]) -> bool:
    module = entry.module
    while module and module not in rules:
        module = module.rpartition('.')[0]
    least = rules.get(module or '<root>', 'INFO').upper()
    return LEVELS.index(entry.level if entry.level in LEVELS else 'INFO') >= LEVELS.index(least)


def _typed(name: str, kind: Any, value: Any) -> Any:
    """Return an option's value of the right type."""
    words = {'true': True, 'false': False}
    try:
        if kind == 'boolean':
            return words[str(value).lower()]
        return {'int': int, 'float': float}.get(str(kind), str)(value)
    except (KeyError, ValueError):
        form = 'invalid application config: option "{}" expected {}, got {}'
        raise Refused(form.format(name, kind, '"{}"'.format(value))) from None


def _unpack(charm: Path, target: Path) -> None:
    with zipfile.ZipFile(str(charm)) as packed:
        packed.extractall(str(target))
        for item in packed.infolist():
            mode = item.external_attr >> 16
            if mode and not item.is_dir():
                (target / item.filename).chmod(mode & 0o777 | 0o600)


def _read(path: Path) -> Dict[str, Any]:
    if not path.exists():
        return {}
    found: Dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    return found
