"""Found by playing with units that come and go: a turn, or a whole roll, waited for a unit that had left."""

from types import SimpleNamespace

import pytest
import yaml

from tests.cases import (
    ASK,
    ASK_FIRST,
    NO_UPDATE_STATUS_S,
    RESTART,
    WORK,
    StrictWatch,
    ask,
    both,
    each_worked,
    lose_ledger,
    order,
    until,
)
from tests.deploy import begun


def looks(made, rounds=1, units=()):
    """Let units run update-status, so many times."""
    for _ in range(rounds):
        for unit in units or made.units:
            made.update_status(unit)
        made.run(seconds=300)


# A unit that is removed by force


@both
@pytest.mark.parametrize('then', ['a request', 'a roll'])
def test_a_holder_that_nobody_waits_for_is_gone_at_update_status(model, charm_with, juju, then):
    made = begun(model, charm_with(WORK + RESTART), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    ask(made, 'app/2', 'a')
    until(made, lambda: 'app/2' in watch.at_work)
    made.lose_unit('app/2', force=True)
    looks(made)

    if then == 'a request':
        ask(made, 'app/1', 'a')
    else:
        order(made, "request_roll('restart')")
    made.run(seconds=3000)

    assert each_worked(made) == ([0, 1] if then == 'a request' else [1, 1]), made.story()
    watch.check()


@both
def test_a_roll_whose_last_unit_is_gone_is_over(model, charm_with, juju):
    made = begun(model, charm_with(RESTART), units=4, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    order(made, "request_roll('restart', order='name')")
    made.run(seconds=225)
    made.lose_unit('app/3', force=True)
    looks(made, 2)

    assert each_worked(made) == [1, 1, 1]
    assert any(made.log_of(unit, 'ROLLED') for unit in made.units), made.story()


@both
def test_the_word_that_frees_a_unit_goes_when_the_unit_is_gone(model, charm_with, juju):
    made = begun(model, charm_with(WORK + RESTART), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    ask(made, 'app/2', 'a')
    made.run(seconds=15)
    made.lose_unit('app/2')
    made.run(seconds=100)
    order(made, "free('app/2', confirm=True)")
    made.run(seconds=60)
    made.lose_unit('app/2', force=True)
    looks(made, 2)

    shared = {**made.controller.leader_settings, **made.controller.app_settings}
    assert not any('"free"' in text for text in shared.values()), shared


@pytest.mark.parametrize('then', ['first', 'marked'])
def test_a_subordinate_that_never_spoke_holds_up_no_ledger(model, charm_with, then):
    """On Juju 4 relation-list goes on listing it; its principal is gone, but it has never named that."""
    units = 3 if then == 'first' else 2
    made = model(charm_with(ASK + WORK), units=units, juju=4, subordinate=True)
    if then == 'marked':
        made.run()
    unit = 'app/2' if then == 'first' else made.add_unit()
    made.hear_of_leavers = 0.0
    made.fail_hook(unit, 'coordinator-relation-created', times=99)
    until(made, lambda: any(e.unit == 'app/0' and 'joined ({})'.format(unit) in e.text for e in made.history))
    made.lose_unit(unit, force=True)
    made.run(seconds=900)
    if then == 'marked':
        lose_ledger(made, then)
    made.configure(go=1)
    made.run(seconds=3000)

    assert each_worked(made) == [1, 1], made.story()


# A unit that is removed in good order


@pytest.mark.parametrize('who', ['app/0', 'app/1'])
def test_on_juju_3_the_next_unit_of_a_roll_has_a_hook_with_handlers(model, charm_with, who):
    """The leader finds in update-status that the holder has left. Its write brings the next unit a hook."""
    skips = "    if hookenv.hook_name() != 'update-status':\n        check_call(['work', '60'])"
    charm = charm_with(RESTART.replace("    check_call(['work', '60'])", skips))
    made = begun(model, charm, units=4, juju=3, update_status_s=NO_UPDATE_STATUS_S)
    watch = StrictWatch(made)
    order(made, "request_roll('restart', order='name')")
    until(made, lambda: who in watch.at_work)
    made.remove_unit(who)
    made.run(seconds=200)
    looks(made, 3)

    watch.check()
    assert all(each_worked(made)), made.story()


@pytest.mark.parametrize('queues', ['one', 'per-lock'])
@pytest.mark.parametrize('after_s', [-3, 0.5])
def test_a_unit_that_leaves_before_it_sees_its_place_in_a_roll_gives_it_up(
    model, charm_with, after_s, queues
):
    options = {'juju': 4, 'update_status_s': NO_UPDATE_STATUS_S, 'subordinate': after_s < 0}
    made = begun(model, charm_with(RESTART, queues=queues), units=4, **options)
    made.hear_of_leavers = 0.0
    if after_s < 0:
        made.remove_unit('app/1')
        made.run(seconds=-after_s)
    order(made, "request_roll('restart')")
    if after_s > 0:
        made.run(seconds=after_s)
        made.remove_unit('app/1')
    made.run(seconds=5000)

    assert each_worked(made) == [1, 1, 1], made.story()
    assert any(made.log_of(unit, 'ROLLED') for unit in made.units)


# A unit that comes while another leaves, on Juju 4: it may never run relation-joined for that one

TWO_ASK = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.local_unit() in ('app/4', 'app/5'):
        coordinator.request_lock('a')
"""
BUSY = """
from subprocess import check_call
check_call(['reshape'])
"""


def comes_while_one_leaves(model, charm):
    """Return a model in which app/5 comes while app/4 works and leaves; only app/5 hears that it has left."""
    work_s = {'work': (60.0, 0), 'reshape': (90.0, 0)}
    options = {'juju': 4, 'update_status_s': NO_UPDATE_STATUS_S}
    made = begun(model, charm, units=5, machine=lambda unit, argv: work_s.get(argv[0]), **options)
    made._chance = SimpleNamespace(random=iter([1, 1, 1, 1, 0]).__next__)
    made.configure(go=1)
    until(made, lambda: any((e.unit, e.text) == ('app/4', 'work 60') for e in made.history))
    made.add_unit()
    made.remove_unit('app/4')
    return made


def works_in(made, unit):
    return (unit, 'worked', 'work 60') in [(e.unit, e.what, e.text) for e in made.history]


@pytest.mark.parametrize('options', [{'queues': 'per-lock'}, {'slots': '20%'}])
def test_a_unit_watches_nobody_whose_news_it_never_gets(model, charm_with, options):
    reshapes = """
@when('config.changed.memory')
def reshape():
    if hookenv.config('memory') > 1 and hookenv.local_unit() != 'app/4':
        check_call(['reshape'])  # it needs no lock
"""
    made = comes_while_one_leaves(model, charm_with(TWO_ASK + reshapes + WORK, **options))
    until(made, lambda: any(e.unit == 'app/5' and '(app/0)' in e.text for e in made.history))
    made.configure(memory=2)
    made.run(seconds=3000)

    assert works_in(made, 'app/5'), made.story()


@pytest.mark.parametrize('options', [{'queues': 'per-lock'}, {'slots': '20%'}])
def test_the_leader_s_write_brings_a_hook_where_a_leaver_was_in_the_way(model, charm_with, options):
    made = comes_while_one_leaves(model, charm_with(TWO_ASK + WORK, **options))
    until(made, lambda: any(e.unit == 'app/5' and 'changed (app/3)' in e.text for e in made.history))
    made.run_exec('app/5', BUSY, as_action=True)  # app/4 is gone when it is over
    made.run(seconds=3000)

    assert works_in(made, 'app/5'), made.story()


# A subordinate of which one principal has a new unit, while the principal stays


def related_again(model, charm, juju):
    """`juju remove-relation sub beta; juju integrate sub beta`: app/3 takes the place of app/2."""
    made = model(charm, units=0, juju=juju, subordinate=True)
    for principal in 'alpha/0', 'alpha/1', 'beta/0':
        made.add_unit(principal=principal)
    made.elect('app/0')
    made.run()
    made.hear_of_leavers = 0.0
    made.remove_unit('app/2')
    made.run()
    made.add_unit(principal='beta/0')
    made.run()
    looks(made)
    return made


@both
def test_a_roll_passes_over_a_unit_in_whose_place_another_runs(model, charm_with, juju):
    made = related_again(model, charm_with(RESTART), juju)
    order(made, "request_roll('restart')")
    made.run(seconds=5000)

    assert each_worked(made) == [1, 1, 1], made.story()
    assert any(made.log_of(unit, 'ROLLED') for unit in made.units)


@both
def test_a_percentage_counts_no_unit_in_whose_place_another_runs(model, charm_with, juju):
    made = related_again(model, charm_with(WORK, slots='50%'), juju)
    watch = StrictWatch(made)
    for unit in made.units:
        ask(made, unit, 'a')
    made.run(seconds=5000)

    watch.check()
    assert each_worked(made) == [1, 1, 1]


@both
def test_a_lost_ledger_waits_for_no_unit_in_whose_place_another_runs(model, charm_with, juju):
    made = related_again(model, charm_with(WORK), juju)
    lose_ledger(made, 'marked')
    for unit in made.units:
        ask(made, unit, 'a')
    made.run(seconds=5000)

    assert each_worked(made) == [1, 1, 1], made.story()


# A subordinate of two applications: a new unit leads, and has met only those beside one of them


@pytest.mark.parametrize('juju, seed', [(3, 5), (4, 0)])
@pytest.mark.parametrize('other', ['beta/0', 'alpha/9'])
def test_a_new_leader_waits_for_a_unit_beside_an_application_that_it_has_not_met(
    model, charm_with, juju, seed, other
):
    charm = charm_with(ASK_FIRST + WORK.replace("'60'", "'600'"))
    described = yaml.safe_load((charm / 'metadata.yaml').read_text())
    described['requires'] = {'beside': {'interface': 'juju-info', 'scope': 'container'}}
    (charm / 'metadata.yaml').unlink()
    (charm / 'metadata.yaml').write_text(yaml.safe_dump({**described, 'subordinate': True}))
    made = model(charm, units=0, juju=juju, subordinate=True, seed=seed, delay_s=(0.5, 20.0))
    for principal in 'alpha/0', other, 'alpha/1':
        made.add_unit(principal=principal)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.configure(go=2)
    made.run(seconds=40)
    made.migrate(4) if juju == 3 else lose_ledger(made, 'marked')
    made.elect(made.add_unit(principal='alpha/2'), after_s=1)
    made.run(seconds=1500)

    watch.check()
