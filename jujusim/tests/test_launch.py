"""juju-exec as code of a hook starts it: refused, detached, by a timer of systemd (R27, seen on 4.0.14)."""

import pytest

from jujusim.launch import Launch, file_of, launched
from jujusim.tests.scripts import both, hooks, noted
from jujusim.tools import Unanswered

QUIET = 'stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL'
ALONE = 'env={"PATH": "/usr/bin:/bin"}, start_new_session=True'
WOKEN = {
    'hooks/woken': 'note("woken", os.environ["JUJU_HOOK_NAME"], os.environ["JUJU_CONTEXT_ID"], sys.argv[1:])'
}


FIRST = """
if ask('config-get')['go'] == 0 or os.path.exists('been'):
    sys.exit()
open('been', 'w').close()
"""


def start(argv, *options):
    """Return a script that, once, starts a command line and does not wait for it."""
    return '{}subprocess.Popen({}, {})\ntime.sleep(20)\nnote("over")'.format(FIRST, argv, ', '.join(options))


def began(made, text):
    return [event.time for event in made.history if event.what == 'begins' and event.text.startswith(text)]


@both
def test_in_a_hook_it_is_refused(deployed, juju, quick):
    script = 'told("exec", tool("juju-exec", ME, "hooks/woken"))'
    made = deployed(juju, {**WOKEN, 'config-changed': script}, units=1, quick=quick)

    made.configure(go=1)
    made.run()

    code, text = noted(made, 'app/0', 'exec')[0]
    assert code == 2
    assert text.startswith(
        'ERROR juju-exec cannot be called from within a hook, have context "app/0-config-cha'
    )
    assert not noted(made, 'app/0', 'woken')


@both
def test_detached_it_runs_as_soon_as_the_hook_is_over_and_before_the_next(deployed, juju, quick):
    argv = '["/usr/bin/juju-exec", ME, "hooks/woken"]'
    made = deployed(juju, {**WOKEN, 'config-changed': start(argv, QUIET, ALONE)}, units=1, quick=quick)

    made.configure(go=1)
    made.at(made.now + 5, lambda: made.update_status('app/0'))
    made.at(made.now + 5, lambda: made.configure(go=2))
    made.run()

    assert hooks(made, 'app/0')[:3] == [
        'config-changed',
        'exec hooks/woken',
        'config-changed',
    ]
    assert noted(made, 'app/0', 'over')
    hook, context, _ = noted(made, 'app/0', 'woken')[0]
    assert hook == ''
    assert context.startswith('app/0-run-commands-')


@both
def test_a_hook_that_waits_for_it_would_never_end(deployed, juju, quick):
    script = FIRST + 'subprocess.call(["juju-exec", ME, "hooks/woken"], {}, {})'.format(QUIET, ALONE)
    made = deployed(juju, {**WOKEN, 'config-changed': script}, units=1, quick=quick)
    made.configure(go=1)

    with pytest.raises(Unanswered, match='waits for juju-exec app/0 hooks/woken, and that for the hook'):
        made.run()


@both
def test_a_hook_whose_output_it_holds_open_would_never_end(deployed, juju, quick):
    made = deployed(juju, {'config-changed': start('["juju-exec", ME, "true"]', ALONE)}, units=1, quick=quick)
    made.configure(go=1)

    with pytest.raises(Unanswered, match='holds the output of config-changed'):
        made.run()


@both
def test_systemd_starts_it_in_its_time_and_a_second_timer_of_that_name_is_refused(deployed, juju, quick):
    argv = (
        '["systemd-run", "--collect", "--unit=wake", "--on-active=30s", "--", "juju-exec", ME, "hooks/woken"]'
    )
    argv = argv.replace('juju', '/usr/bin/juju')
    script = FIRST + 'note("timer", subprocess.call({0}), subprocess.call({0}))'.format(argv)
    made = deployed(juju, {**WOKEN, 'config-changed': script}, units=1, quick=quick)

    made.run_action('app/0', 'nap')
    made.configure(go=1)
    made.run()

    assert noted(made, 'app/0', 'timer')[0] == [0, 1]
    assert len(began(made, 'exec')) == 1
    assert 30 < began(made, 'exec')[0] - began(made, 'config-changed')[0] < 34


def test_a_timer_that_is_stopped_starts_nothing(deployed, quick):
    argv = '["systemd-run", "--unit=wake", "--on-active=30", "juju-exec", ME, "hooks/woken"]'
    stop = '["systemctl", "stop", "wake.timer"]'
    script = FIRST + 'note("codes", *[subprocess.call(argv) for argv in ({0}, {1}, {1})])'.format(argv, stop)
    made = deployed(3, {**WOKEN, 'config-changed': script}, units=1, quick=quick)

    made.configure(go=1)
    made.run()

    assert noted(made, 'app/0', 'codes') == [[0, 0, 5]]
    assert not began(made, 'exec')


def test_a_machine_that_answers_systemd_run_has_the_last_word(deployed):
    asked = []

    def machine(unit, argv):
        asked.append(argv)
        return (0.0, 3) if argv[0] == 'systemd-run' else None

    script = FIRST + 'note("code", subprocess.call(["systemd-run", "juju-exec", ME, "true"]))'
    made = deployed(3, {'config-changed': script}, units=1, machine=machine)
    asked.clear()

    made.configure(go=1)
    made.run()

    assert noted(made, 'app/0', 'code') == [[3]]
    assert asked == [['systemd-run', 'juju-exec', 'app/0', 'true']]


def test_its_commands_are_a_shells_which_may_run_a_hook_file_with_arguments(deployed, quick):
    argv = '["juju-exec", ME, "hooks/woken now && relation-set -r cluster:0 word=shell"]'
    woken = '#!/usr/bin/env python3\nimport json, subprocess, sys\n'
    woken += 'subprocess.call(["juju-log", json.dumps(["woken", *sys.argv[1:]])])\n'
    files = {'hooks/woken': woken}
    made = deployed(3, {'config-changed': start(argv, QUIET, ALONE)}, units=1, files=files, quick=quick)
    (made.charm / 'hooks/woken').chmod(0o755)

    made.configure(go=1)
    made.run()

    assert noted(made, 'app/0', 'woken') == [['now']]
    assert made.controller.units['app/0'].settings['word'] == 'shell'


def test_on_2_9_it_is_juju_run(deployed):
    script = start('["juju-exec", ME, "hooks/woken"]', QUIET, ALONE)
    made = deployed(3, {**WOKEN, 'config-changed': script}, units=1)
    made.version = '2.9.51'
    made.configure(go=1)
    made.run()

    assert [line for line in made.log_of('app/0') if 'FileNotFoundError' in line]


@pytest.mark.parametrize('away', [lambda made: made.die_agent('app/0'), lambda made: made.lose_unit('app/0')])
def test_it_reaches_no_agent_that_is_dead(deployed, away):
    argv = '["setsid", "juju-exec", ME, "hooks/woken"]'
    made = deployed(3, {**WOKEN, 'config-changed': start(argv, QUIET, ALONE)}, units=1)
    made.configure(go=1)
    made.run(until=(made._charm_dir('app/0') / 'been').exists)

    away(made)
    made.run()

    assert not began(made, 'exec')


# How it is read


LATER = ['sh', '-c', 'sleep "$1"; shift; exec "$@"', 'sh', '5']
ONE = Launch('juju-exec', 'app/0', 'a b', inherits=True)
BY_SYSTEMD = ONE._replace(inherits=False, service=True)
READ = [
    ('juju-exec app/0 -- a b', ONE._replace(context='ctx')),
    ('env -u JUJU_CONTEXT_ID juju-run app/0 a b', ONE._replace(program='juju-run')),
    ('env -i A=1 setsid -f juju-exec app/0 a b', ONE),
    ('systemd-run -u x juju-exec app/0 a b', BY_SYSTEMD._replace(name='x')),
    ('systemd-run --on-active=5s -- juju-exec app/0 a b', BY_SYSTEMD._replace(delay_s=5.0)),
    ('systemctl restart juju-exec', None),
]


@pytest.mark.parametrize('line, expected', READ)
def test_a_command_line_that_starts_it_is_known(line, expected):
    assert launched(line.split(), {}, {'JUJU_CONTEXT_ID': 'ctx'}) == expected


def test_a_shell_that_sleeps_and_then_starts_it_is_known_and_no_other_shell():
    environ = {'JUJU_CONTEXT_ID': 'ctx'}

    assert launched([*LATER, 'juju-exec', 'app/0', 'a b'], {'env': {}}, environ) == ONE._replace(delay_s=5.0)
    assert launched(['sh', '-c', 'juju-exec app/0 a'], {}, environ) is None


def test_commands_that_run_one_file_of_the_charm_are_known():
    assert file_of('hooks/woken', '/x/charm') == 'hooks/woken'
    assert file_of('/x/charm/actions/look', '/x/charm') == 'actions/look'
    assert file_of('hooks/woken; true', '/x/charm') == file_of('hooks/woken now', '/x/charm') == ''
    assert file_of('/bin/true', '/x/charm') == ''
