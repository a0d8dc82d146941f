"""`make demo`, as somebody sees it who types it."""

import re
import subprocess
import sys

import pytest

from tests.deploy import ROOT

pytest.importorskip('matplotlib', reason='the demo draws with matplotlib, which this environment has not')
pytest.importorskip('rich', reason='the demo shows with rich, which this environment has not')

from examples.demo import __main__, scenes


def demo(*words):
    return subprocess.run(
        [sys.executable, '-m', 'examples.demo', *words],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=str(ROOT),
        env={'PYTHONPATH': '{}:{}'.format(ROOT / 'lib', ROOT), 'PATH': '/usr/bin:/bin'},
    )


def shown(tmp_path, scene, *words, picture='demo.png'):
    """Return the lines of a scene that keeps its promises, and its verdict."""
    ran = demo('--scene', scene, '--output', str(tmp_path / picture), *words)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    told, _, summary = ran.stdout.rpartition('\n\n')
    verdict = dict(re.split(r' {2,}', line.strip(), maxsplit=1) for line in summary.splitlines())
    assert verdict['promises'] == 'all kept'
    assert max(len(line) for line in ran.stdout.splitlines() if str(tmp_path) not in line) <= 100
    head = (tmp_path / picture).read_bytes()
    assert head[1:4] == b'PNG' if picture.endswith('png') else b'<svg' in head
    return told.splitlines(), verdict


def events(told, unit=''):
    """Return who did what, in order."""
    found = (
        re.match(r' +[0-9.]+ s  (db/\d+) +(works|worked|failed at|waits|is \w+|logs|leads)', line)
        for line in told
    )
    return [each.groups() for each in found if each and unit in each.group(1)]


def begin(told):
    """Return the units whose turns begin, in order."""
    return [unit for unit, verb in events(told) if verb == 'works']


def place(told, start):
    """Return where the first line is that begins so."""
    return next(number for number, line in enumerate(told) if line.strip().startswith(start))


# The scene that is shown by default


@pytest.mark.parametrize('juju, picture', [('3', 'demo.png'), ('4', 'demo.svg')])
def test_an_operator_tries_one_unit_meets_a_failure_pauses_frees_a_lost_unit_and_goes_on(
    tmp_path, juju, picture
):
    told, verdict = shown(tmp_path, 'roll', '--units', '4', '--juju', juju, picture=picture)

    orders = [line.split()[4] for line in told if line.startswith('$ juju run db/leader ')]
    assert orders == ['coordinator-' + name for name in ('roll', 'resume', 'pause', 'free', 'resume')]
    assert '    restart: a roll of 4 units begins, in 2 stages.' in told
    first, pause, free = (
        place(told, '$ juju run db/leader coordinator-' + name) for name in ('resume', 'pause', 'free')
    )
    again = free + place(told[free:], '$ juju run db/leader coordinator-resume')
    assert begin(told[:first]) == ['db/1']
    assert set(begin(told[first:pause])) == {'db/2'}
    assert set(begin(told[pause:free])) <= {'db/2'}
    assert begin(told[free:again]) == []
    assert begin(told[again:]) == ['db/3', 'db/0']
    assert ('db/2', 'is lost') in events(told[pause:free])
    assert verdict['restarted'].startswith('3 of 4 units, each once; ')
    assert verdict['restarted'].endswith('; db/2 was freed')
    assert events(told)[-1] == ('db/0', 'logs')


def test_while_a_roll_is_paused_a_unit_says_why_in_the_words_of_the_layer(tmp_path):
    told, _ = shown(tmp_path, 'roll', '--units', '4')

    text = ' '.join(' '.join(told).split())
    assert re.search(r'waits restart: paused since [-0-9]+ [0-9:]+ UTC: db/2 does not start', text)
    assert (
        'No turn begins until you resume; a turn that has begun goes on. Reason: db/2 does not start' in text
    )


def test_the_picture_shows_stages_pauses_turns_that_begin_and_who_was_waited_for(tmp_path):
    shown(tmp_path, 'roll', '--units', '4', picture='demo.svg')

    texts = re.findall(r'<!-- (.*) -->', (tmp_path / 'demo.svg').read_text())
    assert {'stage 1', 'stage 2', 'db/2 does not start'} <= set(texts)
    assert {'a turn begins', 'freed', 'no turn begins: paused', 'waits, for whom'} <= set(texts)
    assert texts.count('db/1') == 4  # its own row, and three units wait for it
    assert texts.count('db/3') == 2


# The others


@pytest.mark.parametrize('juju', ['3', '4'])
def test_a_restart_goes_on_through_a_failure_and_a_change_of_leader(tmp_path, juju):
    told, verdict = shown(tmp_path, 'restart', '--units', '3', '--juju', juju)

    assert verdict['restarted'] == '3 of 3 units, each once; 1 restart failed'
    assert verdict['at work'] == 'at most 1 of 1 slots in use'
    assert verdict['led by'] == 'db/0, then db/2'
    taken_s, least_s = re.findall(r'([0-9]+) s', verdict['took'])
    assert int(least_s) <= int(taken_s) <= 1.1 * int(least_s)
    assert [verb for _, verb in events(told, 'db/1') if verb != 'waits'] == [
        'works',
        'failed at',
        'works',
        'worked',
    ]
    assert any('restart: db/1 holds it, ' in line for line in told)


def test_the_least_possible_duration_fills_the_slots_and_counts_the_retry(tmp_path):
    _, verdict = shown(tmp_path, 'restart', '--units', '5', '--slots', '2')

    assert verdict['at work'] == 'at most 2 of 2 slots in use'
    # One slot: the unit that fails takes 121 s and the 6 s until Juju's retry, then 61 s for another unit.
    taken_s, least_s = (int(number) for number in re.findall(r'([0-9]+) s', verdict['took']))
    assert 187 <= least_s <= 189
    assert least_s <= taken_s


def test_a_unit_that_is_off_stops_the_others_until_it_is_freed_and_asks_anew_when_it_is_back(tmp_path):
    told, verdict = shown(tmp_path, 'lost-unit', '--units', '3', '--juju', '4')

    off = next(number for number, line in enumerate(told) if ' is off ' in line)
    shows, freed = place(told, '$ juju run db/leader coordinator-show'), place(told, 'db/1: freed.')
    assert begin(told[off:freed]) == []
    assert (
        off < shows < place(told, 'db/1: if it is alive and in its turn, two units will work at once') < freed
    )
    assert begin(told[freed:]) == ['db/2', 'db/1']
    assert verdict['restarted'] == '3 of 3 units, each once; 1 restart failed; db/1 was freed'


@pytest.mark.parametrize(
    'scene, juju, programs',
    [
        ('hold-until-healthy', '4', ['systemctl restart careful-db', 'db-is-healthy']),
        (
            'upgrade',
            '3',
            ['apt-get install --yes careful-db', 'systemctl restart careful-db', 'db-is-healthy'],
        ),
    ],
)
def test_each_unit_is_healthy_before_the_next_one_begins(tmp_path, scene, juju, programs):
    told, verdict = shown(tmp_path, scene, '--units', '3', '--juju', juju)

    done = [re.split(r'  worked    |;', line)[:2] for line in told if ' worked ' in line]
    units = [line.split()[2] for line, _ in done]
    assert units == [unit for unit in dict.fromkeys(units) for _ in programs]
    assert [program for _, program in done] == programs * 3
    assert verdict['restarted'] == '3 of 3 units, each once'
    taken_s, least_s = re.findall(r'([0-9]+) s', verdict['took'])
    assert int(least_s) <= int(taken_s) <= 1.2 * int(least_s)


# What it refuses, and what it owns up to


def test_a_promise_that_is_broken_is_told_and_makes_it_exit_1(tmp_path, monkeypatch, capsys):
    nothing = scenes.SCENES['restart']._replace(play=lambda play: {'db/0': 1})
    monkeypatch.setitem(scenes.SCENES, 'restart', nothing)
    code = __main__.main(['--scene', 'restart', '--units', '1', '--output', str(tmp_path / 'demo.png')])

    assert code == 1
    assert 'promises   BROKEN: db/0 had 0 of 1 turns' in capsys.readouterr().out


@pytest.mark.parametrize(
    'words, sentence',
    [
        (['--scene', 'opera'], 'SCENE: expected restart, roll, lost-unit, hold-until-healthy, upgrade'),
        (['--units', '0'], "UNITS: expected a whole number from 4 to 100, found '0'"),
        (['--scene', 'restart', '--units', '0'], "UNITS: expected a whole number from 1 to 100, found '0'"),
        (['--units', 'many'], "UNITS: expected a whole number from 4 to 100, found 'many'"),
        (['--juju', '2'], "JUJU: expected a whole number from 3 to 4, found '2'"),
        (['--slots', '0'], 'SLOTS: expected a number of units from 1 to 10000'),
        (['--output', 'roll.gif'], 'OUTPUT: expected a file name ending in .png or .svg'),
    ],
)
def test_a_senseless_value_is_refused_in_a_sentence(words, sentence):
    ran = demo(*words)

    assert ran.returncode == 2
    assert sentence in ' '.join(ran.stderr.split())
    assert 'Traceback' not in ran.stderr
