"""What the campaign holds against a charm by an operator's word: each promise of word.py, told by hand."""

import json

import pytest
from charms.layer.coordinator import wire
from charms.layer.coordinator.store import Store
from charms.layer.coordinator.values import (
    CANCEL,
    FREE,
    PAUSE,
    ROLL,
    Claim,
    Ledger,
    Order,
    Record,
    Ticket,
    UnitState,
)

from tests.campaigns import chaos
from tests.campaigns.account import Account
from tests.campaigns.told import Told, app_1_works
from tests.campaigns.word import is_refused
from tests.ledger import newest

ROLL_OF_TWO = Order(ROLL, 'r1', 'restart', first=7, last=8)
TICKETS = tuple(
    Ticket(token, '', unit, 0, nonce='0000000' + unit[-1], stage=7, roll='restart')
    for token, unit in ((7, 'app/0'), (8, 'app/1'))
)
PAUSED = Order(PAUSE, 'p1', 'restart')


class Ruled(Told):
    """A model of which a test also tells what leaders have written, and what a unit has stored."""

    version = 0

    def writes(self, *orders, tickets=(), term=1, claimed=0):
        self.version += 1
        ledger = Ledger(8, tickets, orders=orders)
        records = [Record('1eade200', term, self.version, ledger)] + [Record('07e2ab1e', claimed)] * bool(
            claimed
        )
        self.controller.leader_settings = {
            'coordinator-ledger-' + wire.record_name(each): wire.record_text(each) for each in records
        }

    def stores(self, unit, token, locks=('restart',), waits_in=None, also=()):
        nonce = '0000000' + unit[-1]
        asked = tuple((lock, '') for lock in locks)
        own = {'': Claim(1, 0, asked, begun=True, token=token, nonce=nonce)}
        own.update({queue: own['']._replace(token=at) for queue, at in also})
        if waits_in is not None:
            own[waits_in] = Claim(1, 0, (('restart', ''),), nonce=nonce)
        path = self._charm_dir(unit) / '.coordinator.json'
        path.parent.mkdir(exist_ok=True)
        state = UnitState(nonce=nonce, own=tuple(sorted(own.items())))
        Store(str(path), print).set('state', wire.state_value(state))

    def works_in(self, unit, token):
        self.begins(unit)
        self.stores(unit, token)
        self.works(unit)
        self.tell(unit, 'ends')


@pytest.fixture
def ruled(tmp_path):
    """Returns a model of two units that have asked for nothing, and its account."""
    model = Ruled(tmp_path)
    account = Account(model, chaos.kind_of(1)._replace(options='one queue', plan='plain', units=2))
    account._saved = lambda unit: model.saved.get(unit, '')
    return model, account


def test_a_roll_owes_one_turn_to_each_unit_in_it_and_no_more(ruled):
    model, account = ruled
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.works_in('app/0', 7)
    assert account.unserved() == ['app/1 waits for restart, in a roll']

    model.works_in('app/1', 8)
    assert not account.unserved()
    assert not account.faults

    model.works_in('app/1', 8)
    assert account.faults == ['at 0.00: app/1 works under restart, which it has not asked for']


def test_a_turn_of_a_ticket_ahead_of_the_roll_is_not_the_roll_s(ruled):
    model, account = ruled
    model.say('app/0', 'asked: restart request False')
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.works_in('app/0', 6)

    assert 'app/0 waits for restart, in a roll' in account.unserved()
    assert not account.faults


@pytest.mark.parametrize('also, waits', [(('restart', 6), True), (('restart', 7), False)])
def test_one_use_serves_a_request_and_a_place_in_a_roll_if_both_turns_go_on_in_that_hook(ruled, also, waits):
    """After a refresh to `per-lock` these are in two queues (campaign, seed 4382766)."""
    model, account = ruled
    model.say('app/0', 'asked: restart request False')
    model.writes(ROLL_OF_TWO, tickets=tuple(each._replace(queue='restart') for each in TICKETS))
    model.begins('app/0')
    model.stores('app/0', 5, also=[also])
    model.works('app/0')
    model.tell('app/0', 'ends')

    assert ('app/0 waits for restart, in a roll' in account.unserved()) == waits
    assert not account.faults


def test_a_roll_that_a_new_leader_may_not_have_seen_owes_nothing(ruled):
    model, account = ruled
    model.writes(ROLL_OF_TWO, tickets=TICKETS, claimed=2)
    model.works_in('app/0', 7)

    assert not account.unserved()
    assert account.faults == ['at 0.00: app/0 works under restart, which it has not asked for']


def test_a_roll_owes_nothing_for_sure_to_a_unit_that_was_releasing_when_it_came_to_stand(ruled):
    """Campaign, seed 4300852: release_lock read the ledger after the charm had said that it releases."""
    model, account = ruled
    model.say('app/0', 'releases: restart')
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.say('app/0', 'released: restart')

    assert account.unserved() == ['app/1 waits for restart, in a roll']


@pytest.mark.parametrize('end', ['cancelled', 'replaced', 'lost', 'freed', 'removed'])
def test_a_roll_that_does_not_go_on_owes_nothing(ruled, end):
    model, account = ruled
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.works_in('app/0', 7)
    if end == 'removed':
        model.tell('app/1', 'is removed')
        model.tell('app/1', 'added')
    elif end == 'lost':
        model.controller.leader_settings = {'coordinator-ledger': 'lost'}
    elif end == 'freed':
        model.writes(Order(FREE, 'f1', unit='app/1', last=8), ROLL_OF_TWO, tickets=TICKETS[:1])
    else:
        name = 'r1' if end == 'replaced' else 'c1'
        model.writes(Order(CANCEL, name, 'restart', first=1, last=8), tickets=TICKETS)
    model.tell('app/0', 'begins' if 'app/0' in model.running else 'ends')

    assert not account.unserved()


def test_no_turn_begins_in_a_hook_that_began_after_a_pause(ruled):
    model, account = ruled
    model.writes(PAUSED, ROLL_OF_TWO, tickets=TICKETS)
    model.works_in('app/0', 7)
    assert account.faults == ['at 0.00: app/0 begins a turn of restart, which is paused']


def test_a_pause_stops_no_turn_that_has_begun_and_no_hook_that_began_before_it(ruled):
    model, account = ruled
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.begins('app/0')
    model.writes(PAUSED, ROLL_OF_TWO, tickets=TICKETS)
    model.stores('app/0', 7)
    model.works('app/0')
    model.tell('app/0', 'fails', 'made to fail')
    model.works_in('app/0', 7)

    assert not account.faults


def test_no_turn_begins_by_a_ticket_that_was_cancelled_before_the_hook(ruled):
    model, account = ruled
    cancelled = Order(CANCEL, 'c1', 'restart', first=1, last=8)
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.tell('app/1', 'ends')
    model.writes(cancelled, tickets=TICKETS)
    model.works_in('app/0', 7)
    assert account.faults == ['at 0.00: app/0 begins a turn of restart, which was cancelled']


def test_a_place_in_a_roll_of_another_lock_may_serve_what_is_asked_for_after_a_cancellation(ruled):
    model, account = ruled
    others = [ticket._replace(roll='reindex') for ticket in TICKETS]
    model.tell('app/1', 'ends')
    model.writes(Order(CANCEL, 'c1', 'restart', first=1, last=8), tickets=others)
    model.works_in('app/0', 7)
    assert not [fault for fault in account.faults if 'cancelled' in fault]


def test_a_pause_after_a_stage_is_about_the_next_stage_only(ruled):
    model, account = ruled
    model.writes(PAUSED._replace(first=8), ROLL_OF_TWO, tickets=TICKETS)
    model.works_in('app/0', 7)
    assert not account.faults

    model.works_in('app/1', 8)
    assert account.faults == ['at 0.00: app/1 begins a turn of restart, which is paused']


FREED = Order(FREE, 'f1', unit='app/0', last=7)


def freed_at_work(model):
    """Let app/0 begin to work, be freed, and app/1 work beside it."""
    for unit in ('app/0', 'app/1'):
        model.say(unit, 'asked: restart request False')
    model.begins('app/0')
    model.stores('app/0', 7)
    model.works('app/0')
    model.writes(FREED)
    app_1_works(model)


def test_a_freed_unit_may_go_on_beside_others_until_its_hook_ends(ruled):
    model, account = ruled
    freed_at_work(model)
    model.works('app/0')

    assert not account.faults


def test_a_freed_unit_begins_nothing_before_it_has_a_new_ticket(ruled):
    model, account = ruled
    freed_at_work(model)
    model.tell('app/0', 'fails', 'made to fail')
    model.works_in('app/0', 7)
    assert account.faults[0] == 'at 0.00: app/0 goes on in a turn of restart that was freed'


def test_a_freed_unit_with_a_new_ticket_has_no_more_rights_than_others(ruled):
    model, account = ruled
    freed_at_work(model)
    model.tell('app/0', 'fails', 'made to fail')
    model.works_in('app/0', 9)
    assert account.faults == ['at 0.00: app/1 and app/0 at work together']


@pytest.mark.parametrize(
    'lost, leads_again, faults',
    [
        (True, True, []),
        (False, True, ['at 0.00: app/1 and app/0 at work together']),
        (True, False, ['at 0.00: app/1 and app/0 at work together']),
    ],
)
def test_only_where_the_ledger_is_deleted_before_a_late_write_of_a_leader_that_leads_again_may_two_work(
    ruled, lost, leads_again, faults
):
    model, account = ruled
    for unit in ('app/0', 'app/1'):
        model.say(unit, 'asked: restart request False')
    model.begins('app/0')
    model.tell('app/0', 'writes late')
    model.tell('app/1', 'leads')
    app_1_works(model)
    model.controller.leader = 'app/1'
    if leads_again:
        model.controller.leader = 'app/0'
        model.tell('app/0', 'leads')
    if lost:
        model.tell('', 'loses', 'what leaders wrote: coordinator-ledger*')
    model.tell('app/0', 'ends')
    model.begins('app/0')
    model.works('app/0')

    assert account.faults == faults


def test_a_turn_behind_a_gate_that_was_found_shut_is_a_fault_and_so_is_a_gate_asked_in_a_turn(ruled):
    model, account = ruled
    model.say('app/0', 'asked: restart request False')
    model.begins('app/0')
    model.say('app/0', 'gate: restart shut')
    model.stores('app/0', 7)
    model.works('app/0')
    model.tell('app/0', 'fails', 'made to fail')
    model.begins('app/0')
    model.say('app/0', 'gate: restart open')

    assert account.faults == [
        'at 0.00: app/0 begins a turn of restart behind a shut gate',
        'at 0.00: app/0 asks its gate in a turn of restart that has begun',
    ]


def test_a_gate_may_be_asked_before_its_lock_joins_a_turn_of_another_that_has_begun(ruled):
    model, account = ruled
    model.stores('app/0', 7, locks=('reindex',))
    model.begins('app/0')
    model.stores('app/0', 7, locks=('reindex', 'restart'))
    model.say('app/0', 'gate: restart open')
    assert not account.faults

    model.begins('app/0')
    model.say('app/0', 'gate: restart open')
    assert account.faults == ['at 0.00: app/0 asks its gate in a turn of restart that has begun']


def test_a_gate_may_be_asked_before_a_turn_if_the_last_one_is_over_and_only_the_store_does_not_say_so(ruled):
    model, account = ruled
    model.stores('app/0', 7)
    model.begins('app/0')
    model.stores('app/0', 8)
    model.say('app/0', 'gate: restart open')

    assert not account.faults


@pytest.mark.parametrize(
    'lost, faults', [('.coordinator.json, .coordinator.json.lock', 0), ('.unit-state.db', 1)]
)
def test_a_gate_may_be_asked_again_in_a_turn_that_only_a_lost_store_knew_to_have_begun(ruled, lost, faults):
    model, account = ruled
    model.stores('app/0', 7)
    model.begins('app/0')
    model.tell('app/0', 'loses', lost)
    model.say('app/0', 'gate: restart open')

    assert len(account.faults) == faults


@pytest.mark.parametrize('how', ['its own request', 'a place in a roll'])
@pytest.mark.parametrize('queue, faults', [('restart', 0), ('', 1)])
def test_a_gate_may_be_asked_before_a_turn_in_another_queue_while_one_goes_on(ruled, how, queue, faults):
    model, account = ruled
    waits_in = 'restart' if queue and how == 'its own request' else None
    if how == 'a place in a roll':
        model.writes(ROLL_OF_TWO, tickets=tuple(each._replace(queue=queue) for each in TICKETS))
    model.stores('app/0', 3, waits_in=waits_in)
    model.begins('app/0')
    model.say('app/0', 'gate: restart open')

    assert len(account.faults) == faults


@pytest.mark.parametrize('script, excused', [('coordinator-wake-up', True), ('restart-now', False)])
def test_a_wake_up_for_which_a_tool_fails_does_not_run_again(ruled, tmp_path, script, excused):
    model, account = ruled
    path = tmp_path / 'script'
    path.write_text('exec hooks/{} 1'.format(script))
    model.begins('app/0', script=str(path))
    assert not account.word.woken_in_vain

    model.tell('app/0', 'cannot use', 'relation-get')
    model.tell('app/0', 'ran', 'exec script')
    assert account.word.woken_in_vain == excused


@pytest.mark.parametrize('stages, faults', [([['app/1'], ['app/0']], 0), ([['app/0']], 1)])
def test_a_roll_leaves_out_no_unit_that_the_leader_knows_to_have_spoken(ruled, stages, faults):
    model, account = ruled
    for unit in ('app/0', 'app/1', 'app/2'):
        said = '' if unit == 'app/2' else '{"v": 2, "unit": "5d09c3aa", "term": 1, "queues": {}}'
        known = {'settings': {'coordinator-claims': said}, 'life': 'alive'}
        model.controller.units[unit] = type('Unit', (), known)
        model.agents['app/0'].local.members[unit] = 1
    model.begins('app/0', action='coordinator-roll')
    answer = json.dumps(
        {'order': 'roll', 'name': 'r1', 'stages': stages, 'left_out': ['app/1'], 'written': False}
    )
    model.tell('app/0', 'ran', 'action coordinator-roll: coordinator: ' + answer)

    assert account.faults == ['at 0.00: app/1 is left out of a roll'] * faults
    account.faults.clear()
    account.spoilt.add('app/1')
    model.tell('app/0', 'ran', 'action coordinator-roll: coordinator: ' + answer)
    account.spoilt.clear()
    model.agents['app/0'].member_cache = {'app/1': {}}  # read before app/1 spoke, and so read again (R6)
    model.begins('app/0', action='coordinator-roll')
    model.tell('app/0', 'ran', 'action coordinator-roll: coordinator: ' + answer)
    assert account.faults == []


@pytest.mark.parametrize('tickets, faults', [(TICKETS, []), (TICKETS[:1], ['app/1 is left out of a roll'])])
def test_a_roll_has_a_ticket_for_each_unit_that_the_action_has_named(ruled, tickets, faults):
    model, account = ruled
    for unit in ('app/0', 'app/1'):
        known = {
            'settings': {'coordinator-claims': '{"v": 2, "unit": "5d09c3aa", "queues": {}}'},
            'life': 'alive',
        }
        model.controller.units[unit] = type('Unit', (), known)
        model.agents['app/0'].local.members[unit] = 1
    model.begins('app/0', action='coordinator-roll')
    model.writes(ROLL_OF_TWO, tickets=tickets)
    said = {'order': 'roll', 'name': 'r1', 'stages': [['app/0', 'app/1']], 'left_out': [], 'written': True}
    model.tell('app/0', 'ran', 'action coordinator-roll: coordinator: ' + json.dumps(said))

    assert account.faults == ['at 0.00: ' + fault for fault in faults]


def test_an_order_that_was_said_to_be_written_stands(ruled):
    model, account = ruled
    model.writes()
    model.begins('app/0', action='coordinator-pause')
    said = {'order': 'pause', 'name': 'p1', 'stages': [], 'written': True}
    model.tell('app/0', 'ran', 'action coordinator-pause: coordinator: ' + json.dumps(said))

    assert account.faults == ['at 0.00: a pause does not stand, which was said to be written']


def test_only_an_action_that_is_refused_in_a_documented_sentence_may_fail():
    assert is_refused('action coordinator-pause: failed: all locks: already paused')
    assert not is_refused('config-changed: already paused')
    assert not is_refused('action coordinator-pause: KeyError: lock')


def test_the_ledgers_of_this_file_are_ledgers_that_the_layer_reads():
    model = Ruled()
    model.writes(PAUSED, ROLL_OF_TWO, tickets=TICKETS)

    ledger = newest(model.controller.leader_settings).ledger
    assert (ledger.tickets, set(ledger.orders)) == (TICKETS, {PAUSED, ROLL_OF_TWO})


def test_a_unit_that_is_freed_as_its_hook_ends_may_have_asked_anew_for_what_it_kept(ruled):
    """Seed 4161412: Juju has ended the hook when the judge next looks, and finds both at once."""
    model, account = ruled
    account.kind = account.kind._replace(plan='kept after work')
    model.say('app/0', 'asked: restart request False')
    model.writes(tickets=TICKETS)
    model.begins('app/0')
    model.stores('app/0', 7)
    model.works('app/0')
    model.say('app/0', 'kept: restart')
    del model.running['app/0']
    model.writes(Order(FREE, 'f1', unit='app/0', first=1, last=7))
    model.tell('app/0', 'ends')
    model.begins('app/0')
    model.tell('app/0', 'ends')

    model.works_in('app/0', 9)
    assert account.faults == []


def test_a_roll_owes_nothing_to_a_new_unit_that_finds_the_files_of_the_former_one(ruled):
    """Seed 4161291: the order was given while that one was there, and landed after it had gone."""
    model, account = ruled
    model.stores('app/1', 6)
    for _ in range(2):
        model.tell('app/1', 'added')
    model.writes(ROLL_OF_TWO, tickets=TICKETS)
    model.tell('app/1', 'ends')

    assert account.unserved() == ['app/0 waits for restart, in a roll']
