"""What units, operators and programs read, and was not so: found by a review, 2026-11-28."""

import shlex

import pytest
import yaml
from charms.layer.coordinator import table

from tests.cases import WHY, WORK, ask, at_rest, both
from tests.deploy import said


def answered(made, name, on='app/0', **parameters):
    """Run an action of the layer, and return what it answered."""
    made.run_action(on, 'coordinator-' + name, **parameters)
    made.run(seconds=8)
    return [event.text for event in made.history if event.what == 'ran' and name in event.text][-1]


def why(made, unit):
    """Return what `explain` says of the lock a in an action of a unit."""
    made.run_exec(unit, WHY, as_action=True)
    made.run(seconds=8)
    return said(made, unit, 'why ')[-1]


@both
def test_a_unit_without_a_ticket_says_too_that_its_lock_is_paused(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 4, juju)
    answered(made, 'pause', reason='an alarm')
    for unit in ('app/1', 'app/2', 'app/3'):
        ask(made, unit, 'a')
        made.run(seconds=10)

    assert why(made, 'app/3') == (
        'a: asked, and the leader has given no ticket yet; app/1 holds it; '
        'paused since 2027-01-15 08:00 UTC: an alarm'
    )


GATE = """
@coordinator.gate('a')
def not_now():
    return 'two replicas still sync' if hookenv.config('go') < 2 else ''
"""


@both
def test_show_says_of_the_unit_itself_what_explain_says_of_its_gate(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK + GATE), 3, juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=20)

    assert why(made, 'app/1') == 'a: two replicas still sync'
    text = answered(made, 'show', on='app/1')
    assert 'This unit:\n  a: two replicas still sync\n' in text


KEEPS_A = """
@when('coordinator.granted.a')
def keep():
    if hookenv.config('go') < 2:
        coordinator.keep_lock('a', reason='a heals')

@when('coordinator.granted.b')
def work():
    check_call(['work', '60'])
"""


@both
def test_show_says_of_a_roll_what_explain_says_while_the_unit_keeps_another_lock(model, charm_with, juju):
    """It said that the roll's turn would begin in the next hook."""
    made = at_rest(model, charm_with(KEEPS_A), 2, juju)
    ask(made, 'app/1', 'a')
    made.run(seconds=20)
    answered(made, 'roll', lock='b')

    made.run_exec('app/1', WHY.replace("'a'", "'b'"), as_action=True)
    made.run(seconds=8)
    sentence = said(made, 'app/1', 'why ')[-1]
    assert sentence == 'b: asked for after the turn that this unit has now'
    assert 'This unit:\n  {}\n'.format(sentence) in answered(made, 'show', on='app/1')


ENDS = {
    'cancelled': lambda made: answered(made, 'cancel', lock='a'),
    'given up': lambda made: made.run_exec(
        'app/1', "from charms.layer import coordinator\ncoordinator.release_lock('a')\n", as_action=True
    ),
}


@both
@pytest.mark.parametrize('end', ENDS)
def test_the_sentence_of_a_gate_ends_with_the_turn_of_a_roll_that_it_held_back(model, charm_with, juju, end):
    """Later the gate is open, and app/1 asks anew and works: the others read the old sentence."""
    made = at_rest(model, charm_with(WORK + GATE), 3, juju)
    answered(made, 'roll', lock='a')
    assert 'app/1 holds it: two replicas still sync' in answered(made, 'show', on='app/2')
    ENDS[end](made)
    made.run(seconds=20)
    made.configure(go=2)
    made.run(seconds=300)
    ask(made, 'app/1', 'a')
    made.run(seconds=15)

    text = answered(made, 'show', on='app/2')
    assert 'app/1 holds it\n' in text


KEEPS_B_ALONE = """
@when('coordinator.granted.a', 'coordinator.granted.b')
def work():
    {calls}
    coordinator.release_lock('a')
"""
OF_A, OF_B = "coordinator.keep_lock('a', reason='a syncs')", "coordinator.keep_lock('b'{})"
CALLS = {
    'b has none': ([OF_A, OF_B.format('')], 'app/1 holds it'),
    'b was first': ([OF_B.format(''), OF_A], 'app/1 holds it'),
    'b has one': ([OF_B.format(", reason='b heals'"), OF_A], 'app/1 holds it: b heals'),
}


@both
@pytest.mark.parametrize('case', CALLS)
def test_a_reason_goes_with_its_lock_when_that_is_released_beside_another(model, charm_with, juju, case):
    calls, sentence = CALLS[case]
    made = at_rest(model, charm_with(KEEPS_B_ALONE.format(calls='\n    '.join(calls))), 2, juju)
    ask(made, 'app/1', 'a', 'b')
    made.run(seconds=15)

    assert 'one queue: {}\n'.format(sentence) in answered(made, 'show')


ROLLED = """
@when('coordinator.rolled.a')
def rolled():
    hookenv.log('ROLLED')
"""


@both
def test_when_handlers_have_seen_the_end_of_a_roll_nothing_is_left_to_be_shown(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK + ROLLED), 3, juju)
    answered(made, 'roll', lock='a')
    made.run(seconds=300)
    assert made.log_of('app/0', 'ROLLED')

    for unit in ('app/0', 'app/1'):
        assert 'shows its end' not in answered(made, 'show', on=unit)
    assert 'a roll' not in answered(made, 'show')


WAITS_NO_MORE = 'a: the roll will not wait for you any more when stage 1 of 2 is done.'


@both
@pytest.mark.parametrize('lock', ['a', ''])
def test_resume_says_that_the_pause_after_a_trial_goes_with_that_of_an_alarm(model, charm_with, juju, lock):
    made = at_rest(model, charm_with(WORK), 4, juju)
    answered(made, 'roll', lock='a', batches='1,3', **{'pause-after': 1})
    answered(made, 'pause', lock='a', reason='an alarm')

    text = answered(made, 'resume', lock=lock)
    assert WAITS_NO_MORE in text.splitlines()


@both
def test_resume_says_nothing_of_the_kind_when_the_trial_is_done(model, charm_with, juju):
    made = at_rest(model, charm_with(WORK), 4, juju)
    answered(made, 'roll', lock='a', batches='1,3', **{'pause-after': 1})
    made.run(seconds=300)
    assert 'the roll waits for you: stage 1 of 2 is done' in answered(made, 'show')

    assert 'any more when' not in answered(made, 'resume', lock='a')


def typed(**parameters):
    """Return what `juju run` makes of a command that is to be typed: it reads each value as YAML."""
    command = table.command(3, 'app', 'coordinator-roll', parameters)
    words = (word.partition('=') for word in shlex.split(command)[4:])
    return {name: yaml.safe_load(value) for name, _, value in words}


NAMES = [
    '2024',
    'on',
    'yes',
    '~',
    're: start',
    'restart # now',
    '[x]',
    "'q'",
    '"',
    'a\\b',
    '@a',
    '2024-13-45',
    'Ä 😀',
]


@pytest.mark.parametrize('name', [*NAMES, 'restart', "it's mine"])
def test_a_command_that_is_to_be_typed_names_its_lock(name):
    assert typed(lock=name) == {'lock': name}


def test_a_command_that_is_to_be_typed_keeps_what_is_no_text():
    asked = {'batches': '1,2,25%', 'by-zone': True, 'pause-after': 1, 'confirm': 'yes'}

    assert typed(**asked) == {**asked, 'confirm': True}


@pytest.mark.parametrize('name', ['y', 'N', '1e3', '0o7', '1_000', '-.5'])
def test_what_only_the_yaml_of_juju_takes_for_no_text_is_quoted_too(name):
    assert table.command(3, 'app', 'coordinator-resume', {'lock': name}).endswith(
        """ lock='"{}"'""".format(name)
    )
