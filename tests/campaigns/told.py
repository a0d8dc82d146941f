"""A model of which a test tells what happens, for the accounts of a campaign."""

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

from jujusim.agent import Operation
from jujusim.juju import Event


class Told:
    """A model of which a test tells what happens; the account asks nothing else of it."""

    now = 0.0

    def __init__(self, home='/nowhere'):
        self.observers, self.readers, self.running, self.units, self.logs = [], [], {}, [], []
        self.saved, self.beside, self.home = {}, [], Path(home)
        self.controller = SimpleNamespace(juju=3, leader_settings={}, units={}, leader=None)
        self.agents = defaultdict(lambda: SimpleNamespace(local=SimpleNamespace(members={}), member_cache={}))

    def _charm_dir(self, unit):
        return self.home / unit.replace('/', '-')

    def _run_program(self, execution, argv):
        self.tell(execution.unit, 'works', ' '.join(argv))

    def flags_of(self, unit):
        return set()

    def tell(self, unit, what, text=''):
        for observer in self.observers:
            observer(Event(self.now, unit, what, text))

    def say(self, unit, text):
        for reader in self.readers:
            reader(unit, text)

    def begins(self, unit, **operation):
        self.running[unit] = Hook(unit, Operation('', **operation))
        self.tell(unit, 'begins')

    def works(self, unit):
        argv = ['systemctl', 'restart', 'restart']
        self._run_program(self.running[unit], argv)
        self.tell(unit, 'worked', ' '.join(argv))


class Hook:
    killed = child_lives = orphaned = False
    left_with = None
    title = 'a hook'

    def __init__(self, unit, operation):
        self.unit, self.operation, self.context = unit, operation, self
        self.id, self.checked = '{}-context'.format(unit), False


def app_1_works(model):
    model.begins('app/1')
    model.works('app/1')
