"""The strokes of an operator, and of a gate: orders by the actions of the layer, at the worst moments.

Like the strokes of strokes.py: each `do_NAME` returns what it has done, None if it could do nothing.
"""

import random
from typing import Any, Optional, Set

from charms.layer.coordinator.actions import NO_ANSWER
from charms.layer.coordinator.plan import ORDERS
from charms.layer.coordinator.values import PAUSE

from jujusim.juju import Juju
from tests.campaigns.account import Account

GATE = 'gate.shut'


class Operating:
    """What an operator does to one model.

    Attributes:
        waits: why a turn may come at an update-status only.
        unnamed: subordinates that left when the peer relation got another id (docs/limits.md).
    """

    model: Juju
    kind: Any
    account: Account
    dice: random.Random
    waits: Set[str]
    unnamed: Set[str]

    def _orders(self, on: str, action: str, /, **parameters: Any) -> str:
        """Run an action, on the leader most of the time, and sometimes let leadership move beside it."""
        leader, dice = self.model.controller.leader, self.dice
        where = leader if leader and dice.random() < 0.85 else on
        self.model.run_action(where, 'coordinator-' + action, format='json', reason='by chance', **parameters)
        others = [name for name in self.model.units if name != where]
        if others and dice.random() < 0.25:
            self.model.elect(dice.choice(others), after_s=dice.uniform(0, 4))
        said = ' '.join('{}={}'.format(*pair) for pair in sorted(parameters.items()) if pair[1])
        return '{} on {}{}'.format(action, where, said and ': ' + said)

    def _lock(self) -> str:
        return (
            self.dice.choice(['restart', 'restart', 'reindex'])
            if self.kind.plan == 'two locks'
            else 'restart'
        )

    def do_roll(self, unit: str) -> str:
        dice = self.dice
        batches = dice.choice(['', '', '', '1', '1,2', '1,50%', '2'])
        order = dice.choice(['leader-last', 'leader-last', 'leader-first', 'name'])
        given = {'lock': self._lock(), 'batches': batches, 'order': order}
        if batches and dice.random() < 0.4:
            given['pause-after'] = 1
        given['replace'] = dice.random() < 0.4
        said = self._orders(unit, 'roll', **given)
        if self.kind.plan == 'two locks' and dice.random() < 0.5:  # two rolls in one queue
            other = {'restart': 'reindex', 'reindex': 'restart'}[given['lock']]
            said += ', and ' + self._orders(unit, 'roll', lock=other, order=dice.choice(ORDERS))
        return said

    def do_pause(self, unit: str) -> str:
        lock = self.dice.choice(['', self._lock()])
        if self.dice.random() < 0.5:
            later = self.model.now + self.dice.uniform(5, 120)
            self.model.at(later, lambda: self._resumes(lock))
        return self._orders(unit, 'pause', lock=lock)

    def _resumes(self, lock: str) -> Optional[str]:
        leader = self.model.controller.leader
        if not leader:
            return None
        self.model.run_action(leader, 'coordinator-resume', format='json', lock=lock)
        return 'resume on {}: {}'.format(leader, lock or 'all locks')

    def do_resume(self, unit: str) -> Optional[str]:
        return self._resumes(self.dice.choice(['', self._lock()]))

    def do_cancel(self, unit: str) -> str:
        return self._orders(unit, 'cancel', lock=self._lock())

    def do_free(self, unit: str) -> Optional[str]:
        """Free a unit that holds a lock if there is one, down or alive."""
        units = self.model.controller.units
        there = [name for name in sorted(units) if units[name].life != 'dead']
        holding = [name for name in there if any(name in group for group in self.account.holders.values())]
        of = holding if holding and self.dice.random() < 0.7 else there
        return self._orders(unit, 'free', unit=self.dice.choice(of), confirm='yes')

    # A gate

    def do_gate(self, unit: str) -> str:
        """Shut a unit's gate some times; it is open in between."""
        self.waits.add('nothing wakes a unit whose gate was shut, when it opens')
        when = self.model.now
        for _ in range(self.dice.choice([1, 1, 2, 4])):
            self.model.at(when, lambda: self._shuts(unit, True))
            when += self.dice.uniform(2, 90)
            self.model.at(when, lambda: self._shuts(unit, False))
            when += self.dice.uniform(0.5, 30)
        return 'the gate of {} shuts'.format(unit)

    def _shuts(self, unit: str, shut: bool) -> None:
        if unit in self.model.units:
            path = self.model._charm_dir(unit) / GATE
            if shut and path.parent.exists() and self.gates:
                path.write_text('')
            elif not shut and path.exists():
                path.unlink()

    gates = True
    _known = 0  # how many events the operator has seen

    # When all is calm

    def opens_gates(self) -> None:
        self.gates = False
        for unit in self.model.units:
            self._shuts(unit, False)

    def frees_unnamed(self) -> None:
        """Let an operator free each unit of which nobody can tell that it is gone."""
        ledger, leader = self.account.word.ledger, self.model.controller.leader
        with_tickets = {ticket.unit for ticket in ledger.tickets} if ledger and leader else set()
        left = self.account.leavers if self.kind.subordinate else set()
        units = self.model.controller.units
        unread = {unit for unit in left if unit in self.account.spoilt or not units[unit].entered_scope}
        for unit in sorted((self.unnamed | unread) & with_tickets):
            self.model.note('calm:', 'an operator frees {}'.format(unit))
            self.model.run_action(leader, 'coordinator-free', format='json', unit=unit, confirm='yes')
            self.model.run()

    def resumes(self) -> None:
        """Let an operator end each pause that stands, until none does, and repeat an order that failed."""
        for _ in range(4):
            locks = {pause.lock for pause in self.account.word.standing(PAUSE)}
            if any(NO_ANSWER.format('') in event.text for event in self.model.history[self._known :]):
                locks.add('')
            if not locks:
                return
            self._known = len(self.model.history)
            self.model.note('calm:', 'an operator resumes')
            for lock in locks:
                self._resumes(lock)
            self.model.run()
