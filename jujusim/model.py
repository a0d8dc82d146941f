"""What the controller knows: units, databags, leader settings, the lease. No hook runs here.

R1 to R32 are the rules of jujusim/README.md.
"""

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Mapping, Optional, Tuple

Notify = Callable[[str, str], None]
"""Called with a channel and what changed on it: ('unit', 'app/1'), ('leader-settings', '') …"""


Observer = Callable[[str, str, Optional[Dict[str, str]]], None]
"""Called with 'unit' or 'app', who wrote, and that databag; with 'leader', a unit, and None: no more."""


class NotLeader(Exception):
    """Raised where the controller refuses a write that only the leader may make."""


class NoRelation(Exception):
    """Raised where a hook's writes are for a relation that is gone."""


@dataclass
class Unit:
    """A unit as the controller knows it."""

    name: str
    life: str = 'alive'  # then dying, then dead
    entered_scope: bool = False
    departing: bool = False  # R20: peers are told at once on Juju 2.9-3.x
    settings: Dict[str, str] = field(default_factory=dict)
    writes: int = 0
    status: str = 'waiting'
    status_message: str = ''
    connected: bool = True  # the agent runs and reaches the controller
    principal: str = ''  # of a subordinate: the unit beside which it runs
    zone: str = ''  # the availability zone of its machine


class Controller:
    """One application with at most one peer relation, on Juju 2.9-3.x (`juju=3`) or 4.0 (`juju=4`)."""

    def __init__(self, app: str, juju: int, notify: Notify, relation: str = '', seed: int = 0) -> None:
        if juju not in (3, 4):
            raise ValueError('juju: expected 3 or 4, found {!r}'.format(juju))
        self.app, self.juju, self._notify, self.relation = app, juju, notify, relation
        self.relation_number = 0
        self._other_numbers: Dict[str, int] = {}
        self.other_bags: Dict[Tuple[str, str], Dict[str, str]] = {}  # of other peer relations, by owner
        self.seed, self._contexts = seed, 0
        self.subordinate, self.container_endpoint = False, 'juju-info'
        self.principal_states: Dict[
            str, str
        ] = {}  # of a subordinate's principals: else active, or as their unit
        self.units: Dict[str, Unit] = {}
        self.archive: Dict[str, Dict[str, str]] = {}  # what units said whose names are used again
        self.app_settings: Dict[str, str] = {}
        self.app_writes = 0
        self.leader_settings: Dict[str, str] = {}
        self.leader_settings_writes = 0
        self.config: Dict[str, object] = {}
        self.leader: Optional[str] = None
        self.leader_writes: List[Tuple[str, str]] = []  # every write that only a leader may make
        self.observers: List[Observer] = []

    @property
    def relation_id(self) -> str:
        """The id of the peer relation, '' where the charm has none."""
        return self.relation and '{}:{}'.format(self.relation, self.relation_number)

    @property
    def model_uuid(self) -> str:
        """The model's id: another one for another seed."""
        return str(uuid.UUID(hex=_digits('model', self.seed), version=4))

    def context_id(self, unit: str, what: str) -> str:
        """Return an id for a new context, as the agents make them; the same seed gives the same ids (R29)."""
        self._contexts += 1
        return '{}-{}-{}'.format(unit, what, _digits(self.seed, self._contexts))

    def renew_relation(self, keep_databags: bool) -> None:
        """Let the peer relation go and come again with another id; units enter it anew (R19)."""
        self.relation_number, self.archive = self._next_number(), {}
        for unit in self.units.values():
            unit.entered_scope = False
            if not keep_databags:
                unit.settings = {}
        if not keep_databags:
            self.app_settings, self.app_writes = {}, 0

    def _next_number(self) -> int:
        return 1 + max([self.relation_number, *self._other_numbers.values()])

    def other_relation_id(self, name: str) -> str:
        """Return the id of another peer relation of the charm."""
        if name not in self._other_numbers:
            self._other_numbers[name] = self._next_number()
        return '{}:{}'.format(name, self._other_numbers[name])

    def other_bag(self, relation: str, owner: str) -> Optional[Dict[str, str]]:
        """Return a copy of an owner's databag in another peer relation, None where there is none."""
        if owner != self.app and (owner not in self.units or not self.units[owner].entered_scope):
            return None
        first = {} if owner == self.app else {'ingress-address': address_of(owner)}
        return dict(self.other_bags.get((relation, owner), first))

    def move_to_4(self) -> None:
        """Become a model of Juju 4: databags stay, leader settings are gone."""
        self.juju, self.leader_settings = 4, {}

    # Databags

    def version(self, unit: str) -> int:
        """Return the version of a unit's databag: a counter up to 3.x, a hash of the content on 4 (R25)."""
        bag = self.units[unit]
        return bag.writes if self.juju == 3 else _hash(bag.settings)

    def app_version(self) -> int:
        """Return the version of the application's databag, as `version`; 0 before the first write."""
        if not self.app_writes:
            return 0  # so no hook runs before the first write
        return self.app_writes if self.juju == 3 else _hash(self.app_settings)

    def enter_scope(self, unit: str) -> None:
        """Let a unit enter the relation, after install and before its own relation-created (R19)."""
        bag = self.units[unit]
        bag.entered_scope = True
        address = address_of(unit)
        bag.settings.update({'ingress-address': address, 'egress-subnets': address + '/32'})
        if self.juju == 3:
            bag.settings['private-address'] = address
        bag.writes += 1
        self._observe('unit', unit, bag.settings)
        self._notify('scope', unit)

    def in_scope(self, unit: str) -> bool:
        """Tell whether peers have the unit as a member (R20); on Juju 4 they keep it for ever."""
        bag = self.units[unit]
        return bag.entered_scope and not bag.departing

    def commit(
        self,
        unit: str,
        settings: Optional[Dict[str, str]],
        app: Optional[Dict[str, str]],
        checked: bool = False,
    ) -> None:
        """Commit what a hook wrote, all or nothing; `app` is accepted from the leader only (R8, R10).

        Args:
            unit: whose hook.
            settings: its databag, None where it has not changed.
            app: the application's databag likewise.
            checked: the unit led when it asked, and is not asked again.
        """
        if app is not None and self.leader != unit and not checked:
            raise NotLeader('{} is not leader of {}'.format(unit, self.app))
        bag = self.units[unit]
        if settings is not None and settings != bag.settings:  # R25: no-op writes fire nothing
            bag.settings, bag.writes = dict(settings), bag.writes + 1
            self._notify('unit', unit)
        if settings is not None:
            self._observe('unit', unit, settings)
        if app is not None:
            self._observe('app', unit, app)
        if app is not None and app != self.app_settings:
            self.app_settings, self.app_writes = dict(app), self.app_writes + 1
            self.leader_writes.append((unit, json.dumps(app)))
            self._notify('app', unit)

    def drop_app_data(self, prefix: str) -> None:
        """Lose keys that leaders wrote: leader settings on 2.9-3.x, the application's databag on 4."""
        kept = {key: value for key, value in self._led().items() if not key.startswith(prefix)}
        if kept == self._led():
            return
        if self.juju == 3:
            self.leader_settings, self.leader_settings_writes = kept, self.leader_settings_writes + 1
            self._notify('leader-settings', self.leader or '')
        else:
            self.app_settings, self.app_writes = kept, self.app_writes + 1
            self._observe('app', '', kept)
            self._notify('app', '')

    def _observe(self, bag: str, unit: str, settings: Optional[Dict[str, str]]) -> None:
        for observer in self.observers:
            observer(bag, unit, settings)

    def _led(self) -> Dict[str, str]:
        return self.leader_settings if self.juju == 3 else self.app_settings

    def config_version(self) -> int:
        """Return a number that differs for every configuration."""
        return _hash(self.config)

    # Leader settings, 2.9-3.x

    def write_leader_settings(
        self, unit: str, changes: Dict[str, Optional[str]], checked: bool = False
    ) -> None:
        """Write leader settings at once, from the leader only; a no-op wakes no unit (R9).

        Args:
            unit: who writes.
            changes: what it writes; None deletes a key.
            checked: the unit led when it asked, and is not asked again.
        """
        if self.juju == 4:
            return  # it says yes to an agent of 3.x, and stores nothing
        if self.leader != unit and not checked:
            raise NotLeader('{} is not leader of {}'.format(unit, self.app))
        after = {**self.leader_settings, **{key: value for key, value in changes.items() if value}}
        for key, value in changes.items():
            if not value:
                after.pop(key, None)
        if after != self.leader_settings:
            self.leader_settings, self.leader_settings_writes = after, self.leader_settings_writes + 1
            self.leader_writes.append((unit, json.dumps(changes)))
            self._notify('leader-settings', unit)

    # Lives

    def goal_units(self) -> Dict[str, Unit]:
        """Return the units that goal-state lists: alive and dying ones (R23)."""
        return {name: unit for name, unit in self.units.items() if unit.life != 'dead'}

    def principals(self) -> Dict[str, str]:
        """Return the principals of a subordinate's units, each with its state in goal-state (R23).

        One leaves when its subordinate is dead, and never shows that a hook of its failed; one that has
        no subordinate yet is there too.
        """
        if not self.subordinate:
            return {}
        units = {unit.principal or _principal_of(name): unit for name, unit in self.units.items()}
        states = {**dict.fromkeys(units, 'active'), **self.principal_states}
        dying = {name: 'dying' for name, unit in units.items() if unit.life == 'dying'}
        found = {**states, **dying}
        return {name: found[name] for name in found if name not in units or units[name].life != 'dead'}

    def principal_of(self, unit: str) -> str:
        """Return the unit beside which a subordinate's unit runs, '' where there is none."""
        return (self.units[unit].principal or _principal_of(unit)) if self.subordinate else ''

    def set_leader(self, unit: Optional[str]) -> None:
        """Give leadership to a unit, or to none, and notify the two units concerned."""
        before, self.leader = self.leader, unit
        if before and before != unit:
            self._observe('leader', before, None)
        if unit and before != unit:
            self._observe('leader', unit, {})
        for name in (before, unit):
            if name and before != unit:
                self._notify('leadership', name)


def address_of(unit: str) -> str:
    """Return the one address of a unit's machine."""
    return '10.0.0.{}'.format(unit.split('/')[1])


def _principal_of(unit: str) -> str:
    return 'principal/' + unit.split('/')[1]


def _digits(*about: object) -> str:
    return hashlib.sha256(repr(about).encode()).hexdigest()[:32]


def _hash(settings: Mapping[str, object]) -> int:
    text = json.dumps(settings, sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
