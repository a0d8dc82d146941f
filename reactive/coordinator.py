"""When the coordinator runs, and nothing about what it decides.

Every hook is treated alike: look at what is true now, raise the flags. No
event is waited for, so none can be missed.
"""

from charmhelpers.core import hookenv
from charms.layer import coordinator

# Before any handler. It also books `end_hook`: booked from here, that runs
# before charms.reactive saves flags; booked at import, it would run after.
hookenv.atstart(coordinator.begin_hook)
