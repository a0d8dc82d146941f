"""The actions that give an order, on both Jujus: what an operator types, reads, and brings about."""

from tests.cases import ASK, WORK, StrictWatch, both, until
from tests.deploy import begun

RESTART = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '60'])

@when('coordinator.rolled.restart')
def rolled():
    hookenv.log('ROLLED')
"""


def ran(made, on, action, parameters):
    """Return how an action ended on a unit, and what it said."""
    before, title = len(made.history), 'action {}'.format(action)
    made.run_action(on, action, **parameters)

    def ended():
        return [each for each in made.history[before:] if each.unit == on and each.text.startswith(title)]

    until(made, lambda: any(each.what in ('ran', 'fails') for each in ended()), within_s=200)
    event = next(each for each in ended() if each.what in ('ran', 'fails'))
    return event.what, event.text[len(title) + 2 :]


def order(made, action, **parameters):
    """Give an order on the leader; return what it says."""
    what, text = ran(made, made.controller.leader, 'coordinator-' + action, parameters)
    assert (what, text[:13]) == ('ran', 'coordinator: '), text
    return text[len('coordinator: ') :]


def refused(made, action, on='', **parameters):
    """Return the sentence with which an action fails."""
    what, text = ran(made, on or made.controller.leader, 'coordinator-' + action, parameters)
    assert (what, text[:8]) == ('ran', 'failed: '), text
    return text[len('failed: ') :]


def served(made, watch):
    return [watch.served(unit) for unit in made.units]


def rolled(made):
    return sum(len(made.log_of(unit, 'ROLLED')) for unit in made.units)


# A roll


@both
def test_one_action_restarts_all_units_also_where_none_has_ever_asked(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=5, juju=juju)
    watch = StrictWatch(made)

    text = order(made, 'roll', lock='restart')
    made.run()

    assert text.splitlines()[0] == 'restart: a roll of 5 units begins.'
    assert '    juju run app/leader coordinator-pause lock=restart' in text.splitlines()
    watch.check()
    assert served(made, watch) == [1] * 5
    assert watch.turns[-1].unit == made.controller.leader
    made.run(seconds=400)
    assert rolled(made) == 1


@both
def test_batches_with_a_trial_wait_for_the_operator_after_the_first_stage(model, charm_with, juju):
    made = begun(model, charm_with(RESTART, slots=2), units=5, juju=juju)
    watch = StrictWatch(made, slots=2)

    text = order(made, 'roll', lock='restart', batches='1,2', **{'pause-after': 1, 'reason': 'new key'})
    made.run(seconds=600)

    assert text.splitlines()[:6] == [
        'restart: a roll of 5 units begins, in 3 stages.',
        'Reason: new key',
        '  stage 1: app/1',
        '  stage 2: app/2, app/3',
        '  stage 3: app/4, app/0',
        'After stage 1 it waits for you.',
    ]
    assert served(made, watch) == [0, 1, 0, 0, 0]
    assert '    juju run app/leader coordinator-resume lock=restart' in text.splitlines()

    said = order(made, 'resume', lock='restart')
    made.run()
    made.run(seconds=400)

    assert said.splitlines()[0] == 'restart: not paused any more. Turns begin again.'
    watch.check()
    assert served(made, watch) == [1] * 5
    assert watch.most_at_work == 2
    assert rolled(made) == 1


@both
def test_a_second_roll_is_refused_and_replace_takes_the_place_of_the_rest(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: len(watch.turns) == 1)
    made.run(seconds=5)

    assert refused(made, 'roll', lock='restart') == (
        'restart: a roll is under way, 1 of 4 done; cancel it first, or replace it'
    )
    order(made, 'roll', lock='restart', replace=True)
    made.run()
    made.run(seconds=400)

    watch.check()
    assert sum(served(made, watch)) in (5, 6)  # the second unit may have begun its turn in the first roll
    assert all(served(made, watch))
    assert rolled(made) == 1


# Pause, resume, cancel


@both
def test_a_pause_lets_the_turn_that_has_begun_end_and_no_other_begin_until_resume(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: bool(watch.at_work))

    text = order(made, 'pause', reason='an alarm')
    made.run(seconds=700)

    assert text.splitlines()[:2] == [
        'all locks: paused. No turn begins until you let them; a turn that has begun goes on.',
        'Reason: an alarm',
    ]
    assert sum(served(made, watch)) == 1
    assert refused(made, 'pause') == 'all locks: already paused'
    assert refused(made, 'resume', lock='restart') == 'restart: all locks are paused; resume them all'
    order(made, 'resume')
    made.run()

    watch.check()
    assert served(made, watch) == [1] * 4
    assert refused(made, 'resume') == 'all locks: not paused'


@both
def test_a_cancelled_roll_ends_with_the_turn_that_has_begun(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: bool(watch.at_work))

    order(made, 'cancel', lock='restart')
    made.run()
    made.run(seconds=700)

    watch.check()
    assert sum(served(made, watch)) == 1
    assert refused(made, 'cancel', lock='restart') == (
        'restart: no unit has asked for it, and no roll of it is under way'
    )
    order(made, 'roll', lock='restart')
    made.run()
    assert sum(served(made, watch)) == 5


# Free


@both
def test_a_unit_that_is_down_is_freed_and_asks_anew_when_it_comes_back(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: any(unit != made.controller.leader for unit in watch.at_work))
    down = next(iter(watch.at_work))
    made.die_agent(down, 1500)
    made.run(seconds=400)
    before = served(made, watch)

    risk = refused(made, 'free', unit=down)
    text = order(made, 'free', unit=down, confirm='yes', reason='its machine is off')
    made.run(seconds=400)

    assert risk.startswith('{}: if it is alive and in its turn, two units will work at once;'.format(down))
    assert risk.endswith(': juju run app/leader coordinator-free confirm=yes unit=' + down)
    assert text.startswith('{}: freed.'.format(down))
    assert sum(served(made, watch)) > sum(before)
    known = list(watch.faults)  # by the operator's word others may work while it is, in truth, in its turn
    assert all(repr(down) in fault for fault in known)
    made.run(seconds=1500)
    assert [watch.served(unit) for unit in made.units] == [1 + (unit == down) for unit in made.units]
    assert watch.faults == known
