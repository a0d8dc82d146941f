"""Garbage for tests/unit/test_fuzz.py: near misses of what the layer writes, and any text at all.

Made from a seeded Random, which hypothesis gives: so near misses are as likely as we like.
"""

import json
import os
import re

from charms.layer.coordinator import wire
from charms.layer.coordinator.values import About, Claim, Ledger, Record, Said, Ticket, UnitState
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

NONCES = {'app/0': '0a1b2c30', 'app/1': '0a1b2c31', 'app/2': '0a1b2c32'}
"""Stand for the incarnations of three units; a test puts the true ones in their place."""

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
    *[
        '"":{"asked":2,"done":2},',
        '"queues":{},',
        '"v":2,',
        '"v":1,',
        '"token":1,',
        '"tickets":[],',
        '"done":9,',
    ],
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


def nonce(rng):
    return rng.choice([*NONCES.values()] * 3 + ['', 'deadbeef', *WORDS])


def locks(rng):
    return {word(rng): mostly(rng, lambda: word(rng)) for _ in range(rng.randint(0, 2))}


def entry(rng):
    asked = count(rng)
    done = rng.choice([asked, max(0, asked - 1), max(0, asked - 1), count(rng)])
    claim = {'asked': mostly(rng, lambda: asked), 'done': mostly(rng, lambda: done)}
    makes = {
        'locks': locks,
        'again': locks,
        'begun': lambda rng: rng.random() < 0.5,
        'kept': lambda rng: rng.random() < 0.5,
        'token': count,
        'over': lambda rng: few(rng, lambda: nonce(rng), 2),
    }
    return {**claim, **some(rng, makes, 0.3)}


def some(rng, makes, share):
    """Return a part of an object, each key with a value as it is made or a wrong one."""
    chosen = [key for key in makes if rng.random() < share]
    return {key: mostly(rng, lambda key=key: makes[key](rng)) for key in chosen}


def claims(rng):
    queues = {word(rng): mostly(rng, lambda: entry(rng)) for _ in range(rng.randint(0, 2))}
    head = {'v': mostly(rng, lambda: rng.choice([1, 2, 2, 2])), 'queues': mostly(rng, lambda: queues)}
    answer = '{}-{}'.format(count(rng), nonce(rng))
    words = {
        'unit': nonce,
        'term': count,
        'heard': lambda rng: rng.choice([answer, word(rng)]),
        'principal': word,
    }
    return {**head, **some(rng, words, 0.6)}


def claim_text(rng):
    return json.dumps(claims(rng))


def ticket(rng):
    makes = [count, word, word, count, count, nonce]
    if rng.random() < 0.1:
        makes += [lambda rng: rng.choice([None, few(rng, lambda: count(rng))]), word]
    fields = [mostly(rng, lambda make=make: make(rng)) for make in makes]
    return fields if rng.random() < 0.95 else fields[:5]


def text_of_ledger(rng):
    tickets = few(rng, lambda: mostly(rng, lambda: ticket(rng)), 5)
    head = {'v': mostly(rng, lambda: 2), 'token': mostly(rng, lambda: count(rng))}
    return json.dumps({**head, 'tickets': mostly(rng, lambda: tickets)})


def about(rng):
    return [mostly(rng, lambda make=make: make(rng)) for make in (count, word, word, truth)]


def truth(rng):
    return rng.random() < 0.5


def places(rng):
    return few(rng, lambda: mostly(rng, lambda: [word(rng), count(rng)]), 2)


def text_of_state(rng):
    """Return what a unit remembers: every key is there, as in a store that is believed, but for a few."""
    peers = {word(rng): mostly(rng, lambda: claims(rng)) for _ in range(rng.randint(0, 2))}
    said = {'own': claims(rng), 'committed': mostly(rng, lambda: claims(rng)), **peers}
    makes = {
        **dict.fromkeys(('led', 'known', 'spoken'), truth),
        **dict.fromkeys(('term', 'told'), count),
        **dict.fromkeys(('seen', 'put_off'), places),
        **dict.fromkeys(('heard', 'context'), word),
        'nonce': nonce,
        'about': lambda rng: {word(rng): about(rng) for _ in range(rng.randint(0, 2))},
    }
    return json.dumps({'claims': said, **some(rng, makes, 0.99)})


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


def said_of(unit, term, *claims):
    nonce = NONCES[unit]
    own = tuple((queue, claim._replace(nonce=nonce)) for queue, claim in claims)
    return Said(nonce, About(term, '4-' + nonce), own)


def ticket_of(token, queue, unit, ask, slots=1):
    return Ticket(token, queue, unit, ask, slots, nonce=NONCES[unit])


def record_of(*tickets):
    last = max(ticket.token for ticket in tickets)
    return wire.record_text(Record(NONCES['app/0'], 1, 1, Ledger(last, tickets)))


CLAIMS = (
    wire.said_text(said_of('app/1', 2, ('', Claim(2, 1, (('a', '2026-01-01'),), True, 4)))),
    wire.said_text(
        said_of(
            'app/0', 1, ('', Claim(2, 2, token=4)), ('b', Claim(1, 0, (('b', ''), ('c', '')), over=('x',)))
        )
    ),
)
LEDGERS = (
    record_of(*(ticket_of(n + 1, '', unit, 2) for n, unit in enumerate(NONCES))),
    record_of(ticket_of(8, 'b', 'app/1', 1, 2), ticket_of(9, '', 'app/0', 2, 3)),
)
STATES = tuple(
    json.dumps(
        wire.state_value(
            UnitState(
                (('', Claim(2, 1, (('a', '2026'),), begun, 4 * begun, nonce=NONCES['app/0'])),),
                (('', Claim(1, 1, nonce=NONCES['app/0'])),),
                ((('app/1', ''), Claim(2, done, nonce=NONCES['app/1'])), (('app/2', 'b'), Claim(3, 3))),
                begun,
                True,
                True,
                NONCES['app/0'],
                1,
                '',
                (('app/1', About(1, '', '', True)),),
                (('', 2),),
                'app/0-start-1',
                4,
                (('', 1),),
            )
        ),
        separators=(',', ':'),
    )
    for done, begun in ((1, True), (2, False))
)
claims_or_worse = spoilt(claim_text, *CLAIMS)
ledgers_or_worse = spoilt(text_of_ledger, *LEDGERS)
states_or_worse = spoilt(text_of_state, *STATES)


def cases(times):
    """Return settings for so many times the cases of the profile, or for FUZZ cases."""
    most = int(os.environ.get('FUZZ', 0)) or max(1, int(times * settings().max_examples))
    return settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck))
