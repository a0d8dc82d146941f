"""Juju's rules in the local Juju, one a test; numbers are those of jujusim/README.md.

The charm here is a handful of plain scripts without charms.reactive and without
the lock layer, so that a fault found here is a fault of the model. A hook that a
test gives no script counts as success, in Juju too. Actions serve as a remote
control: they make one unit write, look or be busy.
"""

import json
import os

import pytest

from jujusim import process, tools

QUICK = False  # a process a hook: here the processes themselves are held to their word

both = pytest.mark.parametrize('juju', [3, 4])
only_3 = pytest.mark.parametrize('juju', [3])
only_4 = pytest.mark.parametrize('juju', [4])

HEAD = """
import json, os, subprocess, sys, time
RELATION, ME = 'coordinator:0', os.environ['JUJU_UNIT_NAME']


def tool(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def ask(*argv):
    return json.loads(tool(*argv, '--format=json').stdout)


def word(unit):
    return ask('relation-get', '-r', RELATION, 'word', unit)


def members():
    return ask('relation-list', '-r', RELATION)


def say(text, *flags):
    return tool('relation-set', '-r', RELATION, *flags, 'word=' + text)


def note(about, *what):
    tool('juju-log', json.dumps([about, *what]))


def told(about, done):
    note(about, done.returncode, done.stderr.strip())


"""
REMOTE_CONTROL = {
    'actions/nap': 'time.sleep(100)',
    'actions/say-a': 'say("a")',
    'actions/say-b': 'say("b")',
    'actions/say-nothing': 'say("")',
    'actions/app-a': 'say("a", "--app")',
    'actions/lead-a': 'told("lead", tool("leader-set", "word=a"))',
    'actions/lead-b': 'told("lead", tool("leader-set", "word=b"))',
    'actions/look': 'note("sees", *[word(unit) for unit in ("app/0", "app/1") if unit != ME])',
    'actions/list': 'note("list", *members())',
}
CHANGED = 'coordinator-relation-changed'
JOINED = 'coordinator-relation-joined'
DEPARTED = 'coordinator-relation-departed'
CREATED = 'coordinator-relation-created'


@pytest.fixture
def charm(tmp_path):
    """Makes a charm of scripts: hooks by their name, actions as `actions/NAME`."""

    def make(scripts):
        top = tmp_path / 'charm'
        for name, body in {**REMOTE_CONTROL, **scripts}.items():
            path = top / (name if '/' in name else 'hooks/' + name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(HEAD + body)
        return top

    return make


@pytest.fixture
def deployed(model, charm):
    """Makes a model of such a charm; what happened until it came to rest is forgotten."""

    def make(juju, scripts=None, units=2, **options):
        made = model(charm(scripts or {}), units=units, juju=juju, **options)
        made.run()
        forget(made)
        return made

    return make


def forget(made):
    made.history.clear()
    made.logs.clear()


def hooks(made, unit):
    """Return the hooks and actions that a unit began, in order."""
    return [event.text for event in made.history if event.unit == unit and event.what == 'begins']


def times(made, unit, what, text=''):
    of_unit = [event for event in made.history if event.unit == unit and event.what == what]
    return [event.time for event in of_unit if event.text.startswith(text)]


def noted(made, unit, about):
    """Return what a unit's scripts noted about something, in order."""
    found = [json.loads(text) for text in made.log_of(unit) if text.startswith('["')]
    return [what for topic, *what in found if topic == about]


def act(made, unit, action):
    """Run an action and let everything come to rest."""
    made.run_action(unit, action)
    made.run()


def run_until(made, unit, what, text=''):
    assert made.run(until=lambda: bool(times(made, unit, what, text))), made.story()


def published(made, unit):
    return made.controller.units[unit].settings.get('word')


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


# R5: relation-list


@both
def test_a_new_unit_that_leads_lists_no_peer_yet(deployed, juju):
    made = deployed(juju, {'leader-elected': 'note("list", members())'})

    added = made.add_unit()
    made.elect(added)
    made.run()

    assert noted(made, added, 'list') == [[[]]]


@both
def test_a_peer_is_listed_from_its_joined_hook_on(deployed, juju):
    made = deployed(juju, {JOINED: 'note("list", *members())', 'start': 'note("list", *members())'})

    added = made.add_unit()
    made.run()

    assert noted(made, added, 'list') == [[], ['app/0'], ['app/0', 'app/1']]


@both
def test_a_peer_in_its_failed_joined_hook_is_not_listed_by_an_action(deployed, juju):
    made = deployed(juju)
    made.fail_hook('app/0', JOINED)

    made.add_unit()
    run_until(made, 'app/0', 'fails')
    made.run_action('app/0', 'list')
    made.run()
    act(made, 'app/0', 'list')

    assert noted(made, 'app/0', 'list') == [['app/1'], ['app/1', 'app/2']]


# R6, R7: what relation-get remembers


@both
def test_a_joined_peers_data_stay_as_first_read_until_its_own_changed_hook(deployed, juju):
    made = deployed(juju, delay_s=(30, 30))
    act(made, 'app/0', 'look')

    made.run_action('app/1', 'say-a')
    made.run(seconds=5)
    assert published(made, 'app/1') == 'a'
    made.run_action('app/0', 'look')
    made.run(seconds=5)
    made.run()
    act(made, 'app/0', 'look')

    assert noted(made, 'app/0', 'sees') == [[None], [None], ['a']]
    assert hooks(made, 'app/0')[1:3] == ['action look', CHANGED + ' (app/1)']


@both
def test_a_change_of_one_peer_refreshes_no_other_peers_data(deployed, juju):
    look = 'note("sees", word("app/1"), word("app/2")) if ME == "app/0" else None'
    made = deployed(juju, {CHANGED: look, 'actions/look': look}, units=3, delay_s=(30, 30))
    act(made, 'app/0', 'look')

    made.run_action('app/2', 'say-a')
    made.run(seconds=10)
    made.run_action('app/1', 'say-a')
    made.run(seconds=24)

    assert published(made, 'app/1') == 'a'
    assert noted(made, 'app/0', 'sees') == [[None, None], [None, 'a']]


@both
def test_a_peer_not_joined_yet_is_read_afresh_in_every_hook(deployed, juju):
    look = 'note("sees", word("app/2"), members())'
    made = deployed(juju, {'actions/look': look}, delay_s=(30, 30))

    added = made.add_unit()
    made.run(until=lambda: made.controller.units[added].entered_scope)
    made.run_action('app/0', 'look')
    made.run_action(added, 'say-a')
    made.run(seconds=5)
    made.run_action('app/0', 'look')
    made.run(seconds=5)

    assert noted(made, 'app/0', 'sees') == [[None, ['app/1']], ['a', ['app/1']]]


@both
def test_a_peers_data_are_read_once_a_hook_whatever_is_committed_meanwhile(deployed, juju):
    twice = 'note("sees", word("app/1"));time.sleep(30);note("sees", word("app/1"))'
    made = deployed(juju, {'actions/twice': twice})

    made.run_action('app/0', 'twice')
    made.run(seconds=5)
    made.run_action('app/1', 'say-a')
    made.run()

    assert noted(made, 'app/0', 'sees') == [[None], [None]]


@both
def test_data_newer_than_the_event_are_seen_and_bring_a_second_changed_hook(deployed, juju):
    made = deployed(juju, {CHANGED: 'time.sleep(20);note("sees", word("app/1")) if ME == "app/0" else None'})

    made.run_action('app/1', 'say-a')
    run_until(made, 'app/0', 'begins')
    made.run_action('app/1', 'say-b')
    made.run()

    assert noted(made, 'app/0', 'sees') == [['b'], ['b']]


# R8: relation-set waits for the end of the hook


@both
def test_relation_set_is_seen_by_the_hook_itself_at_once_and_by_the_model_at_its_end(deployed, juju):
    made = deployed(juju, {'actions/slow': 'say("a");note("own", word(ME));time.sleep(30)'}, units=1)

    made.run_action('app/0', 'slow')
    made.run(seconds=20)
    during = published(made, 'app/0')
    made.run()

    assert noted(made, 'app/0', 'own') == [['a']]
    assert (during, published(made, 'app/0')) == (None, 'a')


@both
def test_a_failed_hook_publishes_nothing(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'say("a");sys.exit(3)'})

    made.upgrade('app/0')
    run_until(made, 'app/0', 'fails')
    made.run(seconds=4)

    assert published(made, 'app/0') is None
    assert hooks(made, 'app/1') == []


@both
def test_an_empty_value_deletes_the_key(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'say-a')

    act(made, 'app/0', 'say-nothing')

    assert 'word' not in made.controller.units['app/0'].settings


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


# R10: application data need leadership at the end of the hook


@both
def test_a_batch_with_application_data_is_refused_whole_if_leadership_was_lost_meanwhile(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'say("a");told("app", say("a", "--app"));time.sleep(30)'})

    made.upgrade('app/0')
    made.run(seconds=10)
    made.elect('app/1')
    run_until(made, 'app/0', 'fails')

    assert noted(made, 'app/0', 'app') == [[0, '']]
    assert published(made, 'app/0') is None
    assert made.controller.app_settings == {}


@both
def test_application_data_by_another_unit_are_refused_at_once(deployed, juju):
    made = deployed(juju, {'actions/app': 'told("app", say("a", "--app"))'})

    act(made, 'app/1', 'app')

    assert noted(made, 'app/1', 'app') == [[1, 'ERROR cannot write relation settings']]


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
def test_a_deposed_leader_hears_of_what_it_wrote_itself(deployed, juju):
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


# R19: entering


@both
def test_peers_join_a_new_unit_before_it_has_been_configured(deployed, juju):
    made = deployed(juju, {CREATED: 'time.sleep(50)'})

    added = made.add_unit()
    made.run()

    joined = times(made, 'app/0', 'begins', '{} ({})'.format(JOINED, added))
    assert joined[0] < times(made, added, 'begins', 'config-changed')[0]


@both
def test_a_unit_in_its_install_hook_has_no_relation(model, charm, juju):
    ids = 'note("ids", *ask("relation-ids", "coordinator"))'
    made = model(charm({'install': ids, CREATED: ids}), units=1, juju=juju)

    made.run()

    assert noted(made, 'app/0', 'ids') == [[], ['coordinator:0']]


# R20-R23: leaving


@only_3
def test_peers_see_a_unit_depart_while_it_is_still_at_work(deployed, juju):
    made = deployed(juju)

    made.run_action('app/1', 'nap')
    made.run(seconds=5)
    made.remove_unit('app/1')
    made.run(seconds=5)

    assert hooks(made, 'app/0') == [DEPARTED + ' (app/1)']
    assert 'app/1' in made.running


@only_4
def test_peers_are_never_told_of_a_departure_and_go_on_listing_the_unit(deployed, juju):
    made = deployed(juju)

    made.remove_unit('app/1')
    made.run()
    act(made, 'app/0', 'list')

    assert made.units == ['app/0']
    assert hooks(made, 'app/0') == ['action list']
    assert noted(made, 'app/0', 'list') == [['app/1']]


@only_4
def test_a_unit_added_later_joins_no_dead_unit(deployed, juju):
    made = deployed(juju)
    made.remove_unit('app/1')
    made.run()

    added = made.add_unit()
    made.run()

    assert [hook for hook in hooks(made, added) if hook.startswith(JOINED)] == [JOINED + ' (app/0)']


@both
def test_a_leaver_departs_from_every_peer_in_its_own_name_then_stops_and_is_removed(deployed, juju):
    who = 'note("departing", os.environ["JUJU_DEPARTING_UNIT"], os.environ["JUJU_REMOTE_UNIT"])'
    made = deployed(juju, {DEPARTED: who}, units=3)

    made.remove_unit('app/1')
    made.run()

    departed = [DEPARTED + ' (app/0)', DEPARTED + ' (app/2)']
    assert hooks(made, 'app/1') == [*departed, 'stop', 'remove']
    assert noted(made, 'app/1', 'departing') == [['app/1', 'app/0'], ['app/1', 'app/2']]
    assert noted(made, 'app/0', 'departing') == ([['app/1', 'app/1']] if juju == 3 else [])


@both
def test_a_leaver_leads_until_it_is_gone(deployed, juju):
    made = deployed(juju, {'remove': 'time.sleep(100);note("leads", ask("is-leader"))'})

    made.remove_unit('app/0')
    made.run()

    assert noted(made, 'app/0', 'leads') == [[True]]
    assert times(made, 'app/1', 'leads')[0] > times(made, 'app/0', 'is gone')[0]


@both
def test_a_unit_that_claimed_the_lease_of_a_gone_leader_keeps_it(deployed, juju):
    made = deployed(juju, units=4)

    made.lose_unit('app/0', force=True)
    made.elect('app/3')
    made.run(seconds=100)

    assert made.controller.leader == 'app/3'


@both
def test_a_unit_removed_in_its_first_config_changed_still_starts_before_it_stops(deployed, juju):
    made = deployed(juju, {'config-changed': 'time.sleep(20)'})

    added = made.add_unit()
    run_until(made, added, 'begins', 'config-changed')
    made.remove_unit(added)
    made.run()

    assert hooks(made, added)[-4:] == ['config-changed', 'start', 'stop', 'remove']


@both
def test_a_unit_removed_in_a_joined_hook_still_runs_its_changed(deployed, juju):
    made = deployed(juju, {JOINED: 'time.sleep(20)'})

    added = made.add_unit()
    run_until(made, added, 'begins', JOINED)
    made.remove_unit(added)
    made.run()

    last = [CHANGED + ' (app/0)', DEPARTED + ' (app/0)', 'stop', 'remove']
    assert hooks(made, added)[-5:] == [JOINED + ' (app/0)', *last]


@both
def test_a_unit_removed_before_it_is_installed_is_never_joined(deployed, juju):
    made = deployed(juju)

    made.remove_unit(made.add_unit())
    made.run()

    assert made.units == ['app/0', 'app/1']
    assert hooks(made, 'app/0') == hooks(made, 'app/1') == []


@only_3
def test_a_departing_peer_is_no_longer_listed_and_can_still_be_read(deployed, juju):
    look = 'note("sees", members(), word("app/1"))'
    made = deployed(juju, {DEPARTED: look + ' if ME == "app/0" else None', 'actions/later': look})
    act(made, 'app/1', 'say-a')

    made.remove_unit('app/1')
    made.run()
    act(made, 'app/0', 'later')

    assert noted(made, 'app/0', 'sees') == [[[], 'a'], [[], 'a']]


@both
@pytest.mark.parametrize('unit', ['app/1', 'app/9'])
def test_a_unit_that_never_was_or_never_entered_cannot_be_read(deployed, juju, unit):
    get = 'told("get", tool("relation-get", "-r", RELATION, "-", "{}", "--format=json"))'.format(unit)
    made = deployed(juju, {'actions/get': get, 'install': 'time.sleep(50)'}, units=1)

    made.add_unit()
    made.run(seconds=10)
    made.run_action('app/0', 'get')
    made.run(seconds=5)

    [[code, error]] = noted(made, 'app/0', 'get')
    assert (code, error.split()[0]) == (1, 'ERROR')


@both
def test_goal_state_names_itself_and_dying_units_and_no_dead_ones(deployed, juju):
    script = 'units = ask("goal-state")["units"]\n'
    script += 'note("goal", *sorted([name, units[name]["status"]] for name in units))'
    made = deployed(juju, {'actions/goal': script, 'stop': 'time.sleep(50)'}, units=3)

    made.lose_unit('app/2', force=True)
    made.remove_unit('app/1')
    made.run(seconds=20)
    made.run_action('app/0', 'goal')
    made.run()

    assert noted(made, 'app/0', 'goal') == [[['app/0', 'waiting'], ['app/1', 'dying']]]


@both
def test_goal_state_of_a_subordinate_is_empty(deployed, juju):
    made = deployed(juju, {'actions/goal': 'note("goal", ask("goal-state")["units"])'}, subordinate=True)

    act(made, 'app/0', 'goal')

    assert noted(made, 'app/0', 'goal') == [[{}]]


# R24-R26: what wakes whom


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


# R27: actions


@both
def test_an_action_goes_before_relation_hooks_and_after_leader_elected(deployed, juju):
    made = deployed(juju)

    made.run_action('app/1', 'nap')
    made.run(seconds=5)
    made.run_action('app/0', 'say-a')
    made.elect('app/1')
    made.run_action('app/1', 'look')
    made.run()

    assert hooks(made, 'app/1') == ['action nap', 'leader-elected', 'action look', CHANGED + ' (app/0)']


@both
def test_an_action_waits_until_the_unit_is_installed(deployed, juju):
    made = deployed(juju)

    added = made.add_unit()
    act(made, added, 'say-a')

    assert hooks(made, added)[0] == 'install'
    assert published(made, added) == 'a'


@both
def test_an_action_has_an_empty_hook_name_and_its_own(deployed, juju):
    names = '"JUJU_HOOK_NAME", "JUJU_ACTION_NAME", "JUJU_DISPATCH_PATH"'
    made = deployed(juju, {'actions/env': 'note("env", *[os.environ[name] for name in ({})])'.format(names)})

    act(made, 'app/0', 'env')

    assert noted(made, 'app/0', 'env') == [['', 'env', 'actions/env']]


@both
@pytest.mark.parametrize('ending, lands', [('tool("action-fail", "no")', 'a'), ('sys.exit(1)', None)])
def test_an_action_publishes_unless_its_script_fails_and_puts_no_unit_in_error(deployed, juju, ending, lands):
    made = deployed(juju, {'actions/try': 'say("a");' + ending})

    act(made, 'app/0', 'try')

    assert published(made, 'app/0') == lands
    assert not made.agents['app/0'].local.in_error


@both
def test_action_tools_are_refused_outside_an_action(deployed, juju):
    made = deployed(juju, {'upgrade-charm': 'told("set", tool("action-set", "a=b"))'})

    made.upgrade('app/0')
    made.run()

    assert noted(made, 'app/0', 'set') == [[1, 'ERROR not running an action']]


# R28, R29: tools and environment


@only_4
@pytest.mark.parametrize('name', ['leader-get', 'leader-set'])
def test_juju_4_has_no_leader_settings_at_all(deployed, juju, name):
    script = 'try:\n    tool("{}")\nexcept FileNotFoundError as error:\n    note("no", error.filename)'
    made = deployed(juju, {'actions/lead': script.format(name)})

    act(made, 'app/0', 'lead')

    assert noted(made, 'app/0', 'no') == [[name]]


@both
@pytest.mark.parametrize(
    'call',
    [
        ['network-get', 'coordinator', '--format=json'],
        ['hostname'],
        ['relation-list', '--format=json', '--app'],
        ['relation-get', '--format=yaml', '-', 'app/0'],
        ['relation-get', '--format=json', '-', 'app/0', 'app/1'],
        ['config-get', '--format=json', '--all', 'go'],
        ['status-set', 'active'],
        ['juju-log', '--loud', 'text'],
    ],
    ids=' '.join,
)
def test_what_this_juju_was_not_told_about_stops_the_run(deployed, juju, call):
    made = deployed(juju, {'actions/odd': 'tool(*{!r})'.format(call)}, units=1)

    with pytest.raises(tools.Untold):
        act(made, 'app/0', 'odd')


@both
@pytest.mark.parametrize(
    'call, code, error',
    [
        (['relation-list', '--format=json'], 2, 'no relation id specified'),
        (['relation-list', '--format=json', '-r', 'coordinator:9'], 2, 'relation not found'),
        (['relation-get', '--format=json', '-r', 'coordinator:0', '-'], 2, 'no unit or application'),
        (['relation-get', '--format=json', '-r', 'coordinator:0', '-', 'app'], 2, 'expected unit name'),
        (['relation-get', '--format=json', '-r', 'coordinator:0', 'no-such', 'app/0'], 0, ''),
        (['relation-set', '-r', 'coordinator:0', 'word'], 2, 'expected "key=value", got "word"'),
        (['relation-set', '-r', 'coordinator:0'], 0, ''),
        (['config-get', '--format=json', 'no-such'], 0, ''),
    ],
    ids=lambda value: ' '.join(value) if isinstance(value, list) else None,
)
def test_a_tool_ends_with_jujus_exit_code(deployed, juju, call, code, error):
    made = deployed(juju, {'actions/call': 'told("call", tool(*{!r}))'.format(call)}, units=1)

    act(made, 'app/0', 'call')

    [[found, said]] = noted(made, 'app/0', 'call')
    assert found == code
    assert error in said and said.startswith('ERROR ' if code else '')


@both
def test_an_absent_hook_succeeds_and_an_absent_action_fails(deployed, juju):
    made = deployed(juju, units=1)

    made.configure(go=1)
    act(made, 'app/0', 'no-such')

    assert times(made, 'app/0', 'ends', 'config-changed')
    assert times(made, 'app/0', 'fails', 'action no-such')


@both
def test_configuration_and_status_are_read_once_a_hook(deployed, juju):
    read = 'note("read", ask("config-get", "go"), ask("status-get")["status"])\n'
    script = read + 'tool("status-set", "active", "")\ntime.sleep(30)\n' + read
    made = deployed(juju, {'actions/read': script})

    made.run_action('app/0', 'read')
    made.run(seconds=10)
    made.configure(go=5)
    made.run()

    assert noted(made, 'app/0', 'read') == [[0, 'waiting'], [0, 'waiting']]


@both
def test_a_hook_inherits_nothing_and_runs_in_its_charm(deployed, juju, monkeypatch):
    monkeypatch.setenv('OF_THE_TEST_RUN', 'yes')
    names = ['OF_THE_TEST_RUN', 'HOME', 'JUJU_UNIT_NAME']
    script = 'note("env", [name for name in {} if name in os.environ])\n'.format(names)
    made = deployed(juju, {'actions/env': script + 'note("cwd", os.getcwd() == os.environ["CHARM_DIR"])'})

    act(made, 'app/1', 'env')

    assert noted(made, 'app/1', 'env') == [[['JUJU_UNIT_NAME']]]
    assert noted(made, 'app/1', 'cwd') == [[True]]


@both
def test_a_relation_hook_is_told_of_its_relation_and_other_hooks_are_not(deployed, juju):
    names = ['JUJU_HOOK_NAME', 'JUJU_RELATION', 'JUJU_RELATION_ID', 'JUJU_REMOTE_UNIT', 'JUJU_DEPARTING_UNIT']
    script = 'note("env", *[os.environ.get(name) for name in {}])'.format(names)
    made = deployed(juju, {CHANGED: script, 'upgrade-charm': script})

    act(made, 'app/1', 'say-a')
    made.upgrade('app/0')
    made.run()

    of_relation = [CHANGED, 'coordinator', 'coordinator:0', 'app/1', None]
    assert noted(made, 'app/0', 'env') == [of_relation, ['upgrade-charm', None, None, None, None]]


# The model itself


@both
def test_the_clock_a_hook_reads_is_the_models(deployed, juju):
    script = 'began = time.time();time.sleep(1000);note("slept", round(time.time() - began))'
    made = deployed(juju, {'actions/sleep': script}, units=1)

    act(made, 'app/0', 'sleep')

    assert noted(made, 'app/0', 'slept') == [[1000]]


@both
def test_a_closed_model_leaves_no_process_no_file_and_no_open_descriptor(deployed, juju):
    before = len(os.listdir('/proc/self/fd'))
    made = deployed(juju)
    made.run_action('app/0', 'nap')
    made.run_action('app/1', 'nap')
    made.run(seconds=5)
    pids = [execution.child.pid for execution in made.running.values()]

    made.close()

    assert len(pids) == 2
    assert not any(os.path.exists('/proc/{}'.format(pid)) for pid in pids)
    assert len(os.listdir('/proc/self/fd')) == before
    assert not made.home.exists()


@both
def test_a_model_closed_between_a_process_end_and_its_commit_kills_no_other_process(deployed, juju):
    made = deployed(juju, units=1)
    made.run_action('app/0', 'say-a')
    made.run(seconds=0.85)
    execution = made.running['app/0']
    assert not os.path.exists('/proc/{}'.format(execution.child.pid))

    made.close()

    assert made.running == {}


def test_a_hook_whose_model_is_gone_ends_and_never_goes_on_as_a_copy_of_the_test_run(tmp_path):
    hook = tmp_path / 'hook'
    hook.write_text('import subprocess\nsubprocess.call(["is-leader"])\n')
    child = process.Child(str(hook), {'CHARM_DIR': str(tmp_path)}, 0.0, str(tmp_path / 'log'))
    child.message()

    child._line.close()
    _, status = os.waitpid(child.pid, 0)

    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
