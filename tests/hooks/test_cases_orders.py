"""Orders that meet other orders: two rolls in one queue, and what an order leaves behind."""

from tests.cases import ASK, RESTART, TWO, StrictWatch, ask, both, lose_ledger, order, until
from tests.deploy import begun

TWO_LOCKS = """
@when('coordinator.granted.restart')
def hold():
    check_call(['work', '10'])
    if hookenv.config('memory') <= 1:
        coordinator.keep_lock('restart')
        {}

@when('coordinator.granted.b')
def hold_b():
    hookenv.log('has b')
"""


def at_work(made):
    return {event.unit for event in made.history if event.what == 'works'}


def kept_in_a_roll(made, end):
    """Play a roll in which the first unit keeps its turn, and give another roll that ends as told."""
    made.configure(memory=1)
    made.run()
    order(made, "request_roll('restart')")
    until(made, lambda: at_work(made), within_s=400)
    made.run(seconds=100)
    order(made, "request_roll('b')")
    made.run(seconds=100)
    end()
    made.run(seconds=2000)


@both
def test_a_kept_turn_of_a_roll_is_not_over_when_a_later_roll_in_its_queue_is_cancelled(
    model, charm_with, juju
):
    made = begun(model, charm_with(ASK + TWO_LOCKS.format('pass')), units=3, juju=juju)

    kept_in_a_roll(made, lambda: order(made, "cancel('b')"))

    assert len(at_work(made)) == 1
    made.configure(memory=2)  # the kept turn ends
    made.run(seconds=3000)
    assert at_work(made) == set(made.units)
    assert not any(made.log_of(unit, 'has b') for unit in made.units)


@both
def test_a_kept_turn_of_a_roll_is_not_over_when_its_handler_gives_up_a_later_roll(model, charm_with, juju):
    made = begun(
        model, charm_with(ASK + TWO_LOCKS.format("coordinator.release_lock('b')")), units=3, juju=juju
    )

    kept_in_a_roll(made, lambda: None)

    assert len(at_work(made)) == 1


@both
def test_a_later_roll_that_is_cancelled_takes_no_turn_of_an_earlier_one_away(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, "request_roll('restart')")
    made.run(seconds=1)
    order(made, "request_roll('b')")
    made.run(seconds=1)

    order(made, "cancel('b')")
    made.run(seconds=1000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 4


@both
def test_a_lock_asked_for_anew_after_its_cancellation_has_its_turn(model, charm_with, juju):
    two = """
@when('config.changed.memory')
def ask_both():
    if hookenv.config('memory') > 1 and hookenv.local_unit() != 'app/0':
        coordinator.request_lock('b')
        coordinator.request_lock('a')
"""
    made = begun(model, charm_with(ASK + two + TWO), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(memory=2)
    made.run(seconds=20)
    order(made, "cancel('b')")
    made.run(seconds=30)

    (waiting,) = {'app/1', 'app/2'} - at_work(made)
    ask(made, waiting, 'b')  # while its ticket still stands, with 'a'
    made.run(seconds=1000)

    watch.check()
    assert len(made.log_of(waiting, 'has b')) == 1


@both
def test_a_reason_of_a_gate_that_is_cut_at_a_blank_stops_nobody(model, charm_with, juju):
    gate = """
@coordinator.gate('a')
def not_now():
    return '' if hookenv.config('memory') > 1 else 'x' * 199 + ' and more'

@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
"""
    made = begun(model, charm_with(ASK + gate), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=1000)

    made.configure(memory=2)
    made.run(seconds=2000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3


@both
def test_nothing_stays_in_the_ledger_of_a_unit_that_was_freed_before_its_turn_in_a_roll(
    model, charm_with, juju
):
    made = begun(model, charm_with(ASK + RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, "request_roll('restart')")
    made.run(seconds=1)

    order(made, "free('app/2', confirm=True)")
    made.run(seconds=3000)

    watch.check()
    shared = made.controller.leader_settings if juju == 3 else made.controller.app_settings
    ledgers = [text for key, text in shared.items() if 'ledger' in key]
    assert ledgers
    assert not any('"free"' in text for text in ledgers)


@both
def test_a_roll_after_cancelled_rolls_and_a_lost_ledger_serves_every_unit(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=3, juju=juju)
    watch = StrictWatch(made)
    for _ in range(2):
        for words in (
            "pause('restart')",
            "request_roll('restart')",
            "cancel('restart')",
            "resume('restart')",
        ):
            order(made, words)
            made.run(seconds=20)
    lose_ledger(made, 'marked')
    made.run(seconds=2000)

    order(made, "request_roll('restart')")
    made.run(seconds=2000)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3


@both
def test_a_cancellation_that_nothing_needs_any_more_withdraws_no_later_request(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART.replace('granted.restart', 'granted.a')), units=4, juju=juju)
    watch = StrictWatch(made)
    ask(made, 'app/2', 'a')
    until(made, lambda: 'app/2' in watch.at_work, within_s=400)
    made.lose_unit('app/2')
    made.run(seconds=5)
    order(made, "free('app/2', confirm=True)")
    made.run(seconds=700)

    order(made, "cancel('a')")
    made.run(seconds=3000)
    ask(made, 'app/1', 'a')
    made.run(seconds=2000)

    assert watch.served('app/1') == 1
