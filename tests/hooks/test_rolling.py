"""Rolling restarts of the example charm through real charms.reactive, in both Juju modes."""

import pytest

from tests.deploy import RESTART_S
from tests.watch import Watch

HOOK_S = 1.0
both = pytest.mark.parametrize('juju', [3, 4])
every_python = pytest.mark.every_python


def settled(model, charm, **options):
    """Return a model whose units are installed and at rest."""
    juju = model(charm, **options)
    juju.run()
    return juju


@both
def test_five_units_restart_once_each_one_at_a_time_and_without_a_gap(model, example, juju):
    deployed = settled(model, example, units=5, juju=juju)
    for place, leader in enumerate(deployed.units):
        deployed.elect(leader)
        deployed.run()
        watch = Watch(deployed)

        deployed.configure(memory=2 + place)
        deployed.run()

        watch.check()
        assert [watch.served(unit) for unit in deployed.units] == [1] * 5
        assert watch.most_at_work == 1
        assert watch.duration_s <= 1.1 * 5 * (RESTART_S + HOOK_S), leader


@both
def test_leadership_that_moves_in_every_turn_makes_no_two_work_and_none_wait(model, example, juju):
    deployed = settled(model, example, units=5, juju=juju, seed=7)
    watch = Watch(deployed)
    for turn in range(20):
        deployed.elect(after_s=7 + 23 * turn)

    deployed.configure(memory=2)
    deployed.run()

    watch.check()
    assert [watch.served(unit) for unit in deployed.units] == [1] * 5
    assert watch.duration_s <= 1.1 * 5 * (RESTART_S + HOOK_S)


@both
@every_python
def test_a_restart_that_fails_stops_the_roll_until_it_is_retried(model, example, juju):
    deployed = settled(model, example, units=3, juju=juju)
    watch = Watch(deployed)
    deployed.fail_command('app/1', 'systemctl restart rolling-db')

    deployed.configure(memory=2)
    deployed.run()

    watch.check()
    assert [watch.served(unit) for unit in deployed.units] == [1] * 3
    assert sum(event.what == 'failed at' for event in deployed.history) == 1


@both
@pytest.mark.parametrize('unit', ['app/0', 'app/1'])
def test_a_hook_killed_at_any_of_its_calls_neither_frees_nor_loses_a_turn(model, example, juju, unit):
    deployed = settled(model, example, units=2, juju=juju)
    for call in range(1, 13):
        watch = Watch(deployed)

        deployed.configure(memory=1 + call)
        deployed.crash_hook(unit, call)
        deployed.run()

        watch.check()
        assert all(watch.served(each) >= 1 for each in deployed.units), deployed.story(40)
    assert sum(event.what == 'is killed' for event in deployed.history) >= 5  # a waiting unit's hook has five


@both
def test_a_commit_lost_or_repeated_neither_frees_nor_loses_a_turn(model, example, juju):
    deployed = settled(model, example, units=3, juju=juju)
    for place, fault in enumerate([deployed.lose_commit, deployed.repeat_commit]):
        for unit in ('app/0', 'app/1'):
            watch = Watch(deployed)

            deployed.configure(memory=2 + 10 * place + int(unit[-1]))
            fault(unit)
            deployed.run()

            watch.check()
            assert all(watch.served(each) >= 1 for each in deployed.units), deployed.story(40)


ASKS_IN_INSTALL = """
@when('config.changed')
def ask():
    coordinator.request_lock('restart')

@when('coordinator.granted.restart')
def restart():
    check_call(['systemctl', 'restart', 'db'])
"""


@both
def test_a_new_unit_that_leads_before_it_has_joined_anyone_takes_nobodys_turn(model, charm_with, juju):
    deployed = settled(model, charm_with(ASKS_IN_INSTALL), units=3, juju=juju)
    watch = Watch(deployed)

    deployed.configure(go=1)
    deployed.run(seconds=10)
    added = deployed.add_unit()
    deployed.elect(added)
    deployed.run()

    watch.check()
    assert [watch.served(unit) for unit in deployed.units] == [1] * 4


@both
def test_removing_units_that_wait_or_work_lets_the_others_go_on(model, example, juju):
    deployed = settled(model, example, units=5, juju=juju, seed=3)
    watch = Watch(deployed)
    deployed.configure(memory=2)
    deployed.run(until=lambda: bool(watch.at_work))
    worker = next(iter(watch.at_work))
    waiter = next(unit for unit in deployed.units if unit != worker)

    deployed.remove_unit(worker)
    deployed.remove_unit(waiter)
    deployed.run(seconds=1500)

    watch.check()
    assert len(deployed.units) == 3
    assert all(watch.served(unit) == 1 for unit in deployed.units), deployed.story(80)


@both
def test_a_holder_lost_for_good_keeps_the_lock_until_it_is_removed(model, example, juju):
    deployed = settled(model, example, units=3, juju=juju)
    watch = Watch(deployed)
    deployed.configure(memory=2)
    deployed.run(until=lambda: bool(watch.at_work))
    holder = next(iter(watch.at_work))

    deployed.lose_unit(holder)
    deployed.run(seconds=3600)
    others = [unit for unit in deployed.units if unit != holder]
    assert [watch.served(unit) for unit in others] == [0, 0]

    deployed.lose_unit(holder, force=True)
    deployed.run(seconds=1000)

    watch.check()
    assert [watch.served(unit) for unit in others] == [1, 1], deployed.story(60)


@both
def test_a_leader_cut_off_from_the_controller_makes_no_two_work(model, example, juju):
    deployed = settled(model, example, units=4, juju=juju)
    watch = Watch(deployed)
    deployed.configure(memory=2)
    deployed.run(seconds=5)

    deployed.partition('app/0', 200)
    deployed.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in deployed.units), deployed.story(60)


@pytest.mark.parametrize('juju, slots, most', [(3, 2, 2), (4, 2, 2), (3, '75%', 3), (4, '10%', 1)])
def test_no_more_units_work_at_once_than_there_are_slots(model, tmp_path, juju, slots, most):
    from tests.deploy import ROOT, assemble

    charm = assemble(ROOT / 'examples' / 'rolling-db', tmp_path / 'charm', {'slots': slots})
    deployed = settled(model, charm, units=4, juju=juju)
    watch = Watch(deployed, slots=most)

    deployed.configure(memory=2)
    deployed.run()

    watch.check()
    assert [watch.served(unit) for unit in deployed.units] == [1] * 4
    assert watch.most_at_work == most


@both
def test_the_same_seed_tells_the_same_history_to_the_letter(model, example, juju):
    stories = []
    for _ in range(2):
        deployed = settled(model, example, units=3, juju=juju, seed=11)
        deployed.configure(memory=2)
        deployed.elect(after_s=30)
        deployed.run()
        stories.append(deployed.story())

    assert stories[0] == stories[1]
    assert len(stories[0].splitlines()) > 50


@both
def test_the_operator_reads_who_holds_it_and_how_many_are_ahead(model, example, juju):
    deployed = settled(model, example, units=4, juju=juju)

    deployed.configure(memory=2)
    deployed.run(seconds=90)

    said = {unit.status_message for unit in deployed.controller.units.values()}
    assert any(text.startswith('restart: app/') and 'holds it' in text for text in said), said
