"""Three units that take turns at one lock, in this process, over the layer's own juju.py.

What is real: juju.py, protocol.py, rules.py, wire.py, and the local stores on
disk. What is modelled: the functions of charmhelpers' hookenv that juju.py
calls, which refuse what Juju's hook tools refuse. One hook runs at a time.
"""

import json
import os
import shutil
from collections import deque
from contextlib import contextmanager
from subprocess import CalledProcessError

from charms.layer.coordinator import juju, policy, protocol

UNITS = ('app/0', 'app/1', 'app/2')
RELATION = 'coordinator:1'
CLAIMS_KEY, LEDGER_KEY, STORE = 'coordinator-claims', 'coordinator-ledger', '.coordinator.db'

MEMORY = '/dev/shm' if os.path.isdir('/dev/shm') else None
"""A place for stores: each text is committed, and on a disk that takes its time."""


class Tools:
    """Stands for charmhelpers' hookenv in one hook of one unit; refuses what Juju's tools refuse.

    What it was not told about it does not have: an AttributeError.
    """

    WARNING = 'WARNING'

    def __init__(self, world, unit, name, remote):
        self.world, self.unit, self.name, self.remote = world, unit, name, remote
        self.bag, self.app = None, None  # written, not yet committed
        self.settings = None  # of the leader, as Juju has them cached for this hook

    def local_unit(self):
        return self.unit

    def application_name(self):
        return 'app'

    def hook_name(self):
        return self.name

    def relation_type(self):
        return 'coordinator' if self.name.startswith('coordinator-relation') else ''

    def remote_unit(self):
        return self.remote

    def charm_dir(self):
        return str(self.world.home(self.unit))

    def is_leader(self):
        return self.unit == self.world.leader

    def relation_ids(self, name):
        return [RELATION] if argument(name) == 'coordinator' else []

    def related_units(self, relation):
        return sorted(self.world.joined - {self.unit})

    def goal_state(self):
        states = {unit: 'dying' if unit in self.world.dying else 'active' for unit in UNITS}
        return {'units': {unit: {'status': state} for unit, state in states.items()}}

    def relation_get(self, key, unit=None, rid=None, app=None):
        if argument(rid) != RELATION or argument(unit or app).startswith('-'):
            return None  # exit code 2
        if app:
            return (self.world.ledger if self.app is None else self.app).get(argument(key))
        if unit not in UNITS:
            raise CalledProcessError(1, 'relation-get')
        own = unit == self.unit and self.bag is not None
        return (self.bag if own else self.world.bags[unit]).get(argument(key))

    def relation_set(self, relation, settings, app=False):
        if argument(relation) != RELATION:
            raise CalledProcessError(2, 'relation-set')
        written = {argument(key): argument(text) for key, text in settings.items()}
        if app and not self.is_leader():
            raise CalledProcessError(1, 'relation-set')
        if app:
            self.app = {**self.world.ledger, **written}
        else:
            self.bag = {**self.world.bags[self.unit], **written}

    def flush(self, key):
        pass

    def leader_get(self, key):
        assert self.world.version == 3, 'Juju 4 has no leader settings'
        if self.settings is None:
            self.settings = self.world.ledger
        return self.settings.get(argument(key))

    def leader_set(self, settings):
        assert self.world.version == 3, 'Juju 4 has no leader settings'
        self.settings = None
        if not self.is_leader():
            raise CalledProcessError(1, 'leader-set')
        self.world.write_ledger(
            self.unit, {argument(key): text and argument(text) for key, text in settings.items()}
        )

    def log(self, text, level=None):
        argument(text)


def argument(word):
    """Return the word as one that a program can be given, as Linux has it."""
    assert '\x00' not in word
    assert len(word.encode('utf-8')) < 131072
    return word


@contextmanager
def in_hook(world, unit, name='start', remote=''):
    """The layer's juju.py, meanwhile, is in this hook of this unit."""
    hookenv, version = juju.hookenv, os.environ.get('JUJU_VERSION')
    juju.hookenv, os.environ['JUJU_VERSION'] = (
        Tools(world, unit, name, remote),
        '{}.0.0'.format(world.version),
    )
    try:
        yield juju.hookenv
    finally:
        juju.hookenv = hookenv
        os.environ.pop('JUJU_VERSION')
        if version:
            os.environ['JUJU_VERSION'] = version


class World:
    """Three units that take turns at one lock, one hook at a time; a turn fails once, and then succeeds."""

    def __init__(self, version, folder):
        self.version, self.folder = version, folder
        self.leader = 'app/0'
        self.joined, self.dying = set(UNITS), set()
        self.bags = {unit: {} for unit in UNITS}
        self.ledger = {}
        self.due = deque()
        self.at_work = set()
        self.served = dict.fromkeys(UNITS, 0)
        self.told = {unit: {} for unit in UNITS}  # the counts each has published
        self.faults = []

    def home(self, unit):
        return self.folder / unit.replace('/', '-')

    def store(self, unit):
        return self.home(unit) / STORE

    # Hooks

    def bring(self, *hooks):
        self.due.extend(hook for hook in hooks if hook not in self.due)

    def everyone(self, name):
        self.bring(*[(unit, name, '') for unit in UNITS])

    def news_of(self, unit):
        self.bring(*[(other, 'coordinator-relation-changed', unit) for other in UNITS if other != unit])

    def write_ledger(self, writer, written):
        changed = {**self.ledger, **written}
        changed = {key: text for key, text in changed.items() if text}
        if changed != self.ledger:
            self.ledger = changed
            self.news_of_the_ledger(writer)

    def news_of_the_ledger(self, writer=''):
        if self.version == 3:
            self.bring(*[(unit, 'leader-settings-changed', '') for unit in UNITS if unit != writer])
        else:
            self.everyone('coordinator-relation-changed')

    def run(self, until=lambda: False, most=300):
        while self.due and not until():
            self.hook(*self.due.popleft())
            most -= 1
            assert most, 'no rest'

    def hook(self, unit, name, remote):
        with in_hook(self, unit, name, remote) as tools:
            self.run_hook(tools, unit, name, remote)

    def run_hook(self, tools, unit, name, remote):
        port = juju.Juju()
        try:
            if not self.handlers(port, unit, name):
                self.bring((unit, name, remote))
                return
        finally:
            port._store._kv.conn.close()
        if tools.bag is not None and tools.bag != self.bags[unit]:
            self.bags[unit] = tools.bag
            self.watch_counts(unit)
            self.news_of(unit)
        if tools.app is not None:
            self.write_ledger(unit, tools.app)

    def handlers(self, port, unit, name):
        """Run the hook's handlers, and return whether they succeed: the first time at work they do not."""
        hook = protocol.begin(port, juju.occasion(), policy.Policy())
        if name == 'config-changed':
            hook = protocol.request(port, hook, 'a', '2026-01-01')
        holds, worked = hook.turn('a') is not None, unit in self.at_work
        if worked and not holds:
            self.faults.append('{} holds no more'.format(unit))
        if holds and self.at_work - {unit}:
            self.faults.append('{} and {} hold one lock'.format(unit, self.at_work - {unit}))
        if holds and not worked:
            self.at_work.add(unit)
            return False
        if holds:
            hook = protocol.release(port, hook, 'a')
            self.served[unit] += 1
        protocol.end(port, hook, frozenset(), frozenset(), '')
        self.at_work.discard(unit)
        return True

    def watch_counts(self, unit):
        text = self.bags[unit][CLAIMS_KEY]
        before = self.told[unit]
        now = {queue: (said['asked'], said['done']) for queue, said in json.loads(text)['queues'].items()}
        for queue, (asked, done) in before.items():
            if not (queue in now and now[queue][0] >= asked and now[queue][1] >= done):
                self.faults.append('{} published {} after {}'.format(unit, now, before))
        self.told[unit] = now

    def copy(self, folder):
        """Return the same world once more, its stores in another folder."""
        twin = World(self.version, folder)
        twin.bags = {unit: dict(bag) for unit, bag in self.bags.items()}
        twin.ledger, twin.due, twin.at_work = dict(self.ledger), deque(self.due), set(self.at_work)
        twin.told = {unit: dict(counts) for unit, counts in self.told.items()}
        for unit in UNITS:
            shutil.rmtree(str(twin.home(unit)), ignore_errors=True)
            shutil.copytree(str(self.home(unit)), str(twin.home(unit)))
        return twin


def first_world(version, holder, folder):
    """Return a world in which that unit's critical hook has just failed and all others wait, or all rest."""
    world = World(version, folder)
    for unit in UNITS:
        world.home(unit).mkdir()
    world.everyone('start')
    world.run()
    world.everyone('config-changed')
    world.run()
    assert world.served == dict.fromkeys(UNITS, 1) and not world.faults
    if holder:
        world.everyone('config-changed')
        world.run(until=lambda: holder in world.at_work)
        world.bring(*[(unit, 'config-changed', '') for unit in UNITS if unit != holder])
        world.run(until=lambda: world.due[0][0] == holder or not world.due)
    assert world.at_work == ({holder} if holder else set()) and not world.faults
    return world


def settle(world):
    """Let everybody ask, and calm weather pass."""
    world.everyone('config-changed')
    world.run()
    world.everyone('update-status')
    world.run()


def everybody_is_served(world):
    before = dict(world.served)
    settle(world)
    return all(world.served[unit] > before[unit] for unit in UNITS)
