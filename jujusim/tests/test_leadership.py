"""Leader settings, the lease, and the hooks of leadership: R9, R14 to R18."""

import pytest

from jujusim.tests.scripts import act, both, forget, hooks, noted, only_3, published, run_until, times

# R9: leader-set does not wait


@only_3
def test_leader_set_lands_at_once_and_stays_though_the_hook_fails(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'tool("leader-set", "word=a");time.sleep(30);sys.exit(1)'})

    made.upgrade('app/0')
    made.run(seconds=20)
    during = dict(made.controller.leader_settings)
    run_until(made, 'app/0', 'fails')

    assert during == made.controller.leader_settings == {'word': 'a'}


@only_3
def test_leader_set_gives_others_one_hook_a_burst_and_the_leader_none(deployed, juju):
    made = deployed(juju, units=3)

    made.run_action('app/1', 'nap')
    made.run(seconds=2)
    for action in ['lead-a', 'lead-b', 'lead-a']:
        made.run_action('app/0', action)
        made.run(seconds=3)
    made.run()

    assert hooks(made, 'app/0') == ['action lead-a', 'action lead-b', 'action lead-a']
    assert hooks(made, 'app/1') == ['action nap', 'leader-settings-changed']


@only_3
def test_leader_set_of_what_is_there_gives_nobody_a_hook(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'lead-a')
    forget(made)

    act(made, 'app/0', 'lead-a')

    assert noted(made, 'app/0', 'lead') == [[0, '']]
    assert hooks(made, 'app/1') == []


@only_3
def test_leader_get_is_read_once_a_hook_and_again_after_ones_own_leader_set(deployed, juju):
    read = 'note("led", ask("leader-get", "word"), ask("leader-get", "more"))\n'
    script = read + 'time.sleep(30)\n' + read + 'tool("leader-set", "more=c")\n' + read
    made = deployed(juju, {'actions/read': script})

    made.run_action('app/0', 'read')
    made.run(seconds=10)
    made.controller.write_leader_settings('app/0', {'word': 'a'})
    made.run()

    assert noted(made, 'app/0', 'led') == [[None, None], [None, None], ['a', 'c']]


@only_3
def test_leader_set_by_another_unit_is_refused_and_stores_nothing(deployed, juju):
    made = deployed(juju)

    act(made, 'app/1', 'lead-a')

    refusal = 'ERROR cannot write leadership settings: cannot write settings: not the leader'
    assert noted(made, 'app/1', 'lead') == [[1, refusal]]
    assert made.controller.leader_settings == {}


# R14-R16: the lease


@both
@pytest.mark.parametrize('at', [1, 11, 21, 29])
def test_a_leader_cut_off_keeps_the_lease_30_to_67_s_and_then_another_leads(deployed, juju, at):
    made = deployed(juju, seed=at)
    made.run(seconds=at)

    made.partition('app/0', 500)
    made.run()

    lasted = times(made, 'app/1', 'leads')[0] - times(made, 'app/0', 'is cut off')[0]
    assert 30 <= lasted <= 67


@both
def test_a_leader_that_came_back_has_a_whole_lease_before_it_when_cut_off_again(deployed, juju):
    made = deployed(juju)
    made.elect('app/1')
    made.run(seconds=25)

    made.partition('app/1', 20)
    made.run(seconds=30)
    made.partition('app/1', 500)
    made.run()

    assert times(made, 'app/0', 'leads')[0] - times(made, 'app/1', 'is cut off')[1] >= 30


@both
def test_a_leader_cut_off_for_less_than_its_lease_goes_on_leading(deployed, juju):
    made = deployed(juju)

    made.partition('app/0', 29)
    made.run(seconds=600)

    assert times(made, 'app/1', 'leads') == []


@both
def test_a_lease_nobody_could_take_over_is_taken_by_the_first_unit_that_is_back(deployed, juju):
    made = deployed(juju)

    made.partition('app/0', 900)
    made.partition('app/1', 300)
    made.run()

    assert times(made, 'app/1', 'leads')[0] - times(made, 'app/1', 'is back')[0] <= 2


@both
def test_a_machine_lost_while_cut_off_does_not_come_back_and_loses_the_lease(deployed, juju):
    made = deployed(juju)

    made.partition('app/0', 20)
    made.lose_unit('app/0')
    made.run(seconds=600)

    assert times(made, 'app/0', 'is back') == []
    assert made.controller.leader == 'app/1'


@both
def test_a_unit_added_where_none_is_left_leads(deployed, juju):
    made = deployed(juju, units=1)
    made.remove_unit('app/0')
    made.run()

    added = made.add_unit()
    made.run()

    assert 'leader-elected' in hooks(made, added)


@both
def test_a_unit_cut_off_cannot_be_elected(deployed, juju):
    made = deployed(juju)

    made.partition('app/1', 100)
    made.elect('app/1')
    made.run()

    assert made.controller.leader == 'app/0'


@both
def test_a_unit_cut_off_twice_is_back_only_after_the_longer_time(deployed, juju):
    made = deployed(juju)

    made.partition('app/1', 100)
    made.partition('app/1', 50)
    made.run()

    assert times(made, 'app/1', 'is back')[0] - times(made, 'app/1', 'is cut off')[0] == pytest.approx(100)


@both
def test_is_leader_once_false_stays_false_for_the_hook_and_true_is_asked_again(deployed, juju):
    script = 'note("leads", ask("is-leader"));time.sleep(30);note("leads", ask("is-leader"))'
    made = deployed(juju, {'actions/ask': script})

    made.run_action('app/0', 'ask')
    made.run_action('app/1', 'ask')
    made.run(seconds=10)
    made.elect('app/1')
    made.run()

    assert noted(made, 'app/0', 'leads') == [[True], [False]]
    assert noted(made, 'app/1', 'leads') == [[False], [False]]


@both
def test_a_unit_may_lead_in_its_install_hook(model, charm, juju):
    made = model(charm({'install': 'note("leads", ask("is-leader"))'}), units=1, juju=juju)

    made.run()

    assert noted(made, 'app/0', 'leads') == [[True]]


@both
def test_a_hook_goes_on_when_its_unit_no_longer_leads(deployed, juju):
    made = deployed(juju, {'actions/slow': 'time.sleep(30);say("a")'})

    made.run_action('app/0', 'slow')
    made.run(seconds=10)
    made.elect('app/1')
    made.run(seconds=10)
    overlapping = 'leader-elected' in hooks(made, 'app/1') and 'app/0' in made.running
    made.run()

    assert overlapping
    assert published(made, 'app/0') == 'a'


@both
def test_a_hook_cut_off_goes_on_without_its_tools_and_runs_again_afterwards(deployed, juju):
    script = 'time.sleep(10);told("list", tool("relation-list", "--format=json"))\n'
    script += 'note("leads", ask("is-leader"))'
    made = deployed(juju, {'upgrade-charm': script})

    made.upgrade('app/0')
    made.run(seconds=5)
    made.partition('app/0', 20)
    run_until(made, 'app/0', 'fails')
    cut_off = noted(made, 'app/0', 'list'), noted(made, 'app/0', 'leads')
    made.run()

    assert cut_off == ([[1, 'ERROR connection is shut down']], [[False]])
    assert noted(made, 'app/0', 'leads')[-1] == [True]


@both
def test_a_hook_that_was_cut_off_fails_though_the_connection_is_back_before_it_ends(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'say("a");time.sleep(30);note("leads", ask("is-leader"))'})

    made.upgrade('app/0')
    made.run(seconds=5)
    made.partition('app/0', 10)
    run_until(made, 'app/0', 'fails')

    assert noted(made, 'app/0', 'leads') == [[False]]
    assert published(made, 'app/0') is None


@both
def test_something_is_left_to_do_until_a_unit_cut_off_is_back(deployed, juju):
    made = deployed(juju)

    made.partition('app/1', 100)
    made.run()

    assert times(made, 'app/1', 'is back')


# R17, R18: leadership's hooks


@both
def test_leadership_lost_and_regained_during_a_hook_gives_no_hook(deployed, juju):
    made = deployed(juju)

    made.run_action('app/0', 'nap')
    made.run(seconds=5)
    made.elect('app/1')
    made.run(seconds=20)
    made.elect('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['action nap']


@both
def test_leadership_lost_in_error_and_regained_brings_leader_elected_again(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/0', 'config-changed', times=3)

    made.configure(go=1)
    run_until(made, 'app/0', 'fails')
    made.elect('app/1')
    made.run(seconds=3)
    made.elect('app/0')
    made.run()

    assert hooks(made, 'app/0') == ['config-changed'] * 4 + ['leader-elected']


@both
def test_a_deposed_leader_runs_no_leader_deposed(deployed, juju):
    made = deployed(juju)

    made.elect('app/1')
    made.run()

    assert hooks(made, 'app/1') == ['leader-elected']
    assert hooks(made, 'app/0') == (['leader-settings-changed'] if juju == 3 else [])


@both
def test_leader_elected_is_skipped_where_leadership_is_lost_before_it_begins(deployed, juju):
    made = deployed(juju, {'actions/nap': 'time.sleep(21)'}, delay_s=(5, 5))

    made.run_action('app/1', 'nap')
    made.elect('app/1')
    made.run(seconds=20)
    made.elect('app/0')
    made.run()

    assert 'leader-elected' not in hooks(made, 'app/1')


@both
def test_a_failed_leader_elected_is_skipped_at_its_retry_where_leadership_is_lost_meanwhile(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/1', 'leader-elected')

    made.elect('app/1')
    run_until(made, 'app/1', 'fails')
    made.elect('app/0')
    made.run(seconds=30)

    assert hooks(made, 'app/1').count('leader-elected') == 1
    assert made.quiet


@only_3
def test_a_new_leader_alone_gives_bystanders_no_leader_settings_changed(deployed, juju):
    made = deployed(juju, units=3)

    made.elect('app/1')
    made.run()

    assert hooks(made, 'app/2') == []


@only_3
def test_a_deposed_leader_runs_leader_settings_changed_for_what_it_wrote_itself(deployed, juju):
    made = deployed(juju)
    made.elect('app/1')
    act(made, 'app/1', 'lead-a')
    forget(made)

    made.elect('app/0')
    made.run()

    assert hooks(made, 'app/1') == ['leader-settings-changed']


@only_3
def test_an_upgrade_gives_leader_settings_changed_to_all_but_the_leader(deployed, juju):
    made = deployed(juju)

    made.upgrade('app/0')
    made.upgrade('app/1')
    made.run()

    assert hooks(made, 'app/0') == ['upgrade-charm', 'config-changed']
    assert hooks(made, 'app/1') == ['upgrade-charm', 'leader-settings-changed', 'config-changed']


@both
def test_leadership_that_leaves_and_returns_between_two_calls_of_a_hook_is_not_seen_by_it(deployed, juju):
    lead = 'say("a", "--app")' if juju == 4 else 'told("lead", tool("leader-set", "word=a"))'
    made = deployed(juju, {'upgrade-charm': 'note("leads", ask("is-leader"))\nmembers()\n' + lead})

    def move(execution, argv):
        if execution.unit == 'app/0' and argv[0] == 'relation-list':
            made.elect('app/1')
            made.elect('app/0')

    made.calls_everywhere = move
    made.upgrade('app/0')
    made.run()

    assert noted(made, 'app/0', 'leads') == [[True]]
    assert (made.controller.app_settings or made.controller.leader_settings) == {'word': 'a'}
    assert len(times(made, 'app/1', 'leads')) == len(times(made, 'app/0', 'leads')) == 1
    assert 'leader-elected' not in hooks(made, 'app/1')


@both
def test_leadership_that_returns_after_a_no_is_refused_to_the_hook_that_heard_it(deployed, juju):
    script = 'time.sleep(10)\nfor _ in range(2):\n    note("leads", ask("is-leader"));time.sleep(10)\n'
    made = deployed(juju, {'upgrade-charm': script})

    made.upgrade('app/0')
    run_until(made, 'app/0', 'begins')
    made.at(made.now + 5, lambda: made.elect('app/1'))
    made.at(made.now + 15, lambda: made.elect('app/0'))
    made.run()

    assert noted(made, 'app/0', 'leads') == [[False], [False]]
    assert made.controller.leader == 'app/0'
