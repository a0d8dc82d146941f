"""Charms of plain scripts, and what tests ask of a model of such a charm.

A charm here is a handful of scripts without charms.reactive, so that a fault
found here is a fault of the model. A hook that a test gives no script counts as
success, as in Juju. Actions serve as a remote control: they make one unit
write, look or be busy.
"""

import json

import pytest

both = pytest.mark.parametrize('juju', [3, 4])
only_3 = pytest.mark.parametrize('juju', [3])
only_4 = pytest.mark.parametrize('juju', [4])

HEAD = """
import json, os, subprocess, sys, time
RELATION, ME = 'cluster:0', os.environ['JUJU_UNIT_NAME']


def tool(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def ask(*argv):
    return json.loads(tool(*argv, '--format=json').stdout)


def word(unit):
    return ask('relation-get', '-r', RELATION, 'word', unit)


def members():
    return ask('relation-list', '-r', RELATION)


def say(text, *flags):
    return tool('relation-set', '-r', RELATION, *flags, 'word=' + text)


def note(about, *what):
    tool('juju-log', json.dumps([about, *what]))


def told(about, done):
    note(about, done.returncode, done.stderr.strip())


"""
METADATA = 'name: app\npeers:\n  cluster:\n    interface: cluster\n'
REMOTE_CONTROL = {
    'actions/nap': 'time.sleep(100)',
    'actions/say-a': 'say("a")',
    'actions/say-b': 'say("b")',
    'actions/say-nothing': 'say("")',
    'actions/app-a': 'say("a", "--app")',
    'actions/lead-a': 'told("lead", tool("leader-set", "word=a"))',
    'actions/lead-b': 'told("lead", tool("leader-set", "word=b"))',
    'actions/look': 'note("sees", *[word(unit) for unit in ("app/0", "app/1") if unit != ME])',
    'actions/list': 'note("list", *members())',
}
CHANGED = 'cluster-relation-changed'
JOINED = 'cluster-relation-joined'
DEPARTED = 'cluster-relation-departed'
CREATED = 'cluster-relation-created'
EXEC = '\nexec "$JUJU_CHARM_DIR/hooks/other" "$@"\n'
ASK = 'relation-get --format json -r cluster:0 word "$JUJU_UNIT_NAME"'


def forget(made):
    made.history.clear()
    made.logs.clear()


def hooks(made, unit):
    """Return the hooks and actions that a unit began, in order."""
    return [event.text for event in made.history if event.unit == unit and event.what == 'begins']


def times(made, unit, what, text=''):
    of_unit = [event for event in made.history if event.unit == unit and event.what == what]
    return [event.time for event in of_unit if event.text.startswith(text)]


def noted(made, unit, about):
    """Return what a unit's scripts noted about something, in order."""
    found = [json.loads(text) for text in made.log_of(unit) if text.startswith('["')]
    return [what for topic, *what in found if topic == about]


def act(made, unit, action):
    """Run an action and let everything come to rest."""
    made.run_action(unit, action)
    made.run()


def run_until(made, unit, what, text=''):
    assert made.run(until=lambda: bool(times(made, unit, what, text))), made.story()


def published(made, unit):
    return made.controller.units[unit].settings.get('word')


def noting(about, what):
    """Return a line of a shell's script that notes something."""
    return 'juju-log "[\\"{}\\", \\"{}\\"]"\n'.format(about, what)


def output(made):
    return (made.home / 'output.log').read_text()


def took(made, hook='config-changed', end='ends'):
    """Return the seconds from a hook's beginning to its end."""
    return round(times(made, 'app/0', end, hook)[0] - times(made, 'app/0', 'begins', hook)[0], 3)
