"""The example charm: its first start needs no lock, a change of configuration and the action ask for it."""

import pytest
import yaml

from tests.deploy import RESTART_S, ROOT
from tests.ledger import data_of, ledger_in
from tests.watch import Watch

START, RESTART = 'systemctl start rolling-db', 'systemctl restart rolling-db'
HOOK_S = 1.0
both = pytest.mark.parametrize('juju', [3, 4])


def deployed(model, example, **options):
    """Return a model of the example at rest, with the watch that saw it being deployed."""
    made = model(example, **options)
    watch = Watch(made)
    made.run()
    return made, watch


def programs(made):
    """Return which unit ran what, and in which hook, in order."""
    hooks, ran = {}, []
    for event in made.history:
        if event.what == 'begins':
            hooks[event.unit] = event.text
        elif event.what == 'works':
            ran.append((event.unit, hooks[event.unit], event.text))
    return ran


@both
@pytest.mark.every_python
def test_deploying_starts_each_unit_once_and_restarts_none(model, example, juju):
    made, _ = deployed(model, example, units=3, juju=juju)

    assert sorted(programs(made)) == [(unit, 'start', START) for unit in made.units]
    assert not ledger_in(data_of(made.controller)).token
    assert {record.status_message for record in made.controller.units.values()} == {'started'}


@both
@pytest.mark.every_python
def test_a_change_of_configuration_restarts_each_unit_once_one_at_a_time(model, example, juju):
    made, watch = deployed(model, example, units=3, juju=juju)

    made.configure(memory=2)
    made.run()

    watch.check()
    assert sorted((unit, program) for unit, _, program in programs(made)[3:]) == [
        (unit, RESTART) for unit in made.units
    ]
    assert watch.most_at_work == 1
    assert {record.status_message for record in made.controller.units.values()} == {'restarted'}


@both
def test_a_unit_added_during_a_roll_starts_at_once_and_the_roll_goes_on(model, example, juju):
    made, watch = deployed(model, example, units=2, juju=juju)
    made.configure(memory=2)
    made.run(seconds=10)

    added = made.add_unit()
    made.run(seconds=20)

    assert (added, 'start', START) in programs(made)
    assert watch.at_work
    made.run()
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 0]


@both
def test_a_machine_that_comes_back_starts_its_unit_again_without_a_lock(model, example, juju):
    made, _ = deployed(model, example, units=1, juju=juju)

    made.agents['app/0'].local.queued_start = True  # what a reboot makes of it
    made.update_status('app/0')
    made.run(seconds=10)

    assert [program for _, hook, program in programs(made) if hook == 'start'] == [START, START]
    assert not ledger_in(data_of(made.controller)).token


@both
def test_the_action_restarts_its_own_unit_only_and_says_how_far_the_request_is(model, example, juju):
    made, watch = deployed(model, example, units=3, juju=juju)

    made.run_action('app/1', 'restart')
    made.run(seconds=RESTART_S + 10)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [0, 1, 0]
    answer = next(event.text for event in made.history if event.what == 'ran')
    assert answer.startswith(
        'action restart: restart: restart: asked, and the leader has given no ticket yet'
    )


@both
def test_the_action_on_a_leader_alone_restarts_it_by_the_next_update_status(model, example, juju):
    made, watch = deployed(model, example, units=1, juju=juju)

    made.run_action('app/0', 'restart')
    made.run(seconds=400)

    watch.check()
    assert watch.served('app/0') == 1


@both
def test_the_action_during_a_roll_says_which_unit_holds_the_lock_and_asks_for_nothing_new(
    model, example, juju
):
    made, watch = deployed(model, example, units=3, juju=juju)
    made.configure(memory=2)
    made.run(seconds=RESTART_S + 30)
    waiting = next(name for name, record in made.controller.units.items() if record.status == 'waiting')

    made.run_action(waiting, 'restart')
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * 3
    answer = next(event.text for event in made.history if event.what == 'ran')
    assert 'holds it, 1 ahead of this unit' in answer


def test_the_action_takes_no_parameters_and_says_what_it_does():
    action = yaml.safe_load((ROOT / 'examples' / 'rolling-db' / 'actions.yaml').read_text())['restart']

    assert action['params'] == {}
    assert action['additionalProperties'] is False
    assert 'Asks for a restart of this unit' in action['description']


def test_the_charmcraft_file_is_the_one_that_the_build_instructions_show():
    text = (ROOT / 'docs' / 'building.md').read_text()
    shown = text[text.index('```yaml\ntype: charm') + len('```yaml\n') :]

    file = yaml.safe_load((ROOT / 'examples' / 'rolling-db' / 'charmcraft.yaml').read_text())
    assert yaml.safe_load(shown[: shown.index('```')]) == file
