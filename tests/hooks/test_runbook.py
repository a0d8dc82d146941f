"""docs/operating.md as a runbook: each order is typed as the page has it, and says what the page says."""

import re
import shlex

import pytest
import yaml

from tests.cases import StrictWatch, both, until
from tests.deploy import ROOT, begun

PAGE = (ROOT / 'docs' / 'operating.md').read_text(encoding='utf-8')
SECTIONS = dict(part.split('\n', 1) for part in PAGE.split('\n## ')[1:])
TIME = re.compile(r'since (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC(, [0-9a-z ]+(?=[;.:]))?')

CHARM = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('restart')

@when('coordinator.granted.restart')
def restart():
    check_call(['work', '60'])

@when('coordinator.requested.restart')
@when_not('coordinator.granted.restart')
def wait():
    hookenv.status_set('waiting', coordinator.explain('restart'))
"""


@pytest.fixture
def five(model, charm_with, juju):
    """Five units at rest, of which app/0 leads, and a watch."""
    made = begun(model, charm_with(CHARM), units=5, juju=juju)
    made.elect('app/0')
    made.run()
    return made, StrictWatch(made)


def commands(section):
    """Return the commands of a section that run an action, in order."""
    lines = (
        line.strip() for line in re.sub(r'```.*?```', '', SECTIONS[section], flags=re.DOTALL).splitlines()
    )
    return [line for line in lines if line.startswith('juju run ')]


def typed(made, command):
    """Type a command, whose values are YAML for Juju's client; return what it says."""
    words = shlex.split(command)
    assert words[:3] == ['juju', 'run', 'app/leader'], command
    leader, before = made.controller.leader, len(made.history)
    made.run_action(
        leader,
        words[3],
        **{key: yaml.safe_load(value) for key, value in (word.split('=', 1) for word in words[4:])},
    )
    title = 'action {}: '.format(words[3])

    def ended():
        return [each.text[len(title) :] for each in made.history[before:] if each.text.startswith(title)]

    until(made, lambda: bool(ended()), within_s=200)
    return ended()[0]


def same(section, sentence, answer):
    """Check that the page and an answer have the same sentence, whatever the times in it."""
    page, said = (' '.join(TIME.sub('since TIME', text).split()) for text in (SECTIONS[section], answer))
    wanted = ' '.join(TIME.sub('since TIME', sentence).split())
    assert wanted in page
    assert wanted in said, said


def blocks(section):
    """Return the blocks of a section that show an answer."""
    return re.findall(r'^```\n(.*?)^```', SECTIONS[section], flags=re.MULTILINE | re.DOTALL)


def served(made, watch):
    return [watch.served(unit) for unit in made.units]


@both
def test_restart_all_units(five, juju):
    (made, watch), section = five, 'Restart all units'
    (roll,) = commands(section)

    answer = typed(made, roll)
    until(made, lambda: len(watch.turns) == 2 and watch.at_work == {'app/3'})
    made.run(seconds=5)

    assert 'coordinator: ' + blocks(section)[0].rstrip() == answer
    show = 'juju run app/leader coordinator-show'
    same(
        section, 'restart: a roll since 08:00 UTC, 2 min. 2 of 5 done, app/3 has its turn.', typed(made, show)
    )
    again = 'restart: a roll is under way, 2 of 5 done; cancel it first, or replace it'
    same(section, again, typed(made, roll))
    made.run()
    watch.check()
    assert served(made, watch) == [1] * 5
    assert watch.turns[-1].unit == 'app/0'


@both
@pytest.mark.parametrize('well', [True, False], ids=['resume', 'cancel'])
def test_try_it_on_one_unit_first(five, juju, well):
    (made, watch), section = five, 'Try it on one unit first'
    roll, resume, cancel = commands(section)

    answer = typed(made, roll)
    made.run(seconds=400)

    assert answer.startswith('coordinator: ' + blocks(section)[0])
    assert served(made, watch) == [0, 1, 0, 0, 0]
    shown = typed(made, 'juju run app/leader coordinator-show')
    same(section, 'restart: the roll waits for you: stage 1 of 3 is done.', shown)
    assert '    ' + resume in shown.splitlines()
    typed(made, resume if well else cancel)
    made.run()
    watch.check()
    assert served(made, watch) == ([1] * 5 if well else [0, 1, 0, 0, 0])
    if not well:
        made.configure(go=1)  # no pause is left behind
        made.run()
        assert served(made, watch) == [1, 2, 1, 1, 1]


@both
def test_stop_the_roll_now_and_go_on(five, juju):
    (made, watch), section = five, 'Stop the roll now, and go on'
    pause, resume, cancel = commands(section)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work) and bool(watch.turns))
    made.run(seconds=5)

    answer = typed(made, pause)
    made.run(seconds=400)

    same(
        section,
        'all locks: paused. No turn begins until you resume; a turn that has begun goes on.',
        answer,
    )
    stood = served(made, watch)
    assert sum(stood) == 2
    reasons = [made.status_of(unit)[1] for unit in made.units]
    waits = [text for text in reasons if 'paused since' in text]
    assert waits
    same(section, 'paused since 2026-11-27 08:00 UTC: an alarm', waits[0])
    same(section, 'all locks: not paused any more. Turns begin again.', typed(made, resume))
    until(made, lambda: len(watch.at_work) == 1)
    made.run(seconds=5)
    typed(made, cancel)
    made.run()
    made.run(seconds=700)
    watch.check()
    assert sum(served(made, watch)) == 3
    same(section, 'restart: no unit has asked for it, and no roll of it is under way', typed(made, cancel))


@both
def test_a_unit_is_down_and_holds_the_lock(five, juju):
    (made, watch), section = five, 'A unit is down and holds the lock'
    free, confirmed = commands(section)
    typed(made, 'juju run app/leader coordinator-roll lock=restart')
    until(made, lambda: watch.at_work == {'app/3'})
    made.run(seconds=5)
    made.die_agent('app/3', 2000)
    made.run(seconds=400)
    assert sum(served(made, watch)) == 2

    risk = (
        'if it is alive and in its turn, two units will work at once; make sure that it is down, and confirm'
    )
    refused = typed(made, free)
    same(section, 'app/3: ' + risk, refused)
    assert refused.endswith(': ' + confirmed)
    same(section, 'app/3: freed.', typed(made, confirmed))
    made.run(seconds=60)
    shown = typed(made, 'juju run app/leader coordinator-show')
    same(section, 'app/3: freed since 08:20 UTC, 1 min; it has not run since, and will ask anew.', shown)
    made.run(seconds=300)
    assert served(made, watch) == [1, 1, 1, 0, 1]
    made.run(seconds=2500)
    assert served(made, watch)[3] >= 1
    assert 'freed' not in typed(made, 'juju run app/leader coordinator-show')


def test_no_command_that_gives_an_order_stands_in_another_section():
    followed = {
        'Restart all units',
        'Try it on one unit first',
        'Stop the roll now, and go on',
        'A unit is down and holds the lock',
    }
    others = {name: commands(name) for name in SECTIONS if name not in followed}

    assert {line for lines in others.values() for line in lines if 'coordinator-show' not in line} == set()


# docs/recipes.md


RENEW = """
from charms.reactive import clear_flag, set_flag

@when('config.changed.go')
def renewed():
    if hookenv.config('go'):
        set_flag('db.certificate.renewed')
"""


@both
def test_the_recipe_of_a_roll_restarts_all_units_as_it_is_written(model, charm_with, juju):
    page = (ROOT / 'docs' / 'recipes.md').read_text(encoding='utf-8')
    code = page.split('\n## Restart all units\n')[1].split('```python\n')[1].split('```')[0]
    made = begun(model, charm_with(RENEW + code), units=5, juju=juju)
    watch = StrictWatch(made)

    made.configure(go=1)
    made.run()
    made.run(seconds=400)

    watch.check()
    assert served(made, watch) == [1] * 5
    assert sum(len(made.log_of(unit, 'all units have restarted')) for unit in made.units) == 1
