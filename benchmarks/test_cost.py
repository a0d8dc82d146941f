"""What the layer costs, in hooks, hook-tool calls (logging aside), ledger writes and virtual time."""

import copy
import json
from collections import Counter, defaultdict
from functools import lru_cache

import pytest
from charms.layer.coordinator import environment, juju, rules, terms, wire
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.values import MAX_BYTES, Claim, Ledger, Record
from charms.layer.coordinator.view import Snapshot

from benchmarks import bench
from jujusim.agent import Operation
from jujusim.juju import Juju
from tests import inprocess, ledger
from tests.deploy import COUNTED, ROOT, assemble, machine
from tests.watch import Watch

SIZES = (3, 5)
both = pytest.mark.parametrize('juju', [3, 4])

HEARS_EVERYBODY = ('update-status', 'leader-elected')
"""Hooks in which the leader may read every unit once."""


def by_lock(calls):
    return [tool for tool, lock_made_it in calls if lock_made_it]


@pytest.fixture(scope='module')
def rolled(tmp_path_factory):
    """Returns the model and the watch of one calm rolling restart; each kind of roll runs once."""
    rolls = {}
    example = assemble(ROOT / 'examples' / 'rolling-db', tmp_path_factory.mktemp('charm') / 'rolling-db')

    def roll(units, juju):
        if (units, juju) not in rolls:
            made = Juju(
                example, units=units, juju=juju, machine=machine, config={'memory': 1}, quick=True,
                counted=COUNTED,
            )  # fmt: skip
            made.run()
            made.configure(memory=2)  # the first roll makes the ledger; the next is measured
            made.run()
            watch = Watch(made)
            before = {name: unit.writes for name, unit in made.controller.units.items()}
            made.configure(memory=3)
            made.run()
            watch.written = {name: made.controller.units[name].writes - before[name] for name in before}
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
    for units in SIZES:
        made, watch, end = rolled(units, juju)
        costs = dearest(made, watch.hooks_before, end)

        assert costs['other'] <= 6
        assert costs['leads'] <= 6
        assert costs['writes the ledger'] <= 6 + 6  # with its checks, its fresh read and the read back


@both
def test_where_nothing_is_asked_news_starts_no_python_and_update_status_makes_three_calls_and_says_nothing(
    rolled, juju
):
    for units in SIZES:
        made, _, _ = rolled(units, juju)
        made.run(seconds=400)  # an update-status: by then every claim is known to be published
        since, logged = len(made.costs), len(made.logs)

        leader = made.controller.leader
        made.poison(leader, 'of-another-layer', str(made.now))  # is news for all others
        made.run(seconds=400)

        idle = [(title, by_lock(calls)) for unit, title, calls in made.costs[since:] if unit != leader]
        news = 'coordinator-relation-changed ({})'.format(leader)
        assert {title for title, _ in idle} == {news, 'update-status'}
        assert all(not tools for title, tools in idle if title == news)
        ledger = 'leader-get' if juju == 3 else 'relation-get'
        assert all(tools == ['is-leader', 'relation-get', ledger] for title, tools in idle if title != news)
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
        _, watch, _ = rolled(units, juju)

        leaders = 1 if juju == 3 else 2  # on leader settings it asks and releases in one hook
        assert sorted(watch.written.values()) == [leaders] + [2] * (units - 1)


@both
def test_a_roll_has_no_hooks_but_those_of_config_of_claims_and_of_the_ledger(rolled, juju):
    for units in SIZES:
        made, watch, end = rolled(units, juju)
        titles = [title for _, title, _ in made.costs[watch.hooks_before : end] if title != 'update-status']
        by_the_ledger = watch.ledger_writes * (units if juju == 4 else units - 1)
        config = units * (2 if juju == 4 else 1)  # on 4.0.14 config-changed comes twice

        # Fewer where Juju makes one hook of two changes, and where the leader asks and releases in one hook.
        assert len(titles) <= bench.floor_hooks(units) + config + by_the_ledger


@both
@pytest.mark.parametrize('place', [0, 2, 4])
def test_turns_follow_one_another_within_a_hook_wherever_the_leader_stands_in_the_queue(place, juju):
    for seed in (1, 2):
        cost, found = bench.leader_at(place, units=5, seed=seed, juju=juju, quick=True)

        assert (found, cost.served, cost.most_at_work) == (place, 5, 1)
        assert cost.duration_over_floor <= 1.05


# A thousand units


class Port(juju.Juju):
    """The layer's own port; what a unit remembers stays a value, and each text of the ledger is parsed once.

    A thousand units read and write the same megabytes of JSON for minutes otherwise.
    """

    def __init__(self, remembered):
        super().__init__()
        self.remembered = remembered

    def load(self):
        return self.remembered.get(self.unit)

    def save(self, state):
        self.remembered[self.unit] = state
        return state

    def _terms(self, data):
        return terms_in(tuple(sorted(data.items())))


class Queue:
    """Units that each ask for one lock, in this process; only those hooks run that a test runs."""

    def __init__(self, units, folder):
        self.controller, self.leader = inprocess.application(3, units[:1]), units[0]
        self.folder, self.remembered, self.served = folder, {}, []
        self.home(self.leader).mkdir()
        self.hook(self.leader)  # makes the first ledger, while it is alone
        for unit in units[1:]:
            self.home(unit).mkdir()
            inprocess.add(self.controller, unit)

    def home(self, unit):
        return self.folder / unit.replace('/', '-')

    def hook(self, unit, news='', ask=False):
        """Run one hook, of a peer's news or of the ledger's; return its session and its calls by tool."""
        operation = Operation('leader-settings-changed')
        if news:
            operation = Operation('coordinator-relation-changed', news, with_relation=True)
        agent = inprocess.agent_of(self.controller, unit)
        with inprocess.in_hook(agent, operation, self.home(unit)) as hook:
            port = Port(self.remembered)
            session = Session(port, Snapshot(environment.context()), Policy(), port.log)
            session.look()
            session.begin()
            if ask:
                session.request('restart')
            session.end()
            session.sleep()
        hook.commit()
        return session, Counter(tool for tool in hook.calls if tool != 'juju-log')

    @property
    def ledgers(self):
        """Every ledger that was written, as key and text."""
        written = [json.loads(changes) for _, changes in self.controller.leader_writes]
        return [pair for changes in written for pair in changes.items() if pair[1] and '"tickets"' in pair[1]]

    @property
    def tickets(self):
        """The tickets in the ledger, in order."""
        return terms.newest_record(
            terms_in(tuple(sorted(self.controller.leader_settings.items())))
        ).ledger.tickets

    def unfinished(self):
        """Return the units that have a ticket and have not had their turn, in order."""
        served = set(self.served)
        return [ticket.unit for ticket in self.tickets if ticket.unit not in served]

    def serve_next(self):
        """Let the next in the queue have its turn, and the leader hear of it."""
        holder = self.unfinished()[0]
        # Each release woke the holder, which need not happen a million times here.
        lives = ((unit, self.remembered[unit].nonce) for unit in self.served)
        heard = tuple(((unit, ''), Claim(1, 1, nonce=nonce)) for unit, nonce in lives)
        self.remembered[holder] = self.remembered[holder]._replace(peers=heard)
        self.hook(holder)
        said = self.controller.units[holder].settings['coordinator-claims']
        own = dict(wire.said(said, 'here')[0].queues)['']
        assert own.done == own.asked == 1, '{} is next and does not hold'.format(holder)
        self.served.append(holder)
        self.hook(self.leader, news=holder)


@lru_cache(maxsize=4)
def terms_in(items):
    return ledger.terms_in(dict(items))


def queue_of(units, folder, name='kubernetes-control-plane'):
    """Return a queue where so many units asked, the first was served, and all others have tickets."""
    queue = Queue(['{}/{}'.format(name, number) for number in range(units + 1)], folder)
    for unit in sorted(queue.controller.units):
        if unit != queue.leader:
            queue.hook(unit, ask=True)
            queue.hook(queue.leader, news=unit)
    queue.serve_next()  # with that, all that are known get their tickets
    return queue


@pytest.fixture(scope='module')
def ten(tmp_path_factory):
    return queue_of(10, tmp_path_factory.mktemp('ten'))


@pytest.fixture(scope='module')
def thousand(tmp_path_factory):
    return queue_of(1000, tmp_path_factory.mktemp('thousand'))


def test_a_waiting_unit_makes_the_same_calls_behind_a_thousand_tickets_as_behind_ten(ten, thousand):
    costs = []
    for queue in (ten, thousand):
        waiting, someone = queue.tickets[-1].unit, queue.tickets[-2].unit
        queue.hook(waiting, news=someone)  # its own claim is seen to be published
        session, calls = queue.hook(waiting, news=someone)
        assert session.requested
        assert not session.turns
        costs.append(dict(calls))

    # The claims of the first ahead, and of the one that is heard.
    # On Juju 2.9 - 3.x it also looks whether all that it watches are still related.
    assert costs[0] == costs[1] == {'is-leader': 1, 'leader-get': 1, 'relation-get': 2, 'relation-list': 1}


def test_a_leader_makes_the_same_calls_with_a_thousand_waiting_as_with_ten(ten, thousand):
    costs = []
    for queue in (ten, thousand):
        _, calls = queue.hook(queue.leader, news=queue.tickets[-1].unit)
        costs.append(dict(calls))

    assert costs[0] == costs[1] == {'is-leader': 1, 'relation-get': 1, 'leader-get': 1, 'relation-list': 1}


def test_a_thousand_units_are_served_in_order_after_a_few_writes_that_a_command_line_can_take(thousand):
    queue = copy.deepcopy(thousand)

    while queue.unfinished():
        queue.serve_next()

    assert queue.served == sorted(set(queue.controller.units) - {queue.leader})
    assert len(queue.ledgers) <= 6
    assert max(len('{}={}'.format(*pair)) for pair in queue.ledgers) < 128 * 1024


def test_requests_beyond_a_full_ledger_get_their_tickets_once_there_is_room():
    asking = rules.asked_for(Claim(nonce='0a1b2c3d'), 'restart', '2026-01-01')
    said = {('kubernetes-control-plane/{}'.format(1000 + n), ''): asking for n in range(3000)}
    full = rules.appended(Ledger(), said, said, 1)
    last = full.tickets[-1]
    done = {(ticket.unit, ''): rules.released(asking) for ticket in full.tickets[:-1]}

    later = rules.appended(full, {**said, **done}, {**said, **done}, 1)

    in_order = [unit for unit, _ in sorted(said)]
    assert 1000 < len(full.tickets) < 2000
    assert [ticket.unit for ticket in later.tickets] == in_order[len(full.tickets) - 1 :][
        : len(later.tickets)
    ]
    assert later.tickets[0] == last
    assert len(later.tickets) > 1000
    texts = [wire.record_text(Record('0a1b2c3d', 1, 1, each)) for each in (full, later)]
    assert max(map(len, texts)) <= MAX_BYTES
