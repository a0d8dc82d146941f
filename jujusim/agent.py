"""A unit's agent: which operation comes next, and what one hook may see (R1, R2, R4-R8, R13, R17-R21, R26).

There is no event queue: the agent compares what its watchers last delivered
(`remote`) with what it has processed (`local`), and chooses in Juju's order.
"""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

from jujusim.model import Controller, NoRelation, NotLeader


class Action(NamedTuple):
    """An action that an operator asked for, with its parameters."""

    name: str = ''
    parameters: Mapping[str, object] = MappingProxyType({})


class Operation(NamedTuple):
    """One hook or action to run, with the versions captured when it was chosen (R7)."""

    name: str
    remote_unit: str = ''
    departing: str = ''
    version: int = 0
    action: str = ''
    with_relation: bool = False
    parameters: Mapping[str, object] = MappingProxyType({})
    script: str = ''  # of juju exec: a file, from the charm's directory on
    restricted: bool = False  # collect-metrics: its tools answer nothing about the unit

    @property
    def aside(self) -> bool:
        """Whether it is none of the unit's hooks: it never puts the unit in error, and never runs again."""
        return bool(self.action or self.script) or self.restricted

    @property
    def file(self) -> str:
        """The file that it runs, from the charm's directory on."""
        return self.script or ('actions/' + self.action if self.action else 'hooks/' + self.name)


@dataclass
class Remote:
    """What the watchers have delivered, each channel with its own delay (R3)."""

    members: Dict[str, int] = field(default_factory=dict)
    app_version: int = 0
    leader_settings: int = 0
    leads: bool = False
    config: int = 0
    dying: bool = False
    actions: List[Action] = field(default_factory=list)
    asides: List[Operation] = field(default_factory=list)  # what else an operator asked for, in order
    upgrade: int = 0
    rebooted: bool = False  # the machine has booted again, and no start hook has told the charm yet


@dataclass
class Local:
    """What the agent has processed; it outlives a restart of the agent, except where noted (R13)."""

    installed: bool = False
    created: bool = False
    started: bool = False
    queued_start: bool = False
    stopped: bool = False
    removed: bool = False
    members: Dict[str, int] = field(default_factory=dict)
    changed_pending: str = ''
    app_version: int = 0
    leads: bool = False
    leader_settings: int = 0  # memory only: lost at restart
    config: int = 0
    upgrade: int = 0
    pending: Optional[Operation] = None  # chosen and not yet done: a failed or interrupted hook
    in_error: bool = False


class Agent:
    """One unit's sequential loop (R1)."""

    def __init__(self, name: str, controller: Controller) -> None:
        self.name, self.controller, self.juju = name, controller, controller.juju
        self.version = ''  # the model's, where nothing else is said
        self.other_relations: Tuple[str, ...] = ()  # the other peer relations of its charm
        self.remote, self.local = Remote(), Local()
        self.member_cache: Dict[str, Dict[str, str]] = {}  # R6: lives across hooks
        self.update_status_due = False
        self.failures = 0  # of the pending hook, since the agent began: they set its delay
        self.errors = 0  # how often any hook has failed

    def next_operation(self) -> Optional[Operation]:
        """Return what runs next, None when idle."""
        local, remote = self.local, self.remote
        if local.removed:
            return None
        if local.pending and local.pending.name == 'leader-settings-changed' and self.juju == 4:
            self.done(local.pending)  # it failed under an older agent; this one has no such hook
        if local.leads and not remote.leads:
            local.leads = False  # R17: in any state, in error too, and no leader-deposed hook
        if local.in_error:  # the retry timer brings the hook back
            return self._aside()
        if local.pending:
            at_once = [each for each in remote.asides if not each.action]  # actions wait until it has run
            return [*at_once, local.pending][0]
        if remote.rebooted and local.started:
            if local.config == 0:
                return Operation('config-changed', version=remote.config)  # upgrade-charm has queued it
            return Operation('start')  # before all else, and on a leaving unit too
        if not local.installed:
            return Operation('install')
        if local.queued_start:
            return Operation('start')  # queued by config-changed: runs even if the unit is dying by now
        return self._before_actions() or self._after_actions()

    def _before_actions(self) -> Optional[Operation]:
        local, remote = self.local, self.remote
        if local.stopped:
            return None
        if remote.upgrade != local.upgrade and not remote.dying:
            return Operation('upgrade-charm', version=remote.upgrade)
        if self.controller.relation and not local.created and not remote.dying:
            return self._relation_hook('created')
        if remote.leads and not local.leads and not remote.dying:
            return Operation('leader-elected')
        if self._leader_settings_changed():
            return Operation('leader-settings-changed', version=remote.leader_settings)
        return None

    def _aside(self) -> Optional[Operation]:
        """Return the next action, or what else an operator asked for (R27)."""
        if self.remote.actions:
            action = self.remote.actions[0]
            return Operation('', action=action.name, parameters=action.parameters)
        return self.remote.asides[0] if self.remote.asides else None

    def _relation_hook(self, event: str, unit: str = '', departing: str = '', version: int = 0) -> Operation:
        name = '{}-relation-{}'.format(self.controller.relation, event)
        return Operation(name, unit, departing, version, with_relation=True)

    def _leader_settings_changed(self) -> bool:
        """Tell whether leader-settings-changed is due (R18)."""
        local, remote = self.local, self.remote
        if self.controller.juju == 4 or remote.dying or local.leads:
            return False
        return local.leader_settings != remote.leader_settings

    def _after_actions(self) -> Optional[Operation]:
        local, remote = self.local, self.remote
        aside = self._aside()
        if aside is not None:
            return aside
        if remote.dying:
            return self._leaving()
        if remote.config != local.config:
            return Operation('config-changed', version=remote.config)
        operation = self._relation_operation(remote.members)
        if operation is None and self.update_status_due:
            return Operation('update-status')  # R26: only when nothing else is pending
        return operation

    def _leaving(self) -> Operation:
        """Return a leaving unit's next hook: departed for every known peer, then stop, then remove (R21)."""
        if self.local.changed_pending:
            return self._changed(self.local.changed_pending)
        for peer in sorted(self.local.members):
            return self._relation_hook('departed', peer, self.name)
        return Operation('remove' if self.local.stopped else 'stop')

    def _relation_operation(self, members: Dict[str, int]) -> Optional[Operation]:
        """Return the relation's next hook, if one is due.

        First the changed that follows a joined, then departed, the application's
        changed, joined, changed; units in the order of their names as text (R4).
        """
        local, remote = self.local, self.remote
        if local.changed_pending:
            return self._changed(local.changed_pending)
        for unit in sorted(set(local.members) - set(members)):
            return self._relation_hook('departed', unit, unit)
        if remote.app_version != local.app_version:  # R24: on the leader too
            return self._relation_hook('changed', version=remote.app_version)
        for unit in sorted(set(members) - set(local.members)):
            return self._relation_hook('joined', unit, version=members[unit])
        for unit in sorted(members):
            if members[unit] != local.members[unit]:
                return self._changed(unit)
        return None

    def _changed(self, unit: str) -> Operation:
        version = self.remote.members.get(unit, self.local.members[unit])
        return self._relation_hook('changed', unit, version=version)

    # What a hook sees

    def context(self, operation: Operation) -> 'Context':
        """Return a hook's context; joined and changed drop what was cached of their member (R6)."""
        if operation.name.endswith(('-joined', '-changed')):
            self.member_cache.pop(operation.remote_unit, None)
        members = set(self.local.members)
        if operation.name.endswith('-departed'):
            members.discard(operation.remote_unit)
            self.member_cache.pop(operation.remote_unit, None)
        elif operation.remote_unit:
            members.add(operation.remote_unit)
        return Context(self, operation, tuple(sorted(members)))

    def done(self, operation: Operation) -> None:
        """Record that the operation is over and committed."""
        local = self.local
        local.pending, local.in_error, self.failures = None, False, 0
        self.update_status_due = False  # R26: any hook absorbs a due update-status
        name, unit = operation.name, operation.remote_unit
        if name == 'install':
            local.installed = True
        elif name.endswith('-relation-created'):
            local.created = True
        elif name == 'leader-elected':
            local.leads = True
        elif name == 'leader-settings-changed':
            local.leader_settings = operation.version
        elif name == 'upgrade-charm':
            local.upgrade, local.config = operation.version, 0  # config-changed follows
            self.remote.leader_settings += 1  # R18: watchers are rebuilt
        elif name == 'config-changed':
            local.config = operation.version
            local.queued_start = not local.started
        elif name == 'start':
            local.started, local.queued_start, local.stopped = True, False, False
            self.remote.rebooted = False
        elif name == 'stop':
            local.stopped = True
        elif name == 'remove':
            local.removed = True
        elif name.endswith('-joined'):
            local.members[unit], local.changed_pending = operation.version, unit
        elif name.endswith('-departed'):
            local.members.pop(unit, None)
            local.changed_pending = '' if local.changed_pending == unit else local.changed_pending
        elif name.endswith('-changed') and unit:
            local.members[unit] = operation.version
            local.changed_pending = '' if local.changed_pending == unit else local.changed_pending
        elif name.endswith('-relation-changed'):
            local.app_version = operation.version

    def drop(self, operation: Operation) -> None:
        """Lose a failed hook: it is not committed, and runs again if its cause is still there (R13)."""
        self.local.pending, self.local.in_error = None, False
        if operation.name == 'leader-elected':
            self.local.leads = True  # noted when it was chosen
        elif operation.name == 'upgrade-charm':
            self.local.upgrade = operation.version

    def forget_relation(self) -> None:
        """Begin anew with the peer relation: it has gone, and come again with another id."""
        local = self.local
        local.created, local.changed_pending, local.app_version = False, '', 0
        local.members.clear()
        self.remote.members.clear()
        self.remote.app_version = 0
        self.member_cache.clear()

    def restart(self) -> None:
        """Restart the agent process: caches are gone, what was persisted stays (R13).

        It learns of members that are dead by now (R20), and forgets what juju-exec asked for.
        """
        self.member_cache.clear()
        dead = {name for name, unit in self.controller.units.items() if unit.life == 'dead'}
        for name in dead.intersection(self.remote.members):
            del self.remote.members[name]
        self.remote.asides = [each for each in self.remote.asides if each.action or each.restricted]
        self.update_status_due = self.remote.rebooted = False
        self.failures = 0
        self.local.leader_settings = 0
        self.remote.leader_settings += 1


class Context:
    """What one hook reads and writes; thrown away when it ends (R6-R10, R15)."""

    def __init__(self, agent: Agent, operation: Operation, members: Tuple[str, ...]) -> None:
        self.agent, self.operation, self.members = agent, operation, members
        self.controller = agent.controller
        self.id = agent.controller.context_id(
            agent.name, operation.action or operation.name or 'run-commands'
        )
        self.juju = agent.juju  # whose tools the hook has, also when the agent is upgraded meanwhile
        entered = agent.controller.units[agent.name].entered_scope
        self.relation_id = agent.controller.relation_id if entered else ''
        others = agent.other_relations if entered else ()
        self.other_relations = {agent.controller.other_relation_id(name): name for name in others}
        self._other_bags: Dict[Tuple[str, str], Dict[str, str]] = {}
        self._others: Dict[str, Dict[str, str]] = {}
        self._own: Optional[Dict[str, str]] = None
        self._own_before: Optional[Dict[str, str]] = None
        self._app: Optional[Dict[str, str]] = None
        self._app_before: Optional[Dict[str, str]] = None
        self.app_written = False
        self.checked = False  # the controller has found that the unit leads, and does not look again
        self.other_written: Set[str] = set()  # whose databags in other peer relations
        self._leader_settings: Optional[Dict[str, str]] = None
        self.minion = False
        self.cut_off = False  # the connection went while this hook ran: it stays so until the hook ends (R16)
        self.cached: Dict[str, Dict[str, object]] = {}  # config-get and status-get: first read of the hook
        self.action_results: Dict[str, str] = {}
        self.action_failed: Optional[str] = None
        self.reboots = ''  # what juju-reboot was asked for: 'later', when the hook has succeeded, or 'now'

    @property
    def knows_relation(self) -> bool:
        """Whether this unit has entered the peer relation (R19)."""
        return bool(self.relation_id)

    @property
    def connected(self) -> bool:
        """Whether the hook's tools still reach the controller."""
        return self.controller.units[self.agent.name].connected and not self.cut_off

    def is_leader(self) -> bool:
        """Return what is-leader answers: asked each time, until one False lasts for the hook (R15)."""
        if self.controller.leader != self.agent.name or not self.connected:
            self.minion = True
        return not self.minion

    def settings_of(self, unit: str) -> Optional[Dict[str, str]]:
        """Return a unit's databag as this hook sees it, None where there is none (R5-R8, R22)."""
        if unit == self.agent.name:
            return self.own_settings()
        known = self.controller.units.get(unit)
        if known is None or not known.entered_scope:
            archived = self.controller.archive.get(unit)
            return None if archived is None else dict(archived)
        cache = self.agent.member_cache if unit in self.members else self._others
        if unit not in cache:
            cache[unit] = dict(known.settings)
        return cache[unit]

    def own_settings(self) -> Dict[str, str]:
        """Return this hook's own copy of the unit's databag; a commit publishes its changes (R8)."""
        if self._own is None:
            self._own = dict(self.controller.units[self.agent.name].settings)
            self._own_before = dict(self._own)
        return self._own

    def app_settings(self) -> Dict[str, str]:
        """Return the application's databag as first read in this hook, on the leader with its own writes."""
        if self._app is None:
            self._app = dict(self.controller.app_settings)
            self._app_before = dict(self._app)
        return self._app

    def other_bag(self, relation: str, owner: str) -> Optional[Dict[str, str]]:
        """Return a databag of another peer relation as first read in this hook, None where there is none."""
        if (relation, owner) not in self._other_bags:
            found = self.controller.other_bag(relation, owner)
            if found is None:
                return None
            self._other_bags[relation, owner] = found
        return self._other_bags[relation, owner]

    def leader_settings(self) -> Dict[str, str]:
        """Return the leader settings as first read in this hook, or since its last leader-set (R9)."""
        if self._leader_settings is None:
            self._leader_settings = dict(self.controller.leader_settings)
        return self._leader_settings

    def forget_leader_settings(self) -> None:
        """Let leader-get read again, after a leader-set of this hook (R9)."""
        self._leader_settings = None

    def commit(self) -> None:
        """Commit all that the hook wrote, in one batch (R8). Raises NotLeader (R10), NoRelation."""
        app = _merged(self.controller.app_settings, self._app_before, self._app) if self.app_written else None
        own = _merged(self.controller.units[self.agent.name].settings, self._own_before, self._own)
        if self.controller.app in self.other_written and self.controller.leader != self.agent.name:
            raise NotLeader('{} is not leader of {}'.format(self.agent.name, self.controller.app))
        if self.relation_id in ('', self.controller.relation_id):
            self.controller.commit(self.agent.name, own, app, self.checked)
        elif self._own != self._own_before or self.app_written:
            raise NoRelation('relation {} not found'.format(self.relation_id))
        for (relation, owner), settings in self._other_bags.items():
            if owner in self.other_written:
                self.controller.other_bags[relation, owner] = dict(settings)


def _merged(
    now: Dict[str, str], read: Optional[Dict[str, str]], left: Optional[Dict[str, str]]
) -> Optional[Dict[str, str]]:
    """Return a databag after a commit, None where the hook did not read it.

    The agent sends every key that the hook's copy has, changed or not, and those
    that the hook deleted; other keys, which came meanwhile, stay (R8).
    """
    if read is None or left is None:
        return None
    deleted = set(read) - set(left)
    return {key: value for key, value in {**now, **left}.items() if key not in deleted}


def environment(
    agent: Agent, operation: Operation, charm_dir: str, version: str, context_id: str = ''
) -> Dict[str, str]:
    """Return the environment of a hook; nothing of it is inherited (R29)."""
    controller, unit = agent.controller, agent.controller.units.get(agent.name)
    env = {
        'CHARM_DIR': charm_dir,
        'JUJU_CHARM_DIR': charm_dir,
        'JUJU_CONTEXT_ID': context_id
        or controller.context_id(agent.name, operation.action or operation.name),
        'JUJU_AGENT_SOCKET_ADDRESS': '@jujusim',
        'JUJU_AGENT_SOCKET_NETWORK': 'unix',
        'JUJU_HOOK_NAME': operation.name,  # R27: present but empty in an action, and in juju exec
        'JUJU_UNIT_NAME': agent.name,
        'JUJU_MODEL_NAME': 'sim',
        'JUJU_MODEL_UUID': controller.model_uuid,
        'JUJU_PRINCIPAL_UNIT': controller.principal_of(agent.name) if unit else '',
        'JUJU_AVAILABILITY_ZONE': unit.zone if unit else '',  # there, but empty, where the cloud has none
        'JUJU_VERSION': version,
        'PATH': '/usr/bin:/bin',
        'LANG': 'C.UTF-8',
    }
    if operation.restricted:  # it names no hook, no model and no version
        for name in (
            'JUJU_HOOK_NAME',
            'JUJU_MODEL_NAME',
            'JUJU_MODEL_UUID',
            'JUJU_VERSION',
            'JUJU_PRINCIPAL_UNIT',
            'JUJU_AVAILABILITY_ZONE',
        ):
            del env[name]
    if not operation.script:
        env['JUJU_DISPATCH_PATH'] = operation.file
    if operation.with_relation:
        env['JUJU_RELATION'], env['JUJU_RELATION_ID'] = controller.relation, controller.relation_id
        env['JUJU_REMOTE_UNIT'] = operation.remote_unit
        env['JUJU_REMOTE_APP'] = agent.name.split('/')[0]
        if operation.departing:
            env['JUJU_DEPARTING_UNIT'] = operation.departing
    if operation.action:
        env['JUJU_ACTION_NAME'] = operation.action
        env['JUJU_ACTION_UUID'] = env['JUJU_ACTION_TAG'] = '1'
    return env
