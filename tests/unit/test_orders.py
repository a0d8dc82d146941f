"""Rolls, pauses, cancellations and freed units, as values; and what a unit does about them in a hook."""

import pytest
from charms.layer.coordinator import ordering, orders, rules, why
from charms.layer.coordinator.context import HookContext
from charms.layer.coordinator.plan import is_size, planned
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.session import Session
from charms.layer.coordinator.values import (
    CANCEL,
    FREE,
    MAX_TOKEN,
    PAUSE,
    RESUME,
    ROLL,
    Claim,
    Ledger,
    Order,
    Ticket,
    UnitState,
    Wish,
)
from charms.layer.coordinator.view import Snapshot

pytestmark = pytest.mark.every_python

UNITS = ('app/0', 'app/1', 'app/2', 'app/3')
NONCES = {unit: 'nonce{}'.format(unit[-1]) for unit in UNITS}


def roll_of(*stages, name='r1', **wish):
    named = tuple(tuple((unit, NONCES[unit]) for unit in stage) for stage in stages)
    return Wish(Order(ROLL, name, 'restart', '2026-11-27 02:13:00.000000Z'), named, **wish)


def rolled(*stages, slots=1, ledger=None, **wish):
    return orders.applied(ledger or Ledger(), roll_of(*stages, **wish), slots, '', {})


def over(ledger, *units):
    """Return what units say that have had their turn in every roll of a ledger."""
    return {(unit, ''): Claim(1, 1, nonce=NONCES[unit], ended=ledger.token) for unit in units}


def whose_turn(ledger, claims):
    waiting = [ticket for ticket in ledger.tickets if not rules.finished(ticket, claims)]
    return [ticket.unit for ticket in waiting if rules.is_turn(ledger, ticket, claims)]


def own(unit='app/1', **claim):
    return {'': Claim(nonce=NONCES[unit], **claim)}


def asked(unit, ask=1, token=0, begun=False):
    """Return the claim of a unit that has asked for the lock."""
    return Claim(ask, ask - 1, (('restart', 'then'),), begun, token, nonce=NONCES[unit])


# Rolls


def test_a_roll_gives_each_unit_one_ticket_in_one_write_and_the_ledger_remembers_it():
    ledger = rolled(UNITS)

    assert [(each.token, each.unit, each.roll, each.ask) for each in ledger.tickets] == [
        (token + 1, unit, 'restart', 0) for token, unit in enumerate(UNITS)
    ]
    assert orders.rolls(ledger) == (Order(ROLL, 'r1', 'restart', '2026-11-27 02:13:00.000000Z', '', 1, 4),)
    assert orders.applied(ledger, roll_of(UNITS), 1, '', {}) == ledger  # a retry gives no second one


def test_a_roll_is_over_when_each_unit_has_had_its_turn():
    ledger = rolled(UNITS)
    roll = ledger.orders[0]

    assert not orders.is_over(ledger, roll, over(ledger, *UNITS[:3]))
    assert [ticket.unit for ticket in orders.left_in(ledger, roll, over(ledger, *UNITS[:3]))] == ['app/3']
    assert orders.is_over(ledger, roll, over(ledger, *UNITS))


def test_a_ticket_of_a_roll_is_not_finished_by_the_asks_of_its_unit():
    ledger = rolled(UNITS)
    claims = {(unit, ''): Claim(7, 7, nonce=NONCES[unit]) for unit in UNITS}

    assert not any(rules.finished(ticket, claims) for ticket in ledger.tickets)


def test_a_stage_begins_when_the_one_before_it_is_over():
    ledger = rolled(UNITS[:1], UNITS[1:], slots=3)

    assert whose_turn(ledger, {}) == ['app/0']
    assert whose_turn(ledger, over(ledger, 'app/0')) == ['app/1', 'app/2', 'app/3']


def test_a_roll_waits_for_the_requests_before_it_and_the_requests_after_it_wait_for_the_roll():
    before = Ledger(1, (Ticket(1, '', 'app/3', 1, slots=2, nonce=NONCES['app/3']),))
    ledger = rolled(UNITS[:2], slots=2, ledger=before)
    later = {('app/2', ''): asked('app/2'), ('app/3', ''): asked('app/3')}
    grown = rules.appended(ledger, later, {}, 4)

    assert whose_turn(ledger, {}) == ['app/3']
    assert grown.tickets[-1].unit == 'app/2'
    assert whose_turn(grown, over(ledger, 'app/0')) == ['app/3']


def test_a_unit_uses_its_first_ticket_whether_it_asked_for_it_or_a_roll_did():
    mine = Ticket(1, '', 'app/1', 5, nonce=NONCES['app/1'])
    ledger = rolled(UNITS, ledger=Ledger(1, (mine,)))
    waits = Claim(5, 4, nonce=NONCES['app/1'])
    done = waits._replace(done=5)

    assert rules.ticket_of(ledger, 'app/1', '', waits) == mine
    assert rules.ticket_of(ledger, 'app/1', '', done).token == 3
    assert rules.ticket_of(ledger, 'app/1', '', done._replace(ended=3)) is None


def test_a_turn_of_a_roll_serves_what_its_unit_has_asked_for_meanwhile():
    ledger = rolled(UNITS)
    turn = rules.asked_for(asked('app/1', 3), 'restart', 'now')._replace(begun=True, token=2, roll=True)
    claims = {('app/1', ''): turn}

    assert rules.unserved(ledger, claims) == {}
    assert rules.released(turn)._replace(token=0) == Claim(3, 3, nonce=NONCES['app/1'], ended=2)


def test_a_second_roll_of_the_lock_is_refused_until_the_first_is_over():
    ledger = rolled(UNITS)
    again = roll_of(UNITS, name='r2')

    refusal = 'a roll is under way, 1 of 4 done; cancel it first, or replace it'
    assert orders.refused(ledger, again, over(ledger, 'app/0')) == refusal
    assert orders.refused(ledger, again._replace(replace=True), {}) == ''
    assert orders.refused(ledger, again, over(ledger, *UNITS)) == ''


def test_a_roll_that_replaces_another_lets_its_units_withdraw_from_that_one():
    ledger = rolled(UNITS, name='r2', ledger=rolled(UNITS), replace=True)
    obeyed = orders.obeyed(ledger, 'app/1', NONCES['app/1'], own())

    assert [order.kind for order in ledger.orders] == [CANCEL, ROLL]
    assert rules.ticket_of(ledger, 'app/1', '', obeyed['']).token == 6


def test_a_roll_with_a_pause_goes_on_when_the_operator_resumes():
    ledger = rolled(UNITS[:1], UNITS[1:], slots=3, pause_after=1)
    second = ledger.tickets[1]
    resume = Wish(Order(RESUME, 'o2', 'restart'))

    assert orders.pause_of(ledger, ledger.tickets[0], frozenset(), {}) is None
    sentence = 'waits for the operator: stage 1 of 2 is done'
    assert why.refusal(ledger, second, over(ledger, 'app/0')) == sentence
    assert orders.pause_of(orders.applied(ledger, resume, 3, '', {}), second, frozenset(), {}) is None


def test_a_unit_without_a_ticket_reads_what_would_stop_its_next_one():
    stage = rolled(UNITS[:1], UNITS[1:2], pause_after=1)
    ticket = rules.behind_all('', 'app/3')
    asks = {('app/3', ''): asked('app/3')}

    def sentence(ledger, claims):
        behind = ledger._replace(tickets=(*ledger.tickets, ticket))
        return why.refusal(behind, ticket, claims).partition('no ticket yet; ')[2]

    assert sentence(stage, asks) == 'app/0 holds it; then the roll waits for the operator'
    assert sentence(stage, {}) == 'app/0 holds it', 'it is a pause of another lock'
    gone = stage._replace(tickets=())
    assert 'operator' not in sentence(gone, asks), 'the pause between two stages ends with the roll'
    later = stage.orders[0]._replace(first=stage.token + 2)
    assert sentence(stage._replace(orders=(later,)), asks) == 'app/0 holds it', 'its next ticket comes before'


def test_a_ledger_without_room_for_a_roll_stays_as_it_is():
    full = Ledger(MAX_TOKEN - 2)

    assert rolled(UNITS, ledger=full) == full


def test_a_unit_that_leaves_gives_up_its_places_in_rolls():
    state = UnitState(nonce=NONCES['app/1'], seen=(('', -2),))
    leaving = Snapshot(HookContext('app/1', leaving=True), state=state)
    session = Session(None, leaving, Policy(), print)  # it needs no port for this

    assert session._fitting({})['']._replace(nonce='') == Claim(ended=MAX_TOKEN)


# Pauses


def test_a_pause_is_about_its_lock_or_about_all_and_says_since_when_and_why():
    ticket = Ticket(1, '', 'app/1', 1, nonce=NONCES['app/1'])
    one = Order(PAUSE, 'o1', 'restart', '2026-11-27 02:13:00.000000Z', 'disk swap')
    ledger = Ledger(1, (ticket,), orders=(one,))
    claims = {('app/1', ''): asked('app/1')}

    assert why.refusal(ledger, ticket, claims) == 'paused since 2026-11-27 02:13 UTC: disk swap'
    assert orders.pause_of(ledger, ticket, frozenset({'upgrade'}), {}) is None
    everything = ledger._replace(orders=(one._replace(lock=''),))
    assert orders.pause_of(everything, ticket, frozenset({'upgrade'}), {})


def test_what_is_paused_already_or_not_at_all_is_said_so():
    pause, resume = Wish(Order(PAUSE, 'o1', 'restart')), Wish(Order(RESUME, 'o2', 'restart'))
    paused = orders.applied(Ledger(), pause, 1, '', {})

    assert orders.refused(paused, Wish(Order(PAUSE, 'o3', 'restart')), {}) == 'already paused'
    assert orders.refused(Ledger(), resume, {}) == 'not paused'
    of_all = orders.applied(Ledger(), Wish(Order(PAUSE, 'o4')), 1, '', {})
    assert orders.refused(of_all, resume, {}) == 'all locks are paused; resume them all'
    assert orders.applied(paused, resume, 1, '', {}) == Ledger()


# Cancellations


def test_what_has_not_begun_is_withdrawn_when_it_is_cancelled():
    nonce = NONCES['app/1']
    ledger = rolled(UNITS, ledger=Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=nonce),)))
    cancelled = orders.applied(ledger, Wish(Order(CANCEL, 'o1', 'restart')), 1, '', {})
    waits, works = {'': asked('app/1')}, {'': asked('app/1', token=1, begun=True)}

    assert orders.obeyed(cancelled, 'app/1', nonce, waits)[''].outstanding is False
    assert orders.obeyed(cancelled, 'app/1', nonce, waits)[''].ended == 3
    assert orders.obeyed(cancelled, 'app/1', nonce, works)[''].holds
    assert orders.rolls(cancelled) == ()


def test_a_cancellation_leaves_other_locks_and_later_requests_alone():
    nonce = NONCES['app/1']
    both = asked('app/1')._replace(locks=(('restart', 'then'), ('upgrade', 'then')))
    ledger = Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=nonce),))
    cancelled = orders.applied(ledger, Wish(Order(CANCEL, 'o1', 'restart')), 1, '', {})
    later = cancelled._replace(token=2, tickets=(Ticket(2, '', 'app/1', 1, nonce=nonce),))

    assert orders.obeyed(cancelled, 'app/1', nonce, {'': both})[''].names == {'upgrade'}
    assert orders.obeyed(later, 'app/1', nonce, {'': asked('app/1')})[''].outstanding


GATED = [
    asked('app/1')._replace(locks=(('restart', 'then'), ('upgrade', 'then'))),  # one of two is cancelled
    asked('app/1')._replace(asked=0, done=0, locks=()),  # a roll's turn alone
]


@pytest.mark.parametrize('order', [Order(CANCEL, 'o1', 'restart'), Order(FREE, 'o1', unit='app/1')])
@pytest.mark.parametrize('claim', GATED)
def test_what_a_gate_says_ends_with_what_is_cancelled_or_freed_and_a_later_sentence_stays(order, claim):
    nonce = NONCES['app/1']
    ledger = rolled(UNITS, ledger=Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=nonce),)))
    ordered = orders.applied(ledger, Wish(order), 1, '', {})

    after = orders.obeyed(ordered, 'app/1', nonce, {'': claim._replace(reason='shut')})['']
    assert after.reason == ''
    later = {'': after._replace(reason='shut again')}
    assert orders.obeyed(ordered, 'app/1', nonce, later) == later


def test_why_a_lock_is_kept_is_still_said_when_a_place_of_its_unit_in_a_roll_is_cancelled():
    kept = Claim(1, 0, (('upgrade', 'then'),), True, 1, nonce=NONCES['app/1'], reason='it heals')
    ledger = rolled(UNITS, ledger=Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=NONCES['app/1']),)))
    cancelled = orders.applied(ledger, Wish(Order(CANCEL, 'o1', 'restart')), 1, '', {})

    after = orders.obeyed(cancelled, 'app/1', NONCES['app/1'], {'': kept})['']
    assert (after.ended, after.reason) == (3, 'it heals')


# Freed units


def freed(ledger, claims=None, unit='app/1'):
    return orders.applied(ledger, Wish(Order(FREE, 'o1', unit=unit)), 1, '', claims or {})


def test_the_tickets_of_a_freed_unit_are_gone_and_its_request_gets_no_new_one():
    claims = {('app/1', ''): asked('app/1', token=1, begun=True)}
    ledger = Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=NONCES['app/1']),))
    free = freed(ledger, claims)

    assert free.tickets == ()
    assert rules.appended(free, claims, claims, 1).tickets == ()


def test_a_freed_unit_that_comes_back_asks_anew_and_holds_nothing():
    begun = asked('app/1', token=1, begun=True)
    free = freed(Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=NONCES['app/1']),)), {('app/1', ''): begun})
    back = orders.obeyed(free, 'app/1', NONCES['app/1'], {'': begun})['']

    assert (back.asked, back.done, back.holds, back.names) == (2, 1, False, {'restart'})
    assert orders.obeyed(free, 'app/1', NONCES['app/1'], {'': back}) == {'': back}
    assert len(rules.appended(free, {('app/1', ''): back}, {}, 1).tickets) == 1


def test_a_turn_of_a_roll_that_began_unheard_is_over_too_when_its_unit_is_freed():
    ledger = freed(rolled(UNITS))
    begun = asked('app/1', 1, token=2, begun=True)._replace(roll=True)

    assert not orders.obeyed(ledger, 'app/1', NONCES['app/1'], {'': begun})[''].holds


def test_another_life_of_the_name_is_not_freed():
    ledger = freed(Ledger(1, (Ticket(1, '', 'app/1', 1, nonce=NONCES['app/1']),)))

    assert orders.obeyed(ledger, 'app/1', 'another1', own()) == own()


@pytest.mark.parametrize(
    'claim, stays',
    [
        (None, True),
        (Claim(1, 0, nonce='nonce1'), True),
        (Claim(2, 1, nonce='nonce1', ended=1), False),
        (Claim(1, 0, nonce='another1'), False),
    ],
)
def test_the_ledger_remembers_that_a_unit_was_freed_until_the_unit_knows(claim, stays):
    ledger = freed(Ledger(1, (Ticket(1, '', 'app/1', 1, nonce='nonce1'),)))
    claims = {('app/1', ''): claim} if claim else {}

    assert bool(orders.tidied(ledger, claims, frozenset(), ()).orders) is stays
    assert orders.tidied(ledger, claims, {'app/1'}, ()).orders == ()


def test_only_a_unit_that_holds_or_waits_is_freed():
    refusal = 'it holds no lock and waits for none'

    assert orders.refused(Ledger(), Wish(Order(FREE, 'o1', unit='app/1')), {}) == refusal
    assert orders.refused(rolled(UNITS), Wish(Order(FREE, 'o1', unit='app/1')), {}) == ''


def test_nothing_is_ordered_while_the_ledger_cannot_be_read():
    spoilt = Ledger(readable=False)

    assert 'cannot be read' in orders.refused(spoilt, Wish(Order(PAUSE, 'o1')), {})
    assert orders.applied(spoilt, Wish(Order(PAUSE, 'o1')), 1, '', {}) == spoilt


# In which order


def test_by_default_all_units_are_in_one_stage_by_number_and_the_leader_is_last():
    zones = dict.fromkeys(['app/10', 'app/9', 'app/0', 'app/2'], '')

    assert planned(zones, 'app/2') == (('app/0', 'app/9', 'app/10', 'app/2'),)
    assert planned(zones, 'app/2', order='leader-first') == (('app/2', 'app/0', 'app/9', 'app/10'),)
    assert planned(zones, 'app/2', order='name') == (('app/0', 'app/2', 'app/9', 'app/10'),)


def test_batches_are_stages_and_the_last_size_repeats():
    zones = {'app/{}'.format(number): '' for number in range(12)}

    assert list(map(len, planned(zones, 'app/0', (1, 2, '25%')))) == [1, 2, 3, 3, 3]
    assert list(map(len, planned(zones, 'app/0', ('1%',)))) == [1] * 12


def test_no_batch_mixes_zones_and_the_zone_of_the_leader_comes_last():
    zones = {'app/0': 'b', 'app/1': 'a', 'app/2': 'b', 'app/3': 'c', 'app/4': ''}

    assert planned(zones, 'app/0', (2,), by_zone=True) == (
        ('app/4',),
        ('app/1',),
        ('app/3',),
        ('app/2', 'app/0'),
    )


@pytest.mark.parametrize('size', [1, 10000, '1%', '100%'])
def test_a_batch_may_be_a_number_of_units_or_a_percentage(size):
    assert is_size(size)


@pytest.mark.parametrize('size', [0, -1, 10001, True, '0%', '101%', '5', '%', 2.0, None])
def test_nothing_else_is_the_size_of_a_batch(size):
    assert not is_size(size)


def test_an_order_takes_the_place_of_an_earlier_one_that_it_undoes():
    """Both in one ledger, the pause would never be seen to stand, and would be given again later."""
    pause, other = Wish(Order(PAUSE, 'p', 'restart')), Wish(Order(PAUSE, 'o', 'b'))
    resume, cancel = Wish(Order(RESUME, 'r', 'restart')), Wish(Order(CANCEL, 'c', 'restart'))
    roll = Wish(Order(ROLL, 'l', 'restart'))

    assert orders.with_wish((pause, other), resume) == (other, resume)
    assert orders.with_wish((pause, roll, other), cancel) == (pause, other, cancel)
    assert orders.with_wish((other,), pause) == (other, pause)


def test_a_later_place_in_rolls_is_given_up_only_when_the_earlier_ones_are_over():
    """Found by a review: a claim says that all places up to a token are over, so a kept turn was over."""
    nonce, locks = NONCES['app/1'], {1: 'restart', 2: 'b'}
    places = tuple(Ticket(n, '', 'app/1', 0, 1, nonce=nonce, stage=n, roll=locks[n]) for n in locks)
    later = Ledger(2, places, orders=(Order(CANCEL, 'c', 'b', first=1, last=2),))
    waits = Claim(nonce=nonce)
    keeps = Claim(1, 0, (('restart', '2026'),), begun=True, token=1, roll=True, nonce=nonce)

    for claim in (waits, keeps):
        assert orders.obeyed(later, 'app/1', nonce, {'': claim})[''] == claim
    over = waits._replace(ended=1)
    assert orders.obeyed(later, 'app/1', nonce, {'': over})[''] == over._replace(ended=2)


@pytest.mark.parametrize('give', [ordering.pause, ordering.resume])
@pytest.mark.parametrize('odd', [None, 0, False, '{x}'])
def test_a_pause_of_what_is_no_lock_is_refused(give, odd):
    """None was written into the ledger, which nobody could read from then on."""
    with pytest.raises(ValueError, match='lock name'):
        give(None, odd)
