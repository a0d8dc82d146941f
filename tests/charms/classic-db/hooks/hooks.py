#!/usr/bin/env -S PYTHONPATH=lib python3
"""Every hook of this charm; each hook's file is a link to this one."""

import os
import sys
from subprocess import check_call

from charmhelpers.core import hookenv
from charms.layer import coordinator

hooks = hookenv.Hooks()
serial = coordinator.Serial()  # before execute(): it books its own look at the start of the hook


def needs_restart():
    """Whether the service has not been restarted for the present configuration."""
    return hookenv.config('go') and hookenv.config('go') != restarted_for()


def restarted_for():
    if not os.path.exists('restarted-for'):
        return 0
    with open('restarted-for') as kept:
        return int(kept.read())


@serial.require('restart', needs_restart)
def maybe_restart():
    check_call(['systemctl', 'restart', 'classic-db'])
    with open('restarted-for', 'w') as kept:
        kept.write(str(hookenv.config('go')))


@hooks.hook(
    'install',
    'config-changed',
    'start',
    'stop',
    'remove',
    'update-status',
    'upgrade-charm',
    'leader-elected',
    'leader-settings-changed',
    'coordinator-relation-created',
    'coordinator-relation-joined',
    'coordinator-relation-changed',
    'coordinator-relation-departed',
)
def default_hook():
    maybe_restart()


if __name__ == '__main__':
    hooks.execute(sys.argv)
