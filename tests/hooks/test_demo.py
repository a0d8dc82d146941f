"""`make demo`, as somebody sees it who types it."""

import subprocess
import sys

import pytest

from tests.deploy import ROOT

pytest.importorskip('matplotlib', reason='the demo draws with matplotlib, which this environment has not')
pytest.importorskip('rich', reason='the demo shows with rich, which this environment has not')


def demo(*words):
    return subprocess.run(
        [sys.executable, str(ROOT / 'examples' / 'demo.py'), *words],
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize('juju, picture', [('3', 'roll.png'), ('4', 'roll.svg')])
def test_the_demo_rolls_through_a_failure_and_a_change_of_leader_and_draws_it(tmp_path, juju, picture):
    ran = demo('--units', '3', '--juju', juju, '--output', str(tmp_path / picture))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '3 of 3 units restarted, each once; 1 restart failed and was retried' in ran.stdout
    assert 'at most 1 at work at once, 1 allowed' in ran.stdout
    assert 'db/0 → db/2' in ran.stdout
    assert 'no promise was broken' in ran.stdout
    head = (tmp_path / picture).read_bytes()[:200]
    assert b'PNG' in head if picture.endswith('png') else b'<svg' in (tmp_path / picture).read_bytes()


@pytest.mark.parametrize(
    'words, sentence',
    [
        (['--units', '0'], "UNITS: expected a whole number from 1 to 100, found '0'"),
        (['--units', 'many'], "UNITS: expected a whole number from 1 to 100, found 'many'"),
        (['--juju', '2'], "JUJU: expected a whole number from 3 to 4, found '2'"),
        (['--slots', '0'], 'SLOTS: expected a number of units from 1 to 10000'),
        (['--output', 'roll.gif'], 'OUTPUT: expected a file name ending in .png or .svg'),
    ],
)
def test_a_senseless_value_is_refused_in_a_sentence(words, sentence):
    ran = demo(*words)

    assert ran.returncode == 2
    assert sentence in ran.stderr
    assert 'Traceback' not in ran.stderr
