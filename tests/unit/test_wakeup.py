"""When a unit wakes itself, what it starts for that, and which wake-up counts."""

import os
import subprocess

import pytest
from charms.layer.coordinator import wakeup, wire
from charms.layer.coordinator.values import Said
from hypothesis import example, given
from hypothesis import strategies as st

from jujusim.tools import as_json
from tests.deploy import ROOT

pytestmark = pytest.mark.every_python

NOW, HOOK, BOOT = 1800000000, 'app/3-config-changed-0123', 'b00'
TIMER = wakeup.Timer('abc', NOW + 10, BOOT)

seconds = st.integers(1, wakeup.MOST_S)
words = st.text('abcdef0123456789-/:', min_size=1, max_size=20)
timers = st.builds(wakeup.Timer, words, st.integers(0, 2 * NOW), words)
notes = st.builds(wakeup.Noted, st.just('') | words, words, words, st.none() | timers)


# The rule and the file


@given(st.none() | timers, st.none() | seconds)
def test_a_timer_that_runs_and_a_new_one_wake_the_unit_no_later_than_was_asked_and_only_one_is_needed(
    timer, after
):
    runs = wakeup.running(timer, NOW, BOOT)
    new = wakeup.planned(runs, NOW, after)

    early = runs is not None and after is not None and runs.due <= NOW + after
    assert new == (None if early else after)


@pytest.mark.parametrize(
    'timer',
    [
        None,
        TIMER._replace(due=NOW),
        TIMER._replace(due=NOW - 1),
        TIMER._replace(due=NOW + wakeup.MOST_S + 1),
        TIMER._replace(boot='another'),
    ],
)
def test_a_timer_that_has_ended_or_was_set_before_the_machine_started_or_the_clock_was_set_runs_no_more(
    timer,
):
    assert wakeup.running(timer, NOW, BOOT) is None
    assert wakeup.running(TIMER, NOW, BOOT) == TIMER


@example(wakeup.Noted())
@given(notes)
def test_the_file_says_what_was_noted_and_no_part_of_it_says_anything(noted):
    text = wakeup.text(noted)

    assert wakeup.read(text) == noted
    assert all(wakeup.read(text[:end]) == wakeup.Noted() for end in range(len(text)))


@pytest.mark.parametrize('found', [0, -1, wakeup.MOST_S + 1, True, 1.5, '20', None])
def test_another_number_of_seconds_is_refused_in_a_sentence(found):
    sentence = (
        r'check_again_in: expected a whole number of seconds from 1 to 86400, found .*; the lock is not kept'
    )
    with pytest.raises(ValueError, match=sentence):
        wakeup.delay(found)
    assert [wakeup.delay(1), wakeup.delay(wakeup.MOST_S)] == [1, wakeup.MOST_S]


# What it starts


class Machine:
    """Programs that the layer may start; any other is refused.

    Args:
        systemd: whether systemd runs this machine.
        works: whether systemd-run succeeds.
    """

    def __init__(self, systemd=True, works=True):
        self.systemd, self.works, self.ran, self.left = systemd, works, [], []

    def call(self, argv, timeout, **alone):
        assert self.systemd
        assert argv[0] in ('systemd-run', 'systemctl')
        assert timeout <= 10
        self._must_be_alone(alone)
        self.ran.append(argv)
        return 0 if self.works else 1

    def popen(self, argv, start_new_session, **alone):
        assert argv[:2] == ['sh', '-c']
        assert start_new_session
        self._must_be_alone(alone)
        self.left.append(argv)

    def _must_be_alone(self, alone):
        assert set(alone) == {'env', 'stdin', 'stdout', 'stderr'}
        assert set(alone['env']) == {'PATH'}
        assert {alone[name] for name in ('stdin', 'stdout', 'stderr')} == {subprocess.DEVNULL}


class Unit:
    """One unit's wake-up, on a machine and with a key-value store of the test."""

    def __init__(self, place, monkeypatch, machine):
        self.place, self.machine, self.now = place, machine, NOW
        self.kept, self.unsaved, self.reactive, self.logged = {}, {}, True, []
        (place / 'systemd').mkdir()
        (place / 'boot_id').write_text(BOOT + '\n')
        monkeypatch.setattr(wakeup, 'call', machine.call)
        monkeypatch.setattr(wakeup, 'Popen', machine.popen)
        monkeypatch.setattr(wakeup, 'SYSTEMD', str(place / ('systemd' if machine.systemd else 'none')))
        monkeypatch.setattr(wakeup, 'BOOT', str(place / 'boot_id'))
        monkeypatch.setattr(wakeup.time, 'time', lambda: self.now)
        monkeypatch.setenv('JUJU_CONTEXT_ID', HOOK)
        monkeypatch.setenv('JUJU_VERSION', '3.6.1')
        self.monkeypatch = monkeypatch

    @property
    def file(self):
        return self.place / '.coordinator.wake-up'

    def hook(self, seconds, context=HOOK, saves=True):
        """Run a hook that keeps the lock, from its begin to its end."""
        self.monkeypatch.setenv('JUJU_CONTEXT_ID', context)
        wake_up = wakeup.WakeUp(str(self.file), 'app/3', self._note, self.logged.append)
        wake_up.withdraw()
        wake_up.arrange(seconds)
        self.kept.update(self.unsaved if saves else {})

    def _note(self, key, value):
        if self.reactive:
            self.unsaved[key] = value
        return self.reactive

    def counts(self, token):
        return wakeup.counts(str(self.file), token, self.kept.get)

    @property
    def tokens(self):
        """The tokens of all timers that were set, in order."""
        set_by = [argv for argv in self.machine.ran if argv[0] == 'systemd-run'] or self.machine.left
        return [argv[-1].split(' ')[-1] for argv in set_by]


@pytest.fixture
def unit(tmp_path, monkeypatch):
    return Unit(tmp_path, monkeypatch, Machine())


def test_systemd_starts_juju_exec_when_the_timer_ends_and_no_later_than_a_second_after(unit):
    unit.hook(20)

    (token,) = unit.tokens
    assert unit.machine.ran == [
        [
            'systemd-run', '--quiet', '--collect', '--unit=coordinator-wake-up-app-3-' + token,
            '--on-active=20s', '--timer-property=AccuracySec=1s', '--',
            '/usr/bin/juju-exec', 'app/3', '{}/hooks/coordinator-wake-up {}'.format(unit.place, token),
        ]
    ]  # fmt: skip
    assert unit.machine.left == []
    assert unit.counts(token)


@pytest.mark.parametrize('systemd', [True, False])
def test_where_systemd_is_not_there_or_refuses_a_shell_sleeps_and_then_becomes_juju_exec(
    tmp_path, monkeypatch, systemd
):
    unit = Unit(tmp_path, monkeypatch, Machine(systemd=systemd, works=False))
    unit.hook(20)

    (argv,) = unit.machine.left
    assert argv[2:] == ['sleep "$1"; shift; exec "$@"', 'sh', '20', '/usr/bin/juju-exec', 'app/3', argv[-1]]
    assert unit.counts(argv[-1].split(' ')[-1])


def test_that_shell_runs_the_command_that_it_was_given(tmp_path):
    argv = ['sh', '-c', wakeup.LATER, 'sh', '0', 'touch', str(tmp_path / 'a b')]

    assert subprocess.call(argv, env=wakeup.ENVIRONMENT) == 0
    assert (tmp_path / 'a b').exists()


@pytest.mark.parametrize(
    'version, program', [('2.9.49', 'juju-run'), ('3.1.0', 'juju-exec'), ('4.0.14', 'juju-exec')]
)
def test_the_program_is_juju_run_on_2_9(unit, monkeypatch, version, program):
    monkeypatch.setenv('JUJU_VERSION', version)
    unit.hook(1)

    assert unit.machine.ran[0][-3] == '/usr/bin/' + program


def test_a_unit_that_cannot_set_a_timer_goes_on_without(unit, monkeypatch):
    def refuse(*_, **__):
        raise FileNotFoundError('sh')

    unit.machine.works = False
    monkeypatch.setattr(wakeup, 'Popen', refuse)
    unit.hook(20)

    assert unit.logged == ['this unit cannot wake itself in 20 s; it looks again at update-status']
    assert not unit.file.exists()


# Which one counts


def test_a_timer_that_ends_early_enough_stays_and_an_earlier_one_takes_its_place(unit):
    unit.hook(20)
    unit.hook(20, context='second')
    unit.hook(None, context='third')
    (first,) = unit.tokens
    assert unit.counts(first)

    unit.hook(19, context='fourth')

    assert unit.machine.ran[1] == ['systemctl', 'stop', 'coordinator-wake-up-app-3-{}.timer'.format(first)]
    first, second = unit.tokens
    assert [unit.counts(first), unit.counts(second)] == [False, True]


def test_after_a_timer_has_ended_the_next_one_is_set_without_stopping_it(unit):
    unit.hook(20)
    unit.now += 20
    unit.hook(20, context='woken')

    assert [argv[0] for argv in unit.machine.ran] == ['systemd-run'] * 2
    assert len(set(unit.tokens)) == 2


def test_a_hook_that_keeps_nothing_leaves_no_wake_up_that_counts(unit):
    unit.hook(20)
    (token,) = unit.tokens
    wakeup.WakeUp(str(unit.file), 'app/3', unit._note, unit.logged.append).withdraw()

    assert not unit.counts(token)
    unit.hook(None, context='kept again')
    assert unit.counts(token)


def test_a_wake_up_does_not_count_if_the_flags_of_the_hook_that_kept_it_were_not_saved(unit):
    unit.hook(20, saves=False)
    (token,) = unit.tokens
    assert not unit.counts(token)

    unit.hook(20, context='retry')
    assert unit.counts(token)
    unit.hook(20, context='another', saves=False)
    assert not unit.counts(token)


def test_where_nobody_saves_flags_no_wake_up_counts(unit):
    unit.reactive = False
    unit.hook(20)

    assert not unit.counts(unit.tokens[0])


@pytest.mark.parametrize('token', ['', 'another', '-'])
def test_no_other_token_counts(unit, token):
    assert not unit.counts(token)
    unit.hook(20)
    assert not unit.counts(token)


# The script


SAID = wire.said_text(Said('0a1b2c3d'))


@pytest.fixture
def charm(tmp_path):
    """A charm's directory with the script, an ordinary hook, and a relation-get that answers from a file."""
    for name, text in [
        ('hooks/coordinator-relation-broken', '#!/bin/sh\necho "$JUJU_HOOK_NAME $COORDINATOR_WAKE_UP"\n'),
        ('bin/relation-get', '#!/bin/sh\necho "$@" > "{0}/called"\ncat "{0}/answer"\n'.format(tmp_path)),
    ]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(charm, name='abc'):
    """Run the script in a charm's directory; return what the ordinary hook prints, '' if it does not run."""
    env = {
        'JUJU_CHARM_DIR': str(charm),
        'JUJU_UNIT_NAME': 'app/3',
        'PATH': '{}/bin:{}'.format(charm, os.environ['PATH']),
    }
    found = subprocess.run(
        [str(ROOT / 'hooks' / 'coordinator-wake-up'), name],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return found.stdout


def noted(charm, told='', counts='abc', known=''):
    """Write the files of a hook that has succeeded."""
    note = wakeup.Noted(counts, known, HOOK, TIMER)
    (charm / '.coordinator.wake-up').write_text(wakeup.text(note))
    (charm / '.coordinator.wake').write_text('wake-1 all end\n\n{}\n\n\n'.format(told))


def test_the_wake_up_that_counts_runs_the_ordinary_hook(charm):
    noted(charm)

    assert run(charm) == 'coordinator-wake-up abc\n'
    assert run(charm, 'another') == ''
    assert run(charm, '') == ''


def test_it_leaves_once_a_hook_has_begun(charm):
    noted(charm, counts='')

    assert run(charm) == ''
    assert run(charm, '') == ''


def test_it_leaves_where_a_file_is_missing(charm):
    noted(charm)
    (charm / '.coordinator.wake').unlink()
    assert run(charm) == ''
    noted(charm)
    (charm / '.coordinator.wake-up').unlink()
    assert run(charm) == ''


def test_it_leaves_where_juju_has_put_another_charm(charm):
    (charm / '.juju-charm').write_text('local:app-2\n')
    for known, runs in [('local:app-2', True), ('local:app-1', False), ('', False)]:
        noted(charm, known=known)
        assert bool(run(charm)) is runs
    (charm / '.juju-charm').unlink()
    noted(charm, known='local:app-2')
    assert run(charm) == ''


def test_it_leaves_where_juju_does_not_have_what_the_hook_before_it_said(charm):
    for has, runs in [(SAID, True), (SAID + ' ', False), ('', False)]:
        (charm / 'answer').write_text(as_json(has))
        noted(charm, told='coordinator:1 ' + as_json(SAID).strip())

        assert bool(run(charm)) is runs
        called = (charm / 'called').read_text()
        assert called == '--format json -r coordinator:1 coordinator-claims app/3\n'
