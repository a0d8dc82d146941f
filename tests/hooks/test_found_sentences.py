"""Found by playing what operators do: sentences of answers and of the log that were not so."""

from tests.cases import RELEASE, answered, ask, at_rest, both
from tests.deploy import said

WORK = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '300'])

@when('coordinator.rolled.a')
def rolled():
    hookenv.log('ROLLED')
"""
SHORT = WORK.replace("'300'", "'10'")


# coordinator-show


@both
def test_a_cancellation_is_shown_until_each_unit_has_withdrawn(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 3, juju)
    for unit in ('app/1', 'app/2'):
        ask(made, unit, 'a')
        made.run(seconds=10)
    answered(made, 'cancel', lock='a')
    made.run(seconds=10)

    assert not made.flags_of('app/2')  # it has withdrawn, and app/1 works
    assert 'not every unit has withdrawn its request yet' not in answered(made, 'show')


@both
def test_a_roll_that_is_replaced_was_cancelled_when_it_was_replaced(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 3, juju)
    answered(made, 'roll', lock='a', reason='first key')
    made.run(seconds=200)
    answered(made, 'roll', lock='a', replace=True, reason='second key')

    assert '3 min: second key' not in answered(made, 'show')


@both
def test_a_freed_unit_that_has_run_is_not_said_to_have_not_run(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 3, juju)
    answered(made, 'roll', lock='a')
    answered(made, 'free', unit='app/2', confirm='yes')
    made.configure(go=5)
    made.run(seconds=20)

    assert ('app/2', 'ends', 'config-changed') in [(e.unit, e.what, e.text) for e in made.history]
    assert 'app/2: freed since' not in answered(made, 'show')


@both
def test_nothing_is_to_begin_again_before_the_roll_has_stopped(model, charm_with, juju):
    made = at_rest(model, charm_with(SHORT), 4, juju)
    answered(made, 'roll', lock='a', batches='1,3', **{'pause-after': 1})
    text = answered(made, 'show')

    assert 'the roll will wait for you when stage 1 of 2 is done' in text
    assert 'To let turns of a begin again' not in text


@both
def test_a_roll_that_is_over_waits_for_nobody(model, charm_with, juju):
    made = at_rest(model, charm_with(SHORT), 2, juju)
    answered(made, 'roll', lock='a', batches='1', order='leader-first', **{'pause-after': 1})
    made.run(seconds=60)
    made.run_exec('app/1', RELEASE, as_action=True)
    made.run(seconds=60)

    assert made.log_of('app/0', 'ROLLED')
    assert 'the roll waits for you' not in answered(made, 'show')


# Answers


@both
def test_a_roll_that_is_refused_tells_how_far_the_other_one_is(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK.replace("'300'", "'60'")), 6, juju)
    answered(made, 'roll', lock='a', order='leader-first')
    made.run(seconds=250)  # rule 19 has kept the leader from hearing of most turns
    refused = answered(made, 'roll', lock='a')
    done = answered(made, 'show').partition(' of 6 done')[0][-1]

    assert 'a roll is under way, {} of 6 done'.format(done) in refused


@both
def test_no_new_ledger_is_promised_where_none_is_lost(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 3, juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=60)
    made.elect('app/1')
    made.run()

    assert 'new ledger' not in answered(made, 'pause', on='app/1', lock='a')


@both
def test_a_roll_behind_a_pause_is_not_offered_one_more_pause(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 2, juju)
    answered(made, 'pause', lock='a')
    text = answered(made, 'roll', lock='a')

    assert 'a roll of 2 units waits' in text
    assert 'coordinator-pause lock=a' not in text


# The log and `explain`


@both
def test_the_log_says_released_only_of_what_is_given_up(model, charm_with, juju):
    keeps = """
@when('coordinator.granted.a')
def keep():
    coordinator.keep_lock('a')
    if hookenv.config('go') == 1:
        coordinator.release_lock('b')
        hookenv.log('STILL {}'.format(coordinator.is_requested('b')))
"""
    made = at_rest(model, charm_with(keeps), 2, juju)
    for lock in 'ab':
        answered(made, 'roll', lock=lock, order='leader-first')
    made.configure(go=1)
    made.run(seconds=30)

    assert made.log_of('app/0', 'STILL True')
    assert not made.log_of('app/0', 'coordinator: b: released')


@both
def test_a_unit_with_two_tickets_is_named_once(model, charm_with, juju):
    keeps = "@when('coordinator.granted.a')\ndef keep():\n    coordinator.keep_lock('a')\n"
    made = at_rest(model, charm_with(keeps), 2, juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=20)
    answered(made, 'roll', lock='b')
    script = """
from charmhelpers.core import hookenv
from charms.layer import coordinator
hookenv.log('why ' + coordinator.explain('b'))
"""
    made.run_exec('app/0', script, as_action=True)
    made.run(seconds=8)

    assert 'app/1, app/1' not in said(made, 'app/0', 'why ')[-1]
