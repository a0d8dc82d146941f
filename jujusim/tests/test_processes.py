"""Several processes in one context: hooks that run hooks, hooks run by hand; and restricted contexts."""

import pytest

from jujusim.tests.scripts import CHANGED, both, hooks, noted, only_3, published, run_until, times

ID = 'os.environ["JUJU_CONTEXT_ID"]'
OTHER = """
sys.stdout.write("out " + " ".join(sys.argv[1:]))
hook, mark = os.environ["JUJU_HOOK_NAME"], os.environ.get("MARK")
note("other", {id}, os.path.basename(sys.argv[0]), hook, mark, word(ME))
say("other")
time.sleep(10)
sys.exit(3 if sys.argv[1:] == ["fail"] else 0)
""".format(id=ID)
OUTER = """
say("outer")
os.environ["MARK"] = "outer"
first = subprocess.run([{words}], stdout=subprocess.PIPE, universal_newlines=True)
second = subprocess.run(["hooks/start", "fail"], env=dict(os.environ, MARK="given"))
note("outer", {id}, first.returncode, first.stdout, second.returncode, word(ME))
"""


@pytest.fixture(params=[False, True], ids=['processes', 'quick'])
def made_of(request, deployed):
    """Makes a model of scripts, both ways to run hooks."""
    return lambda juju, scripts, **options: deployed(juju, scripts, quick=request.param, **options)


# A hook that runs another hook's file


WAYS = [
    '"hooks/start", "a"',
    'os.path.join(os.path.dirname(__file__), "start"), "a"',
    'sys.executable, "hooks/start", "a"',
]


@both
@pytest.mark.parametrize('words', WAYS, ids=['relative', 'absolute', 'python'])
def test_a_hook_runs_another_hooks_file_as_a_program_in_its_own_context(made_of, juju, words):
    made = made_of(juju, {'upgrade-charm': OUTER.format(words=words, id=ID), 'start': OTHER}, units=1)
    made.logs.clear()

    made.upgrade('app/0')
    made.run()

    ((context, *result),) = noted(made, 'app/0', 'outer')
    assert result == [0, 'out a', 3, 'other']
    assert noted(made, 'app/0', 'other') == [
        [context, 'start', 'upgrade-charm', 'outer', 'outer'],
        [context, 'start', 'upgrade-charm', 'given', 'other'],
    ]
    began, ended = (
        times(made, 'app/0', 'begins', 'upgrade-charm')[0],
        times(made, 'app/0', 'ends', 'upgrade')[0],
    )
    assert 20 < ended - began < 23
    assert published(made, 'app/0') == 'other'


@both
def test_such_a_program_begins_as_new_as_a_hook(made_of, juju):
    own = 'import tally\ntally.seen.append(os.path.basename(sys.argv[0]))\nnote("seen", *tally.seen)\n'
    scripts = {'upgrade-charm': own + 'subprocess.check_call(["hooks/start"])\n' + own, 'start': own}
    start = 'sys.path.insert(0, "lib")\n'
    made = made_of(
        juju,
        {name: start + text for name, text in scripts.items()},
        units=1,
        files={'lib/tally.py': 'seen = []\n'},
    )
    made.logs.clear()

    made.upgrade('app/0')
    made.run()

    assert noted(made, 'app/0', 'seen') == [['upgrade-charm'], ['start'], ['upgrade-charm', 'upgrade-charm']]


@both
def test_what_such_a_program_raises_is_logged_and_its_code_is_1(made_of, juju):
    script = 'done = subprocess.call(["actions/other"]);note("done", done)'
    made = made_of(juju, {'upgrade-charm': script, 'actions/other': 'raise ValueError("broken")'})

    made.upgrade('app/1')
    made.run()

    assert noted(made, 'app/1', 'done') == [[1]]
    assert made.log_of('app/1', 'ValueError: broken')
    assert times(made, 'app/1', 'fails', 'upgrade-charm') == []


@both
def test_a_hook_that_is_killed_takes_such_a_program_with_it(made_of, juju):
    script = 'subprocess.call(["hooks/start"])'
    made = made_of(
        juju, {'upgrade-charm': script, 'start': 'time.sleep(30)\nopen("ran", "a").write("x")'}, units=1
    )
    made._charm_dir('app/0').joinpath('ran').unlink()

    made.upgrade('app/0')
    run_until(made, 'app/0', 'begins')
    made.run(seconds=10)
    made.kill_hook('app/0')
    made.run()

    assert made._charm_dir('app/0').joinpath('ran').read_text() == 'x'


@both
def test_a_shells_script_is_a_program_of_the_machine(deployed, juju):
    asked = []

    def machine(unit, argv):
        asked.append(argv)
        return 1.0, 0

    made = deployed(
        juju, {'upgrade-charm': 'tool("hooks/shell")'}, files={'hooks/shell': '#!/bin/sh\n'}, machine=machine
    )
    made.upgrade('app/0')
    made.run()

    assert asked == [['hooks/shell']]


# A hook run by hand


@both
@pytest.mark.parametrize('code', [0, 1])
def test_a_hook_run_by_hand_runs_several_times_in_one_context_and_ends_as_it_is_left(made_of, juju, code):
    script = 'note("run", {}, word(ME))\nsay((word(ME) or "") + "x")'.format(ID)
    made = made_of(juju, {'config-changed': script})
    made.logs.clear()
    before = published(made, 'app/0')

    made.debug_hooks('app/0', times=2, exit_code=code)
    made.configure(go=1)
    run_until(made, 'app/0', 'fails' if code else 'ends', 'config-changed')
    by_hand, wrote = noted(made, 'app/0', 'run'), published(made, 'app/0')
    made.run()

    assert (before, wrote) == ('x', 'x' if code else 'xxx')
    assert [word for _, word in by_hand] == ['x', 'xx']
    assert len({context for context, _ in by_hand}) == 1
    assert len(noted(made, 'app/0', 'run')) == 2 + code
    assert times(made, 'app/0', 'ran by hand', 'config-changed: exit 0') != []
    assert published(made, 'app/0') == 'x' * (3 - code)


@both
def test_a_session_by_hand_waits_for_the_hook_it_was_opened_for(made_of, juju):
    made = made_of(juju, {'update-status': 'note("run")'}, units=1)

    made.debug_hooks('app/0', times=3, exit_code=0, hook='update-status')
    made.configure(go=1)
    made.run()
    made.update_status('app/0')
    made.run(seconds=30)

    assert hooks(made, 'app/0') == ['config-changed', 'update-status']
    assert len(noted(made, 'app/0', 'run')) == 3


# Restricted contexts

METRICS = """
for words in ("is-leader", "leader-get -", "leader-set a=b", "relation-ids cluster", "config-get --all",
              "relation-set -r cluster:0 word=a", "status-set active x"):
    note("tool", words, tool(*words.split(), "--format=json").returncode)
note("env", {}, [name in os.environ for name in ("JUJU_HOOK_NAME", "JUJU_VERSION", "JUJU_MODEL_UUID")])
""".format(ID)


@only_3
@pytest.mark.parametrize('hook', ['collect-metrics', 'meter-status-changed'])
def test_in_collect_metrics_every_tool_exits_1_but_juju_log(made_of, juju, hook):
    made = made_of(juju, {hook: METRICS})
    made.fail_hook('app/0', 'config-changed')

    made.configure(go=1)
    run_until(made, 'app/0', 'fails')
    made.collect_metrics('app/0', hook)
    made.run()

    assert hooks(made, 'app/0') == ['config-changed', hook, 'config-changed']
    assert {code for _, code in noted(made, 'app/0', 'tool')} == {1}
    assert len(noted(made, 'app/0', 'tool')) == 7
    ((context, named),) = noted(made, 'app/0', 'env')
    assert context.startswith('app/0-{}-'.format(hook))
    assert named == [False, False, False]
    assert CHANGED not in hooks(made, 'app/1')


@only_3
def test_a_collect_metrics_that_fails_puts_no_unit_in_error(made_of, juju):
    made = made_of(juju, {'collect-metrics': 'sys.exit(1)'})

    made.collect_metrics('app/0')
    made.run()

    assert times(made, 'app/0', 'fails', 'collect-metrics')
    assert not made.agents['app/0'].local.in_error
    assert hooks(made, 'app/0') == ['collect-metrics']


def test_juju_4_has_no_collect_metrics(deployed):
    with pytest.raises(ValueError, match='Juju 4 has no collect-metrics'):
        deployed(4).collect_metrics('app/0')
