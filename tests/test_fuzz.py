"""Anything at all as a claim, as the ledger, in the local store and as an option.

Nothing leaves the layer but the ValueError of a wrong option, and nothing held
changes. First the reading alone, then hooks of three units in this process,
through the layer's own juju.py over hook tools that refuse what Juju's refuse.

`make test` runs some thousands of cases. FUZZ=20000 in the environment runs so
many of each test instead: `FUZZ=20000 .venv/bin/python -m pytest tests/test_fuzz.py`.
"""

import json
import os
import re

import pytest
from charms.layer.coordinator import policy, rules, wire
from charms.layer.coordinator.rules import Claim, Ledger, Ticket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.every_python
both = pytest.mark.parametrize('version', [3, 4])


def cases(times):
    """Return settings for so many times the cases of the profile, or for FUZZ cases."""
    most = int(os.environ.get('FUZZ', 0)) or max(1, int(times * settings().max_examples))
    return settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck))


# Garbage: made from a seeded Random, which hypothesis gives, so that near misses are as likely as we like

EDGES = [0, 1, 2, 3, 10**9 - 1, 10**9, 10**9 + 1, 2**53 - 1, 2**53, 2**53 + 1, 10**400]
COUNTS = [*[0, 1, 1, 2, 2, 3, 7] * 3, *EDGES]
WORDS = [
    *['', 'a', 'b', 'app/0', 'app/1', 'app/2', 'app/7'] * 3,
    '\x00',
    '\ud800',
    '漢',
    '-o/x',
    ' x',
    '{x}',
    'x' * 201,
]
WRONG = [None, True, -1, 1.5, float('nan'), float('-inf'), 'x', [], {}, [1, 'a'], {'\x00': 1}, 'y' * 9999]
PIECES = [
    *map(str, EDGES),
    *['[', ']', '{', '}', ',', ':', '"', '\\', '\x00', '\ud800', '漢', '\ufeff'],
    *['NaN', 'Infinity', '-Infinity', '1e400', '-1e400', '1.5', '1.0', '-1', 'null', 'true', 'false'],
    *['""', '"a"', '"\\u0000"', '"\\ud800"', '"{x}"', '"-o"', '"app/0"', '"app/7"', '[]', '{}', '[[1]]'],
    *['"":{"asked":2,"done":2},', '"queues":{},', '"v":1,', '"token":1,', '"tickets":[],', '"done":9,'],
    *['9' * 5000, '"{}"'.format('x' * 5000)],
]
WORD = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9.e+]+|\s+|.', re.S)


def mostly(rng, good):
    return rng.choice(WRONG) if rng.random() < 0.04 else good()


def few(rng, make, most=3):
    return [make() for _ in range(rng.randint(0, most))]


def count(rng):
    return rng.choice(COUNTS)


def word(rng):
    return rng.choice(WORDS)


def deep(rng):
    """Return something nested around the depth at which readers of JSON give up."""
    depth = rng.choice([1, 20, 300, rng.randint(900, 1100), 5000])
    left, right = rng.choice([('[', ']'), ('{"a":', '}'), ('[1,', ',2]')])
    return left * depth + '1' + right * depth


def piece(rng):
    """Return a bit of text to disturb another with; what is 10 MB there is 100 kB here."""
    rare = rng.random()
    if rare < 0.03:
        return deep(rng)
    if rare < 0.05:
        return rng.choice(['x', '9', '[', '漢', '\\', '{"']) * rng.randint(10, 100000)
    return rng.choice(PIECES)


def changed(rng, text):
    """Return the text with words put in, cut out, doubled, replaced or swapped."""
    for _ in range(rng.choice([1, 1, 1, 2, 3, 5])):
        words = WORD.findall(text[:20000])
        begin, many = rng.randint(0, len(words)), rng.choice([1, 1, 1, 1, 2, 4, 12])
        these, rest = words[begin : begin + many], words[begin + many :]
        kind = rng.choice(['put', 'cut', 'twice', 'instead', 'instead', 'instead', 'swap'])
        if kind == 'put':
            these = [piece(rng), *these]
        elif kind == 'cut':
            these = []
        elif kind == 'twice':
            these = these + these
        elif kind == 'instead':
            these = [piece(rng)]
        else:
            these, rest = rest[1 : 1 + many] + rest[:1] + these, rest[1 + many :]
        text = ''.join(words[:begin] + these + rest)
    return text


def entry(rng):
    asked = count(rng)
    done = rng.choice([asked, max(0, asked - 1), max(0, asked - 1), count(rng)])
    claim = {'asked': mostly(rng, lambda: asked), 'done': mostly(rng, lambda: done)}
    if rng.random() < 0.5:
        claim['locks'] = mostly(rng, lambda: {word(rng): mostly(rng, lambda: word(rng)) for _ in range(2)})
        claim['kept'] = mostly(rng, lambda: rng.random() < 0.5)
        claim['token'] = mostly(rng, lambda: count(rng))
    return claim


def claim_text(rng):
    queues = {word(rng): mostly(rng, lambda: entry(rng)) for _ in range(rng.randint(0, 2))}
    return json.dumps({'v': mostly(rng, lambda: 1), 'queues': mostly(rng, lambda: queues)})


def ticket(rng):
    makes = (count, word, word, count, count)
    fields = [mostly(rng, lambda make=make: make(rng)) for make in makes]
    return fields if rng.random() < 0.95 else fields[:3]


def text_of_ledger(rng):
    tickets = few(rng, lambda: mostly(rng, lambda: ticket(rng)), 5)
    head = {'v': mostly(rng, lambda: 1), 'token': mostly(rng, lambda: count(rng))}
    return json.dumps({**head, 'tickets': mostly(rng, lambda: tickets)})


def text_of_local(rng):
    return json.dumps({
        'own': mostly(rng, lambda: claim_text(rng)),
        'committed': mostly(rng, lambda: claim_text(rng)),
        'peers': mostly(rng, lambda: {word(rng): mostly(rng, lambda: claim_text(rng)) for _ in range(2)}),
        'led': mostly(rng, lambda: rng.random() < 0.5),
        'departed': mostly(rng, lambda: few(rng, lambda: mostly(rng, lambda: word(rng)))),
        'published': mostly(rng, lambda: rng.random() < 0.5),
    })  # fmt: skip


randoms = st.randoms(use_true_random=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(EDGES) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
anything = values.map(json.dumps) | st.text(max_size=60)


def spoilt(shaped, *texts):
    """Return any text: of the right shape, one of these changed in a few places, any JSON, any letters."""

    def make(rng, other):
        kind = rng.random()
        if kind < 0.1:
            return other
        if kind < 0.15:
            return piece(rng)
        return shaped(rng) if kind < 0.5 else changed(rng, rng.choice(texts))

    return st.builds(make, randoms, anything)


CLAIMS = (
    wire.claims_text({'': Claim(2, 1, (('a', '2026-01-01'),), True, 4)}),
    wire.claims_text({'': Claim(2, 2, token=4), 'b': Claim(1, 0, (('b', ''), ('c', '')))}),
)
LEDGERS = (
    wire.ledger_text(Ledger(3, tuple(Ticket(n + 1, '', 'app/{}'.format(n), 2) for n in range(3)))),
    wire.ledger_text(Ledger(9, (Ticket(8, 'b', 'app/1', 1, 2), Ticket(9, '', 'app/0', 2, 3)))),
)
LOCALS = tuple(
    wire.local_text(
        wire.Local(
            (('', Claim(2, 1, (('a', '2026'),))),),
            (('', Claim(1, 1)),),
            ((('app/1', ''), Claim(2, done)), (('app/2', 'b'), Claim(3, 3))),
            led,
            ('app/9',),
        )
    )
    for done, led in ((1, True), (2, False))
)
claims_or_worse = spoilt(claim_text, *CLAIMS)
ledgers_or_worse = spoilt(text_of_ledger, *LEDGERS)
locals_or_worse = spoilt(text_of_local, *LOCALS)


# The reading alone


def readable_again(own):
    return wire.claims(wire.claims_text(own), 'here') == (own, ())


@cases(6)
@given(claims_or_worse)
def test_any_text_as_a_claim_is_read_or_reported_and_what_is_read_can_be_written(text):
    own, problems = wire.claims(text, 'here')

    assert readable_again(own)
    assert all(told.isprintable() and told.startswith('here') and len(told) < 600 for told in problems)
    assert own or problems or not text or json.loads(text)['queues'] == {}
    for queue, claim in own.items():
        more = rules.asked_for(rules.released(claim, 7), 'z', 'now')
        assert readable_again({queue: more})
        assert (more.asked, more.done) >= (claim.asked, claim.done)


@cases(6)
@given(ledgers_or_worse)
def test_any_text_as_a_ledger_is_read_or_reported_and_what_cannot_be_read_is_written_back(text):
    ledger, problems = wire.ledger(text, 'here')

    assert all(told.isprintable() and told.startswith('here') and len(told) < 600 for told in problems)
    assert (ledger is None) == (not text)
    if ledger is not None and ledger.readable:
        written = wire.ledger_text(ledger)
        assert wire.ledger(written, 'here') == (ledger, problems)
        assert strict_json(written)['tickets'] == json.loads(text)['tickets']


@cases(6)
@given(ledgers_or_worse, st.booleans())
def test_a_leader_writes_no_ledger_that_cannot_be_read(text, lost):
    ledger, _ = wire.ledger(text, 'here')
    if ledger is None or not ledger.readable:
        return
    asking = {('app/{}'.format(n), ''): Claim(n, n - 1, (('a', ''),)) for n in (1, 7, 10**9)}
    asking['app/5', ''] = Claim(10**9, 10**9 - 1, (('a', ''),), token=2**53)

    start = rules.rebuilt(asking) if lost else ledger
    grown = rules.appended(start, asking, asking, 1, frozenset(['app/2']))

    if grown != start:
        assert wire.ledger(wire.ledger_text(grown), 'here')[0] == grown
        assert len(wire.ledger_text(grown)) < 131072
        unreadable = [ticket for ticket in start.tickets if ticket.raw and ticket.unit != 'app/2']
        assert [ticket for ticket in grown.tickets if ticket.raw] == unreadable


@cases(5)
@given(locals_or_worse)
def test_any_text_as_a_local_store_is_read_or_reported_and_never_raises(text):
    local, problems = wire.local(text, 'here')

    assert all(told.isprintable() and told.startswith('here') for told in problems)
    assert bool(problems) == (local is None and bool(text))
    if local:
        assert wire.local(wire.local_text(local), 'here') == (local, ())
        for (unit, _), claim in local.peers:
            ticket = Ticket(1, '', unit, max(1, claim.asked))
            assert wire.ledger(wire.ledger_text(Ledger(1, (ticket,))), 'here')[0].tickets == (ticket,)


def deeply(depth):
    found = []
    for _ in range(depth):
        found = [found]
    return found


def circle():
    found = []
    found.append(found)
    return found


odd = st.one_of(
    values,
    st.dates(),
    st.binary(max_size=5),
    st.sets(st.integers()),
    st.dictionaries(st.dates() | st.tuples(st.integers()), values, min_size=1, max_size=2),
    st.integers(4000, 6000).map(lambda digits: 1 << digits * 4),
    st.integers(900, 1100).map(deeply),
    st.builds(circle),
)


@cases(2)
@given(
    st.dictionaries(
        st.sampled_from(['queues', 'slots']) | st.text(max_size=5) | st.integers(), odd, max_size=2
    )
)
def test_any_options_are_understood_or_refused_in_a_sentence(options):
    try:
        chosen = policy.from_options(options)
    except ValueError as refused:
        assert str(refused).startswith('layer.yaml, options, coordinator, ')
        assert str(refused).endswith('correct it and build the charm again')
        assert str(refused).isprintable()
    else:
        assert set(options) <= set(policy.DEFAULTS)
        assert 1 <= chosen.slots_among(100) <= 10000


@cases(1)
@given(odd)
def test_anything_as_a_lock_name_is_taken_or_refused_in_a_sentence(name):
    try:
        assert wire.lock_name(name) == name
    except ValueError as refused:
        assert str(refused).startswith('lock name: expected')


def strict_json(text):
    """Return what any JSON reader makes of the text: NaN and Infinity are no JSON."""

    def refused(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refused)
