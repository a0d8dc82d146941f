"""What a hook costs in hook-tool calls of the layer, logging aside: section 7 of the design, at two sizes."""

from collections import defaultdict

import bench
import pytest
from conftest import machine
from jujusim.juju import Juju
from watch import Watch

SIZES = (3, 5)
both = pytest.mark.parametrize('juju', [3, 4])

HEARS_EVERYBODY = ('update-status', 'leader-elected')
"""Hooks in which the leader may read every unit once."""


def by_lock(calls):
    return [tool for tool, lock_made_it in calls if lock_made_it]


@pytest.fixture(scope='module')
def rolled(example):
    """Returns the model and the watch of one calm rolling restart; each kind of roll runs once."""
    rolls = {}

    def roll(units, juju):
        if (units, juju) not in rolls:
            made = Juju(example, units=units, juju=juju, machine=machine, config={'memory': 1})
            made.run()
            watch = Watch(made)
            made.configure(memory=2)
            made.run()
            watch.check()
            assert len(watch.turns) == units
            rolls[units, juju] = made, watch, len(made.costs)
        return rolls[units, juju]

    yield roll
    for made, _, _ in rolls.values():
        made.close()


def dearest(made, since, until):
    """Return the dearest hooks: of the leader, of the others, and the rarer ones that write the ledger."""
    found = defaultdict(list)
    for unit, title, calls in made.costs[since:until]:
        tools = by_lock(calls)
        writes = tools.count('is-leader') > 1
        kind = 'writes the ledger' if writes else 'leads' if unit == made.controller.leader else 'other'
        if title not in HEARS_EVERYBODY:
            found[kind].append(len(tools))
    return {kind: max(counts) for kind, counts in found.items()}


@both
def test_a_hook_costs_no_more_with_more_units(rolled, juju):
    costs = []
    for units in SIZES:
        made, watch, end = rolled(units, juju)
        costs.append(dearest(made, watch.hooks_before, end))

    assert costs[0] == costs[1]
    assert costs[1]['other'] <= 6
    assert costs[1]['leads'] <= 6
    assert costs[1]['writes the ledger'] <= 6 + 6  # with its checks, its fresh read and the read back


@both
def test_where_nothing_is_asked_a_hook_costs_at_most_one_call_and_says_nothing(rolled, juju):
    for units in SIZES:
        made, _, _ = rolled(units, juju)
        made.run(seconds=400)  # an update-status: by then every claim is known to be published
        since, logged = len(made.costs), len(made.logs)

        made.run(seconds=400)

        idle = [by_lock(calls) for unit, _, calls in made.costs[since:] if unit != made.controller.leader]
        assert idle and all(tools == ['is-leader'] for tools in idle)
        assert not [text for _, _, _, text in made.logs[logged:] if text.startswith('coordinator: ')]


@both
def test_the_ledger_is_written_rarely(rolled, juju):
    for units in SIZES:
        assert rolled(units, juju)[1].ledger_writes <= 6


def test_the_layer_asks_less_of_juju_than_charmhelpers_does():
    ours, theirs = (bench.price(lock, units=3, seed=1) for lock in bench.CHARMS)

    assert ours.served == theirs.served == 3
    assert ours.most_at_work == 1
    assert ours.lock_calls * 2 < theirs.lock_calls
