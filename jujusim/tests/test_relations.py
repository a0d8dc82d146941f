"""What relation-list and relation-get answer, and when relation-set lands: R5 to R8, R10."""

from jujusim.tests.scripts import CHANGED, JOINED, act, both, hooks, noted, published, run_until

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


@both
def test_a_commit_sends_every_key_that_the_hook_had_read_and_leaves_those_that_came_meanwhile(deployed, juju):
    script = 'ask("relation-get", "-r", RELATION, "-", ME);members();say("a")'
    made = deployed(juju, {'upgrade-charm': script})
    made.poison('app/0', 'old', 'as read')

    def change(execution, argv):
        if execution.unit == 'app/0' and argv[0] == 'relation-list':
            made.poison('app/0', 'old', 'changed')
            made.poison('app/0', 'new', 'new')

    made.calls_everywhere = change
    made.upgrade('app/0')
    made.run()

    found = made.controller.units['app/0'].settings
    assert (found['old'], found['new'], found['word']) == ('as read', 'new', 'a')


@both
def test_a_leader_that_led_no_more_in_between_takes_back_what_another_leader_wrote(deployed, juju):
    """Juju checks who leads at the commit only, and the agent sends every key of its copy."""
    keys = 'tool("relation-set", "-r", RELATION, "--app", {})'
    scripts = {
        'actions/first': keys.format('"a=1", "b=1"'),
        'actions/second': keys.format('"a=2"') + ';time.sleep(30)',
        'actions/other': keys.format('"b=2", "c=2"'),
    }
    made = deployed(juju, scripts)
    act(made, 'app/0', 'first')

    made.run_action('app/0', 'second')
    made.run(seconds=5)
    made.elect('app/1')
    made.run_action('app/1', 'other')
    made.run(seconds=5)
    between = dict(made.controller.app_settings)
    made.elect('app/0')
    made.run()

    assert between == {'a': '1', 'b': '2', 'c': '2'}
    assert made.controller.app_settings == {'a': '2', 'b': '1', 'c': '2'}


@both
def test_a_key_that_a_hook_deletes_is_deleted_by_its_commit(deployed, juju):
    made = deployed(juju)
    act(made, 'app/0', 'say-a')

    act(made, 'app/0', 'say-nothing')

    assert 'word' not in made.controller.units['app/0'].settings
