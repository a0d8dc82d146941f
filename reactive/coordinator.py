"""When the coordinator runs, and nothing about what it decides.

Every hook does the same: find out what is true now, and set the flags. The layer
depends on no particular event, so it can miss none.
"""

from charmhelpers.core import hookenv
from charms.layer import coordinator

# It runs before any handler, and books `end_hook`. If that is booked at the start of
# the hook, it runs before charms.reactive saves flags; booked at import, it would run
# after.
hookenv.atstart(coordinator.begin_hook)
