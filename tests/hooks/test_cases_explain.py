"""What `explain` says when it matters most: while the leader works first, and where nothing goes on."""

import os

import pytest

from tests.cases import ASK, WORK, StrictWatch, both, in_error, until
from tests.deploy import begun, said

SCRIPT = """#!/usr/bin/env python3
from charmhelpers.core import hookenv
from charms.layer import coordinator

hookenv.log('why {}'.format(coordinator.explain('a')))
"""


@pytest.fixture
def charm_that_explains(charm_with):
    """Makes a charm with an action that logs what explain says."""

    def make(plan, **options):
        charm = charm_with(plan, **options)
        (charm / 'actions').mkdir(exist_ok=True)
        (charm / 'actions' / 'why').write_text(SCRIPT)
        os.chmod(str(charm / 'actions' / 'why'), 0o755)
        return charm

    return make


def why(made, unit):
    """Return what explain says on a unit now."""
    made.run_action(unit, 'why')
    made.run(seconds=5)
    return said(made, unit, 'why ')[-1]


@both
@pytest.mark.parametrize('queues', [{}, {'queues': 'per-lock'}], ids=['one queue', 'per-lock'])
def test_everybody_names_the_leader_that_works_first(model, charm_that_explains, juju, queues):
    made = begun(model, charm_that_explains(ASK + WORK, **queues), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=10)

    for unit in ('app/1', 'app/2'):
        assert 'app/0 holds it' in why(made, unit)


@both
def test_a_unit_that_has_not_asked_is_told_who_holds_the_lock(model, charm_that_explains, juju):
    one = ASK.replace("hookenv.config('go'):", "hookenv.config('go') and hookenv.local_unit() != 'app/2':")
    made = begun(model, charm_that_explains(one + WORK), units=3, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=10)
    holder = next(iter(watch.at_work))

    text = why(made, 'app/2')

    assert 'not asked for' in text
    assert '{} holds it'.format(holder) in text


@both
def test_the_number_of_those_that_wait_before_is_told_once_tickets_are_given(
    model, charm_that_explains, juju
):
    made = begun(model, charm_that_explains(ASK + WORK), units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: len(watch.turns) == 1)
    until(made, lambda: bool(watch.at_work))
    made.run(seconds=5)
    holder = next(iter(watch.at_work))
    waiting = [unit for unit in made.units if unit != holder and not watch.served(unit)]

    texts = [why(made, unit) for unit in waiting]

    assert all('{} holds it'.format(holder) in text for text in texts), texts
    assert any(text.endswith('1 ahead of this unit') for text in texts), texts


@both
def test_a_unit_that_died_before_its_turn_is_named_as_the_one_that_the_others_wait_for(
    model, charm_that_explains, juju
):
    one_by_one = ASK.replace(
        "if hookenv.config('go'):", "if hookenv.local_unit() == 'app/%d' % hookenv.config('go'):"
    )
    made = begun(model, charm_that_explains(one_by_one + WORK), units=4, juju=juju)
    watch = StrictWatch(made)
    for go in (1, 2, 3):
        made.configure(go=go)
        made.run(seconds=15)
    assert watch.at_work == {'app/1'}
    made.lose_unit('app/2')
    made.run(seconds=400)

    text = why(made, 'app/3')

    assert watch.served('app/1') == 1
    assert text.endswith('app/2 holds it, 1 ahead of this unit'), text


@both
def test_a_leader_in_error_that_gives_no_tickets_is_said_to_be_what_one_waits_for(
    model, charm_that_explains, juju
):
    one = ASK.replace("hookenv.config('go'):", "hookenv.config('go') and hookenv.local_unit() != 'app/0':")
    fails = "\n@hook('update-status')\ndef check():\n    check_call(['systemctl', 'start', 'check'])\n"
    made = begun(model, charm_that_explains(one + WORK + fails), units=3, juju=juju)
    made.elect('app/0')
    made.fail_command('app/0', 'systemctl start check', times=100)
    until(made, lambda: in_error(made, 'app/0'))
    watch = StrictWatch(made)
    made.configure(go=1)
    made.run(seconds=10)

    text = why(made, 'app/1')

    assert not watch.at_work
    assert 'leader' in text
    assert 'error' in text, text


@both
def test_what_is_said_while_the_ledger_is_lost_names_those_that_have_not_spoken(
    model, charm_that_explains, juju
):
    fails = "\n@hook('update-status')\ndef check():\n    check_call(['systemctl', 'start', 'check'])\n"
    made = begun(model, charm_that_explains(ASK + WORK + fails), units=3, juju=juju)
    made.configure(go=1)
    made.run()
    made.fail_command('app/2', 'systemctl start check', times=100)
    until(made, lambda: in_error(made, 'app/2'))

    made.lose_app_data('coordinator')
    made.configure(go=2)
    made.run(seconds=30)

    assert any('app/2' in why(made, unit) for unit in ('app/0', 'app/1'))
