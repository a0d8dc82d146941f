"""Put into the example charm by `make on-juju`: its restarts are work of some seconds, written down.

Each work is two lines of the file `work-record` in the charm's folder, `begin` and `end CODE`, with
the hook's context and the unit's clock; the same goes to the log, for a unit that is removed later.
While there is a file `work-fails` beside it, the work fails.
"""

import os
import time
from subprocess import CalledProcessError, call

from charmhelpers.core import hookenv

WORK_S = 10.0


def check_call(argv):
    """Do what stands for the example's programs: `systemctl restart` is work, and `start` takes no time."""
    if 'restart' not in argv:
        return 0
    _write('begin')
    code = call(['sleep', str(WORK_S)])
    if os.path.exists('work-fails'):
        code = 1
    _write('end {}'.format(code))
    if code:
        raise CalledProcessError(code, argv)
    return 0


def _write(what):
    line = '{:.3f} {} {}'.format(time.time(), os.environ.get('JUJU_CONTEXT_ID', '-'), what)
    with open('work-record', 'a') as record:
        record.write(line + '\n')
        record.flush()
        os.fsync(record.fileno())
    hookenv.log('work: ' + line)
