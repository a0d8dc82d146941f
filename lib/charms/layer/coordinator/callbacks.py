"""When charmhelpers begins to run its callbacks for the end of a hook.

What lives here: hookenv's list of callbacks, which charmhelpers has no public way to watch.
What must not: a rule, a hook tool.
"""

from typing import Any, Callable, List

from charmhelpers.core import hookenv


class Callbacks(list):  # type: ignore[type-arg]
    """hookenv's callbacks for the end of the hook; the list tells when charmhelpers begins to run them.

    charmhelpers iterates over them with `reversed`, and has no public way to tell.
    """

    def __reversed__(self) -> Any:
        for tell in _TO_TELL:
            tell()
        return super().__reversed__()


_TO_TELL: List[Callable[[], None]] = []


def when_they_begin(tell: Callable[[], None]) -> None:
    """Call `tell` when all handlers of the hook have succeeded, before any callback runs."""
    hookenv._atexit = Callbacks(hookenv._atexit)
    _TO_TELL.append(tell)
