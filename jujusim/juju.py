"""A local Juju: units running real hooks in virtual time, the same history for the same seed.

    juju = Juju(charm, units=5, juju=3, seed=7)
    juju.run()                          # until nothing is left to do
    juju.configure(memory=2)
    juju.run()
    print(juju.story())

What may go wrong, and how to make it: `elect` (leadership moves, an old leader's
hook goes on), `fail_hook`, `fail_command`, `fail_tool`, `crash_hook`, `kill_hook`,
`die_agent`, `lose_commit`, `repeat_commit`, `delay_next_write`, `partition`,
`add_unit`, `remove_unit`, `lose_unit`, `poison`, `lose_store`, `lose_databag`,
`lose_app_data`, `change_relation_id`, `migrate`. What runs beside a unit's hooks:
`run_action`, `run_exec`, `debug_hooks`, `collect_metrics`.
"""

import compileall
import copy
import functools
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, Optional, Set, Tuple

import yaml

from jujusim import process
from jujusim.agent import Action, Agent, Operation
from jujusim.executions import EPOCH_S, Execution, Machine
from jujusim.faults import Faulty
from jujusim.model import Unit
from jujusim.timeline import Event, Restless
from jujusim.watchers import UPDATE_STATUS_S

__all__ = ['EPOCH_S', 'VERSIONS', 'Event', 'Execution', 'Juju', 'Machine', 'Restless']

VERSIONS = {3: '3.6.1', 4: '4.0.13'}

# 4.0 polls its change stream from 0.1 s up; an idle controller may take 10 s.
DELAY_S = {3: (0.02, 0.2), 4: (0.1, 2.0)}


class Juju(Faulty):
    """One model with one application, and its machines' clocks.

    Args:
        charm: the folder of a built charm, as `jujusim.charm.assemble` writes it.
        units: how many units there are at the start; APP/0 leads.
        juju: 3 for Juju 2.9 to 3.6, 4 for Juju 4.0.
        seed: the same seed gives the same history.
        app: the name of the application.
        machine: answers the programs that hooks run, see `jujusim.hooks.Machine`.
        config: what the operator set; other options have the defaults of config.yaml.
        subordinate: whether the charm is a subordinate one, each unit beside a principal.
        delay_s: least and most seconds until a change reaches an agent.
        hook_s: seconds from the choice of a hook to its first line.
        tool_s: seconds that one call of a hook tool takes.
        update_status_s: seconds between two update-status hooks, on average.
        quick: run hooks as greenlets of this process, five times as fast; needs greenlet.
        counted: fragments of paths; `costs` marks the tool calls that such code makes.
        relation: the peer relation, where metadata.yaml names more than one.
        retry_automatically: whether a failed hook runs again by itself; else `resolve` does it (R11).
        script_s: seconds to the first line of a hook that is a shell's script, where that differs; if
            it becomes Python by `exec`, that begins after `hook_s` more.
        programs: names of programs which such scripts too ask the machine for; all others run for real.
        zones: the availability zones of the machines, to each machine the next one; none by default.

    Raises:
        ValueError: the charm is no built charm, or has several peer relations and none was chosen.
    """

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
        counted: Tuple[str, ...] = (),
        relation: Optional[str] = None,
        retry_automatically: bool = True,
        script_s: Optional[float] = None,
        programs: Tuple[str, ...] = (),
        zones: Tuple[str, ...] = (),
    ) -> None:
        process.warm_up()
        charm = Path(charm)
        if not (charm / 'hooks').is_dir() and (charm / 'layer.yaml').exists():
            form = '{}: expected a built charm, found a layer without hooks; assemble() builds it'
            raise ValueError(form.format(charm))
        peers = relation if relation is not None else _peer_relation(charm)
        memory = '/dev/shm' if os.path.isdir('/dev/shm') else None
        super().__init__(
            home=Path(tempfile.mkdtemp(prefix='jujusim-', dir=memory)),
            version=VERSIONS[juju],
            machine=machine,
            counted=counted,
            quick=quick,
            hook_s=hook_s,
            tool_s=tool_s,
            script_s=script_s,
            programs=programs,
            app=app,
            juju=juju,
            relation=peers,
            seed=seed,
            delay_s=delay_s or DELAY_S[juju],
            update_status_s=update_status_s,
        )
        self.controller.subordinate = subordinate
        self.controller.container_endpoint = _container_endpoint(charm)
        self.retry_automatically = retry_automatically
        self.controller.config.update({**_defaults(charm), **(config or {})})
        self._charms: Dict[Path, Path] = {}
        self._scripts, self.zones = 0, zones
        self._stores: Dict[str, Tuple[int, sqlite3.Connection]] = {}
        self.charm = self._compiled(charm)
        for _ in range(units):
            self.add_unit()
        if units:
            first = '{}/0'.format(app)
            self.elect(first)
            self.agents[first].remote.leads = True  # no agent begins before its claim is answered

    def close(self) -> None:
        """Kill what runs and remove what was written."""
        for execution in [*self.running.values(), *self.beside]:
            execution.kill()
        self.running.clear()
        self.beside.clear()
        for path in list(self._stores):
            self._close_store(path)
        shutil.rmtree(str(self.home), ignore_errors=True)
        # Each quick hook goes through what Python knows of folders; those that are gone need not be there.
        for place in [place for place in sys.path_importer_cache if place.startswith(str(self.home))]:
            del sys.path_importer_cache[place]

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

    def add_unit(self, name: Optional[str] = None, keep_files: bool = False, principal: str = '') -> str:
        """Add a unit on a machine of its own, and return its name.

        Args:
            name: of a unit that is dead, as Kubernetes uses names again; else the next number.
            keep_files: whether what that unit's hooks wrote in the charm's directory is there again.
            principal: the unit beside which a subordinate's unit runs; else principal/N.

        Raises:
            ValueError: the name is of a unit that is not dead, or of none.
        """
        numbers = [int(known.split('/')[1]) for known in self.controller.units]
        if name is None:
            name = '{}/{}'.format(self.controller.app, 1 + max(numbers, default=-1))
        else:
            self._clear_away(name, keep_files)
        self._lay(self.charm, name)
        self.controller.units[name] = Unit(name, principal=principal, zone=self._zone_of(name))
        agent = self.agents[name] = Agent(name, self.controller)
        agent.other_relations = self._other_peers(self.charm)
        agent.remote.config = self.controller.config_version()
        agent.remote.leader_settings = 1  # R18: the first delivery counts
        self._deliver_relation(name)
        self._schedule_update_status(name)
        self._wake(name, self._delay())
        self._tell(name, 'added')
        self._fill_vacancy()
        return name

    def _zone_of(self, name: str) -> str:
        return self.zones[self._machine_of(name) % len(self.zones)] if self.zones else ''

    def _other_peers(self, charm: Path) -> Tuple[str, ...]:
        """Return the charm's peer relations but the one whose hooks run."""
        names = _read(charm / 'metadata.yaml').get('peers') or {}
        return tuple(sorted(set(names) - {self.controller.relation}))

    def _clear_away(self, name: str, keep_files: bool) -> None:
        """Make room for a unit of a dead one's name; what that said is readable until this enters (R22)."""
        former = self.controller.units.get(name)
        if former is None or former.life != 'dead':
            raise ValueError('add_unit: expected the name of a dead unit, found {!r}'.format(name))
        self._kill(name)
        if former.entered_scope:
            self.controller.archive[name] = former.settings
        del self.controller.units[name], self.agents[name]
        bags = self.controller.other_bags
        self.controller.other_bags = {key: bag for key, bag in bags.items() if key[1] != name}
        self._lost.discard(name)
        self._cut_until.pop(name, None)
        self._broken_off.pop(name, None)
        self._stopping.pop(name, None)
        self._rebooting.discard(name)
        self._forgetful.discard(name)
        if not keep_files:
            shutil.rmtree(str(self._charm_dir(name)))

    def configure(self, **config: Any) -> None:
        """Change the charm's configuration: config-changed on every unit, if its hash differs.

        Juju 4 lets a unit at rest run it twice, as seen on 4.0.14 (8 of 8 times): its watcher delivers
        the change in two steps. A busy unit sees one. `configured_twice = False` is kinder.
        """
        before = self.controller.config_version()
        self.controller.config.update(config)
        twice = self.controller.juju == 4 and self.controller.config_version() != before
        twice &= self.configured_twice
        for name in self.agents:
            self._configured(name, twice)
        self._tell('', 'configured', ', '.join('{}={}'.format(*pair) for pair in sorted(config.items())))

    def run_action(self, unit: str, action: str, /, **parameters: Any) -> None:
        """Run an action of the charm; parameters not given have the defaults of actions.yaml."""
        given = {**_action_defaults(self.charm, action), **parameters}
        self.agents[unit].remote.actions.append(Action(action, given))
        self._wake(unit)

    def run_exec(self, unit: str, script: str, as_action: bool = False) -> Operation:
        """Do juju-exec: run a file of the charm, or a script, in a context of its own (R27).

        It runs between hooks, also before a failed hook runs again. What it
        wrote is committed whatever its exit code; it never puts the unit in error.

        Args:
            unit: where it runs.
            script: 'hooks/NAME' or 'actions/NAME', from the charm's directory on; or a script's text.
            as_action: whether an operator's client asks, which makes an action of it; else the machine does.
        """
        if not script.startswith(('hooks/', 'actions/')) or '\n' in script:
            self._scripts += 1
            place = self.home / 'exec-{}'.format(self._scripts)
            place.write_text(script)
            place.chmod(0o755)
            script = str(place)
        operation = Operation('', script=script, action='juju-exec' if as_action else '')
        self.agents[unit].remote.asides.append(operation)
        self._wake(unit)
        return operation

    def collect_metrics(self, unit: str, hook: str = 'collect-metrics') -> None:
        """Run collect-metrics, or meter-status-changed, between hooks: its tools exit 1 but juju-log (R27).

        Raises:
            ValueError: the model is one of Juju 4, which has no such hooks.
        """
        if self.controller.juju == 4:
            raise ValueError('collect_metrics: Juju 4 has no {}'.format(hook))
        self.agents[unit].remote.asides.append(Operation(hook, restricted=True))
        self._wake(unit)

    def upgrade(self, unit: str, charm: Optional[Path] = None) -> None:
        """Refresh one unit to a charm (its own again by default); files that no charm brought stay."""
        source = self._compiled(charm) if charm else self.charm
        self._lay(source, unit)
        self.agents[unit].other_relations = self._other_peers(source)
        self.agents[unit].remote.upgrade += 1
        self._wake(unit)

    def set_principal(self, name: str, status: str) -> None:
        """Let a principal of a subordinate have a workload status, or be 'dying'; a new one may come (R23).

        A principal whose hook has failed shows the status that it had last.
        """
        self.controller.principal_states[name] = status
        self.note('principal', '{} {}'.format(name, status))

    def migrate(self, to: int = 4, agents: Optional[Iterable[str]] = None) -> None:
        """Move the model from Juju 3 to a controller of Juju 4, now, whatever runs.

        Databags stay; leader settings are gone. An agent of 3.x goes on there: its
        leader-set succeeds and stores nothing, its leader-get answers {}.

        Args:
            to: 4.
            agents: whose agents are upgraded at once, all by default; `upgrade_agent` does the others.

        Raises:
            ValueError: the model is no model of Juju 3, or `to` is not 4.
        """
        if (self.controller.juju, to) != (3, 4):
            raise ValueError('migrate: expected from 3 to 4, found {} to {}'.format(self.controller.juju, to))
        for agent in self.agents.values():
            agent.version = self.version
        self.version = VERSIONS[to]
        self.controller.move_to_4()
        self.delay_s = DELAY_S[to] if self.delay_s == DELAY_S[3] else self.delay_s
        self.note('moves', 'to Juju {}'.format(self.version))
        for name in self.units if agents is None else agents:
            self.upgrade_agent(name)
        for name in self.agents:
            self._deliver_relation(name)  # databags have other versions now (R25)

    def upgrade_agent(self, unit: str) -> None:
        """Upgrade a unit's agent to its controller's version; it restarts (R13).

        A hook under way keeps the old agent's tools; at its end nothing is
        committed, and it runs again as a failed one does.
        """
        agent = self.agents[unit]
        agent.juju, agent.version = self.controller.juju, self.version
        if unit in self.running:
            self.running[unit].agent_replaced = True
        agent.restart()
        self._tell(unit, 'upgrades its agent', self.version)
        self._wake(unit)

    def resolve(self, unit: str, retry: bool = True) -> None:
        """Do `juju resolve`; without a retry, the failed hook counts as done (R11)."""
        agent = self.agents[unit]
        if agent.local.in_error and agent.local.pending:
            self._tell(unit, 'resolved', '' if retry else 'no retry')
            agent.local.in_error = False
            if not retry:
                self._done(unit, agent.local.pending)
            self._wake(unit, 0.0)

    def remove_unit(self, unit: str) -> None:
        """Let a unit leave with all its hooks; on 2.9-3.x its peers learn it at once (R20, R21)."""
        record = self.controller.units[unit]
        record.life = 'dying'
        record.departing = self.controller.juju == 3
        if record.departing:
            self._notify('scope', unit)
        self._deliver(unit, 'life', unit)
        self._tell(unit, 'is removed')

    def lose_unit(self, unit: str, force: bool = False) -> None:
        """Let a unit's machine die without a hook; with force, do `juju remove-unit --force` too."""
        self._kill(unit)
        self.controller.units[unit].connected = False
        self._lost.add(unit)
        self._tell(unit, 'is lost')
        if force:
            self._bury(unit)

    # What a test asks

    def status_of(self, unit: str) -> Tuple[str, str]:
        """Return the workload status of a unit and its message, as the charm set them."""
        record = self.controller.units[unit]
        return record.status, record.status_message

    def flags_of(self, unit: str) -> Set[str]:
        """Return the charms.reactive flags as the unit's last hook left them."""
        path = self._charm_dir(unit) / '.unit-state.db'
        if not path.exists():
            return set()
        store = self._store(str(path))
        try:
            rows = store.execute("select key from kv where key like 'reactive.states.%'").fetchall()
        finally:
            if not self.quick:
                store.close()
        return {key[len('reactive.states.') :] for (key,) in rows}

    def _store(self, path: str) -> sqlite3.Connection:
        """Open a unit's store; with quick hooks it stays open, for no process is forked off with it."""
        if not self.quick:
            return sqlite3.connect(path)
        file = os.stat(path).st_ino
        if path not in self._stores or self._stores[path][0] != file:
            self._close_store(path)
            self._stores[path] = file, sqlite3.connect(path)
        return self._stores[path][1]

    def _close_store(self, path: str) -> None:
        if path in self._stores:
            self._stores.pop(path)[1].close()


def _peer_relation(charm: Path) -> str:
    """Return the charm's peer relation, '' where it has none."""
    names = sorted(_read(charm / 'metadata.yaml').get('peers') or {})
    if len(names) > 1:
        form = '{}: this Juju has one peer relation, and metadata.yaml names {}; choose with relation=NAME'
        raise ValueError(form.format(charm, ' and '.join(names)))
    return names[0] if names else ''


def _container_endpoint(charm: Path) -> str:
    """Return the endpoint by which a subordinate is related to its principals."""
    described = _read(charm / 'metadata.yaml')
    for name, found in sorted(
        {**(described.get('provides') or {}), **(described.get('requires') or {})}.items()
    ):
        if found.get('scope') == 'container':
            return str(name)
    return 'juju-info'


def _defaults(charm: Path) -> Dict[str, Any]:
    options = _read(charm / 'config.yaml').get('options') or {}
    return {name: option['default'] for name, option in options.items() if option.get('default') is not None}


def _action_defaults(charm: Path, action: str) -> Dict[str, Any]:
    described = (_read(charm / 'actions.yaml').get(action) or {}).get('params') or {}
    return {name: value['default'] for name, value in described.items() if 'default' in value}


def _read(path: Path) -> Dict[str, Any]:
    if not path.exists():
        return {}
    return copy.deepcopy(_parsed(path.read_text()))


@functools.lru_cache(maxsize=200)  # a campaign makes many models of one charm
def _parsed(text: str) -> Dict[str, Any]:
    found: Dict[str, Any] = yaml.safe_load(text) or {}
    return found
