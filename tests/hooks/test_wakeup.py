"""A unit that keeps a lock wakes itself (wakeup.py): what that costs, and what it must not do."""

import shlex

import pytest

from tests.cases import ASK, StrictWatch, both
from tests.deploy import machine as programs

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


class WakeWatch(StrictWatch):
    """A strict watch of units that work until they are healthy; a wake-up is a hook, too."""

    def __init__(self, juju):
        super().__init__(juju, until='healthy')

    def _see(self, event):
        if event.text.startswith('exec script'):
            ended = event.what == 'ran' and event.text == 'exec script'
            event = event._replace(text='wake-up', what='ends' if ended else event.what)
        super()._see(event)


class Machines:
    """Machines whose systemd knows timers and whose shell can sleep, as the layer uses them, and no more.

    Args:
        healthy_s: how long after the restart of a service the program `healthy` succeeds.
    """

    def __init__(self, healthy_s=HEALTHY_S):
        self.model, self.healthy_s = None, healthy_s
        self.restarted, self.timers, self.fired = {}, [], []

    def __call__(self, unit, argv):
        if argv == ['healthy']:
            return 0.0, int(self.model.now < self.restarted[unit] + self.healthy_s)
        if argv[0] == 'work':
            self.restarted[unit] = self.model.now + float(argv[1])
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
        machines = Machines(options.pop('healthy_s', HEALTHY_S))
        charm = charm_with(plan)
        made = model(charm, units=units, juju=juju, machine=machines, **options)
        machines.model = made
        made.run()
        return made

    return make


def roll(made):
    """Let all units ask, and return a watch of what they do until they are done."""
    watch = WakeWatch(made)
    made.configure(go=1)
    made.run(until=lambda: len(watch.turns) == len(made.units) or made.now > watch.since + 5000)
    watch.check()
    assert [watch.served(unit) for unit in made.units] == [1] * len(made.units), made.story(60)
    return watch


@both
def test_ten_units_that_hold_until_healthy_take_hardly_longer_than_where_the_handler_sleeps(waking, juju):
    sleeping, woken = (roll(waking(ASK + plan, juju, units=10)) for plan in (SLEEPS, HOLD))
    print(sleeping.duration_s, woken.duration_s)
    assert woken.duration_s <= 1.15 * sleeping.duration_s
