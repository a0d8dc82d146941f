"""Orders and requests that were lost, or that nothing brought the leader a hook for; found by reading."""

import pytest

from tests.cases import (
    MINE_PY,
    NO_UPDATE_STATUS_S,
    TWO,
    StrictWatch,
    ask,
    both,
    each_worked,
    in_error,
    order,
    until,
    with_child,
)
from tests.deploy import begun, machine, said


def started(model, charm, juju, units=3, **options):
    """Return a model at rest that app/0 leads, without update-status."""
    made = begun(model, charm, units=units, juju=juju, **{'update_status_s': NO_UPDATE_STATUS_S, **options})
    made.elect('app/0')
    made.run()
    return made


def acts(made, action, **parameters):
    """Run an action on app/0, until it has run and nobody has heard of it."""
    made.run_action('app/0', action, **parameters)
    until(made, lambda: any(event.what == 'ran' and action in event.text for event in made.history))


def asks(made, unit, *locks):
    ask(made, unit, *locks)
    made.run(seconds=10)


def two_at_once(charm_with, plan):
    """Return a charm whose own class lets two units hold a lock."""
    charm = charm_with(plan, **{'class': 'charms.mine.Mine'})
    decides = MINE_PY.replace('not granted and queue[0] == unit', 'len(granted) < 2')
    (charm / 'lib' / 'charms' / 'mine.py').write_text(decides)
    return charm


# What the leader has not heard: while the lock is held, a hook of it may not run (rule 19)


@both
def test_a_cancellation_withdraws_requests_that_the_leader_had_put_off_hearing_of(model, charm_with, juju):
    made = started(model, charm_with(TWO), juju, units=4)
    asks(made, 'app/1', 'a')
    made.configure(memory=2)  # the leader has a hook in which it gives no ticket
    made.run(seconds=10)
    for unit in ('app/2', 'app/3'):
        asks(made, unit, 'a')

    order(made, "cancel('a')")
    made.run()

    assert each_worked(made) == [0, 1, 0, 0], made.story(60)


@both
def test_what_a_unit_that_is_freed_had_asked_for_is_over_though_the_leader_had_not_heard_of_it(
    model, charm_with, juju
):
    made = started(model, charm_with(TWO), juju)
    asks(made, 'app/1', 'a')
    made.configure(memory=2)
    made.run(seconds=10)
    asks(made, 'app/2', 'a')
    made.lose_unit('app/2')

    order(made, "free('app/2', confirm=True)")
    made.run()
    asks(made, 'app/1', 'a')
    made.run()

    assert each_worked(made) == [0, 2, 0], made.story(60)


@both
def test_a_unit_that_the_leader_had_not_heard_is_served_when_the_holder_is_freed(model, charm_with, juju):
    """On Juju 3 the leader's own write brought it no hook in which it would have heard."""
    made = started(model, charm_with(TWO), juju)
    asks(made, 'app/1', 'a')
    made.configure(memory=2)
    made.run(seconds=10)
    asks(made, 'app/2', 'a')
    made.lose_unit('app/1')

    order(made, "free('app/1', confirm=True)")
    made.run()

    assert each_worked(made)[2] == 1, made.story(60)


# Two layouts of queues


def upgraded(made, charm, units):
    for unit in units:
        made.upgrade(unit, charm)


def test_a_cancellation_finds_requests_that_wait_in_a_queue_of_the_former_layout(model, charm_with):
    """A request in the queue of all locks was given no ticket, so it was not cancelled."""
    made = started(model, charm_with(TWO), 3, units=4)
    for unit in ('app/1', 'app/2', 'app/3'):
        asks(made, unit, 'a')
    upgraded(made, charm_with(TWO, queues='per-lock'), ['app/0'])
    made.run(seconds=10)

    order(made, "cancel('a')")
    made.run()

    assert each_worked(made) == [0, 1, 0, 0], made.story(60)


@both
def test_a_cancelled_request_does_not_move_to_another_queue_in_a_refresh(model, charm_with, juju):
    """The unit moved it before it read that it was cancelled."""
    made = started(model, charm_with(TWO), juju)
    for unit in ('app/1', 'app/2'):
        asks(made, unit, 'a')

    acts(made, 'coordinator-cancel', lock='a')
    upgraded(made, charm_with(TWO, queues='per-lock'), ['app/2'])
    made.run()

    assert each_worked(made) == [0, 1, 0], made.story(60)


@both
def test_what_a_unit_asks_for_after_its_turn_moves_to_another_queue_too(model, charm_with, juju):
    """The lock b was cancelled and asked for again, for after the turn of a; then the refresh came."""
    made = started(model, charm_with(TWO), juju)
    asks(made, 'app/1', 'a')
    asks(made, 'app/2', 'b', 'a')
    order(made, "cancel('b')")
    made.run(seconds=10)
    asks(made, 'app/2', 'b')

    upgraded(made, charm_with(TWO, queues='per-lock'), made.units)
    made.run()

    assert each_worked(made) == [0, 1, 1], made.story(60)
    assert len(made.log_of('app/2', 'has b')) == 1


# One hook


LEAVES = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() == '{}':
        coordinator.release_lock('restart')
        coordinator.request_lock('a')
        {}
"""


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
@pytest.mark.parametrize('then, turns', [('pass', 1), ("coordinator.release_lock('a')", 0)])
def test_what_is_asked_for_after_a_place_in_a_roll_was_given_up_ends_in_the_same_hook(
    model, charm_with, juju, unit, then, turns
):
    """The end named the ask before, so the turn went on in the next hook, and the release was lost."""
    made = started(model, charm_with(LEAVES.format(unit, then) + TWO, slots=2), juju, units=2)
    for words in ("pause('restart')", "request_roll('restart')"):
        order(made, words)
        made.run()

    made.configure(go=1)
    made.run()
    made.update_status(unit)
    made.run()

    assert sum(each_worked(made)) == turns, made.story(60)


# Nothing brings the leader a hook


@both
@pytest.mark.parametrize('by_class', [False, True])
def test_a_leader_that_queues_up_again_beside_a_failed_unit_uses_the_other_slot(
    model, charm_with, juju, by_class
):
    plan = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') > (hookenv.local_unit() == 'app/0'):
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '100'])
    check_call(['check'])
    if hookenv.is_leader() and not reactive.is_flag_set('again'):
        reactive.set_flag('again')
        coordinator.request_again('a')
"""

    def answer(unit, argv):
        return (0.0, int(unit == 'app/1')) if argv == ['check'] else machine(unit, argv)

    charm = two_at_once(charm_with, plan) if by_class else charm_with(plan, slots=2)
    made = started(model, charm, juju, units=2, machine=answer, retry_automatically=False)
    made.configure(go=1)
    made.run()
    assert in_error(made, 'app/1')

    made.configure(go=2)
    made.run()

    assert each_worked(made)[0] == 2 + 2, made.story(60)


@both
@pytest.mark.parametrize('beside', [False, True], ids=['alone', 'beside a failed unit'])
def test_a_leader_with_a_class_of_its_own_that_asks_in_an_action_has_its_turn(
    model, charm_with, juju, beside
):
    """The script of an action asks no class, so on Juju 4 it wrote nothing that would bring a hook."""
    made = started(model, two_at_once(charm_with, TWO), juju, units=2, retry_automatically=False)
    if beside:
        made.fail_command('app/1', 'work 100')
        asks(made, 'app/1', 'a')
        made.run()
        assert in_error(made, 'app/1')

    asks(made, 'app/0', 'a')
    made.run()

    assert each_worked(made)[0] == 1, made.story(60)


@both
@pytest.mark.parametrize('words', ["request_lock('a')", "request_again('a')"])
def test_what_a_program_of_the_leaders_hook_asks_for_has_its_turn(model, charm_with, juju, words):
    plan = """
@hook('update-status')
def ask():
    if hookenv.is_leader() and not reactive.is_flag_set('asked'):
        reactive.set_flag('asked')
        {}

@when('coordinator.granted.a')
def work():
    check_call(['work', '100'])
    if not reactive.is_flag_set('asked'):
        reactive.set_flag('asked')
        check_call(['hooks/child'])
"""
    again = 'again' in words
    first = "coordinator.request_lock('a'); reactive.clear_flag('asked')" if again else ''
    charm = charm_with(plan.format(first or "check_call(['hooks/child'])"))
    with_child(charm, words)
    made = started(model, charm, juju)

    made.update_status('app/0')
    made.run()

    assert each_worked(made)[0] == 1 + again, made.story(60)


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_what_a_program_asks_for_beside_its_hooks_turn_has_the_turn_after_that(model, charm_with, juju, unit):
    """It joined the turn, which was not over with that hook then, and nothing brought another hook."""
    plan = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '100'])
    check_call(['hooks/child'])

@when('coordinator.granted.b')
def hold_b():
    check_call(['work', '100'])
"""
    charm = charm_with(plan)
    with_child(charm, "request_lock('b')")
    made = started(model, charm, juju)

    for each in (unit, 'app/2'):
        asks(made, each, 'a')
    made.run()

    assert sum(each_worked(made)) == 2 * 2, made.story(60)


KEEPS = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() == 'app/1':
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    hookenv.log('turn {}'.format(coordinator.token('a')))
    coordinator.keep_lock('a')
    if hookenv.config('memory') == 2 and not reactive.is_flag_set('long'):
        reactive.set_flag('long')
        check_call(['work', '60'])
"""


@both
def test_a_unit_that_was_freed_and_leads_when_it_learns_of_it_has_the_turn_that_it_asks_for_anew(
    model, charm_with, juju
):
    made = started(model, charm_with(KEEPS), juju)
    made.configure(go=1)
    made.run()
    (first,) = {*said(made, 'app/1', 'turn ')}

    made.configure(memory=2)
    made.run(seconds=20)
    acts(made, 'coordinator-free', unit='app/1', confirm='yes')  # in its hook it does not hear of that
    made.elect('app/1')
    made.run()

    assert int(said(made, 'app/1', 'turn ')[-1]) > int(first), made.story(60)


@both
def test_what_the_leader_asked_for_after_a_turn_that_it_cancels_needs_no_update_status(
    model, charm_with, juju
):
    made = started(model, charm_with(TWO), juju)
    order(made, "pause('a')")
    made.run()
    asks(made, 'app/0', 'a', 'b')
    order(made, "cancel('b')")
    made.run()
    asks(made, 'app/0', 'b')

    order(made, "cancel('a')")
    made.run()

    assert len(made.log_of('app/0', 'has b')) == 1, made.story(60)
    assert each_worked(made) == [0, 0, 0]


def test_turns_of_two_locks_that_come_in_update_status_are_left_for_a_better_hook_once(model, charm_with):
    """Each made the unit forget that it had left the other one, so none of them ever began."""
    plan = """
@when('config.changed.go')
def ask():
    if hookenv.local_unit() in ('app/1', 'app/2')[: hookenv.config('go')]:
        coordinator.request_lock('a')
        coordinator.request_lock('b')
"""
    charm = charm_with(plan + TWO, queues='per-lock')
    made = started(model, charm, 3, update_status_s=300.0, retry_automatically=False)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.configure(go=2)
    made.run(seconds=10)
    made.fail_hook('app/0')
    made.remove_unit('app/1')
    made.run(seconds=1000)

    watch.check()
    assert in_error(made, 'app/0')  # so it writes nothing that would bring app/2 a hook
    assert watch.served('app/2') == 1, made.story(60)
