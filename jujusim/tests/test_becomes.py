"""Scripts of a shell that become a Python hook by exec, or run one as a program."""

import pytest

from jujusim.tests.scripts import (
    ASK,
    EXEC,
    both,
    forget,
    hooks,
    noted,
    noting,
    output,
    published,
    run_until,
    took,
)

# A script that becomes Python

SEEN = """
note("seen", sys.argv[1:], os.path.relpath(sys.argv[0]), os.environ["JUJU_HOOK_NAME"], os.environ["PATH"],
     os.environ["WORD"], os.environ["JUJU_CONTEXT_ID"])
say("of other")
"""


@both
def test_exec_keeps_arguments_environment_hook_and_context_and_what_it_wrote_is_committed(
    shells, quick, juju
):
    script = noting('script', '$JUJU_CONTEXT_ID') + 'WORD="a  b\nc" exec hooks/other one "two  words" ""'
    made = shells(script, juju, other=SEEN, quick=quick)
    made.run()

    ((context,),) = noted(made, 'app/0', 'script')
    arguments = ['one', 'two  words', '']
    found = [arguments, 'hooks/other', 'config-changed', '/usr/bin:/bin', 'a  b\nc', context]
    assert noted(made, 'app/0', 'seen') == [found]
    assert published(made, 'app/0') == 'of other'
    assert hooks(made, 'app/0') == ['config-changed']


def test_what_a_script_wrote_before_exec_and_what_python_wrote_are_one_batch(shells, quick):
    made = shells(
        'relation-set -r cluster:0 word=a' + EXEC, other='note("sees", word(ME))\nsys.exit(4)', quick=quick
    )
    run_until(made, 'app/0', 'fails')

    assert noted(made, 'app/0', 'sees') == [['a']]
    assert published(made, 'app/0') is None


def test_flags_that_a_reactive_charm_sets_after_exec_are_kept(shells, quick):
    handlers = """
from charms.reactive import hook, set_flag


@hook('config-changed')
def changed():
    set_flag('changed')
"""
    main = 'sys.path.insert(0, "lib")\nfrom charms.reactive import main\nmain()\n'
    made = shells(EXEC, other=main, files={'reactive/app.py': handlers}, quick=quick)
    made.run()

    assert 'changed' in made.flags_of('app/0')


def test_a_hook_that_became_python_can_be_killed_and_runs_again(shells, quick):
    made = shells(EXEC, other='time.sleep(30)\nopen("ran", "a").write("x")', quick=quick)
    made.run(seconds=10)
    made.kill_hook('app/0')
    made.run()

    assert made._charm_dir('app/0').joinpath('ran').read_text() == 'x'


@pytest.mark.parametrize('target, code', [('none', 127), ('data', 126)])
def test_an_exec_of_a_file_that_is_absent_or_not_executable_fails_the_hook(shells, quick, target, code):
    script = '(exec hooks/{0}); echo "code $?"; exec hooks/{0}'.format(target)
    made = shells(script, files={'hooks/data': 'nothing'}, quick=quick)
    run_until(made, 'app/0', 'fails')

    assert 'code {}'.format(code) in output(made)


def test_what_python_raises_after_exec_fails_the_hook_and_is_logged(shells, quick):
    made = shells(EXEC, other='raise ValueError("broken")', quick=quick)
    run_until(made, 'app/0', 'fails')

    assert made.log_of('app/0', 'ValueError: broken')


@pytest.mark.parametrize(
    'script_s, leaves, becomes', [(None, 0.85, 0.85), (0.0, 0.05, 0.85), (0.1, 0.15, 0.95)]
)
def test_a_script_may_begin_sooner_than_python_which_it_becomes_at_its_price(
    shells, quick, script_s, leaves, becomes
):
    made = shells(
        '[ ! -e twice ] && : > twice && exit 0' + EXEC,
        other='',
        script_s=script_s,
        quick=quick,
    )
    made.run()
    first = took(made)
    forget(made)
    made.configure(go=2)
    made.run()

    assert (first, took(made)) == (leaves, becomes)


# A Python file that a script runs without exec


def test_a_script_waits_for_a_python_hook_that_it_runs_as_a_program(shells, quick):
    script = 'out=$(hooks/other a b); {}hooks/other; {}exit 0'
    other = 'sys.stdout.write("said " + " ".join(sys.argv[1:]))\nsay("other")\ntime.sleep(10)\nsys.exit(3)'
    made = shells(script.format(noting('out', '$? $out'), noting('code', '$?')), other=other, quick=quick)
    made.run()

    assert noted(made, 'app/0', 'out') == [['3 said a b']]
    assert noted(made, 'app/0', 'code') == [['3']]
    assert published(made, 'app/0') == 'other'
    assert took(made) > 20


def test_python_that_is_no_hook_runs_for_real_and_its_tools_are_answered(shells, quick):
    program = (
        'import subprocess; print(subprocess.check_output(["is-leader", "--format=json"]).decode(), end="")'
    )
    made = shells("out=$(python3 -c '{}'); {}exit 0".format(program, noting('out', '$out')), quick=quick)
    made.run()

    assert noted(made, 'app/0', 'out') == [['true']]


@pytest.mark.parametrize('at_call, ran', [(1, False), (2, True)])
def test_the_nth_call_at_which_a_hook_is_killed_is_counted_over_script_and_python(
    shells, quick, at_call, ran
):
    made = shells(
        ASK + EXEC, other='open("ran", "a").write("x"); say("a"); open("ran", "a").write("y")', quick=quick
    )
    made.crash_hook('app/0', at_call)
    run_until(made, 'app/0', 'is killed')
    before = made._charm_dir('app/0').joinpath('ran').exists()
    made.run()

    assert before == ran
    assert made._charm_dir('app/0').joinpath('ran').read_text() == ('xxy' if ran else 'xy')
    assert published(made, 'app/0') == 'a'
