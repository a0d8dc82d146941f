"""Charms of the old layer run unmodified, and what the old pair gets wrong goes right here.

The charms are ours, in the manner of real ones. Where charmhelpers.coordinator
itself can show a fault, the same charm is run on it and must show it.
"""

import os
import random
import subprocess
import sys

import pytest
from charms.layer.coordinator.compat.deciding import growing
from charms.layer.coordinator.values import Claim, Ledger

from tests.compat.seedcharms import OURS, SEED, classic
from tests.deploy import ROOT, said
from tests.watch import Watch

both = pytest.mark.parametrize('juju', [3, 4])
beside = pytest.mark.parametrize('module', [OURS, SEED])

OLD = """
import os
from charms import coordinator
from charms.reactive import clear_flag, is_flag_set, set_flag, when_none

def once(name):
    try:
        os.close(os.open('once-' + name, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False

go, unit = int(hookenv.config('go') or 0), hookenv.local_unit()
"""


def failed(made):
    return [event.text for event in made.history if event.what == 'fails']


@pytest.fixture
def old(model, charm_with):
    """Returns a model at rest of a charm written for the old layer, with a class of its own if given."""

    def begin(plan, units=3, juju=3, module='', **options):
        charm = charm_with(OLD + plan, **options)
        (charm / 'lib' / 'mine.py').write_text(module)
        made = model(charm, units=units, juju=juju)
        made.run()
        return made

    return begin


ASK = """
@when('config.changed.go')
def ask():
    if go:
        hookenv.log('told {}'.format(coordinator.acquire('restart')))
"""
RESTART = """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '60'])
"""


# The module


@pytest.mark.parametrize(
    'words',
    [
        'import charms.coordinator\nacquire = charms.coordinator.acquire',
        'from charms import coordinator\nacquire = coordinator.acquire',
        'import charms.coordinator as coordinator\nacquire = coordinator.acquire',
        'from charms.coordinator import acquire',
        'from charms.coordinator import coordinator\nacquire = lambda lock: coordinator.acquire(lock)',
    ],
)
def test_the_module_can_be_imported_at_discovery_in_every_way(model, charm_with, words):
    plan = words + "\n@when('config.changed.go')\ndef ask():\n    acquire('restart')\n" + RESTART
    charm = charm_with(plan)
    for place in ('aaa.py', 'zzz.py'):  # from several modules, in any order
        (charm / 'reactive' / place).write_text(words)
    made = model(charm, units=1)
    watch = Watch(made)
    made.run()

    assert watch.served('app/0') == 1
    assert not failed(made)


@both
def test_the_coordinator_object_has_what_charms_ask_it(old, juju):
    plan = (
        ASK
        + RESTART
        + """
@when('coordinator.granted.restart')
def look():
    c = coordinator.coordinator
    seen = c.granted('restart'), c.requested('restart'), c.relid, c.granted('other')
    hookenv.log('sees {} {} {} {}'.format(*seen))
    hookenv.log('lists {} {}'.format(c.grants == {unit: c.requests[unit]}, sorted(c.requests[unit])))
    hookenv.log('since {}'.format(type(c.request_timestamp('restart')).__name__))
    coordinator.log('as before')

assert coordinator.SimpleCoordinator
"""
    )
    made = old(plan, units=1, juju=juju)
    made.configure(go=1)
    made.run()

    assert said(made, 'app/0', 'sees ') == ['True True coordinator:0 False']
    assert said(made, 'app/0', 'lists ') == ["True ['restart']"]
    assert said(made, 'app/0', 'since ')
    assert made.log_of('app/0', 'as before')


@both
def test_acquire_says_true_at_once_where_the_lock_is_free_on_the_leader(old, juju):
    made = old(ASK + RESTART, units=1, juju=juju)
    made.configure(go=1)
    made.run()

    assert said(made, 'app/0', 'told ') == ['True' if juju == 3 else 'False']
    assert sum(event.what == 'worked' for event in made.history) == 1


def test_an_unknown_class_fails_the_first_hook_in_a_sentence(old, model, charm_with):
    for path, sentence in [
        ('mine.Missing', 'class: expected a coordinator class at mine.Missing, found'),
        ('no.such.Module', "No module named 'no'"),
        ('os.path', 'expected a coordinator class at os.path'),
        ('Plain', 'class: expected SimpleCoordinator, Serial, or a dotted path to a class of the charm'),
    ]:
        made = model(charm_with('', **{'class': path}))
        made.run(seconds=3)
        assert failed(made), path
        assert sentence in failed(made)[0], path


@pytest.mark.parametrize('options', [{'slots': 2}, {'queues': 'per-lock'}])
def test_a_class_decides_itself_so_queues_and_slots_beside_it_are_refused(model, charm_with, options):
    made = model(charm_with('', **{'class': 'charmhelpers.coordinator.Serial', **options}))
    made.run(seconds=3)

    assert failed(made)
    assert 'beside class charmhelpers.coordinator.Serial, which decides itself' in failed(made)[0]


def test_the_log_level_is_the_least_that_is_logged(old):
    loud, quiet = old(ASK + RESTART, units=1), old(ASK + RESTART, units=1, log_level='warning')
    for made in (loud, quiet):
        made.configure(go=1)
        made.run()

    assert loud.log_of('app/0', 'coordinator: restart')
    assert not quiet.log_of('app/0', 'coordinator: ')


@pytest.mark.parametrize(
    'options',
    [
        {'class': 'SimpleCoordinator'},
        {'class': 'Serial'},
        {'class': 'reactive.coordinator.SimpleCoordinator'},
        {'log_level': 'DEBUG'},
        {'log_level': 'Info'},
        {'leftover': {'of': 'a fork'}},
        {'class': 'SimpleCoordinator', 'log_level': 'DEBUG', 'leftover': None},
    ],
    ids=str,
)
def test_options_that_the_old_layer_took_are_taken(old, options):
    """Case 23: every hook failed."""
    made = old(ASK + RESTART, **options)
    watch = Watch(made)
    made.configure(go=1)
    made.run()

    watch.check()
    assert not failed(made)
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    assert made.log_of('app/0', 'coordinator: restart')


def test_an_option_that_does_not_exist_is_warned_of_once(old):
    made = old(ASK + RESTART, leftover=1)
    made.configure(go=1)
    made.run()

    for unit in made.units:
        warned = [(level, text) for _, by, level, text in made.logs if by == unit and 'leftover' in text]
        sentence = (
            'coordinator: layer.yaml, options, coordinator: expected one of the options '
            "class, log_level, queues, slots, wake, found 'leftover'; it is ignored"
        )
        assert warned == [('WARNING', sentence)]


# Charms in the manner of real ones


TELLING = """
import json
from charmhelpers.core import hookenv
from charmhelpers import coordinator

KEY = 'mine-released-counts'

class Telling(coordinator.BaseCoordinator):
    '''Counts releases, so that a charm can see when all units are done.'''

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.counts = json.loads(hookenv.leader_get(KEY) or '{}')

    def default_grant(self, lock, unit, granted, queue):
        others = {u: locks for u, locks in self.grants.items() if locks and u != unit}
        if self.grants.get(unit):
            return True
        return not others and unit == queue[0]

    def released(self, unit, lock, timestamp):
        self.counts[lock] = self.counts.get(lock, 0) + 1
        hookenv.log('counted {} {} {}'.format(lock, unit, self.counts[lock]))
        super().released(unit, lock, timestamp)

    def _save_state(self):
        super()._save_state()
        if hookenv.is_leader():
            hookenv.leader_set({KEY: json.dumps(self.counts, sort_keys=True)})
"""


def test_a_class_that_tells_when_all_are_done_counts_each_release_once(old):
    plan = ASK + RESTART + "\n@when_not('never')\ndef show():\n    hookenv.status_set('active', 'here')\n"
    made = old(plan, module=TELLING, **{'class': 'mine.Telling'})
    watch = Watch(made)
    killed = []

    def kill(execution, argv):
        # What the leader has counted at the start of its next hook is lost with the hook.
        if argv[0] == 'status-set' and execution.unit == 'app/0' and len(killed) < len(watch.turns):
            killed.append(made.now)
            made._die(execution, 'before it could save')

    made.calls_everywhere = kill
    made.configure(go=1)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    assert len(killed) == 3
    assert made.controller.leader_settings['mine-released-counts'] == '{"restart": 3}'
    assert 'coordinator' not in made.controller.leader_settings  # charmhelpers' own key
    assert not any('coordinator' in made.controller.units[unit].settings for unit in made.units)


def test_it_counts_on_where_another_unit_leads(old):
    made = old(ASK + RESTART, module=TELLING, **{'class': 'mine.Telling'})
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=80)
    made.elect('app/2')
    made.run(seconds=1500)

    watch.check()
    assert made.controller.leader_settings['mine-released-counts'] == '{"restart": 3}'


def test_on_juju_4_a_class_that_needs_leader_get_is_reported_and_the_unit_goes_on(old):
    made = old(ASK + RESTART, juju=4, module=TELLING, **{'class': 'mine.Telling'})
    watch = Watch(made)
    made.configure(go=1)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    assert not failed(made)
    for unit in made.units:
        (reported,) = made.log_of(unit, 'class Telling: it needs what this Juju does not have (')
        assert 'leader-get' in reported


RAISING = """
from charms.layer.coordinator import BaseCoordinator

class Raising(BaseCoordinator):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        {}
"""


@pytest.mark.parametrize(
    'raising, reason',
    [
        ("raise NotImplementedError('no secrets here')", 'no secrets here'),
        ('raise NotImplementedError', 'NotImplementedError'),
        ('raise FileNotFoundError', 'FileNotFoundError'),
        ("raise NotImplementedError from OSError('secret-get is missing')", 'secret-get is missing'),
    ],
)
def test_why_a_class_cannot_work_is_said_once_and_is_never_empty(old, raising, reason):
    """Case 24: "needs what this Juju does not have ()", in every hook."""
    made = old(ASK + RESTART, module=RAISING.format(raising), units=1, **{'class': 'mine.Raising'})
    made.configure(go=1)
    made.run()

    (reported,) = made.log_of('app/0', 'does not have (')
    assert reason in reported


@both
def test_a_class_whose_save_needs_leader_set_is_reported_and_the_unit_goes_on(old, juju):
    module = TELLING.replace("json.loads(hookenv.leader_get(KEY) or '{}')", '{}')
    made = old(ASK + RESTART, juju=juju, module=module, **{'class': 'mine.Telling'})
    watch = Watch(made)
    made.configure(go=1)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    assert not failed(made)
    reported = made.log_of(
        made.controller.leader, 'Telling: _save_state needs what this Juju does not have ('
    )
    assert len(reported) == (1 if juju == 4 else 0)  # once, not in every hook
    assert all('leader-set' in text for text in reported)


@both
@pytest.mark.parametrize(
    'base', ['charmhelpers.coordinator', 'charms.coordinator', 'charms.layer.coordinator']
)
def test_a_class_of_any_base_decides_and_its_module_may_import_the_layers(old, juju, base):
    kind = 'Serial' if base != 'charms.coordinator' else 'SimpleCoordinator'
    module = """
import charms.coordinator
from charms.coordinator import SimpleCoordinator, acquire, coordinator
from {} import {} as Base
from charmhelpers.core import hookenv

class Mine(Base):
    def handle(self):
        hookenv.log('handles')
        super().handle()

    def grant_other(self, lock, unit, granted, queue):
        return False

    def msg(self, text):
        hookenv.log('mine ' + text, 'DEBUG')
""".format(base, kind)
    plan = (
        ASK
        + RESTART
        + """
import mine

@when('config.changed.go')
def other():
    coordinator.acquire('other') if go else None
    hookenv.log('same {}'.format(mine.Mine() is coordinator.coordinator or mine.Mine().granted('restart')))
"""
    )
    made = old(plan, juju=juju, module=module, **{'class': 'mine.Mine'})
    watch = Watch(made)
    made.configure(go=1)
    made.run()

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]
    assert not failed(made)
    assert all('coordinator.requested.other' in made.flags_of(unit) for unit in made.units)
    assert made.log_of('app/1', 'handles')
    assert made.log_of('app/1', 'mine ')


@both
def test_a_class_that_holds_on_by_not_releasing_keeps_its_lock(old, juju):
    module = """
from charmhelpers.core import hookenv
from charmhelpers.coordinator import Serial
class Holding(Serial):
    def _release_granted(self):
        if hookenv.config('go') > 1:
            super()._release_granted()
"""
    made = old(ASK + RESTART, units=2, juju=juju, module=module, **{'class': 'mine.Holding'})
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=300)
    assert len({turn.unit for turn in watch.turns}) == 1
    assert not any('coordinator.granted.restart' in made.flags_of(unit) for unit in made.units)

    made.configure(go=2)
    made.run(seconds=900)
    watch.check()
    assert {turn.unit for turn in watch.turns} == {'app/0', 'app/1'}


@both
def test_serial_by_option_lets_different_locks_be_held_by_different_units(old, juju):
    plan = """
@when('config.changed.go')
def ask():
    if go and unit != 'app/0':  # a leader at work gives no tickets meanwhile
        coordinator.acquire('a' if unit == 'app/1' else 'b')

@when('coordinator.granted.a')
def work_a():
    check_call(['work', '60'])

@when('coordinator.granted.b')
def work_b():
    check_call(['work', '60'])
"""
    made = old(plan, juju=juju, **{'class': 'charmhelpers.coordinator.Serial'})
    watch = Watch(made, slots=2)
    made.configure(go=1)
    made.run()

    watch.check()
    assert watch.most_at_work == 2
    assert [watch.served(unit) for unit in made.units] == [0, 1, 1]


@both
def test_asking_that_consumes_the_change_survives_a_lost_commit(old, juju):
    plan = """
@when('config.changed.go')
def note():
    if go and once(str(go)):
        coordinator.acquire('restart')  # asked once, whatever becomes of this hook

@when('coordinator.granted.restart')
def restart():
    check_call(['work', '60'])
"""
    made = old(plan, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.lose_commit('app/1')
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


@both
def test_a_turn_that_failed_asks_again_in_a_later_hook(old, juju):
    plan = """
@when('needs-restart')
@when_none('coordinator.requested.restart', 'coordinator.granted.restart')
def ask():
    coordinator.acquire('restart')

@when('config.changed.go')
def change():
    if go:
        set_flag('needs-restart')

@when('coordinator.granted.restart', 'needs-restart')
def restart():
    check_call(['work', '20'])
    if not once('failed-before'):
        clear_flag('needs-restart')
"""
    made = old(plan, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=2500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [2, 2, 2], made.story(40)
    assert not any('needs-restart' in made.flags_of(unit) for unit in made.units)


@both
def test_five_handlers_with_differing_guards_on_one_lock_all_run_in_the_turn(old, juju):
    plan = (
        ASK
        + ''.join(
            """
@when('coordinator.granted.restart'{guard})
def step_{number}():
    check_call(['work', '2'])
    hookenv.log('step {number}')
    set_flag('step-{number}')
""".format(number=number, guard=", 'step-{}'".format(number - 1) if number else '')
            for number in range(4)
        )
        + """
@when('coordinator.granted.restart')
@when_not('never')
def last():
    hookenv.log('step 4')
"""
    )
    made = old(plan, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run()

    watch.check()
    for unit in made.units:
        assert sorted(set(said(made, unit, 'step '))) == ['0', '1', '2', '3', '4']


@both
def test_a_granted_handler_that_avoids_update_status_gets_its_turn_again(old, juju):
    plan = """
@when('needs-restart')
@when_none('coordinator.requested.restart', 'coordinator.granted.restart')
def ask():
    coordinator.acquire('restart')

@when('config.changed.go')
def change():
    set_flag('needs-restart') if go else None

@when('coordinator.granted.restart', 'needs-restart')
def restart():
    if hookenv.hook_name() == 'update-status':
        hookenv.log('avoided')
        return
    check_call(['work', '20'])
    clear_flag('needs-restart')
"""
    made = old(plan, juju=juju)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=1500)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1, 1, 1]


def test_unit_tests_that_replace_the_module_by_a_mock_need_nothing_of_the_layer(tmp_path):
    (tmp_path / 'handlers.py').write_text(
        'from charms import coordinator\n'
        'from charms.coordinator import acquire\n'
        'def ask():\n    return coordinator.acquire("restart"), acquire("restart")\n'
    )
    test = """
import sys
from unittest.mock import MagicMock
charms = sys.modules['charms'] = MagicMock()
sys.modules['charms.coordinator'] = charms.coordinator
import handlers
charms.coordinator.acquire.return_value = True
assert handlers.ask() == (True, True)
assert charms.coordinator.acquire.call_args_list[0][0] == ('restart',)
assert not any(name.startswith('charms.layer') for name in sys.modules)
"""
    env = {**os.environ, 'PYTHONPATH': str(tmp_path)}
    ran = subprocess.run([sys.executable, '-c', test], env=env, stderr=subprocess.PIPE, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


@both
def test_requested_stays_until_the_turn_is_released_and_both_flags_are_gone_after_that_hook(old, juju):
    plan = (
        ASK
        + """
@when('coordinator.granted.restart')
def restart():
    hookenv.log('both {}'.format(is_flag_set('coordinator.requested.restart')))
"""
    )
    made = old(plan, juju=juju)
    made.configure(go=1)
    made.run()

    for unit in made.units:
        assert said(made, unit, 'both ') == ['True']
        assert not [flag for flag in made.flags_of(unit) if flag.startswith('coordinator.')]


@both
@pytest.mark.parametrize('to_policy', [True, False])
def test_a_charm_upgrade_may_bring_or_take_away_a_policy_in_the_middle_of_a_roll(
    model, charm_with, juju, to_policy
):
    module = """
from charmhelpers.coordinator import Serial
class Mine(Serial):
    def default_grant(self, lock, unit, granted, queue):
        holders = {holder for holder, locks in self.grants.items() if locks}
        return holders <= {unit} and queue[0] == unit
"""
    charms = []
    for options in ({}, {'class': 'mine.Mine'}):
        charms.append(charm_with(OLD + ASK + RESTART, **options))
        (charms[-1] / 'lib' / 'mine.py').write_text(module)
    first, then = charms if to_policy else reversed(charms)
    made = model(first, units=4, juju=juju)
    made.run()
    watch = Watch(made)

    made.configure(go=1)
    made.run(seconds=20)
    for unit in ('app/2', 'app/0', 'app/3', 'app/1'):
        made.upgrade(unit, then)
        made.run(seconds=30)
    made.run(seconds=1500)

    watch.check()
    assert all(watch.served(unit) >= 1 for unit in made.units), made.story(60)


# What the old pair gets wrong

WORK = """
serial = coordinator.Serial()

def run():
    if asks() and once('a'):
        serial.acquire('a')
    if serial.granted('a'):
        check_call(['work', '60'])
"""


@pytest.fixture
def pair(model, tmp_path):
    """Returns a model at rest of one classic charm on a module's coordinator; `asks` says who asks."""

    def begin(module, plan=WORK, asks='go', units=2, **options):
        plan = 'def asks():\n    return {}\n'.format(asks) + plan
        made = model(classic(tmp_path / module, module, plan), units=units, config={'go': 0}, **options)
        made.run()
        return made

    return begin


def most_at_work(watch):
    watch.slots = 99
    return watch.most_at_work


@both
def test_a_unit_that_has_released_sees_no_granted_flag_however_late_the_leader_is(old, juju):
    """Stale granted flag. The old layer's own: charmhelpers.coordinator compares the request."""
    plan = (
        ASK
        + """
@when('coordinator.granted.restart')
def restart():
    check_call(['work', '5'])

@hook('update-status')
def busy():
    check_call(['work-long', '400']) if unit == 'app/0' and go else None
"""
    )
    made = old(plan, juju=juju)
    made.machine = lambda unit, argv: (float(argv[1]), 0)
    made.configure(go=1)
    made.run(seconds=2500)

    for unit in made.units:
        worked = [event for event in made.history if event.unit == unit and event.text == 'work 5']
        assert sum(event.what == 'worked' for event in worked) == 1


@beside
def test_a_leaders_own_lock_is_known_to_its_successor(pair, module):
    """Leader's own lock only in memory."""
    made = pair(module)
    watch = Watch(made, slots=99)
    made.configure(go=1)
    made.run(until=lambda: 'app/0' in watch.at_work)

    made.elect('app/1')
    made.run(seconds=600)

    assert watch.most_at_work == (1 if module == OURS else 2)


@beside
def test_a_leader_elected_in_the_middle_of_its_hook_writes_over_nothing(pair, module):
    """Read before asking: the ledger was read, then leadership came, then is-leader said so."""
    made = pair(module, asks="go and unit != 'app/0' or go > 1", units=4)
    watch = Watch(made, slots=99)
    moved = []

    def move(execution, argv):
        read = module == OURS or any(tool == 'leader-get' for tool, _ in execution.tool_calls)
        if execution.unit == 'app/1' and argv[0] == 'is-leader' and read and not moved:
            made.calls_everywhere = None
            moved.append(made.now)
            # Meanwhile, the old leader gave a lock: what it had decided lands just before it goes.
            if module == SEED:
                asked = made.controller.units['app/3'].settings['coordinator']
                made.controller.write_leader_settings('app/0', {'coordinator': '{"app/3": ' + asked + '}'})
            else:
                key = 'coordinator-Serial-ledger'
                ledger = '{"v":1,"token":90,"tickets":[[90,"a","app/3",1,1]]}'
                made.controller.write_leader_settings('app/0', {key: ledger})
            made.elect('app/1')

    made.configure(go=1)
    made.partition('app/0', 100)  # so that it decides nothing by itself
    made.run(seconds=4)
    made.controller.units['app/0'].connected = True
    made.calls_everywhere = move
    made.configure(go=2)
    made.run(seconds=900)

    assert moved
    assert watch.most_at_work == (1 if module == OURS else 2), made.story(80)


@beside
def test_a_new_leader_that_has_joined_no_peer_regards_none_as_gone(pair, module):
    """New leader with an empty relation-list."""
    made = pair(module, asks="go and unit != 'app/0'")
    watch = Watch(made, slots=99)
    made.configure(go=1)
    made.run(until=lambda: 'app/1' in watch.at_work)

    new = made.add_unit()
    made.elect(new)
    made.run(seconds=900)

    assert watch.most_at_work == (1 if module == OURS else 2)


@both
def test_asking_again_while_holding_is_not_dropped(model, charm_with, juju):
    """Ask while holding: `acquire` changes nothing, there and here; request_again is the way."""
    plan = """
from charms.layer.coordinator import request_again
import os

@when('config.changed.go')
def ask():
    coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    check_call(['work', '5'])
    if not os.path.exists('twice'):
        open('twice', 'w').close()
        request_again('a')
"""
    made = model(charm_with(plan), units=2, juju=juju)
    watch = Watch(made)
    made.run(seconds=900)

    watch.check()
    assert [watch.served(unit) for unit in made.units] == [2, 2]


@beside
def test_a_request_whose_commit_failed_is_heard(pair, module):
    """Request lost when the commit fails."""
    made = pair(module)
    watch = Watch(made)
    made.configure(go=1)
    made.lose_commit('app/1')
    made.run(seconds=900)

    assert watch.served('app/1') == (1 if module == OURS else 0)


@beside
def test_a_turn_in_a_hook_whose_handlers_do_not_match_can_be_kept(pair, model, charm_with, module):
    """Grant landing in a hook whose handlers do not match."""
    if module == SEED:
        plan = WORK.replace(
            "if serial.granted('a')", "if serial.granted('a') and hookenv.hook_name() == 'update-status'"
        )
        made = pair(module, plan)
        watch = Watch(made)
    else:
        plan = """
@when('config.changed.go')
def ask():
    if hookenv.config('go'):
        coordinator.request_lock('a')

@when('coordinator.granted.a')
def work():
    if hookenv.hook_name() == 'update-status':
        check_call(['work', '60'])
    else:
        coordinator.keep_lock('a')
"""
        made = model(charm_with(plan), units=2)
        made.run()
        watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=1500)

    assert watch.served('app/1') == (1 if module == OURS else 0)


@beside
def test_a_lock_asked_for_after_the_layers_own_end_is_given_later(pair, module):
    """Acquire in another layer's atexit: lost."""
    plan = (
        WORK.replace('    if asks', '    hookenv._atexit.insert(0, (late, (), {}))\n    if False and asks')
        + """
def late():
    if asks() and once('a'):
        serial.acquire('a')
"""
    )
    made = pair(module, plan)
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=900)

    assert watch.served('app/1') == (1 if module == OURS else 0)


@beside
def test_a_lock_may_be_asked_for_in_an_action(pair, model, tmp_path, module):
    """Acquire in an action: TypeError."""
    made = pair(module, asks='False')
    for unit in made.units:
        actions = made._charm_dir(unit) / 'actions'
        actions.mkdir()
        text = (made._charm_dir(unit) / 'hooks' / 'start').read_text().split('\nhooks = ')[0]
        (actions / 'ask').write_text(text + "\nserial.acquire('a')\n")
    watch = Watch(made)
    made.run_action('app/1', 'ask')
    made.run(seconds=700)

    if module == OURS:  # recorded here at once, and heard once the unit's next hook publishes it
        assert watch.served('app/1') == 1
    else:
        assert watch.served('app/1') == 0
        assert failed(made)


@beside
def test_those_behind_the_leader_do_not_wait_for_update_status(pair, module):
    """Leader releases its own lock with others queued."""
    made = pair(module, asks="go >= {'app/1': 1, 'app/0': 2, 'app/2': 3}[unit]", units=3)
    watch = Watch(made)
    for go in (1, 2, 3):
        made.configure(go=go)
        made.run(seconds=10)
    made.run(until=lambda: len(watch.turns) == 3)

    assert [turn.unit for turn in watch.turns] == ['app/1', 'app/0', 'app/2'], made.story(60)
    slack = watch.duration_s - 3 * 60
    assert slack < 20 if module == OURS else slack > 60


@beside
def test_work_is_not_repeated_because_the_flush_was_lost_after_it(pair, module):
    """Hook fails after the critical section. For a handler that fails after it there is release_lock."""
    made = pair(module, asks="go and unit == 'app/1'")
    watch = Watch(made)
    made.configure(go=1)
    made.run(until=lambda: 'app/1' in watch.at_work)
    made.lose_commit('app/1')
    made.run(seconds=900)

    worked = sum(event.what == 'worked' and event.unit == 'app/1' for event in made.history)
    assert worked == (1 if module == OURS else 2)


@beside
@pytest.mark.parametrize('text', ['no json', '{"a": "no time"}'])
def test_bad_data_of_one_peer_fails_no_hook_of_another(pair, module, text):
    """One malformed timestamp or bad JSON from one peer."""
    made = pair(module, asks="go and unit != 'app/1'", units=3)
    key = 'coordinator-Serial-claims' if module == OURS else 'coordinator'
    made.poison('app/1', key, text)
    made.configure(go=1)
    made.run(seconds=300)
    made.poison('app/1', key, '{}')  # e.g. what was granted by that time is given back
    made.run(seconds=300)

    assert bool(failed(made)) == (module == SEED)


@beside
def test_a_slow_clock_overtakes_nobody(pair, module):
    """Queue ordered by unit clocks."""
    plan = WORK.replace(
        "if asks() and once('a')", "if asks() and once('a') and not __import__('time').sleep(delay)"
    )
    plan = "delay = {'app/1': 0, 'app/2': 10, 'app/3': 20}.get(unit, 0)\n" + plan
    made = pair(module, plan, asks="go and unit != 'app/0'", units=4)
    made.clock_skew_s['app/3'] = -3600
    watch = Watch(made)
    made.configure(go=1)
    made.run(seconds=900)

    watch.check()
    order = [turn.unit for turn in watch.turns]
    assert order == (['app/1', 'app/2', 'app/3'] if module == OURS else ['app/1', 'app/3', 'app/2'])


def test_the_order_across_locks_is_that_of_the_requests_whatever_the_order_of_a_dictionary():
    """Order across lock names."""
    claims = {
        ('app/{}'.format(number % 4), lock): Claim(1, 0, ((lock, '2026-01-{:02}'.format(number + 1)),))
        for number, lock in enumerate('dbcaefg')
    }
    orders = set()
    for seed in range(20):
        shuffled = list(claims.items())
        random.Random(seed).shuffle(shuffled)
        ledger = growing(lambda question: True)(Ledger(), dict(shuffled), {}, frozenset())
        orders.add(''.join(ticket.queue for ticket in ledger.tickets))

    assert orders == {'dbcaefg'}


def test_the_layer_has_no_hook_stubs():
    """Own hook stubs in the layer."""
    for path in (ROOT / 'hooks').glob('*-*'):
        assert path.read_text().startswith('#!/bin/sh')


@beside
def test_two_coordinators_in_one_charm_do_not_write_over_one_another(pair, module):
    """Two coordinators in one charm."""
    plan = """
class Other(coordinator.Serial):
    pass

one, other = coordinator.Serial(), Other()

def run():
    if asks() and once('a'):
        one.acquire('a')
    if asks() and once('b'):
        other.acquire('b')
    if one.granted('a'):
        hookenv.log('did a')
    if other.granted('b'):
        hookenv.log('did b')
"""
    made = pair(module, plan, asks="go and unit == 'app/1'")
    made.configure(go=1)
    made.run(seconds=900)

    did = sorted(said(made, 'app/1', 'did '))
    assert (did == ['a', 'b']) == (module == OURS), did


@beside
def test_it_works_on_juju_4(model, tmp_path, module):
    """Juju 4: leader-get is gone."""
    plan = 'def asks():\n    return go\n' + WORK
    made = model(classic(tmp_path / module, module, plan), units=2, juju=4, config={'go': 1})
    watch = Watch(made)
    made.run(seconds=300)

    assert bool(failed(made)) == (module == SEED)
    assert len(watch.turns) == (2 if module == OURS else 0)
