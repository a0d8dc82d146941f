"""coordinator-show and `status()` on both Jujus: what an operator sees, and that looking changes nothing."""

import json

import pytest

from tests.campaigns import chaos, refresh
from tests.cases import (
    ASK,
    MINE_PY,
    NO_UPDATE_STATUS_S,
    WORK,
    StrictWatch,
    both,
    in_error,
    lose_ledger,
    until,
)
from tests.deploy import begun, said

FAILS_ON_APP_1 = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
    if hookenv.local_unit() == 'app/1' and hookenv.config('memory') == 1:
        raise RuntimeError('broken')
"""

KEEP_IT = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
    coordinator.keep_lock('a')
"""

SAY = """
import json

@hook('update-status')
def say():
    before = coordinator._session().snapshot()
    hookenv.log('status ' + json.dumps(coordinator.status(), sort_keys=True))
    assert coordinator._session().snapshot() == before
"""


def answer(made, unit, **parameters):
    """Return what the action says on a unit."""
    before, title = len(made.history), 'action coordinator-show: '
    made.run_action(unit, 'coordinator-show', **parameters)

    def ended():
        return [each for each in made.history[before:] if each.unit == unit and each.text.startswith(title)]

    until(made, lambda: bool(ended()), within_s=120)
    assert [each.what for each in ended()] == ['ran'], made.story(20)
    return ended()[0].text[len(title) :]


def data_of(made, unit):
    found = answer(made, unit, format='json')
    return json.loads(found[len('coordinator: ') :])


def at_work(made, watch):
    """Let a roll go on until its second unit has worked for 20 s; return that unit."""
    until(made, lambda: len(watch.turns) == 1 and bool(watch.at_work))
    made.run(seconds=20)
    return next(iter(watch.at_work))


def others(made, *units):
    return [unit for unit in made.units if unit not in units]


# Who holds the lock, and who is next


@both
def test_while_a_unit_works_everybody_names_it_and_the_leader_names_who_has_no_ticket(
    model, charm_with, juju
):
    made = begun(model, charm_with(ASK + WORK), units=5, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    holder = at_work(made, watch)
    waiting = [unit for unit in others(made, holder) if not watch.served(unit)]

    texts = {unit: answer(made, unit) for unit in others(made, holder)}
    found = data_of(made, made.controller.leader)

    assert all('All locks, in one queue: {} holds it'.format(holder) in text for text in texts.values())
    assert all('    juju resolve {}'.format(holder) in text.splitlines() for text in texts.values())
    queue = found['queues'][0]
    assert [row['unit'] for row in queue['tickets'] if row['holds']] == [holder]
    rows = [*queue['tickets'], *queue['requests']]
    assert sorted(row['unit'] for row in rows) == sorted([holder, *waiting])
    assert all(row['locks'].keys() == {'a'} and row['since'] for row in rows)
    assert found['leads'] is True
    made.run()
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 5


@both
def test_a_unit_that_waits_reads_the_sentence_of_explain_and_the_leaders_command(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    holder = at_work(made, watch)
    last = made.log_of('app/3', 'ahead of this unit') or made.log_of('app/3', 'no ticket yet')

    lines = answer(made, 'app/3').splitlines()

    assert holder != 'app/3'
    assert last
    assert lines[0].endswith('It does not lead; Juju does not tell it which unit does.')
    assert lines[-1] == '    juju run app/leader coordinator-show'
    assert any('a: ' in line and '{} holds it'.format(holder) in line for line in lines), lines


@both
def test_in_a_turn_whose_hook_failed_the_unit_itself_says_so_and_its_command_ends_it(model, charm_with, juju):
    made = begun(model, charm_with(ASK + FAILS_ON_APP_1), units=3, juju=juju, retry_automatically=False)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))

    itself, peer = answer(made, 'app/1'), answer(made, 'app/2')

    assert 'app/1  holds, hook failed ' in itself
    assert '    juju resolve app/1' in itself.splitlines()
    assert 'If `juju status app` shows app/1 in error, repair the cause, then:' in peer
    assert data_of(made, 'app/1')['queues'][0]['tickets'][0]['failed'] is True
    assert data_of(made, 'app/2')['queues'][0]['tickets'][0]['begun'] is None
    made.configure(memory=2)
    made.resolve('app/1')
    made.run()
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 2, 1]  # the work that failed, and its retry


@both
def test_a_unit_that_keeps_the_lock_has_not_failed(model, charm_with, juju):
    made = begun(model, charm_with(ASK + KEEP_IT), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.turns))
    holder = watch.turns[0].unit
    made.run(seconds=30)

    text, peer = answer(made, holder), answer(made, others(made, holder)[0])

    assert '{} keeps the lock since a hook'.format(holder) in text
    assert '{}  holds, begun '.format(holder) in peer


# The ledger


@both
def test_before_a_leader_has_made_a_ledger_the_unit_says_so(model, charm_with, juju):
    made = model(charm_with(ASK + WORK), units=2, juju=juju)
    if juju == 3:  # where a write stays though the hook fails
        made.fail_tool('app/0', 'leader-set', times=None)
    made.fail_hook('app/0', 'install', 100)
    made.run(seconds=60)

    found = data_of(made, 'app/1')

    assert (found['ledger'], found['queues'], found['leads']) == ('none', [], False)
    assert 'no leader has given a ticket yet' in answer(made, 'app/1')


@both
def test_a_lost_ledger_names_the_unit_in_error_that_has_not_answered(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju, retry_automatically=False)
    made.fail_hook('app/3', 'config-changed')
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/3'))
    made.run(seconds=300)
    lose_ledger(made, 'marked')
    made.configure(go=2)
    made.run(seconds=900)

    for unit in made.units:
        found = data_of(made, unit)
        assert (found['ledger'], found['awaits']) == ('lost', ['app/3']), made.story(40)
        assert found['says'] == 'the ledger is lost; the leader makes a new ledger when app/3 has answered'


@both
def test_what_cannot_be_read_is_reported_and_fails_nothing(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    holder = at_work(made, watch)
    made.poison(holder, 'coordinator-claims', '{"v": ')
    made.run(seconds=10)  # a peer's agent reads it when its hook for that unit comes
    unit = others(made, holder)[-1]

    found = data_of(made, unit)

    assert 'databag of {}'.format(holder) in found['problems'][0]
    assert found['queues'][0]['says'] == '{} holds it'.format(holder)


# It looks, and that is all


def kept(made):
    """Return everything that units and the controller keep."""
    controller = made.controller
    files = {
        str(path): path.read_bytes()
        for unit in made.units
        for path in made._charm_dir(unit).glob('.*')
        if path.is_file()
    }
    units = {
        name: (dict(record.settings), record.status, record.status_message)
        for name, record in controller.units.items()
    }
    return files, units, dict(controller.leader_settings), dict(controller.app_settings)


@both
def test_looking_changes_no_file_no_databag_no_status_and_logs_nothing(model, charm_with, juju):
    made = begun(model, charm_with(ASK + FAILS_ON_APP_1), units=4, juju=juju, retry_automatically=False,
                 update_status_s=NO_UPDATE_STATUS_S)  # fmt: skip
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))
    made.run(seconds=60)
    made.poison('app/2', 'coordinator-claims', 'rubbish')
    made.run(seconds=60)
    (made._charm_dir('app/3') / '.coordinator.json').write_text('no JSON')
    before, logs, writes = kept(made), len(made.logs), len(made.controller.leader_writes)

    for unit in made.units:
        answer(made, unit)
        answer(made, unit, format='json')

    assert kept(made) == before
    assert [line for line in made.logs[logs:] if 'coordinator: ' in str(line)] == []
    assert len(made.controller.leader_writes) == writes


@both
def test_no_more_claims_are_read_than_the_table_shows(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=14, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    at_work(made, watch)
    until(made, lambda: len(watch.turns) == 3 and bool(watch.at_work))
    before = len(made.costs)

    text = answer(made, 'app/9')

    calls = next(calls for _, title, calls in made.costs[before:] if title == 'action coordinator-show')
    read = [call for call, _ in calls if call.startswith('relation-get')]
    assert '  ... and ' in text
    assert len(read) <= 3 + 7 + 2  # those that are done, those shown, its own, and the application's
    made.run()
    watch.check()


@both
@pytest.mark.parametrize('wrong', ['yaml', '', 'TEXT'])
def test_a_format_that_does_not_exist_is_refused_in_a_sentence(model, charm_with, juju, wrong):
    made = begun(model, charm_with(ASK + WORK), units=1, juju=juju)

    found = answer(made, 'app/0', format=wrong)

    assert found == 'failed: format: expected one of text, json, found {!r}; nothing is shown'.format(wrong)


@both
def test_where_juju_does_not_answer_the_action_fails_in_a_sentence(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju)
    made.fail_tool('app/1', 'relation-get', times=None)

    found = answer(made, 'app/1')

    assert found.startswith('failed: Juju did not answer: ')


def test_on_juju_4_a_holder_that_was_removed_by_force_is_gone_until_its_ticket_is_dropped(model, charm_with):
    """Juju 3 tells the leader with relation-departed, which drops it at once."""
    made = begun(model, charm_with(ASK + WORK), units=4, juju=4, update_status_s=NO_UPDATE_STATUS_S)
    made.hear_of_leavers = 0.0
    watch = StrictWatch(made)
    made.configure(go=1)
    holder = at_work(made, watch)
    unit = next(unit for unit in made.units if unit not in (holder, made.controller.leader))
    made.lose_unit(holder, force=True)
    made.run(seconds=5)

    text = answer(made, unit)

    assert '{}: Juju no longer lists it.'.format(holder) in text
    assert 'juju resolve ' + holder not in text


# In a hook, and with classes of a charm's own


@both
def test_in_a_hook_status_says_the_same_and_leaves_the_session_as_it_is(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK + SAY), units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    holder = at_work(made, watch)
    unit = others(made, holder)[-1]
    made.update_status(unit)
    until(made, lambda: bool(said(made, unit, 'status ')))

    in_hook, in_action = json.loads(said(made, unit, 'status ')[-1]), data_of(made, unit)

    assert {**in_hook, 'at': ''} == {**in_action, 'at': ''}
    made.run()
    watch.check()


@both
@pytest.mark.parametrize('option', ['charms.mine.Mine', 'Serial'])
def test_locks_of_a_class_are_shown_each_in_its_queue(model, charm_with, juju, option):
    charm = charm_with(ASK + WORK, **{'class': option})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    holder = at_work(made, watch)

    for unit in others(made, holder):
        assert 'a: {} holds it'.format(holder) in answer(made, unit)


def test_beside_the_old_layer_the_units_that_run_it_are_named(model):
    made = model(refresh.old_charm(), units=3, juju=3, config={'go': 0}, update_status_s=chaos.NEVER_S)
    made.run()
    made.configure(go=1)
    made.run(seconds=5)
    made.upgrade('app/0', refresh.new_charm())
    made.run(seconds=120)

    found = data_of(made, 'app/0')

    assert found['ledger'] in ('none', 'lost')
    assert found['awaits'] == ['app/1', 'app/2']
    assert 'app/1 and app/2 still run the old layer' in found['says']
