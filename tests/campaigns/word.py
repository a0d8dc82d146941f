"""What an operator's word promises in a history (rules 20 - 24), kept from outside.

A roll owes a turn to each unit in it, from when it stands in a ledger that counts. No turn begins in a hook
that began after a pause, or behind a gate that the hook found shut. A freed unit may go on beside others
until its hook ends; after that it begins nothing before it has a new ticket.

Which order stands is read from the ledger that counts, and which ticket a unit uses from its store.
"""

import functools
import json
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from charms.layer.coordinator import orders, terms, wire
from charms.layer.coordinator.values import (
    CANCEL,
    FREE,
    NO_CLAIM,
    PAUSE,
    RESUME,
    ROLL,
    Claim,
    Ledger,
    Order,
    Said,
    Ticket,
    UnitState,
)

from jujusim.juju import Event, Juju
from tests.campaigns.doing import NO_START, NOTHING, Due, Freed, Start
from tests.ledger import KEY, data_of, terms_in

ANSWER = 'coordinator: '
REFUSALS = (
    'only the leader can do this',
    'already paused',
    'not paused',
    'a roll is under way',
    'no unit has asked for it',
    'it holds no lock and waits for none',
    'there is no ledger',
    'this unit itself gives the order',
    "a class of the charm's own",
)
"""Sentences with which an order is refused: docs/operating.md."""


class Word:
    """Judges what units do by the orders that stand; `account` is told what is broken."""

    def __init__(self, model: Juju, account: Any) -> None:
        self.model, self.account = model, account
        self.ledger: Optional[Ledger] = None
        self.given: Set[str] = set()  # names of all orders that ever stood
        self.due: Dict[Tuple[str, str, str], Due] = {}  # by unit, lock and name of the roll
        self.freed: Dict[str, Freed] = {}
        self.woken_in_vain = False  # a wake-up has failed, or its agent died
        self.paused: Dict[str, Tuple[str, str]] = {}  # by name of a pause, its lock, and who gave the order
        self.resumed: Set[str] = set()  # names of pauses that the same unit was told to end
        self.starts: Dict[str, Start] = {}
        self.held: Dict[
            str, Dict[str, int]
        ] = {}  # by unit and queue, the tokens of its turns when it worked last
        self.shut: Dict[str, Set[str]] = {}  # by unit, what the hook under way has found shut
        # By name of a cancellation, the places in rolls of other locks: these serve a later request, too.
        self.serving: Dict[str, Set[int]] = {}
        self._judged: Set[Tuple[Any, str]] = set()
        self._looked: Any = None
        self._names = {*model.units}
        self.late: Set[str] = set()  # units of which a write has landed late
        # Units of which a write is on its way: 'deposed' meanwhile, then 'alone', for the ledger was lost.
        self.landing: Dict[str, str] = {}
        self.forgotten: Set[str] = set()  # units at work of which the leader cannot know
        self.reborn: Set[str] = set()  # units whose name another one had before

    # The ledger

    def look(self) -> None:
        """Note which orders stand now."""
        controller = self.model.controller
        data = data_of(controller)
        keys = controller.juju, tuple(sorted(key for key in data if key.startswith(KEY)))
        if keys == self._looked:
            return
        self._looked, before = keys, self.ledger
        self.ledger = terms.newest(terms_in(data), 0)
        if self.ledger is None:
            if before:
                self._lost()
        elif not self.ledger.contested:  # else a new leader may not have seen what is new
            for order in self.ledger.orders:
                self._stands(order)

    def _lost(self) -> None:
        """Excuse: what stood in a ledger that is lost, is lost with it."""
        self._doubt(*self.due)
        self.given.clear()  # what the leader has not read back, it writes again
        for freed in self.freed.values():
            freed.forgotten = True

    def _doubt(self, *pairs: Tuple[str, str, str]) -> None:
        for each in pairs:
            due = self.due[each]
            self.due[each] = due._replace(sure=due.sure and 'maybe')

    def _stands(self, order: Order) -> None:
        name = '{} {}'.format(order.kind, order.name)  # a roll that was replaced is a cancellation
        if name in self.given:
            return
        self.given |= {name, order.name}
        if order.name in self.resumed:
            self.account.broken('a pause of {} stands that was ended'.format(order.lock or 'everything'))
        if order.kind == ROLL:
            for ticket in self.ledger.tickets if self.ledger else ():
                if ticket.roll == order.lock and order.first <= ticket.token <= order.last:
                    # A unit that has lost store and databag together is another one now.
                    anew = self._is_another(ticket) or ticket.unit in self.account.emptied
                    sure = 'maybe' if anew else 'yes'
                    self.due[ticket.unit, order.lock, order.name] = Due(ticket.queue, ticket.token, sure)
        elif order.kind == CANCEL:
            self._doubt(*(k for k, due in self.due.items() if k[1] == order.lock and due.token <= order.last))
            self.account.is_cancelled(order.lock)
            tickets = self.ledger.tickets if self.ledger else ()
            rolls = [each for each in tickets if each.roll not in ('', order.lock)]
            self.serving[order.name] = {each.token for each in rolls}
        elif order.kind == FREE:
            self._frees(order)

    def _frees(self, order: Order) -> None:
        unit = order.unit
        # A hook that has just ended, which its event has not told yet, was under way.
        under_way = [self.model.running.get(unit), *self.model.beside]
        under_way += [self.account.doing.get(unit, NOTHING).execution]
        self.freed[unit] = Freed(order.last, [each for each in under_way if each and each.unit == unit])
        self._doubt(*(key for key, due in self.due.items() if key[0] == unit and due.token <= order.last))
        self.account.is_freed(unit)

    def standing(self, *kinds: str) -> Iterator[Order]:
        """Yield the orders of these kinds that stand."""
        ledger = self.ledger
        if ledger and not ledger.contested:
            yield from (order for order in ledger.orders if order.kind in kinds)

    # Events

    def see(self, event: Event) -> None:
        if event.what == 'begins':
            self._begins(event.unit)
        elif event.what == 'writes late':
            self.late.add(event.unit)
            self.landing[event.unit] = ''
        elif event.what == 'leads':
            others = [unit for unit, how in self.landing.items() if not how and unit != event.unit]
            self.landing.update(dict.fromkeys(others, 'deposed'))
        elif event.what == 'loses' and not event.unit:  # what leaders wrote
            self.landing = {unit: how and 'alone' for unit, how in self.landing.items()}
        elif event.what == 'ends':
            self._ends(event.unit)
        elif event.what == 'loses' and '.coordinator.json' in event.text:
            self._forgets_gate(event.unit)
        elif event.what in ('fails', 'is killed'):
            self.landing.pop(event.unit, None)
        elif event.what == 'ran' and event.text.startswith('action coordinator-'):
            self._answered(event)

    def _ends(self, unit: str) -> None:
        """Excuse turns of which a leader finds no trace when its write lands late (docs/limits.md).

        It was deposed and leads again; who led meanwhile wrote a ledger, and that was deleted.
        """
        self.forgotten.discard(unit)
        if self.landing.pop(unit, '') == 'alone' and self.model.controller.leader == unit:
            for holders in self.account.holders.values():
                self.forgotten |= holders - {unit}
                holders &= {unit}

    def _begins(self, unit: str) -> None:
        # If the store is lost, a turn goes on that has begun as far as Juju knows.
        claims = self._state(unit).own or self._published(unit)
        going = tuple((queue, claim.token) for queue, claim in claims if claim.holds)
        stood = frozenset(order.name for order in self.standing(PAUSE, CANCEL))
        execution = self.model.running[unit]
        known = self._known_to(unit) if execution.operation.action else frozenset()
        self.starts[unit] = Start(execution, stood, going, _covered(claims), known)
        self.shut.pop(unit, None)

    def _forgets_gate(self, unit: str) -> None:
        """Excuse a unit that loses its store in a hook: it knows only what Juju knows to have begun."""
        start = self._start(unit)
        self.starts[unit] = start._replace(covered=start.covered & _covered(self._published(unit)))

    def _is_another(self, ticket: Ticket) -> bool:
        """Return whether a ticket is of a former unit of that name: a new one may find the files of that."""
        unit = ticket.unit
        if unit in self.reborn:
            said = self._said_by(unit)
            return said is None or said.nonce != ticket.nonce
        return self._state(unit).nonce not in ('', ticket.nonce)

    def _said_by(self, unit: str) -> Optional[Said]:
        known = self.model.controller.units.get(unit)
        return _said(known.settings.get('coordinator-claims'), unit) if known else None

    def _published(self, unit: str) -> Tuple[Tuple[str, Claim], ...]:
        said = self._said_by(unit)
        return said.queues if said else ()

    def _known_to(self, leader: str) -> FrozenSet[str]:
        """Return the units that have spoken, as a leader's agent knows: it reads a unit once (R6)."""
        agent, units = self.model.agents[leader], self.model.controller.units
        members = {leader, *agent.local.members}.intersection(units)
        read = {name: agent.member_cache.get(name, units[name].settings) for name in members}
        said = {name: _said(read[name].get('coordinator-claims'), name) for name in members}
        return frozenset(name for name in members if said[name] and said[name].nonce)

    def _answered(self, event: Event) -> None:
        """Judge what an action answers: the ledger has what it says, and a roll leaves nobody out."""
        _, found, answer = event.text.partition(ANSWER)
        if not found or 'coordinator-show' in event.text:
            return
        said = json.loads(answer)
        if said['order'] == ROLL:
            units = self.model.controller.units
            stay = {unit for unit in self._start(event.unit).known if units[unit].life == 'alive'}
            planned = {unit for stage in said['stages'] for unit in stage}
            given = {key[0] for key in self.due if key[2] == said['name']}
            if said['name'] not in self.given:
                given = planned  # it does not stand yet
            # Databags that cannot be read, and those of former units of a name, which nobody has read anew.
            told = (self.account.spoilt | self.reborn).intersection(said['left_out'])
            for unit in sorted(stay - (planned & given) - told):
                self.account.broken('{} is left out of a roll'.format(unit))
        if said['order'] == PAUSE:
            self.paused[said['name']] = said.get('lock', ''), event.unit
        elif said['order'] == RESUME:
            for name, (lock, by) in self.paused.items():
                if by == event.unit and said.get('lock', '') in ('', lock):
                    self.resumed.add(name)
        # What a deposed leader wrote late stands under a term that is over.
        open_now = self.ledger and not self.ledger.contested and event.unit not in self.late
        if said['order'] in (ROLL, PAUSE) and said['written'] and open_now and said['name'] not in self.given:
            self.account.broken('a {} does not stand, which was said to be written'.format(said['order']))

    def _start(self, unit: str) -> Start:
        return self.starts.get(unit, NO_START)

    def _state(self, unit: str) -> UnitState:
        """Return what a unit remembers; nothing, if its store is lost."""
        path = self.model._charm_dir(unit) / '.coordinator.json'
        if not path.exists():
            return UnitState()
        return _remembered(path.read_text(encoding='utf-8'), unit)

    def waits(self, unit: str, lock: str) -> bool:
        """Return whether a unit has asked for a lock and remembers so."""
        return any(claim.outstanding and lock in claim.names for _, claim in self._state(unit).own)

    def goes_on_for(self, unit: str, lock: str) -> bool:
        """Return whether a new unit that finds these files goes on with what a former one has asked for."""
        return self.waits(unit, lock) and not self._state(unit).spoken

    def turn_of(self, unit: str, lock: str) -> Optional[Tuple[str, int]]:
        """Return queue and token of the turn in which a unit has a lock, None if that is not known."""
        own = [(queue, claim) for queue, claim in self._state(unit).own if claim.holds]
        found = [(queue, claim.token) for queue, claim in own if lock in claim.names or queue in ('', lock)]
        return max(found, key=lambda turn: lock in dict(own)[turn[0]].names, default=None)

    def waits_elsewhere(self, unit: str, lock: str, turn: Optional[Tuple[str, int]]) -> bool:
        """Return whether a unit waits for a lock in another queue than that of its turn (docs/limits.md)."""
        return bool(turn) and any(
            claim.outstanding and not claim.holds and lock in claim.names and queue != turn[0]
            for queue, claim in self._state(unit).own
        )

    # Turns

    def is_freed_in(self, unit: str, execution: Any) -> bool:
        """Return whether a unit was freed in this hook: until its end, the unit may go on beside others."""
        freed = self.freed.get(unit)
        return bool(freed and any(execution is each for each in freed.until))

    def excepts(self, unit: str, token: Optional[int]) -> bool:
        """Return whether this turn counts for nothing: by an operator's word it is over."""
        freed = self.freed.get(unit)
        forgotten = freed and freed.forgotten and token is not None and token <= freed.last
        unknown = forgotten or unit in self.forgotten
        return bool(unknown) or self.is_freed_in(unit, self.model.running.get(unit))

    def takes(self, unit: str, lock: str) -> Optional[Tuple[str, int]]:
        """Judge a turn that begins or goes on; return its queue and token, None if that is not known."""
        turn, start = self.turn_of(unit, lock), self._start(unit)
        if turn is None:
            return None
        token, freed = turn[1], self.freed.get(unit)
        self.held[unit] = {queue: claim.token for queue, claim in self._state(unit).own if claim.holds}
        if freed and token <= freed.last and not self.excepts(unit, token):
            self.account.broken('{} goes on in a turn of {} that was freed'.format(unit, lock))
        if turn not in start.going and (start.execution, lock) not in self._judged:
            self._judged.add((start.execution, lock))
            self._begins_turn(unit, lock, token)
        return turn

    def _begins_turn(self, unit: str, lock: str, token: int) -> None:
        stood = self._start(unit).stood
        for order in self.standing(PAUSE, CANCEL):
            if order.name not in stood or order.lock not in ('', lock) or token < order.first:
                continue
            if order.kind == PAUSE:
                self.account.broken('{} begins a turn of {}, which is paused'.format(unit, lock))
            elif token <= order.last and token not in self.serving.get(order.name, ()):
                self.account.broken('{} begins a turn of {}, which was cancelled'.format(unit, lock))
        if lock in self.shut.get(unit, ()):
            self.account.broken('{} begins a turn of {} behind a shut gate'.format(unit, lock))

    def gate(self, unit: str, lock: str, how: str) -> None:
        """Note what a hook has found out about a gate: none is asked in a turn of its lock that goes on.

        It may ask before the lock joins a turn of others, and before another turn of the lock, which a unit
        may have in each of two queues after a refresh (docs/limits.md).
        """
        start = self._start(unit)
        goes_on = lock in start.covered and self.turn_of(unit, lock) in start.going
        if goes_on and not self._waits_in(unit, lock) - {queue for queue, _ in start.going}:
            self.account.broken('{} asks its gate in a turn of {} that has begun'.format(unit, lock))
        found = self.shut.setdefault(unit, set())
        (found.add if how == 'shut' else found.discard)(lock)

    def _waits_in(self, unit: str, lock: str) -> Set[str]:
        """Return the queues in which a unit has asked for a lock, or has a place in a roll of it."""
        own = {q for q, claim in self._state(unit).own if claim.outstanding and lock in claim.names}
        tickets = self.ledger.tickets if self.ledger else ()
        return own | {each.queue for each in tickets if (each.unit, each.roll) == (unit, lock)}

    # What rolls owe

    def allows(self, unit: str, lock: str) -> bool:
        """Return whether a unit that did not ask may work all the same, in a turn of a roll."""
        turn = self.turn_of(unit, lock)
        dues = [due for (who, what, _), due in self.due.items() if (who, what) == (unit, lock) and due.sure]
        return any(turn is None or self._serves(unit, turn, due) for due in dues)

    def _serves(self, unit: str, turn: Tuple[str, int], due: Due) -> bool:
        """Return whether a turn serves a roll: it is in its queue, beside it, or was asked for in its place.

        After a refresh, one hook may have a turn in each of two queues, and its handlers run once for both.
        """
        beside = self.held.get(unit, {}).get(due.queue, 0)
        if due.token > turn[1] or due.queue == turn[0]:
            return due.token <= max(turn[1], beside)
        claim = dict(self._state(unit).own).get(due.queue, NO_CLAIM)
        return due.token <= (claim.token if claim.holds else claim.ended)

    def used(self, unit: str, lock: str, turn: Optional[Tuple[str, int]]) -> None:
        """Note that a turn was used; it serves each roll whose ticket is not behind it."""
        for key, due in self.due.items():
            if key[:2] == (unit, lock) and due.sure:
                if turn is None:
                    self._doubt(key)
                elif self._serves(unit, turn, due):
                    self.due[key] = due._replace(sure='')

    def releases(self, unit: str, lock: str) -> None:
        """Note that a unit withdraws: its place in a roll, too."""
        self._doubt(*(key for key in self.due if key[:2] == (unit, lock)))

    def forgets(self, unit: str) -> None:
        """Excuse a unit that has lost what it knew: it may take a turn twice, or not at all."""
        mine = {key: due._replace(sure='maybe') for key, due in self.due.items() if key[0] == unit}
        self.due.update(mine)

    def added(self, unit: str) -> None:
        self.reborn |= {unit} & self._names
        self._names.add(unit)
        self.due = {key: due for key, due in self.due.items() if key[0] != unit}
        self.freed.pop(unit, None)
        for each, start in list(self.starts.items()):
            self.starts[each] = start._replace(known=start.known - {unit})

    def unserved(self) -> List[str]:
        waiting = {(unit, lock) for (unit, lock, _), due in self.due.items() if due.sure == 'yes'}
        return [
            '{} waits for {}, in a roll'.format(unit, lock)
            for unit, lock in sorted(waiting)
            if unit not in self.account.leavers
        ]

    def left(self) -> List[str]:
        """Return what still stands, of which nothing may when all is calm, in sentences."""
        if self.model.controller.leader is None:
            return []  # nobody is left
        said = ['{} is still paused'.format(order.lock or 'everything') for order in self.standing(PAUSE)]
        ledger = self.ledger
        for roll in orders.rolls(ledger) if ledger else ():
            claims = {
                (unit, queue): claim
                for unit in self.model.controller.units
                for queue, claim in self._published(unit)
            }
            tickets = orders.left_in(ledger, roll, claims)
            waiting = sorted(ticket.unit for ticket in tickets if ticket.unit not in self.account.leavers)
            if waiting:
                without = ', '.join(waiting)
                said.append('a roll of {} is left under way, without {}'.format(roll.lock, without))
        return said


def is_refused(text: str) -> bool:
    """Return whether an action has failed because its order is refused, as documented."""
    return text.startswith('action coordinator-') and any(words in text for words in REFUSALS)


def _covered(claims: Tuple[Tuple[str, Claim], ...]) -> FrozenSet[str]:
    """Return the locks of the turns that have begun."""
    return frozenset(lock for _, claim in claims if claim.holds for lock in claim.names)


# The account looks at every hook that begins; what a text says does not change.


@functools.lru_cache(maxsize=256)
def _said(text: Optional[str], unit: str) -> Optional[Said]:
    return wire.said(text, unit)[0]


@functools.lru_cache(maxsize=256)
def _remembered(text: str, unit: str) -> UnitState:
    return wire.state(json.loads(text)['values'].get('state'), unit)[0] or UnitState()
