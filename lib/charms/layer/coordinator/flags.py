"""The three families of flags that charms see, and how they are brought up to date.

What lives here: flag names and charms.reactive. What must not: a rule.
"""

from typing import AbstractSet, Set

REQUESTED = 'coordinator.requested.'
GRANTED = 'coordinator.granted.'
ROLLED = 'coordinator.rolled.'
FAMILIES = (REQUESTED, GRANTED, ROLLED)


def show(
    requested: AbstractSet[str], granted: AbstractSet[str], rolled: AbstractSet[str] = frozenset()
) -> None:
    """Set and clear flags until exactly these locks are shown as requested, granted and rolled.

    Only flags that differ are touched: for every change charms.reactive writes a
    log line and tests all handlers again.
    """
    from charms.reactive import flags  # not before a reactive hook needs it

    families = zip(FAMILIES, (requested, granted, rolled))
    wanted = {family + lock for family, locks in families for lock in locks}
    before = present()
    for flag in sorted(before - wanted):
        flags.clear_flag(flag)
    for flag in sorted(wanted - before):
        flags.set_flag(flag)


def present() -> Set[str]:
    """Return those flags of these families that are set."""
    from charms.reactive import flags  # as above

    return {flag for flag in flags.get_flags() if flag.startswith(FAMILIES)}
