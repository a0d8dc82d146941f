"""What a review of 2026-11-28 found where nothing goes wrong: rolls beside turns, orders, withdrawals."""

import pytest

from tests.cases import MINE_PY, NO_UPDATE_STATUS_S, RESTART, ask, both, each_worked, until, worked
from tests.deploy import begun

KEEPS_A = """
@when('coordinator.granted.a')
def hold():
    if hookenv.config('memory') == 1:
        coordinator.keep_lock('a', reason='syncs')
"""

WORK_A = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
    if hookenv.config('memory') == 1:
        coordinator.keep_lock('a')
"""

WORK_B = """
@when('coordinator.granted.b')
def work_b():
    check_call(['work', '5'])
"""


def started(model, charm, juju, units=3, **options):
    made = begun(model, charm, units=units, juju=juju, **options)
    made.elect('app/0')
    made.run()
    return made


def texts(made, what='worked'):
    return [(event.unit, event.text) for event in made.history if event.what == what]


def action(made, name, on='app/0', **parameters):
    """Run an action of the layer; return what it answered."""
    made.run_action(on, 'coordinator-' + name, **parameters)
    made.run(seconds=8)
    return [e.text for e in made.history if e.what == 'ran' and 'coordinator-' + name in e.text][-1]


def script(made, unit, words):
    made.run_exec(unit, 'from charms.layer import coordinator\n' + words, as_action=True)
    made.run(seconds=8)


@both
def test_no_stage_begins_before_the_stage_before_it_has_restarted(model, charm_with, juju):
    made = started(model, charm_with(KEEPS_A + RESTART), juju, units=4)
    made.fail_command('app/1', 'work 60', times=100)
    ask(made, 'app/1', 'a')
    made.run(seconds=30)
    action(made, 'roll', lock='restart', batches='1,3')
    made.configure(memory=2)  # app/1 keeps a no longer
    made.run(seconds=600)
    assert each_worked(made) == [0, 0, 0, 0], made.story(40)


@both
def test_a_trial_is_not_said_to_be_done_before_its_unit_has_restarted(model, charm_with, juju):
    made = started(model, charm_with(KEEPS_A + RESTART), juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=30)
    action(made, 'roll', lock='restart', batches='1,2', **{'pause-after': 1})
    made.configure(memory=2)
    made.run(seconds=300)
    text = action(made, 'show')
    assert worked(made, 'app/1') == 1 or 'stage 1 of 2 is done' not in text, text


@both
def test_rolled_is_set_when_every_unit_has_restarted(model, charm_with, juju):
    """app/1 restarts at its own request and holds until healthy, while the operator orders a roll."""
    plan = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '20'])
    if hookenv.config('memory') == 1:
        coordinator.keep_lock('restart', check_again_in=20)
@when('coordinator.rolled.restart')
def rolled():
    check_call(['work', '0'])
"""
    made = started(model, charm_with(plan), juju)
    ask(made, 'app/1', 'restart')
    made.run(seconds=35)
    action(made, 'roll', lock='restart')
    made.configure(memory=2)
    made.run(seconds=500)
    assert texts(made)[-1] == ('app/0', 'work 0'), texts(made)


@both
def test_of_two_rolls_the_second_one_begins_with_its_first_stage(model, charm_with, juju):
    """Nobody keeps a lock: the last unit of the first roll is the trial of the second one."""
    made = started(model, charm_with(RESTART + WORK_B), juju)
    action(made, 'roll', lock='restart')
    action(made, 'roll', lock='b', batches='1', order='leader-first', **{'pause-after': 1})
    made.run(seconds=600)
    assert [unit for unit, text in texts(made) if text == 'work 5'] == ['app/0'], action(made, 'show')


@both
def test_a_roll_that_replaces_another_one_tries_its_first_unit(model, charm_with, juju):
    plan = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '10' if hookenv.config('memory') == 1 else '60'])
    if hookenv.config('memory') == 1:
        coordinator.keep_lock('restart', check_again_in=20)
"""
    made = started(model, charm_with(plan), juju)
    action(made, 'roll', lock='restart', batches='1,2', **{'pause-after': 1})
    made.run(seconds=50)
    action(made, 'roll', lock='restart', batches='1,2', replace=True, **{'pause-after': 1})
    made.configure(memory=2)
    made.run(seconds=400)
    assert texts(made).count(('app/1', 'work 60')) == 2, action(made, 'show')


def mine(charm_with, plan):
    charm = charm_with(plan, **{'class': 'charms.mine.Mine'})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    return charm


@both
def test_with_an_own_class_too_the_others_go_on_at_once_after_free(model, charm_with, juju):
    made = started(model, mine(charm_with, RESTART), juju)
    ask(made, 'app/1', 'restart')
    until(made, lambda: bool(texts(made, 'works')))
    made.lose_unit('app/1')
    ask(made, 'app/2', 'restart')
    made.run(seconds=30)
    action(made, 'free', unit='app/1', confirm=True)
    made.run(seconds=10)
    assert ('app/2', 'work 60') in texts(made, 'works'), action(made, 'show')


@both
def test_with_an_own_class_the_others_go_on_also_if_the_leader_withdraws_its_request_in_an_action(
    model, charm_with, juju
):
    made = started(model, mine(charm_with, RESTART), juju, update_status_s=NO_UPDATE_STATUS_S)
    action(made, 'pause')
    for unit in made.units:
        ask(made, unit, 'restart')
        made.run(seconds=10)
    script(made, 'app/0', "coordinator.release_lock('restart')\n")
    action(made, 'resume')
    made.run(seconds=300)
    assert each_worked(made) == [0, 1, 1], made.story(30)


@both
@pytest.mark.parametrize('by', ['pause', 'gate'])
def test_a_roll_passes_a_unit_that_has_asked_later_for_another_lock(model, charm_with, juju, by):
    gate = """
@coordinator.gate('b')
def not_now():
    return 'b is shut'
"""
    made = started(model, charm_with(WORK_B + RESTART + gate * (by == 'gate')), juju, units=4)
    if by == 'pause':
        action(made, 'pause', lock='b')
    action(made, 'roll', lock='restart')
    ask(made, 'app/2', 'b')
    made.run(seconds=1200)
    assert [text for _, text in texts(made)].count('work 60') == 4, action(made, 'show')
    assert ('app/2', 'work 5') not in texts(made)  # it is behind its pause, or its gate, all the same


@both
@pytest.mark.parametrize('fails', [False, True], ids=['kept', 'failed'])
def test_an_action_withdraws_what_another_action_has_queued(model, charm_with, juju, fails):
    made = started(
        model, charm_with(WORK_A), juju, update_status_s=NO_UPDATE_STATUS_S, retry_automatically=False
    )
    if fails:
        made.fail_command('app/1', 'work 10')
    ask(made, 'app/1', 'a')
    made.run(seconds=30)
    before = worked(made, 'app/1')
    script(made, 'app/1', "coordinator.request_again('a')\n")
    script(made, 'app/1', "coordinator.release_lock('a')\n")  # its second turn has not begun
    made.configure(memory=2)
    made.resolve('app/1')
    made.run(seconds=200)
    assert worked(made, 'app/1') == before + 1, made.story(30)


KEPT_FOR_TWO_MINUTES = """
@when('coordinator.granted.a')
def hold():
    hookenv.log('has a')
    if hookenv.hook_name() != 'coordinator-wake-up':
        coordinator.keep_lock('a', check_again_in=120)
"""


@both
def test_a_place_in_a_roll_comes_also_if_a_unit_between_has_withdrawn_and_the_leader_slept(
    model, charm_with, juju
):
    """app/1 holds a, app/2 waits for it, and both have a place in the roll behind that. app/2 withdraws."""
    charm = charm_with(KEPT_FOR_TWO_MINUTES + RESTART)
    made = started(model, charm, juju, units=4, update_status_s=NO_UPDATE_STATUS_S)
    ask(made, 'app/1', 'a')
    until(made, lambda: bool(made.log_of('app/1', 'has a')))
    ask(made, 'app/2', 'a')
    made.run(seconds=15)
    action(made, 'roll', lock='restart')
    made.run(seconds=15)
    script(made, 'app/2', "coordinator.release_lock('a')\n")
    assert each_worked(made) == [0, 0, 0, 0]
    made.run(seconds=600)
    assert each_worked(made) == [1, 1, 1, 1], made.story(40)


GATE_A = """
@coordinator.gate('a')
def not_now():
    return 'a is shut'
"""


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_a_unit_that_withdraws_what_its_gate_held_back_begins_its_turn_in_the_roll_behind(
    model, charm_with, juju, unit
):
    made = started(model, charm_with(WORK_A + RESTART + GATE_A), juju, update_status_s=NO_UPDATE_STATUS_S)
    ask(made, unit, 'a')
    made.run(seconds=15)
    action(made, 'roll', lock='restart', order='leader-first')
    made.run(seconds=15)
    script(made, unit, "coordinator.release_lock('a')\n")
    made.run(seconds=400)
    assert each_worked(made) == [1, 1, 1], made.story(30)


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_a_request_behind_a_place_in_a_roll_comes_when_the_last_unit_has_left_the_roll(
    model, charm_with, juju, unit
):
    made = started(model, charm_with(RESTART + WORK_B), juju, update_status_s=NO_UPDATE_STATUS_S)
    action(made, 'pause', lock='restart')
    action(made, 'roll', lock='restart')
    ask(made, unit, 'b')
    made.run(seconds=15)
    for other in [each for each in made.units if each != unit] + [unit]:
        script(made, other, "coordinator.release_lock('restart')\n")
        made.run(seconds=10)
    made.run(seconds=200)
    assert (unit, 'work 5') in texts(made), made.story(30)


@both
@pytest.mark.parametrize('gate', ['', GATE_A], ids=['paused', 'gated'])
def test_a_leader_that_withdraws_the_lock_that_held_up_another_begins_at_once(model, charm_with, juju, gate):
    made = started(model, charm_with(WORK_A + WORK_B + gate), juju, update_status_s=NO_UPDATE_STATUS_S)
    if not gate:
        action(made, 'pause', lock='a')
    ask(made, 'app/0', 'a', 'b')
    made.run(seconds=15)
    script(made, 'app/0', "coordinator.release_lock('a')\n")
    made.run(seconds=200)
    assert ('app/0', 'work 5') in texts(made), made.story(30)


ENDS_ITS_TURN = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '20'])
    if hookenv.config('memory') == 1:
        coordinator.keep_lock('restart', check_again_in=60)
    elif {}:
        coordinator.release_lock('restart')
"""


@both
@pytest.mark.parametrize('releases', [False, True])
def test_release_lock_at_the_end_of_a_turn_leaves_the_place_in_a_roll_behind_it(
    model, charm_with, juju, releases
):
    charm = charm_with(ENDS_ITS_TURN.format(releases))
    made = started(model, charm, juju, update_status_s=NO_UPDATE_STATUS_S)
    ask(made, 'app/1', 'restart')
    made.run(seconds=30)
    action(made, 'roll', lock='restart')
    made.run(seconds=50)
    made.configure(memory=2)
    made.run(seconds=600)
    assert len(set(made.log_of('app/1', 'holds it, token'))) == 2, made.story(40)
