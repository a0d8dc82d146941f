"""A turn that has begun keeps its queue through a refresh, a lost ledger and a move to Juju 4 (rule 11)."""

import pytest

from tests.cases import ASK_FIRST, KEEP, MINE_PY, WORK, StrictWatch, both, health, in_error, until
from tests.deploy import begun

OWN = (
    MINE_PY
    + """

class Late(Mine):
    began = False

    def initialize(self):
        super().initialize()
        self.began = True

    def default_grant(self, lock, unit, granted, queue):
        return self.began and super().default_grant(lock, unit, granted, queue)
"""
)
ONE, PER_LOCK = {}, {'queues': 'per-lock'}
SERIAL = {'class': 'charmhelpers.coordinator.Serial'}
SIMPLE = {'class': 'charms.layer.coordinator.SimpleCoordinator'}
MINE = {'class': 'charms.mine.Mine'}
LATE = {'class': 'charms.mine.Late'}
"""It gives a leader its own ticket when handlers may run already."""
OTHERS = {
    'one, then per-lock': (ONE, PER_LOCK),
    'per-lock, then one': (PER_LOCK, ONE),
    'one, then Serial': (ONE, SERIAL),
    'Serial, then SimpleCoordinator': (SERIAL, SIMPLE),
    'one, then a class of its own': (ONE, MINE),
    'a class of its own, then one': (MINE, ONE),
}
leaders = pytest.mark.parametrize('leader', ['app/0', 'app/1'], ids=['another leads', 'the holder leads'])
of_two_leaders = [(options, 'app/0') for options in OTHERS.values()]
of_two_leaders += [((ONE, PER_LOCK), 'app/1'), ((MINE, ONE), 'app/1')]
ids = [*OTHERS, 'the holder leads', 'a class of its own, and the holder leads']
refreshed = pytest.mark.parametrize('options, leader', of_two_leaders, ids=ids)


ASK_LATE = """
@when('config.changed.go')
def ask():
    if hookenv.config('go') > (hookenv.local_unit() != 'app/1'):
        hookenv.atexit(coordinator.request_lock, 'a')
"""
"""A leader of Juju 2.9 - 3.x does not give itself the ticket before its next hook."""


KEEP_AND_ASK_AGAIN = """
@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
    if not reactive.is_flag_set('kept'):
        reactive.set_flag('kept')
        coordinator.request_again('a')
        coordinator.keep_lock('a')
"""


@pytest.fixture
def charm_of(charm_with):
    """Makes a charm of these handlers and layer options that brings the class charms.mine.Mine."""

    def make(plan, options):
        charm = charm_with(plan, **options)
        (charm / 'lib' / 'charms' / 'mine.py').write_text(OWN)
        return charm

    return make


def kept(model, charm, juju, leader, healthy_at):
    """Return a model in which app/1 keeps the lock until a time, and a watch of it."""
    machine = health(lambda unit: healthy_at if unit == 'app/1' else 0.0, lambda: made)
    made = begun(model, charm, units=3, juju=juju, machine=machine, update_status_s=60.0)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made, until='healthy')
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    made.run(seconds=30)
    assert watch.at_work == {'app/1'}
    return made, watch


def failed(model, charm, juju, leader, times):
    """Return a model in which app/1 fails in its turn so often, now for the first time, and a watch of it."""
    made = begun(model, charm, units=3, juju=juju)
    made.elect(leader)
    made.run()
    watch = StrictWatch(made, until='work 60')
    made.fail_command('app/1', 'work 60', times=times)
    made.configure(go=1)
    until(made, lambda: in_error(made, 'app/1'))
    return made, watch


def refresh_one_by_one(made, charm, apart_s):
    """Upgrade all units, the holder first, with time between them."""
    for unit in ('app/1', 'app/0', 'app/2'):
        made.upgrade(unit, charm)
        made.run(seconds=apart_s)


def everybody_was_served(made, watch):
    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


@both
@refreshed
def test_a_kept_turn_keeps_its_place_when_a_refresh_changes_the_queues(
    model, charm_of, juju, options, leader
):
    before, after = (charm_of(ASK_FIRST + KEEP, chosen) for chosen in options)
    made, watch = kept(model, before, juju, leader, healthy_at=400)

    made.upgrade('app/1', after)
    made.configure(go=2)
    refresh_one_by_one(made, after, apart_s=20)
    made.configure(go=3)
    made.run(seconds=100)
    assert watch.at_work == {'app/1'}, made.story(40)
    made.run(seconds=600)

    everybody_was_served(made, watch)


@both
@refreshed
def test_a_failed_turn_keeps_its_place_when_a_refresh_changes_the_queues(
    model, charm_of, juju, options, leader
):
    before, after = (charm_of(ASK_FIRST + WORK, chosen) for chosen in options)
    made, watch = failed(model, before, juju, leader, times=4)
    made.configure(go=2)

    refresh_one_by_one(made, after, apart_s=15)
    made.run(seconds=900)

    everybody_was_served(made, watch)


@both
def test_a_turn_that_a_leader_gives_itself_among_its_handlers_has_begun(model, charm_of, juju):
    """The refresh is its next hook, so no other hook can note that the turn has begun."""
    late, one = (charm_of(ASK_LATE + KEEP_AND_ASK_AGAIN, chosen) for chosen in (LATE, ONE))
    made = begun(model, late, units=2, juju=juju, update_status_s=60.0)
    made.elect('app/1')
    made.run()
    watch = StrictWatch(made)
    made.configure(go=1)
    until(made, lambda: 'app/1' in watch.at_work)
    for unit in made.units:
        made.upgrade(unit, one)
    made.run(seconds=900)

    watch.check()
    worked = [event for event in made.history if (event.unit, event.what) == ('app/1', 'worked')]
    assert len(worked) == 3, made.story(60)  # twice in the turn that it keeps, and in the one after it


@both
@leaders
def test_a_kept_turn_outlives_a_refresh_to_per_lock_and_back_again(model, charm_of, juju, leader):
    one, per_lock = (charm_of(ASK_FIRST + KEEP, chosen) for chosen in (ONE, PER_LOCK))
    made, watch = kept(model, one, juju, leader, healthy_at=500)

    for charm in (per_lock, one):
        made.configure(go=int(made.controller.config['go']) + 1)
        refresh_one_by_one(made, charm, apart_s=20)
    made.run(seconds=100)
    assert watch.at_work == {'app/1'}, made.story(40)
    made.run(seconds=700)

    everybody_was_served(made, watch)


@both
@leaders
def test_another_lock_is_not_free_beside_a_unit_that_failed_before_a_refresh_to_per_lock(
    model, charm_of, juju, leader
):
    """The turn began in the queue of all locks, so it excludes the turns of every lock until it is over."""
    b = """
@when('config.changed.memory')
def ask_b():
    if hookenv.config('memory') > 1:
        coordinator.request_lock('b')

@when('coordinator.granted.b')
def work_b():
    check_call(['work', '60'])
"""
    before, after = (charm_of(ASK_FIRST + WORK + b, chosen) for chosen in (ONE, PER_LOCK))
    made, watch = failed(model, before, juju, leader, times=5)

    refresh_one_by_one(made, after, apart_s=5)
    made.configure(memory=5)
    made.run(seconds=1200)

    everybody_was_served(made, watch)
