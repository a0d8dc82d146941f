"""Random refreshes from the old layer in the middle of rolls, each told again from its seed.

The old layer is played by charmhelpers.coordinator itself, in tests/charms/seed-db. Units are upgraded one by
one, in any order, while they roll, and things go wrong: hooks fail, are killed and run again, programs fail,
units come and go, and leadership moves, but only to units that run the new code: the old pair is not safe
where it moves between its own.

    PYTHONPATH=lib:. .venv/bin/python tests/campaigns/refresh.py 300       histories 1 to 300
    PYTHONPATH=lib:. .venv/bin/python tests/campaigns/refresh.py 300 301   tells history 300
"""

import json
import random
import sys
from typing import Any, List, NamedTuple, Optional, Set

from jujusim.juju import Juju, Restless
from tests.campaigns import chaos, luck, plans
from tests.campaigns.account import Account
from tests.deploy import COUNTED
from tests.ledger import newest_key

SPREAD_S = 300.0


def old_charm() -> Any:
    return plans.charm_of(plans.THEIRS, 'plain', 'per-lock')


def new_charm(options: str = 'one queue') -> Any:
    return plans.charm_of(plans.OURS, 'plain', options)


class Kinds:
    """Keeps account of which units run which code: `new` are those of which a new hook has begun."""

    def __init__(self, model: Juju, charm: Any) -> None:
        self.model, self.charm = model, charm
        self.upgraded: Set[str] = set()

    def upgrade(self, unit: str) -> None:
        """Refresh a unit; units added from now on come with the new charm."""
        self.model.charm = self.charm
        if unit in self.model.units and unit not in self.upgraded:
            self.upgraded.add(unit)
            self.model.upgrade(unit)

    def add_unit(self) -> str:
        added = self.model.add_unit()
        if self.model.charm == self.charm:
            self.upgraded.add(added)
        return added

    @property
    def old(self) -> List[str]:
        return [unit for unit in self.model.units if unit not in self.upgraded]


class Verdict(NamedTuple):
    """What came of one history: '' or the first promise that was broken, and the whole story."""

    fault: str
    hooks: int
    turns: int
    happened: List[str]
    story: str


class BadLuck(luck.BadLuck):
    """Makes things go wrong, but nothing that the old pair alone cannot bear."""

    def __init__(self, model: Juju, kind: Any, account: Account, kinds: Kinds, dice: random.Random) -> None:
        super().__init__(model, kind, account)
        self.kinds, self.dice = kinds, dice
        account.foreign = lambda unit: unit not in self.kinds.upgraded
        may_lead = model.may_lead
        model.may_lead = lambda unit: (  # type: ignore[method-assign]
            may_lead(unit) and (unit in self.kinds.upgraded or unit == model.controller.leader)
        )
        self._strokes['roll'] = self.do_roll
        self.may_strike = [
            'leader', 'leader', 'crash', 'crash', 'kill', 'kill', 'fail', 'fail-work', 'lose-commit',
            'repeat-commit', 'add', 'remove', 'roll',
        ]  # fmt: skip

    def do_leader(self, unit: str) -> Optional[str]:
        if unit not in self.kinds.upgraded or self.model.controller.leader in self.model.running:
            return None  # an old hook fails where it leads no more at its end
        return super().do_leader(unit)

    def do_fail(self, unit: str) -> Optional[str]:
        if unit not in self.kinds.upgraded or unit in self.model.running:
            return None  # as for `do_lose_commit`
        return super().do_fail(unit)

    def do_lose_commit(self, unit: str) -> Optional[str]:
        if unit not in self.kinds.upgraded or unit in self.model.running:
            return None  # of old code that is a request lost
        return super().do_lose_commit(unit)

    def do_add(self, unit: str) -> Optional[str]:
        if len(self.model.units) >= 7:
            return None
        added = self.kinds.add_unit()
        self.model.clock_skew_s[added] = self.dice.uniform(-300, 300)
        if added in self.kinds.upgraded and self.dice.random() < 0.4:
            self.model.at(self.model.now + self.dice.uniform(0.01, 5), lambda: self.do_leader(added))
            return 'a unit added that leads'
        return 'a unit added'

    def do_remove(self, unit: str) -> Optional[str]:
        staying = [each for each in self.model.units if self.model.controller.units[each].life == 'alive']
        if len(staying) < 2 or unit not in staying or unit == self.model.controller.leader:
            return None
        if unit not in self.kinds.upgraded and self._old_turn(unit):
            return None  # the old pair takes a unit that leaves for one that has left
        return super().do_remove(unit)

    def _old_turn(self, unit: str) -> bool:
        asked = self.model.controller.units[unit].settings.get('coordinator', '{}')
        grants = json.loads(self.model.controller.leader_settings.get('coordinator') or '{}')
        return bool(grants.get(unit)) or asked != '{}'

    def do_roll(self, unit: str) -> str:
        roll(self.model)
        return 'another roll'


def roll(model: Juju) -> None:
    model.configure(go=int(str(model.controller.config['go'])) + 1)


def live(seed: int) -> Verdict:
    """Live through one refresh; return what came of it."""
    dice = random.Random('refresh {}'.format(seed))
    options = dice.choice(['one queue', 'per-lock'])
    kind = chaos.kind_of(seed)._replace(
        plan='plain', juju=3, options=options, retry=True, subordinate=False,
        units=dice.choice([2, 3, 3, 4, 5]),
        work_s=dice.choice([2.0, 20.0, 60.0]),
    )  # fmt: skip
    delay_s = (0.5, 20.0) if kind.slow else None
    with Juju(
        old_charm(), units=kind.units, juju=3, seed=seed, config={'go': 0}, machine=chaos.machine(kind),
        delay_s=delay_s, update_status_s=chaos.NEVER_S, quick=True, counted=COUNTED,
    ) as model:  # fmt: skip
        for unit in model.units:
            model.clock_skew_s[unit] = dice.choice([0.0, dice.uniform(-300, 300)])
        model.run()
        model.elect(dice.choice(model.units))
        model.run()
        account, kinds = Account(model, kind), Kinds(model, new_charm(options))
        bad = BadLuck(model, kind, account, kinds, dice)
        start = model.now
        for _ in range(dice.choice([1, 1, 2])):
            model.at(start + dice.uniform(0, 60), lambda: roll(model))
        begins, gap = start + dice.uniform(0, 150), dice.choice([0.0, 5.0, 40.0])
        order = list(model.units)
        dice.shuffle(order)
        for place, unit in enumerate(order):
            model.at(begins + place * gap + dice.uniform(0, 5), lambda unit=unit: kinds.upgrade(unit))
        for _ in range(dice.choice([0, 1, 2, 3, 5, 8])):
            model.at(start + dice.uniform(0, SPREAD_S), bad.strikes)
        try:
            model.run(seconds=SPREAD_S + 40)
            _calm(model, account, kinds, bad)
        except Restless:
            account.broken('no rest within a day')
        told = 'seed {}: {} units, {}, work {:.0f} s, upgraded {} every {:.0f} s{}\n{}'.format(
            seed, kind.units, options, kind.work_s, ' '.join(order), gap, ', slow' if kind.slow else '',
            model.story(),
        )  # fmt: skip
        fault = account.faults[0] if account.faults else ''
        return Verdict(fault, len(model.costs), account.turns, bad.happened, told)


def _calm(model: Juju, account: Account, kinds: Kinds, bad: BadLuck) -> None:
    """All units run the new code, and nothing goes wrong any more. Whoever asked is served."""
    for unit in kinds.old:
        kinds.upgrade(unit)
    model.run()
    stalled = account.unserved()
    if stalled:
        for unit in model.units:
            model.update_status(unit)
        model.run()
    lost = account.unserved()
    for sentence in lost if bad.waits else stalled:
        account.broken(sentence + (' for ever' if sentence in lost else ' until an update-status'))
    settings = model.controller.leader_settings
    if account.turns and newest_key(settings) and 'coordinator' in settings:
        account.broken('the old key of leader settings is left: {}'.format(settings['coordinator']))
    for unit in model.units:
        left = model.controller.units[unit].settings.get('coordinator', '{}')
        if left != '{}':
            account.broken('the old key of {} is left: {}'.format(unit, left))


def main(words: List[str]) -> int:
    first, last = (1, int(words[0])) if len(words) == 1 else (int(words[0]), int(words[1]) - 1)
    broken, hooks, turns, happened = 0, 0, 0, 0
    for seed in range(first, last + 1):
        verdict = live(seed)
        hooks, turns = hooks + verdict.hooks, turns + verdict.turns
        happened += len(verdict.happened)
        if verdict.fault:
            broken += 1
            print('seed {}: {}'.format(seed, verdict.fault), flush=True)
        if first == last:
            print(verdict.story)
    form = '{} histories, {:,} hooks, {:,} turns, {:,} strokes of bad luck: {} broken'
    print(form.format(last - first + 1, hooks, turns, happened, broken))
    return bool(broken)


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
