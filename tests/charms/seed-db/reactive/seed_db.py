"""A rolling restart with charmhelpers.coordinator.Serial, as its own documentation describes it."""

import os
from subprocess import check_call

from charmhelpers.coordinator import Serial
from charmhelpers.core import hookenv
from charms.reactive import clear_flag, set_flag, when

# It asks /var/lib/juju for the version of an agent, which this machine has not.
hookenv.juju_version = lambda: os.environ['JUJU_VERSION']

coordinator = Serial()  # books its own initialize() and handle() at the start of the hook


@hookenv.atstart
def show_grant():
    if coordinator.granted('restart'):
        set_flag('seed.granted.restart')


@hookenv.atexit
def hide_grant():
    clear_flag('seed.granted.restart')


@when('config.changed')
def reconfigure():
    if hookenv.config('go'):
        hookenv.log('asks: restart')  # tests/campaigns/chaos.py keeps account of that
        if coordinator.acquire('restart'):
            set_flag('seed.granted.restart')
        hookenv.log('asked: restart')


@when('seed.granted.restart')
def restart():
    check_call(['systemctl', 'restart', 'restart'])
