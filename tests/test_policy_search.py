"""Every history of a small world in which a policy decides on the leader.

As tests/test_histories.py, over the same protocol code: never two at work
where the policy wants one, and calm weather serves every request from
anywhere. The policy is asked in the hook in which the leader releases its own
lock, which is why a ticket names those it waits for (`after`).
"""

import inspect
import textwrap

import pytest
import smallworld
from charms.layer.coordinator import protocol, rules
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.rules import Ledger
from smallworld import Rules, Search


def first_where_nobody_holds_it(question):
    return question.queue[0] == question.unit and not question.granted


def first_where_nobody_else_holds_anything(question):
    holders = {unit for unit, locks in question.grants.items() if locks}
    return holders <= {question.unit} and question.queue[0] == question.unit


ONE_LOCK = {'policy': Policy(per_lock=True, decide=first_where_nobody_holds_it)}
TWO_LOCKS = {
    'policy': Policy(per_lock=True, decide=first_where_nobody_else_holds_anything),
    'locks': ('a', 'b'),
}
TOLD = {'policy': ONE_LOCK['policy']._replace(tells=True)}
both = pytest.mark.parametrize('juju', [3, 4])


def _numbered_anew(ledger):
    """Return the ledger with tokens 1, 2, 3 …: what counts of them here is which ticket names which."""
    places = {ticket.token: place for place, ticket in enumerate(ledger.tickets, 1)}
    tickets = tuple(
        ticket._replace(
            token=places[ticket.token],
            after=ticket.after and tuple(places[token] for token in ticket.after if token in places),
        )
        for ticket in ledger.tickets
    )
    return Ledger(len(tickets), tickets)


@pytest.fixture(autouse=True)
def tokens_count(monkeypatch):
    monkeypatch.setattr(smallworld, '_without_tokens', _numbered_anew)
    released = rules.released
    # Whose token a claim tells last makes a world no other one: nobody decides by it here.
    monkeypatch.setattr(rules, 'released', lambda claim, token=0: released(claim)._replace(token=0))


@both
def test_a_policy_of_one_at_a_time_never_has_two_and_serves_all(juju):
    found = Search(Rules(juju=juju, **ONE_LOCK), units=2, asks=2).run()

    print(found)
    assert not found.fault, str(found)
    assert found.worlds > 100000


@both
def test_a_policy_that_looks_at_two_locks_never_has_two_and_serves_all(juju):
    found = Search(Rules(juju=juju, **TWO_LOCKS), units=2, asks=1).run()

    print(found)
    assert not found.fault, str(found)


@both
@pytest.mark.parametrize('kind', [{'fine': True}, {'releases': True, 'again': True}, {'forgets': True}])
def test_nor_where_units_come_between_release_early_or_forget(juju, kind):
    found = Search(Rules(juju=juju, **ONE_LOCK, **kind), units=2, asks=1).run()

    print(found)
    assert not found.fault, str(found)


@both
def test_nor_where_every_release_is_told(juju):
    found = Search(Rules(juju=juju, **TOLD), units=2, asks=1).run()

    print(found)
    assert not found.fault, str(found)


BROKEN = [
    pytest.param(
        3, ONE_LOCK, 'hold', rules, '_unsettled', 'or finished(ticket, claims)', '',
        id='the ticket does not wait for the leader, whose hook may fail',
    ),
    pytest.param(
        3, TWO_LOCKS, 'hold', rules, '_unsettled', 'if ticket.unit != unit',
        'if ticket.unit != unit and ticket.queue == "a"',
        id='it waits for those of one lock only',
    ),
    pytest.param(
        3, ONE_LOCK, 'hold', rules, 'question',
        'for holder in held if lock in held[holder]', 'for holder in ()',
        id='the policy is not told what is granted',
    ),
    pytest.param(
        3, ONE_LOCK, 'waits for ever', protocol, '_news_for_policy',
        'return hook.leading and', 'return False and',
        id='the policy is not asked when the leader releases',
    ),
]  # fmt: skip


@pytest.mark.parametrize('juju, kind, fault, module, function, good, bad', BROKEN)
def test_the_search_tells_of_a_broken_rule(monkeypatch, juju, kind, fault, module, function, good, bad):
    source = textwrap.dedent(inspect.getsource(getattr(module, function)))
    assert good in source
    spoilt = dict(vars(module))
    exec(source.replace(good, bad), spoilt)
    monkeypatch.setattr(module, function, spoilt[function])

    found = Search(Rules(juju=juju, **kind), units=2, asks=2).run(most=1000000)

    print(found)
    assert fault in found.fault, str(found)
