"""Hooks as greenlets: the same history, logs and costs as with a process a hook."""

import sys
from types import ModuleType

import pytest

from jujusim.tests.scripts import CHANGED, both, noted

HANDLERS = """
import time
from charmhelpers.core import hookenv, unitdata
from charms.layer import tally
from charms.reactive import hook, set_flag, when
import helper


@hook('config-changed')
def changed():
    tally.seen.append(hookenv.hook_name())
    helper.seen.append(hookenv.hook_name())
    set_flag('changed')


@when('changed')
def count():
    store = unitdata.kv()
    store.set('count', store.get('count', 0) + 1)
    time.sleep(3)
    hookenv.log('count {} {} {}'.format(store.get('count'), tally.seen, helper.seen))
    hookenv.status_set('active', 'counted')
"""
MAIN = 'import sys\nsys.path.insert(0, "lib")\nfrom charms.reactive import main\nmain()\n'


@pytest.fixture
def reactive(charm):
    """A small charm on charms.reactive, with a module of a layer and one of its own."""
    hooks = dict.fromkeys(('install', 'config-changed', 'start', 'update-status', CHANGED), MAIN)
    hooks['upgrade-charm'] = (
        'subprocess.check_call(["hooks/config-changed"])\nsubprocess.call(["serve"])\n' + MAIN
    )
    files = {
        'reactive/app.py': HANDLERS,
        'lib/charms/layer/tally.py': 'seen = []\n',
        'lib/helper.py': 'seen = []\n',
    }
    return charm(hooks, files)


def serve(unit, argv):
    return 20.0, 0


def told(made):
    """Return all that a model tells; of a traceback the last line, since the others name files."""
    logs = [(*line[:3], line[3].strip().splitlines()[-1:]) for line in made.logs]
    return [tuple(event) for event in made.history], logs, made.costs


def live(made):
    """Let three units have a rough quarter of an hour."""
    made.run()
    made.configure(go=1)
    made.crash_hook('app/0', 2)
    made.fail_hook('app/1', 'config-changed')
    made.run(seconds=2)
    made.partition('app/2', 20)
    made.run_action('app/0', 'say-a')
    made.run()
    made.elect('app/1')
    made.debug_hooks('app/0')
    made.upgrade('app/0')
    made.upgrade('app/1')
    made.run(seconds=15)
    made.kill_hook('app/0', child_lives=True)
    made.die_agent('app/1')
    made.run_exec('app/1', 'hooks/config-changed')
    made.run(seconds=900)
    return made


@both
def test_scripts_have_the_same_history_with_and_without_processes(model, charm, juju):
    top = charm({'config-changed': 'say("b")', CHANGED: 'note("sees", members());time.sleep(2)'})

    alone, quick = [
        live(model(top, units=3, juju=juju, quick=quick, machine=serve)) for quick in (False, True)
    ]

    assert told(alone) == told(quick)


@both
def test_a_reactive_charm_has_the_same_history_with_and_without_processes(model, reactive, juju):
    alone, quick = [
        live(model(reactive, units=3, juju=juju, quick=quick, machine=serve)) for quick in (False, True)
    ]

    assert told(alone) == told(quick)
    assert quick.log_of('app/2', 'count')


@pytest.mark.parametrize('quick', [False, True])
def test_no_hook_sees_what_another_left_in_a_module_of_the_charm(model, reactive, quick):
    made = model(reactive, units=2, quick=quick)

    made.run()
    made.configure(go=1)
    made.run()

    counts = [text for text in made.log_of('app/0', 'count') if 'config-changed' in text]
    assert counts[-1].endswith("['config-changed'] ['config-changed']")


@pytest.mark.parametrize('quick', [False, True])
def test_a_module_of_the_tests_does_not_stand_in_for_one_of_the_charm(model, reactive, quick, monkeypatch):
    of_the_tests = ModuleType('helper')
    of_the_tests.seen = ['of the tests']
    monkeypatch.setitem(sys.modules, 'helper', of_the_tests)
    made = model(reactive, quick=quick)

    made.run()

    assert made.log_of('app/0', 'count')
    assert not made.log_of('app/0', 'of the tests')


@pytest.mark.parametrize('quick', [False, True])
def test_a_function_that_a_hook_replaces_is_as_it_was_in_the_next_hook(model, charm, quick):
    change = 'from charmhelpers.core import hookenv\nhookenv.relation_ids = lambda name: ["cluster:9"]'
    look = 'from charmhelpers.core import hookenv\nnote("ids", hookenv.relation_ids("cluster"))'
    made = model(charm({'config-changed': change, 'start': look}), quick=quick)

    made.run()

    assert noted(made, 'app/0', 'ids') == [[['cluster:0']]]
