"""A roll of a thousand units, simulated: which hooks run whole, and which leave.

Real are the layer's session and its port, over jujusim's controller and tools
(tests/inprocess.py). What is simulated: each unit runs one hook at a time, and
changes reach it after a delay of their own; two million scripts are a function
here (script.py). What is left out:
processes, charms.reactive, Juju's stale data (R6), failures; all units are joined,
and have run two hooks, before the roll. The CPU is what that many hooks of each kind
take at the price that was measured in the largest roll of real processes.
"""

import heapq
import os
import random
import tempfile
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, List, NamedTuple, Set, Tuple

from charmhelpers.core import hookenv
from charms.layer.coordinator import environment, juju
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.view import Snapshot

from benchmarks.script import SETTINGS_CHANGED, Answers, Asleep
from jujusim import tools
from jujusim.agent import Operation
from tests import inprocess, ledger

CHANGED, WAKE = 'coordinator-relation-changed', '.coordinator.wake'
HOOK_S, SCRIPT_S, DELAY_S = 0.8, 0.05, {3: (0.02, 0.2), 4: (0.1, 2.0)}


class _Port(juju.Juju):
    """The layer's port; what a unit remembers stays a value, and no text of the ledger is parsed twice."""

    def __init__(self, home: 'Home') -> None:
        super().__init__()
        self.home = home

    def load(self) -> Any:
        """Return what the unit remembers."""
        return self.home.remembered

    def save(self, state: Any) -> Any:
        """Remember it."""
        self.home.remembered = state
        return state

    def _terms(self, data: Any) -> Any:
        return _terms_in(tuple(sorted(data.items())))


@lru_cache(maxsize=4)
def _terms_in(items: Any) -> Any:
    return ledger.terms_in(dict(items))


class Home:
    """One unit: what it has on its disk, and what has reached it.

    Attributes:
        remembered: its local store.
        folder: its charm's.
        asleep: its wake file.
        left: the units whose news a script has left since, a line for each.
        due: changes that have arrived and that no hook has taken, in the order of Juju.
        busy: whether a hook runs.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.remembered: Any = None
        self.asleep = Asleep('')
        self.left: List[str] = []
        self.due: List[Tuple[int, str]] = []
        self.there: Set[Tuple[int, str]] = set()
        self.busy = False

    def wakes(self) -> None:
        """Put into the file what scripts have left."""
        with (self.folder / WAKE).open('a') as file:
            file.writelines(self.left)
        self.left = []

    def sleeps(self) -> None:
        """Read the file that a whole hook has written."""
        self.asleep = Asleep((self.folder / WAKE).read_text())


SETTINGS, CONFIG, DATA, NEWS = range(4)  # R4: the order in which an agent takes what is due
NAMES = (SETTINGS_CHANGED, 'config-changed', CHANGED, CHANGED)
CLAIMS = 'coordinator-claims'
MEMORY = '/dev/shm' if os.path.isdir('/dev/shm') else None


class Simulated(NamedTuple):
    """What one simulated roll came to; `calls` are the hook tools that scripts called which left."""

    juju: int
    work_s: float
    units: int
    whole: int
    left: int
    calls: int
    writes: int
    by_leader: int
    duration_s: float


class Roll:
    """One roll.

    Args:
        units: how many there are.
        version: of Juju, 3 or 4.
        work_s: how long each works.
        seed: of all delays.
    """

    def __init__(self, units: int, version: int, work_s: float, seed: int = 1) -> None:
        names = ['app/{}'.format(number) for number in range(units)]
        self.names, self.homes = names, {}  # type: List[str], Dict[str, Home]
        self.version, self.work_s = version, work_s
        self.now = self.ends = 0.0
        self.random = random.Random(seed)
        self.ran: Counter = Counter()
        self.served: List[str] = []
        self.at_work: Set[str] = set()
        self._events: List[Tuple[float, int, Callable[..., None], Tuple[Any, ...]]] = []
        self._sequence = 0
        self._data = ''
        self._deployed = False
        self.controller = inprocess.application(version, names, self._notify)

    # What reaches whom

    def _soon(self, seconds: float, do: Callable[..., None], *about: Any) -> None:
        self._sequence += 1
        heapq.heappush(self._events, (self.now + seconds, self._sequence, do, about))

    def _notify(self, channel: str, unit: str) -> None:
        if channel in ('app', 'leader-settings'):
            self._data = tools.as_json(ledger.data_of(self.controller)).rstrip('\n')
        kind = {'unit': NEWS, 'app': DATA, 'leader-settings': SETTINGS}.get(channel)
        if kind is None or not self._deployed:
            return
        change = kind, unit if kind == NEWS else ''
        for name, home in self.homes.items():
            if name != unit or kind == DATA:
                self._soon(self.random.uniform(*DELAY_S[self.version]), self._arrive, home, change)

    def _arrive(self, home: Home, change: Tuple[int, str]) -> None:
        if change not in home.there:
            home.there.add(change)
            heapq.heappush(home.due, change)
        self._next(home)

    # Hooks

    def _next(self, home: Home) -> None:
        if home.busy or not home.due:
            return
        change = heapq.heappop(home.due)
        home.there.discard(change)
        home.busy = True
        kind, remote = change
        if kind != CONFIG and self._leaves(home, kind, remote):
            self.ran['left'] += 1
            home.left.append((remote or 'data') + '\n')
            self._soon(SCRIPT_S, self._rest, home)
        else:
            self.ran['whole'] += 1
            self.ran[home.name] += 1
            self._soon(HOOK_S, self._whole, home, kind, remote)

    def _leaves(self, home: Home, kind: int, remote: str) -> bool:
        said = self.controller.units[home.name].settings.get(CLAIMS, '') if home.asleep.told else ''
        answers = Answers(tools.as_json(said).rstrip('\n'), '' if remote else self._data)
        found, calls = home.asleep.leaves(NAMES[kind], remote, home.name, answers)
        self.ran['calls'] += calls * found
        return found

    def _rest(self, home: Home) -> None:
        home.busy = False
        self._next(home)

    def _whole(self, home: Home, kind: int, remote: str) -> None:
        operation = Operation(NAMES[kind], remote, version=1, with_relation=kind >= DATA)
        hook, worked = self._session(home, operation, ask=kind == CONFIG)
        if worked:
            self.at_work.add(home.name)
            if len(self.at_work) > 1:
                raise RuntimeError('{} at work together'.format(sorted(self.at_work)))
        self._soon(self.work_s if worked else 0.0, self._over, home, hook, worked)

    def _session(self, home: Home, operation: Operation, ask: bool = False) -> Tuple[inprocess.Hook, bool]:
        """Run the layer's part of a hook; return it before its commit, and whether its turn was used."""
        agent = inprocess.agent_of(self.controller, home.name)
        home.wakes()
        with inprocess.in_hook(agent, operation, home.folder) as hook:
            session = Session(_Port(home), Snapshot(environment.context()), Policy(), lambda _: None)
            session.look()
            session.begin()
            if ask:
                session.request('restart')
            worked = bool(session.granted)
            session.end()
            session.sleep()
        home.sleeps()
        return hook, worked

    def _over(self, home: Home, hook: inprocess.Hook, worked: bool) -> None:
        if worked:
            self.at_work.discard(home.name)
            self.served.append(home.name)
            self.ends = self.now
        hook.commit()
        self._rest(home)

    # The roll

    def run(self) -> Simulated:
        """Deploy, roll once, and return what it came to.

        Raises:
            RuntimeError: if two units are at work together, or one has not had its turn.
        """
        with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
            for name in self.names:
                place = Path(folder) / name.replace('/', '-')
                place.mkdir()
                self.homes[name] = Home(name, place)
            for _ in range(2):
                for home in self.homes.values():
                    self._session(home, Operation('update-status'))[0].commit()
            self._deployed, before = True, len(self.controller.leader_writes)
            for home in self.homes.values():
                self._soon(self.random.uniform(*DELAY_S[self.version]), self._arrive, home, (CONFIG, ''))
            while self._events:
                self.now, _, do, about = heapq.heappop(self._events)
                do(*about)
        hookenv.cache.clear()  # quick hooks of this process would begin with what the last hook has read
        if sorted(self.served) != sorted(self.homes):
            raise RuntimeError('{} of {} units had their turn'.format(len(self.served), len(self.homes)))
        return Simulated(
            self.version, self.work_s, len(self.homes), self.ran['whole'], self.ran['left'],
            self.ran['calls'],
            len(self.controller.leader_writes) - before, self.ran[str(self.controller.leader)], self.ends,
        )  # fmt: skip
