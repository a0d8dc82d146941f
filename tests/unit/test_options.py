"""The layer options: what is understood, what is refused, and what is only a problem to report."""

import pytest
import yaml
from charms.layer.coordinator.compat import choice
from charms.layer.coordinator.policy import Policy, from_options
from hypothesis import given
from hypothesis import strategies as st

from tests.deploy import ROOT

pytestmark = pytest.mark.every_python


def test_the_defaults_are_those_that_layer_yaml_defines():
    defined = yaml.safe_load((ROOT / 'layer.yaml').read_text())['defines']

    assert {name: option['default'] for name, option in defined.items()} == choice.DEFAULTS
    assert all(option['description'] and option['type'] for option in defined.values())
    assert from_options({}) == Policy()


@pytest.mark.parametrize(
    'slots, units, most',
    [(1, 9, 1), (3, 9, 3), ('3', 9, 3), ('25%', 8, 2), ('25%', 7, 1), ('1%', 5, 1), ('100%', 4, 4)],
)
def test_slots_are_a_number_or_a_percentage_rounded_down_and_at_least_one(slots, units, most):
    assert from_options({'slots': slots}).slots_among(units) == most


@given(st.one_of(st.none(), st.booleans(), st.floats(), st.text(), st.lists(st.integers()), st.integers()))
def test_any_slots_are_either_understood_or_refused_in_a_sentence(found):
    try:
        policy = from_options({'slots': found})
    except ValueError as refused:
        sentence = str(refused)
    else:
        sentence = ''
        assert 1 <= policy.slots_among(100) <= 10000
    assert not sentence or 'slots: expected a number of units from 1 to 10000' in sentence


@pytest.mark.parametrize('path', [path for path in choice.CLASSES if path.endswith('SimpleCoordinator')])
def test_the_default_class_does_what_queues_and_slots_say_whichever_way_it_is_written(path):
    options, _ = choice.understood({'class': path, 'slots': 2, 'queues': 'per-lock'})

    assert options.policy == Policy(per_lock=True, slots=2)


@pytest.mark.parametrize('path', ['charmhelpers.coordinator.Serial', 'Serial', 'module.MyClass'])
@pytest.mark.parametrize('name, value', [('slots', 2), ('queues', 'per-lock')])
def test_a_class_that_is_not_the_default_decides_itself(path, name, value):
    with pytest.raises(ValueError, match='{}: expected .* beside class {}, which decides'.format(name, path)):
        choice.understood({'class': path, name: value})


@pytest.mark.parametrize('path', ['MyClass', 'BaseCoordinator', '', '.', 'a.', 'a b.C', 7, None, ['a.B']])
def test_a_class_that_is_no_dotted_path_is_refused_and_the_sentence_says_what_is_expected(path):
    sentence = 'class: expected SimpleCoordinator, Serial, or a dotted path to a class of the charm'
    with pytest.raises(ValueError, match=sentence):
        choice.understood({'class': path})


@pytest.mark.parametrize('level', ['debug', 'DEBUG', 'Debug', 'dEbUg'])
def test_the_log_level_is_understood_in_any_case(level):
    assert choice.understood({'log_level': level})[0].least == 'DEBUG'


@pytest.mark.parametrize('level', ['loud', '', None, 3, 'warn'])
def test_a_log_level_that_does_not_exist_is_refused(level):
    with pytest.raises(ValueError, match='log_level: expected one of debug, info, warning, error, critical'):
        choice.understood({'log_level': level})


@pytest.mark.parametrize('wake', ['none', '', None, True, 'ALL'])
def test_a_choice_of_hooks_that_does_not_exist_is_refused(wake):
    with pytest.raises(ValueError, match='wake: expected one of needed, all'):
        choice.understood({'wake': wake})


def test_every_hook_runs_if_the_charm_wants_it():
    assert not choice.understood({})[0].policy.every_hook
    assert choice.understood({'wake': 'all'})[0].policy.every_hook


def test_an_option_that_does_not_exist_is_a_problem_to_report_and_the_others_hold():
    options, problems = choice.understood({'slot': 2, 'slots': 3, 7: 'x'})

    assert options.policy.slots == 3
    assert problems == tuple(
        'layer.yaml, options, coordinator: expected one of the options class, log_level, queues, slots, '
        "wake, found '{}'; it is ignored".format(name)
        for name in ('slot', '7')
    )
