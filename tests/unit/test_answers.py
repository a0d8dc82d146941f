"""What the actions that give an order print, and which parameters they take: values in, words out."""

import json

import pytest
from charms.layer.coordinator import answers, ordering
from charms.layer.coordinator.actions import _batches
from charms.layer.coordinator.values import FREE, PAUSE, ROLL, Order, Wish

pytestmark = pytest.mark.every_python

AT = '2026-11-26 02:13:00.000000Z'


def roll(*sizes, pause_after=0, app='app', **order):
    """Return the wish for a roll with stages of these sizes."""
    stages, number = [], 0
    for size in sizes:
        stages.append(tuple(('{}/{}'.format(app, number + place), 'aa') for place in range(size)))
        number += size
    return Wish(Order(ROLL, 'r', 'restart', AT, **order), tuple(stages), pause_after)


def text(wish, written=True, left_out=(), juju=3, why_not=''):
    return answers.text(answers.data(wish, written, left_out), 'app', juju, why_not)


def test_the_data_have_the_form_of_version_1_and_json_can_express_them():
    found = answers.data(roll(1, 2, pause_after=1, reason='new key'), True, ('app/9',))

    assert json.loads(answers.as_json(found)) == found
    assert found == {
        'version': 1,
        'order': 'roll',
        'name': 'r',
        'lock': 'restart',
        'unit': '',
        'since': AT,
        'reason': 'new key',
        'written': True,
        'stages': [['app/0'], ['app/1', 'app/2']],
        'pause_after': 1,
        'left_out': ['app/9'],
        'early': [],
    }


def test_of_a_long_roll_the_text_names_eight_stages_and_six_units_of_each():
    lines = text(roll(*[10] * 12)).splitlines()

    assert lines[1] == '  stage 1: app/0, app/1, app/2, app/3, app/4, app/5 and 4 more'
    assert lines[9] == '  ... and 4 more stages'
    assert lines[0] == 'restart: a roll of 120 units begins, in 12 stages.'


@pytest.mark.parametrize(
    'wish',
    [roll(7, 7, app='a' * 64, reason='r' * 200), Wish(Order(PAUSE, 'p', 'l' * 200, AT, 'r ' * 99 + 'r'))],
)
def test_no_line_is_wider_than_a_terminal_but_a_command(wish):
    lines = text(wish, False, ('b' * 70 + '/1',) * 9, why_not='The leader ' + 'x' * 300).splitlines()

    assert [line for line in lines if len(line) > 98 and 'juju run' not in line] == []


def test_what_is_left_out_and_what_is_not_written_is_said():
    found = text(roll(2), False, ('app/7', 'app/8'), why_not='It waits for app/4.')

    assert 'Not in it, because no hook of this layer has run there yet: app/7, app/8.' in found
    assert (
        'It is not written yet: the leader writes it in its next hook in which it may. It waits for app/4.'
        in ' '.join(found.split())
    )


def test_on_juju_2_the_commands_are_those_of_juju_2_and_names_with_blanks_are_quoted():
    wish = Wish(Order(PAUSE, 'p', "it's mine", AT))

    command = "    juju run-action --wait app/leader coordinator-resume lock='it'\\''s mine'"
    assert command in text(wish, juju=2).splitlines()


def test_a_freed_unit_is_named_with_what_follows():
    found = text(Wish(Order(FREE, 'f', since=AT, unit='app/3')))

    assert found.splitlines()[0].startswith(
        'app/3: freed. By your word, what it held and had asked for is over'
    )


@pytest.mark.parametrize(
    'typed, sizes',
    [
        ('', []),
        (' ', []),
        (1, [1]),
        ('1,2,25%', [1, 2, '25%']),
        (' 1 , 50% ', [1, '50%']),
        ('1,,2', [1, '', 2]),
        ('-1', ['-1']),
        ('1.5', ['1.5']),
        (True, ['True']),
        ('9' * 5000, ['9' * 5000]),
    ],
    ids=repr,
)
def test_batches_are_typed_as_text_or_as_one_number(typed, sizes):
    assert _batches(typed) == sizes


@pytest.mark.parametrize(
    'wrong', [[0], ['0%'], ['101%'], [True], [1.5], ['1'], ['x'], [10001], '25%', 5, None, [[1]]]
)
def test_a_size_that_no_batch_can_have_is_refused_in_a_sentence(wrong):
    with pytest.raises(
        ValueError, match=r'^batches: expected for each batch a number of units .*; nothing is changed$'
    ):
        ordering.batch_sizes(wrong)
