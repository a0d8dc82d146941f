"""Upgrade, restart, and hold the lock until the database is healthy: all in one turn of each unit."""

from subprocess import call, check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator
from charms.reactive import clear_flag, hook, is_flag_set, set_flag, when, when_not


@hook('start')
def start():
    check_call(['systemctl', 'start', 'careful-db'])  # nobody uses this unit yet
    set_flag('careful-db.started')
    hookenv.status_set('active', 'started')


@when('careful-db.started', 'config.changed')
def reconfigure():
    coordinator.request_lock('restart')


@hook('upgrade-charm')
def new_revision():
    coordinator.request_lock('upgrade')
    coordinator.request_lock('restart')  # all locks share one queue, so both come in the same turn


@when('coordinator.granted.upgrade')
def upgrade():
    hookenv.status_set('maintenance', 'upgrading')
    check_call(['apt-get', 'install', '--yes', 'careful-db'])
    coordinator.release_lock('upgrade')


@when('coordinator.granted.restart')
@when_not('coordinator.requested.upgrade')
def restart():
    if not is_flag_set('careful-db.restarted'):
        hookenv.status_set('maintenance', 'restarting')
        check_call(['systemctl', 'restart', 'careful-db'])  # if it fails, the roll stops
        set_flag('careful-db.restarted')
    if call(['db-is-healthy']):
        hookenv.status_set('maintenance', 'restarted, not healthy yet')
        coordinator.keep_lock('restart', check_again_in=5)  # this unit wakes itself, and looks again
    else:
        clear_flag('careful-db.restarted')  # the lock is released when this hook ends
        hookenv.status_set('active', 'restarted')


@when('coordinator.requested.restart')
@when_not('coordinator.granted.restart')
def wait():
    hookenv.status_set('waiting', coordinator.explain('restart'))
