"""Three units that take turns at one lock, in this process, over jujusim's own agents and hook tools.

What is real: the layer's session, its port to Juju, and the local stores on
disk. What is jujusim's: which hook comes next, what it sees, what its tools
answer (tests/inprocess.py). What is here: one unit runs a hook after another,
each change arrives at once, and a turn fails once before it succeeds.
"""

import copy
import json
import os
import shutil
from collections import deque

from charms.layer.coordinator import environment, juju
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.view import Snapshot

from tests import inprocess, ledger

UNITS = ('app/0', 'app/1', 'app/2')
CLAIMS_KEY, MARK, STORE = 'coordinator-claims', ledger.KEY, '.coordinator.json'

MEMORY = '/dev/shm' if os.path.isdir('/dev/shm') else None
"""A place for stores: each write waits for the disk, and a disk takes its time."""


class World:
    """Three units that take turns at one lock, one hook at a time."""

    def __init__(self, version, folder):
        self.version, self.folder = version, folder
        self.agents = {}
        self.controller = inprocess.application(version, UNITS, self._arrive)
        self.agents.update((unit, inprocess.agent_of(self.controller, unit)) for unit in UNITS)
        self.order = deque(UNITS)
        self.at_work = set()
        self.served = dict.fromkeys(UNITS, 0)
        self.told = {unit: {} for unit in UNITS}  # the counts each has published
        self.faults = []

    def home(self, unit):
        return self.folder / unit.replace('/', '-')

    def store(self, unit):
        return self.home(unit) / STORE

    # What the controller has

    def claims_text(self, unit):
        return self.controller.units[unit].settings.get(CLAIMS_KEY, '')

    def nonce(self, unit):
        """Return the name of this unit's life."""
        return json.loads(self.claims_text(unit))['unit']

    @property
    def shared(self):
        """What leaders have written."""
        return ledger.data_of(self.controller)

    @property
    def ledger_text(self):
        return ledger.newest_text(self.shared)

    def write_claims(self, unit, text):
        """Put any text in the place of a unit's claims."""
        settings = {**self.controller.units[unit].settings, CLAIMS_KEY: text}
        self.controller.commit(unit, {key: text for key, text in settings.items() if text}, None)

    def write_ledger(self, text):
        """Put any text in the place of the ledger that counts, as an operator might on the leader."""
        self.write_shared({ledger.newest_key(self.shared): text})

    def reset_ledger(self):
        """Write the operator's mark, see docs/operating.md."""
        self.write_shared({MARK: 'lost'})

    def write_shared(self, settings):
        """Write as the leader; a text that is empty removes its key."""
        leader = self.controller.leader
        if self.version == 3:
            self.controller.write_leader_settings(leader, settings)
        else:
            written = {**self.controller.app_settings, **settings}
            self.controller.commit(leader, None, {key: text for key, text in written.items() if text})

    # What happens

    def _arrive(self, channel, unit):
        """Let a change of the controller's reach every agent that watches it, at once."""
        for name, agent in self.agents.items():
            if channel == 'unit' and name != unit:
                agent.remote.members[unit] = self.controller.version(unit)
            elif channel == 'app':
                agent.remote.app_version = self.controller.app_version()
            elif channel == 'leader-settings':
                agent.remote.leader_settings += 1
            elif channel == 'leadership':
                agent.remote.leads = self.controller.leader == name

    def configure(self, units=UNITS):
        """Let these units run config-changed, in which each asks for the lock."""
        self.controller.config['go'] = self.controller.config.get('go', 0) + 1
        for unit in units:
            self.agents[unit].remote.config = self.controller.config_version()

    def upgrade(self, unit):
        self.agents[unit].remote.upgrade += 1

    def run(self, units=UNITS, until=lambda: False, most=300):
        """Let these units run a hook each in turn, until none has anything to do."""
        idle = 0
        while idle < len(self.order) and not until():
            unit = self.order[0]
            self.order.rotate(-1)
            operation = self.agents[unit].next_operation() if unit in units else None
            idle = 0 if operation else idle + 1
            if operation:
                self.hook(unit, operation)
                most -= 1
                assert most, 'no rest'

    def hook(self, unit, operation):
        """Run one hook of one unit; where its handlers fail it is still to be done."""
        agent, writes = self.agents[unit], self.controller.units[unit].writes
        agent.local.pending = operation
        with self.in_hook(unit, operation) as hook:
            succeeds = self.handlers(unit, operation.name)
        if succeeds:
            hook.commit()
            agent.done(operation)
            if self.controller.units[unit].writes != writes:
                self.watch_counts(unit)

    def in_hook(self, unit, operation=inprocess.START):
        """Be in a hook of this unit."""
        return inprocess.in_hook(self.agents[unit], operation, self.home(unit))

    def handlers(self, unit, name):
        """Run the hook's handlers, and return whether they succeed: the first time at work they do not."""
        port = juju.Juju()
        session = Session(port, Snapshot(environment.context()), Policy(), port.log)
        session.look()
        session.begin()
        if name == 'config-changed':
            session.request('a')
        holds, worked = session.turn('a') is not None, unit in self.at_work
        if worked and not holds:
            self.faults.append('{} holds no more'.format(unit))
        if holds and self.at_work - {unit}:
            self.faults.append('{} and {} hold one lock'.format(unit, self.at_work - {unit}))
        if holds and not worked:
            self.at_work.add(unit)
            return False
        if holds:
            session.release('a')
            self.served[unit] += 1
        session.end()
        self.at_work.discard(unit)
        return True

    def watch_counts(self, unit):
        before = self.told[unit]
        queues = json.loads(self.claims_text(unit))['queues']
        now = {queue: (said['asked'], said['done']) for queue, said in queues.items()}
        for queue, (asked, done) in before.items():
            if not (queue in now and now[queue][0] >= asked and now[queue][1] >= done):
                self.faults.append('{} published {} after {}'.format(unit, now, before))
        self.told[unit] = now

    def copy(self, folder):
        """Return the same world once more, its stores in another folder."""
        pending = [agent.local.pending for agent in self.agents.values()]  # values, which need no copy
        twin = copy.deepcopy(self, {id(operation): operation for operation in pending})
        twin.folder = folder
        for unit in UNITS:
            shutil.rmtree(str(twin.home(unit)), ignore_errors=True)
            shutil.copytree(str(self.home(unit)), str(twin.home(unit)))
        return twin


def first_world(version, holder, folder):
    """Return a world in which that unit's critical hook has just failed and all others wait, or all rest."""
    world = World(version, folder)
    for unit in UNITS:
        world.home(unit).mkdir()
    for unit in UNITS:
        world.hook(unit, inprocess.START)
    world.run()
    world.configure()
    world.run()
    assert world.served == dict.fromkeys(UNITS, 1)
    assert not world.faults
    if holder:
        others = [unit for unit in UNITS if unit != holder]
        world.configure()
        world.run(until=lambda: holder in world.at_work)
        world.configure(others)
        world.run(others)
    assert world.at_work == ({holder} if holder else set())
    assert not world.faults
    return world


def settle(world):
    """Let everybody ask, and calm weather pass: each unit's update-status comes once, at rest."""
    world.configure()
    world.run()
    for unit in UNITS:
        world.agents[unit].update_status_due = True
        world.run()


def everybody_is_served(world):
    before = dict(world.served)
    settle(world)
    return all(world.served[unit] > before[unit] for unit in UNITS)
