"""Agents and hooks that die, or run twice: what they decided is as if it had not been (rule 12)."""

import os

import pytest

from tests.cases import ASK, WORK, StrictWatch, both, in_error, until
from tests.compat.seedcharms import classic
from tests.deploy import begun, said

MARKS = """
@when('coordinator.granted.a')
def work():
    check_call(['work', 'SECONDS'])
    with open('worked', 'a') as marks:
        marks.write(hookenv.hook_name() + chr(10))

@when('coordinator.granted.a')
def stands_behind():
    reactive.set_flag('stood-behind')
"""
lengths = pytest.mark.parametrize('seconds', [1, 60], ids=['short work', 'long work'])
workers = pytest.mark.parametrize('unit', ['app/0', 'app/1'], ids=['the leader', 'another'])


def ask_by(unit):
    return ASK.replace(
        "hookenv.config('go'):", "hookenv.config('go') == 1 + (hookenv.local_unit() != '%s'):" % unit
    )


def begins_to_work(model, charm, juju, unit, **options):
    """Return a model in which a unit has just begun to work, and a watch of it."""
    made = begun(model, charm, units=3, juju=juju, **options)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: unit in watch.at_work)
    made.configure(go=2)
    return made, watch


@both
@lengths
@workers
def test_an_agent_that_dies_while_the_granted_handler_works_has_that_handler_run_again(
    model, charm_with, juju, seconds, unit
):
    """The re-run published the release and ran no handler: what stood behind the turn was never done."""
    charm = charm_with(ask_by(unit) + MARKS.replace('SECONDS', str(seconds)))
    made, watch = begins_to_work(model, charm, juju, unit)
    made.run(seconds=0.5)

    made.die_agent(unit)
    made.run()

    watch.check()
    worked = [event for event in made.history if event.what == 'works' and event.unit == unit]
    assert len(worked) >= 2, made.story(60)
    assert 'stood-behind' in made.flags_of(unit)
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'], ids=['the leader', 'another'])
def test_an_agent_that_dies_while_a_classic_charm_works_has_the_work_done_again(
    model, classic_db, juju, unit
):
    made = begun(model, classic_db, units=3, juju=juju)
    made.elect(unit)
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    worker = next(iter(watch.at_work))
    made.run(seconds=5)

    made.die_agent(worker)
    made.run()

    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


@both
@workers
@pytest.mark.parametrize('after_s', [0.2, 0.9, 1.5, 2.5])
def test_an_agent_that_dies_at_any_moment_of_a_roll_costs_no_turn(model, charm_with, juju, unit, after_s):
    made = begun(model, charm_with(ASK + WORK.replace('60', '3')), units=3, juju=juju)
    watch = StrictWatch(made)
    for turn in (1, 2, 3):
        made.configure(go=turn)
        made.run(seconds=after_s * turn)
        made.die_agent(unit)
        made.run()

    watch.check()
    assert all(watch.served(each) >= 3 for each in made.units), made.story(60)


@both
@workers
def test_a_hook_killed_while_it_works_is_in_its_turn_when_it_runs_again(model, charm_with, juju, unit):
    made, watch = begins_to_work(model, charm_with(ask_by(unit) + WORK), juju, unit)
    made.run(seconds=5)

    made.kill_hook(unit)
    made.run()

    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


SESSIONS = {
    'fails, then succeeds; left with 1': ([1, 0], 1),
    'fails, then succeeds; left with 0': ([1, 0], 0),
    'succeeds twice; left with 1': ([0, 0], 1),
    'succeeds twice; left with 0': ([0, 0], 0),
    'succeeds three times; left with 1': ([0, 0, 0], 1),
    'fails twice; left with 1': ([1, 1], 1),
}


@both
@workers
@pytest.mark.parametrize('session', SESSIONS.values(), ids=SESSIONS)
def test_a_hook_run_by_hand_more_than_once_is_several_runs_none_of_which_was_flushed(
    model, charm_with, juju, unit, session
):
    """The second process took what the first had not flushed for committed: the next unit waited for ever."""
    codes, left_with = session
    made = begun(model, charm_with(ask_by(unit) + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: unit in watch.at_work)
    made.kill_hook(unit)
    made.fail_command(unit, 'work 60', times=codes.count(1))

    made.debug_hooks(unit, len(codes), left_with)
    made.configure(go=2)
    made.run()

    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


@both
@workers
def test_the_hook_that_asks_run_by_hand_twice_and_left_with_1_loses_no_request(model, charm_with, juju, unit):
    made = begun(model, charm_with(ask_by(unit) + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.debug_hooks(unit, 2, 1, 'config-changed')

    made.configure(go=1)
    made.run(seconds=10)
    made.configure(go=2)
    made.run()

    watch.check()
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


@pytest.fixture
def classic_db(tmp_path):
    """The classic charm of the tests; its upgrade-charm runs config-changed as a program, as many do."""
    charm = classic(tmp_path / 'classic-db', 'classic-db')
    upgrade = charm / 'hooks' / 'upgrade-charm'
    more = (
        'def default_hook():\n'
        '    maybe_restart()\n'
        "    if sys.argv[0].endswith('upgrade-charm'):\n"
        "        check_call(['hooks/config-changed'])\n"
    )
    text = upgrade.read_text()
    assert text.count('def default_hook():\n    maybe_restart()\n') == 1
    upgrade.write_text(text.replace('def default_hook():\n    maybe_restart()\n', more))
    return charm


@both
@pytest.mark.parametrize('moves_s', [0.9, 1.1, 1.4, 5.0])
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_a_hook_that_runs_another_hooks_file_holds_by_committed_tickets_only(
    model, classic_db, juju, moves_s, unit
):
    """Leadership moves meanwhile: on Juju 4 the program read a ledger that its hook had not committed."""
    made = begun(model, classic_db, units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run()

    made.upgrade(unit)
    made.configure(go=2)
    made.elect('app/2', after_s=moves_s)
    made.elect('app/1', after_s=moves_s + 1)
    made.run()

    watch.check()
    assert all(watch.served(each) >= 2 for each in made.units), made.story(60)


@both
def test_a_program_that_the_granted_handler_runs_leaves_the_turn_where_it_is(model, charm_with, juju):
    """The child asks what its parent holds, and tries to give it away."""
    script = """#!/usr/bin/env python3
from charmhelpers.core import hookenv
from charms.layer import coordinator

hookenv.log('child {}'.format(coordinator.is_granted('a')))
coordinator.release_lock('a')
"""
    child = WORK + "    check_call(['hooks/child'])\n    check_call(['systemctl', 'restart', 'later'])\n"
    charm = charm_with(ASK + child)
    (charm / 'hooks' / 'child').write_text(script)
    os.chmod(str(charm / 'hooks' / 'child'), 0o755)
    made = begun(model, charm, units=3, juju=juju)
    watch = StrictWatch(made)
    made.fail_command('app/0', 'systemctl restart later')

    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/0'))
    made.run()

    watch.check()
    assert said(made, 'app/0', 'child ')[0] == 'False'
    assert all(watch.served(each) >= 1 for each in made.units), made.story(60)


@both
def test_a_turn_whose_end_the_charm_saved_is_over_though_juju_and_the_layers_store_lost_it(
    model, charm_with, juju
):
    """The databag still says that it asks, so without the charm's own store it would work again."""
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    worker = next(iter(watch.at_work))
    made.lose_commit(worker)
    made.run(seconds=61)
    made.lose_store(worker, '.coordinator.json*')
    made.run(seconds=900)

    worked = [event.unit for event in made.history if event.what == 'worked']
    assert sorted(worked) == sorted(made.units), made.story(60)
