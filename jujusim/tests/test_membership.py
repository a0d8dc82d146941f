"""Units that come and go: R19 to R23."""

import pytest

from jujusim.tests.scripts import (
    CHANGED,
    CREATED,
    DEPARTED,
    JOINED,
    METADATA,
    act,
    both,
    forget,
    hooks,
    noted,
    only_3,
    only_4,
    published,
    run_until,
    times,
)

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
    ids = 'note("ids", *ask("relation-ids", "cluster"))'
    made = model(charm({'install': ids, CREATED: ids}), units=1, juju=juju)

    made.run()

    assert noted(made, 'app/0', 'ids') == [[], ['cluster:0']]


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
def test_peers_that_do_not_hear_of_it_go_on_listing_the_unit(deployed, juju):
    made = deployed(juju)
    made.hear_of_leavers = 0.0

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
    made.hear_of_leavers = 0.0

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


# Subordinates

GOAL = """
goal = ask("goal-state")
principals = goal["relations"].get("host", {})
note("goal", goal["units"], {name: found["status"] for name, found in principals.items()})
note("principal", os.environ["JUJU_PRINCIPAL_UNIT"])
"""
SUBORDINATE = (
    METADATA + 'subordinate: true\nrequires:\n  host:\n    interface: juju-info\n    scope: container\n'
)


@pytest.fixture
def beside(deployed):
    """Two units of a subordinate charm; `actions/goal` and the remove hook, of 50 s, tell of principals."""

    def make(juju, **options):
        scripts = {'actions/goal': GOAL, 'remove': 'time.sleep(50)\n' + GOAL}
        return deployed(juju, scripts, subordinate=True, files={'metadata.yaml': SUBORDINATE}, **options)

    return make


@both
def test_goal_state_of_a_subordinate_names_no_units_and_every_principal(beside, juju):
    made = beside(juju)

    act(made, 'app/0', 'goal')

    principals = {'principal': 'joined', 'principal/0': 'active', 'principal/1': 'active'}
    assert noted(made, 'app/0', 'goal') == [[{}, principals]]
    assert noted(made, 'app/0', 'principal') == [['principal/0']]


@both
def test_a_principal_is_named_until_its_subordinate_has_run_remove(beside, juju):
    made = beside(juju)

    made.remove_unit('app/1')
    run_until(made, 'app/1', 'begins', 'remove')
    act(made, 'app/0', 'goal')
    act(made, 'app/0', 'goal')

    during, after = [found for _, found in noted(made, 'app/0', 'goal')]
    assert during == {'principal': 'joined', 'principal/0': 'active', 'principal/1': 'dying'}
    assert after == {'principal': 'joined', 'principal/0': 'active'}
    assert noted(made, 'app/1', 'principal') == [['principal/1']]


@both
def test_a_principal_is_named_while_its_machine_is_lost_and_not_after_it_was_removed_by_force(beside, juju):
    made = beside(juju)

    named = []
    for force in (False, True):
        made.lose_unit('app/1', force=force)
        act(made, 'app/0', 'goal')
        named.append('principal/1' in noted(made, 'app/0', 'goal')[-1][1])

    assert named == [True, False]


# Names that are used again


@both
@pytest.mark.parametrize('keep', [True, False])
def test_a_unit_with_the_name_of_a_dead_one_begins_anew_with_its_files_or_without(deployed, juju, keep):
    script = 'note("found", os.path.exists("left"), word(ME))\nopen("left", "w").close()\nsay("new")'
    made = deployed(juju, {'config-changed': script}, units=3)

    made.run_action('app/2', 'say-a')
    made.lose_unit('app/2', force=True)
    made.run()
    forget(made)
    assert made.add_unit('app/2', keep_files=keep) == 'app/2'
    made.run()

    assert noted(made, 'app/2', 'found') == [[keep, None]]
    assert hooks(made, 'app/2')[0] == 'install'
    assert published(made, 'app/2') == 'new'
    met = JOINED if juju == 3 else CHANGED  # on 4 peers never heard that it was gone
    assert met + ' (app/2)' in hooks(made, 'app/0')
    assert made.add_unit() == 'app/3'


@both
def test_a_unit_that_left_in_good_order_is_joined_again_when_its_name_is_used_again(deployed, juju):
    made = deployed(juju, units=3)

    made.remove_unit('app/2')
    made.run()
    made.add_unit('app/2')
    made.run()
    act(made, 'app/2', 'list')

    assert made.units == ['app/0', 'app/1', 'app/2']
    assert noted(made, 'app/2', 'list') == [['app/0', 'app/1']]


@both
def test_what_a_former_unit_said_is_readable_until_the_new_one_enters(deployed, juju):
    """R22: for the life of the relation; on Juju 4 from the archive."""
    made = deployed(juju, {'install': 'time.sleep(50)'}, units=2)

    act(made, 'app/1', 'say-a')
    made.lose_unit('app/1', force=True)
    made.run()
    made.add_unit('app/1')
    made.run(seconds=20)
    made.run_action('app/0', 'look')
    made.run(seconds=20)
    made.run(until=lambda: bool(times(made, 'app/1', 'ends', CREATED)))
    act(made, 'app/0', 'look')

    assert noted(made, 'app/0', 'sees') == [['a'], [None]]


@both
def test_only_the_name_of_a_dead_unit_is_used_again(deployed, juju):
    made = deployed(juju)

    for name in ('app/1', 'app/7'):
        with pytest.raises(ValueError, match="expected the name of a dead unit, found '{}'".format(name)):
            made.add_unit(name)
