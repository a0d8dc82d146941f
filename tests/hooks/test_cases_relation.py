"""The peer relation's id, its neighbours, and hooks in which Juju answers nothing (rule 17)."""

import os

import pytest
import yaml

from tests.cases import ASK, KEEP, WORK, StrictWatch, both, failures, health, until
from tests.deploy import begun, said

bags = pytest.mark.parametrize('keep_databags', [True, False], ids=['databags kept', 'databags empty'])
MOMENTS = ['at rest', 'asked', 'at work']


@both
@bags
@pytest.mark.parametrize('moment', MOMENTS)
def test_a_peer_relation_that_gets_another_id_fails_no_hook_and_costs_no_turn(
    model, charm_with, juju, keep_databags, moment
):
    """Refresh, rollback, refresh (juju#19631); relation-set with the remembered id exits 2."""
    made = begun(model, charm_with(ASK + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    if moment == 'at rest':
        made.run()
    else:
        until(made, lambda: 'at rest' not in moment and bool(watch.at_work))
        made.run(seconds=10)

    made.change_relation_id(keep_databags)
    if moment == 'asked':
        made.configure(go=2)
    made.run(seconds=1500)
    made.configure(go=3)
    made.run(seconds=900)

    watch.check()
    assert all(watch.served(unit) >= 2 for unit in made.units), made.story(60)
    assert not [event for event in failures(made) if 'exit status 2' in event.text][3:]


@both
@bags
@pytest.mark.parametrize('leader', ['app/0', 'app/1'])
def test_a_subordinate_at_work_is_heard_before_a_new_ledger_when_the_relation_gets_another_id(
    model, charm_with, juju, keep_databags, leader
):
    """No list of units that a leader can see then has it: goal-state lists principals."""
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju, subordinate=True)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.elect('app/1')
    made.run(seconds=10)

    made.change_relation_id(keep_databags)
    made.elect(leader)
    made.run(seconds=5)
    made.elect('app/1')
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@bags
@pytest.mark.parametrize('units', [2, 4])
def test_a_unit_at_work_is_heard_by_a_new_leader_when_the_relation_gets_another_id(
    model, charm_with, juju, keep_databags, units
):
    """It has not joined the new relation yet, and the new leader never heard it under the old one."""
    made = begun(model, charm_with(ASK + WORK), units=units, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    worker = next(iter(watch.at_work))
    made.run(seconds=5)

    made.change_relation_id(keep_databags)
    made.run(seconds=3)
    made.elect(max(unit for unit in made.units if unit != worker))
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@bags
def test_a_kept_turn_goes_on_when_the_relation_gets_another_id(model, charm_with, juju, keep_databags):
    machine = health(lambda unit: 400.0 if unit == 'app/0' else 0.0, lambda: made)
    made = begun(model, charm_with(ASK + KEEP), units=3, juju=juju, machine=machine, update_status_s=60.0)
    watch = StrictWatch(made, until='healthy')
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.run(seconds=20)

    made.change_relation_id(keep_databags)
    made.run(seconds=1200)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@bags
def test_an_id_that_changes_again_and_again_is_found_each_time(model, charm_with, juju, keep_databags):
    made = begun(model, charm_with(ASK + WORK.replace('60', '5')), units=3, juju=juju)
    watch = StrictWatch(made)
    for go in (1, 2, 3):
        made.change_relation_id(keep_databags)
        made.configure(go=go)
        made.run(seconds=700)

    watch.check()
    assert all(watch.served(unit) >= 3 for unit in made.units), made.story(60)


METRICS = """#!/usr/bin/env python3
from charmhelpers.core import hookenv
from charms.layer import coordinator

hookenv.log('metrics {} {}'.format(coordinator.is_granted('a'), coordinator.token('a')))
hookenv.log('metrics {}'.format(coordinator.explain('a')))
"""


@pytest.mark.parametrize('hook', ['collect-metrics', 'meter-status-changed'])
@pytest.mark.parametrize('kept', [True, False], ids=['it keeps the lock', 'it waits'])
def test_a_lock_is_not_held_in_a_hook_in_which_juju_answers_nothing(model, charm_with, hook, kept):
    machine = health(lambda unit: 200.0 if unit == 'app/0' else 0.0, lambda: made)
    charm = charm_with(ASK + KEEP)
    (charm / 'hooks' / hook).write_text(METRICS)
    os.chmod(str(charm / 'hooks' / hook), 0o755)
    made = begun(model, charm, units=3, machine=machine, update_status_s=60.0)
    watch = StrictWatch(made, until='healthy')
    made.configure(go=1)
    until(made, lambda: 'app/0' in watch.at_work)
    made.run(seconds=20)

    made.collect_metrics('app/0' if kept else 'app/1', hook)
    made.run(seconds=900)

    watch.check()
    assert not failures(made)
    assert said(made, 'app/0' if kept else 'app/1', 'metrics ')[0] == 'False None'
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1], made.story(60)


def with_peers(charm, *names):
    """Let a charm name more peer relations."""
    metadata = yaml.safe_load((charm / 'metadata.yaml').read_text())
    for name in names:
        metadata['peers'][name] = {'interface': name}
    (charm / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    return charm


@both
@pytest.mark.parametrize('names', [['aaa'], ['zzz'], ['aaa', 'zzz']], ids='-'.join)
def test_a_refresh_that_brings_more_peer_relations_changes_no_place_in_the_queue(
    model, charm_with, juju, names
):
    """One of them sorts before ours."""
    before, after = charm_with(ASK + WORK), with_peers(charm_with(ASK + WORK), *names)
    made = begun(model, before, units=3, juju=juju)
    watch = StrictWatch(made, until='work 60')
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=5)

    for unit in made.units:
        made.upgrade(unit, after)
        made.run(seconds=30)
    made.run()
    made.configure(go=2)
    made.run()

    watch.check()
    assert not failures(made)
    assert all(watch.served(unit) >= 2 for unit in made.units), made.story(60)
