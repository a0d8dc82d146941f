"""The rules, one by one and as laws: claims, tickets, whose turn it is, what the leader appends."""

import pytest
from charms.layer.coordinator import merging, rules, why, wire
from charms.layer.coordinator.compat import deciding
from charms.layer.coordinator.policy import from_options
from charms.layer.coordinator.values import (
    MAX_BYTES,
    MAX_COUNT,
    UNREADABLE,
    Claim,
    End,
    Ledger,
    Record,
    Ticket,
)
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.every_python

UNITS = ['app/{}'.format(number) for number in range(4)]
LOCKS = (('restart', '2026-01-01'),)


def asking(*asks, since='2026-01-01'):
    """Return claims of app/0, app/1 …, each (asked, done) in the queue of all locks."""
    return {
        (unit, ''): Claim(asked, done, ((('restart', since),) if asked > done else ()))
        for unit, (asked, done) in zip(UNITS, asks)
    }


counts = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: (max(pair), min(pair)))
claims = st.lists(counts, min_size=1, max_size=4).map(lambda pairs: asking(*pairs))
both_claims = st.builds(
    lambda pair, token: Claim(pair[0], pair[1], LOCKS if pair[0] > pair[1] else (), token=token),
    counts,
    st.integers(0, 9),
)


def text_of(ledger):
    return wire.record_text(Record('0a1b2c3d', 1, 1, ledger))


def grown(*turns, slots=1):
    """Return the ledger after the leader has heard these claims, one after another."""
    ledger = Ledger()
    for said in turns:
        ledger = rules.appended(ledger, said, said, slots)
    return ledger


def holders(ledger, said):
    waiting = [t for t in ledger.tickets if not rules.finished(t, said)]
    return [t.unit for t in waiting if len(rules.ahead(ledger, t, said)) < t.slots]


@pytest.mark.parametrize(
    'seen, holder',
    [
        pytest.param((1, 0), 'app/0', id='still working'),
        pytest.param((0, 0), 'app/0', id='old news is no release'),
        pytest.param((1, 1), 'app/1', id='done'),
        pytest.param((2, 1), 'app/1', id='done, and asks again'),
    ],
)
def test_a_ticket_stands_until_its_unit_says_done(seen, holder):
    ledger = grown(asking((1, 0), (1, 0)))

    later = asking(seen, (1, 0))
    ledger = rules.appended(ledger, later, later, 1)

    assert holders(ledger, later) == [holder]


def test_a_unit_of_which_nothing_is_known_holds_what_it_has():
    ledger = grown(asking((1, 0), (1, 0)))

    assert holders(ledger, {('app/1', ''): Claim(1, 0, LOCKS)})[0] == 'app/0'


def test_requests_seen_together_are_ordered_by_time_and_then_by_unit():
    said = {
        ('app/0', ''): Claim(1, 0, (('a', '3'),)),
        ('app/2', ''): Claim(1, 0, (('a', '1'),)),
        ('app/1', ''): Claim(1, 0, (('a', '1'),)),
    }

    assert [ticket.unit for ticket in grown(said).tickets] == ['app/1', 'app/2', 'app/0']


def test_an_earlier_clock_overtakes_nobody_who_has_a_ticket():
    first = {('app/0', ''): Claim(1, 0, (('a', '2026'),))}
    slow_clock = {**first, ('app/1', ''): Claim(1, 0, (('a', '1970'),))}

    assert [ticket.unit for ticket in grown(first, slow_clock).tickets] == ['app/0', 'app/1']


def test_the_leader_writes_rarely():
    some = asking((1, 0), (1, 0))
    more = asking((1, 0), (1, 0), (1, 0), (1, 0))

    ledger = grown(some)

    assert rules.appended(ledger, more, more, 1) == ledger  # two unfinished are enough for one slot
    nearly_idle = asking((1, 1), (1, 0), (1, 0), (1, 0))
    assert len(rules.appended(ledger, nearly_idle, nearly_idle, 1).tickets) == 3  # then all that are known


def test_what_only_this_unit_knows_yet_of_itself_frees_no_ticket():
    ledger = grown(asking((1, 0)))
    truth, committed = asking((2, 1), (1, 0)), asking((1, 0), (1, 0))

    ledger = rules.appended(ledger, truth, committed, 1)

    assert [(ticket.unit, ticket.ask) for ticket in ledger.tickets] == [
        ('app/0', 1),
        ('app/0', 2),
        ('app/1', 1),
    ]


def test_only_a_unit_that_is_gone_loses_an_unfinished_ticket():
    said = asking((1, 0), (1, 0))
    ledger = grown(said)

    assert holders(rules.appended(ledger, said, said, 1, frozenset({'app/0'})), said) == ['app/1']


def test_fewer_slots_later_take_nothing_from_a_holder():
    said = asking((1, 0), (1, 0), (1, 0))
    ledger = rules.appended(Ledger(), said, said, 2)

    later = asking((1, 1), (1, 0), (1, 0), (1, 0))
    ledger = rules.appended(ledger, later, later, 1)

    assert holders(ledger, later)[:2] == ['app/1', 'app/2']


def test_a_lock_of_its_own_queue_waits_for_a_turn_of_all_locks_given_before():
    """In the minutes of a charm upgrade that changes the option `queues`."""
    tickets = (Ticket(1, '', 'app/0', 1), Ticket(2, 'a', 'app/1', 1), Ticket(3, 'b', 'app/2', 1))
    ledger = Ledger(3, tickets)

    assert holders(ledger, {}) == ['app/0']
    assert holders(ledger, {('app/0', ''): Claim(1, 1)}) == ['app/1', 'app/2']


def test_a_ledger_never_outgrows_a_command_line():
    said = {('app/{}'.format(n), ''): Claim(1, 0, LOCKS) for n in range(3000)}

    assert 1000 < len(grown(said).tickets) < 3000
    assert len(text_of(grown(said))) < 131072


def test_long_names_in_other_alphabets_do_not_outgrow_it_either():
    said = {('app/{}'.format(n), 'ß' * 99 + str(n)): Claim(1, 0, (('ß' * 99, ''),)) for n in range(400)}

    assert len(text_of(grown(said))) < 131072


def test_a_thousand_waiting_units_are_all_in_one_ledger():
    said = {('a-rather-long-application/{}'.format(n), ''): Claim(1, 0, LOCKS) for n in range(1000)}

    assert len(grown(said).tickets) == 1000
    assert len(text_of(grown(said))) < 131072  # one argument of a command line on Linux


@given(claims, claims)
def test_a_second_look_changes_nothing(first, then):
    ledger = grown(first, then)

    assert rules.appended(ledger, then, then, 1) == ledger or rules.unserved(ledger, then)
    assert rules.appended(rules.appended(ledger, then, then, 1), then, then, 1) == rules.appended(
        ledger, then, then, 1
    )


@given(st.lists(claims, max_size=6), st.integers(1, 3))
def test_tokens_only_grow_and_none_is_given_twice(turns, slots):
    ledger, given_tokens = Ledger(), []
    for said in turns:
        after = rules.appended(ledger, said, said, slots)
        given_tokens += [ticket.token for ticket in after.tickets if ticket not in ledger.tickets]
        assert after.token >= ledger.token
        ledger = after

    assert given_tokens == sorted(set(given_tokens))


@given(st.lists(claims, max_size=6), claims)
def test_old_news_can_delay_a_turn_and_never_double_it(turns, old):
    ledger = grown(*turns)
    now = {
        key: merging.merged(claim, old.get(key, Claim()))
        for key, claim in (turns[-1] if turns else {}).items()
    }
    older = {key: claim for key, claim in old.items() if claim.done <= now.get(key, Claim()).done}

    for ticket in ledger.tickets:
        assert set(rules.ahead(ledger, ticket, now)) <= set(rules.ahead(ledger, ticket, older))


@given(both_claims, both_claims, both_claims)
def test_versions_of_a_claim_merge_the_same_in_any_order(one, two, three):
    def bare(claim):
        return (claim.asked, claim.done, claim.token)

    assert bare(merging.merged(one, two)) == bare(merging.merged(two, one))
    assert bare(merging.merged(merging.merged(one, two), three)) == bare(
        merging.merged(one, merging.merged(two, three))
    )
    assert merging.merged(one, one) == one


@given(claims)
def test_a_rebuilt_ledger_gives_no_token_again(said):
    told = {key: claim._replace(token=claim.done) for key, claim in said.items()}

    assert rules.rebuilt(told, 1).token >= max(claim.token for claim in told.values())


def test_turns_that_have_begun_come_first_in_a_rebuilt_ledger_whatever_their_queue():
    said = {
        ('app/0', ''): Claim(1, 0, (('a', '1'),)),
        ('app/1', ''): Claim(1, 0, (('a', '2'),), begun=True, nonce='b1'),
        ('app/2', 'c'): Claim(4, 3, (('c', '3'),), begun=True, token=9, nonce='c2'),
    }

    ledger = rules.appended(rules.rebuilt(said, 1), said, said, 1)

    assert [(each.unit, each.queue, each.ask, each.nonce) for each in ledger.tickets] == [
        ('app/1', '', 1, 'b1'),
        ('app/2', 'c', 4, 'c2'),
        ('app/0', '', 1, ''),
    ]
    assert min(each.token for each in ledger.tickets) > 9


def test_a_refusal_says_who_holds_it_and_how_many_are_ahead():
    said = asking((1, 0), (1, 0), (1, 0))
    ledger = grown(said)

    assert why.refusal(ledger, ledger.tickets[1], said) == 'app/0 holds it, 1 ahead of this unit'
    assert (
        why.refusal(ledger, ledger.tickets[2], said) == 'app/0 holds it, 2 ahead of this unit (app/0, app/1)'
    )
    assert why.refusal(None, None, said) == 'asked, and the leader has given no ticket yet'


# Begun turns, ends of turns, incarnations


some_locks = st.lists(st.sampled_from('abc'), max_size=3, unique=True).map(
    lambda found: tuple((lock, '2026') for lock in sorted(found))
)


def one_claim(done, rises, locks, begun, token, again, nonce):
    if not (rises and locks):
        return Claim(done, done, token=token, nonce=nonce)
    return Claim(done + 1, done, locks, begun, token, again if begun else (), nonce)


any_claim = st.builds(
    one_claim,
    st.integers(0, 3),
    st.booleans(),
    some_locks,
    st.booleans(),
    st.integers(0, 9),
    some_locks,
    st.sampled_from(['n1', 'n2']),
)
owns = st.dictionaries(st.sampled_from(['', 'a', 'b']), any_claim, max_size=3)
any_end = st.builds(
    End,
    st.integers(0, 4),
    st.lists(st.sampled_from('abc'), max_size=3, unique=True).map(tuple),
    st.sampled_from(['n1', 'n2']),
    st.just(0),
    st.just(()),
)
ends_by_queue = st.dictionaries(st.sampled_from(['', 'a', 'b']), any_end, max_size=3)


@given(owns, ends_by_queue)
def test_an_end_counts_only_for_the_ask_and_the_incarnation_that_it_names(own, ends):
    after = rules.after_ends(own, ends)

    for queue, claim in own.items():
        end = ends.get(queue)
        if end is None or not claim.outstanding or (end.ask, end.nonce) != (claim.asked, claim.nonce):
            assert after[queue] == claim
        elif claim.names - set(end.locks):
            assert after[queue] == claim._replace(
                locks=tuple(each for each in claim.locks if each[0] not in end.locks)
            )
        else:
            assert after[queue].done == claim.asked
            assert not after[queue].begun
            assert after[queue].locks == claim.again
            assert after[queue].outstanding == bool(claim.again)
    assert set(after) == set(own)


def test_a_lock_that_was_asked_for_anew_in_the_same_ask_is_not_given_up():
    claim = Claim(3, 2, (('a', '5'), ('b', '1')), nonce='n1')
    end = End(3, ('a', 'b'), 'n1', 0, (('a', '1'), ('b', '1')))

    assert rules.after_ends({'': claim}, {'': end}) == {'': claim._replace(locks=(('a', '5'),))}
    assert not rules.after_ends({'': claim}, {'': end._replace(asked=())})[''].outstanding


@given(owns, st.sampled_from(['', 'a']), st.integers(1, 5))
def test_an_end_that_names_a_token_says_that_rolls_up_to_it_are_over(own, queue, token):
    before = own.get(queue, Claim(nonce='n1'))
    after = rules.after_ends(own, {queue: End(9, (), 'n1', token)})[queue]

    over = max(before.ended, token) if before.nonce == 'n1' else before.ended
    assert after == before._replace(ended=over)


@given(owns, ends_by_queue)
def test_ends_that_are_applied_again_change_nothing_and_no_count_falls(own, ends):
    """The charm's key-value store has them until the next turn ends, and each hook applies them."""
    once = rules.after_ends(own, ends)

    assert rules.after_ends(once, ends) == once
    for queue, claim in own.items():
        assert once[queue][:2] >= claim[:2]
        assert once[queue].done >= claim.done


@given(owns, owns)
def test_beside_a_turn_a_unit_says_neither_that_it_has_begun_nor_that_it_is_over(own, committed):
    said = rules.beside_a_turn(own, committed)

    for queue, claim in said.items():
        juju_has = committed.get(queue, Claim())
        assert claim.done == juju_has.done
        assert claim.asked >= juju_has.asked or claim.done == claim.asked == juju_has.done
        of_a_predecessor = queue in own and own[queue].begun and not own[queue].token
        assert claim.begun <= (juju_has.begun or of_a_predecessor)


@given(owns)
def test_beside_a_turn_a_unit_says_its_new_requests(own):
    fresh = {queue: claim for queue, claim in own.items() if not claim.outstanding}
    asked = {queue: rules.asked_for(claim, 'z', '2026') for queue, claim in fresh.items()}

    assert {queue: claim for queue, claim in asked.items() if claim != Claim()} == rules.beside_a_turn(
        asked, {queue: claim for queue, claim in fresh.items() if claim != Claim()}
    )


@given(any_claim, any_claim)
def test_a_version_of_another_incarnation_changes_nothing(one, two):
    if one.nonce != two.nonce:
        assert merging.merged(one, two) == one
    else:
        assert merging.merged(one, two)[:2] == merging.merged(two, one)[:2]


@given(any_claim, any_claim, any_claim)
def test_whether_a_turn_has_begun_merges_the_same_in_any_order(one, two, three):
    one, two, three = (claim._replace(nonce='') for claim in (one, two, three))

    def bare(claim):
        return claim.asked, claim.done, claim.token, claim.begun

    assert bare(merging.merged(one, two)) == bare(merging.merged(two, one))
    assert bare(merging.merged(merging.merged(one, two), three)) == bare(
        merging.merged(one, merging.merged(two, three))
    )
    assert merging.merged(one, one) == one


@given(any_claim)
def test_a_turn_that_is_over_is_followed_by_a_request_for_what_was_asked_for_again(claim):
    over = rules.released(claim)

    assert over.done == claim.asked
    assert over.outstanding == bool(claim.again)
    assert over.locks == claim.again
    assert (over.begun, over.again) == (False, ())
    assert rules.released(rules.released(over)) == rules.released(over)


def test_at_the_greatest_count_nothing_is_asked_for_again():
    last = Claim(MAX_COUNT, MAX_COUNT - 1, (('a', ''),), True, 7, (('a', ''),))

    assert not rules.released(last).outstanding


@given(owns, owns)
def test_a_turn_whose_end_juju_does_not_have_goes_on_for_the_others(own, committed):
    shown = rules.not_said(own, committed)

    for queue, claim in own.items():
        done = committed.get(queue, Claim()).done
        if claim.done > done:
            assert shown[queue].outstanding
            assert shown[queue].begun
            assert (shown[queue].asked, shown[queue].done) == (claim.done, done)
        else:
            assert shown[queue] == claim


@pytest.mark.parametrize(
    'claim, is_over',
    [
        pytest.param(Claim(2, 1, LOCKS, nonce='new'), False, id='its unit works'),
        pytest.param(Claim(2, 2, nonce='new'), True, id='its unit is done'),
        pytest.param(Claim(9, 9, nonce='other'), False, id='a namesake is done'),
        pytest.param(Claim(1, 0, LOCKS, nonce='other', over=('new',)), True, id='a namesake says it is over'),
    ],
)
def test_a_ticket_is_finished_by_its_own_incarnation_or_by_a_later_one_that_says_so(claim, is_over):
    ticket = Ticket(5, '', 'app/0', 2, nonce='new')

    assert rules.finished(ticket, {('app/0', ''): claim}) == is_over


def test_a_request_of_a_new_incarnation_gets_a_ticket_although_a_former_one_had_the_same_number():
    old = {('app/0', ''): Claim(1, 0, LOCKS, nonce='old')}
    new = {('app/0', ''): Claim(1, 0, LOCKS, nonce='new', over=('old',))}

    ledger = rules.appended(grown(old), new, new, 1)

    assert [ticket.nonce for ticket in ledger.tickets] == ['new']
    assert rules.ticket_of(ledger, 'app/0', '', new['app/0', '']) == ledger.tickets[0]
    assert rules.ticket_of(grown(old), 'app/0', '', new['app/0', '']) is None


def test_a_unit_says_that_tickets_of_a_former_unit_of_its_name_are_over():
    ledger = grown({('app/0', ''): Claim(7, 6, LOCKS, nonce='old'), ('app/1', ''): Claim(1, 0, LOCKS)})

    own = rules.adopted(ledger, 'app/0', 'new', {})

    assert own == {'': Claim(nonce='new', over=('old',))}
    assert rules.adopted(ledger, 'app/0', 'new', own) == own
    assert rules.finished(ledger.tickets[0], {('app/0', ''): own['']})


def test_a_unit_that_forgot_an_ask_of_its_own_finds_it_in_the_ledger():
    ledger = grown({('app/0', ''): Claim(7, 6, LOCKS, nonce='me')})

    assert rules.adopted(ledger, 'app/0', 'me', {})[''].asked == 7
    assert rules.adopted(ledger, 'app/0', 'me', {'': Claim(8, 8, nonce='me')}) == {
        '': Claim(8, 8, nonce='me')
    }


def test_requests_of_turns_that_had_begun_are_served_before_earlier_ones():
    said = {
        ('app/0', ''): Claim(1, 0, (('a', '1'),)),
        ('app/1', ''): Claim(1, 0, (('a', '2'),), begun=True),
    }

    assert [ticket.unit for ticket in grown(said).tickets] == ['app/1', 'app/0']


# Queues


def test_locks_with_queues_of_their_own_are_held_by_different_units_and_others_by_one():
    for queues, both_hold in (('one', ['app/0']), ('per-lock', ['app/0', 'app/1'])):
        queue_of = from_options({'queues': queues}).queue_of
        said = {
            ('app/0', queue_of('a')): Claim(1, 0, (('a', '1'),)),
            ('app/1', queue_of('b')): Claim(1, 0, (('b', '2'),)),
        }

        assert holders(grown(said), said) == both_hold


# What a policy decides


def per_lock(*wishes):
    """Return claims of (unit, lock, asked, done), each asked for in this order."""
    return {
        (unit, lock): Claim(asked, done, (((lock, '2026-{:02}'.format(place)),) if asked > done else ()))
        for place, (unit, lock, asked, done) in enumerate(wishes)
    }


def decided(ledger, claims, committed, decide, gone=frozenset()):
    return deciding.growing(decide)(ledger, claims, committed, gone)


def alone(question):
    """A policy: one unit holds locks at a time."""
    return not [unit for unit, locks in question.grants.items() if locks and unit != question.unit]


def test_a_policy_is_asked_in_the_order_of_the_requests_and_told_who_holds_and_who_waits():
    asked = []
    said = per_lock(('app/2', 'b', 1, 0), ('app/0', 'a', 1, 0), ('app/1', 'a', 1, 0))

    ledger = decided(Ledger(), said, said, lambda question: not asked.append(question))

    assert [(q.lock, q.unit, sorted(q.granted), q.queue) for q in asked] == [
        ('b', 'app/2', [], ('app/2',)),
        ('a', 'app/0', [], ('app/0', 'app/1')),
        ('a', 'app/1', ['app/0'], ('app/1',)),
    ]
    assert asked[2].grants == {'app/2': {'b': '2026-00'}, 'app/0': {'a': '2026-01'}}
    assert deciding.requests(asked[2].claims) == {**asked[2].grants, 'app/1': {'a': '2026-02'}}
    assert [(ticket.token, ticket.after) for ticket in ledger.tickets] == [(1, ()), (2, ()), (3, ())]


def test_what_a_policy_grants_is_held_beside_what_is_held():
    said = per_lock(('app/0', 'a', 1, 0), ('app/1', 'a', 1, 0), ('app/2', 'b', 1, 0))

    ledger = decided(Ledger(), said, said, lambda question: True)

    assert holders(ledger, said) == ['app/0', 'app/1', 'app/2']


def test_a_ticket_of_a_policy_waits_for_what_the_leader_releases_in_that_hook_whatever_the_lock():
    before = per_lock(('app/0', 'a', 1, 0), ('app/1', 'b', 1, 0))
    ledger = decided(Ledger(), before, before, alone)
    assert [ticket.unit for ticket in ledger.tickets] == ['app/0']
    truth = {**before, ('app/0', 'a'): Claim(1, 1)}

    ledger = decided(ledger, truth, before, alone)

    assert ledger.tickets[1].after == (1,)
    assert holders(ledger, before) == ['app/0']  # as app/1 sees it until the hook has succeeded
    assert holders(ledger, truth) == ['app/1']


def test_a_ticket_of_a_policy_waits_for_all_that_no_policy_gave():
    """A charm upgrade from one queue to a policy; and a ticket that cannot be read."""
    fifo = asking((1, 0), (1, 0))
    text = '{"v": 2, "token": 7, "tickets": ["?", [7, "", "app/1", 1, 1, ""]]}'
    spoilt = wire.record('1-1-0a1b2c3d', text, 'here')[0].ledger
    for ledger in (grown(fifo), spoilt):
        said = {**fifo, **per_lock(('app/2', 'a', 1, 0))}

        after = decided(ledger, said, said, lambda question: True)

        assert after.tickets[-1].unit == 'app/2'
        assert 'app/2' not in holders(after, said)
        assert len(rules.ahead(after, after.tickets[-1], said)) == 2


def test_a_ticket_given_without_a_policy_waits_for_those_of_a_policy():
    said = {**per_lock(('app/0', 'a', 1, 0)), **{('app/1', ''): Claim(1, 0, LOCKS)}}
    ledger = decided(Ledger(), per_lock(('app/0', 'a', 1, 0)), {}, lambda question: True)

    ledger = decided(ledger, said, said, lambda question: True)  # app/1 has no policy yet

    assert [(ticket.queue, ticket.after) for ticket in ledger.tickets] == [('a', ()), ('', None)]
    assert holders(ledger, said) == ['app/0']


def test_a_policy_gives_nothing_where_the_ledger_cannot_be_read_or_is_full():
    said = per_lock(('app/0', 'a', 1, 0))
    full = Ledger(1, (Ticket(1, 'x', 'y' * MAX_BYTES, 1),))

    for ledger in (UNREADABLE, full):
        assert decided(ledger, said, said, lambda question: True) == ledger


def test_units_that_are_gone_are_not_asked_about_and_lose_their_tickets():
    said = per_lock(('app/0', 'a', 1, 0), ('app/1', 'a', 1, 0), ('app/2', 'a', 1, 0))
    ledger = decided(Ledger(), per_lock(('app/0', 'a', 1, 0)), {}, alone)

    ledger = decided(ledger, said, said, alone, frozenset({'app/0', 'app/1'}))

    assert [ticket.unit for ticket in ledger.tickets] == ['app/2']


AB = (('a', '1'), ('b', '1'))


def test_an_end_is_beside_what_an_earlier_hook_saved_of_the_same_ask():
    earlier = End(3, ('a',), 'n1', 7, AB, (('b', '2'),))

    assert End(3, ('b',), 'n1', 5, AB).beside(earlier) == End(3, ('a', 'b'), 'n1', 7, AB, (('b', '2'),))
    assert End(4, ('b',), 'n1', 5, AB).beside(earlier) == End(4, ('b',), 'n1', 7, AB)
    assert End(3, ('b',), 'n2', 5, AB).beside(earlier) == End(3, ('b',), 'n2', 5, AB)


def test_a_lock_that_was_asked_for_anew_is_not_over_by_an_earlier_end():
    anew = (('a', '5'), ('b', '1'))

    assert End(3, ('b',), 'n1', 0, anew).beside(End(3, ('a',), 'n1', 0, AB)).locks == ('b',)


def test_what_is_withdrawn_of_what_comes_after_a_turn_does_not_come():
    claim = Claim(3, 2, (('a', '1'),), begun=True, token=4, again=(('a', '2'), ('b', '3')), nonce='n1')
    end = End(3, (), 'n1', 0, claim.locks, (('a', '2'),))

    assert rules.after_ends({'': claim}, {'': end}) == {'': claim._replace(again=(('b', '3'),))}
    over = rules.after_ends({'': claim}, {'': end._replace(locks=('a',))})['']
    assert (over.asked, over.done, over.locks) == (4, 3, (('b', '3'),))
