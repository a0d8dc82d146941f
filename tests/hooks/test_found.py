"""Faults that were found in this layer, each kept as the history that showed it."""

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from charms.layer.coordinator import forms, rules, wire
from charms.layer.coordinator import juju as layer_juju
from charms.layer.coordinator.compat import choice
from charms.layer.coordinator.values import MAX_COUNT, MAX_TOKEN, UNREADABLE, Claim, Ledger, Record, UnitState

from tests.cases import ASK_FIRST
from tests.deploy import begun, said
from tests.threeunits import MEMORY, UNITS, everybody_is_served, first_world
from tests.watch import Watch

both = pytest.mark.parametrize('juju', [3, 4])

ASK = """
import os

@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')
"""
WORK = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
"""


@both
def test_asking_before_the_hook_began_trusts_nothing_that_juju_has_not_committed(model, charm_with, juju):
    """On Juju 4 the second look of one hook read the leader's own uncommitted ledger: two at work."""
    early = """
import os
if os.environ.get('JUJU_HOOK_NAME') == 'config-changed' and hookenv.config('go'):
    coordinator.request_lock('a')
"""
    made = begun(model, charm_with(early + WORK), units=2, juju=juju)
    made.elect('app/0')
    made.run()
    watch = Watch(made)

    made.configure(go=1)
    made.elect('app/1', after_s=12)
    made.run(seconds=900)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(30)


@both
def test_a_unit_removed_by_force_costs_one_roll_a_delay_and_no_more(model, charm_with, juju):
    """Its last request was remembered, and got a ticket again after each that was dropped."""
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(until=lambda: 'app/2' in watch.at_work)
    made.lose_unit('app/2', force=True)
    made.run(seconds=800)

    for go in (2, 3):
        made.configure(go=go)
        made.run(seconds=400)

    gone = [text for unit in made.units for text in made.log_of(unit, 'app/2 is gone')]
    assert len(gone) <= 1, gone
    assert [watch.served(unit) for unit in ('app/0', 'app/1')] == [3, 3]


@both
def test_an_action_between_a_failed_hook_and_its_retry_frees_no_lock(model, charm_with, juju):
    """The action's end released the turn, and the roll went on past the failed restart."""
    work = WORK.replace(
        '    check_call', "    if not os.environ.get('JUJU_ACTION_NAME'):\n        check_call"
    )
    charm = charm_with(ASK + work)
    (charm / 'actions').mkdir(exist_ok=True)
    shutil.copy(str(charm / 'hooks' / 'update-status'), str(charm / 'actions' / 'look'))
    made = begun(model, charm, units=2, juju=juju)
    watch = Watch(made)
    made.fail_command('app/0', 'work 60', times=2)
    made.configure(go=1)
    made.run(until=lambda: made.agents['app/0'].local.in_error)

    made.run_action('app/0', 'look')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1]


def test_tickets_of_units_that_take_long_to_leave_hold_up_no_new_leader(model, charm_with):
    """A new leader did not listen to dying units, so their finished tickets counted as unfinished."""
    slow = "\n@hook('stop')\ndef stopping():\n    check_call(['work', '2000'])\n"
    late = "if hookenv.config('go') > 1 or hookenv.config('go') and hookenv.local_unit() != 'app/3':"
    ask = ASK.replace("if hookenv.config('go'):", late)
    made = begun(model, charm_with(ask + WORK + slow), units=4)
    made.configure(go=1)
    made.run()
    for unit in ('app/1', 'app/2'):
        made.remove_unit(unit)
    made.run(seconds=30)
    made.elect('app/3')
    made.run(seconds=30)
    watch = Watch(made)

    made.configure(go=2)
    made.run(seconds=30)

    assert 'app/3' in watch.at_work, made.story(30)


def test_a_lock_asked_for_in_a_callback_outlives_the_release_of_the_turn_it_came_in(model, charm_with):
    """It was to be asked for at the end of the turn, and the turn was released before."""
    plan = """
@when('coordinator.granted.a')
def work():
    hookenv.atexit(lambda: coordinator.release_lock('a'))  # runs second
    hookenv.atexit(lambda: coordinator.request_lock('c'))  # runs first

@when('coordinator.granted.c')
def work_c():
    hookenv.log('did c')
"""
    made = begun(model, charm_with(ASK + plan), units=2)

    made.configure(go=1)
    made.run(seconds=700)

    assert [len(said(made, unit, 'did c')) for unit in made.units] == [1, 1]


@pytest.mark.parametrize('name', [' x', 'a{b}', 'a\x00b', ''])
def test_a_bad_lock_name_in_ones_own_databag_fails_no_hook(model, charm_with, name):
    """It was believed, granted, and then refused by the API in every hook."""
    made = begun(model, charm_with(''))
    claim = {'asked': 9, 'done': 8, 'locks': {name: 't'}}
    made.poison('app/0', 'coordinator-claims', json.dumps({'v': 2, 'queues': {'': claim}}))

    made.upgrade('app/0')
    made.run()

    assert not any(event.what == 'fails' for event in made.history)


# Found by tests/unit/test_fuzz.py


def read_ledger(text):
    record, problems = wire.record('1-1-0a1b2c3d', text, 'here')
    return record.ledger, problems


def text_of(ledger):
    return wire.record_text(Record('0a1b2c3d', 1, 1, ledger))


@pytest.mark.parametrize('word', ['NaN', 'Infinity', '-Infinity', '1e400', '9' * 5000])
def test_a_number_that_is_no_json_everywhere_is_not_written_back_into_the_ledger(word):
    """It was kept as it was understood: 1e400 went back as Infinity, which others than Python cannot read."""
    text = '{"v":2,"token":2,"tickets":[[1,"","app/0",1,1,""],[%s]]}' % word

    assert read_ledger(text)[0] == UNREADABLE


def test_a_key_that_is_there_twice_drops_no_ticket():
    """The last of two lists of tickets was used: app/0 was at work, and its lock went to the next unit."""
    text = '{"v":2,"token":2,"tickets":[[1,"","app/0",1,1,""]],"tickets":[]}'

    assert read_ledger(text)[0] == UNREADABLE
    assert wire.said('{"v":2,"queues":{"":{"asked":2,"done":1,"done":2}}}', 'here')[0].queues == ()


def test_at_the_greatest_count_a_unit_asks_no_more():
    """It wrote an ask of 10^9 + 1, which no unit believes, itself after the next hook included."""
    spent = Claim(MAX_COUNT, MAX_COUNT)

    assert rules.asked_for(spent, 'a', '2026-01-01') == spent


def test_at_the_greatest_token_the_leader_gives_no_ticket():
    """It wrote a token above 2^53: a ticket that nobody can read, one more in each of its hooks."""
    claims = {('app/0', ''): Claim(1, 0, (('a', ''),)), ('app/1', ''): Claim(1, 0, (('a', ''),))}
    nearly = Ledger(MAX_TOKEN - 1)

    full = rules.appended(nearly, claims, claims, 1)

    assert [ticket.token for ticket in full.tickets] == [MAX_TOKEN]
    assert read_ledger(text_of(full)) == (full, ())
    assert rules.appended(full, claims, claims, 1) == full


def test_one_unit_that_claims_a_great_token_does_not_spoil_a_rebuilt_ledger():
    """Token and asks were added up beyond what a ledger may have: nobody was given a lock again."""
    rebuilt = rules.rebuilt({('app/0', ''): Claim(1, 1, token=MAX_TOKEN)}, 1)

    assert read_ledger(text_of(rebuilt)) == (rebuilt, ())


def test_a_ledger_too_long_for_a_command_line_is_not_written_over():
    """A ticket dropped for a unit that is gone had it written again, and leader-set cannot take it."""
    tickets = '[[1,"","app/9",1,1,""],["%s"]]' % ('x' * 150000)
    endless = read_ledger('{"v":2,"token":1,"tickets":%s}' % tickets)[0]

    assert rules.appended(endless, {}, {}, 1, frozenset(['app/9'])) == endless


@pytest.mark.parametrize('unit', ['', '\x00', '\ud800', 'x' * 201, '-o/x'])
def test_a_local_store_that_names_no_unit_is_not_believed(unit):
    """Its name went to juju-log and to relation-get, or into a ticket that nobody could read."""
    peer = {'v': 2, 'queues': {'': {'asked': 2, 'done': 1, 'locks': {'a': ''}}}}
    whole = json.loads(json.dumps(wire.state_value(UnitState())))

    for queues in ('?', peer):
        state, problems = wire.state({**whole, 'claims': {**whole['claims'], unit: queues}}, 'here')

        assert state is None
        assert problems
        assert all(told.isprintable() for told in problems)


@pytest.mark.parametrize('missing', sorted({*UnitState._fields, 'claims'} - {'peers'}))
def test_half_a_local_store_is_not_read_as_a_unit_that_asked_for_nothing(missing):
    """'{}' was believed: a held lock was neither used nor released, and the next ask had a number of old."""
    whole = json.loads(json.dumps(wire.state_value(UnitState())))
    assert wire.state(whole, 'here') == (UnitState(), ())

    del (whole if missing in whole else whole['claims'])[missing]

    assert wire.state(whole, 'here')[0] is None


def test_a_ticket_cannot_name_an_option_of_relation_get():
    """relation-get -o/x writes a file."""
    ledger, _ = read_ledger('{"v":2,"token":1,"tickets":[[1,"","-o/x",1,1,""]]}')

    assert ledger.tickets[0].raw
    assert ledger.tickets[0].unit == ''


@pytest.mark.parametrize('found', [{(1, 2): 3}, {1: {2: {(): 0}}}, 16**5000], ids=['tuple', 'deeper', 'huge'])
def test_an_option_that_json_cannot_show_is_refused_in_a_sentence_all_the_same(found):
    """TypeError, or a ValueError that said nothing of the option."""
    for name in choice.DEFAULTS:
        with pytest.raises(ValueError, match='{}: expected'.format(name)):
            choice.understood({name: found})
    with pytest.raises(ValueError, match='lock name: expected'):
        forms.lock_name(found)


@pytest.fixture
def folder():
    """Where three units have their stores; not on a disk if it can be, since each text is committed."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        yield Path(place)


@pytest.mark.parametrize('version', [3, 4])
def test_a_request_spoilt_in_the_databag_before_the_leader_heard_it_is_told_again(folder, version):
    """The unit took it for told: it waited until it was upgraded, and no hook of its own told it again."""
    world = first_world(version, 'app/0', folder)
    assert '"app/1",2' not in world.ledger_text
    world.write_claims('app/1', '?')

    assert everybody_is_served(world)


STORED = {
    'nothing': lambda text: '',
    'null': lambda text: 'null',
    'a number': lambda text: '7',
    'no checksum': lambda text: '{"values": {}}',
    'no values': lambda text: '{"checksum": "44136fa3"}',
    'half of it': lambda text: text[: len(text) // 2],
    'twice': lambda text: text + text,
    'a key twice': lambda text: text.replace('{"checksum"', '{"checksum": "0", "checksum"'),
}


@pytest.mark.parametrize('change', STORED.values(), ids=STORED)
def test_a_store_that_cannot_be_believed_is_put_aside(folder, change):
    """TypeError, or an error that looked like a locked file: every hook failed from then on."""
    world = first_world(3, 'app/1', folder)
    world.store('app/1').write_text(change(world.store('app/1').read_text()))

    assert everybody_is_served(world)
    assert not world.faults
    assert (world.home('app/1') / '.coordinator.json.unreadable').exists()


@pytest.mark.parametrize('good, bad', [('"done": 1', '"done": 2'), ('"coordinator:0"', '"coordinator:7"')])
def test_a_digit_changed_in_a_local_store_is_not_believed(folder, good, bad):
    """A peer's turn was over by it, and two units held one lock; or no hook could publish any more."""
    world = first_world(3, 'app/1', folder)
    for unit in UNITS:
        text = world.store(unit).read_text()
        assert good in text
        world.store(unit).write_text(text.replace(good, bad))

    assert everybody_is_served(world)
    assert not world.faults


def test_a_store_on_a_full_disk_fails_the_hook_and_stays(folder, monkeypatch):
    """Put aside it would lose a request of which Juju has not heard."""
    world = first_world(3, 'app/1', folder)
    before = world.store('app/1').read_text()

    def full(number):
        raise OSError(errno.ENOSPC, 'No space left on device')

    with world.in_hook('app/1'):
        port = layer_juju.Juju()
        remembered = port.load()
        monkeypatch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match='No space left'):
            port.save(remembered._replace(own=()))

    assert world.store('app/1').read_text() == before


def test_a_spoilt_databag_is_put_right_with_another_text(model, charm_with):
    """Juju 4 knows it by its hash: who had read the spoilt text never read again (seed 3071)."""
    made = begun(model, charm_with(ASK + WORK), units=2, juju=4)
    made.elect('app/0')
    made.run()
    made.configure(go=1)
    made.run(seconds=15)
    good = made.controller.units['app/1'].settings['coordinator-claims']

    made.poison('app/1', 'coordinator-claims', 'x')
    made.upgrade('app/1')
    made.run(seconds=20)

    right = made.controller.units['app/1'].settings['coordinator-claims']
    assert right != good
    assert json.loads(right) == json.loads(good)


SLOW_LEADER = """
@when_not('never')
def take_long():
    if hookenv.is_leader():
        check_call(['work', '30'])
"""


def test_an_emptied_databag_is_filled_with_another_text(model, charm_with):
    """On Juju 4 a leader read it empty whose agent knew the very text that came back (seed 901144)."""
    made = begun(model, charm_with(ASK_FIRST + WORK + SLOW_LEADER), units=2, juju=4)
    made.elect('app/0')
    made.run()
    watch = Watch(made)
    made.configure(go=1)
    hears = ('app/0', 'begins', 'coordinator-relation-changed (app/1)')
    made.run(until=lambda: made.history[-1][1:] == hears)

    made.lose_databag('app/1')
    made.upgrade('app/1')
    made.run(seconds=1000)

    assert watch.served('app/1') == 1, made.story(60)


def test_a_leader_that_waits_behind_a_unit_that_is_gone_gives_it_no_ticket_again(model, charm_with):
    """On Juju 4 it heard it again in the hook that dropped its ticket (seed 8571 of the campaign)."""
    made = begun(model, charm_with(ASK + WORK), units=3, juju=4)
    made.elect('app/0')
    made.run()
    watch = Watch(made)
    made.configure(go=1)
    made.run(until=lambda: bool(watch.at_work))
    lost = next(iter(watch.at_work))
    made.elect(next(unit for unit in made.units if unit != lost))
    made.lose_unit(lost)
    made.run(seconds=200)
    made.lose_unit(lost, force=True)
    dropped = lost + ' is gone; the leader drops its ticket'
    made.run(until=lambda: any(dropped in text for _, _, _, text in made.logs))
    told = len(made.logs)

    made.configure(go=2)
    made.run(seconds=200)

    assert not [text for _, _, _, text in made.logs[told:] if lost + ' is given a ticket' in text]
