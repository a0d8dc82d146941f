"""The three families of flags that charms see, and how they are brought up to date.

What lives here: flag names and charms.reactive. What must not: a rule.
"""

from typing import AbstractSet, Optional, Set

REQUESTED = 'coordinator.requested.'
GRANTED = 'coordinator.granted.'
ROLLED = 'coordinator.rolled.'
FAMILIES = (REQUESTED, GRANTED, ROLLED)


class Shown:
    """The flags as this hook has shown them.

    A flag that a handler has cleared itself stays so in this hook: if it were set again, its handler would
    run again, without end.
    """

    def __init__(self) -> None:
        self._wanted: Set[str] = set()
        self._last: Optional[Set[str]] = None
        self._busy = False

    def show(
        self,
        requested: AbstractSet[str],
        granted: AbstractSet[str],
        rolled: AbstractSet[str] = frozenset(),
        over: bool = False,
    ) -> None:
        """Set and clear flags until these locks are shown as requested, granted and rolled.

        Only flags that differ are touched: for every change charms.reactive writes a
        log line and tests all handlers again. It also runs the charm's triggers, which may release a lock
        and so come here once more; the call under way then shows that, too.

        Args:
            requested: the locks that are requested.
            granted: the locks that are held.
            rolled: the locks of which a roll is over.
            over: whether all handlers have run, so that what they have set and cleared themselves is undone.
        """
        from charms.reactive import flags  # not before a reactive hook needs it

        families = zip(FAMILIES, (requested, granted, rolled))
        self._wanted = {family + lock for family, locks in families for lock in locks}
        if self._busy:
            return
        self._busy = True
        try:
            shown = self._last = present() if over or self._last is None else self._last
            while shown != self._wanted:
                gone = shown - self._wanted
                flag = min(gone or self._wanted - shown)
                (flags.clear_flag if gone else flags.set_flag)(flag)
                shown ^= {flag}
        finally:
            self._busy = False


def present() -> Set[str]:
    """Return those flags of these families that are set."""
    from charms.reactive import flags  # as above

    return {flag for flag in flags.get_flags() if flag.startswith(FAMILIES)}
