"""The wire: what is written is read back, and what cannot be read costs that entry alone."""

import json

import pytest
from charms.layer.coordinator import forms, rules, wire
from charms.layer.coordinator.values import (
    LAST_TERM,
    UNREADABLE,
    About,
    Claim,
    End,
    Ledger,
    Order,
    Record,
    Said,
    Ticket,
    UnitState,
    Wish,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.garbage import cases

pytestmark = pytest.mark.every_python

names = st.text(alphabet='abzAZ019-._/\'"\\ßé漢😀', min_size=1, max_size=12)
units = names.map('app/{}'.format)
queues = st.just('') | names
counts = st.integers(0, 10**9)
tokens = st.integers(0, 2**53)
nonces = st.text(alphabet='0123456789abcdef', min_size=8, max_size=8)
reasons = st.just('') | names
locks = st.dictionaries(names, st.text(max_size=27), max_size=3).map(lambda each: tuple(sorted(each.items())))
claim_values = st.builds(
    lambda pair, *rest: Claim(max(pair), min(pair), *rest),
    st.tuples(counts, counts),
    locks,
    st.booleans(),
    tokens,
    locks,
    st.just(''),
    st.lists(nonces, max_size=3).map(tuple),
    st.booleans(),
    tokens,
    reasons,
)
owns = st.dictionaries(queues, claim_values, max_size=3)


def said_of(nonce, term, heard, principal, zone, own):
    queues = tuple((queue, claim._replace(nonce=nonce)) for queue, claim in sorted(own.items()))
    return Said(nonce, About(term, heard, principal, bool(nonce or own or term), zone), queues)


words = st.just('') | nonces
saids = st.builds(said_of, words, st.integers(0, 10**15), words, st.just('') | units, words, owns)
asked = st.builds(
    Ticket,
    st.integers(1, 2**53),
    queues,
    units,
    st.integers(1, 10**9),
    st.integers(1, 99),
    st.just(''),
    st.none() | st.lists(tokens, max_size=3).map(tuple),
    st.text(max_size=40),
    st.just('') | nonces,
    tokens,
    st.just(''),
)
of_rolls = st.builds(
    lambda ticket, nonce, stage, lock: ticket._replace(ask=0, nonce=nonce, stage=stage, roll=lock),
    asked,
    nonces,
    st.integers(1, 2**53),
    names,
)
tickets = asked | of_rolls
orders = st.builds(
    Order,
    st.sampled_from(['roll', 'pause', 'cancel', 'free']),
    nonces,
    queues,
    st.text(max_size=40).filter(str.isprintable),
    reasons,
    tokens,
    tokens,
    st.just('') | units,
    words,
    st.dictionaries(queues, counts, max_size=2).map(lambda each: tuple(sorted(each.items()))),
)
all_orders = st.lists(orders, max_size=3).map(
    lambda each: tuple(sorted(each, key=lambda order: order.kind != 'roll'))
)


def ledger_of(given_tickets, given_orders=()):
    token = max([ticket.token for ticket in given_tickets] or [0])
    return Ledger(token, tuple(given_tickets), orders=given_orders)


ledgers = st.builds(ledger_of, st.lists(tickets, max_size=5), all_orders)
some_tickets = st.lists(tickets, min_size=1, max_size=5).map(ledger_of)
terms = st.integers(1, 2**40)
opened = st.tuples(nonces, terms, terms, ledgers).map(lambda fields: Record(*fields))
claiming = st.tuples(nonces, terms, st.booleans()).map(lambda each: Record(*each[:2], anew=each[2]))
stages = st.lists(st.lists(st.tuples(units, words), max_size=2).map(tuple), max_size=2).map(tuple)
wishes = st.lists(st.builds(Wish, orders, stages, counts, st.booleans()), max_size=2).map(tuple)
places = st.dictionaries(queues, counts | tokens.map(int.__neg__), max_size=3).map(
    lambda each: tuple(sorted(each.items()))
)
abouts = st.dictionaries(
    units,
    st.builds(About, st.integers(0, 10**15), words, st.just('') | units, st.booleans(), words, tokens),
    max_size=3,
)
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
NAME = '7-2-0a1b2c3d'


def read_ledger(text, where='here'):
    """Return the ledger that a text is read as, and the problems."""
    record, problems = wire.record(NAME, text, where)
    return record.ledger, problems


def text_of(ledger):
    return wire.record_text(Record('0a1b2c3d', 7, 2, ledger))


@given(saids)
def test_what_a_unit_says_is_read_back_as_it_was_written(said):
    assert wire.said(wire.said_text(said), 'here') == (said, ())


@pytest.mark.parametrize('nonce', ['x', '0a1b2c3', '0A1B2C3D', '\u6f22', 7, None])
def test_a_nonce_that_no_key_could_be_named_after_is_not_believed(nonce):
    """A unit takes its nonce from its databag. With such a one, a leader would never read its own records."""
    said, problems = wire.said(json.dumps({'v': 2, 'unit': nonce, 'queues': {}}), 'here')

    assert said == Said(about=About(spoke=True))
    assert len(problems) == 1


@given(opened | claiming)
def test_what_a_leader_wrote_is_read_back_as_it_was_written(record):
    name, text = wire.record_name(record), wire.record_text(record)

    assert wire.record(name, text, 'here') == (record, ())


def test_a_local_store_holds_each_term_that_is_believed_and_a_higher_one_is_ignored():
    for term in (LAST_TERM - 1, LAST_TERM):
        record = Record('0badcafe', term)
        state = UnitState(term=term, claimed=term, opened=term, told=term)
        assert wire.record(wire.record_name(record), wire.record_text(record), 'here') == (record, ())
        assert wire.state(json.loads(json.dumps(wire.state_value(state))), 'here') == (state, ())

    for term in (LAST_TERM + 1, 2**53, 10**16):
        assert wire.record('{}-0-0badcafe'.format(term), '{"v": 2, "anew": false}', 'here') == (None, ())


@given(opened | claiming, opened | claiming)
def test_two_records_of_leaders_have_one_key_only_if_their_place_and_writer_are_the_same(one, two):
    same = (one.place, one.nonce) == (two.place, two.nonce)

    assert (wire.record_name(one) == wire.record_name(two)) == same


@given(
    st.dictionaries(
        queues, st.builds(End, counts, st.lists(names).map(tuple), nonces, tokens, locks, locks), max_size=3
    )
)
def test_ends_of_turns_are_read_back_as_they_were_written(ends):
    assert wire.ends(json.loads(json.dumps(wire.ends_value(ends)))) == ends


@cases(1)
@given(saids, saids, abouts, places, places, tokens, tokens, st.booleans(), wishes, places)
def test_what_a_unit_remembers_is_read_back_as_it_was_written(
    own, theirs, about, seen, put_off, term, told, led, wanted, progress
):
    peers = tuple((('app/1', queue), claim) for queue, claim in theirs.queues)
    state = UnitState(
        own.queues,
        own.queues,
        peers,
        led,
        not led,
        led,
        own.nonce,
        term,
        own.about.heard,
        rules.frozen(about),
        seen,
        'app/0-start-1',
        told,
        term,
        told,
        put_off,
        led,
        (own.nonce,),
        wanted,
        progress,
    )

    assert wire.state(json.loads(json.dumps(wire.state_value(state))), 'here') == (state, ())


def test_a_state_of_the_test_above_has_every_field():
    """Add a new field there, too."""
    assert len(UnitState._fields) == 20


@settings(max_examples=5 * settings().max_examples)
@given(rubbish)
def test_any_text_is_read_as_something_or_reported_and_never_raises(text):
    said, problems_of_said = wire.said(text, 'databag of app/3')
    record, problems_of_record = wire.record(NAME, text, 'databag of app/3')

    assert problems_of_said or not text or said == Said()
    assert problems_of_record or record.ledger == Ledger()
    for told in problems_of_said + problems_of_record:
        assert 'databag of app/3' in told
        assert 'expected' in told
        assert 'found' in told


@given(rubbish)
def test_a_claim_of_a_term_that_cannot_be_read_counts_as_one_made_because_the_ledger_is_lost(text):
    """Units answer it and wait; the other way round they would go by a ledger that is lost."""
    record, problems = wire.record('7-0-0a1b2c3d', text, 'here')

    assert record == Record('0a1b2c3d', 7, anew=True)
    assert problems


@pytest.mark.parametrize(
    'name', ['', 'refresh', '0-0-0a1b2c3d', '7-2', '7-2-', '7-2-0A1B2C3D', '7-02-0a1b2c3d', '7-2-0a1b2c3d-1']
)
def test_a_key_that_no_leader_writes_is_no_record(name):
    assert wire.record(name, 'whatever is there', 'here') == (None, ())


@given(anything)
def test_any_value_in_place_of_what_a_unit_remembers_is_reported(found):
    state, problems = wire.state(found, 'the local store')

    assert state is None
    assert problems or found is None


@given(anything)
def test_any_value_in_place_of_the_ends_of_turns_is_read_as_something(found):
    ends = wire.ends({'': found, 'a': [3, ['a'], '0a1b2c3d']})

    assert ends['a'] == End(3, ('a',), '0a1b2c3d')
    assert isinstance(wire.ends(found), dict)


@settings(max_examples=3 * settings().max_examples)
@given(some_tickets, st.data(), anything)
def test_a_bad_ticket_stays_where_it_is_and_frees_nobody(ledger, data, bad):
    place = data.draw(st.integers(0, len(ledger.tickets) - 1))
    entries = json.loads(text_of(ledger))
    entries['tickets'][place] = bad

    found, _ = read_ledger(json.dumps(entries))

    assert found is not None
    assert len(found.tickets) == len(ledger.tickets)
    assert json.loads(text_of(found))['tickets'][place] == json.loads(json.dumps(bad))
    spoilt = found.tickets[place]
    if spoilt.raw:
        done = Claim(10**9, 10**9, over=tuple({ticket.nonce for ticket in found.tickets}))
        everybody_is_done = {(unit, queue): done for _, queue, unit, *_ in found.tickets}
        assert not rules.finished(spoilt, everybody_is_done)


def test_a_bad_entry_of_a_claim_costs_that_entry_alone():
    text = json.dumps({'v': 2, 'queues': {'a': {'asked': 1, 'done': 0}, 'b': {'asked': -1, 'done': 0}}})

    said, problems = wire.said(text, 'databag of app/3, key "coordinator-claims"')

    assert dict(said.queues) == {'a': Claim(1, 0)}
    assert len(problems) == 1
    for part in ('databag of app/3', "queue 'b'", 'expected {"asked": A', 'found', 'stays held'):
        assert part in problems[0]


@pytest.mark.parametrize('text', ['x', '{}', '{"v": 3, "queues": {}}', '{"v": 2, "queues": {}, "term": -1}'])
def test_a_unit_whose_databag_cannot_be_read_has_spoken(text):
    """It may be in its turn, so a lost ledger is not made anew without it."""
    said, problems = wire.said(text, 'here')

    assert said == Said(about=About(spoke=True))
    assert problems


@pytest.mark.parametrize(
    'nonce, queues, term, spoke',
    [
        ('', {}, 0, False),
        ('', {}, 3, True),
        ('', {'': {'asked': 0, 'done': 0}}, 0, True),
        ('0123abcd', {}, 0, True),
    ],
)
def test_a_unit_has_spoken_if_it_ever_asked_knew_of_a_term_or_ran_this_layer(nonce, queues, term, spoke):
    said, _ = wire.said(json.dumps({'v': 2, 'unit': nonce, 'term': term, 'queues': queues}), 'here')

    assert said.about.spoke == spoke


def test_claims_of_version_0_1_0_are_read_and_a_kept_turn_has_begun():
    kept = {'asked': 3, 'done': 2, 'kept': True, 'locks': {'a': '2026'}, 'token': 4}

    said, problems = wire.said(json.dumps({'v': 1, 'queues': {'': kept}}), 'here')

    assert not problems
    assert dict(said.queues)[''] == Claim(3, 2, (('a', '2026'),), True, 4)
    assert dict(said.queues)[''].holds


@pytest.mark.parametrize(
    'text', ['{"v": 3, "token": 1, "tickets": []}', 'x', '[]', '{"v": true, "token": 1, "tickets": []}']
)
def test_a_ledger_that_cannot_be_read_is_not_read_as_an_empty_one(text):
    ledger, problems = read_ledger(text)

    assert ledger == UNREADABLE
    assert problems
    claims = {('app/0', ''): Claim(1, 0, (('a', ''),))}
    assert rules.appended(ledger, claims, claims, 1) is ledger


def test_a_long_value_is_cut_in_an_error():
    _, problems = wire.said('x' * 5000, 'here')

    assert len(problems[0]) < 400


@given(st.text(max_size=210))
def test_a_lock_name_is_taken_as_it_is_or_refused(name):
    try:
        accepted = forms.lock_name(name)
    except ValueError as refused:
        sentence = str(refused)
    else:
        sentence = ''
        assert accepted == name
        assert 'coordinator.granted.{}'.format(name).format() == 'coordinator.granted.' + name
    assert not sentence or sentence.startswith('lock name: expected')


@pytest.mark.parametrize('name', ['restart', 'rolling-upgrade', 'a.b', 'über lock', 'a/b', '1'])
def test_names_in_use_are_lock_names(name):
    assert forms.lock_name(name) == name


def test_a_time_or_a_name_that_nobody_can_log_is_no_order():
    """Found by a review: a leader that had read these could not read its own store afterwards."""
    ledger = (
        '{{"v": 2, "token": 5, "tickets": [], "orders": [["pause", "{}", "", "{}", "", 0, 0, "", "", {{}}]]}}'
    )

    assert wire.record('1-1-abcdef12', ledger.format('p', '02:00'), 'here')[0].ledger.readable
    for name, since in ('p', '\\u0000'), ('{x}', '02:00'):
        assert not wire.record('1-1-abcdef12', ledger.format(name, since), 'here')[0].ledger.readable
