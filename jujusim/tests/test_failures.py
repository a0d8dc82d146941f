"""Errors, retries, crashes and restarts: R11 to R13."""

import pytest

from jujusim.tests.scripts import (
    CHANGED,
    JOINED,
    act,
    both,
    hooks,
    noted,
    only_3,
    published,
    run_until,
    times,
)

# R11: errors


@both
def test_a_failed_hook_is_retried_after_5_s_10_s_20_s(deployed, juju):
    made = deployed(juju, units=1)
    made.fail_hook('app/0', 'config-changed', times=3)

    made.configure(go=1)
    made.run()

    fails, begins = times(made, 'app/0', 'fails'), times(made, 'app/0', 'begins', 'config-changed')
    waits = [again - failed for failed, again in zip(fails, begins[1:])]
    assert waits == pytest.approx([5, 10, 20], rel=0.11)


@both
def test_a_unit_in_error_runs_no_other_hook_but_runs_actions(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/0', 'config-changed', times=2)

    made.configure(go=1)
    run_until(made, 'app/0', 'fails')
    made.run_action('app/1', 'say-a')
    made.run_action('app/0', 'look')
    made.run()

    failing = ['config-changed', 'action look', 'config-changed', 'config-changed']
    assert hooks(made, 'app/0') == [*failing, CHANGED + ' (app/1)']


@both
def test_a_retry_reads_everything_anew(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'note("config", ask("config-get", "go"))'}, units=1)
    made.fail_hook('app/0', 'upgrade-charm')

    made.upgrade('app/0')
    run_until(made, 'app/0', 'fails')
    made.configure(go=7)
    made.run()

    assert noted(made, 'app/0', 'config') == [[0], [7]]


@both
def test_a_leader_in_error_keeps_the_lease(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/0', 'config-changed', times=100)

    made.configure(go=1)
    made.run(seconds=2000)

    assert times(made, 'app/1', 'leads') == []


@both
def test_resolve_runs_the_failed_hook_at_once(deployed, juju):
    made = deployed(juju, units=1)
    made.fail_hook('app/0', 'config-changed')

    made.configure(go=1)
    run_until(made, 'app/0', 'fails')
    made.run(seconds=1)
    made.resolve('app/0')
    made.run(seconds=0.1)

    assert hooks(made, 'app/0') == ['config-changed'] * 2


@both
def test_a_resolved_hook_that_fails_again_waits_its_whole_next_delay(deployed, juju):
    made = deployed(juju, units=1)
    made.fail_hook('app/0', 'config-changed', times=2)

    made.configure(go=1)
    run_until(made, 'app/0', 'fails')
    made.run(seconds=1)
    made.resolve('app/0')
    made.run()

    assert times(made, 'app/0', 'begins')[2] - times(made, 'app/0', 'fails')[1] >= 9


@both
def test_resolve_without_retry_counts_the_hook_as_done(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/0', JOINED, times=100)

    added = made.add_unit()
    run_until(made, 'app/0', 'fails')
    made.resolve('app/0', retry=False)
    made.run()
    act(made, 'app/0', 'list')

    assert hooks(made, 'app/0') == [JOINED + ' (app/2)', CHANGED + ' (app/2)', 'action list']
    assert noted(made, 'app/0', 'list') == [['app/1', added]]


@both
def test_a_unit_whose_remove_hook_is_resolved_without_retry_is_gone(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/0', 'remove', times=100)

    made.remove_unit('app/0')
    run_until(made, 'app/0', 'fails')
    made.resolve('app/0', retry=False)
    made.run()

    assert made.units == ['app/1']
    assert made.controller.leader == 'app/1'


@both
def test_a_flush_that_is_lost_fails_the_hook_and_the_next_run_publishes(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'say("a")'})
    made.lose_commit('app/0')

    made.upgrade('app/0')
    run_until(made, 'app/0', 'fails')
    lost = published(made, 'app/0')
    made.run()

    assert (lost, published(made, 'app/0')) == (None, 'a')


# R12, R13: crashes and restarts


@both
def test_a_killed_hook_publishes_nothing_and_runs_again_without_error(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'say("a");members()'})
    made.crash_hook('app/0', at_call=2)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'is killed')
    lost = published(made, 'app/0')
    made.run()

    assert (lost, published(made, 'app/0')) == (None, 'a')
    assert hooks(made, 'app/0') == ['upgrade-charm', 'upgrade-charm', 'config-changed']
    assert times(made, 'app/0', 'fails') == []


@both
def test_a_hook_that_dies_of_a_signal_runs_again_without_error(deployed, juju):
    script = 'os.path.exists("killed") or (open("killed", "w").close(), os.kill(os.getpid(), 9))'
    made = deployed(juju, {'upgrade-charm': script}, units=1)

    made.upgrade('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['upgrade-charm', 'upgrade-charm', 'config-changed']
    assert times(made, 'app/0', 'fails') == []


@both
def test_a_hook_killed_at_its_first_call_has_changed_nothing(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'tool("status-set", "active", "here")'}, units=1)
    made.crash_hook('app/0', at_call=1)

    made.upgrade('app/0')
    run_until(made, 'app/0', 'is killed')

    assert made.controller.units['app/0'].status_message == ''


@both
def test_a_hook_whose_end_was_not_noted_runs_again_upon_its_own_writes(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'note("own", word(ME));say("a")'})
    made.repeat_commit('app/0')

    made.upgrade('app/0')
    made.run()

    assert noted(made, 'app/0', 'own') == [[None], ['a']]


@both
def test_an_agents_restart_forgets_peers_data_and_keeps_its_peers(deployed, juju):
    made = deployed(juju, delay_s=(30, 30))
    act(made, 'app/0', 'look')
    made.repeat_commit('app/0')

    made.run_action('app/1', 'say-a')
    made.run(seconds=5)
    made.upgrade('app/0')
    made.run(seconds=5)
    made.run_action('app/0', 'look')
    made.run_action('app/0', 'list')
    made.run(seconds=10)

    assert noted(made, 'app/0', 'sees') == [[None], ['a']]
    assert noted(made, 'app/0', 'list') == [['app/1']]
    assert JOINED + ' (app/1)' not in hooks(made, 'app/0')


@only_3
def test_an_agent_back_from_a_partition_starts_anew(deployed, juju):
    made = deployed(juju)

    made.partition('app/1', 20)
    made.run()

    assert hooks(made, 'app/1') == ['leader-settings-changed']
