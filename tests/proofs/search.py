"""Every history of a small world, breadth first: which worlds are reached, and which promise breaks first.

A world is one number of 64 bits: who leads, the number of the scene (the ledger),
the number of each unit's standing. Nothing is hashed away: two worlds are the
same number only if they are the same world. What a unit may do in a case (its
standing, whether it leads, the scene, what others see of each peer) is worked
out once, by smallworld.py on the layer's own code; whole arrays of worlds are
then moved on by table.

In a symmetric world units are interchangeable: where worlds differ only in which
unit is which, the one with the least number is kept. That is sound because
nothing but the order of requests seen together depends on a unit's name, and a
symmetric world has every such order: the times of the requests may have been any.
"""

import re
from itertools import permutations
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from charms.layer.coordinator.values import Terms, UnitState

from tests.proofs.promises import freed, has_no_ticket, has_ticket, is_paused, waits
from tests.proofs.smalljuju import (
    ABSENT,
    CUT,
    GONE,
    THERE,
    UNREAD,
    Around,
    Kind,
    Scene,
    U,
    affected,
    electable,
    elected,
    name,
)
from tests.proofs.smallworld import CALM, LOOK, Option, options

World = Tuple[int, ...]
"""The leader (the number of units, if there is none), the scene, each unit's standing: all as numbers."""

CHUNK = 200000


class Found(NamedTuple):
    """What a search found: how many worlds it visited, and the shortest way to a fault if any."""

    worlds: int
    fault: str = ''
    history: Tuple[str, ...] = ()
    cut: bool = False
    beyond: int = 0

    def __str__(self) -> str:
        told = ''.join('\n  {:2}  {}'.format(place, step) for place, step in enumerate(self.history, 1))
        end = ' (cut off there)' if self.cut else ''
        return '{:,} worlds{}; {}{}'.format(self.worlds, end, self.fault or 'no fault', told)


def distinct(numbers: Any) -> Any:
    """Return them sorted, each once; numpy's own unique hashes, and takes longer."""
    numbers = np.sort(numbers)
    first = np.ones(len(numbers), dtype=bool)
    first[1:] = numbers[1:] != numbers[:-1]
    return numbers[first]


class Numbers:
    """Things, each under the number at which it was first seen."""

    def __init__(self) -> None:
        self._of: Dict[Any, int] = {}
        self.things: List[Any] = []

    def of(self, thing: Any) -> int:
        found = self._of.setdefault(thing, len(self.things))
        if found == len(self.things):
            self.things.append(thing)
        return found


class Table:
    """A column worked out per number, each when it is first asked for. `works_out` gives an int."""

    def __init__(self, works_out: Callable[[int], int]) -> None:
        self._works_out = works_out
        self._known = np.full(1024, -1, dtype=np.int64)

    def __getitem__(self, numbers: Any) -> Any:
        if not len(numbers):
            return np.zeros(0, dtype=np.int64)
        top = int(numbers.max())
        if top >= len(self._known):
            grown = np.full(2 * top, -1, dtype=np.int64)
            grown[: len(self._known)] = self._known
            self._known = grown
        found = self._known[numbers]
        if (found < 0).any():
            for new in np.unique(numbers[found < 0]).tolist():
                self._known[new] = self._works_out(new)
            found = self._known[numbers]
        return found


class Cases:
    """What one unit may do, per case: a range of rows, each a step with numbers for values."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, dtype=np.uint64)
        self._ids = np.zeros(0, dtype=np.int64)
        self.steps: List[List[Tuple[str, int, int, int, int]]] = []
        self.faults: List[Tuple[str, str]] = []  # what is broken, and by which step if by one
        self.begins = self.after = self.scene = self.effect = np.zeros(1, dtype=np.int64)
        self.faulty = np.zeros(0, dtype=np.int64)
        self.first = dict.fromkeys((CALM, LOOK), np.zeros(0, dtype=np.int64))

    def ids(self, keys: Any, works_out: Callable[[int], None]) -> Any:
        """Return the number of each key's case, working out those that are new."""
        if not len(keys):
            return np.zeros(0, dtype=np.int64)
        found = self._look_up(keys)
        if found is None or (found < 0).any():
            new = distinct(keys if found is None else keys[found < 0])
            first = len(self.steps)
            for key in new.tolist():
                works_out(key)
            self._keys = np.concatenate([self._keys, new])
            self._ids = np.concatenate([self._ids, np.arange(first, len(self.steps))])
            order = np.argsort(self._keys, kind='stable')
            self._keys, self._ids = self._keys[order], self._ids[order]
            self._tabulate(first)
            found = self._look_up(keys)
        return found

    def _look_up(self, keys: Any) -> Any:
        if not len(self._keys):
            return None
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._ids[place], -1)

    def _tabulate(self, first: int) -> None:
        new = self.steps[first:]
        rows = np.array([step[1:4] for steps in new for step in steps], dtype=np.int64).reshape(-1, 3)
        counts = np.array([len(steps) for steps in new], dtype=np.int64)
        begins = self.begins[-1] + np.cumsum(counts)
        old = len(self.begins) > 1
        self.begins = np.concatenate([self.begins, begins])
        for column, values in zip(('after', 'scene', 'effect'), rows.T):
            setattr(self, column, np.concatenate([getattr(self, column), values]) if old else values)
        for mood in (CALM, LOOK):
            places = [
                next((place for place, step in enumerate(steps) if step[4] == mood), -1) for steps in new
            ]
            self.first[mood] = np.concatenate([self.first[mood], np.array(places, dtype=np.int64)])
        faulty = np.array([bool(fault) for fault, _ in self.faults[first:]], dtype=np.int64)
        self.faulty = np.concatenate([self.faulty, faulty])


class Search:
    """Worlds of one kind, each standing and scene kept once under a number."""

    def __init__(self, kind: Kind, tell: Callable[[int, int, int], None] = lambda depth, worlds, left: None):
        self.kind, self.count, self._tell = kind, kind.units, tell
        self._standings, self._scenes, self._faces = Numbers(), Numbers(), Numbers()
        self._cases = [Cases() for _ in range(kind.units)]
        self._looks: List[Dict[int, Any]] = [{} for _ in range(kind.units)]
        self._lay_out()
        self._tables()
        places = permutations(range(kind.units)) if kind.symmetric else [tuple(range(kind.units))]
        self.visited, self.beyond = Runs(), 0
        self.names = [Renamed(self, places_of) for places_of in places]
        self.start = self._start()

    def _lay_out(self) -> None:
        """Decide which bits of a world say what."""
        scene = {1: 24, 2: 20, 3: 14}[self.count]
        self._bits = (2, scene, (62 - scene) // self.count)
        room = 64 - 1 - self._bits[1] - self._bits[2]
        self._face_bits = min(16, room // max(1, self.count - 1))

    def _tables(self) -> None:
        def standing(column: Callable[[U], int]) -> Table:
            return Table(lambda n: column(self._standings.things[n]))

        kind = self.kind
        self._face = standing(lambda me: self._number(self._faces, me.face, self._face_bits))
        self._may_lead = standing(lambda me: electable(kind, me))
        self._elected = standing(lambda me: self._standing(elected(kind, me)))
        self._dead = standing(lambda me: me.life == GONE)
        self._lives = standing(lambda me: me.life == THERE)
        self._cut = standing(lambda me: me.life == CUT)
        self._waits = standing(lambda me: bool(waits(0, me)))
        queues = sorted({kind.policy.queue_of(lock) for lock in kind.locks})
        self._works = [standing(lambda me, q=q: any(at == q for at, _ in me.works)) for q in queues]
        if kind.exclusive:
            self._works = [standing(lambda me: bool(me.works))]
        policies = [kind.policy] + ([kind.refreshed] if kind.refreshed else [])
        self._slots = max(policy.slots_among(kind.units) for policy in policies)
        self._affected: Dict[Tuple[int, int], Table] = {}
        scenes = self._scenes.things
        self._paused = Table(lambda n: is_paused(scenes[n]))
        self._freed = [Table(lambda n, unit=unit: bool(freed(unit, scenes[n]))) for unit in range(kind.units)]
        self._seated = [Table(lambda n, unit=unit: has_ticket(unit, scenes[n])) for unit in range(kind.units)]

    def _affect(self, cause: int, effect: int) -> Table:
        if (cause, effect) not in self._affected:
            things = self._standings.things
            self._affected[cause, effect] = Table(
                lambda n: self._standing(affected(self.kind, things[n], cause, effect))
            )
        return self._affected[cause, effect]

    def _number(self, numbers: Numbers, thing: Any, bits: int) -> int:
        found = numbers.of(thing)
        if found >> bits:
            raise OverflowError('{}: more than 2**{} of {}'.format(self.kind, bits, type(thing).__name__))
        return found

    def _standing(self, me: U) -> int:
        return self._number(self._standings, me, self._bits[2])

    def _scene(self, scene: Scene) -> int:
        return self._number(self._scenes, scene, self._bits[1])

    def _start(self) -> Any:
        kind = self.kind
        new = kind.units - 1 if kind.newcomer else -1
        words = kind.told if kind.words else 0
        fresh = U(seen=(UNREAD,) * kind.units, asks=kind.asks, words=words, due=not kind.anytime)
        units = [fresh._replace(strangers=frozenset({new} - {-1})) for _ in range(kind.units)]
        if kind.newcomer:
            others = frozenset(range(kind.units)) - {new}
            units[new] = fresh._replace(life=ABSENT, installed=False, related=False, strangers=others)
        scene = Scene()
        if kind.anytime and not kind.blank:
            scene, units = Search(kind._replace(anytime=False, stale=False, symmetric=False)).rested()
            units = [self._undue(me) for me in units]
        world = (0, self._scene(scene), *map(self._standing, units))
        start = self.least(self.packed([np.array([part]) for part in world]))
        return start if kind.blank or kind.anytime else self._calm(start)

    def _undue(self, me: U) -> U:
        seen = (UNREAD,) * self.count if self.kind.stale else me.seen
        return me._replace(due=False, shared=False, news=frozenset(), seen=seen)

    def _calm(self, start: Any) -> Any:
        """Return the world at rest after calm weather, so that the search begins with a ledger."""
        after = self._calmed(start)
        while (after != start).any():
            start, after = after, self._calmed(after)
        return start

    def rested(self) -> Tuple[Scene, List[U]]:
        """Return the scene and the units with which the search begins."""
        world = self.told(self.start[0])
        return self._scenes.things[world[1]], [self._standings.things[number] for number in world[2:]]

    # Worlds as numbers

    def packed(self, parts: Sequence[Any]) -> Any:
        leader, scene, *standings = parts
        word = (leader << self._bits[1]) | scene
        for standing in standings:
            word = (word << self._bits[2]) | standing
        return word.astype(np.uint64)

    def unpacked(self, worlds: Any) -> List[Any]:
        _, scene, standing = self._bits
        parts = []
        for place in reversed(range(self.count)):
            parts.append((worlds >> np.uint64(standing * place)) & np.uint64((1 << standing) - 1))
        rest = worlds >> np.uint64(standing * self.count)
        parts = [rest >> np.uint64(scene), rest & np.uint64((1 << scene) - 1), *parts]
        return [part.astype(np.int64) for part in parts]

    def least(self, worlds: Any) -> Any:
        if len(self.names) == 1 or not len(worlds):
            return worlds
        parts = self.unpacked(worlds)
        least = worlds
        for renamed in self.names[1:]:
            least = np.minimum(least, self.packed(renamed.world(parts)))
        return least

    # What may happen next

    def _case(self, unit: int, parts: Sequence[Any], faces: Sequence[Any]) -> Any:
        key = parts[2 + unit].astype(np.uint64)
        for value, bits in [(parts[0] == unit, 1), (parts[1], self._bits[1])]:
            key = (key << np.uint64(bits)) | value.astype(np.uint64)
        for peer in range(self.count):
            if peer != unit:
                key = (key << np.uint64(self._face_bits)) | faces[peer].astype(np.uint64)
        return self._cases[unit].ids(key, lambda one: self._work_out(unit, one))

    def _work_out(self, unit: int, key: int) -> None:
        faces: Dict[int, int] = {}
        for peer in reversed(range(self.count)):
            if peer != unit:
                faces[peer], key = key & ((1 << self._face_bits) - 1), key >> self._face_bits
        scene, key = key & ((1 << self._bits[1]) - 1), key >> self._bits[1]
        leads, standing = bool(key & 1), key >> 1
        me: U = self._standings.things[standing]

        def look(what: Any) -> Any:
            if what == 'leads':
                return leads
            if what == 'scene':
                return self._scenes.things[scene]
            face = me.face if what[1] == unit else self._faces.things[faces[what[1]]]
            return face if what[0] == 'face' else face.life

        cases, here = self._cases[unit], self._scenes.things[scene]
        found = self._options(unit, standing, me, look)
        steps, fault = [], (has_no_ticket(unit, me, here), '')
        for said, after, changed, effect, calm, broken in found:
            # An option that leaves the scene alone was worked out for any scene.
            steps.append((said, after, scene if changed is None else changed, effect, calm))
            if broken and not fault[0]:
                fault = (broken, said)
        cases.steps.append(steps)
        cases.faults.append(fault)

    def _options(self, unit: int, standing: int, me: U, look: Callable[[Any], Any]) -> Any:
        """Return the options of a case, worked out once for all that they depend on."""
        node = self._looks[unit].setdefault(standing, {})
        while node:
            if 'options' in node:
                return node['options']
            node = node['next'].setdefault(look(node['looks at']), {})
        around = Around(look)
        numbered = (self._numbered(option, around) for option in options(self.kind, unit, me, around))
        found = list(dict.fromkeys(numbered))
        node = self._looks[unit][standing]
        for what, seen in around.looked.items():
            if not node:
                node.update({'looks at': what, 'next': {}})
            node = node['next'].setdefault(seen, {})
        node['options'] = found
        return found

    def _numbered(self, o: Option, around: Around) -> Tuple[str, int, Optional[int], int, int, str]:
        scene = None if o.scene is None else self._scene(o.scene)
        return o.said, self._standing(o.after), scene, o.effect, o.calm, o.broken

    def _moved(self, unit: int, parts: Sequence[Any], source: Any, row: Any) -> Any:
        """Return the worlds after the steps in those rows of a unit's cases, taken in those worlds."""
        cases = self._cases[unit]
        new = [part[source] for part in parts]
        new[1], new[2 + unit], effect = cases.scene[row], cases.after[row], cases.effect[row]
        for kind in np.unique(effect[effect > 0]).tolist():
            at = effect == kind
            for peer in range(self.count):
                if peer != unit:
                    new[2 + peer][at] = self._affect(unit, kind)[new[2 + peer][at]]
        if self.kind.removals:
            new[0][(new[0] == unit) & (self._dead[new[2 + unit]] > 0)] = self.count
        return self.packed(new)

    def _elect(self, unit: int, parts: Sequence[Any], at: Any) -> Any:
        new = [part[at] for part in parts]
        new[0], new[2 + unit] = np.full(len(new[0]), unit), self._elected[new[2 + unit]]
        return self.packed(new)

    def after(self, worlds: Any) -> Any:
        """Return the worlds one step after these, sorted, each once."""
        parts = self.unpacked(worlds)
        faces = [self._face[part] for part in parts[2:]]
        found = []
        for unit in range(self.count):
            cases, ids = self._cases[unit], self._case(unit, parts, faces)
            begins = cases.begins[ids]
            counts = cases.begins[ids + 1] - begins
            source = np.repeat(np.arange(len(worlds)), counts)
            row = np.arange(len(source)) + np.repeat(begins - np.cumsum(counts) + counts, counts)
            found.append(self._moved(unit, parts, source, row))
            may = (parts[0] != unit) & (self._may_lead[parts[2 + unit]] > 0)
            found.append(self._elect(unit, parts, may))
        after = distinct(np.concatenate(found))
        return after if len(self.names) == 1 else distinct(self.least(after))

    def _calmed(self, worlds: Any, mood: int = CALM, only: int = -1) -> Any:
        """Return the world that calm weather makes of each, the same one where it is at rest.

        Args:
            worlds: the worlds.
            mood: LOOK for an update-status in place of a step of calm weather.
            only: this unit's step, -1 for that of any.
        """
        parts = self.unpacked(worlds)
        faces = [self._face[part] for part in parts[2:]]
        after, moved = worlds.copy(), np.zeros(len(worlds), dtype=bool)
        for unit in range(self.count):
            may = (parts[0] == self.count) & (self._lives[parts[2 + unit]] > 0) & ~moved
            may &= self._may_lead[parts[2 + unit]] > 0
            after[may], moved = self._elect(unit, parts, may), moved | may
        for unit in range(self.count) if only < 0 else [only]:
            cases, ids = self._cases[unit], self._case(unit, parts, faces)
            place = cases.first[mood][ids]
            at = (place >= 0) & ~moved
            after[at] = self._moved(unit, parts, np.flatnonzero(at), (cases.begins[ids] + place)[at])
            moved |= at
        return self.least(after)

    # Promises

    def _faulty(self, worlds: Any) -> Any:
        """Return which of these worlds break a promise, those about calm weather apart."""
        parts = self.unpacked(worlds)
        faces = [self._face[part] for part in parts[2:]]
        broken = np.zeros(len(worlds), dtype=bool)
        for unit in range(self.count):
            ids = self._case(unit, parts, faces)
            broken |= self._cases[unit].faulty[ids] > 0
        for works in self._works:
            at_work = sum(
                (works[part] > 0) & (self._freed[unit][parts[1]] == 0) for unit, part in enumerate(parts[2:])
            )
            broken |= at_work > self._slots
        return broken

    def fault(self, world: World) -> Tuple[str, str]:
        """Return which promise a world breaks, and in which step if it takes one; '' for none."""
        for works in self._works:
            units = [unit for unit in range(self.count) if works[np.array([world[2 + unit]])][0]]
            units = [unit for unit in units if not self._freed[unit][np.array([world[1]])][0]]
            if len(units) > self._slots:
                return ' and '.join(map(name, units)) + ' hold one lock', ''
        parts = [np.array([part]) for part in world]
        faces = [self._face[part] for part in parts[2:]]
        for unit in range(self.count):
            fault = self._cases[unit].faults[int(self._case(unit, parts, faces)[0])]
            if fault[0]:
                return fault
        return '', ''

    # The search

    def run(self, most: int = 10**10, only: str = '') -> Found:
        """Visit every world that can be reached, nearest first; stop at the first that breaks a promise.

        Args:
            most: stop after so many worlds.
            only: look only for faults told with these words.
        """
        levels, visited, frontier = [], self.visited, self.start
        while len(frontier):
            levels.append(frontier)
            visited.add(frontier)
            self._tell(len(levels), len(visited), len(frontier))
            for world in self._first_faults(frontier):
                if only in self.fault(self.told(world))[0]:
                    return self._story(levels, world, len(visited))
            if len(visited) > most:
                return Found(len(visited), cut=True)
            frontier = self._next(frontier, visited)
        return self._served(levels, visited)

    def _next(self, frontier: Any, visited: 'Runs') -> Any:
        news = [self.start[:0]]
        for begin in range(0, len(frontier), CHUNK):
            after = self.after(frontier[begin : begin + CHUNK])
            beyond = self._is_cut(after)
            self.beyond += int(beyond.sum())
            after = after[~beyond]
            news.append(after[~visited.have(after)])
        return distinct(np.concatenate(news))

    def _is_cut(self, worlds: Any) -> Any:
        """Return which worlds need a higher token or term than this search goes to."""
        return sum(self._cut[part] for part in self.unpacked(worlds)[2:]) > 0

    def _first_faults(self, frontier: Any) -> Iterator[Any]:
        for begin in range(0, len(frontier), CHUNK):
            part = frontier[begin : begin + CHUNK]
            yield from part[self._faulty(part)][:100]

    def told(self, world: Any) -> World:
        return tuple(int(part[0]) for part in self.unpacked(np.array([world], dtype=np.uint64)))

    def _served(self, levels: List[Any], visited: 'Runs') -> Found:
        """Demand that calm weather, from every world, comes to rest with every request served."""
        found = Found(len(visited), beyond=self.beyond)
        if (self.kind.tokens and not self.kind.words) or self.kind.anytime:
            return found  # cut off at a token, or the world does not know which hooks are due
        worlds = visited.whole()
        leads_to = np.empty(len(worlds) + 1, dtype=np.int32)
        for begin in range(0, len(worlds), CHUNK):
            part = worlds[begin : begin + CHUNK]
            leads_to[begin : begin + len(part)] = self._places(worlds, self._calmed(part))
        leads_to[-1] = len(worlds)  # stands for all worlds that were cut off
        for _ in range(12):  # twice as far each time
            leads_to = leads_to[leads_to]
        bad, why = self._unserved(worlds, leads_to)
        if bad.any():
            for level, reached in enumerate(levels):
                at = np.flatnonzero(bad[np.searchsorted(worlds, reached)])
                if len(at):
                    story = self._story(levels[: level + 1], reached[at[0]], len(visited))
                    return story._replace(fault=why)
        return found

    def _places(self, worlds: Any, sought: Any) -> Any:
        """Return where these worlds are among those visited; after the last, if one was cut off."""
        places = np.minimum(np.searchsorted(worlds, sought), len(worlds) - 1)
        missing = worlds[places] != sought
        assert self._is_cut(sought[missing]).all(), 'calm weather leads to a world that was not visited'
        return np.where(missing, len(worlds), places)

    def _unserved(self, worlds: Any, leads_to: Any) -> Tuple[Any, str]:
        rests = np.unique(leads_to)
        rests = rests[rests < len(worlds)]
        restless = rests[leads_to[rests] != rests]
        restless = np.union1d(restless, rests[self._calmed(worlds[rests]) != worlds[rests]])
        if len(restless):
            return np.isin(leads_to[:-1], restless), 'calm weather finds no rest'
        waiting = rests[self._waiting(worlds[rests])]
        if self.kind.removals and not self.kind.looks:
            # Where a unit with a ticket was removed, within one update-status of the leader.
            waiting = np.union1d(
                waiting[~self._held_up(worlds[waiting])],
                self._waiting_still(worlds, leads_to, waiting[self._held_up(worlds[waiting])]),
            )
        elif self.kind.looks:
            waiting = self._waiting_still(worlds, leads_to, waiting)
        return np.isin(leads_to[:-1], waiting), 'calm weather leaves a request waiting for ever'

    def _waiting_still(self, worlds: Any, leads_to: Any, waiting: Any) -> Any:
        """Return where a request still waits after each unit has had its update-status, twice.

        Where databags are lost, three times: a unit without one says its claim in the first, and on Juju 3
        leaves a turn that it finds in the second for a better hook, once.
        """
        now = waiting
        for unit in [*range(self.count)] * (3 if self.kind.spoils else 2):
            inside = np.minimum(now, len(worlds) - 1)
            looked = self._places(worlds, self._calmed(worlds[inside], LOOK, unit))
            now = np.where(now < len(worlds), leads_to[looked], now)
        inside = np.minimum(now, len(worlds) - 1)
        return waiting[(now < len(worlds)) & self._waiting(worlds[inside])]

    def _held_up(self, worlds: Any) -> Any:
        """Return where a unit that is gone has a ticket."""
        parts = self.unpacked(worlds)
        held_up = np.zeros(len(worlds), dtype=bool)
        for unit in range(self.count):
            held_up |= (self._dead[parts[2 + unit]] > 0) & (self._seated[unit][parts[1]] > 0)
        return held_up

    def _waiting(self, worlds: Any) -> Any:
        parts = self.unpacked(worlds)
        return (sum(self._waits[part] for part in parts[2:]) > 0) & (self._paused[parts[1]] == 0)

    # Histories

    def _story(self, levels: List[Any], world: Any, worlds: int) -> Found:
        """Return the fault of a world, with the steps that lead to it."""
        path = [world]
        for level in reversed(levels[:-1]):
            path.append(self._one_before(level, path[-1]))
        at, said = self.told(path.pop()), []
        while path:
            step = path.pop()
            told, at = next((told, after) for told, after in self.steps(at) if self._same(after, step))
            said.append(told)
        fault, last = self.fault(at)
        return Found(worlds, fault, tuple(said) + ((last,) if last else ()))

    def _one_before(self, level: Any, world: Any) -> Any:
        for begin in range(0, len(level), CHUNK):
            part = level[begin : begin + CHUNK]
            if world in self.after(part):
                return self._narrowed(part, world)
        raise AssertionError('a world that no world leads to')

    def _narrowed(self, part: Any, world: Any) -> Any:
        while len(part) > 1:
            half = part[: len(part) // 2]
            part = half if world in self.after(half) else part[len(part) // 2 :]
        return part[0]

    def _same(self, world: World, packed: Any) -> bool:
        return bool(self.number(world) == packed)

    def number(self, world: World) -> int:
        """Return the least number of the worlds that differ from this one only in which unit is which."""
        return int(self.least(self.packed([np.array([part]) for part in world]))[0])

    def steps(self, world: World) -> Iterator[Tuple[str, World]]:
        """Yield everything that may happen next, each with the world after it."""
        parts = [np.array([part]) for part in world]
        faces = [self._face[part] for part in parts[2:]]
        for unit in range(self.count):
            cases = self._cases[unit]
            for said, after, scene, effect, _ in cases.steps[int(self._case(unit, parts, faces)[0])]:
                units = [
                    after if peer == unit else self._woken(world[2 + peer], unit, effect)
                    for peer in range(self.count)
                ]
                dead = world[0] == unit and self._standings.things[after].life == GONE
                yield said, (self.count if dead else world[0], scene, *units)
            if unit != world[0] and self._may_lead[parts[2 + unit]][0]:
                units = list(world[2:])
                units[unit] = int(self._elected[parts[2 + unit]][0])
                yield 'elect ' + name(unit), (unit, world[1], *units)

    def _woken(self, standing: int, cause: int, effect: int) -> int:
        return int(self._affect(cause, effect)[np.array([standing])][0]) if effect else standing

    @property
    def cases(self) -> int:
        return sum(len(cases.steps) for cases in self._cases)


class Runs:
    """Worlds visited, in a few sorted arrays, so that adding some does not copy all."""

    def __init__(self) -> None:
        self._runs: List[Any] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, worlds: Any) -> None:
        while self._runs and len(self._runs[-1]) < 2 * len(worlds):
            worlds = np.sort(np.concatenate([self._runs.pop(), worlds]))
        self._runs.append(worlds)

    def have(self, worlds: Any) -> Any:
        """Return which of these sorted worlds were visited."""
        found = np.zeros(len(worlds), dtype=bool)
        for run in self._runs:
            place = np.minimum(np.searchsorted(run, worlds), len(run) - 1)
            found |= run[place] == worlds
        return found

    def whole(self) -> Any:
        worlds = np.sort(np.concatenate(self._runs))
        self._runs = [worlds]
        return worlds


class Renamed:
    """The same worlds with other names for the units."""

    def __init__(self, search: Search, places: Tuple[int, ...]) -> None:
        self._places = places
        self._leader = np.array((*places, len(places)))
        things = search._standings.things
        self._standing = Table(lambda n: search._standing(self._unit(things[n])))
        scenes = search._scenes.things
        self._scene = Table(lambda n: search._scene(self._named(scenes[n])))

    def world(self, parts: Sequence[Any]) -> List[Any]:
        standings = [None] * len(self._places)
        for place, part in zip(self._places, parts[2:]):
            standings[place] = self._standing[part]
        return [self._leader[parts[0]], self._scene[parts[1]], *standings]

    def _unit(self, me: U) -> U:
        assert not me.stopped, 'in a fine world names decide in which order peers are heard'
        seen = list(me.seen)
        for place, bag in zip(self._places, me.seen):
            seen[place] = bag
        why, peer = me.why
        sets = {each: self._set(getattr(me, each)) for each in ('news', 'leavers', 'strangers')}
        named = U(*map(self._named, me._replace(seen=tuple(seen))))
        return named._replace(why=(why, self._places[peer] if peer >= 0 else peer), **sets)

    def _set(self, peers: Any) -> Any:
        return frozenset(self._places[peer] for peer in peers)

    def _named(self, thing: Any) -> Any:
        """Return a value with every unit's name in it changed."""
        if isinstance(thing, str):
            return self._words(thing)
        if isinstance(thing, frozenset):
            return frozenset(map(self._named, thing))
        if not isinstance(thing, tuple):
            return thing
        named = tuple(map(self._named, thing))
        if isinstance(thing, UnitState):
            state = UnitState(*named)
            return state._replace(peers=tuple(sorted(state.peers)), about=tuple(sorted(state.about)))
        if isinstance(thing, Terms):
            return Terms(tuple(sorted(named[0])), *named[1:])
        return type(thing)(*named) if hasattr(thing, '_fields') else named

    def _words(self, text: str) -> str:
        return _NAMES.sub(lambda found: '{}/{}'.format(found[1], self._places[int(found[2])]), text)


_NAMES = re.compile(r'(app|nonce|db)/([0-9])')
