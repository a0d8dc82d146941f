"""A rolling restart in two handlers: ask when something changed, restart when it is this unit's turn."""

from subprocess import check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator
from charms.reactive import when, when_not


@when('config.changed')
def reconfigure():
    with open('rolling-db.conf', 'w') as conf:
        conf.write('memory = {}\n'.format(hookenv.config('memory')))
    coordinator.request_lock('restart')


@when('coordinator.granted.restart')
def restart():
    hookenv.status_set('maintenance', 'restarting')
    check_call(['systemctl', 'restart', 'rolling-db'])  # where it fails, so does the hook, and the roll stops
    hookenv.status_set('active', 'restarted')


@when('coordinator.requested.restart')
@when_not('coordinator.granted.restart')
def wait():
    hookenv.status_set('waiting', coordinator.explain('restart'))
