"""A unit that keeps a lock wakes itself (wakeup.py): what that costs, and what it must not do."""

import shlex

import pytest

from tests.cases import ASK, StrictWatch, both, in_error, until
from tests.deploy import machine as programs
from tests.deploy import said

HOLD = """
from subprocess import call

@when('coordinator.granted.a')
def work():
    if not reactive.is_flag_set('restarted'):
        check_call(['work', '10'])
        reactive.set_flag('restarted')
    if call(['healthy']):
        coordinator.keep_lock('a', check_again_in=5)
    else:
        reactive.clear_flag('restarted')
"""
"""Restarts the service, and keeps the lock until the program `healthy` says so."""

SLEEPS = """
from subprocess import call
from time import sleep

@when('coordinator.granted.a')
def work():
    check_call(['work', '10'])
    while call(['healthy']):
        sleep(5)
"""
"""The same, in one hook: the handler sleeps until the service is healthy."""

HEALTHY_S = 20.0


class WakeUp:
    """One wake-up, from its first line to its end.

    Attributes:
        in_error: whether the unit was in error when it began.
        programs: what it ran of the machine, without the timers.
        end: '' for success, otherwise its exit code or how it died.
    """

    def __init__(self, unit, in_error):
        self.unit, self.in_error, self.programs, self.end = unit, in_error, [], None


class WakeWatch(StrictWatch):
    """A strict watch of units that work until they are healthy; a wake-up is a hook, too."""

    def __init__(self, juju):
        super().__init__(juju, until='healthy')
        self.wake_ups, self.healthy = [], set()

    def _see(self, event):
        last = next((each for each in reversed(self.wake_ups) if each.unit == event.unit), None)
        if event.text.startswith('exec script'):
            if event.what == 'begins':
                self.wake_ups.append(WakeUp(event.unit, in_error(self.juju, event.unit)))
            else:
                last.end = event.text[len('exec script') :]
            ended = event.what == 'ran' and not last.end
            event = event._replace(text='wake-up', what='ends' if ended else event.what)
        elif event[1:] == (event.unit, 'worked', 'healthy'):
            self.healthy.add(event.unit)
        elif event.what == 'works' and last and last.end is None and not is_timer(event.text.split()):
            last.programs.append(event.text)
        super()._see(event)

    @property
    def early(self):
        """The wake-ups that began between a failed hook and its retry."""
        return [each for each in self.wake_ups if each.in_error]


def is_timer(argv):
    return argv[0] in ('systemd-run', 'sh') or argv[:2] == ['systemctl', 'stop']


class Machines:
    """Machines whose systemd knows timers and whose shell can sleep, as the layer uses them, and no more.

    Args:
        timers: whether these machines have timers of their own; otherwise the local Juju's are used.
        healthy_s: how long after the restart of a service the program `healthy` succeeds.
    """

    def __init__(self, healthy_s=HEALTHY_S, timers=False):
        self.model, self.healthy_s, self.own = None, healthy_s, timers
        self.restarted, self.timers, self.fired = {}, [], []

    def __call__(self, unit, argv):
        if argv == ['healthy']:
            return 0.0, int(self.model.now < self.restarted[unit] + self.healthy_s)
        if argv[0] == 'work':
            self.restarted[unit] = self.model.now + float(argv[1])
        if not self.own and is_timer(argv):
            return None
        if argv[0] == 'systemd-run':
            return self._systemd_run(unit, argv[1:])
        if argv[:2] == ['sh', '-c'] and argv[2:4] == ['sleep "$1"; shift; exec "$@"', 'sh']:
            return self._later(unit, float(argv[4]), argv[5:])
        if argv[:2] == ['systemctl', 'stop'] and argv[2].endswith('.timer'):
            return 0.01, 0
        return programs(unit, argv)

    def _systemd_run(self, unit, argv):
        place = argv.index('--')
        flags = dict(word.partition('=')[::2] for word in argv[:place])
        assert set(flags) == {'--quiet', '--collect', '--unit', '--on-active', '--timer-property'}
        assert flags['--on-active'].endswith('s')
        assert flags['--timer-property'] == 'AccuracySec=1s'
        return self._later(unit, float(flags['--on-active'][:-1]), argv[place + 1 :])

    def _later(self, unit, seconds, command):
        """Run juju-exec, or juju-run of 2.9, after some seconds; it waits for a hook under way."""
        juju_exec = '/usr/bin/juju-run' if self.model.version.startswith('2.') else '/usr/bin/juju-exec'
        assert command[:2] == [juju_exec, unit]
        script, _ = shlex.split(command[2])
        assert script.endswith('/charm/hooks/coordinator-wake-up')
        self.timers.append((unit, self.model.now + seconds))
        self.model.at(self.model.now + seconds, lambda: self.fire(unit, command[2]))
        return 0.01, 0

    def fire(self, unit, script):
        if unit in self.model.agents:  # otherwise juju-exec finds no such unit
            self.fired.append((unit, self.model.now))
            self.model.run_exec(unit, '#!/bin/sh\nexec {}\n'.format(script))


@pytest.fixture
def waking(model, charm_with):
    """Makes a model of units that may wake themselves; `.machine` has their timers."""

    def make(plan, juju, units=3, **options):
        machines = Machines(options.pop('healthy_s', HEALTHY_S), options.pop('timers', False))
        charm = charm_with(plan)
        made = model(charm, units=units, juju=juju, machine=machines, **options)
        machines.model = made
        made.run()
        return made

    return make


def holding(made):
    """Let all units ask; return a watch, and the unit that holds the lock once it has woken itself."""
    watch = WakeWatch(made)
    made.configure(go=1)
    until(made, lambda: any(each.end == '' and each.programs for each in watch.wake_ups))
    return watch, watch.wake_ups[-1].unit


def finish(made, watch, *more):
    """Let all units be served, these once more than the others, and check that no two worked together."""
    expected = {unit: 1 + (unit in more) for unit in made.units}
    made.run(until=lambda: len(watch.turns) >= sum(expected.values()) or made.now > watch.since + 5000)
    watch.check()
    assert {unit: watch.served(unit) for unit in made.units} == expected, made.story(60)


def roll(made):
    """Let all units ask, and return a watch of what they do until they are done."""
    watch = WakeWatch(made)
    made.configure(go=1)
    finish(made, watch)
    return watch


@both
def test_ten_units_that_hold_until_healthy_take_hardly_longer_than_where_the_handler_sleeps(waking, juju):
    sleeping, woken = (roll(waking(ASK + plan, juju, units=10)) for plan in (SLEEPS, HOLD))

    assert woken.duration_s <= 1.15 * sleeping.duration_s


MEDDLE = """
@when('config.changed.memory')
def meddle():
    check_call(['systemctl', 'start', 'other'])
"""


@both
def test_a_wake_up_between_a_failed_hook_and_its_retry_leaves_before_any_handler(waking, juju):
    made = waking(ASK + HOLD + MEDDLE, juju, healthy_s=60)
    watch, unit = holding(made)
    made.fail_command(unit, 'systemctl start other', times=4)
    made.configure(memory=2)
    until(made, lambda: bool(watch.early) and watch.early[-1].end is not None)

    assert in_error(made, unit)
    assert [(each.programs, each.end) for each in watch.early] == [([], '')]
    since = made.now
    until(made, lambda: not in_error(made, unit))
    assert watch.at_work == {unit}
    finish(made, watch)
    assert [each for each in watch.early if each.programs] == [], since


LAST = """

def last():
    check_call(['systemctl', 'start', 'last'])

hookenv.atexit(last)
"""
"""A callback that runs after those of the layer, and before charms.reactive saves the flags."""


@both
def test_a_wake_up_of_a_hook_whose_flags_were_not_saved_ends_before_any_handler(waking, juju):
    made = waking(ASK + HOLD.replace('in=5', 'in=2') + LAST, juju, healthy_s=100)
    watch, unit = holding(made)
    made.fail_command(unit, 'systemctl start last', times=2)
    made.configure(memory=2)
    until(made, lambda: bool(watch.early) and watch.early[-1].end is not None)

    assert all(each.programs == [] for each in watch.early)
    assert {each.end for each in watch.early} <= {'', ': exit 75'}  # the script may see it before Python does
    assert watch.at_work == {unit}
    finish(made, watch)


@both
def test_what_a_wake_up_tells_the_others_is_true_for_the_unit_though_a_callback_fails_then(waking, juju):
    made = waking(ASK + HOLD + LAST, juju)
    watch, unit = holding(made)
    until(made, lambda: unit in watch.healthy)
    made.fail_command(unit, 'systemctl start last')
    until(made, lambda: watch.wake_ups[-1].end == ': exit 1')
    since = made.now
    made.run(seconds=1000)

    later = [event for event in made.history if event.unit == unit and event.time > since]
    assert [event.text for event in later if event.what == 'works' and event.text == 'healthy'] == []
    assert [watch.juju.log_of(each, 'a: released') for each in made.units].count([]) == 0


@both
def test_a_wake_up_that_fails_as_it_publishes_its_end_has_saved_no_granted_flag(waking, juju):
    made = waking(ASK + HOLD, juju)
    watch, unit = holding(made)
    until(made, lambda: unit in watch.healthy)
    made.fail_tool(unit, 'relation-set')
    until(made, lambda: watch.wake_ups[-1].end == ': exit 1')
    assert [flag for flag in made.flags_of(unit) if flag.startswith('coordinator.granted.')] == []


@both
def test_a_wake_up_leaves_if_juju_lacks_what_the_hook_before_it_said(waking, juju):
    made = waking(ASK + HOLD.replace('in=5', 'in=2'), juju)
    watch = WakeWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(watch.at_work))
    unit = next(iter(watch.at_work))
    made.lose_commit(unit)
    until(made, lambda: bool(watch.wake_ups) and watch.wake_ups[-1].end is not None)

    assert [(each.unit, each.in_error, each.programs, each.end) for each in watch.wake_ups] == [
        (unit, True, [], '')
    ]
    finish(made, watch)


RELEASE = HOLD.replace(
    '    else:\n',
    """        return
    coordinator.release_lock('a')
    check_call(['systemctl', 'start', 'last'])
    if True:
""",
)


@both
def test_what_a_wake_up_released_and_then_failed_is_not_free(waking, juju):
    made = waking(ASK + RELEASE, juju)
    watch, unit = holding(made)
    made.fail_command(unit, 'systemctl start last')
    until(made, lambda: watch.wake_ups[-1].end == ': exit 1')

    since = made.now
    until(made, lambda: bool(watch.turns))
    assert made.now - since > 20  # until then the others wait: this unit was healthy, and not done
    finish(made, watch, unit)


@both
@pytest.mark.parametrize('call', range(1, 6))
def test_a_wake_up_that_is_killed_at_any_of_its_calls_neither_frees_nor_loses_the_turn(waking, juju, call):
    made = waking(ASK + HOLD, juju, healthy_s=8, units=2)
    watch, calls = WakeWatch(made), []

    def kill(execution, argv):
        if execution.title == 'exec script' and execution.operation.script not in killed:
            calls.append(argv[0])
            if len(calls) == call:
                killed.add(execution.operation.script)
                calls.clear()
                made.kill_hook(execution.unit)

    killed = set()
    made.calls_everywhere = kill
    made.configure(go=1)
    finish(made, watch)
    assert len(killed) >= 2


@both
def test_a_wake_up_leaves_where_juju_has_put_another_charm(waking, juju):
    made = waking(ASK + HOLD, juju)
    for unit in made.units:
        (made._charm_dir(unit) / '.juju-charm').write_text('local:app-1\n')
    watch, unit = holding(made)
    count = len(watch.wake_ups)
    (made._charm_dir(unit) / '.juju-charm').write_text('local:app-2\n')
    until(made, lambda: len(watch.wake_ups) > count and watch.wake_ups[-1].end is not None)
    assert (watch.wake_ups[-1].programs, watch.wake_ups[-1].end) == ([], '')

    made.upgrade(unit)
    finish(made, watch)


@both
@pytest.mark.parametrize('force', [False, True])
def test_a_wake_up_of_a_unit_that_is_removed_does_no_harm(waking, juju, force):
    made = waking(ASK + HOLD, juju, healthy_s=60)
    watch, unit = holding(made)
    (made.lose_unit(unit, force=True) if force else made.remove_unit(unit))
    made.run(seconds=2000)

    assert unit not in made.units
    assert [watch.served(each) for each in made.units] == [1, 1], made.story(60)


@both
def test_each_wake_up_counts_once(waking, juju):
    made = waking(ASK + HOLD, juju, timers=True)
    fire = made.machine.fire
    made.machine.fire = lambda unit, script: [fire(unit, script) for _ in range(3)]
    watch = roll(made)
    made.run(seconds=10)

    begun = [made.log_of(unit, 'running for hook coordinator-wake-up') for unit in made.units]
    assert sum(map(len, begun)) == len(made.machine.timers) == len(watch.wake_ups) / 3 > 0


EARLIER = HOLD.replace('check_again_in=5', "check_again_in=3 if hookenv.config('memory') == 2 else 40")


@both
def test_of_two_wake_ups_the_earlier_one_counts(waking, juju):
    made = waking(ASK + EARLIER, juju, units=1, healthy_s=11, timers=True)
    watch = WakeWatch(made)
    made.configure(go=1)
    until(made, lambda: bool(made.machine.timers))
    made.configure(memory=2)
    finish(made, watch)
    made.run(seconds=60)

    asked = [round(due - watch.since) for _, due in made.machine.timers]
    ran = [bool(each.programs) for each in watch.wake_ups]
    assert (len(asked), ran) == (4, [True] * 3 + [False]), made.story(40)


ASK_B = """
@when('coordinator.granted.a')
def ask_b():
    if hookenv.hook_name() == 'coordinator-wake-up' and not reactive.is_flag_set('asked'):
        reactive.set_flag('asked')
        hookenv.log('told {}'.format(coordinator.request_lock('b')))

@when('coordinator.granted.b')
def work_b():
    hookenv.log('works in {}'.format(hookenv.hook_name()))
"""


@both
def test_no_turn_begins_in_a_wake_up(model, charm_with, juju):
    machines = Machines()
    made = machines.model = model(
        charm_with(ASK + HOLD + ASK_B, queues='per-lock'), units=1, juju=juju, machine=machines
    )
    made.run()
    made.configure(go=1)
    made.run(seconds=1000)

    assert said(made, 'app/0', 'told ') == ['False']
    (hook,) = said(made, 'app/0', 'works in ')
    assert hook != 'coordinator-wake-up'


HOLD_AND_B = """
@when('config.changed.go')
def ask_both():
    if hookenv.config('go') and hookenv.local_unit() == 'app/0':
        coordinator.request_lock('a')
        coordinator.request_lock('b')

@when('coordinator.granted.b')
def work_b():
    hookenv.log('works in {}'.format(hookenv.hook_name()))
"""


@both
def test_nor_does_one_whose_pause_has_ended(model, charm_with, juju):
    """The wake-up reads that in the ledger before Juju runs the hook that tells of it."""
    machines = Machines(healthy_s=300)
    plan = HOLD + HOLD_AND_B
    made = machines.model = model(
        charm_with(plan, queues='per-lock'), units=2, juju=juju, machine=machines, delay_s=(8.0, 8.0)
    )
    made.elect('app/1')
    made.run()
    made.run_action('app/1', 'coordinator-pause', lock='b')
    made.run()
    made.configure(go=1)
    made.run(seconds=60)

    made.run_action('app/1', 'coordinator-resume', lock='b')
    made.run(seconds=1000)

    (hook,) = said(made, 'app/0', 'works in ')
    assert hook != 'coordinator-wake-up'


@both
def test_a_lock_that_is_not_held_brings_no_wake_up(waking, juju):
    made = waking(
        "\n@when('config.changed.go')\ndef ask():\n    coordinator.keep_lock('a', check_again_in=1)\n",
        juju,
        timers=True,
    )
    made.configure(go=1)
    made.run(seconds=10)

    assert made.machine.timers == []
