"""Anything at all as a claim, as the ledger, in the local store and as an option.

Nothing leaves the layer but the ValueError of a wrong option, and nothing held
changes. First the reading alone, then hooks of three units in this process,
through the layer's own juju.py over jujusim's hook tools.

`make test` runs some thousands of cases. FUZZ=20000 in the environment runs so
many of each test instead: `FUZZ=20000 .venv/bin/python -m pytest tests/unit/test_fuzz.py`.
"""

import json
import tempfile
from pathlib import Path

import pytest
from charms.layer.coordinator import forms, rules, wire
from charms.layer.coordinator.compat import choice
from charms.layer.coordinator.store import Store
from charms.layer.coordinator.values import MAX_COUNT, MAX_TOKEN, Claim, Ledger, Record, Said, Ticket
from hypothesis import example, given
from hypothesis import strategies as st

from tests.garbage import NONCES, cases, claims_or_worse, ledgers_or_worse, randoms, states_or_worse, values
from tests.threeunits import MARK, MEMORY, UNITS, everybody_is_served, first_world, settle

pytestmark = pytest.mark.every_python
both = pytest.mark.parametrize('version', [3, 4])


# The reading alone


NAME = '7-2-0a1b2c3d'


def read_ledger(text):
    record, problems = wire.record(NAME, text, 'here')
    return record.ledger, problems


def text_of(ledger):
    return wire.record_text(Record('0a1b2c3d', 7, 2, ledger))


@cases(5)
@given(claims_or_worse)
def test_any_text_as_a_claim_is_read_or_reported_and_what_is_read_can_be_written(text):
    said, problems = wire.said(text, 'here')

    assert all(told.isprintable() and told.startswith('here') and len(told) < 600 for told in problems)
    assert (said is None) == (not text)
    if said is None or problems:
        return
    assert wire.said(wire.said_text(said), 'here') == (said, ())
    for queue, claim in said.queues:
        more = rules.asked_for(rules.released(claim), 'z', 'now')
        again = Said(said.nonce, said.about, ((queue, more),))
        assert wire.said(wire.said_text(again), 'here')[0].queues == again.queues
        assert (more.asked, more.done) >= (claim.asked, claim.done)


@cases(5)
@given(ledgers_or_worse)
def test_any_text_as_a_ledger_is_read_or_reported_and_what_cannot_be_read_is_written_back(text):
    ledger, problems = read_ledger(text)

    assert all(told.isprintable() and told.startswith('here') and len(told) < 600 for told in problems)
    assert ledger.readable or problems
    if ledger.readable:
        written = text_of(ledger)
        assert read_ledger(written) == (ledger, problems)
        pairs = zip(json.loads(text)['tickets'], ledger.tickets)
        expected = [entry if ticket.raw else short(entry) for entry, ticket in pairs]
        assert strict_json(written)['tickets'] == expected


def short(entry):
    """Return a ticket as the layer writes it: without the fields that say nothing."""
    return entry[:6] if isinstance(entry, list) and entry[6:] == [None, ''] else entry


@cases(2)
@given(ledgers_or_worse, st.from_regex(r'[0-9]{1,17}-[0-9]{1,17}-[0-9a-f]{8}', fullmatch=True))
def test_any_text_under_any_key_of_a_record_is_read_as_one_or_reported_or_the_key_is_of_none(text, name):
    record, problems = wire.record(name, text, 'here')

    if record:
        assert wire.record_name(record) == name
        assert record.version or not record.ledger
    else:
        assert not problems


@cases(2)
@given(claims_or_worse)
def test_any_value_as_the_end_of_a_turn_is_read_as_one_or_ends_nothing(text):
    ends = wire.ends(forms.parsed(text))

    assert wire.ends(json.loads(json.dumps(wire.ends_value(ends)))) == ends


@cases(3)
@given(ledgers_or_worse, st.booleans())
def test_a_leader_writes_no_ledger_that_cannot_be_read(text, lost):
    ledger, _ = read_ledger(text)
    if not ledger.readable:
        return
    asking = {('app/{}'.format(n), ''): Claim(n, n - 1, (('a', ''),)) for n in (1, 7, 10**9)}
    asking['app/5', ''] = Claim(10**9, 10**9 - 1, (('a', ''),), begun=True, token=2**53)

    start = rules.rebuilt(asking, 1) if lost else ledger
    grown = rules.appended(start, asking, asking, 1, frozenset(['app/2']))

    if grown != start:
        assert read_ledger(text_of(grown))[0] == grown
        assert len(text_of(grown)) < 131072
        unreadable = [ticket for ticket in start.tickets if ticket.raw and ticket.unit != 'app/2']
        assert [ticket for ticket in grown.tickets if ticket.raw] == unreadable


@cases(4)
@given(states_or_worse)
def test_anything_as_what_a_unit_remembers_is_read_or_reported_and_never_raises(text):
    found = forms.parsed(text)
    state, problems = wire.state(found, 'here')

    assert all(told.isprintable() and told.startswith('here') for told in problems)
    assert bool(problems) == (state is None and found is not None)
    if state:
        assert wire.state(json.loads(json.dumps(wire.state_value(state))), 'here') == (state, ())
        for (unit, _), claim in state.peers:
            ticket = Ticket(1, '', unit, max(1, claim.asked), nonce=claim.nonce)
            assert read_ledger(text_of(Ledger(1, (ticket,))))[0].tickets == (ticket,)


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


@cases(1.5)
@given(
    st.dictionaries(
        st.sampled_from(sorted(choice.DEFAULTS)) | st.text(max_size=5) | st.integers(), odd, max_size=2
    )
)
def test_any_options_are_understood_or_refused_in_a_sentence(options):
    answer, refusal = result_of(choice.understood, options)
    if answer is None:
        assert refusal.startswith('layer.yaml, options, coordinator, ')
        assert refusal.endswith('correct it and build the charm again')
        assert refusal.isprintable()
    else:
        assert len(answer[1]) == len(set(options) - set(choice.DEFAULTS))
        assert all(problem.endswith('it is ignored') and problem.isprintable() for problem in answer[1])
        assert 1 <= answer[0].policy.slots_among(100) <= 10000


@cases(0.5)
@given(odd)
def test_anything_as_a_lock_name_is_taken_or_refused_in_a_sentence(name):
    taken, refusal = result_of(forms.lock_name, name)
    assert taken == name if not refusal else refusal.startswith('lock name: expected')


def result_of(call, argument):
    """Return what a call returns and '', or None and the text of its ValueError."""
    try:
        return call(argument), ''
    except ValueError as refused:
        return None, str(refused)


def strict_json(text):
    """Return what any JSON reader makes of the text: NaN and Infinity are no JSON."""

    def refused(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refused)


# Hooks of three units


HOLDERS = (None, *UNITS)


@pytest.fixture(scope='module')
def worlds():
    """Returns a fresh copy of the first world of a Juju and a holder."""
    kept = {}
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:

        def make(version, holder):
            if (version, holder) not in kept:
                folder = Path(place) / 'first-{}-{}'.format(version, len(kept))
                folder.mkdir()
                kept[version, holder] = first_world(version, holder, folder)
            return kept[version, holder].copy(Path(place))

        yield make


def fault_of(world, *allowed):
    return [fault for fault in world.faults if not any(text in fault for text in allowed)]


def says(text):
    """Return what a tolerant reader makes of a text, {} if it is of no version of ours."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and found.get('v') in (1, 2) else {}


def given_to(world, text):
    """Return a text as Juju gives it, with the incarnations of the units of this world."""
    for unit, nonce in NONCES.items():
        text = text.replace(nonce, world.nonce(unit))
    return text.encode('utf-8', 'replace').decode().replace('\x00', '')


def may_be_done(text, nonce):
    """Whether a text may say of some queue that an ask is done which is not, or that it is another unit's."""
    queues = says(text).get('queues')
    entries = queues.values() if isinstance(queues, dict) else []
    told = [entry for entry in entries if isinstance(entry, dict)]
    over = any(entry.get('done') not in (0, 1) or entry.get('over') for entry in told)
    return over or says(text).get('unit', '') not in ('', nonce)


def may_have_begun(text):
    """Whether a text may say that a turn has begun: its unit believes it, see docs/limits.md."""
    queues = says(text).get('queues')
    entries = queues.values() if isinstance(queues, dict) else []
    return any(isinstance(entry, dict) and (entry.get('begun') or entry.get('kept')) for entry in entries)


BEGUN = '{"v": 2, "unit": "0a1b2c31", "term": 1, "heard": "4-0a1b2c31", "queues": '
BEGUN += '{"": {"asked": 2, "done": 1, "begun": true, "locks": {"a": ""}, "token": 4}}}'
NO_NONCE = '{"v": 2, "queues": {"b": {"asked": 2, "done": 1, "begun": false}}, "unit": "", "term": 1, '
NO_NONCE += '"heard": "0-", "principal": " x"}'


@both
@cases(0.5)
@given(st.sampled_from(HOLDERS), st.sampled_from(UNITS), claims_or_worse, st.booleans())
@example('app/2', 'app/1', NO_NONCE, False)
@example(None, 'app/1', BEGUN, True)
def test_any_claim_in_a_databag_fails_no_hook_and_frees_nothing(worlds, version, holder, unit, text, upgrade):
    world = worlds(version, holder)
    text = given_to(world, text)
    nonce = world.nonce(unit)
    world.write_claims(unit, text)
    if upgrade:
        world.upgrade(unit)

    settle(world)

    if may_be_done(text, nonce):
        return
    forged = unit != holder and may_have_begun(text)
    assert not fault_of(world, *['hold one lock'] if forged else [])
    if not says(text):
        assert everybody_is_served(world)
        assert not world.faults


@both
def test_a_claim_without_an_incarnation_gets_no_ticket_under_the_incarnation_of_its_unit(worlds, version):
    world = worlds(version, 'app/2')
    nonce = world.nonce('app/1')
    world.write_claims('app/1', NO_NONCE)

    given = []
    world.run(until=lambda: given.extend(strict_json(world.ledger_text)['tickets']))

    assert given
    assert not [ticket for ticket in given if ticket[1] == 'b' and ticket[5] == nonce]


def entries_of(text):
    """Return the tickets of a ledger that has a head of ours, None where nobody may begin by it."""
    found = says(text)
    token, tickets = found.get('token'), found.get('tickets')
    whole = isinstance(token, int) and not isinstance(token, bool) and 0 <= token <= 2**53
    return tickets if whole and isinstance(tickets, list) and found['v'] is not True else None


def is_ticket(entry):
    if not isinstance(entry, list) or len(entry) not in (6, 8):
        return False
    return [type(field) for field in entry[:6]] == [int, str, str, int, int, str]


def may_be_gone(entry):
    """Whether a ticket that cannot be read names a unit that goal-state does not."""
    return isinstance(entry, list) and isinstance((entry + [0] * 3)[2], str) and entry[2] not in UNITS


def keeps_the_holder_in_front(entries, holder, nonce):
    """Whether nobody but the holder may hold by these tickets."""
    if not all(entry[4] == 1 and len(entry) == 6 for entry in entries if is_ticket(entry)):
        return False
    first = entries[0] if entries else None
    if is_ticket(first):
        return first[1:4] == ['', holder, 2] and first[5] == nonce
    return bool(entries) and not set(UNITS) & set(map(str, first if isinstance(first, list) else []))


def numbers_are_used_up(world):
    """Return whether a spoilt ledger led to the last token, or to the last ask of a unit: docs/limits.md."""
    said = [wire.said(world.claims_text(unit), '')[0] for unit in UNITS]
    last = [claim for each in said if each for _, claim in each.queues]
    return any(claim.token > MAX_TOKEN - 100 or claim.asked >= MAX_COUNT for claim in last)


LAST_ASK = (
    '{"v":2,"token":3,"tickets":[[1,"","app/0",1000000000,1,"0a1b2c30"],'
    '[2,"","app/1",2,1,"0a1b2c31"],[3,"",1.01]]}'
)


@both
@cases(0.5)
@given(st.sampled_from(HOLDERS), ledgers_or_worse)
@example(None, LAST_ASK)
def test_any_ledger_fails_no_hook_ends_no_turn_and_gives_no_lock_twice(worlds, version, holder, text):
    world = worlds(version, holder)
    text = given_to(world, text)
    nonce = holder and world.nonce(holder)
    before = dict(world.served)
    world.write_ledger(text)

    settle(world)

    entries = entries_of(text) if text else []
    now = world.ledger_text
    assert not [fault for fault in world.faults if fault == '{} holds no more'.format(holder)]
    if entries is None:
        before.update({holder: before[holder] + 1} if holder else {})  # its turn had begun, and goes on
        assert world.served == before
        assert now == text
        assert not world.faults
    elif keeps_the_holder_in_front(entries, holder, nonce):
        assert not fault_of(world, 'holds no more')
    if says(text) and entries and now != text:
        kept = strict_json(now)['tickets']
        assert all(entry in kept for entry in entries if not is_ticket(entry) and not may_be_gone(entry))
    if entries is None or not all(map(is_ticket, entries)):
        world.reset_ledger()  # by the operator, see docs/operating.md
        assert everybody_is_served(world) or numbers_are_used_up(world)


@both
@cases(0.5)
@given(st.sampled_from(HOLDERS), st.sampled_from(UNITS), st.integers(1, 9), ledgers_or_worse)
def test_any_text_as_the_claim_of_a_term_fails_no_hook_frees_nothing_and_is_overcome(
    worlds, version, holder, unit, term, text
):
    world = worlds(version, holder)
    text = given_to(world, text)
    world.write_shared({'{}-{}-0-{}'.format(MARK, term, world.nonce(unit)): text})

    assert everybody_is_served(world)
    assert not world.faults


SHAPES = (
    '',
    'null',
    '[]',
    '"values"',
    '{}',
    '{"values":{}}',
    '{"checksum":"","values":{}}',
    '{"checksum":null,"values":null}',
    '{"checksum":[],"values":[]}',
    '\ufeff{"checksum":"a3f6ef44","values":{}}',
    '{"checksum":"a3f6ef44","values":{"state":NaN}}',
    '{"values":{},"checksum":"a3f6ef44","values":{"state":1}}',
)


def spoil(path, rng, text):
    """Make something else of a local store: another value in it, another JSON, some of its bytes, or all."""
    whole, kind = path.read_bytes(), rng.random()
    if kind < 0.25:
        found = json.loads(whole.decode())
        found['values'][
            rng.choice(['state', 'state', 'state', 'relation', 'reported', 'whose', 'unflushed'])
        ] = text
        whole = json.dumps(found).encode()
        if rng.random() < 0.5:  # as JSON, not as a text in it
            whole = whole.replace(json.dumps(text).encode(), text.encode('utf-8', 'replace'))
    elif kind < 0.45:
        whole = rng.choice(SHAPES).encode()
    elif kind < 0.8:
        spots = [
            rng.choice([rng.randint(0, 99), rng.randint(0, len(whole) - 1)]) for _ in range(rng.randint(1, 9))
        ]
        whole = bytearray(whole)
        for spot in spots:
            whole[spot] = rng.choice([0, 1, 2, 5, 13, 255, rng.randint(0, 255)])
    elif kind < 0.9:
        whole = whole[: rng.randint(0, len(whole))]
    else:
        whole = bytes(rng.getrandbits(8) for _ in range(rng.randint(0, 5000)))
    path.write_bytes(bytes(whole))


@both
@cases(0.3)
@given(st.sampled_from(HOLDERS), st.sampled_from(UNITS), states_or_worse)
def test_anything_that_the_local_store_believes_it_wrote_fails_no_hook(worlds, version, holder, unit, text):
    world = worlds(version, holder)
    text = given_to(world, text)
    found = forms.parsed(text)
    Store(str(world.store(unit)), pytest.fail).set('state', text if found is None else found)

    settle(world)


@both
@cases(0.6)
@given(st.sampled_from(HOLDERS), st.sampled_from(UNITS), randoms, states_or_worse)
def test_any_local_store_fails_no_hook_and_frees_and_loses_nothing(worlds, version, holder, unit, rng, text):
    world = worlds(version, holder)
    unheard = '"asked":1' in world.claims_text(unit)  # its hook asked, and failed
    spoil(world.store(unit), rng, given_to(world, text))

    settle(world)

    assert not fault_of(world, *['{} holds no more'.format(unit)] if unheard else [])
    assert everybody_is_served(world)
    assert not fault_of(world, *['{} holds no more'.format(unit)] if unheard else [])
