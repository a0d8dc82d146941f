"""A rolling restart: the first start needs no lock, a later change of the configuration asks for it."""

from subprocess import check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator
from charms.reactive import hook, set_flag, when, when_not


@hook('start')
def start():
    write_config()
    check_call(
        ['systemctl', 'start', 'rolling-db']
    )  # nobody uses this unit yet, so it need not wait for others
    set_flag('rolling-db.started')
    hookenv.status_set('active', 'started')


@when('rolling-db.started', 'config.changed')
def reconfigure():
    write_config()
    coordinator.request_lock('restart')


@when('coordinator.granted.restart')
def restart():
    hookenv.status_set('maintenance', 'restarting')
    check_call(['systemctl', 'restart', 'rolling-db'])  # if it fails, so does the hook, and the roll stops
    hookenv.status_set('active', 'restarted')


@when('coordinator.rolled.restart')
def rolled():
    hookenv.log('the roll is over')  # on the leader, after coordinator-roll lock=restart


@when('coordinator.requested.restart')
@when_not('coordinator.granted.restart')
def wait():
    hookenv.status_set('waiting', coordinator.explain('restart'))


def write_config():
    with open('rolling-db.conf', 'w') as conf:
        conf.write('memory = {}\n'.format(hookenv.config('memory')))
