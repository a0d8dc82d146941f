"""What goes wrong in a history, and when: a table of strokes, each of which can be chosen alone.

A stroke is told in the story as 'bad luck'. What it excuses is said to the account there and then; what it
only delays until an update-status is a reason in `BadLuck.waits`, and docs/limits.md says why.
"""

import random
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from jujusim.juju import Event, Juju
from tests.campaigns import plans
from tests.campaigns.account import Account
from tests.campaigns.operating import Operating
from tests.campaigns.strokes import Strokes


class Stroke(NamedTuple):
    """One kind of bad luck.

    Args:
        weight: how often it is chosen, beside the others.
        ours: whether it makes sense with this project's layer only.
        juju: the one Juju on which it can happen, 0 for both.
    """

    weight: int = 2
    ours: bool = True
    juju: int = 0


STROKES = {
    # What happens whatever code a unit runs
    'leader': Stroke(6, ours=False),
    'cut': Stroke(2, ours=False),
    'crash': Stroke(4, ours=False),
    'kill': Stroke(4, ours=False),
    'fail': Stroke(3, ours=False),
    'fail-work': Stroke(3, ours=False),
    'lose-commit': Stroke(2, ours=False),
    'repeat-commit': Stroke(2, ours=False),
    'add': Stroke(2, ours=False),
    'remove': Stroke(2, ours=False),
    'lose': Stroke(2, ours=False),
    'upgrade': Stroke(2, ours=False),
    # What it never had
    'action': Stroke(4),
    'exec': Stroke(4),
    'resolve': Stroke(3),
    'agent': Stroke(3),
    'restart': Stroke(1),
    'reboot': Stroke(2),
    'kill-child': Stroke(2),
    'return': Stroke(3),
    'late': Stroke(2),
    'debug': Stroke(3),
    'collect': Stroke(1, juju=3),
    'reuse': Stroke(2),
    'relation-id': Stroke(1),
    'migrate': Stroke(3, juju=3),
    'refresh': Stroke(2),
    'poison': Stroke(2),
    'databag': Stroke(2),
    'store': Stroke(2),
    'flags': Stroke(1),
    'store-and-databag': Stroke(1),
    'ledger-mark': Stroke(1),
    'ledger-lost': Stroke(1),
    'new-leader': Stroke(2),
    'tool': Stroke(3),
    'tool-for-ever': Stroke(1),
    # What an operator orders, and a gate that shuts
    'roll': Stroke(4),
    'pause': Stroke(3),
    'resume': Stroke(1),
    'cancel': Stroke(2),
    'free': Stroke(2),
    'gate': Stroke(2),
}  # fmt: skip


def chosen(lock: str, juju: int, only: Tuple[str, ...]) -> List[str]:
    """Return the strokes of a history, each as often as its weight; `only` those, if any are named."""
    names = [
        name
        for name, stroke in STROKES.items()
        if (lock == plans.OURS or not stroke.ours) and stroke.juju in (0, juju) and (not only or name in only)
    ]
    return [name for name in names for _ in range(STROKES[name].weight)]


AWAY = ('is cut off', 'loses its agent', 'is lost', 'reboots')
"""Then no juju-exec can begin on the unit."""


class BadLuck(Operating, Strokes):
    """Makes things go wrong in one model, at times that its dice choose.

    Attributes:
        happened: what has gone wrong, in order.
    """

    def __init__(self, model: Juju, kind: Any, account: Account) -> None:
        super().__init__()
        self.model, self.kind, self.account, self.unnamed = model, kind, account, set()
        self.dice = random.Random('luck {}'.format(kind.seed))
        self.happened: List[str] = []
        self.may_strike = chosen(kind.lock, kind.juju, kind.only)
        self._strokes: Dict[str, Callable[[str], Optional[str]]] = {
            name: getattr(self, 'do_' + name.replace('-', '_')) for name in STROKES
        }
        self._leader = model.controller.leader
        self._by_hand: Dict[str, str] = {}  # how the last run ended, by unit
        account.spoilt = self.spoilt
        model.observers.append(self._see)
        model.calls_everywhere = self._at_call
        if kind.plan in plans.MAY_WAIT_FOR_UPDATE_STATUS:
            self.waits.add('nothing wakes a unit for its own sake')

    def _see(self, event: Event) -> None:
        leader = self.model.controller.leader
        if leader != self._leader:
            if leader and self.model.agents[leader].local.leads:
                self.waits.add('an agent that never knew that it did not lead: no leader-elected (R17)')
            self._leader = leader
        if self.account.word.woken_in_vain:
            self.waits.add('a wake-up that failed does not run again')
        if (event.what, event.text) == ('cannot use', 'goal-state') and not self.account.word.ledger:
            self.waits.add('a leader to which goal-state does not say which units there are')
        if event.what in AWAY and 'woken' in self.kind.plan:
            self.waits.add('a wake-up that comes while its agent is away is lost')
        if event.what == 'fails' and event.unit in self.resolved:
            retry, after_s = self.resolved.pop(event.unit)
            self.model.at(event.time + after_s, lambda: self.model.resolve(event.unit, retry=retry))
        self._see_by_hand(event)
        if event.what == 'forgets':
            self.waits.add(
                'a failed hook that counts as done, since the agent was lost in an action beside it'
            )
        if event.what == 'writes late' and event.unit in self.late:
            self.late.discard(event.unit)
            others = [name for name in self.model.units if name != event.unit]
            if others:
                self.model.elect(self.dice.choice(others), after_s=self.dice.uniform(0.01, 3))
                if self.dice.random() < 0.3:
                    self.model.elect(event.unit, after_s=self.dice.uniform(3, 30))

    def _see_by_hand(self, event: Event) -> None:
        """Note a hook that Juju counts as done, though the last run of it by hand failed."""
        if event.what == 'ran by hand':
            self._by_hand[event.unit] = event.text
        elif event.what in ('begins', 'fails'):
            self._by_hand.pop(event.unit, None)
        elif event.what == 'ends' and not self._by_hand.pop(event.unit, ': exit 0').endswith(': exit 0'):
            self.waits.add('a hook that failed by hand, and was left as if it had not')

    def _at_call(self, execution: Any, argv: List[str]) -> None:
        self.traps = [trap for trap in self.traps if not trap.springs(execution.unit)]

    def strikes(self) -> None:
        if self.model.controller.leader is None:
            self.model.elect()
        alive = [unit for unit in self.model.units if self.model.controller.units[unit].connected]
        if alive and self.may_strike:
            name = self.dice.choice(self.may_strike)
            said = self._strokes[name](self.dice.choice(alive))
            if said:
                self.happened.append(name)
                self.model.note('bad luck:', '{}: {}'.format(name, said))

    @property
    def patience(self) -> int:
        """How many rounds of update-status may pass until everybody is served."""
        return 3 if self.waits else 1

    def ends(self) -> None:
        """Let the weather calm: what was broken is mended, and what was begun is brought to its end."""
        model = self.model
        self.traps, self.late = [], set()
        if model.controller.leader is None:
            model.elect()
        for unit, tool in self.lasting_tools if self._needs_goal_state() else []:
            model.fail_tool(unit, tool, 0)
        model.retry_automatically = True
        self.opens_gates()
        for unit in sorted(self.spoilt & set(model.units)):
            model.upgrade(unit)  # a unit whose databag was spoilt tells its claims again when it is upgraded
        for unit in list(model.units):
            self.new_agent(unit)
            self.renew(unit)
            model.resolve(unit)

    def _needs_goal_state(self) -> bool:
        """Tell whether only goal-state knows which units there are (docs/limits.md).

        A unit has left; or the peer relation is another one, in which there is no ledger.
        """
        renewed = self.model.controller.relation_number > 0
        return bool(self.account.leavers) or (renewed and not self.account.word.ledger)
