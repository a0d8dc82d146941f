#!/usr/bin/env -S PYTHONPATH=lib python3
"""Every hook of this charm; each hook's file is a link to this one."""

import collections
import collections.abc
import os
from subprocess import check_call

if not hasattr(collections, 'Iterable'):  # charmhelpers 1.2.1 looks for it where Python 3.9 had it last
    collections.Iterable = collections.abc.Iterable

from charmhelpers.core import hookenv, services
from charms.layer import coordinator


def maybe_restart(service):
    serial = coordinator.Serial()
    if hookenv.config('go') and hookenv.config('go') != restarted_for():
        serial.acquire('restart')
    if serial.granted('restart'):
        check_call(['systemctl', 'restart', service])
        with open('restarted-for', 'w') as kept:
            kept.write(str(hookenv.config('go')))


def restarted_for():
    if not os.path.exists('restarted-for'):
        return 0
    with open('restarted-for') as kept:
        return int(kept.read())


if __name__ == '__main__':
    _ = coordinator.Serial()  # before manage(): it books its own look at the start of the hook
    services.ServiceManager(
        [{'service': 'services-db', 'data_ready': [maybe_restart], 'start': [], 'stop': []}]
    ).manage()
