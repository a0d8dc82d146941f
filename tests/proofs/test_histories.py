"""Every history of a small world: every promise holds in every world, and calm weather serves every request.

A failure prints the shortest history that breaks the promise. The search runs
the layer's own protocol.py: smallworld.py says what a step is and what is
promised, search.py how worlds are visited, worlds.py which worlds there are.
"""

import inspect
import textwrap

import pytest
from charms.layer.coordinator import protocol, rules

from tests.proofs.smallworld import Kind
from tests.proofs.worlds import WORLDS


def search(kind):
    from tests.proofs.search import Search  # needs numpy, which not every Python of `make test` has

    return Search(kind)


def worlds(quick):
    return [name for name, world in WORLDS.items() if world.quick is quick and not world.limit]


def check(name):
    found = search(WORLDS[name].kind).run()

    print(found)
    assert not found.fault, str(found)
    assert found.worlds > 10000


@pytest.mark.parametrize('name', worlds(quick=True))
def test_a_small_world_keeps_every_promise(name):
    check(name)


@pytest.mark.long
@pytest.mark.parametrize('name', worlds(quick=False))
def test_a_larger_world_keeps_every_promise(name):
    check(name)


def limits(quick):
    return [name for name, world in WORLDS.items() if world.quick is quick and world.limit]


def check_limit(name):
    found = search(WORLDS[name].kind).run(only=WORLDS[name].limit)

    print(found)
    assert WORLDS[name].limit in found.fault, str(found)
    return found


@pytest.mark.parametrize('name', limits(quick=True))
def test_a_known_limit_is_what_it_is_said_to_be(name):
    check_limit(name)


@pytest.mark.long
@pytest.mark.parametrize('name', limits(quick=False))
def test_a_known_limit_that_takes_longer_is_what_it_is_said_to_be(name):
    check_limit(name)


def test_on_juju_4_it_takes_leadership_that_leaves_and_returns_within_one_hook():
    """README, limits."""
    found = check_limit('aba-4')

    assert [step for step in found.history if step.startswith('elect')] == ['elect app/1', 'elect app/0']


# Each rule of the protocol, broken on purpose: the search must tell of it, in these words.

TWO = 'hold one lock'
NOTHING_RELEASED = 'has released nothing'
NO_TICKET = 'works without an unfinished ticket'

BROKEN = [
    pytest.param(
        {}, TWO, rules, 'finished',
        'claims.get((ticket.unit, ticket.queue), NO_CLAIM).done >= ticket.ask',
        '(ticket.unit, ticket.queue) not in claims or claims[ticket.unit, ticket.queue].done >= ticket.ask',
        id='rule 2: absence of data counts as a release',
    ),
    pytest.param(
        {}, TWO, rules, 'appended',
        'return Ledger(token, standing + tuple(added))',
        'return Ledger(token, tuple(added) + standing)',
        id='rule 2: the leader reorders',
    ),
    pytest.param(
        {}, TWO, protocol, '_take_turns',
        'len(rules.ahead(hook.ledger, ticket, hook.claims)) < ticket.slots',
        'len(rules.ahead(hook.ledger, ticket, hook.claims)) <= ticket.slots',
        id='rule 3: one slot too many',
    ),
    pytest.param(
        {'locks': ('a', 'b'), 'asks': 2}, TWO, rules, 'ticket_of',
        'ticket.unit, ticket.queue, ticket.ask',
        'unit, ticket.queue, ticket.ask',
        id='rule 3: a ticket of another unit counts as its own',
    ),
    pytest.param(
        {'juju': 4}, TWO, protocol, '_append',
        'if port.durable_at_once:',
        'if True:',
        id='rule 5: a ticket is used before it is durable',
    ),
    pytest.param(
        {'juju': 4}, NO_TICKET, protocol, '_append',
        'if port.durable_at_once:',
        'if True:',
        id='rule 5: it is used before it is durable, and is in no ledger',
    ),
    pytest.param(
        {'aba': True}, TWO, protocol, '_append',
        'port.fresh_ledger()',
        'port.ledger()',
        id='rule 7: decided from what the hook read at its start',
    ),
    pytest.param(
        {'releases': True, 'asks': 2}, TWO, protocol, '_grown',
        'else hook.committed',
        'else claims',
        id='rule 9: the release of a hook that has not succeeded counts',
    ),
    pytest.param(
        {'releases': True}, NOTHING_RELEASED, protocol, '_grown',
        'else hook.committed',
        'else claims',
        id='rule 9: what a hook did that has not succeeded drops a ticket',
    ),
    pytest.param(
        {'tokens': 7}, 'was used by', rules, 'appended',
        'return Ledger(token, standing + tuple(added))',
        'return Ledger(ledger.token, standing + tuple(added))',
        id='a token is used twice',
    ),
    pytest.param(
        {'tokens': 7}, 'after token', rules, 'appended',
        'tuple(added))',
        'tuple(ticket._replace(token=token - place) for place, ticket in enumerate(added)))',
        id='tokens fall',
    ),
    pytest.param(
        {'removals': 1}, NOTHING_RELEASED, protocol, '_gone',
        'return _gone_among(port, blocking)',
        'return frozenset(blocking & {hook.occasion.departed})',
        id='gone: relation-departed ran, and the leaver is still in its hook',
    ),
    pytest.param(
        {'newcomer': True, 'subordinate': True}, NOTHING_RELEASED, protocol, '_gone',
        'return _gone_among(port, blocking)',
        'return frozenset(blocking - port.everybody())',
        id='gone: missing from the relation-list of a new leader',
    ),
    pytest.param(
        {'removals': 1, 'juju': 4}, 'waiting for ever', protocol, '_gone',
        'return _gone_among(port, blocking)',
        'return frozenset(blocking & {hook.occasion.departed})',
        id='gone: relation-departed ran, which on Juju 4 it never does',
    ),
    pytest.param(
        {}, 'waiting for ever', protocol, '_lead',
        'occasion.look_around or not hook.local.led',
        'occasion.look_around',
        id='a new leader does not hear everybody',
    ),
]  # fmt: skip


@pytest.mark.parametrize('kind, words, module, function, good, bad', BROKEN)
def test_the_search_tells_of_a_broken_rule(monkeypatch, kind, words, module, function, good, bad):
    source = textwrap.dedent(inspect.getsource(getattr(module, function)))
    assert good in source
    spoilt = dict(vars(module))
    exec(source.replace(good, bad), spoilt)
    monkeypatch.setattr(module, function, spoilt[function])

    found = search(Kind(**kind)).run(most=2000000, only=words)

    print(found)
    assert words in found.fault, str(found)


# The search itself


@pytest.mark.parametrize(
    'kind', [Kind(juju=4, asks=2), Kind(removals=1), Kind(newcomer=True), Kind(fine=True)]
)
def test_worlds_move_on_by_table_exactly_as_they_do_one_by_one(kind):
    numpy = pytest.importorskip('numpy')
    searched = search(kind)
    frontier = searched.start
    for _ in range(9):
        by_table = set(searched.after(frontier).tolist())
        one_by_one = set()
        for world in frontier:
            one_by_one |= {searched.number(after) for _, after in searched.steps(searched.told(world))}
        assert one_by_one == by_table
        frontier = numpy.array(sorted(by_table)[:300], dtype=numpy.uint64)


def test_of_worlds_that_differ_in_who_is_who_one_is_visited_and_none_is_missed():
    from tests.proofs.search import distinct

    kind = Kind(anytime=True, symmetric=True)
    reduced, whole = search(kind), search(kind)
    names, whole.names = whole.names, whole.names[:1]

    assert not reduced.run().fault
    assert not whole.run().fault

    whole.names = names
    assert len(reduced.visited) == len(distinct(whole.least(whole.visited.whole())))
    assert len(reduced.visited) < 0.6 * len(whole.visited)
