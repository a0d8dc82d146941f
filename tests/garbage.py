"""Garbage for tests/unit/test_fuzz.py: near misses of what the layer writes, and any text at all.

Made from a seeded Random, which hypothesis gives: so near misses are as likely as we like.
"""

import json
import os
import re

from charms.layer.coordinator import wire
from charms.layer.coordinator.rules import Claim, Ledger, Ticket, UnitState
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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


def claims(rng):
    queues = {word(rng): mostly(rng, lambda: entry(rng)) for _ in range(rng.randint(0, 2))}
    return {'v': mostly(rng, lambda: 1), 'queues': mostly(rng, lambda: queues)}


def claim_text(rng):
    return json.dumps(claims(rng))


def ticket(rng):
    makes = (count, word, word, count, count)
    fields = [mostly(rng, lambda make=make: make(rng)) for make in makes]
    return fields if rng.random() < 0.95 else fields[:3]


def text_of_ledger(rng):
    tickets = few(rng, lambda: mostly(rng, lambda: ticket(rng)), 5)
    head = {'v': mostly(rng, lambda: 1), 'token': mostly(rng, lambda: count(rng))}
    return json.dumps({**head, 'tickets': mostly(rng, lambda: tickets)})


def text_of_state(rng):
    return json.dumps({
        'own': mostly(rng, lambda: claims(rng)),
        'committed': mostly(rng, lambda: claims(rng)),
        'peers': mostly(rng, lambda: {word(rng): mostly(rng, lambda: claims(rng)) for _ in range(2)}),
        'led': mostly(rng, lambda: rng.random() < 0.5),
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
STATES = tuple(
    json.dumps(
        wire.state_value(
            UnitState(
                (('', Claim(2, 1, (('a', '2026'),))),),
                (('', Claim(1, 1)),),
                ((('app/1', ''), Claim(2, done)), (('app/2', 'b'), Claim(3, 3))),
                led,
                True,
            )
        ),
        separators=(',', ':'),
    )
    for done, led in ((1, True), (2, False))
)
claims_or_worse = spoilt(claim_text, *CLAIMS)
ledgers_or_worse = spoilt(text_of_ledger, *LEDGERS)
states_or_worse = spoilt(text_of_state, *STATES)


def cases(times):
    """Return settings for so many times the cases of the profile, or for FUZZ cases."""
    most = int(os.environ.get('FUZZ', 0)) or max(1, int(times * settings().max_examples))
    return settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck))
