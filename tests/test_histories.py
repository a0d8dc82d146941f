"""Every history of a small world: never two holders, and calm weather serves every request from anywhere.

A failure prints the shortest history that breaks the promise. The search runs
the layer's own protocol.py; see tests/smallworld.py for what a step is.
"""

import inspect
import textwrap

import pytest
from charms.layer.coordinator import protocol, rules
from smallworld import Rules, Search

both = pytest.mark.parametrize('juju', [3, 4])
LONG = pytest.mark.long  # what `make test` leaves to `make search`
long_on_3 = pytest.mark.parametrize('juju', [pytest.param(3, marks=LONG), 4])
long_on_4 = pytest.mark.parametrize('juju', [3, pytest.param(4, marks=LONG)])


@both
def test_two_units_asking_twice_never_hold_together_and_are_always_served(juju):
    found = Search(Rules(juju=juju), units=2, asks=2).run()

    assert not found.fault, str(found)
    assert found.worlds > 1000000


@long_on_4
def test_nobody_slips_between_the_steps_of_a_leaders_write(juju):
    found = Search(Rules(juju=juju, fine=True), units=2, asks=1).run()

    assert not found.fault, str(found)
    assert found.worlds > 500000


@long_on_3
def test_releasing_early_keeping_and_asking_again_free_nothing_too_soon(juju):
    found = Search(Rules(juju=juju, releases=True, again=True), units=2, asks=1).run()

    assert not found.fault, str(found)


@long_on_4
def test_a_unit_that_loses_its_local_store_frees_and_loses_nothing(juju):
    found = Search(Rules(juju=juju, forgets=True), units=2, asks=1).run()

    assert not found.fault, str(found)


def test_on_leader_settings_leadership_may_leave_and_return_within_a_hook():
    """But not between the read and the write of one ledger: see the known limits in README."""
    found = Search(Rules(juju=3, aba=True), units=2, asks=1).run()

    assert not found.fault, str(found)


# Each rule of the protocol, broken on purpose: the search must tell of it.

BROKEN = [
    pytest.param(
        3, {}, rules, 'finished',
        'claims.get((ticket.unit, ticket.queue), NO_CLAIM).done >= ticket.ask',
        '(ticket.unit, ticket.queue) not in claims or claims[ticket.unit, ticket.queue].done >= ticket.ask',
        id='rule 2: absence of data counts as a release',
    ),
    pytest.param(
        3, {}, rules, 'appended',
        'return Ledger(token, standing + tuple(added))',
        'return Ledger(token, tuple(added) + standing)',
        id='rule 2: the leader reorders',
    ),
    pytest.param(
        3, {}, protocol, '_take_turns',
        'len(rules.ahead(hook.ledger, ticket, hook.claims)) < ticket.slots',
        'len(rules.ahead(hook.ledger, ticket, hook.claims)) <= ticket.slots',
        id='rule 3: one slot too many',
    ),
    pytest.param(
        4, {}, protocol, '_append',
        'if port.durable_at_once:',
        'if True:',
        id='rule 5: a ticket is used before it is durable',
    ),
    pytest.param(
        3, {'aba': True}, protocol, '_append',
        'port.fresh_ledger()',
        'port.ledger()',
        id='rule 7: decided from what the hook read at its start',
    ),
    pytest.param(
        3, {'releases': True}, protocol, '_append',
        'hook.committed, slots',
        'hook.claims, slots',
        id='rule 9: the release of a hook that has not succeeded counts',
    ),
]  # fmt: skip


@pytest.mark.parametrize('juju, kind, module, function, good, bad', BROKEN)
def test_the_search_tells_of_a_broken_rule(monkeypatch, juju, kind, module, function, good, bad):
    source = textwrap.dedent(inspect.getsource(getattr(module, function)))
    assert good in source
    spoilt = dict(vars(module))
    exec(source.replace(good, bad), spoilt)
    monkeypatch.setattr(module, function, spoilt[function])

    found = Search(Rules(juju=juju, **kind), units=2, asks=2).run(most=2000000)

    print(found)
    assert 'hold one lock' in found.fault


def test_the_known_limit_is_what_it_is_said_to_be():
    """README, limits: on Juju 4 an agent that loses and regains leadership within one hook."""
    found = Search(Rules(juju=4, aba=True), units=2, asks=2).run()

    assert 'hold one lock' in found.fault, str(found)
    assert sum(step.startswith('elect') for step in found.history) >= 2
