"""The leader's own turn, which on Juju 2.9 - 3.x no write of its own brings it (R18)."""

import pytest

from tests.cases import (
    ASK,
    ASK_FIRST,
    MINE_PY,
    NO_UPDATE_STATUS_S,
    SKIPS,
    WORK,
    StrictWatch,
    both,
    each_worked,
    remove_at_work,
    until,
    worked,
)
from tests.deploy import begun

OWN = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') and hookenv.is_leader():
        {}
"""
OTHERS_ASK = OWN.replace('hookenv.is_leader()', 'not hookenv.is_leader()').format(
    "coordinator.request_lock('a')"
)
AGAIN = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '60'])
    if not reactive.is_flag_set('again'):
        reactive.set_flag('again')
        coordinator.request_again('a')
"""
FROM_A_CALLBACK = """
from charms.layer.coordinator import request_lock

def late():
    if hookenv.hook_name() == 'config-changed' and hookenv.config('go') and hookenv.is_leader():
        request_lock('a')

hookenv.atexit(late)
"""
REQUEST = "from charms.layer import coordinator; coordinator.request_lock('a')"


@both
def test_a_leader_that_queues_up_again_alone_in_the_queue_needs_no_update_status(model, charm_with, juju):
    made = begun(
        model,
        charm_with(OWN.format("coordinator.request_lock('a')") + AGAIN),
        units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S,
    )  # fmt: skip
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)

    made.configure(go=1)
    made.run()

    watch.check()
    assert worked(made, 'app/0') == 2, made.story(40)


@both
def test_so_does_one_with_a_class_that_decides_when_a_turn_ends(model, charm_with, juju):
    """The class gave the leader a ticket at the end of the hook, and no hook came (campaign, 980176)."""
    charm = charm_with(OWN.format("coordinator.request_lock('a')") + AGAIN, **{'class': 'charms.mine.Mine'})
    (charm / 'lib' / 'charms' / 'mine.py').write_text(MINE_PY)
    made = begun(model, charm, units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()

    made.configure(go=1)
    made.run()

    assert worked(made, 'app/0') == 2, made.story(40)


@both
def test_a_leader_that_asks_in_an_action_needs_no_update_status(model, charm_with, juju):
    made = begun(model, charm_with(WORK), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()

    made.run_exec('app/0', REQUEST, as_action=True)
    made.run()

    assert worked(made, 'app/0') == 1, made.story(40)


@both
def test_a_leader_that_asks_in_a_callback_for_the_end_of_a_hook_needs_no_update_status(
    model, charm_with, juju
):
    made = begun(
        model, charm_with(WORK + FROM_A_CALLBACK), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S
    )
    made.elect('app/0')
    made.run()

    made.configure(go=1)
    made.run()

    assert worked(made, 'app/0'), made.story(40)


@both
@pytest.mark.parametrize('tool', ['leader-set', 'relation-set'])
def test_a_leader_whose_order_fails_and_is_given_again_needs_no_update_status(model, charm_with, juju, tool):
    """The second action refuses its order, which the first had saved (963190) or written (963454)."""
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()
    made.run_action('app/0', 'coordinator-pause')
    made.run()
    made.configure(go=1)
    made.run()
    made.fail_tool('app/0', tool, times=1)

    for _ in range(2):
        made.run_action('app/0', 'coordinator-resume')
        made.run()

    assert each_worked(made) == [1, 1], made.story(40)


@both
def test_a_leader_whose_turn_comes_in_update_status_has_it_in_a_hook_in_which_handlers_run(
    model, charm_with, juju
):
    made = begun(model, charm_with(ASK_FIRST + SKIPS), units=2, juju=juju)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    remove_at_work(made, watch)
    made.run(seconds=900)

    watch.check()
    assert watch.served('app/0') == 1, made.story(60)


@both
def test_a_leader_that_is_not_next_writes_no_word_that_wakes_everybody(model, charm_with, juju):
    made = begun(model, charm_with(OTHERS_ASK + WORK), units=3, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: watch.at_work)
    made.run(seconds=5)
    before = dict(made.controller.app_settings)

    made.run_exec('app/0', REQUEST, as_action=True)
    made.run(seconds=5)

    told = 'coordinator-turn'
    assert made.controller.app_settings.get(told) == before.get(told)
    made.run()
    assert all(watch.served(unit) for unit in made.units), made.story(40)


@both
def test_an_action_that_asks_for_nothing_new_brings_the_leader_no_hook(model, charm_with, juju):
    made = begun(model, charm_with(ASK + WORK), units=2, juju=juju, update_status_s=NO_UPDATE_STATUS_S)
    made.elect('app/0')
    made.run()
    made.configure(go=1)
    made.run()
    before = len(made.costs)

    made.run_exec('app/0', "from charms.layer import coordinator; coordinator.explain('a')", as_action=True)
    made.run()

    assert len(made.costs) == before + 1
