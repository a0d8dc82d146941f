"""Orders and requests that were lost, or that nothing brought the leader a hook for; found by reading."""

from tests.cases import both, order, until
from tests.deploy import begun

NEVER_S = 1e6
TWO = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '100'])

@when('coordinator.granted.b')
def hold_b():
    hookenv.log('has b')
"""


def started(model, charm, juju, units=3, **options):
    """Return a model at rest that app/0 leads, without update-status."""
    made = begun(model, charm, units=units, juju=juju, **{'update_status_s': NEVER_S, **options})
    made.elect('app/0')
    made.run()
    return made


def acts(made, action, **parameters):
    """Run an action on app/0, until it has run and nobody has heard of it."""
    made.run_action('app/0', action, **parameters)
    until(made, lambda: any(event.what == 'ran' and action in event.text for event in made.history))


def asks(made, unit, *locks):
    words = ''.join("coordinator.request_lock('{}')\n".format(lock) for lock in locks)
    made.run_exec(unit, 'from charms.layer import coordinator\n' + words, as_action=True)
    made.run(seconds=10)


def worked(made):
    """Return how often each unit has worked."""
    done = [event.unit for event in made.history if event.what == 'worked']
    return [done.count(unit) for unit in made.units]


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

    assert worked(made) == [0, 1, 0, 0], made.story(60)


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

    assert worked(made) == [0, 2, 0], made.story(60)


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

    assert worked(made)[2] == 1, made.story(60)


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

    assert worked(made) == [0, 1, 0, 0], made.story(60)


@both
def test_a_cancelled_request_does_not_move_to_another_queue_in_a_refresh(model, charm_with, juju):
    """The unit moved it before it read that it was cancelled."""
    made = started(model, charm_with(TWO), juju)
    for unit in ('app/1', 'app/2'):
        asks(made, unit, 'a')

    acts(made, 'coordinator-cancel', lock='a')
    upgraded(made, charm_with(TWO, queues='per-lock'), ['app/2'])
    made.run()

    assert worked(made) == [0, 1, 0], made.story(60)


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

    assert worked(made) == [0, 1, 1], made.story(60)
    assert len(made.log_of('app/2', 'has b')) == 1
