"""Faults that two more reviews found on 2026-11-28; some are faults of that day's mends."""

import pytest

from tests.cases import (
    RELEASE,
    RESTART,
    WHY,
    WORK,
    StrictWatch,
    ask,
    at_rest,
    both,
    in_error,
    lose_ledger,
    order,
    tells,
    until,
    worked,
)
from tests.deploy import begun, said

RELEASE_RESTART = RELEASE.replace("'a'", "'restart'")
LOOK = RELEASE_RESTART.replace('release_lock', 'is_requested')


def lost_in_its_turn(made, unit, other):
    """Let a unit fail in its turn and lose its store, while another waits."""
    made.fail_command(unit, 'work 60')
    ask(made, unit, 'a')
    until(made, lambda: in_error(made, unit))
    ask(made, other, 'a')
    made.run(seconds=20)
    made.lose_store(unit, '.coordinator.json*')


@both
def test_an_action_gives_up_no_second_turn_after_the_store_was_lost(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 3, juju)
    watch = StrictWatch(made)
    ask(made, 'app/1', 'a')
    made.run()
    lost_in_its_turn(made, 'app/1', 'app/2')
    for _ in range(2):
        made.run_exec('app/1', RELEASE, as_action=True)
        made.run(seconds=50)
    watch.check()
    assert not worked(made, 'app/2')

    made.resolve('app/1')
    made.run()

    watch.check()
    assert (worked(made, 'app/1'), worked(made, 'app/2')) == (2, 1)


@both
@pytest.mark.parametrize('how', ['released', 'cancelled'])
def test_an_action_gives_up_no_turn_of_a_roll_after_the_store_was_lost(model, charm_with, juju, how):
    made = at_rest(model, charm_with(RESTART), 3, juju)
    watch = StrictWatch(made)
    made.fail_command('app/1', 'work 60')
    made.run_action('app/0', 'coordinator-roll', lock='restart')
    until(made, lambda: in_error(made, 'app/1'))
    made.run(seconds=20)
    ask(made, 'app/2', 'restart')
    made.lose_store('app/1', '.coordinator.json*')
    if how == 'cancelled':
        made.run_action('app/0', 'coordinator-cancel', lock='restart')
        made.run(seconds=10)
    made.run_exec('app/1', LOOK if how == 'cancelled' else RELEASE_RESTART, as_action=True)
    made.run(seconds=50)
    watch.check()
    assert not worked(made, 'app/2'), made.story(40)

    made.resolve('app/1')
    made.run()

    watch.check()


AT_IMPORT = """
if coordinator.is_granted('a'):
    check_call(['work', '60'])
"""


@both
def test_a_turn_that_is_used_at_import_has_begun(model, charm_with, juju):
    """Its work failed, and an action gave it up: the store did not say that it had begun."""
    made = at_rest(model, charm_with(AT_IMPORT), 3, juju)
    watch = StrictWatch(made)
    made.fail_command('app/1', 'work 60')
    ask(made, 'app/1', 'a')
    until(made, lambda: in_error(made, 'app/1'))
    ask(made, 'app/2', 'a')
    made.run(seconds=20)
    made.run_exec('app/1', RELEASE, as_action=True)
    made.run(seconds=50)

    watch.check()
    assert not worked(made, 'app/2')


BESIDE_A_ROLL = """
if coordinator.is_granted('a'):
    hookenv.log('has a at import')
""" + tells('a', 'b')


@both
def test_a_turn_that_is_used_at_import_is_that_of_a_roll_of_another_lock_too(model, charm_with, juju):
    made = at_rest(model, charm_with(BESIDE_A_ROLL), 3, juju)
    order(made, "pause('b')")
    made.run(seconds=20)
    order(made, "request_roll('b')")
    made.run(seconds=20)
    ask(made, 'app/1', 'a')
    made.run(seconds=20)
    order(made, "resume('b')")
    made.run(seconds=200)

    assert len(made.log_of('app/1', 'HAS b')) == 1, made.story(40)
    assert made.log_of('app/1', 'has a at import')
    assert made.log_of('app/1', 'HAS a')  # and not at import alone


LONG_ON_2 = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '900' if hookenv.local_unit() == 'app/2' else '60'])
"""


def test_an_order_of_a_leader_that_was_away_is_not_carried_out_twice(model, charm_with):
    """Another unit led, and the order had left the ledger; it freed a later turn of the same unit."""
    made = at_rest(model, charm_with(LONG_ON_2), 5, 4, update_status_s=300)
    watch = StrictWatch(made)
    made.fail_command('app/2', 'work 900')
    ask(made, 'app/2', 'a')
    until(made, lambda: in_error(made, 'app/2'), 3000)
    ask(made, 'app/3', 'a')
    made.run(seconds=20)
    away = []

    def sees(event):
        if (event.unit, event.what) == ('app/0', 'ran') and 'free' in event.text and not away:
            away.append(event)
            made.restart_agent('app/0', 700)
        if (event.unit, event.what) == ('app/0', 'is back'):
            made.elect('app/0')

    made.observers.append(sees)
    watch.at_work.discard('app/2')  # the operator says that it is down
    made.run_action('app/0', 'coordinator-free', unit='app/2', confirm='yes')
    made.run(seconds=3)
    assert away
    made.elect('app/1')
    made.run(seconds=100)
    made.resolve('app/2')
    made.run(seconds=300)
    assert 'app/2' in watch.at_work
    ask(made, 'app/4', 'a')
    made.run(seconds=800)

    watch.check()


@both
def test_no_unit_is_freed_while_there_is_no_ledger(model, charm_with, juju):
    """The new ledger waits for that unit, too; the order took effect when it was back, in its next turn."""
    made = at_rest(model, charm_with(WORK), 4, juju)
    made.fail_command('app/2', 'work 60')
    ask(made, 'app/2', 'a')
    until(made, lambda: in_error(made, 'app/2'), 3000)
    lose_ledger(made, 'marked')
    made.run(seconds=20)
    made.run_action('app/0', 'coordinator-free', unit='app/2', confirm='yes')
    made.run(seconds=20)

    answers = [event.text for event in made.history if event.what == 'ran' and 'free' in event.text]
    assert 'there is no ledger; the leader makes one when that unit has answered, too' in answers[-1]


@both
def test_ends_that_another_model_left_behind_are_not_believed(model, charm_with, juju):
    charm = charm_with(RESTART)
    other = begun(model, charm, units=2, juju=juju)
    other.elect('app/0')
    for _ in range(4):
        other.run_action('app/0', 'coordinator-roll', lock='restart')
        other.run()
    store = (other._charm_dir('app/1') / '.unit-state.db').read_bytes()
    made = at_rest(model, charm, 2, juju)
    name = made.add_unit()
    (made._charm_dir(name) / '.unit-state.db').write_bytes(store)
    made.run()
    made.run_action('app/0', 'coordinator-roll', lock='restart')
    made.run()

    assert [worked(made, unit) for unit in made.units] == [1, 1, 1]


@pytest.mark.parametrize('how', ['marked', 'removed'])
def test_a_subordinate_that_is_gone_and_has_never_spoken_is_not_waited_for(model, charm_with, how):
    made = begun(model, charm_with(WORK), units=3, juju=3, subordinate=True, retry_automatically=False)
    made.elect('app/0')
    made.run()
    new = made.add_unit()
    for hook in ('coordinator-relation-created', 'config-changed', 'leader-settings-changed'):
        made.fail_hook(new, hook, times=99)
    made.run(seconds=60)
    assert in_error(made, new), made.story(40)
    lose_ledger(made, how)
    ask(made, 'app/1', 'a')
    made.run(seconds=900)
    assert not worked(made, 'app/1')

    made.lose_unit(new, force=True)
    made.run(seconds=2500)

    assert worked(made, 'app/1') == 1, made.story(30)


KEPT_ON_1 = """
@when('coordinator.granted.a')
def work():
    if hookenv.local_unit() == 'app/1':
        coordinator.keep_lock('a')
    else:
        check_call(['work', '60'])
"""


@both
@pytest.mark.parametrize('how', ['marked', 'removed'])
def test_a_unit_that_is_gone_gets_no_ticket_from_a_new_ledger_and_no_token_is_given_twice(
    model, charm_with, juju, how
):
    made = at_rest(model, charm_with(KEPT_ON_1), 4, juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=60)
    made.fail_hook('app/3')
    made.configure(memory=2)
    made.run(seconds=60)
    lose_ledger(made, how)
    made.configure(memory=3)
    made.run(seconds=60)
    made.lose_unit('app/1', force=True)
    made.run(seconds=30)
    made.resolve('app/3')
    made.run(seconds=60)
    made.configure(memory=4)
    made.run(seconds=60)
    ask(made, 'app/2', 'a')
    made.run(seconds=200)

    given = [text.rsplit(' ', 1)[1] for text in made.log_of('app/0', 'given a ticket')]
    assert len(given) == len(set(given))
    assert len(made.log_of('app/0', 'app/1 is given a ticket')) == 1  # before the ledger was lost
    assert worked(made, 'app/2') == 1, made.story(40)


ASKS_AND_GIVES_UP = """
import os

@when('coordinator.granted.a')
def work():
    check_call(['work', '30'])

@when('coordinator.granted.b')
def hold_b():
    hookenv.log('has b')

if os.path.exists('asks'):
    os.remove('asks')
    def late():
        coordinator.request_lock('a')
        coordinator.request_lock('b')
        coordinator.release_lock('a')
    hookenv.atstart(late)
"""


@both
def test_an_ask_that_only_the_charm_knows_to_be_over_holds_up_nobody(model, charm_with, juju):
    """Its unit said that a later ask goes on, not that this one is over: two waited for each other."""
    made = at_rest(model, charm_with(ASKS_AND_GIVES_UP), 3, juju)
    made.elect('app/2')
    made.run()
    watch = StrictWatch(made)
    ask(made, 'app/0', 'a')
    until(made, lambda: 'app/0' in watch.at_work)
    made.lose_commit('app/0')
    ask(made, 'app/1', 'a')
    made.run(seconds=60)
    (made._charm_dir('app/0') / 'asks').write_text('')
    made.lose_commit('app/0')
    made.resolve('app/0')
    made.run(seconds=30)
    assert in_error(made, 'app/0')
    made.lose_store('app/0', '.coordinator.json*')
    made.resolve('app/0')
    made.run(seconds=300)
    for unit in made.units:
        made.update_status(unit)
    made.run(seconds=300)

    watch.check()
    assert worked(made, 'app/1') == 1, made.story(10)
    assert made.log_of('app/0', 'has b')


ONCE = """
import os

@when('coordinator.granted.a')
def keep():
    hookenv.log('has a in ' + hookenv.hook_name())
    if os.path.exists('asked'):
        coordinator.keep_lock('a')
    else:
        open('asked', 'w').close()
        coordinator.keep_lock('a', check_again_in=10)
"""


@both
def test_a_wake_up_that_keeps_the_lock_without_another_time_brings_no_other(model, charm_with, juju):
    made = at_rest(model, charm_with(ONCE), 2, juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=120)

    assert len(made.log_of('app/1', 'has a in coordinator-wake-up')) == 1


SAVED = """
import os
from charmhelpers.core import unitdata

@when('config.changed.go')
def ask():
    if hookenv.config('go') == 1 and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def has_a():
    hookenv.log('has {}'.format(coordinator.token('a')))
    if hookenv.config('go') == 1:
        coordinator.request_again('a')
        coordinator.keep_lock('a')
    elif not os.path.exists('failed'):
        open('failed', 'w').close()
        coordinator.release_lock('a')
        unitdata.kv().flush()
        coordinator.request_lock('a')
        raise RuntimeError
"""


@both
def test_what_is_asked_for_after_a_release_that_was_saved_is_not_lost(model, charm_with, juju):
    made = at_rest(model, charm_with(SAVED), 2, juju)
    made.configure(go=1)
    made.run(seconds=30)
    made.configure(go=2)
    made.run(seconds=30)
    assert in_error(made, 'app/1')
    made.resolve('app/1')
    made.run(seconds=100)

    assert len(set(said(made, 'app/1', 'has '))) == 2


REASON = """
@when('coordinator.granted.a', 'coordinator.granted.b')
def keep():
    coordinator.keep_lock('b')
    coordinator.keep_lock('a', reason='' if hookenv.config('go') else 'it heals')
"""


@both
def test_a_reason_goes_when_its_lock_is_kept_without_one_beside_a_lock_of_another_queue(
    model, charm_with, juju
):
    made = at_rest(model, charm_with(REASON, queues='per-lock'), 2, juju)
    ask(made, 'app/1', 'a', 'b')
    for go in (0, 1):
        made.configure(go=go)
        made.run(seconds=60)
        made.run_exec('app/0', WHY, as_action=True)
        made.run(seconds=10)

    assert ['it heals' in text for text in said(made, 'app/0', 'why ')] == [True, False]
