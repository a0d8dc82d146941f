"""The wire: what is written is read back, and what cannot be read costs that entry alone."""

import json

import pytest
from charms.layer.coordinator import rules, wire
from charms.layer.coordinator.rules import Claim, Ledger, Ticket, UnitState
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.every_python

names = st.text(alphabet='abzAZ019-._/\'"\\ßé漢😀', min_size=1, max_size=12)
queues = st.just('') | names
counts = st.integers(0, 10**9)
claim_values = st.builds(
    lambda pair, locks, kept, token: Claim(max(pair), min(pair), tuple(sorted(locks.items())), kept, token),
    st.tuples(counts, counts),
    st.dictionaries(names, st.text(max_size=27), max_size=3),
    st.booleans(),
    st.integers(0, 2**53),
)
owns = st.dictionaries(queues, claim_values, max_size=3)
tickets = st.builds(
    Ticket,
    st.integers(1, 2**53),
    queues,
    names.map('app/{}'.format),
    st.integers(1, 10**9),
    st.integers(1, 99),
    st.just(''),
    st.none() | st.lists(st.integers(0, 2**53), max_size=3).map(tuple),
    st.text(max_size=40),
)


def ledger_of(given_tickets):
    return Ledger(max([ticket.token for ticket in given_tickets] or [0]), tuple(given_tickets))


ledgers = st.lists(tickets, max_size=5).map(ledger_of)
some_tickets = st.lists(tickets, min_size=1, max_size=5).map(ledger_of)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)  # what is no JSON: test_fuzz.py
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
rubbish = st.text(max_size=60) | anything.map(json.dumps)


@given(owns)
def test_claims_are_read_back_as_they_were_written(own):
    assert wire.claims(wire.claims_text(own), 'here') == (own, ())


@given(ledgers)
def test_a_ledger_is_read_back_as_it_was_written(ledger):
    assert wire.ledger(wire.ledger_text(ledger), 'here') == (ledger, ())


@given(owns, owns, st.booleans())
def test_what_a_unit_remembers_is_read_back_as_it_was_written(own, theirs, led):
    peers = tuple(sorted((('app/1', queue), claim) for queue, claim in theirs.items()))
    state = UnitState(tuple(sorted(own.items())), (), peers, led, not led)

    assert wire.state(json.loads(json.dumps(wire.state_value(state))), 'here') == (state, ())


@settings(max_examples=5 * settings().max_examples)
@given(rubbish)
def test_any_text_is_read_as_something_or_reported_and_never_raises(text):
    for read in (wire.claims, wire.ledger):
        found, problems = read(text, 'databag of app/3')
        assert found or problems or not text or found in ({}, None) or found == Ledger()
        assert all('databag of app/3' in told and 'expected' in told and 'found' in told for told in problems)


@given(anything)
def test_any_value_in_place_of_what_a_unit_remembers_is_reported(found):
    state, problems = wire.state(found, 'the local store')

    assert state is None
    assert problems or found is None


@settings(max_examples=3 * settings().max_examples)
@given(some_tickets, st.data(), anything)
def test_a_bad_ticket_stays_where_it_is_and_frees_nobody(ledger, data, bad):
    place = data.draw(st.integers(0, len(ledger.tickets) - 1))
    entries = json.loads(wire.ledger_text(ledger))
    entries['tickets'][place] = bad

    found, _ = wire.ledger(json.dumps(entries), 'here')

    assert found is not None
    assert len(found.tickets) == len(ledger.tickets)
    assert json.loads(wire.ledger_text(found))['tickets'][place] == json.loads(json.dumps(bad))
    spoilt = found.tickets[place]
    if spoilt.raw:
        everybody_is_done = {(unit, queue): Claim(10**9, 10**9) for _, queue, unit, *_ in found.tickets}
        assert not rules.finished(spoilt, everybody_is_done)


def test_a_bad_entry_of_a_claim_costs_that_entry_alone():
    text = json.dumps({'v': 1, 'queues': {'a': {'asked': 1, 'done': 0}, 'b': {'asked': -1, 'done': 0}}})

    own, problems = wire.claims(text, 'databag of app/3, key "coordinator-claims"')

    assert own == {'a': Claim(1, 0)}
    assert len(problems) == 1
    for part in ('databag of app/3', "queue 'b'", 'expected {"asked": A', 'found', 'stays held'):
        assert part in problems[0]


@pytest.mark.parametrize(
    'text', ['{"v": 2, "token": 1, "tickets": []}', 'x', '[]', '{"v": true, "token": 1, "tickets": []}']
)
def test_a_ledger_that_cannot_be_read_is_not_read_as_an_empty_one(text):
    ledger, problems = wire.ledger(text, 'here')

    assert ledger == rules.UNREADABLE
    assert problems
    claims = {('app/0', ''): Claim(1, 0, (('a', ''),))}
    assert rules.appended(ledger, claims, claims, 1) is ledger


def test_a_long_value_is_cut_in_an_error():
    _, problems = wire.claims('x' * 5000, 'here')

    assert len(problems[0]) < 400


@given(st.text(max_size=210))
def test_a_lock_name_is_taken_as_it_is_or_refused(name):
    try:
        accepted = wire.lock_name(name)
    except ValueError as refused:
        sentence = str(refused)
    else:
        sentence = ''
        assert accepted == name
        assert 'coordinator.granted.{}'.format(name).format() == 'coordinator.granted.' + name
    assert not sentence or sentence.startswith('lock name: expected')


@pytest.mark.parametrize('name', ['restart', 'rolling-upgrade', 'a.b', 'über lock', 'a/b', '1'])
def test_names_in_use_are_lock_names(name):
    assert wire.lock_name(name) == name
