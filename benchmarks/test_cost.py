"""What the layer costs, in hooks, hook-tool calls (logging aside), ledger writes and virtual time."""

from collections import Counter, defaultdict

import pytest
from charms.layer.coordinator import protocol, rules, wire
from charms.layer.coordinator.policy import Policy

from benchmarks import bench
from jujusim.juju import Juju
from tests.deploy import machine
from tests.watch import Watch

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
            made = Juju(example, units=units, juju=juju, machine=machine, config={'memory': 1}, quick=True)
            made.run()
            made.configure(memory=2)  # the first roll makes the ledger; the next is measured
            made.run()
            watch = Watch(made)
            watch.writes_before = {name: unit.writes for name, unit in made.controller.units.items()}
            made.configure(memory=3)
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
    ours, theirs = (bench.price(lock, units=3, seed=1, quick=True) for lock in bench.CHARMS)

    assert ours.served == theirs.served == 3
    assert ours.most_at_work == 1
    assert ours.lock_calls * 2 < theirs.lock_calls


@both
def test_a_unit_writes_its_claim_twice_in_a_roll_once_to_ask_and_once_to_release(rolled, juju):
    for units in SIZES:
        made, watch, _ = rolled(units, juju)

        written = {
            name: unit.writes - watch.writes_before[name] for name, unit in made.controller.units.items()
        }

        leaders = 1 if juju == 3 else 2  # on leader settings it asks and releases in one hook
        assert sorted(written.values()) == [leaders] + [2] * (units - 1)


@both
def test_a_roll_has_no_hooks_but_those_of_config_of_claims_and_of_the_ledger(rolled, juju):
    for units in SIZES:
        made, watch, end = rolled(units, juju)
        titles = [title for _, title, _ in made.costs[watch.hooks_before : end] if title != 'update-status']
        by_the_ledger = watch.ledger_writes * (units if juju == 4 else units - 1)

        # Fewer where Juju makes one hook of two changes, and where the leader asks and releases in one hook.
        assert len(titles) <= bench.floor_hooks(units) + units + by_the_ledger


@both
@pytest.mark.parametrize('place', [0, 2, 4])
def test_turns_follow_one_another_within_a_hook_wherever_the_leader_stands_in_the_queue(place, juju):
    for seed in (1, 2):
        cost, found = bench.leader_at(place, units=5, seed=seed, juju=juju, quick=True)

        assert (found, cost.served, cost.most_at_work) == (place, 5, 1)
        assert cost.duration_over_floor <= 1.05


# A thousand units


class Paper:
    """Juju on paper: what a hook says is committed at its end; every call of the port is counted."""

    durable_at_once = True

    def __init__(self, units):
        self.leader, self.unit = units[0], units[0]
        self.databags = {unit: {} for unit in units}
        self.stores, self.texts, self.calls = {}, [], Counter()
        self.known, self.served = None, []

    def hook(self, unit, news='', ask='', release=False):
        """Run one hook; return what it came to, with its calls counted anew."""
        self.unit, self.said = unit, None
        self.calls.clear()
        hook = protocol.begin(self, protocol.Occasion(unit, news=news), Policy())
        if ask:
            hook = protocol.request(self, hook, 'restart', ask)
        if release:
            hook = protocol.end(self, hook, frozenset(), frozenset(), '')
        if self.said is not None:
            self.databags[unit] = self.said
        return hook

    def unfinished(self):
        """Return the units that have a ticket and have not said that they are done, in order."""
        return [
            ticket.unit for ticket in self.known.tickets if self.databags[ticket.unit][''].done < ticket.ask
        ]

    def serve_next(self):
        """Let the next in the queue have its turn, and the leader hear of it."""
        holder = self.unfinished()[0]
        # Each release woke the holder, which a fake need not do a million times.
        heard = tuple(((unit, ''), rules.Claim(1, 1)) for unit in self.served)
        self.stores[holder] = self.stores[holder]._replace(peers=heard)
        own = self.hook(holder, release=True).own['']
        assert own.done == own.asked == 1, '{} is next and does not hold'.format(holder)
        self.served.append(holder)
        self.hook(self.leader, news=holder)

    def old_requests(self):
        return ()

    def old_units(self):
        return frozenset()

    def is_leader(self):
        self.calls['is-leader'] += 1
        return self.unit == self.leader

    def load(self):
        return self.stores.get(self.unit)

    def save(self, local):
        self.stores[self.unit] = local

    def published(self):
        return self.claims_of(self.unit)

    def publish(self, own):
        self.calls['relation-set'] += 1
        self.said = dict(own)

    def claims_of(self, unit):
        self.calls['relation-get'] += 1
        return dict(self.databags[unit])

    def everybody(self):
        return frozenset(self.databags) - {self.unit}

    def living(self):
        return frozenset(self.databags)

    def unit_count(self):
        return len(self.databags)

    def ledger(self):
        self.calls['leader-get'] += 1
        return self.known

    fresh_ledger = ledger

    def write_ledger(self, ledger):
        self.texts.append(wire.ledger_text(ledger))
        self.known, problems = wire.ledger(self.texts[-1], 'paper')
        assert not problems


def queue_of(units, name='kubernetes-control-plane'):
    """Return a Juju where so many units asked, the first was served, and all others have tickets."""
    juju = Paper(['{}/{}'.format(name, number) for number in range(units + 1)])
    for number, unit in enumerate(sorted(juju.databags)):
        if unit != juju.leader:
            juju.hook(unit, ask='{:06}'.format(number))
            juju.hook(juju.leader, news=unit)
    juju.serve_next()  # with that, all that are known get their tickets
    return juju


@pytest.fixture(scope='module')
def thousand():
    return queue_of(1000)


def test_a_waiting_unit_makes_the_same_calls_behind_a_thousand_tickets_as_behind_three(thousand):
    costs = []
    for juju in (queue_of(3), thousand):
        waiting, someone = juju.known.tickets[-1].unit, juju.known.tickets[-2].unit
        juju.hook(waiting, news=someone)  # its own claim is seen to be published
        assert not juju.hook(waiting, news=someone).turns
        costs.append(dict(juju.calls))

    assert costs[0] == costs[1] == {'is-leader': 1, 'leader-get': 1, 'relation-get': 1}


def test_a_leader_makes_the_same_calls_with_a_thousand_waiting_as_with_three(thousand):
    costs = []
    for juju in (queue_of(3), thousand):
        juju.hook(juju.leader, news=juju.known.tickets[-1].unit)
        costs.append(dict(juju.calls))

    assert costs[0] == costs[1] == {'is-leader': 1, 'relation-get': 1, 'leader-get': 1}


def test_a_thousand_units_are_served_in_order_after_a_few_writes_that_a_command_line_can_take():
    juju = queue_of(1000)

    while juju.unfinished():
        juju.serve_next()

    assert juju.served == sorted(set(juju.databags) - {juju.leader})
    assert len(juju.texts) <= 6
    assert max(len('coordinator-ledger=' + text) for text in juju.texts) < 128 * 1024


def test_requests_beyond_a_full_ledger_get_their_tickets_once_there_is_room():
    asking = rules.asked_for(rules.NO_CLAIM, 'restart', '2026-01-01')
    said = {('kubernetes-control-plane/{}'.format(1000 + n), ''): asking for n in range(3000)}
    full = rules.appended(rules.Ledger(), said, said, 1)
    last = full.tickets[-1]
    done = {(ticket.unit, ''): rules.released(asking) for ticket in full.tickets[:-1]}

    later = rules.appended(full, {**said, **done}, {**said, **done}, 1)

    in_order = [unit for unit, _ in sorted(said)]
    assert 1000 < len(full.tickets) < 2000
    assert [ticket.unit for ticket in later.tickets] == in_order[len(full.tickets) - 1 :][
        : len(later.tickets)
    ]
    assert later.tickets[0] == last and len(later.tickets) > 1000
    assert max(len(wire.ledger_text(ledger)) for ledger in (full, later)) <= rules.MAX_BYTES
