"""A lost ledger: nobody begins before all have spoken, and turns that have begun come first (rule 14)."""

import json

import pytest
from charms.layer.coordinator.values import LAST_TERM, MAX_TERM

from tests.cases import (
    ASK,
    ASK_FIRST,
    KEEP,
    WORK,
    StrictWatch,
    both,
    health,
    in_error,
    ledger_keys,
    lose_ledger,
    until,
    write_shared,
)
from tests.deploy import begun

losses = pytest.mark.parametrize('how', ['removed', 'marked'])
leaders = pytest.mark.parametrize('leader', ['app/0', 'app/1', 'app/2'])

WORK_AND_SAY = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
    hookenv.log('token {}'.format(coordinator.token('a')))
"""


def settled(model, charm, juju, leader, skew_s=0.0, **options):
    made = begun(model, charm, units=3, juju=juju, **options)
    made.elect(leader)
    made.run()
    made.clock_skew_s['app/1'] = skew_s
    return made


@both
@losses
@leaders
def test_a_unit_that_failed_in_its_turn_comes_first_after_the_ledger_is_lost(
    model, charm_with, juju, how, leader
):
    """Its clock is fast, so that by the times of the requests it would come last."""
    made = settled(model, charm_with(ASK_FIRST + WORK), juju, leader, skew_s=500.0)
    watch = StrictWatch(made, until='work 60')
    made.fail_command('app/1', 'work 60', times=3)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))
    made.configure(go=2)
    made.run(seconds=3)

    lose_ledger(made, how)
    made.run(seconds=2000)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@losses
@leaders
def test_nobody_begins_beside_a_unit_at_work_when_the_ledger_is_lost(model, charm_with, juju, how, leader):
    made = settled(model, charm_with(ASK_FIRST + WORK), juju, leader, skew_s=500.0)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.configure(go=2)
    made.run(seconds=10)

    lose_ledger(made, how)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@losses
@pytest.mark.parametrize('leader', ['app/0', 'app/1'])
def test_a_kept_turn_goes_on_when_the_ledger_is_lost(model, charm_with, juju, how, leader):
    machine = health(lambda unit: 400.0 if unit == 'app/1' else 0.0, lambda: made)
    made = settled(model, charm_with(ASK_FIRST + KEEP), juju, leader, machine=machine, update_status_s=60.0)
    watch = StrictWatch(made, until='healthy')
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.run(seconds=30)
    made.configure(go=2)

    lose_ledger(made, how)
    made.run(seconds=900)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@leaders
def test_the_newest_ledger_lost_while_others_are_there_lets_nobody_in_beside_a_unit_at_work(
    model, charm_with, juju, leader
):
    """Each unit has led, and has given tickets; then one key is lost, the newest, while app/1 works."""
    made = settled(model, charm_with(ASK_FIRST + WORK), juju, 'app/1')
    for turn, unit in enumerate(sorted(made.units, key=lambda unit: unit == leader)):
        made.elect(unit)
        made.configure(go=2 + turn)
        made.run()
    ask_alone = made.controller.config['go']
    watch = StrictWatch(made, until='work 60')
    made.fail_command('app/1', 'work 60', times=2)
    made.configure(go=int(ask_alone) + 1)
    until(made, lambda: in_error(made, 'app/1'))

    lose_ledger(made, 'one removed')
    made.configure(go=int(ask_alone) + 2)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@losses
@leaders
def test_tokens_grow_over_a_lost_ledger_and_everybody_is_served_again(model, charm_with, juju, how, leader):
    made = settled(model, charm_with(ASK + WORK_AND_SAY), juju, leader)
    watch = StrictWatch(made)
    for go in (1, 2):
        made.configure(go=go)
        made.run()
    lose_ledger(made, how)
    made.run()
    made.configure(go=3)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [3, 3, 3], made.story(60)
    tokens = [int(text[6:]) for _, _, _, text in made.logs if text.startswith('token ')]
    assert tokens == sorted(set(tokens))


@both
@losses
@pytest.mark.parametrize('silent', ['app/0', 'app/2'], ids=['the leader is silent', 'a bystander is silent'])
def test_a_ledger_that_was_lost_is_not_made_again_before_a_unit_in_error_has_spoken(
    model, charm_with, juju, how, silent
):
    """A unit in error may be in its turn: nobody can tell before it has spoken."""
    fails = "\n@hook('update-status')\ndef check():\n    check_call(['systemctl', 'start', 'check'])\n"
    made = settled(model, charm_with(ASK_FIRST + WORK + fails), juju, 'app/0')
    made.elect('app/0')
    made.configure(go=2)
    made.run()
    watch = StrictWatch(made, until='work 60')
    made.fail_command(silent, 'systemctl start check', times=8)
    until(made, lambda: in_error(made, silent))

    lose_ledger(made, how)
    made.configure(go=3)
    made.run(seconds=120)
    assert not watch.turns, made.story(40)
    made.run(seconds=4000)

    watch.check()
    assert all(watch.served(unit) == 1 for unit in made.units), made.story(60)


@both
@losses
def test_a_ledger_lost_while_a_unit_leaves_at_work_lets_nobody_in_beside_it(model, charm_with, juju, how):
    made = settled(model, charm_with(ASK_FIRST + WORK), juju, 'app/0')
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.remove_unit('app/1')
    made.configure(go=2)
    made.run(seconds=5)

    lose_ledger(made, how)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) == 1 for unit in ('app/0', 'app/2')), made.story(60)


@both
@pytest.mark.parametrize('term', [2**53 + 1, 10**16 - 1, 10**15 + 7])
def test_a_key_of_the_ledger_with_a_term_that_nobody_can_have_claimed_costs_no_unit_what_it_holds(
    model, charm_with, juju, term
):
    """A local store could not hold such a term, so units that had read it forgot what they held."""
    made = settled(model, charm_with(ASK + WORK), juju, 'app/0')
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=5)

    write_shared(made, {'coordinator-ledger-{}-0-0badcafe'.format(term): '{"v": 2, "anew": false}'})
    made.run(seconds=20)
    made.configure(go=2)
    made.run(seconds=3000)

    watch.check()
    assert all(watch.served(unit) for unit in made.units), made.story(60)
    assert not any('.coordinator.json' in log and 'expected' in log for _, _, _, log in made.logs)


@both
def test_after_the_last_term_no_key_is_written_any_more_and_a_turn_that_has_begun_goes_on(
    model, charm_with, juju
):
    """Each hook of the leader claimed one more, which nobody believed; on Juju 4 that brought it a hook."""
    made = settled(model, charm_with(ASK + WORK), juju, 'app/0')
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=5)
    write_shared(made, {'coordinator-ledger-{}-0-0badcafe'.format(LAST_TERM): '{"v": 2, "anew": false}'})
    made.run(seconds=30)
    keys, hooks = ledger_keys(made), len(made.history)

    made.elect('app/2')
    made.configure(go=2)
    made.run(seconds=3000)

    watch.check()
    assert (ledger_keys(made), sum(map(watch.served, made.units))) == (keys, 1)
    assert len(made.history) - hooks < 200
    assert any('no ticket can be given' in log for _, _, _, log in made.logs)

    write_shared(made, dict.fromkeys(keys))  # what docs/limits.md says helps
    for unit in made.units:
        made.lose_store(unit, '.coordinator.json')
        made.lose_databag(unit, 'coordinator-claims')
    made.configure(go=3)
    made.run(seconds=3000)

    watch.check()
    assert all(map(watch.served, made.units)), made.story(60)


@both
def test_a_databag_that_says_the_highest_term_stops_no_later_roll(model, charm_with, juju):
    """The next leader claims a term above it, and what the units then say can still be read."""
    made = settled(model, charm_with(ASK + WORK), juju, 'app/0')
    said = json.loads(made.controller.units['app/2'].settings['coordinator-claims'])
    made.poison('app/2', 'coordinator-claims', json.dumps({**said, 'term': MAX_TERM}))
    made.run(seconds=400)
    watch = StrictWatch(made)

    for go, leader in enumerate(('app/1', 'app/2'), 1):
        made.elect(leader)
        made.configure(go=go)
        made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [2, 2, 2], made.story(60)
    assert not any('expected' in log for _, _, _, log in made.logs), made.story(60)
