"""Which hook runs next, and what wakes a unit: R1 to R4, R24 to R26."""

import pytest

from jujusim.tests.scripts import (
    CHANGED,
    CREATED,
    DEPARTED,
    JOINED,
    act,
    both,
    forget,
    hooks,
    noted,
    only_3,
    only_4,
    times,
)

# R1-R3: one loop a unit, no queue


@both
def test_a_unit_runs_one_hook_at_a_time_while_other_units_run_theirs(deployed, juju):
    made = deployed(juju, {'config-changed': 'time.sleep(30)'})

    made.run_action('app/0', 'nap')
    made.configure(go=1)
    made.run()

    begins, ends = times(made, 'app/0', 'begins'), times(made, 'app/0', 'ran') + times(made, 'app/0', 'ends')
    assert begins[1] >= ends[0]
    assert times(made, 'app/1', 'begins')[0] < ends[0]


@both
def test_changes_during_a_busy_hook_give_one_relation_changed_with_the_last_value(deployed, juju):
    made = deployed(juju, {CHANGED: 'note("sees", word("app/1"))' + ' if ME == "app/0" else None'})

    made.run_action('app/0', 'nap')
    made.run(seconds=5)
    for word in ['a', 'b', 'a', 'b']:
        made.run_action('app/1', 'say-' + word)
        made.run(seconds=5)
    made.run()

    assert hooks(made, 'app/0') == ['action nap', CHANGED + ' (app/1)']
    assert noted(made, 'app/0', 'sees') == [['b']]


@only_3
def test_a_unit_that_comes_and_goes_while_another_is_busy_is_never_seen_by_it(deployed, juju):
    made = deployed(juju)

    made.run_action('app/0', 'nap')
    made.run(seconds=2)
    added = made.add_unit()
    made.run(seconds=20)
    made.remove_unit(added)
    made.run()

    assert hooks(made, 'app/0') == ['action nap']
    assert JOINED + ' (app/2)' in hooks(made, 'app/1')


@both
def test_configuration_changed_and_changed_back_during_a_hook_gives_no_config_changed(deployed, juju):
    made = deployed(juju)

    made.run_action('app/0', 'nap')
    made.run(seconds=5)
    made.configure(go=1)
    made.configure(go=0)
    made.run()

    assert hooks(made, 'app/0') == ['action nap']


# R4: order


@both
def test_a_new_unit_runs_its_hooks_in_jujus_order(deployed, juju):
    made = deployed(juju)

    added = made.add_unit()
    made.run()

    leadership = ['leader-settings-changed'] if juju == 3 else []
    peers = [JOINED + ' (app/0)', CHANGED + ' (app/0)', JOINED + ' (app/1)', CHANGED + ' (app/1)']
    assert hooks(made, added) == ['install', CREATED, *leadership, 'config-changed', 'start', *peers]


@both
@pytest.mark.parametrize('seed', range(5))
def test_the_first_leader_is_elected_before_its_first_config_changed(model, charm, juju, seed):
    made = model(charm({}), units=1, juju=juju, seed=seed)

    made.run()

    assert hooks(made, 'app/0') == ['install', CREATED, 'leader-elected', 'config-changed', 'start']


@both
def test_every_joined_is_followed_by_a_changed_though_nothing_was_written(deployed, juju):
    made = deployed(juju)

    made.add_unit()
    made.run()

    assert hooks(made, 'app/0') == [JOINED + ' (app/2)', CHANGED + ' (app/2)']


@both
def test_peers_are_joined_in_the_order_of_their_names_as_text(model, charm, juju):
    made = model(charm({}), units=11, juju=juju)
    made.run()

    added = made.add_unit()
    made.run()

    joined = [hook for hook in hooks(made, added) if hook.startswith(JOINED)]
    names = ['app/{}'.format(number) for number in (0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9)]
    assert joined == ['{} ({})'.format(JOINED, name) for name in names]


@only_3
def test_a_departure_comes_before_the_applications_change_and_that_before_a_join(deployed, juju):
    made = deployed(juju, units=3)

    made.run_action('app/1', 'nap')
    made.run(seconds=2)
    made.run_action('app/0', 'app-a')
    made.add_unit()
    made.run(seconds=20)
    made.remove_unit('app/2')
    made.run()

    order = [DEPARTED + ' (app/2)', CHANGED, JOINED + ' (app/3)', CHANGED + ' (app/3)']
    assert hooks(made, 'app/1') == ['action nap', *order]


@only_4
def test_the_applications_change_comes_before_a_join(deployed, juju):
    made = deployed(juju)

    made.run_action('app/1', 'nap')
    made.run(seconds=2)
    made.run_action('app/0', 'app-a')
    made.add_unit()
    made.run()

    assert hooks(made, 'app/1') == ['action nap', CHANGED, JOINED + ' (app/2)', CHANGED + ' (app/2)']


# R24-R26: what wakes which unit


@both
def test_application_data_wake_every_unit_the_leader_too_without_a_remote_unit(deployed, juju):
    remote = 'note("remote", os.environ["JUJU_REMOTE_UNIT"], os.environ["JUJU_REMOTE_APP"])'
    made = deployed(juju, {CHANGED: remote})

    act(made, 'app/0', 'app-a')

    assert noted(made, 'app/0', 'remote') == noted(made, 'app/1', 'remote') == [['', 'app']]


@both
def test_unit_data_never_wake_their_writer(deployed, juju):
    made = deployed(juju)

    act(made, 'app/0', 'say-a')

    assert hooks(made, 'app/0') == ['action say-a']


@both
def test_writing_what_is_there_wakes_nobody(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'say-a')
    forget(made)

    act(made, 'app/0', 'say-a')

    assert hooks(made, 'app/1') == []


@both
def test_data_changed_and_changed_back_during_a_hook_wake_on_juju_3_and_not_on_juju_4(deployed, juju):
    made = deployed(juju)
    act(made, 'app/1', 'say-a')
    forget(made)

    made.run_action('app/0', 'nap')
    made.run(seconds=5)
    for action in ['say-b', 'say-a']:
        made.run_action('app/1', action)
        made.run(seconds=5)
    made.run()

    assert hooks(made, 'app/0') == ['action nap'] + ([CHANGED + ' (app/1)'] if juju == 3 else [])


@both
def test_update_status_comes_to_each_idle_unit_every_4_to_6_minutes(deployed, juju):
    made = deployed(juju)

    made.run(seconds=3000)

    for unit in made.units:
        at = times(made, unit, 'begins', 'update-status')
        assert len(at) >= 8
        assert all(239 <= later - earlier <= 361 for earlier, later in zip(at, at[1:]))


@both
def test_an_update_status_due_during_a_hook_is_absorbed_by_it(deployed, juju):
    made = deployed(juju, {'config-changed': 'time.sleep(370) if ask("config-get", "go") else None'}, units=1)

    made.configure(go=1)
    made.run(seconds=450)

    assert hooks(made, 'app/0') == ['config-changed']
    assert made.running == {}
