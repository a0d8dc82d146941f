"""Which leader's ledger counts, and who may write it, as laws; whole histories are in tests/proofs."""

import pytest
from charms.layer.coordinator import rules, terms
from charms.layer.coordinator.context import HookContext
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.values import About, Claim, Ledger, Record, Terms, Ticket, UnitState
from charms.layer.coordinator.view import Snapshot, View
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.every_python

NONCES = ('a', 'b', 'c')
numbers = st.integers(1, 4)
claims = st.builds(
    lambda *each: Record(*each), st.sampled_from(NONCES), numbers, st.just(0), st.none(), st.booleans()
)
ledgers = st.integers(0, 9).map(Ledger)
opened = st.builds(lambda *each: Record(*each), st.sampled_from(NONCES), numbers, numbers, ledgers)


def one_for_each_key(found):
    return tuple({(*record.place, record.nonce): record for record in found}.values())


several = st.lists(claims | opened, max_size=6).map(one_for_each_key)
known = st.integers(0, 5)


@given(several, known, st.booleans())
def test_at_most_one_incarnation_may_write_at_a_time(records, term, reset):
    found = Terms(records, reset)

    assert sum(terms.may_write(found, nonce, term) for nonce in NONCES) <= 1


@given(several, known, st.booleans(), st.sampled_from(NONCES))
def test_who_claims_a_term_may_write_until_another_claims_a_higher_one(records, term, reset, nonce):
    found = Terms(records, reset)

    claim = terms.claiming(found, nonce, term)
    after = Terms((*records, claim))

    assert terms.may_write(after, nonce, term)
    other = terms.claiming(after, 'd', term)
    both = Terms((*after.records, other))
    assert terms.may_write(both, 'd', term)
    assert not terms.may_write(both, nonce, term)


@given(several, known, st.booleans(), st.sampled_from(NONCES))
def test_a_claim_is_above_all_that_is_known_and_says_whether_the_ledger_was_lost(records, term, reset, nonce):
    found = Terms(records, reset)

    claim = terms.claiming(found, nonce, term)

    assert claim.term > max([term, *(record.term for record in records)])
    assert claim.anew == (terms.newest(found, term) is None)


@given(several, known, st.integers(0, 9))
def test_no_term_is_claimed_twice_but_the_first_of_all_if_nobody_is_known_to_have_seen_it(
    records, term, claimed
):
    claim = terms.claiming(Terms(records), 'a', term, claimed)

    nobody = not records and not term
    assert claim.term == 1 if nobody else claim.term > claimed


@given(several, known, st.sampled_from(NONCES), ledgers)
def test_a_ledger_that_is_opened_or_appended_to_is_the_one_that_counts(records, term, nonce, ledger):
    found = Terms(records)
    claimed = Terms((*records, terms.claiming(found, nonce, term)))

    for _ in range(2):
        record = terms.opened(terms.last_record(claimed, nonce), ledger._replace(term=7, contested=True))
        claimed = written(claimed, record)
        assert terms.newest(claimed, term) == ledger._replace(term=record.term)
        assert terms.may_write(claimed, nonce, term)
        assert record.ledger == ledger  # what it says of terms is in its key alone


def written(found, record):
    removed = terms.superseded(found, record)
    return Terms((*(each for each in found.records if each not in removed), record))


@given(several, known, st.sampled_from(NONCES), ledgers, st.data())
def test_a_late_write_of_what_was_superseded_changes_nothing(records, term, nonce, ledger, data):
    """On Juju 4 the commit of a leader sends back all that its hook had read; see terms.py."""
    found = Terms(records)
    claimed = Terms((*records, terms.claiming(found, nonce, term)))
    record = terms.opened(terms.last_record(claimed, nonce), ledger)
    after = written(claimed, record)
    removed = terms.superseded(claimed, record)
    back = Terms((*after.records, *data.draw(st.permutations(removed))))

    for judged in (terms.newest, terms.is_lost):
        assert judged(back, term) == judged(after, term)
    assert terms.claim_to_answer(back) == terms.claim_to_answer(after)
    for each in NONCES:
        assert terms.may_write(back, each, term) == terms.may_write(after, each, term)


@given(several, several)
def test_a_write_supersedes_only_what_is_before_it_and_a_claim_supersedes_nothing(records, more):
    found = Terms(one_for_each_key((*records, *more)))

    for record in more:
        removed = terms.superseded(found, record)
        assert all(each.place < record.place for each in removed)
        assert not (removed and not record.version)


@given(several, known)
def test_a_ledger_is_contested_while_a_higher_term_is_claimed_and_not_open(records, term):
    found = Terms(records)
    ledger, newest = terms.newest(found, term), terms.newest_record(found)

    if ledger:
        assert ledger.term == newest.term == max(record.term for record in records if record.version)
        assert ledger.contested == (terms.highest(found) > newest.term)


@pytest.mark.parametrize(
    'found, term, lost',
    [
        pytest.param(Terms(), 0, True, id='there never was one'),
        pytest.param(Terms((Record('a', 3),)), 3, True, id='claimed, and never opened'),
        pytest.param(Terms((Record('a', 3, 1, Ledger()),)), 3, False, id='open'),
        pytest.param(Terms((Record('a', 3, 1, Ledger()),)), 4, True, id='a later term was seen'),
        pytest.param(
            Terms((Record('a', 3, 1, Ledger()), Record('b', 4))), 4, False, id='claimed by the next leader'
        ),
        pytest.param(
            Terms((Record('a', 3, 1, Ledger()), Record('b', 4, anew=True))), 4, True, id='claimed as lost'
        ),
        pytest.param(
            Terms((Record('b', 4, anew=True), Record('b', 4, 1, Ledger()))), 4, False, id='made anew'
        ),
        pytest.param(Terms((Record('a', 3, 1, Ledger()),), reset=True), 3, True, id='reset by an operator'),
    ],
)
def test_a_ledger_is_lost_if_a_later_term_was_seen_or_somebody_says_so(found, term, lost):
    assert terms.is_lost(found, term) == lost
    assert (terms.newest(found, term) is None) == lost


def test_where_a_ledger_is_lost_only_a_claim_made_since_then_lets_its_writer_go_on():
    before = Terms((Record('a', 3, 1, Ledger()),))

    assert terms.may_write(before, 'a', 3)
    assert not terms.may_write(before._replace(reset=True), 'a', 3)
    assert not terms.may_write(before, 'a', 5)
    anew = terms.claiming(before, 'a', 5)
    assert anew == Record('a', 6, anew=True)
    assert terms.may_write(Terms((*before.records, anew)), 'a', 5)


def test_units_answer_the_highest_claim_that_was_made_for_a_lost_ledger():
    old, new = Record('a', 3, 2, Ledger()), Record('b', 5, anew=True)

    assert terms.claim_to_answer(Terms((old,))) == ''
    assert terms.claim_to_answer(Terms((old, Record('b', 4)))) == ''
    assert terms.claim_to_answer(Terms((old, new, Record('c', 4, anew=True)))) == '5-b'
    assert terms.claim_to_answer(Terms((new, Record('b', 5, 1, Ledger())))) == ''


@given(several, known, st.integers(1, 9))
def test_a_unit_that_knew_the_term_of_a_claim_from_another_ledger_says_a_higher_one_only_once(
    records, term, claimed
):
    found = Terms((*records, Record('new', claimed, anew=True)))
    answer, highest = terms.claim_to_answer(found), terms.highest(found)

    first = terms.known_once_read(found, term, '')
    assert first == (highest + 1 if answer and term == highest else max(term, highest))
    assert terms.known_once_read(found, first, answer) == first
    assert not (answer and term >= highest and terms.may_write(found, 'new', first))


def test_a_unit_is_silent_until_it_gives_exactly_the_answer_to_this_claim():
    about = {
        'app/0': About(5, '5-b', '', True),
        'app/1': About(6, '6-c', '', True),
        'app/2': About(0, '', '', True),
        'app/3': About(),
    }

    assert terms.silent(about, frozenset([*about, 'app/4']), frozenset(), '5-b') == {'app/1', 'app/2'}
    assert terms.silent(about, frozenset(['app/0', 'app/3']), frozenset(), '5-b') == frozenset()
    everybody = frozenset([*about, 'app/4'])
    assert 'app/4' in terms.silent(about, everybody, everybody, '5-b')  # a cache may hide what it said


def test_a_leaders_last_record_is_its_newest_ledger_or_its_claim():
    records = (Record('a', 3), Record('a', 3, 2, Ledger(2)), Record('a', 3, 1, Ledger(1)), Record('b', 9))

    assert terms.last_record(Terms(records), 'a') == records[1]
    assert terms.last_record(Terms(records), 'd') == Record('d', 0)


def test_a_ticket_that_a_deposed_leader_gives_after_the_copy_is_in_no_ledger_that_counts():
    """Rule 13: the copy is read after the claim, and all go by it from then on."""
    shared = Terms((Record('a', 1, 1, Ledger(1, (Ticket(1, '', 'app/0', 1),))),))
    claim = terms.claiming(shared, 'b', 1)
    copied = terms.newest(Terms((*shared.records, claim)), 1)
    late = terms.opened(shared.records[0], Ledger(2, (*copied.tickets, Ticket(2, '', 'app/1', 1))))

    between = written(Terms((*shared.records, claim)), late)
    after = written(between, terms.opened(claim, copied))

    assert terms.newest(between, 2).contested
    assert [ticket.unit for ticket in terms.newest(after, 2).tickets] == ['app/0']


@pytest.mark.parametrize(
    'units, sentence',
    [
        ({'app/4'}, 'the leader makes a new ledger when app/4 has answered'),
        ({'app/4', 'app/2'}, 'the leader makes a new ledger when app/2 and app/4 have answered'),
    ],
)
def test_for_what_units_a_leader_waits_is_said_in_a_sentence(units, sentence):
    assert terms.awaiting(units) == sentence


def test_while_there_is_no_ledger_what_is_over_is_remembered_for_its_token():
    over = ((('app/0', ''), Claim(3, 3, token=7, nonce='n0')),)
    hook = HookContext('app/1')
    lost = View(
        None, Snapshot(hook, state=UnitState(peers=over)), Policy(), print
    )  # it needs no port for this
    there = View(None, Snapshot(hook, state=UnitState(peers=over), ledger=Ledger(7)), Policy(), print)

    lost._forget()
    there._forget()

    assert rules.rebuilt(lost.claims, 1).token > 7
    assert there.claims == {}
