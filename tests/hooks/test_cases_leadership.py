"""Terms instead of hope: what a deposed leader still writes hurts nobody (rule 13)."""

import pytest

from tests.cases import ASK, WORK, StrictWatch, both, lose_ledger, until
from tests.deploy import begun

SLOW = """
@when('config.changed.memory')
def slow():
    if hookenv.local_unit() == 'app/0' and hookenv.config('memory') > 1:
        if BEFORE:
            coordinator.request_lock('a')
        check_call(['systemctl', 'start', 'slow'])
        coordinator.request_lock('a')
"""
"""app/0 asks at the end of a long hook, or at its beginning; then it wrote before leadership left."""

ASK_OTHERS = ASK.replace("hookenv.config('go'):", "hookenv.config('go') and hookenv.local_unit() != 'app/0':")


def machine(unit, argv):
    if argv == ['systemctl', 'start', 'slow']:
        return 40.0, 0
    if argv[0] == 'work':
        return float(argv[1]), 0
    return None


def all_have_led(model, charm, juju, **options):
    """Return a model in which each unit has led and has given tickets; app/0 leads again."""
    made = begun(model, charm, units=3, juju=juju, machine=machine, **options)
    for turn, unit in enumerate(['app/1', 'app/2', 'app/0']):
        made.elect(unit)
        made.configure(go=1 + turn)
        made.run()
    return made


@both
@pytest.mark.parametrize('before', [True, False], ids=['it asked before', 'it asks after'])
@pytest.mark.parametrize('there_s, back_s', [(1, 12), (5, 30), (0.5, 38)])
@pytest.mark.parametrize('turns', [['app/1'], ['app/2', 'app/1']], ids='-'.join)
def test_leadership_that_leaves_and_returns_within_a_hook_lets_no_two_work(
    model, charm_with, juju, before, there_s, back_s, turns
):
    charm = charm_with(ASK_OTHERS + WORK + SLOW.replace('BEFORE', str(before)))
    made = all_have_led(model, charm, juju)
    watch = StrictWatch(made)

    made.configure(memory=2)
    until(made, lambda: any(event.what == 'works' and event.text.endswith('slow') for event in made.history))
    started = made.now
    for place, unit in enumerate(turns):
        made.at(started + there_s + place * (back_s - there_s) / 2, lambda unit=unit: made.elect(unit))
    made.at(started + there_s + 0.3, lambda: made.configure(go=9))
    made.at(started + back_s, lambda: made.elect('app/0'))
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@pytest.mark.parametrize('blindly', [False, True], ids=['checked again', 'never checked again'])
@pytest.mark.parametrize('writes_s', [3, 70])
@pytest.mark.parametrize('moves_s', [1.5, 2.5])
def test_a_write_of_a_deposed_leader_that_lands_late_lets_no_two_work(
    model, charm_with, blindly, writes_s, moves_s
):
    made = all_have_led(model, charm_with(ASK + WORK), 3)
    watch = StrictWatch(made)

    made.delay_next_write('app/0', writes_s, blindly)
    made.configure(go=9)
    made.elect('app/1', after_s=moves_s)
    made.elect('app/2', after_s=moves_s + 20)
    made.run()
    made.configure(go=10)
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 2 for unit in made.units), made.story(60)


@pytest.mark.parametrize(
    'ledger',
    [
        'stays',
        'marked',
        pytest.param('removed', marks=pytest.mark.xfail(reason='docs/limits.md, own word', strict=True)),
    ],
)
def test_a_write_that_lands_late_when_its_writer_leads_again_lets_no_two_work(model, charm_with, ledger):
    made = begun(model, charm_with(ASK + WORK), units=3, juju=4)
    watch = StrictWatch(made)
    first, second = made.controller.leader, 'app/1'

    made.delay_next_write(first, 40)
    made.configure(go=9)
    made.elect(second, after_s=4)
    assert made.run(seconds=20, until=lambda: any(event.what == 'works' for event in made.history))
    made.run(seconds=3)
    made.elect(first)
    if ledger != 'stays':
        lose_ledger(made, ledger)
    assert [event.what for event in made.history if event.unit == first][-2:] == ['writes late', 'leads']
    made.run()

    watch.check()
    assert all(watch.served(unit) for unit in made.units), made.story(60)


@both
@pytest.mark.parametrize('every_s', [0.7, 1.3, 2.9])
def test_leadership_that_never_stays_lets_no_two_work_and_all_are_served_when_it_does(
    model, charm_with, juju, every_s
):
    made = begun(model, charm_with(ASK + WORK.replace('60', '5')), units=4, juju=juju)
    watch = StrictWatch(made)
    made.configure(go=1)
    for turn in range(60):
        made.at(made.now + every_s * turn, lambda turn=turn: made.elect(made.units[(turn * 7) % 4]))
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
def test_a_leader_frozen_in_its_hook_gives_nobody_a_turn_beside_the_next_leaders(model, charm_with, juju):
    """Its agent is frozen, and 69 s later its batch is refused (seen on a controller)."""
    made = all_have_led(model, charm_with(ASK + WORK), juju)
    watch = StrictWatch(made)
    made.configure(go=9)
    made.run(seconds=1.5)

    made.partition('app/0', 69)
    made.run()

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)
