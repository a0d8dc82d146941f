"""A running application is refreshed from the old layer, in the middle of a roll.

The old behaviour is played by charmhelpers.coordinator itself. Old and new code run side by side for minutes;
`update-status` never comes, unless a test says so.
"""

import itertools
import json
import os
import shutil
from datetime import datetime

import pytest
from charms.layer.coordinator import environment, rules
from charms.layer.coordinator.compat import predecessor as old
from charms.layer.coordinator.values import NO_CLAIM, Claim
from hypothesis import given
from hypothesis import strategies as st

from tests.campaigns import chaos, refresh
from tests.cases import with_metrics
from tests.compat.seedcharms import OURS, SEED, classic
from tests.garbage import anything, cases
from tests.ledger import newest_key
from tests.watch import Watch

WORK_S = 60.0
CLAIMS = 'coordinator-claims'
UNITS = ('app/0', 'app/1', 'app/2')
ORDERS = list(itertools.permutations(UNITS))
MOMENTS = {
    'asking': lambda watch: True,
    'the first works': lambda watch: watch.at_work,
    'between two': lambda watch: watch.turns and not watch.at_work,
    'the second works': lambda watch: watch.turns and watch.at_work,
}


def machine(unit, argv):
    return (WORK_S, 0) if argv[:2] == ['systemctl', 'restart'] else None


@pytest.fixture
def rolling(model):
    """Returns a watched model of the old layer in the middle of a roll, and what refreshes its units."""

    def begin(units=3, leader='app/0', moment='the first works', charm=None, fails=None, **options):
        options = {'config': {'go': 0}, 'machine': machine, 'update_status_s': chaos.NEVER_S, **options}
        made = model(charm or refresh.old_charm(), units=units, juju=3, **options)
        made.run()
        made.elect(leader)
        made.run()
        watch = Watch(made)
        made.configure(go=1)
        if fails:
            made.fail_command(fails, 'systemctl restart restart')
            assert made.run(seconds=400, until=lambda: failed(made)), made.story()
        else:
            made.run(seconds=150, until=lambda: MOMENTS[moment](watch))
        return made, watch, refresh.Kinds(made, refresh.new_charm())

    return begin


def upgrade_each(made, kinds, order, every_s):
    for unit in order:
        kinds.upgrade(unit)
        made.run(seconds=every_s)
    made.run()


def failed(made):
    return [event for event in made.history if event.what == 'fails']


def served_once(made, watch):
    return {unit: watch.served(unit) for unit in made.units} == dict.fromkeys(made.units, 1)


def check_all_is_well(made, watch):
    watch.check()
    assert served_once(made, watch), made.story()
    assert not failed(made), made.story()
    assert 'coordinator' not in made.controller.leader_settings
    for unit in made.units:
        assert made.controller.units[unit].settings.get('coordinator', '{}') == '{}'


# In every order


@pytest.mark.parametrize('leader', UNITS)
@pytest.mark.parametrize('moment', ['the first works', 'between two', 'the second works'])
def test_three_units_are_refreshed_in_any_order_at_any_moment(rolling, leader, moment):
    for place, order in enumerate(ORDERS):
        made, watch, kinds = rolling(leader=leader, moment=moment, seed=place)

        upgrade_each(made, kinds, order, every_s=(5, 45)[place % 2])

        check_all_is_well(made, watch)


@pytest.mark.parametrize('leader', ['app/0', 'app/3'])
def test_four_units_are_refreshed_in_the_middle_of_a_roll(rolling, leader):
    for order in (('app/0', 'app/1', 'app/2', 'app/3'), ('app/3', 'app/1', 'app/0', 'app/2')):
        for every_s in (0, 30):
            made, watch, kinds = rolling(units=4, leader=leader, moment='the second works')

            upgrade_each(made, kinds, order, every_s)

            check_all_is_well(made, watch)


@pytest.mark.parametrize('times', [1, 2])
@pytest.mark.parametrize('last', ['app/1', 'app/2'])
def test_a_leader_that_cannot_read_the_last_refreshed_unit_tries_again(rolling, last, times):
    """The leader took it for one that runs old code, and made no ledger until update-status."""
    made, watch, kinds = rolling(moment='asking')
    order = ['app/0', *sorted({'app/1', 'app/2'} - {last}), last]
    refused = []

    def stop(execution, argv):
        reads = execution.unit == 'app/0' and argv[0] == 'relation-get' and argv[-2:] == [CLAIMS, last]
        if reads and CLAIMS in made.controller.units[last].settings and len(refused) < times:
            refused.append(argv)
            made.fail_tool('app/0', 'relation-get')

    made.calls_everywhere = stop
    upgrade_each(made, kinds, order, every_s=5)

    assert len(refused) == times
    watch.check()
    assert served_once(made, watch), made.story()


def test_the_old_layers_own_flags_are_brought_in_line(rolling, tmp_path):
    """With the flags of the old layer under their names, some of them left set by a hook that failed."""
    charm = tmp_path / 'old-layer'
    shutil.copytree(str(refresh.old_charm()), str(charm))
    plan = charm / 'reactive' / 'seed_db.py'
    text = plan.read_text().replace('seed.granted.', 'coordinator.granted.')
    plan.write_text(
        text.replace(
            "        hookenv.log('asked",
            "        set_flag('coordinator.requested.restart')\n        hookenv.log('asked",
        )
    )
    made, watch, kinds = rolling(charm=charm)
    assert 'coordinator.requested.restart' in made.flags_of('app/1')

    upgrade_each(made, kinds, reversed(UNITS), every_s=20)

    check_all_is_well(made, watch)
    for unit in UNITS:
        assert not [flag for flag in made.flags_of(unit) if flag.startswith('coordinator.')]


# What waits for what


def test_units_of_the_new_code_wait_while_old_ones_go_on_among_themselves(rolling):
    made, watch, kinds = rolling()
    kinds.upgrade('app/2')
    made.run(seconds=400)

    assert [watch.served(unit) for unit in UNITS] == [1, 1, 0]
    assert not newest_key(made.controller.leader_settings)

    upgrade_each(made, kinds, UNITS, every_s=20)
    check_all_is_well(made, watch)


def test_the_leader_says_which_units_it_waits_for_and_another_that_there_are_such(rolling):
    made, _, kinds = rolling()
    made.run(seconds=300)
    upgrade_each(made, kinds, UNITS[:2], every_s=20)
    made.configure(go=2)
    made.run()

    sentence = 'app/2 still runs the old layer; turns begin when every unit runs the new one'
    assert made.log_of('app/0', 'coordinator: ' + sentence)
    assert made.log_of('app/0', 'restart: asked; ' + sentence)
    assert made.log_of('app/1', 'restart: asked, and the leader has given no ticket yet; it gives none while')


@pytest.mark.parametrize('leader, holder', [('app/0', 'app/1'), ('app/2', 'app/0'), ('app/0', 'app/2')])
def test_the_turn_of_an_old_hook_that_failed_is_over_before_anybody_elses_begins(rolling, leader, holder):
    """An old leader that was told that the holder asks for nothing would go on past a failed restart."""
    made, watch, kinds = rolling(leader=leader, fails=holder)
    before = len(watch.turns)
    kinds.upgrade(holder)
    made.run(seconds=500)

    assert len(watch.turns) == before, made.story()

    upgrade_each(made, kinds, UNITS, every_s=20)
    watch.check()
    assert [turn.unit for turn in watch.turns][before] == holder
    assert served_once(made, watch)
    assert len(failed(made)) == 1


@pytest.mark.parametrize('words', ["explain('restart')", "request_lock('other')", "release_lock('restart')"])
@pytest.mark.parametrize('as_action', [True, False], ids=['action', 'juju exec'])
@pytest.mark.parametrize('ran', [False, True], ids=['no new hook has run', 'a new hook has failed'])
def test_what_runs_beside_a_failed_hook_after_a_forced_refresh_frees_no_turn_that_began_in_old_code(
    rolling, ran, as_action, words
):
    """It told the old leader that the holder asks for nothing, and the next old unit began."""
    made, watch, kinds = rolling(fails='app/1', retry_automatically=False)
    before = len(watch.turns)
    kinds.upgrade('app/1')
    if ran:
        made.fail_hook('app/1')
        made.resolve('app/1')
        made.run(seconds=20)
        assert len(failed(made)) == 2
    script = 'from charms.layer import coordinator\ncoordinator.{}\n'.format(words)
    made.run_exec('app/1', script, as_action=as_action)
    made.run(seconds=500)

    watch.check()
    assert len(watch.turns) == before, made.story()

    made.resolve('app/1')
    upgrade_each(made, kinds, UNITS, every_s=20)
    watch.check()
    assert [turn.unit for turn in watch.turns][before] == 'app/1'
    assert served_once(made, watch), made.story()


ASKS_IN_METRICS = """
from charms.reactive import collect_metrics

@collect_metrics()
def metrics():
    coordinator.request_lock('other')

@when('coordinator.granted.restart')
def restart():
    check_call(['systemctl', 'restart', 'restart'])
"""


def test_a_request_of_collect_metrics_before_the_first_new_hook_loses_nothing_of_the_old_code(
    rolling, charm_with
):
    """The store that it left counted as one of a unit that had come over."""
    made, watch, kinds = rolling(fails='app/1', retry_automatically=False)
    before = len(watch.turns)
    kinds.charm = with_metrics(charm_with(ASKS_IN_METRICS))
    kinds.upgrade('app/1')
    made.collect_metrics('app/1')
    made.run(seconds=20)
    made.resolve('app/1')
    upgrade_each(made, kinds, UNITS, every_s=20)

    watch.check()
    assert [turn.unit for turn in watch.turns][before] == 'app/1', made.story()
    assert served_once(made, watch), made.story()


def test_a_request_withdrawn_in_the_new_code_lets_the_old_units_go_on(rolling, charm_with):
    made, watch, kinds = rolling(fails='app/1')
    kinds.charm = charm_with("@when_not('never')\ndef give_up():\n    coordinator.release_lock('restart')\n")
    kinds.upgrade('app/1')
    made.run(seconds=500)

    assert [watch.served(unit) for unit in UNITS] == [1, 0, 1], made.story()


def test_a_new_unit_that_leads_takes_no_turn_while_others_run_old_code(rolling):
    made, watch, kinds = rolling(moment='the second works')
    holder = next(iter(watch.at_work))
    kinds.upgrade(next(unit for unit in UNITS if unit != holder))
    added = kinds.add_unit()
    made.run(until=lambda: 'app/0' not in made.running)  # an old hook fails where it leads no more at its end
    made.elect(added)
    made.run(seconds=20)
    made.configure(go=2)
    made.run(seconds=500)

    watch.check()
    assert watch.served(added) == 0

    upgrade_each(made, kinds, UNITS, every_s=20)
    watch.check()
    assert not failed(made), failed(made)
    assert watch.served(added) == 1
    assert all(watch.served(unit) >= 1 for unit in UNITS)


def test_a_subordinates_new_unit_that_leads_takes_no_turn_before_it_has_met_the_others(rolling):
    """Its relation-list is empty and no goal-state names the others; none of them is granted anything."""
    made, watch, kinds = rolling(moment='asking', subordinate=True)
    made.run(seconds=400)
    made.controller.write_leader_settings('app/0', {'coordinator': '{"app/0": {}}'})
    kinds.upgrade('app/0')
    added = kinds.add_unit()
    made.elect(added)
    made.configure(go=2)
    made.run(seconds=4)
    asked = made.log_of(added, 'has not been heard of yet')
    made.run(seconds=300)

    assert asked
    assert watch.served(added) == 0
    assert made.log_of(added, 'app/1 and app/2 still run the old layer')

    upgrade_each(made, kinds, UNITS, every_s=20)
    made.update_status(added)
    made.run()
    watch.check()
    assert watch.served(added) == 1


def test_a_subordinates_units_are_refreshed_in_the_middle_of_a_roll(rolling):
    for order in ORDERS[::2]:
        made, watch, kinds = rolling(leader='app/1', subordinate=True)

        upgrade_each(made, kinds, order, every_s=20)

        check_all_is_well(made, watch)


def test_an_old_unit_that_is_removed_is_waited_for_no_more(rolling):
    made, watch, kinds = rolling(leader='app/0', moment='the second works')
    leaver = next(unit for unit in ('app/1', 'app/2') if unit not in watch.at_work)
    for unit in UNITS:
        if unit != leaver:
            kinds.upgrade(unit)
    made.run(seconds=200)
    assert not newest_key(made.controller.leader_settings)
    made.configure(go=2)
    made.remove_unit(leaver)
    made.run()
    made.update_status('app/0')
    made.run()

    watch.check()
    assert newest_key(made.controller.leader_settings)
    assert all(watch.served(unit) >= 1 for unit in made.units)
    assert not failed(made)


def test_a_unit_that_is_not_upgraded_keeps_all_waiting_until_it_is_resolved_or_removed(rolling):
    made, watch, kinds = rolling(leader='app/0')
    made.lose_unit('app/2')
    upgrade_each(made, kinds, UNITS[:2], every_s=20)
    assert watch.served('app/1') == 0
    made.lose_unit('app/2', force=True)
    made.update_status('app/0')
    made.run()

    assert watch.served('app/1') == 1
    watch.check()


# Once and only once


def test_a_request_is_served_once_though_the_first_new_hook_is_lost(rolling):
    """The leader comes last: it makes the ledger, works and releases in one hook, whose commit is lost."""
    made, watch, kinds = rolling(moment='asking')
    made.run(seconds=400)
    since = len(watch.turns)
    asked = json.dumps({'restart': '2027-01-15 08:10:00.000000Z'})
    upgrade_each(made, kinds, UNITS[1:], every_s=20)
    made.poison('app/0', 'coordinator', asked)
    made.lose_commit('app/0')
    kinds.upgrade('app/0')
    made.run()

    assert [turn.unit for turn in watch.turns[since:]] == ['app/0'], made.story()
    assert len(failed(made)) == 1
    assert made.controller.units['app/0'].settings['coordinator'] == '{}'


def test_nothing_asked_in_the_old_layer_is_asked_for_again_after_a_store_is_lost(rolling):
    made, watch, kinds = rolling()
    upgrade_each(made, kinds, UNITS, every_s=20)
    for unit in UNITS:
        (made.home / unit.replace('/', '-') / '.coordinator.json').unlink(missing_ok=True)
    upgrade_each(made, refresh.Kinds(made, refresh.new_charm()), UNITS, every_s=20)

    check_all_is_well(made, watch)


def test_a_unit_whose_upgrade_hook_was_skipped_is_known_to_run_the_new_code(rolling):
    """It asks for nothing, so it has nothing else to say."""
    made, watch, kinds = rolling(moment='asking')
    made.run(seconds=300)
    made.fail_hook('app/2', 'upgrade-charm', times=9)
    made.poison('app/1', 'coordinator', json.dumps({'restart': '2027-01-15 08:10:00.000000Z'}))
    for unit in UNITS:
        kinds.upgrade(unit)
    made.run(until=lambda: failed(made))
    made.resolve('app/2', retry=False)
    made.run()

    assert [watch.served(unit) for unit in UNITS] == [1, 2, 1], made.story()


# What is left, and what it costs


def test_a_fresh_application_never_asks_who_runs_old_code(model):
    asked = []
    made = model(refresh.new_charm(), units=3, config={'go': 0}, machine=machine)
    made.calls_everywhere = lambda execution, argv: asked.append([os.path.basename(argv[0]), *argv[1:]])
    made.run()
    made.configure(go=1)
    made.run()

    assert [words for words in asked if words[0] == 'relation-get' and 'coordinator' in words] == []
    assert not [words for words in asked if words[0] == 'leader-get' and 'coordinator' in words]
    assert 'coordinator' not in made.controller.leader_settings
    assert all('coordinator' not in made.controller.units[unit].settings for unit in UNITS)


def test_what_others_keep_beside_the_old_keys_stays(rolling):
    made, watch, kinds = rolling()
    made.run(seconds=400)
    made.controller.write_leader_settings('app/0', {'coordinator-released-locks-counts': '3'})
    made.poison('app/1', 'coordinator-released-locks-counts', '4')
    made.run()
    made.configure(go=2)
    upgrade_each(made, kinds, UNITS, every_s=20)

    watch.check()
    assert all(watch.served(unit) == 2 for unit in UNITS)
    assert not failed(made)
    assert made.controller.leader_settings['coordinator-released-locks-counts'] == '3'
    assert made.controller.units['app/1'].settings['coordinator-released-locks-counts'] == '4'


GARBAGE = [
    '{',
    '[]',
    '7',
    '{"restart": 7}',
    '{"": "2026-01-01 00:00:00.000000Z"}',
    '{"a": "tomorrow"}',
    '{"-": {}}',
]


@pytest.mark.parametrize('text', GARBAGE)
def test_garbage_under_the_old_keys_is_reported_and_fails_no_hook(rolling, text):
    made, watch, kinds = rolling(moment='asking')
    made.run(seconds=300)
    since = len(failed(made))
    made.controller.write_leader_settings('app/0', {'coordinator': text})
    for unit in UNITS:
        kinds.upgrade(unit)
        made.poison(unit, 'coordinator', text)
    made.run()
    made.configure(go=2)
    made.run()

    watch.check()
    assert len(failed(made)) == since
    assert all(watch.served(unit) == 2 for unit in UNITS), made.story()
    told = made.log_of('app/1', 'databag of app/1, key "coordinator": expected')
    assert len(told) == 1


@cases(4)
@given(anything)
def test_any_text_under_the_old_keys_is_read_or_reported(text):
    asked, problems = old.requests(text, 'here')
    held, more = old.grants(text, 'here')

    assert all(told.startswith('here: expected') and told.isprintable() for told in problems + more)
    for lock, since in asked.items():
        assert rules.asked_for(NO_CLAIM, lock, since).names == (lock,)
    assert all(isinstance(locks, dict) for locks in held.values())


@cases(1)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1)), max_size=3))
def test_old_code_can_read_whatever_it_is_told(claims):
    own = {
        str(number): Claim(1, 0, (('lock', environment.utc().strftime(environment.TIME_FORM)),), kept, token)
        for number, (kept, token) in enumerate(claims)
    }

    told = json.loads(old.text(own))

    assert bool(told) == any(kept and not token for kept, token in claims)
    for since in told.values():
        datetime.strptime(since, '%Y-%m-%d %H:%M:%S.%fZ')


# Classes with keys of their own


def test_a_classic_charm_comes_over_under_its_own_key(model, tmp_path):
    plan = """
serial = Serial('rolls', 'coordinator')

def run():
    if go and once(str(go)):
        serial.acquire('restart')
    if serial.granted('restart'):
        check_call(['systemctl', 'restart', 'restart'])
"""
    before, after = (
        classic(tmp_path / source, source, 'from {}.coordinator import Serial\n'.format(source) + plan)
        for source in (SEED, OURS)
    )
    for order in ORDERS[::2]:
        made = model(before, units=3, config={'go': 0}, machine=machine, update_status_s=chaos.NEVER_S)
        made.run()
        watch, kinds = Watch(made), refresh.Kinds(made, after)
        made.configure(go=1)
        made.run(until=lambda watch=watch: watch.turns and watch.at_work)

        upgrade_each(made, kinds, order, every_s=20)

        watch.check()
        assert served_once(made, watch), made.story()
        assert not failed(made), made.story()
        assert 'rolls' not in made.controller.leader_settings
        assert made.controller.units['app/1'].settings['rolls'] == '{}'


# At random


@pytest.mark.parametrize('seed', range(1, 6))
def test_no_promise_is_broken_in_a_random_refresh(seed):
    verdict = refresh.live(seed)

    assert not verdict.fault, '{}\n{}'.format(verdict.fault, verdict.story)
