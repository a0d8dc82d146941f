"""`make demo`, as somebody sees it who types it."""

import re
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
    verdict = dict(line.strip().split(None, 1) for line in ran.stdout.split('\n\n')[1].splitlines())
    assert verdict['restarted'] == '3 of 3 units, each once; 1 restart failed and was retried'
    assert verdict['at'] == 'work    at most 1 of 1 slots in use'
    assert verdict['led'] == 'by     db/0, then db/2'
    assert verdict['promises'] == 'all kept'
    taken_s, least_s = re.findall(r'([0-9]+) s', verdict['took'])
    assert int(least_s) <= int(taken_s) <= 1.1 * int(least_s)
    assert max(len(line) for line in ran.stdout.splitlines() if 'picture' not in line) <= 100
    head = (tmp_path / picture).read_bytes()[:200]
    assert b'PNG' in head if picture.endswith('png') else b'<svg' in (tmp_path / picture).read_bytes()


def test_the_demo_shows_which_unit_waits_behind_which_while_one_works(tmp_path):
    ran = demo('--units', '4', '--output', str(tmp_path / 'roll.png'))

    told = ran.stdout.splitlines()
    waits = [' '.join(line.split()[2:]) for line in told if ' waits ' in line]
    assert 'db/3 waits no ticket yet; db/0 works, 2 more asked before' in waits
    assert 'db/2 waits db/1 holds it, 1 ahead of this unit' in waits
    assert all('works' in line or 'holds it' in line for line in waits), waits
    failed = next(line for line in told if ' failed at ' in line)
    assert '1 of 1 slots in use, 1 of 4 done' in failed


def test_the_least_possible_duration_fills_the_slots_and_counts_the_retry(tmp_path):
    ran = demo('--units', '5', '--slots', '2', '--output', str(tmp_path / 'roll.png'))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert 'at most 2 of 2 slots in use' in ran.stdout
    # One slot: the unit that fails takes 121 s and the 6 s until Juju's retry, then 61 s for another unit.
    took = next(line for line in ran.stdout.splitlines() if ' took ' in line)
    taken_s, least_s = (int(number) for number in re.findall(r'([0-9]+) s', took))
    assert 187 <= least_s <= 189
    assert least_s <= taken_s


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
