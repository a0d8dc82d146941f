"""The API of charmhelpers.coordinator, row by row as the drop-in contract numbers them.

Where it says `same`, the very same charm is run on this layer's classes, on
both Jujus, and on charmhelpers.coordinator itself: they must say the same.
"""

import datetime
import itertools
import re

import pytest

from tests.compat.seedcharms import OURS, SEED, classic
from tests.deploy import ROOT, said
from tests.ledger import data_of
from tests.watch import Watch

same = pytest.mark.parametrize('module, juju', [(OURS, 3), (OURS, 4), (SEED, 3)])
same_on_3 = pytest.mark.parametrize('module, juju', [(OURS, 3), (SEED, 3)])
ours = pytest.mark.parametrize('module, juju', [(OURS, 3), (OURS, 4)])

POLICY = """
class Mine(coordinator.BaseCoordinator):
    def default_grant(self, lock, unit, granted, queue):
        say('asked', lock, unit, sorted(granted), queue)
        return not granted and queue[0] == unit

serial = Mine()
"""
SERIAL = 'serial = coordinator.Serial()\n'


@pytest.fixture
def begun(model, tmp_path):
    """Returns a model of a classic charm at rest: units of a module's coordinator, with a test's plan."""
    numbers = itertools.count()

    def begin(module, plan, units=1, juju=3, metadata=None, go=0, **options):
        charm = classic(tmp_path / 'classic-{}'.format(next(numbers)), module, plan, metadata)
        made = model(charm, units=units, juju=juju, config={'go': go}, **options)
        made.run()
        return made

    return begin


def told(made, unit='app/0'):
    return said(made, unit, 'said ')


def failed(made):
    return [event.text for event in made.history if event.what == 'fails']


# Construction


@same
def test_row_1_the_constructor_takes_a_key_and_a_relation_and_calls_no_hook_tool(begun, module, juju):
    plan = """
import inspect, subprocess
called, real = [], subprocess.Popen
subprocess.Popen = lambda *args, **options: called.append(args) or real(*args, **options)
serial = coordinator.Serial('key', 'coordinator')
count = len(called)
subprocess.Popen = real

def run():
    words = inspect.signature(coordinator.BaseCoordinator.__init__).parameters
    say(count, serial.key, serial.relname, list(words))
"""
    made = begun(module, plan, juju=juju)

    assert told(made)[0] == "0 key coordinator ['self', 'relation_key', 'peer_relation_name']"


@same
def test_row_2_there_is_one_instance_of_each_class_and_later_arguments_are_ignored(begun, module, juju):
    plan = """
class Other(coordinator.Serial):
    pass

first, second, other = coordinator.Serial('one'), coordinator.Serial('two'), Other()

def run():
    say(first is second, first is other, second.key)
"""
    assert told(begun(module, plan, juju=juju))[0] == 'True False one'


@same
def test_row_3_initialize_and_then_handle_run_before_the_hooks_work(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    def initialize(self):
        say('initialize')
        super().initialize()

    def handle(self):
        say('handle')
        super().handle()

serial = Mine()

def run():
    say('run')
"""
    said_in_order = told(begun(module, plan, juju=juju))
    first = [word for word, before in zip(said_in_order, [''] + said_in_order) if word != before][:3]

    assert first == ['initialize', 'handle', 'run']


@same
def test_row_4_a_second_initialize_does_nothing(begun, module, juju):
    plan = (
        SERIAL
        + """
before = serial.requests

def run():
    serial.acquire('a')
    asked = serial.request_timestamp('a')
    serial.initialize()
    say(before, serial.requests is not None, serial.request_timestamp('a') == asked)
"""
    )
    assert told(begun(module, plan, juju=juju))[0] == 'None True True'


@pytest.mark.parametrize(
    'module, sentence', [(OURS, 'JUJU_VERSION: expected 2.9 or newer'), (SEED, 'Needs Juju 1.23')]
)
def test_row_5_an_older_juju_is_refused(monkeypatch, begun, module, sentence, model, tmp_path):
    monkeypatch.setattr('jujusim.juju.VERSIONS', {3: '1.22.9'})
    made = model(classic(tmp_path / 'charm', module, SERIAL), config={'go': 0})

    made.run(seconds=3)

    assert sentence in failed(made)[0]


@same
def test_row_6_the_peer_relation_is_the_first_by_name(begun, module, juju):
    peers = {'peers': {'zebra': {'interface': 'z'}, 'coordinator': {'interface': 'c'}}}
    made = begun(
        module, SERIAL + 'def run():\n    say(serial.relname, serial.relid)\n', juju=juju, metadata=peers
    )

    assert told(made)[-1] == 'coordinator coordinator:0'


@ours
def test_a_new_peer_relation_is_not_chosen_because_a_read_of_the_old_one_fails(begun, tmp_path, module, juju):
    old, new = {'zebra': {'interface': 'z'}}, {'aaa': {'interface': 'a'}}
    plan = SERIAL + "def run():\n    serial.acquire('a')\n    say(serial.relname)\n"
    made = begun(module, plan, juju=juju, metadata={'peers': old})
    refused = []

    def stop(execution, argv):
        if argv[0] == 'relation-get' and argv[-3].startswith('zebra:') and not refused:
            refused.append(argv)
            made.fail_tool('app/0', 'relation-get')

    made.calls_everywhere = stop
    made.upgrade('app/0', classic(tmp_path / 'new', module, plan, {'peers': {**old, **new}}))
    made.run(seconds=60)

    assert refused
    assert len(failed(made)) == 1
    assert {*told(made)} == {'zebra'}


@pytest.mark.parametrize('module', [OURS, SEED])
def test_row_6_without_a_peer_relation_every_hook_fails_in_a_sentence(model, tmp_path, module):
    made = model(
        classic(tmp_path / 'charm', module, SERIAL, {'peers': {}} if module == OURS else {}), config={}
    )

    made.run(seconds=3)

    assert 'AssertionError: ' in failed(made)[0]
    assert 'metadata.yaml' in failed(made)[0]


@same
def test_row_7_of_several_relation_ids_the_first_as_text_is_taken(begun, module, juju):
    plan = (
        """
real = hookenv.relation_ids
hookenv.relation_ids = lambda name=None: real(name) and ['coordinator:9', 'coordinator:10', 'coordinator:0']
"""
        + SERIAL
        + "def run():\n    say(serial.relid) if hookenv.hook_name() == 'start' else None\n"
    )

    assert told(begun(module, plan, juju=juju)) == ['coordinator:0']


@same
def test_row_8_the_release_comes_before_what_a_subclass_saves(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    def _save_state(self):
        say('saves', self.requested('a'))
        super()._save_state()

    def _release_granted(self):
        say('releases', self.granted('a'))
        super()._release_granted()

serial = Mine()

def run():
    say('works')
    if go and once('a'):
        serial.acquire('a')
"""
    made = begun(module, plan, juju=juju)
    made.configure(go=1)
    made.run(seconds=700)

    order = told(made)
    place = order.index('releases True')
    assert order[place - 1 : place + 2] == ['works', 'releases True', 'saves False']


# Requests


@same
def test_row_9_asking_again_keeps_the_time_of_the_request(begun, module, juju):
    plan = (
        POLICY.replace('return not granted and queue[0] == unit', 'return False')
        + """
import time

def run():
    serial.acquire('a')
    first = serial.request_timestamp('a')
    time.sleep(5)
    say('kept', serial.acquire('a'), serial.request_timestamp('a') == first)
    say('since', first)
"""
    )
    made = begun(module, plan, juju=juju)

    said_so = told(made)
    assert {text for text in said_so if text.startswith('kept')} == {'kept False True'}
    assert len({text for text in said_so if text.startswith('since')}) == 1  # over all hooks


@same_on_3
def test_row_10_on_the_leader_the_decision_is_made_in_the_hook_that_asks(begun, module, juju):
    made = begun(module, SERIAL + "def run():\n    say(serial.acquire('a'), serial.granted('a'))\n")

    assert set(told(made)) == {'True True'}


def test_row_10_on_juju_4_it_is_made_in_that_hook_and_used_in_the_next(begun):
    plan = (
        SERIAL + "def run():\n    say(serial.granted('a'), serial.acquire('a') if go and once('a') else '')\n"
    )
    made = begun(OURS, plan, juju=4)
    before = len(told(made))

    made.configure(go=1)
    made.run()

    assert told(made)[before:][:2] == ['False False', 'True ']


@same_on_3
def test_row_11_a_leader_that_is_refused_is_asked_about_again_until_granted(begun, module, juju):
    plan = """
answers = [False, False, True, False]

class Mine(coordinator.BaseCoordinator):
    def default_grant(self, lock, unit, granted, queue):
        say('asked')
        return working and answers.pop(0)

serial, working = Mine(), False

def run():
    global working
    working = True
    if hookenv.hook_name() == 'update-status':
        say('told', *[serial.acquire('a') for _ in range(5)])
"""
    made = begun(module, plan)
    made.run(seconds=400)

    order = told(made)
    place = order.index('told False False True True True')
    assert order[place - 3 : place] == ['asked'] * 3
    assert module == SEED or place == 3


@same
def test_row_12_another_unit_stays_queued_until_the_leader_has_seen_it(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    if unit == 'app/1' and go and once('a'):
        say('asks', serial.acquire('a'), serial.requested('a'))
    elif serial.granted('a'):
        say('granted')
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run()

    assert told(made, 'app/1') == ['asks False True', 'granted']


@same_on_3
def test_row_13_requested_stays_true_while_granted(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    say(serial.requested('a'), serial.acquire('a'), serial.requested('a'), serial.granted('a'))
"""
    )
    assert set(told(begun(module, plan))) == {'False True True True'}


@same
def test_row_14_the_request_timestamp_is_in_utc_without_a_time_zone_or_none(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    before = serial.request_timestamp('a')
    serial.acquire('a')
    say(before, repr(serial.request_timestamp('a')).split('(')[0], serial.request_timestamp('a').isoformat())
"""
    )
    made = begun(module, plan, juju=juju)

    none, _, when = told(made)[0].split()
    at = datetime.datetime.fromisoformat(when)
    assert (none, at.tzinfo) == ('None', None)
    assert abs((at - datetime.datetime(2027, 1, 15, 8, 0)).total_seconds()) < 60  # the model's own epoch


@same
def test_row_15_granted_is_true_in_the_hook_of_the_turn_and_not_before_or_after(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    if unit == 'app/1' and go:
        say(serial.granted('a'))
        if once('a'):
            serial.acquire('a')
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=700)

    words = told(made, 'app/1')
    assert words[0] == 'False'
    assert words[-1] == 'False'
    assert words.count('True') == 1


@same
def test_row_16_after_the_release_a_new_request_is_another_one_behind_the_others(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    if go and once('first'):
        serial.acquire('a')
    if serial.granted('a'):
        check_call(['work', '30'])
        say('since', serial.request_timestamp('a'))
    elif go and not serial.requested('a') and once('second'):
        say('again', serial.granted('a'))
        serial.acquire('a')
"""
    )
    made = begun(module, plan, units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=1500)

    watch.check()
    assert [turn.unit for turn in watch.turns].count('app/1') == 2
    for unit in made.units:
        times = [text for text in told(made, unit) if text.startswith('since')]
        assert len(set(times)) == 2
        assert 'again False' in told(made, unit)


# The leader


@same
def test_row_17_handle_decides_nothing_where_this_unit_does_not_lead(begun, module, juju):
    plan = (
        POLICY
        + """
def run():
    if unit == 'app/1' and go:
        serial.acquire('a')
    serial.handle()
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=100)

    assert not any(text.startswith('asked') for text in told(made, 'app/1'))
    assert any(text.startswith('asked a app/1') for text in told(made, 'app/0'))


RELEASED = """
class Mine(coordinator.Serial):
    def released(self, unit, lock, timestamp):
        say('released', unit, lock, type(timestamp).__mro__[-2].__name__)
        super().released(unit, lock, timestamp)

serial = Mine()

def run():
    if go and once('a'):
        serial.acquire('a')
        serial.acquire('b')
"""


@same
def test_row_18_each_release_is_told_once_on_the_leader(begun, module, juju):
    made = begun(module, RELEASED, units=3, juju=juju)
    made.configure(go=1)
    made.run(seconds=1500)

    words = [text for text in told(made, 'app/0') if text.startswith('released')]
    expected = {'released {} {} date'.format(unit, lock) for unit in made.units for lock in 'ab'}
    assert set(words) == expected
    assert len(words) == len(expected)
    assert not [text for text in told(made, 'app/1') if text.startswith('released')]


@pytest.mark.parametrize('module, juju', [(OURS, 3), (SEED, 3), (OURS, 4)])
def test_row_18_a_unit_that_is_gone_is_reported_as_released(begun, module, juju):
    plan = (
        RELEASED + "    if unit == 'app/1' and serial.granted('a'):\n        check_call(['work', '999999'])\n"
    )
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(until=lambda: any(event.what == 'works' for event in made.history))

    made.lose_unit('app/1', force=True)
    made.run(seconds=900)

    words = [text for text in told(made, 'app/0') if text.startswith('released app/1 a')]
    assert words == ['released app/1 a date']


@same
def test_row_19_handle_tries_every_unit_and_lock_and_changes_no_request(begun, module, juju):
    plan = (
        POLICY.replace('return not granted and queue[0] == unit', 'return False')
        + """
def run():
    if go:
        serial.acquire('a')
        serial.acquire('b')
    if unit == 'app/0' and go and hookenv.hook_name() == 'update-status':
        before = serial.requests
        say('handle')
        serial.handle()
        say('handled', before == serial.requests, sorted(map(sorted, serial.requests.values())))
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=500)

    words = told(made)
    place = max(place for place, text in enumerate(words) if text.startswith('handled'))
    handled = words[: place + 1]
    start = max(at for at, text in enumerate(handled) if text == 'handle')
    asked = {tuple(text.split()[1:3]) for text in handled[start:] if text.startswith('asked')}
    assert asked == {(lock, unit) for lock in 'ab' for unit in ('app/0', 'app/1')}
    assert words[place] == "handled True [['a', 'b'], ['a', 'b']]"


@same_on_3
def test_row_20_grant_says_whether_a_unit_is_granted_now(begun, module, juju):
    plan = (
        POLICY
        + """
def run():
    if unit == 'app/1' and go and once('a'):
        serial.acquire('a')
    if go:
        say('grant', unit, serial.grant('a', 'app/1'), serial.grant('a', 'app/7'), serial.grant('b', 'app/1'))
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=60)

    assert {text for text in told(made, 'app/1') if text.startswith('grant')} == {
        'grant app/1 False False False'
    }
    assert 'grant app/0 True False False' in told(made, 'app/0')


@same
def test_row_21_the_queue_is_of_those_that_wait_by_time_of_the_request_and_name(begun, module, juju):
    plan = (
        POLICY.replace('return not granted and queue[0] == unit', 'return False')
        + """
import time

def run():
    if go and once('a'):
        time.sleep({'app/0': 20, 'app/1': 10, 'app/2': 10}[unit])
        serial.acquire('a')
"""
    )
    made = begun(module, plan, units=3, juju=juju)
    made.configure(go=1)
    made.run(seconds=500)

    queues = [text.split(' ', 3)[3] for text in told(made) if text.startswith('asked')]
    last = queues[-1]
    assert last.index('app/0') > last.index('app/1')
    assert last.index('app/0') > last.index('app/2')


@same
def test_row_22_a_lock_with_a_method_of_its_own_is_decided_by_it(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    def default_grant(self, lock, unit, granted, queue):
        say('default', lock, type(granted).__name__, type(queue).__name__, unit in queue, unit in granted)
        return True

    def grant_a(self, lock, unit, granted, queue):
        say('own', lock, type(granted).__name__, type(queue).__name__, unit in queue, unit in granted)
        return True

serial = Mine()

def run():
    if go and once('a'):
        serial.acquire('a')
        serial.acquire('b')
"""
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=300)

    assert set(told(made)) == {'own a set list True False', 'default b set list True False'}


@same
def test_row_23_serial_grants_the_first_in_the_queue_where_nobody_holds_the_name(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    ask, queue = serial.default_grant, ['u/1', 'u/2']
    say(ask('a', 'u/1', set(), queue), ask('a', 'u/2', set(), queue), ask('a', 'u/1', {'u/3'}, queue))
"""
    )
    assert told(begun(module, plan, juju=juju))[0] == 'True False False'


@pytest.mark.parametrize('module', [OURS, SEED])
def test_row_24_a_base_coordinator_without_a_policy_grants_nothing(begun, model, tmp_path, module):
    plan = "serial = coordinator.BaseCoordinator()\ndef run():\n    say(serial.acquire('a'))\n"
    made = model(classic(tmp_path / 'charm', module, plan), config={'go': 0})

    made.run(seconds=20)

    if module == SEED:
        assert 'AttributeError' in failed(made)[0]
    else:  # and the log says why
        assert not failed(made)
        assert set(told(made)) == {'False'}
        assert any('AttributeError' in text and 'default_grant' in text for text in made.log_of('app/0'))


@same
def test_row_25_a_leader_that_waits_gets_its_turn_though_it_gets_no_leader_settings_changed(
    begun, module, juju
):
    plan = (
        SERIAL
        + """
def run():
    if go and (unit == 'app/1' or serial.requests.get('app/1')) and once('a'):
        serial.acquire('a')
    if serial.granted('a'):
        check_call(['work', '30'])
        say('worked in', hookenv.hook_name())
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=200)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1]
    assert told(made, 'app/0') != ['worked in leader-settings-changed']


# Release


@same
def test_row_26_all_that_is_held_is_released_at_the_end_of_the_hook_and_what_waits_goes_on_waiting(
    begun, module, juju
):
    plan = """
class Mine(coordinator.Serial):
    def grant_b(self, lock, unit, granted, queue):
        return bool(go > 1)

serial = Mine()

def run():
    if go and once('ab'):
        serial.acquire('a')
        serial.acquire('b')
    say(*[serial.granted(lock) or serial.requested(lock) for lock in 'ab'])
"""
    made = begun(module, plan, juju=juju)
    made.configure(go=1)
    made.run(seconds=500)
    assert told(made)[-1] == 'False True'  # a was never used

    made.configure(go=2)
    made.run(seconds=800)
    assert told(made)[-1] == 'False False'


@same_on_3
def test_row_27_a_lock_is_not_held_in_the_next_hook(begun, module, juju):
    plan = SERIAL + "def run():\n    say(serial.granted('a'), bool(serial.acquire('a')))\n"

    assert set(told(begun(module, plan))) == {'False True'}


@same
def test_row_28_released_can_be_overridden_and_logs_how_long_it_was_held(begun, module, juju):
    made = begun(module, RELEASED, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=500)

    lines = made.log_of('app/0', 'Leader released a from app/1, held 0:0')
    assert len(lines) == 1
    assert lines[0].startswith('coordinator.Mine ')


# The decorator


REQUIRE = (
    SERIAL
    + """
needed, asked = [True], []

def guard(*args, **kw):
    asked.append((args, kw))
    return needed[0]

@serial.require('a', guard, 1, two=2)
def work(*args, **kw):
    return 'worked', args, kw
"""
)


@same_on_3
def test_row_29_a_guarded_function_runs_where_the_lock_is_held_and_else_asks_if_the_guard_says_so(
    begun, module, juju
):
    plan = (
        REQUIRE
        + """
def run():
    needed[0] = False
    say(work(3, four=4), serial.requested('a'), asked)
    needed[0] = True
    say(work(3, four=4))
"""
    )
    words = told(begun(module, plan))

    assert words[:2] == ["None False [((1,), {'two': 2})]", "('worked', (3,), {'four': 4})"]


@same_on_3
def test_row_30_the_guard_is_not_called_while_the_lock_is_held_and_the_name_is_kept(begun, module, juju):
    plan = (
        REQUIRE
        + """
def run():
    serial.acquire('a')
    needed[0] = False
    say(work.__name__, work()[0], asked)
"""
    )
    assert told(begun(module, plan))[0] == 'work worked []'


# Persistence: under keys of its own, see docs/compatibility.md


def test_row_31_what_is_granted_is_in_the_ledger_under_the_coordinators_key(begun):
    plan = "serial = coordinator.Serial('mine')\ndef run():\n    serial.acquire('a')\n"

    default = plan.replace("'mine'", '')
    for key, text, juju in (
        ('mine', plan, 3),
        ('mine', plan, 4),
        ('coordinator-Serial', default, 3),
    ):
        (found,) = data_of(begun(OURS, text, juju=juju).controller)
        assert re.match(key + '-ledger-1-[1-9][0-9]*-[0-9a-f]{8}$', found)


@ours
def test_row_32_requests_are_in_the_units_own_databag_with_times_as_before(begun, module, juju):
    plan = (
        "serial = coordinator.Serial('mine')\ndef run():\n    serial.acquire('a') if unit == 'app/1' else 0\n"
    )
    made = begun(module, plan, units=2, juju=juju)

    said = {unit: made.controller.units[unit].settings['mine-claims'] for unit in made.units}
    assert '"asked":' in said['app/1']
    assert '"asked":' not in said['app/0']
    assert 'mine' not in made.controller.units['app/1'].settings  # the old key


@same
def test_row_33_before_the_peer_relation_exists_a_request_is_kept_on_disk(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    if unit == 'app/1' and hookenv.hook_name() == 'install':
        say('asks', serial.relid, serial.acquire('a'))
    elif serial.granted('a'):
        say('granted')
"""
    )
    assert told(begun(module, plan, units=2, juju=juju), 'app/1') == ['asks None False', 'granted']


@same
def test_row_34_a_relation_that_appears_is_told_what_was_asked_before(begun, module, juju):
    plan = """
serial = coordinator.Serial('mine')
def run():
    if unit == 'app/1':
        if hookenv.hook_name() == 'install':
            serial.acquire('a')
        elif hookenv.hook_name() == 'coordinator-relation-created':
            say(serial.requested('a'))
"""
    made = begun(module, plan, units=2, juju=juju)

    assert told(made, 'app/1') == ['True']


@ours
def test_row_35_a_hook_that_changes_nothing_writes_nothing(begun, module, juju):
    plan = SERIAL + "def run():\n    serial.acquire('a') if go and once('a') else None\n"
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=800)
    since = len(made.costs)

    made.run(seconds=800)

    tools = {tool for _, _, calls in made.costs[since:] for tool, _ in calls}
    assert not tools & {'relation-set', 'leader-set'}


@same
def test_row_36_a_hook_that_fails_tells_nobody_of_a_release(begun, module, juju):
    plan = (
        SERIAL
        + """
def run():
    if go and once('a'):
        serial.acquire('a')
    if serial.granted('a'):
        check_call(['work', '60'])
"""
    )
    made = begun(module, plan, units=2, juju=juju)
    watch = Watch(made)
    made.fail_command('app/1', 'work 60', times=3)
    made.configure(go=1)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1]
    assert len(failed(made)) == 3


@ours
def test_row_37_units_without_a_lock_leave_nothing_in_what_is_granted(begun, module, juju):
    plan = (
        POLICY
        + """
def run():
    if go and once('a'):
        serial.acquire('a')
    say('grants', serial.grants)
"""
    )
    made = begun(module, plan, units=3, juju=juju)
    made.configure(go=1)
    made.run(seconds=900)

    assert [text for text in told(made) if text.startswith('grants')][-1] == 'grants {}'


# Logging


@same
def test_row_38_msg_can_be_overridden_and_names_the_class(begun, module, juju):
    plan = """
class Quiet(coordinator.Serial):
    def msg(self, text):
        pass

quiet, loud = Quiet('quiet'), coordinator.Serial('loud')

def run():
    quiet.acquire('a')
    loud.acquire('a')
"""
    made = begun(module, plan, juju=juju)

    assert not made.log_of('app/0', 'Quiet')
    lines = [(level, text) for _, _, level, text in made.logs if text.startswith('coordinator.')]
    assert lines
    assert all(level == 'INFO' and text.startswith('coordinator.Serial ') for level, text in lines)


@same
def test_row_39_each_hook_begins_by_saying_what_is_granted_and_what_is_waited_for(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    def grant_b(self, lock, unit, granted, queue):
        return False

serial = Mine()

def run():
    if go and unit == 'app/1' and once('ab'):
        serial.acquire('a')
        serial.acquire('b')
"""
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run()

    lines = [text for text in made.log_of('app/1') if text.startswith('coordinator.Mine ')]
    assert 'coordinator.Mine Granted a' in lines
    assert 'coordinator.Mine Waiting on b' in lines


# Errors that nobody tested there


@ours
def test_row_40_asking_before_initialize_gives_an_answer(begun, module, juju):
    plan = """
serial = coordinator.Serial()
ask = serial.granted, serial.requested, serial.request_timestamp, serial.acquire
early = tuple(question('a') for question in ask) if go else 0

def run():
    if go:
        say(early, serial.requested('a'), serial.granted('a'))
"""
    made = begun(module, plan, juju=juju)
    made.configure(go=1)
    made.run()

    assert told(made)[0] == '(False, False, None, False) True {}'.format(
        juju == 3
    )  # Juju 4: in the next hook
    assert not failed(made)


@ours
def test_row_41_a_unit_without_data_of_its_own_is_in_requests_all_the_same(begun, module, juju):
    plan = SERIAL + "def run():\n    say(serial.requests[unit], serial.granted('a'))\n"

    assert told(begun(module, plan, juju=juju))[0] == '{} False'


@ours
def test_row_42_bad_data_of_one_peer_fails_no_hook(begun, module, juju):
    plan = (
        POLICY
        + """
def run():
    if go and unit != 'app/1' and once('a'):
        serial.acquire('a')
    if serial.granted('a'):
        say('granted')
"""
    )
    made = begun(module, plan, units=3, juju=juju)
    made.poison('app/1', 'coordinator-Mine-claims', 'no json')
    made.configure(go=1)
    made.run(seconds=900)

    assert not failed(made)
    assert all('granted' in told(made, unit) for unit in ('app/0', 'app/2'))


@ours
def test_row_43_a_time_that_is_none_is_granted_released_and_told_like_any_other(begun, module, juju):
    made = begun(module, RELEASED, units=2, juju=juju)
    claims = '{"v":1,"queues":{"z":{"asked":1,"done":%s}}}'
    made.poison('app/1', 'coordinator-Mine-claims', claims % '0,"locks":{"z":"no time"}')
    made.run(seconds=60)
    made.poison('app/1', 'coordinator-Mine-claims', claims % '1')
    made.run(seconds=900)

    assert not failed(made)
    assert told(made) == ['released app/1 z date']


@ours
def test_row_44_a_policy_that_is_no_function_refuses_and_the_log_says_so(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    grant_a = 'yes'

serial = Mine()

def run():
    say(serial.acquire('a'))
"""
    made = begun(module, plan, juju=juju)

    assert set(told(made)) == {'False'}
    assert not failed(made)
    assert made.log_of('app/0', 'asked to grant a to app/0 raised TypeError')


@ours
def test_row_45_a_policy_or_released_may_ask_for_a_lock(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    def grant_a(self, lock, unit, granted, queue):
        self.acquire('b')
        return True

    def released(self, unit, lock, timestamp):
        say('released', lock)
        if lock == 'a':
            self.acquire('c')

serial = Mine()

def run():
    if go and once('a'):
        serial.acquire('a')
    say(*[lock for lock in 'abc' if serial.granted(lock)])
"""
    made = begun(module, plan, juju=juju)
    made.configure(go=1)
    made.run(seconds=1500)

    assert not failed(made)
    held = set(' '.join(text for text in told(made) if 'released' not in text).split())
    assert held == {'a', 'b', 'c'}


@ours
@pytest.mark.parametrize('name', ['7', 'None', "'{'"])
def test_row_46_what_is_no_lock_name_is_refused_in_a_sentence(begun, module, juju, name):
    plan = (
        SERIAL
        + """
def run():
    try:
        serial.acquire({})
    except ValueError as refused:
        say(refused)
""".format(name)
    )

    assert told(begun(module, plan, juju=juju))[0].startswith('lock name: expected 1 to 200 printable')


# Both ways of use that its documentation describes


@ours
@pytest.mark.parametrize('way', ['classic-db', 'services-db'])
def test_a_charm_without_charms_reactive_restarts_its_units_one_by_one(model, tmp_path, module, juju, way):
    made = model(classic(tmp_path / way, way), units=3, juju=juju, config={'go': 0})
    made.run()
    watch = Watch(made)
    made.fail_command('app/1', 'systemctl restart ' + way, times=1)

    made.configure(go=1)
    made.elect('app/2', after_s=90)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1], made.story(60)


SELDOM = """
    if hookenv.hook_name() in ('config-changed', 'leader-settings-changed'):
        maybe_restart()
"""


@ours
@pytest.mark.parametrize('looks', ['in each hook', 'in two hooks'])
def test_a_charm_that_looks_for_its_lock_in_two_of_its_hooks_does_not_restart_all_units(
    model, tmp_path, module, juju, looks
):
    """docs/compatibility.md: a turn that comes in another hook is over with that hook."""
    charm, restarts = classic(tmp_path / 'classic-db', 'classic-db'), '\n    maybe_restart()\n'
    for path in (charm / 'hooks').iterdir() if looks == 'in two hooks' else ():
        text = path.read_text()
        assert restarts in text
        path.write_text(text.replace(restarts, SELDOM))
    made = model(charm, units=4, juju=juju, config={'go': 0})
    made.run()
    watch = Watch(made)

    made.configure(go=1)
    made.run(seconds=2000)

    watch.check()
    assert len(watch.turns) == ({3: 3, 4: 1}[juju] if looks == 'in two hooks' else 4), made.story(60)


# Policies


SOME = """
class Some(coordinator.BaseCoordinator):
    def default_grant(self, lock, unit, granted, queue):
        if not hookenv.config('go') > 1:
            return False
        units = len(hookenv.related_units(self.relid)) + 1
        return len(granted) < units // 2 - 1

serial = Some()

def run():
    if go and once('a'):
        serial.acquire('a')
    if serial.granted('a'):
        check_call(['work', '100'])
"""


@same
def test_a_policy_may_grant_several_at_once_while_an_option_is_set(begun, module, juju):
    made = begun(module, SOME, units=6, juju=juju)
    watch = Watch(made, slots=2)
    made.configure(go=1)
    made.run(seconds=700)
    assert not watch.turns

    made.configure(go=2)
    made.run(seconds=1500)

    watch.check()
    assert watch.most_at_work == 2
    assert [watch.served(unit) for unit in made.units] == [1] * 6, made.story(60)


@ours
def test_a_policy_that_raises_refuses_and_fails_no_hook(begun, module, juju):
    plan = """
class Mine(coordinator.Serial):
    def default_grant(self, lock, unit, granted, queue):
        if hookenv.config('go') < 2:
            raise RuntimeError('not today')
        return super().default_grant(lock, unit, granted, queue)

serial = Mine()

def run():
    if go and once('a'):
        serial.acquire('a')
    if serial.granted('a'):
        check_call(['work', '10'])
"""
    made = begun(module, plan, units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=60)
    assert not watch.turns
    assert not failed(made)
    leader = made.log_of('app/0', "raised RuntimeError('not today'); not granted now")
    assert leader
    assert 'coordinator: Mine: its policy, asked to grant a to app/' in leader[0]

    made.configure(go=2)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


LOCKED = """
def run():
    if go and once('ab'):
        serial.acquire('a')
        serial.acquire('b')
    for lock in 'ab':
        if serial.granted(lock):
            check_call(['work', '20'])
            say('did', lock)
"""
CROSS = """
class Mine(coordinator.Serial):
    def default_grant(self, lock, unit, granted, queue):
        holders = {holder for holder, locks in self.grants.items() if locks}
        return holders <= {unit} and queue[0] == unit

serial = Mine()
"""


@same_on_3
@pytest.mark.parametrize('seed', [1, 2])
def test_a_policy_that_looks_at_all_locks_has_one_unit_at_work(begun, module, juju, seed):
    made = begun(module, CROSS + LOCKED, units=3, juju=juju, seed=seed)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=1500)

    watch.check()
    assert all(sorted(told(made, unit)) == ['did a', 'did b'] for unit in made.units), made.story(80)


@ours
def test_the_simple_coordinator_gives_a_unit_all_its_locks_and_no_other_any(begun, module, juju):
    made = begun(module, 'serial = coordinator.SimpleCoordinator()\n' + LOCKED, units=3, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=700)

    watch.check()
    assert all(sorted(told(made, unit)) == ['did a', 'did b'] for unit in made.units)


# Several coordinators


@ours
def test_coordinators_of_two_classes_and_two_keys_share_nothing(begun, module, juju):
    plan = """
class Other(coordinator.Serial):
    pass

class Third(coordinator.Serial):
    pass

every = [coordinator.Serial(), Other(), Third('third')]

def run():
    for place, one in enumerate(every):
        if go and once(str(place)):
            one.acquire('a')
        if one.granted('a'):
            say('did', place)
"""
    made = begun(module, plan, units=2, juju=juju)
    made.configure(go=1)
    made.run(seconds=900)

    assert all(sorted(told(made, unit)) == ['did 0', 'did 1', 'did 2'] for unit in made.units)
    keys = {key for key in made.controller.units['app/1'].settings if key.endswith('-claims')}
    assert keys == {'coordinator-Serial-claims', 'coordinator-Other-claims', 'third-claims'}


@ours
def test_two_classes_with_one_key_are_refused_in_a_sentence(model, tmp_path, module, juju):
    plan = "class Other(coordinator.Serial):\n    pass\nevery = [coordinator.Serial('one'), Other('one')]\n"
    made = model(classic(tmp_path / 'charm', module, plan), juju=juju, config={'go': 0})

    made.run(seconds=3)

    assert "Serial and Other have the same key 'one'; give each its own" in failed(made)[0]


def test_the_page_for_newcomers_names_a_test_of_each_row_and_each_of_them_is_there():
    page = (ROOT / 'docs' / 'compatibility.md').read_text()
    named = set(re.findall(r'`(test_\w+)`', page))
    written = set()
    for name in ('test_seed_api.py', 'test_old_layer.py'):
        written |= set(
            re.findall(r'^def (test_\w+)', (ROOT / 'tests' / 'compat' / name).read_text(), re.MULTILINE)
        )

    assert named <= written, named - written
    assert all(any(name.startswith('test_row_{}_'.format(row)) for name in named) for row in range(1, 40))
