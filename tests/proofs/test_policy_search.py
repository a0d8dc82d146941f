"""Every history of a small world in which a policy decides on the leader.

As tests/proofs/test_histories.py, over the same protocol code: never two at work
where the policy wants one, and calm weather serves every request from
anywhere. The policy is asked in the hook in which the leader releases its own
lock, which is why a ticket names those it waits for (`after`).
"""

import inspect
import textwrap

import pytest
from charms.layer.coordinator import protocol, rules
from charms.layer.coordinator.policy import Policy

from tests.proofs.smallworld import Kind

pytest.importorskip('numpy', reason='the search is written with numpy, which this environment has not')
from tests.proofs.search import Search


def first_where_nobody_holds_it(question):
    return question.queue[0] == question.unit and not question.granted


def first_where_nobody_else_holds_anything(question):
    holders = {unit for unit, locks in question.grants.items() if locks}
    return holders <= {question.unit} and question.queue[0] == question.unit


ONE_LOCK = {'policy': Policy(per_lock=True, decide=first_where_nobody_holds_it)}
TWO_LOCKS = {
    'policy': Policy(per_lock=True, decide=first_where_nobody_else_holds_anything),
    'locks': ('a', 'b'),
    'exclusive': True,
}
TOLD = {'policy': ONE_LOCK['policy']._replace(tells=True)}
both = pytest.mark.parametrize('juju', [3, 4])


@pytest.fixture(autouse=True)
def claims_tell_no_token(monkeypatch):
    """Whose token a claim tells last makes a world no other one: nobody decides by it here."""
    released = rules.released
    monkeypatch.setattr(rules, 'released', lambda claim, token=0: released(claim)._replace(token=0))


@both
def test_a_policy_of_one_at_a_time_never_has_two_and_serves_all(juju):
    found = Search(Kind(juju=juju, asks=2, **ONE_LOCK)).run()

    print(found)
    assert not found.fault, str(found)
    assert found.worlds > 100000


@both
def test_a_policy_that_looks_at_two_locks_never_has_two_and_serves_all(juju):
    found = Search(Kind(juju=juju, **TWO_LOCKS)).run()

    print(found)
    assert not found.fault, str(found)


@both
@pytest.mark.parametrize('kind', [{'fine': True}, {'releases': True, 'keeps': True}, {'forgets': True}])
def test_nor_where_units_come_between_release_early_or_forget(juju, kind):
    found = Search(Kind(juju=juju, **ONE_LOCK, **kind)).run()

    print(found)
    assert not found.fault, str(found)


@both
def test_nor_where_every_release_is_told(juju):
    found = Search(Kind(juju=juju, **TOLD)).run()

    print(found)
    assert not found.fault, str(found)


BROKEN = [
    pytest.param(
        3, ONE_LOCK, 'hold one lock', rules, '_unsettled', 'or finished(ticket, claims)', '',
        id='the ticket does not wait for the leader, whose hook may fail',
    ),
    pytest.param(
        3, TWO_LOCKS, 'hold one lock', rules, '_unsettled', 'if ticket.unit != unit',
        'if ticket.unit != unit and ticket.queue == "a"',
        id='it waits for those of one lock only',
    ),
    pytest.param(
        3, ONE_LOCK, 'hold one lock', rules, 'question',
        'for holder in held if lock in held[holder]', 'for holder in ()',
        id='the policy is not told what is granted',
    ),
    pytest.param(
        3, {**ONE_LOCK, 'asks': 1}, 'waiting for ever', protocol, '_news_for_policy',
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

    found = Search(Kind(**{'juju': juju, 'asks': 2, **kind})).run(most=1000000, only=fault)

    print(found)
    assert fault in found.fault, str(found)
