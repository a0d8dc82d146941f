"""Hooks that are scripts of a shell: what they may do, and what becomes of it."""

import os
import select

import pytest

from jujusim.tests.scripts import (
    ASK,
    EXEC,
    HEAD,
    both,
    hooks,
    noted,
    noting,
    only_3,
    only_4,
    output,
    published,
    run_until,
    times,
    took,
)
from jujusim.tools import Unanswered

# A script that leaves by itself


@both
def test_a_script_that_leaves_at_once_has_succeeded_after_the_time_of_any_hooks_start(shells, quick, juju):
    made = shells('exit 0', juju, quick=quick)
    made.run()

    assert hooks(made, 'app/0') == ['config-changed']
    assert took(made) == 0.85
    assert made.costs == [('app/0', 'config-changed', [])]


def test_a_script_that_exits_3_fails_its_hook_and_runs_again_after_a_delay(shells, quick):
    made = shells('[ -e again ] && exit 0; : > again; relation-set word=a -r cluster:0; exit 3', quick=quick)
    run_until(made, 'app/0', 'fails')
    wrote = published(made, 'app/0')
    made.run()

    assert wrote is None
    assert hooks(made, 'app/0') == ['config-changed', 'config-changed']
    assert len(times(made, 'app/0', 'ends')) == 1


def test_a_script_runs_in_the_charms_directory_with_juju_s_environment_and_nothing_else(shells, quick):
    made = shells('env; echo "at $(pwd -P) $#" >&2; cat; exit 0', quick=quick)
    made.run()

    said = output(made).splitlines()
    names = {line.split('=')[0] for line in said if '=' in line}
    assert {'JUJU_UNIT_NAME=app/0', 'JUJU_HOOK_NAME=config-changed', 'LANG=C.UTF-8'} <= set(said)
    assert not {'HOME', 'USER', 'VIRTUAL_ENV', 'PYTHONPATH'} & names
    assert 'at {} 0'.format(made._charm_dir('app/0').resolve()) in said


def test_programs_that_are_no_tools_run_for_real_and_take_no_time(shells, quick):
    script = 'word=$(cat words | grep b); {}exit 0'.format(noting('word', '$word'))
    made = shells(script, files={'words': 'a\nb\n'}, quick=quick)
    made.run()

    assert noted(made, 'app/0', 'word') == [['b']]
    assert took(made) == 0.87  # one juju-log


def test_a_script_that_is_not_executable_fails_its_hook(shells, quick):
    made = shells('exit 0', quick=quick)
    made._charm_dir('app/0').joinpath('hooks', 'config-changed').resolve().chmod(0o644)
    run_until(made, 'app/0', 'fails')

    assert made.log_of('app/0', 'Permission denied')


def test_a_script_that_a_signal_kills_runs_again_without_error(shells, quick):
    made = shells('[ -e again ] && exit 0; : > again; kill -9 $$', quick=quick)
    made.run()

    assert times(made, 'app/0', 'is killed')
    assert not times(made, 'app/0', 'fails')
    assert hooks(made, 'app/0') == ['config-changed', 'config-changed']


# Tools


@both
def test_a_script_acts_on_what_a_tool_answers(shells, quick, juju):
    script = """
    case "$(relation-list --format=json -r cluster:0)" in
        *app/0*) relation-set -r cluster:0 "word=two  words
and a line" ;;
    esac
    """
    made = shells(script, juju, units=2, quick=quick)
    made.run()

    assert published(made, 'app/0') is None
    assert published(made, 'app/1') == 'two  words\nand a line'
    assert ('app/1', 'config-changed', [('relation-list', False), ('relation-set', False)]) in made.costs


@pytest.mark.parametrize('text', ['', "it's \\ $HOME `x`", 'x' * 200000, 'äöü…'], ids=len)
def test_an_answer_of_any_size_and_text_arrives_as_it_is(shells, quick, text):
    made = shells('relation-get --format=json -r cluster:0 - app/0 > found', quick=quick)
    made.poison('app/0', 'word', text)
    made.run()

    script = 'import json;note("same", json.load(open("found"))["word"] == {!r})'.format(text)
    made.run_exec('app/0', HEAD + script)
    made.run()
    assert noted(made, 'app/0', 'same') == [[True]]


def test_a_tool_that_is_refused_says_so_to_stderr_and_exits_as_juju_does(shells, quick):
    script = 'leader-set a=b; {}relation-get --format=json -r no:9 - app/0; {}exit 0'
    made = shells(
        script.format(noting('code', '$?'), noting('code', '$?')), scripts={'start': ''}, units=2, quick=quick
    )
    made.run()

    assert noted(made, 'app/1', 'code') == [['1'], ['2']]
    assert 'ERROR cannot write leadership settings: cannot write settings: not the leader\n' in output(made)
    assert 'ERROR invalid value "no:9" for option -r: relation not found\n' in output(made)


def test_a_tool_that_is_made_to_fail_fails_in_a_script_too(shells, quick):
    made = shells('is-leader --format=json || {}exit 0'.format(noting('code', '$?')), quick=quick)
    made.fail_tool('app/0', 'is-leader', code=7)
    made.run()

    assert noted(made, 'app/0', 'code') == [['7']]


@only_4
def test_a_tool_that_juju_4_has_not_is_not_found(shells, quick, juju):
    made = shells('leader-get --format=json; {}exit 0'.format(noting('code', '$?')), juju, quick=quick)
    made.run()

    assert noted(made, 'app/0', 'code') == [['127']]


def test_a_tool_that_this_juju_does_not_know_is_never_guessed(shells, quick):
    made = shells('network-get cluster || exit 0', quick=quick)

    with pytest.raises(Unanswered, match='network-get cluster'):
        made.run()


def test_two_tools_at_the_same_time_have_no_answer(shells, quick):
    made = shells('sleep 5 & sleep 5 & wait', quick=quick)

    def run():
        made.run(seconds=3)
        select.select([made.running['app/0'].child._requests], [], [], 30)  # until both have asked
        made.run()

    with pytest.raises(Unanswered, match='two programs ask at the same time'):
        run()


def test_a_program_that_the_model_names_is_one_of_the_machine(shells, quick):
    made = shells(
        'found=$(hostname -f) || exit 9; {}exit 0'.format(noting('name', '$found')),
        machine=lambda unit, argv: (5.0, 0, ' '.join([unit, *argv]) + '\n'),
        programs=('hostname',),
        quick=quick,
    )
    made.run()

    assert noted(made, 'app/0', 'name') == [['app/0 hostname -f']]
    assert times(made, 'app/0', 'worked', 'hostname -f')
    assert took(made) == 5.87


def test_a_sleep_takes_the_models_time(shells, quick):
    made = shells('sleep 1.5 2m', quick=quick)
    made.run()

    assert took(made) == 121.5 + 0.85


def test_tool_calls_of_a_script_are_counted_apart_where_its_path_is_named(shells, quick):
    made = shells(ASK + EXEC, other='word("app/0")', quick=quick, counted=('hooks/config-changed',))
    made.run()

    assert made.costs == [('app/0', 'config-changed', [('relation-get', True), ('relation-get', False)])]


# What goes wrong beneath a script


def left(made, unit='app/0'):
    """Return what has something to read, or nobody to write to it, once a script's processes are gone."""
    return os.dup(made.running[unit].child._requests)


def all_have_ended(line):
    ready, _, _ = select.select([line], [], [], 30)
    return bool(ready) and os.read(line, 1) == b''


def test_a_hook_that_is_killed_where_its_tool_waits_leaves_no_process_and_runs_again(shells, quick):
    made = shells('[ -e again ] && exit 0; : > again; sleep 30 | cat; relation-set word=a', quick=quick)
    made.run(seconds=3)
    line = left(made)
    made.kill_hook('app/0')

    assert all_have_ended(line)
    os.close(line)
    made.run()
    assert hooks(made, 'app/0') == ['config-changed', 'config-changed']
    assert published(made, 'app/0') is None


def test_closing_a_model_ends_a_script_under_way_and_removes_all_files(shells, quick):
    made = shells('sleep 30', quick=quick)
    made.run(seconds=3)
    line = left(made)
    made.close()

    assert all_have_ended(line)
    os.close(line)
    assert not made.home.exists()


def test_a_tool_of_a_script_that_lost_its_agent_dies_of_sigpipe(shells, quick):
    script = '[ -e again ] && exit 0; : > again; sleep 2; relation-list --format=json; echo "code $?"'
    made = shells(script, quick=quick)
    run_until(made, 'app/0', 'begins')
    made.run(seconds=1)
    made.die_agent('app/0')
    made.run()

    assert 'code 141' in output(made)
    assert times(made, 'app/0', 'ends beside', 'config-changed')
    assert hooks(made, 'app/0') == ['config-changed', 'config-changed']


# Both ways, and again


def live(made):
    """Let three units have a rough time, with a script at the start of each hook."""
    made.run()
    made.crash_hook('app/0', 2)
    made.fail_hook('app/1', 'config-changed')
    made.configure(go=2)
    made.run(seconds=2)
    made.partition('app/2', 20)
    made.run()
    made.elect('app/1')
    made.debug_hooks('app/0')
    made.configure(go=3)
    made.run(seconds=1.5)
    made.kill_hook('app/2')
    made.die_agent('app/1')
    made.run_exec('app/0', 'hooks/config-changed')
    made.run(seconds=600)
    return [tuple(event) for event in made.history], made.logs, made.costs


@both
@pytest.mark.parametrize('script_s', [None, 0.1])
def test_scripts_have_one_history_in_both_ways_and_each_time(shells, juju, script_s):
    script = """
    case "$(relation-list --format=json -r cluster:0)" in *app/0*) sleep 1 ;; *) [ -e x ] || exit 0 ;; esac
    is-leader --format=json
    """
    sees = 'told("sees", tool("relation-list", "-r", RELATION, "--format=json"))\n'
    other = 'say(str(time.time()))\n' + sees + 'time.sleep(1)'
    ways = [
        live(shells(script + EXEC, juju, other, units=3, script_s=script_s, quick=quick))
        for quick in (False, True, False)
    ]

    assert ways[0] == ways[1] == ways[2]
    assert len(ways[0][0]) > 40


# What is no hook


@only_3
def test_an_action_and_juju_exec_may_be_scripts_of_a_shell(shells, quick, juju):
    action = '#!/bin/sh\naction-set size=3\n' + noting('action', '$JUJU_ACTION_NAME')
    made = shells('exit 0', juju, files={'actions/count': action}, quick=quick)
    made.run_action('app/0', 'count')
    made.run_exec('app/0', '#!/bin/sh\nrelation-set -r cluster:0 word=exec\nexit 5\n')
    made.run()

    assert noted(made, 'app/0', 'action') == [['count']]
    assert times(made, 'app/0', 'ran', 'action count: size: 3')
    assert times(made, 'app/0', 'ran', 'exec script: exit 5')
    assert published(made, 'app/0') == 'exec'
