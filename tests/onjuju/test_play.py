"""The suite plays on the local Juju, through jubilant, and finds a layer that was broken on purpose."""

import json
import os
import shutil
import signal

import pytest

pytest.importorskip('jubilant', reason='jubilant is not installed; it needs Python 3.10')
pytest.importorskip('rich', reason='the suite shows with rich, which this environment has not')
pytest.importorskip('matplotlib', reason='the suite draws with matplotlib, which this environment has not')

import jujusim.charm
from jujusim.records import load
from tests.broken import BROKEN, Broken, written_into
from tests.deploy import LAYERS, ROOT
from tests.onjuju import play, shown
from tests.onjuju.scenes import SCENES
from tests.onjuju.truth import version

ENVIRONMENT = (
    'JUJU_DATA',
    'JUJUSIM_MACHINE',
    'JUJUSIM_VERSION',
    'JUJUSIM_STEP_S',
    'JUJUSIM_QUICK',
    'JUJU_MODEL',
)


@pytest.fixture
def played(capsys, monkeypatch, tmp_path):
    """Plays scenes on a local Juju; returns the exit code and what was said."""
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, '')  # so that it is put back
    term = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)

    def go(juju, *scenes, charm=''):
        words = ['--local', juju, '--units', '3', '--work', '5', '--scenes', ' '.join(scenes)]
        code = play.main(words + (['--charm', str(charm)] if charm else []))
        return code, capsys.readouterr().out

    yield go
    signal.signal(signal.SIGTERM, term)


@pytest.fixture
def broken_charm(tmp_path):
    """Assembles the example with a rule of the layer broken."""

    def make(entry):
        tree = tmp_path / 'tree'
        for folder in ('lib', 'reactive', 'hooks', 'interfaces', 'actions'):
            shutil.copytree(str(ROOT / folder), str(tree / folder), symlinks=True)
        for name in ('layer.yaml', 'metadata.yaml', 'actions.yaml'):
            shutil.copy(str(ROOT / name), str(tree / name))
        written_into(entry, tree)
        layers = {**LAYERS, 'layer:coordinator': tree}
        return jujusim.charm.assemble(ROOT / 'examples' / 'rolling-db', tmp_path / 'charm', layers, None)

    return make


# Each is put into a module of the layer, among whose names it runs.


def forgets_the_last(ledger, claims):
    waiting = unbroken(ledger, claims)  # noqa: F821
    return {queue: waiting[queue][:-1] for queue in waiting}


def hears_nobody(ledger, ticket, claims, heard):
    needed = unbroken(ledger, ticket, claims, heard)  # noqa: F821
    return needed and needed._replace(units=frozenset())


FORGETS = Broken('rule 2', 'the leader forgets a request', 'rules.unserved', forgets_the_last, ())
DEAF = Broken('rule 19', 'a unit that waits hears no release', 'wake.waiting', hears_nobody, ())


def entry(name):
    (found,) = [each for each in BROKEN if each.name == name]
    return found


def test_a_roll_is_played_and_judged_and_nothing_is_left(played, tmp_path):
    code, said = played('4', 'roll')

    assert code == 0, said
    assert 'kept: 3 turns in' in said
    assert 'promises: all kept' in said
    assert 'sentences of jujusim/conformance.py hold' in said
    assert 'NOT SO' not in said
    record = load(tmp_path / 'build' / 'on-juju' / 'history.jsonl')
    assert sorted(record.runs) == ['rolling-db/0', 'rolling-db/1', 'rolling-db/2']
    whats = [json.loads(json.dumps(line))['what'] for line in record.lines]
    assert (whats.count('works'), whats.count('worked'), whats.count('op')) == (3, 3, 1)
    data = os.environ['JUJU_DATA']
    assert not os.path.exists(data)  # it lay in a folder of the suite's own


def test_each_scene_has_a_picture_of_its_own(played, tmp_path, monkeypatch):
    drawn = []

    def draw(scene, path, title, least_s):
        drawn.append((path.name, title, sum(span.kind == 'works' for span in scene.spans)))
        picture(scene, path, title, least_s)

    picture = shown.picture
    monkeypatch.setattr(shown, 'picture', draw)
    code, said = played('3', 'roll', 'action')

    assert code == 0, said
    assert [(name, title.split(':')[0], works) for name, title, works in drawn] == [
        ('roll.png', 'roll', 3),
        ('action.png', 'action', 3),
    ]
    for name in ('roll.png', 'action.png'):
        assert (tmp_path / 'build' / 'on-juju' / name).read_bytes()[:4] == b'\x89PNG'
        assert name in said


@pytest.mark.parametrize(
    'broken, sentence',
    [
        pytest.param(entry('rule 3: one slot too many'), 'had its turn until', id='exclusion'),
        pytest.param(
            FORGETS, 'asked for its turn, and never had it', id='no turn is lost', marks=pytest.mark.long
        ),
        pytest.param(DEAF, 'had ended, and nobody worked', id='direct handover', marks=pytest.mark.long),
    ],
)
def test_a_promise_that_is_broken_on_purpose_ends_it_with_1(played, broken_charm, broken, sentence):
    code, said = played('3', 'roll', charm=broken_charm(broken))

    assert code == 1, said
    assert 'BROKEN: rolling-db/' in said
    assert sentence in said
    assert 'promises: BROKEN' in said


@pytest.mark.long
@pytest.mark.parametrize('juju', ['3', '4'])
def test_every_scene_keeps_every_promise(played, juju):
    code, said = played(juju, *SCENES)

    assert code == 0, said
    assert said.count(' kept: ') == len(SCENES)
    assert 'skipped' not in said
    assert 'NOT SO' not in said


def test_a_sentence_about_juju_that_does_not_hold_is_told_and_breaks_no_promise(played, monkeypatch):
    monkeypatch.setattr(play.truth, 'version', lambda juju: version('4.0.14'))  # which it is not

    code, said = played('3', 'roll')

    assert code == 0, said
    assert 'Juju: NOT SO: A new unit runs install, ' in said
    assert 'promises: all kept' in said
