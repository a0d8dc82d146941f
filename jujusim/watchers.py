"""What the controller sends to the agents, each change with a delay of its own, and the lease (R3, R14)."""

import random
from typing import Dict, List, Optional, Set, Tuple

from jujusim.agent import Agent
from jujusim.model import Controller
from jujusim.timeline import Timeline

LEASE_S, RENEW_S, SWEEP_S = 60.0, 30.0, {3: 1.0, 4: 5.0}  # R14
UPDATE_STATUS_S, UPDATE_STATUS_SPREAD = 300.0, 0.2  # R26
HEAR_OF_LEAVERS = 0.55  # Juju 4.0.14: of 16 units removed at once, peers heard of 8 to 10 (R20)
STEP_S = 0.1  # Juju 4.0.14: between the two steps in which a configuration reaches a unit


class Watched(Timeline):
    """A controller, and the agents that watch it."""

    def __init__(
        self,
        app: str,
        juju: int,
        relation: str,
        seed: int,
        delay_s: Tuple[float, float],
        update_status_s: float,
    ) -> None:
        super().__init__(seed, delay_s)
        self.controller = Controller(app, juju, self._notify, relation, seed)
        self.agents: Dict[str, Agent] = {}
        self.update_status_s = update_status_s
        self.retry_automatically = True
        self.hear_of_leavers = HEAR_OF_LEAVERS
        self.configured_twice = True
        self._chance = random.Random('departed {}'.format(seed))
        self._lost: Set[str] = set()
        self._renewals = 0

    @property
    def units(self) -> List[str]:
        """The units that are not dead, in the order in which they were added."""
        return [name for name, unit in self.controller.units.items() if unit.life != 'dead']

    def _wake(self, name: str, after_s: float = 0.01) -> None:
        self._soon(after_s, lambda: self._next(name))

    def _next(self, name: str) -> None:
        """Let a unit's agent run what comes next, if it is idle."""
        raise NotImplementedError

    def _has_work(self, unit: str) -> bool:
        if unit in self._lost or not self.controller.units[unit].connected:
            return False
        agent = self.agents[unit]
        if agent.local.in_error:
            return self.retry_automatically or agent.next_operation() is not None
        operation = agent.next_operation()
        return operation is not None and operation.name != 'update-status'

    # Watchers (R3)

    def _notify(self, channel: str, unit: str) -> None:
        """Send a change to every agent that watches it; each gets it after a delay of its own."""
        for name in self.agents:
            if channel == 'leadership':
                if name == unit:
                    self._deliver(name, channel, unit)
            elif channel in ('app', 'leader-settings') or name != unit:
                # R24: the application's bag wakes its writer; R18: leader settings do once it is deposed
                self._deliver(name, channel, unit)

    def _deliver(self, name: str, channel: str, unit: str) -> None:
        self._soon(self._delay(), lambda: self._arrive(name, channel, unit))

    def _configured(self, name: str, twice: bool) -> None:
        """Deliver a configuration; in two steps, so that a unit at rest runs config-changed twice."""
        delay = self._delay()
        if twice:
            self._soon(delay, lambda: self._arrive(name, 'config, half', name))
        self._soon(delay + (STEP_S if twice else 0.0), lambda: self._arrive(name, 'config', name))

    def _deliver_relation(self, name: str) -> None:
        """Deliver who is in the peer relation, and the application's databag, to a unit that enters it."""
        for peer in self.controller.units:
            if peer != name and self.controller.in_scope(peer) and self.controller.units[peer].life != 'dead':
                self._deliver(name, 'scope', peer)
        self._deliver(name, 'app', name)

    def _arrive(self, name: str, channel: str, unit: str) -> None:
        """Deliver the value as it is now: a later one replaces an earlier one."""
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
        elif channel == 'departed':
            known = self.controller.units[unit]
            if known.life == 'dead' or not self.controller.in_scope(unit):  # else a new unit has the name
                agent.remote.members.pop(unit, None)
        elif channel == 'leader-settings':
            agent.remote.leader_settings += 1
        elif channel == 'leadership':
            agent.remote.leads = self.controller.leader == name
        elif channel == 'config':
            agent.remote.config = self.controller.config_version()
        elif channel == 'config, half':
            agent.remote.config = -1
        elif channel == 'life':
            agent.remote.dying = True
        self._wake(name, 0.0)

    # Leases (R14) and update-status (R26), which go on for ever

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

    def may_lead(self, name: str) -> bool:
        """Tell whether a unit can hold the lease now; a test may put a stricter rule in its place."""
        unit = self.controller.units[name]
        return unit.connected and unit.life != 'dead'

    def _candidates(self) -> List[str]:
        return [
            name for name in self.units if self.may_lead(name) and self.controller.units[name].life == 'alive'
        ]

    def _fill_vacancy(self) -> None:
        """Let an agent claim the lease before long, if no unit holds it."""

        def claim() -> None:
            if self.controller.leader is None:
                self.elect()

        if self.controller.leader is None:
            self._soon(self.random.uniform(0.1, 1.0), claim)

    def _renew(self) -> None:
        """Renew the lease for LEASE_S from now, and do so again after RENEW_S."""
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

        agent = self.agents[name]

        def due() -> None:
            if self.agents[name] is not agent:
                return  # another unit has its name by now
            if self.controller.units[name].life != 'dead' and name not in self._lost:
                agent.update_status_due = True
                self._next(name)
                self._schedule_update_status(name)

        self.at(self.now + self.update_status_s * spread, due)

    def update_status(self, unit: str) -> None:
        """Let a unit's next update-status be due now."""
        self.agents[unit].update_status_due = True
        self._wake(unit)
