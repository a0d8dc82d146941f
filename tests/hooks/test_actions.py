"""The actions that give an order, on both Jujus: what an operator types, reads, and brings about."""

import json

import pytest

from tests.cases import ASK, MINE_PY, NO_UPDATE_STATUS_S, RESTART, WORK, StrictWatch, both, until
from tests.deploy import begun, said


def ran(made, on, action, parameters):
    """Return how an action ended on a unit, and what it said."""
    before, title = len(made.history), 'action {}'.format(action)
    made.run_action(on, action, **parameters)

    def ended():
        return [each for each in made.history[before:] if each.unit == on and each.text.startswith(title)]

    until(made, lambda: any(each.what in ('ran', 'fails') for each in ended()), within_s=200)
    event = next(each for each in ended() if each.what in ('ran', 'fails'))
    return event.what, event.text[len(title) + 2 :]


def order(made, action, **parameters):
    """Give an order on the leader; return what it says."""
    what, text = ran(made, made.controller.leader, 'coordinator-' + action, parameters)
    assert (what, text[:13]) == ('ran', 'coordinator: '), text
    return text[len('coordinator: ') :]


def refused(made, action, on='', **parameters):
    """Return the sentence with which an action fails."""
    what, text = ran(made, on or made.controller.leader, 'coordinator-' + action, parameters)
    assert (what, text[:8]) == ('ran', 'failed: '), text
    return text[len('failed: ') :]


def served(made, watch):
    return [watch.served(unit) for unit in made.units]


def rolled(made):
    return sum(len(made.log_of(unit, 'ROLLED')) for unit in made.units)


# A roll

ZONES = 'az-2', 'az-1', 'az-3'


@both
def test_a_roll_by_zone_never_has_units_of_two_zones_in_one_batch(model, charm_with, juju):
    made = begun(model, charm_with(RESTART, slots=3), units=8, juju=juju, zones=ZONES)
    zone = {unit: ZONES[int(unit[4:]) % 3] for unit in made.units}
    watch, together = StrictWatch(made, 3), []
    made.observers.append(lambda _: together.append({zone[unit] for unit in watch.at_work}))

    text = order(made, 'roll', **{'lock': 'restart', 'batches': '2', 'by-zone': True, 'format': 'json'})
    made.run()

    # The leader is app/0, so its zone, az-2, is the last.
    stages = [['app/1', 'app/4'], ['app/7'], ['app/2', 'app/5'], ['app/3', 'app/6'], ['app/0']]
    assert json.loads(text)['stages'] == stages
    watch.check()
    assert served(made, watch) == [1] * 8
    assert watch.turns[-1].unit == 'app/0'
    assert max(map(len, together)) == 1, made.story(60)
    assert watch.most_at_work == 2


@both
def test_without_by_zone_the_same_batches_mix_zones(model, charm_with, juju):
    made = begun(model, charm_with(RESTART, slots=3), units=8, juju=juju, zones=ZONES)

    text = order(made, 'roll', lock='restart', batches='2', format='json')

    assert json.loads(text)['stages'][0] == ['app/1', 'app/2']


@both
def test_one_action_restarts_all_units_also_where_none_has_ever_asked(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=5, juju=juju)
    watch = StrictWatch(made)

    text = order(made, 'roll', lock='restart')
    made.run()

    assert text.splitlines()[0] == 'restart: a roll of 5 units begins.'
    assert '    juju run app/leader coordinator-pause lock=restart' in text.splitlines()
    watch.check()
    assert served(made, watch) == [1] * 5
    assert watch.turns[-1].unit == made.controller.leader
    made.run(seconds=400)
    assert rolled(made) == 1


@both
def test_batches_with_a_trial_wait_for_the_operator_after_the_first_stage(model, charm_with, juju):
    made = begun(model, charm_with(RESTART, slots=2), units=5, juju=juju)
    watch = StrictWatch(made, slots=2)

    text = order(made, 'roll', lock='restart', batches='1,2', **{'pause-after': 1, 'reason': 'new key'})
    made.run(seconds=600)

    assert text.splitlines()[:6] == [
        'restart: a roll of 5 units begins, in 3 stages.',
        'Reason: new key',
        '  stage 1: app/1',
        '  stage 2: app/2, app/3',
        '  stage 3: app/4, app/0',
        'After stage 1 it waits for you.',
    ]
    assert served(made, watch) == [0, 1, 0, 0, 0]
    assert '    juju run app/leader coordinator-resume lock=restart' in text.splitlines()

    said = order(made, 'resume', lock='restart')
    made.run()
    made.run(seconds=400)

    assert said.splitlines()[0] == 'restart: not paused any more. Turns begin again.'
    watch.check()
    assert served(made, watch) == [1] * 5
    assert watch.most_at_work == 2
    assert rolled(made) == 1


@both
def test_a_second_roll_is_refused_and_replace_takes_the_place_of_the_rest(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: len(watch.turns) == 1)
    made.run(seconds=5)

    assert refused(made, 'roll', lock='restart') == (
        'restart: a roll is under way, 1 of 4 done; cancel it first, or replace it'
    )
    order(made, 'roll', lock='restart', replace=True)
    made.run()
    made.run(seconds=400)

    watch.check()
    assert sum(served(made, watch)) in (5, 6)  # the second unit may have begun its turn in the first roll
    assert all(served(made, watch))
    assert rolled(made) == 1


# Pause, resume, cancel


@both
def test_a_pause_lets_the_turn_that_has_begun_end_and_no_other_begin_until_resume(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: bool(watch.at_work))

    text = order(made, 'pause', reason='an alarm')
    made.run(seconds=700)

    assert text.splitlines()[:2] == [
        'all locks: paused. No turn begins until you resume; a turn that has begun goes on.',
        'Reason: an alarm',
    ]
    assert sum(served(made, watch)) == 1
    assert refused(made, 'pause') == 'all locks: already paused'
    assert refused(made, 'resume', lock='restart') == 'restart: all locks are paused; resume them all'
    order(made, 'resume')
    made.run()

    watch.check()
    assert served(made, watch) == [1] * 4
    assert refused(made, 'resume') == 'all locks: not paused'


@both
def test_a_cancelled_roll_ends_with_the_turn_that_has_begun(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: bool(watch.at_work))

    order(made, 'cancel', lock='restart')
    made.run()
    made.run(seconds=700)

    watch.check()
    assert sum(served(made, watch)) == 1
    assert refused(made, 'cancel', lock='restart') == (
        'restart: no unit has asked for it, and no roll of it is under way'
    )
    order(made, 'roll', lock='restart')
    made.run()
    assert sum(served(made, watch)) == 5


# Free


@both
def test_a_unit_that_is_down_is_freed_and_asks_anew_when_it_comes_back(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: any(unit != made.controller.leader for unit in watch.at_work))
    down = next(iter(watch.at_work))
    made.die_agent(down, 1500)
    made.run(seconds=400)
    before = served(made, watch)

    risk = refused(made, 'free', unit=down)
    text = order(made, 'free', unit=down, confirm='yes', reason='its machine is off')
    made.run(seconds=400)

    assert risk.startswith('{}: if it is alive and in its turn, two units will work at once;'.format(down))
    assert risk.endswith(': juju run app/leader coordinator-free confirm=yes unit=' + down)
    assert text.startswith('{}: freed.'.format(down))
    assert sum(served(made, watch)) > sum(before)
    known = list(watch.faults)  # by the operator's word others may work while it is, in truth, in its turn
    assert all(repr(down) in fault for fault in known)
    made.run(seconds=1500)
    assert [watch.served(unit) for unit in made.units] == [1 + (unit == down) for unit in made.units]
    assert watch.faults == known


# What is refused


@both
def test_what_cannot_be_is_refused_in_a_sentence_and_changes_nothing(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=3, juju=juju)
    before, statuses = len(made.controller.leader_writes), [made.status_of(unit) for unit in made.units]
    other = next(unit for unit in made.units if unit != made.controller.leader)
    sizes = 'for each batch a number of units from 1 on, or a percentage from "1%" to "100%"'

    asked = [
        ('roll', {'lock': ''}, 'lock name: expected 1 to 200 printable characters without braces and'),
        ('roll', {'lock': 'r', 'batches': '1,x'}, 'batches: expected {}, found \'[1, "x"]\';'.format(sizes)),
        ('roll', {'lock': 'r', 'batches': '0'}, 'batches: expected {}, found '.format(sizes)),
        (
            'roll',
            {'lock': 'r', 'order': 'up'},
            'order: expected one of leader-last, leader-first, name, found',
        ),
        (
            'roll',
            {'lock': 'r', 'by-zone': 'x'},
            "by_zone: expected true or false, found 'x'; nothing is changed",
        ),
        ('roll', {'lock': 'r', 'pause-after': 1}, 'pause_after: expected batches beside it: it counts'),
        (
            'roll',
            {'lock': 'r', 'pause-after': -1},
            'pause_after: expected a number of stages from 0 to 10000',
        ),
        ('pause', {'reason': 'x' * 201}, 'reason: expected one line of at most 200 printable characters'),
        ('pause', {'format': 'yaml'}, "format: expected one of text, json, found 'yaml'; nothing is changed"),
        ('free', {'unit': '3'}, "unit: expected a unit of this application, such as app/3, found '3';"),
        ('free', {'unit': other, 'confirm': 'yes'}, other + ': it holds no lock and waits for none'),
        (
            'free',
            {'unit': made.controller.leader, 'confirm': 'yes'},
            '{}: this unit itself gives the order, so it is not down'.format(made.controller.leader),
        ),
    ]
    for action, parameters, sentence in asked:
        assert refused(made, action, **parameters).startswith(sentence)
    assert refused(made, 'roll', on=other, lock='restart', batches='1,2', replace=True) == (
        'restart: only the leader can do this, and {} does not lead: '
        'juju run app/leader coordinator-roll batches=1,2 lock=restart replace=true'
    ).format(other)

    made.run(seconds=30)
    assert len(made.controller.leader_writes) == before
    assert [made.status_of(unit) for unit in made.units] == statuses


@both
def test_where_a_class_of_the_charms_own_gives_the_tickets_a_roll_is_refused(model, charm_with, juju):
    charm = charm_with(ASK + WORK, **{'class': 'charms.mine.Mine'})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=2, juju=juju)

    assert refused(made, 'roll', lock='a') == (
        "a: a class of the charm's own gives the tickets, and no roll can pass it by; let each unit ask"
    )


@both
def test_where_a_class_of_the_charms_own_gives_the_tickets_what_has_none_cannot_be_cancelled(
    model, charm_with, juju
):
    """It was answered as given, and withdrew nothing."""
    charm = charm_with(ASK + WORK, **{'class': 'charms.mine.Mine'})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: len(watch.turns) == 1 and bool(watch.at_work))  # one more waits, and the leader knows
    made.run(seconds=5)

    assert refused(made, 'cancel', lock='a') == (
        "a: a class of the charm's own gives the tickets, and no unit that waits has one; release it there"
    )


@both
def test_a_roll_that_would_never_wait_for_the_operator_is_refused(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=2, juju=juju)

    few = {'lock': 'restart', 'batches': '1'}
    assert refused(made, 'roll', **few, **{'pause-after': 2}) == (
        'restart: the roll has 2 stages, so it would not wait after stage 2'
    )
    assert refused(made, 'roll', lock='restart', batches='5', **{'pause-after': 1}) == (
        'restart: the roll has 1 stage, so it would not wait after stage 1'
    )
    order(made, 'roll', **few, **{'pause-after': 1})


# What is shown, and the same as data


@both
def test_while_a_roll_is_under_way_every_unit_shows_how_far_it_is(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    found = json.loads(order(made, 'roll', lock='restart', format='json', reason='new key'))
    until(made, lambda: len(watch.turns) == 1 and bool(watch.at_work))
    made.run(seconds=20)
    holder = next(iter(watch.at_work))

    texts = [ran(made, unit, 'coordinator-show', {})[1] for unit in made.units if unit != holder]

    assert (found['version'], found['order'], found['written']) == (1, 'roll', True)
    assert sorted(found['stages'][0]) == made.units
    for text in texts:
        words = ' '.join(text.split())
        assert ': new key. 1 of 4 done, {} has its turn. '.format(holder) in words
        assert 'All locks, in one queue: {} holds it '.format(holder) in words
    order(made, 'pause', lock='restart', reason='an alarm')
    made.run(seconds=5)
    leader = made.controller.leader
    paused = ran(made, leader, 'coordinator-show', {})[1] if leader != holder else ''
    assert 'restart: paused since ' in paused
    assert 'an alarm' in paused


FROM_CODE = """
@when('config.changed.go')
def go():
    if hookenv.config('go') and hookenv.is_leader():
        hookenv.log('SAID ' + repr(coordinator.request_roll('restart', batches=[1, '50%'], reason='new key')))
        hookenv.log('SAID ' + repr(coordinator.request_roll('restart')))
        hookenv.log('SAID ' + repr(coordinator.pause('backup')))
    elif hookenv.config('go'):
        hookenv.log('SAID ' + repr(coordinator.request_roll('restart')))
"""


@both
def test_charm_code_on_the_leader_orders_a_roll_and_is_refused_in_the_same_words(model, charm_with, juju):
    made = begun(model, charm_with(FROM_CODE + RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    leader = made.controller.leader

    made.configure(go=1)
    made.run()
    made.run(seconds=400)

    again = 'restart: a roll is under way, 0 of 4 done; cancel it first, or replace it'
    assert said(made, leader, 'SAID ') == ["''", repr(again), "''"]
    others = [said(made, unit, 'SAID ') for unit in made.units if unit != leader]
    assert others == [["'restart: this unit does not lead'"]] * 3
    watch.check()
    assert served(made, watch) == [1] * 4
    assert rolled(made) == 1


# At any moment


@both
@pytest.mark.parametrize('after_s', [0.3, 1.2, 20.0, 61.0, 62.3])
def test_a_pause_at_any_moment_stops_a_roll_and_resume_loses_nobody(model, charm_with, juju, after_s):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart', batches='1,2')
    made.run(seconds=after_s)

    order(made, 'pause', lock='restart')
    made.run(seconds=600)
    stood = sum(served(made, watch))
    order(made, 'resume', lock='restart')
    made.run()

    assert stood <= 2
    watch.check()
    assert served(made, watch) == [1] * 4


@both
def test_a_leader_that_has_just_been_elected_says_what_is_not_written_and_writes_it_later(
    model, charm_with, juju
):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    watch = StrictWatch(made)
    made.elect('app/3')

    found = json.loads(order(made, 'roll', lock='restart', format='json'))
    made.run()

    assert found['written'] is (
        juju == 3
    )  # on Juju 4 it claims a term first, which Juju commits with the action
    watch.check()
    assert served(made, watch) == [1] * 4


@both
def test_a_freed_unit_has_no_turn_left_of_a_roll_and_the_roll_ends_without_it(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    order(made, 'roll', lock='restart')
    until(made, lambda: watch.at_work == {'app/1'})
    made.lose_unit('app/2')  # it waits, and would hold up those behind it

    made.run(seconds=700)
    assert sum(served(made, watch)) == 1
    order(made, 'free', unit='app/2', confirm=True)
    made.run(seconds=700)

    watch.check()
    assert served(made, watch) == [1, 1, 0, 1]
    assert rolled(made) == 1


@both
@pytest.mark.parametrize('option', ['charms.mine.Mine', 'Serial'])
def test_pause_resume_and_free_are_for_the_locks_of_classes_too(model, charm_with, juju, option):
    charm = charm_with(ASK + WORK, **{'class': option})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))

    order(made, 'pause', lock='a')
    made.run(seconds=400)
    stood = sum(served(made, watch))
    order(made, 'resume', lock='a')
    made.run(seconds=900)

    assert stood <= 2
    watch.check()
    assert served(made, watch) == [1] * 4


@both
def test_where_juju_refuses_the_write_the_action_says_so_and_the_order_is_shown_until_it_is_written(
    model, charm_with, juju
):
    made = begun(model, charm_with(RESTART), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    leader = made.controller.leader
    made.fail_tool(leader, 'leader-set' if juju == 3 else 'relation-set')

    sentence = refused(made, 'roll', lock='restart')
    shown = ran(made, leader, 'coordinator-show', {})[1]

    assert sentence.startswith('Juju did not answer: ')
    assert sentence.endswith('; look with coordinator-show before you try again')
    assert 'restart: roll, ordered since ' in shown
    assert 'is not written yet; the leader writes it in its next hook' in ' '.join(shown.split())
    made.update_status(leader)
    made.run()
    watch.check()
    assert served(made, watch) == [1] * 3
