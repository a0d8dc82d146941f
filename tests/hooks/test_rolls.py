"""A roll on real charms.reactive: what it costs, and the histories that once went wrong."""

import pytest
from charms.layer.coordinator import why

from tests.cases import ASK, RESTART, StrictWatch, both, in_error, order, until
from tests.deploy import begun


def progress(made, unit):
    """Return what a unit logged of how far a roll is, as (number, the rest of the sentence)."""
    found = [text.partition(' of {} done'.format(len(made.units))) for text in made.log_of(unit, ' done')]
    said = [(head.rpartition('restart: ')[2], tail) for head, middle, tail in found if middle]
    return [(int(number), tail) for number, tail in said]


KEEPS = """
@when('coordinator.granted.a')
def hold():
    check_call(['work', '10'])
    if hookenv.config('memory') == 1:
        coordinator.keep_lock('a')
"""

ROLL = """
from charms.layer import coordinator
refused = coordinator.request_roll('restart')
if refused:
    raise SystemExit(refused)
"""


PAUSE = """
from charms.layer import coordinator
refused = coordinator.pause('restart', reason='lunch')
if refused:
    raise SystemExit(refused)
"""


def rolled(made):
    return sum(len(made.log_of(unit, 'ROLLED')) for unit in made.units)


@both
@pytest.mark.parametrize('slots', [1, 3, '25%'])
def test_a_roll_is_one_write_one_hook_for_each_release_and_no_time_lost(model, charm_with, juju, slots):
    units, at_once = 12, 3 if slots == '25%' else slots
    made = begun(model, charm_with(ASK + RESTART, slots=slots), units=units, juju=juju)
    watch = StrictWatch(made, at_once)
    hooks = len(made.costs)

    made.run_exec(made.controller.leader, ROLL, as_action=True)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * units
    assert watch.most_at_work == at_once
    assert watch.ledger_writes <= 2  # the claim of a first term, and the roll
    roll = [title for _, title, _ in made.costs[hooks:] if title != 'update-status']
    assert len(roll) <= 1.1 * units * (units - 1) + 2 * units  # and the first ledger's own hooks
    least = -(-units // at_once) * 60.0
    assert watch.duration_s <= 1.05 * least + 10
    made.run(seconds=700)
    assert rolled(made) == 1


@both
def test_the_leader_logs_how_far_the_roll_is_and_each_number_once(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=6, juju=juju)
    leader = made.controller.leader

    made.run_exec(leader, ROLL, as_action=True)
    made.run()
    made.run(seconds=700)

    numbers = [number for number, _ in progress(made, leader)]
    assert numbers == sorted(set(numbers)), made.story(60)
    assert len(numbers) > 1  # it need not hear of each turn (rule 19)
    assert numbers[0] > 0
    assert (5, '; {} holds it'.format(leader)) in progress(made, leader)
    assert progress(made, leader)[-1] == (6, '')
    assert not any(progress(made, unit) for unit in made.units if unit != leader)


@both
def test_a_new_leader_logs_once_how_far_the_roll_is_that_it_has_found(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=6, juju=juju)
    made.run_exec(made.controller.leader, ROLL, as_action=True)
    made.run(seconds=150)

    new = next(unit for unit in reversed(made.units) if unit != made.controller.leader)
    made.elect(new)
    made.run(seconds=30)

    done = sum(event.what == 'worked' for event in made.history)
    assert [number for number, _ in progress(made, new)] == [done], made.story(60)


@both
def test_a_roll_that_is_paused_says_so_in_the_log(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=3, juju=juju)
    leader = made.controller.leader
    made.run_exec(leader, ROLL, as_action=True)
    made.run(seconds=30)
    made.run_exec(leader, PAUSE, as_action=True)
    made.run(seconds=700)

    assert [number for number, _ in progress(made, leader)] == [1]
    assert progress(made, leader)[0][1].endswith(' UTC: lunch')


@both
def test_a_turn_that_was_kept_beyond_the_start_of_a_roll_does_not_hold_up_the_roll(model, charm_with, juju):
    """Its turn in the roll comes with the end of the one that it kept, and no news comes to it then."""
    made = begun(model, charm_with(ASK + KEEPS + RESTART), units=2, juju=juju)
    watch = StrictWatch(made)
    holder = next(unit for unit in made.units if unit != made.controller.leader)
    made.run_exec(
        holder, "from charms.layer import coordinator; coordinator.request_lock('a')", as_action=True
    )
    until(made, lambda: watch.at_work, within_s=400)
    made.run(seconds=30)

    made.run_exec(made.controller.leader, ROLL, as_action=True)
    made.run(seconds=100)
    made.configure(memory=2)
    made.run()

    watch.check()
    restarts = [event for event in made.history if event.what == 'worked' and event.text == 'work 60']
    assert sorted(event.unit for event in restarts) == sorted(made.units), made.story(60)


@both
def test_a_roll_with_four_slots_whose_restarts_all_fail_begins_on_four_units(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART, slots=4), units=7, juju=juju)
    watch = StrictWatch(made, 4)
    for unit in made.units:
        made.fail_command(unit, 'work 60', times=100)

    made.run_exec(made.controller.leader, ROLL, as_action=True)
    made.run(seconds=3000)

    began = {event.unit for event in made.history if event.what == 'works'}
    assert len(began) == 4
    assert watch.turns == []
    assert rolled(made) == 0


HOLDS = """
from charmhelpers.core import unitdata

@when('coordinator.granted.a')
def hold():
    times = unitdata.kv().get('times', 0) + 1
    unitdata.kv().set('times', times)
    hookenv.log('looks {} in {}'.format(times, hookenv.hook_name()))
    if times < 4:
        coordinator.keep_lock('a', check_again_in=30)
"""


@both
def test_a_turn_that_ends_in_a_wake_up_does_not_hold_up_the_roll_either(model, charm_with, juju):
    made = begun(model, charm_with(ASK + HOLDS + RESTART), units=5, juju=juju)
    holder = 'app/1'  # its turn in the roll is the first
    made.run_exec(
        holder, "from charms.layer import coordinator; coordinator.request_lock('a')", as_action=True
    )
    made.run(seconds=20)
    assert made.log_of(holder, 'looks 1')
    watch = StrictWatch(made)

    made.run_exec(made.controller.leader, ROLL, as_action=True)
    made.run()

    watch.check()
    assert made.log_of(holder, 'looks 4 in coordinator-wake-up')
    assert [watch.served(unit) for unit in made.units] == [1] * 5
    assert watch.duration_s < 5 * 65 + 120  # and nobody waits for an update-status


EXPLAIN = """
from charmhelpers.core import hookenv
from charms.layer import coordinator
hookenv.log('SAYS ' + coordinator.explain('restart'))
"""

ASK_B = """
from charms.layer import coordinator
coordinator.request_lock('b')
"""


def stopped_roll(model, charm_with, juju, plan=RESTART, slots=2):
    """Return a model in which app/2 has failed in a roll of six units, its watch, and who began a turn."""
    made = begun(model, charm_with(ASK + plan, slots=slots), units=6, juju=juju, retry_automatically=False)
    watch = StrictWatch(made, 2)
    made.fail_command('app/2', 'work 60', times=1)
    made.run_exec(made.controller.leader, ROLL, as_action=True)
    made.run(seconds=1000)
    return made, watch, {event.unit for event in made.history if event.what == 'works'}


def words(made):
    """Return the units whose claims say that a hook of theirs failed."""
    units = made.controller.units
    return [unit for unit in made.units if '"failed":' in units[unit].settings['coordinator-claims']]


@both
@pytest.mark.parametrize('slots', [2, '34%'])
def test_one_failing_restart_stops_a_roll_with_more_slots_until_that_unit_has_succeeded(
    model, charm_with, juju, slots
):
    made, watch, began = stopped_roll(model, charm_with, juju, slots=slots)
    assert 'app/2' in began
    assert len(began) <= 3  # it, the one beside it, and one before it
    assert words(made) == ['app/2']
    assert made.agents['app/2'].local.in_error

    for unit in made.units:
        made.run_exec(unit, EXPLAIN, as_action=True)
    made.run(seconds=10)
    stops = 'SAYS restart: ' + why.STOPPED.format('app/2')
    assert [unit for unit in made.units if stops in made.log_of(unit, 'SAYS')]

    made.resolve('app/2')
    made.run()
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 6
    assert rolled(made) == 1
    assert words(made) == []


@both
def test_an_action_beside_a_failed_turn_does_not_take_back_that_it_failed(model, charm_with, juju):
    made, _, began = stopped_roll(model, charm_with, juju)
    made.run_exec('app/2', ASK_B, as_action=True)
    made.run(seconds=700)

    assert words(made) == ['app/2']
    assert '"b"' in made.controller.units['app/2'].settings['coordinator-claims']
    assert {event.unit for event in made.history if event.what == 'works'} == began


KEEPS_TWICE = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '60'])
    times = unitdata.kv().get('restarts', 0)
    unitdata.kv().set('restarts', times + 1)
    if hookenv.local_unit() == 'app/2' and times < 2:
        hookenv.log('keeps')
        coordinator.keep_lock('restart')

from charmhelpers.core import unitdata
"""


@both
def test_a_roll_goes_on_where_the_unit_that_failed_keeps_its_turn(model, charm_with, juju):
    """The hook that keeps it for the second time has nothing else to say."""
    made = begun(model, charm_with(ASK + KEEPS_TWICE, slots=2), units=6, juju=juju, retry_automatically=False)
    watch = StrictWatch(made, 2)
    made.run_exec(made.controller.leader, ROLL, as_action=True)
    until(made, lambda: made.log_of('app/2', 'keeps'), within_s=400)
    made.run(seconds=5)
    made.fail_command('app/2', 'work 60', times=1)
    made.update_status('app/2')
    made.run(seconds=300)
    assert words(made) == ['app/2']
    began = {event.unit for event in made.history if event.what == 'works'}

    made.resolve('app/2')
    made.run(seconds=150)
    assert words(made) == []
    assert len(made.log_of('app/2', 'keeps')) == 2
    assert {event.unit for event in made.history if event.what == 'works'} > began
    made.run(seconds=3000)
    watch.check()
    assert len({event.unit for event in made.history if event.what == 'works'}) == 6


@both
def test_a_unit_whose_turn_in_a_roll_juju_refuses_says_that_it_failed(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART, slots=2), units=6, juju=juju, retry_automatically=False)
    watch = StrictWatch(made, 2)
    made.run_exec(made.controller.leader, ROLL, as_action=True)
    until(made, lambda: 'app/2' in watch.at_work, within_s=400)
    made.lose_commit('app/2')
    made.run(seconds=600)
    assert made.agents['app/2'].local.in_error
    assert words(made) == ['app/2']

    made.resolve('app/2')
    made.run()
    watch.check()
    assert words(made) == []
    assert rolled(made) == 1


SOON_S = 20  # far less than update-status takes, and more than a hook


@both
@pytest.mark.parametrize('slots, how', [(1, "order='leader-first'"), (3, "order='leader-last'")])
def test_a_leader_whose_turn_comes_with_the_roll_itself_begins_at_once(model, charm_with, juju, slots, how):
    made = begun(model, charm_with(ASK + RESTART, slots=slots), units=3, juju=juju)
    watch, leader = StrictWatch(made, slots), made.controller.leader

    order(made, "request_roll('restart', {})".format(how))
    until(made, lambda: leader in watch.at_work, within_s=SOON_S)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3
    assert watch.duration_s < 65 * 3 / slots + SOON_S
    made.run(seconds=700)
    assert rolled(made) == 1


@both
def test_the_hook_that_brings_the_leaders_turn_is_a_hook_that_fails_and_is_retried(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=3, juju=juju)
    watch, leader = StrictWatch(made), made.controller.leader
    made.fail_command(leader, 'work 60')

    order(made, "request_roll('restart', order='leader-first')")
    until(made, lambda: in_error(made, leader), within_s=60 + SOON_S)
    assert watch.at_work == {leader}
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3


@both
def test_a_leader_whose_turn_comes_as_it_resumes_a_roll_begins_at_once(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=2, juju=juju)
    watch, leader = StrictWatch(made), made.controller.leader
    order(made, "request_roll('restart', batches=[1], pause_after=1)")
    made.run()
    assert watch.served(leader) == 0

    for words in ("resume('restart')", "pause('restart')", "resume('restart')"):
        order(made, words)
    until(made, lambda: leader in watch.at_work, within_s=SOON_S)
    made.run()

    assert [watch.served(unit) for unit in made.units] == [1] * 2


@both
def test_a_leader_that_is_next_after_a_unit_that_it_frees_begins_at_once(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=2, juju=juju)
    watch, leader = StrictWatch(made), made.controller.leader
    order(made, "request_roll('restart')")
    until(made, lambda: 'app/1' in watch.at_work, within_s=SOON_S)
    made.lose_unit('app/1')

    order(made, "free('app/1', confirm=True)")
    until(made, lambda: any(event.unit == leader and event.what == 'works' for event in made.history), SOON_S)


def test_a_leader_that_is_deposed_before_it_brings_itself_the_hook_has_given_the_order(model, charm_with):
    made = begun(model, charm_with(ASK + RESTART), units=3, juju=3)
    watch, leader = StrictWatch(made), made.controller.leader

    def depose(execution, argv):
        if argv[0] == 'relation-set' and '--app' in argv and made.controller.leader == leader:
            made.elect('app/2')

    made.calls_everywhere = depose
    order(made, "request_roll('restart', order='leader-first')")
    made.run()

    assert made.controller.leader == 'app/2'
    assert made.log_of(leader, 'relation-set --app: refused')
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3, made.story(60)


PAUSE_AND_SAY = """
from charmhelpers.core import hookenv
from charms.layer import coordinator
hookenv.log('SAYS ' + coordinator.pause('restart'))
"""


def test_an_order_that_was_refused_is_not_given_later(model, charm_with):
    made = begun(model, charm_with(ASK + RESTART), units=3, juju=3)
    leader, refused = made.controller.leader, []

    def depose(execution, argv):
        if argv[0] == 'leader-set' and execution.operation.action and not refused:
            refused.append(argv)
            made.elect('app/2')

    made.calls_everywhere = depose
    made.run_exec(leader, PAUSE_AND_SAY, as_action=True)
    made.run(seconds=2)
    made.elect(leader)
    made.run()
    assert made.log_of(leader, 'SAYS restart: this unit does not lead')

    order(made, "request_roll('restart')")
    made.run()
    assert len({event.unit for event in made.history if event.what == 'works'}) == 3


@both
def test_a_roll_whose_leader_comes_last_writes_no_word_for_the_leader(model, charm_with, juju):
    made = begun(model, charm_with(ASK + RESTART), units=3, juju=juju)

    order(made, "request_roll('restart')")
    made.run()

    assert 'coordinator-turn' not in made.controller.app_settings


LATE = """
@when('coordinator.granted.restart')
def keep():
    check_call(['work', '60'])
    if hookenv.local_unit() == 'app/2':
        coordinator.keep_lock('restart')

def late():
    if hookenv.local_unit() == 'app/2' and coordinator.is_requested('restart'):
        hookenv.log('LATE')
        coordinator.request_lock('b')
hookenv.atexit(late)
"""


@both
def test_a_unit_that_asks_after_the_layers_own_callback_has_not_failed(model, charm_with, juju):
    made = begun(model, charm_with(ASK + LATE, slots=2), units=4, juju=juju)
    made.run_exec(made.controller.leader, ROLL, as_action=True)
    until(made, lambda: made.log_of('app/2', 'LATE'), within_s=400)
    made.run(seconds=20)

    assert words(made) == []


ORDERS_LATE = """
def late():
    if hookenv.config('go') == 7 and hookenv.hook_name() == 'config-changed':
        hookenv.log('ORDER ' + coordinator.request_roll('restart', order='leader-first'))

hookenv.atstart(hookenv.atexit, late)
"""


@both
def test_a_turn_that_comes_with_an_order_of_a_callback_begins_in_the_next_hook(model, charm_with, juju):
    made = begun(model, charm_with(RESTART + ORDERS_LATE), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=7)
    made.run()

    assert not [event for event in made.history if event.what == 'fails']
    assert [watch.served(unit) for unit in made.units] == [1] * 3
    assert rolled(made) == 1


@both
def test_a_new_request_has_not_the_number_of_a_turn_that_a_lost_store_knew(model, charm_with, juju):
    """The charm's own store has the end of that turn; Juju has not, and the roll is lost with its ledger."""
    made = begun(model, charm_with(ASK + RESTART), units=2, juju=juju, retry_automatically=False)
    watch = StrictWatch(made)
    order(made, "request_roll('restart')")
    until(made, lambda: 'app/1' in watch.at_work, within_s=SOON_S)
    made.lose_commit('app/1')
    until(made, lambda: in_error(made, 'app/1'), within_s=100)
    made.lose_store('app/1', '.coordinator.json*')
    made.lose_app_data('coordinator-ledger')
    made.run_exec('app/1', ASK_B.replace("'b'", "'restart'"), as_action=True)
    made.run(seconds=10)
    restarts = len([event for event in made.history if (event.unit, event.what) == ('app/1', 'works')])

    made.resolve('app/1')
    made.run()
    for unit in made.units:
        made.update_status(unit)
    made.run()

    again = [event for event in made.history if (event.unit, event.what) == ('app/1', 'works')]
    assert len(again) > restarts, made.story(60)
