"""Faults of rule 19 that an adversary and spin found; with every hook (`wake: all`) no unit waited."""

import pytest

from tests.cases import NO_UPDATE_STATUS_S, WORK, StrictWatch, ask, both, in_error, until, with_metrics
from tests.deploy import begun

ASK_SOME = """
@when('config.changed.go')
def ask():
    if hookenv.local_unit()[-1] in str(hookenv.config('go')):
        coordinator.request_lock('a')
"""
"""The units whose numbers are digits of `go` ask."""

ASK_NOW = """#!/usr/bin/env python3
from charmhelpers.core import hookenv
from charms.layer import coordinator

coordinator.request_lock({})
"""


def acting(charm, lock="'a'"):
    """Return the charm with an action that asks for a lock: no other unit runs a hook of its own for that."""
    (charm / 'actions').mkdir(exist_ok=True)
    (charm / 'actions' / 'ask').write_text(ASK_NOW.format(lock))
    (charm / 'actions' / 'ask').chmod(0o755)
    return charm


@both
def test_a_unit_that_is_removed_after_its_turn_holds_nobody_up(model, charm_with, juju):
    """The leader had put off the news of its release, and forgot it in relation-departed."""
    charm = charm_with(ASK_SOME + WORK)
    made = begun(model, charm, units=5, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.configure(go=124)
    until(made, lambda: len(watch.turns) == 1)
    made.run(seconds=5)
    made.remove_unit(watch.turns[0].unit)
    made.run(seconds=600)
    assert len(watch.turns) == 3
    made.configure(go=3)
    made.run(seconds=300)

    watch.check()
    assert watch.served('app/3') == 1, made.story(40)


@both
def test_a_leader_whose_hook_is_run_twice_by_hand_hears_what_comes_next(model, charm_with, juju):
    """The second run found the ledger written, and believed that its unit leads no more (seed 4322467)."""
    charm = acting(charm_with(WORK))
    made = begun(model, charm, units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.debug_hooks('app/0', 2, 0, 'coordinator-relation-changed')
    for unit in 'app/1', 'app/2':
        made.run_action(unit, 'ask')
        made.run(seconds=120)

    watch.check()
    assert made.controller.leader == 'app/0'
    assert [turn.unit for turn in watch.turns] == ['app/1', 'app/2'], made.story(60)


@both
def test_a_percentage_that_grows_gives_a_new_unit_its_turn(model, charm_with, juju):
    """The leader went by the slots of the old tickets, of which the last never finishes."""
    charm = charm_with(ASK_SOME + WORK, slots='34%')
    made = begun(model, charm, units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made, slots=3)
    made.configure(go=12)
    until(made, lambda: bool(watch.at_work))
    holder = next(iter(watch.at_work))
    made.fail_hook(holder, times=1000)
    until(made, lambda: in_error(made, holder))
    for _ in range(6):
        made.add_unit()
    made.run(seconds=300)
    made.configure(go=125)
    made.run(seconds=600)

    watch.check()
    assert watch.served('app/5') == 1, made.story(60)


@both
def test_a_leader_with_one_queue_hears_requests_of_units_that_have_one_for_each_lock(model, charm_with, juju):
    plan = ''.join(
        WORK.replace('work()', 'work_' + lock + '()').replace('d.a', 'd.' + lock) for lock in 'abcde'
    )
    lock = "'abcde'[int(hookenv.local_unit()[-1])]"
    old, new = acting(charm_with(plan, queues='per-lock'), lock), acting(charm_with(plan), lock)
    made = begun(model, old, units=5, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made, slots=2)
    made.run_action('app/1', 'ask')
    until(made, lambda: bool(watch.at_work))
    made.fail_hook('app/1', times=1000)
    until(made, lambda: in_error(made, 'app/1'))
    made.upgrade('app/0', new)
    made.run(seconds=60)
    made.poison('app/4', 'any', 'news')
    made.run(seconds=60)
    made.run_action('app/2', 'ask')
    made.run(seconds=300)

    watch.check()
    assert watch.served('app/2') == 1, made.story(40)


def test_what_is_asked_for_in_collect_metrics_is_published_in_the_next_hook(model, charm_with):
    plan = """
from charms.reactive import collect_metrics

@collect_metrics()
def ask():
    coordinator.request_lock('a')
"""
    charm = with_metrics(charm_with(plan + WORK))
    made = begun(model, charm, units=3, juju=3, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.collect_metrics('app/2')
    made.run(seconds=100)
    made.poison('app/1', 'any', 'news')
    made.run(seconds=100)

    watch.check()
    assert watch.served('app/2') == 1, made.story(20)


@both
@pytest.mark.parametrize('call', [1, 2, 3])
def test_a_leader_whose_leadership_left_and_returned_within_a_hook_hears_the_next_request(
    model, charm_with, juju, call
):
    """is-leader said False once, and Juju runs no leader-elected."""
    charm = acting(charm_with(ASK_SOME + WORK))
    made = begun(model, charm, units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch, calls = StrictWatch(made), []

    def move(execution, argv):
        if execution.unit != 'app/0':
            return
        if argv[0].endswith('is-leader'):
            calls.append(argv)
            if len(calls) == call:
                made.elect('app/1')
        elif len(calls) >= call:
            made.calls_everywhere = None
            made.elect('app/0')

    made.calls_everywhere = move
    made.configure(go=90)
    made.run(seconds=200)
    assert len(calls) >= call
    assert made.controller.leader == 'app/0'
    made.run_action('app/2', 'ask')
    made.run(seconds=300)

    watch.check()
    assert watch.served('app/2') == 1, made.story(60)


def test_leader_settings_changed_runs_after_a_refresh_which_may_bring_its_handlers(model, charm_with):
    handler = """
@hook('leader-settings-changed')
def settings():
    hookenv.log('they have changed')
"""
    old, new = charm_with(ASK_SOME + WORK), charm_with(ASK_SOME + WORK + handler)
    made = begun(model, old, units=4, update_status_s=NO_UPDATE_STATUS_S)
    for go in (12, 32):
        made.configure(go=go)
        made.run()
    for unit in made.units:
        made.upgrade(unit, new)
    made.run()

    assert [unit for unit in made.units if made.log_of(unit, 'they have')] == ['app/1', 'app/2', 'app/3']


@both
def test_names_that_a_loss_of_power_took_from_the_leaders_disk_are_read_again_in_start(
    model, charm_with, juju
):
    """The script does not synchronise what it appends; the machine is back before its lease is over."""
    charm = acting(charm_with(ASK_SOME + WORK))
    made = begun(model, charm, units=5, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch, agent = StrictWatch(made), made.agents['app/0']
    made.configure(go=12)
    until(made, lambda: bool(watch.at_work))
    made.poison('app/4', 'any', 'news')
    made.run(seconds=8)
    file = made._charm_dir('app/0') / '.coordinator.wake'
    on_disk = file.read_text()
    made.run_action('app/3', 'ask')
    made.run(seconds=10)
    assert 'app/3' in file.read_text()
    file.write_text(on_disk)
    agent.restart()
    agent.local.queued_start = True
    made.poison('app/4', 'any', 'more news')
    made.run(seconds=600)

    watch.check()
    assert watch.served('app/3') == 1, made.story(40)


SECOND = """
class Mine(coordinator.Serial):
    pass

mine = Mine(relation_key='mine', peer_relation_name='coordinator')

@when_not('worked')
def work():
    if hookenv.config('go') and mine.acquire('x'):
        check_call(['work', '60'])
        reactive.set_flag('worked')
"""


@both
def test_a_second_coordinator_in_the_layers_peer_relation_has_every_hook(model, charm_with, juju):
    made = begun(model, charm_with(SECOND), units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 4, made.story(40)


@both
@pytest.mark.parametrize('works', [True, False], ids=['it works', 'it waits'])
def test_a_unit_that_is_removed_is_not_the_only_one_that_is_heard(model, charm_with, juju, works):
    """On Juju 3 no hook brings what it says after its relation-departed."""
    charm = acting(charm_with(ASK_SOME + WORK))
    made = begun(model, charm, units=5, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.configure(go=12)
    until(made, lambda: bool(watch.turns) or (not works and bool(watch.at_work)))
    made.run(seconds=20)
    made.remove_unit(next(unit for unit in ('app/1', 'app/2') if (unit in watch.at_work) == works))
    made.run(seconds=200)
    made.run_action('app/3', 'ask')
    made.run(seconds=300)

    watch.check()
    assert watch.served('app/3') == 1, made.story(40)


# Histories that spin found in tests/proofs/turns.pml


@both
def test_a_request_of_an_action_that_juju_never_heard_of_goes_on_with_the_next_news(model, charm_with, juju):
    made = begun(model, acting(charm_with(WORK)), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    made.lose_commit('app/2')
    made.run_exec('app/2', 'actions/ask')
    made.run()
    assert watch.served('app/2') == 0

    made.run_exec('app/1', 'actions/ask')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1], made.story(60)


PLAN = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() != 'app/0':
        coordinator.request_lock('a')
        check_call(['systemctl', 'start', 'probe'])

@when('config.changed.memory')
def slow():
    if hookenv.config('memory') > 1 and hookenv.local_unit() in ('app/0', 'app/1'):
        check_call(['systemctl', 'start', 'slow'])
"""


def machine(unit, argv):
    return {'slow': 40.0, 'probe': 0.1, '60': 60.0}[argv[-1]], 0


@both
def test_a_request_whose_hook_was_resolved_without_a_retry_goes_on_with_the_next_news(
    model, charm_with, juju
):
    made = begun(
        model, acting(charm_with(PLAN + WORK)), units=3, juju=juju, retry_automatically=False,
        update_status_s=NO_UPDATE_STATUS_S, machine=machine,
    )  # fmt: skip
    watch = StrictWatch(made)
    made.fail_command('app/2', 'systemctl start probe', times=1)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/2'))
    made.lose_commit('app/2')
    made.resolve('app/2')
    made.run(seconds=3)
    until(made, lambda: in_error(made, 'app/2'))
    made.resolve('app/2', retry=False)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1], made.story(60)


@both
def test_a_leader_to_which_leadership_came_back_unheard_of_hears_the_next_request(model, charm_with, juju):
    made = begun(
        model,
        acting(charm_with(PLAN + WORK)),
        units=4,
        juju=juju,
        update_status_s=NO_UPDATE_STATUS_S,
        machine=machine,
    )
    watch, since = StrictWatch(made), made.now

    def hooks(unit):
        return [
            event
            for event in made.history
            if event.what == 'begins' and event.unit == unit and event.time > since
        ]

    made.configure(memory=2)
    until(made, lambda: bool(hooks('app/0')))
    made.elect('app/1')
    made.elect('app/0', after_s=20)
    made.run()
    assert not [event for unit in made.units for event in hooks(unit) if 'leader-elected' in event.text]
    for unit in ('app/2', 'app/3'):
        made.run_exec(unit, 'actions/ask')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 0, 1, 1], made.story(60)


TWO_QUEUES = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() == 'app/2':
        coordinator.request_lock('b')

@when('coordinator.granted.a')
def hold():
    if hookenv.config('go') < 9:
        coordinator.keep_lock('a')

@when('coordinator.granted.b')
def has_b():
    hookenv.log('HAS b')
"""


@both
@pytest.mark.parametrize('options', [{'queues': 'per-lock'}, {'class': 'Serial'}], ids=['per-lock', 'Serial'])
@pytest.mark.parametrize('rolls', [False, True], ids=['it asks', 'a roll'])
def test_a_unit_that_waits_in_one_queue_hears_of_its_ticket_in_another(
    model, charm_with, juju, options, rolls
):
    """What its first turn depends on was still in the ledger, so it did not look for the second."""
    charm = charm_with(TWO_QUEUES, **options)
    made = begun(model, charm, units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()
    for unit in ('app/3', 'app/2'):
        ask(made, unit, 'a')
        made.run(seconds=30)

    made.poison('app/1', 'any', 'news')  # which matters to nobody
    made.run(seconds=30)
    if rolls:
        made.run_action('app/0', 'coordinator-roll', lock='b', order='name')
    else:
        made.configure(go=1)
    made.run(seconds=100)

    for unit in made.units if rolls else ['app/2']:
        assert len(made.log_of(unit, 'HAS b')) == 1, made.story(40)
