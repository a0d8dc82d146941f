"""The old layer's module, for charms that were written for it; see docs/compatibility.md.

It gives the old names to `charms.layer.coordinator`: a lock asked for here is
the same lock there. Importing it runs nothing else, so charms.reactive can import
it at discovery, and so can the module of a class that the layer options name.
"""

from typing import Any

from charms.layer.coordinator import SimpleCoordinator
from charms.layer.coordinator.compat.choice import chosen

__all__ = ['SimpleCoordinator', 'acquire', 'coordinator', 'log']


def acquire(lock: str) -> bool:
    """Ask for a lock once, without waiting; return whether this unit holds it now.

    Sets the flag `coordinator.requested.LOCK` until the turn is used and
    released, and `coordinator.granted.LOCK` in the hooks in which the lock is held.

    Raises:
        ValueError: for a name that is not a lock name.
    """
    return bool(coordinator.acquire(lock))


def log(sentence: str, level: str = 'INFO') -> None:
    """Log a sentence as the layer does, unless it is below the level that the layer options set."""
    chosen().session.port.log(sentence, level)


class _Coordinator:
    """The coordinator that the layer options choose, made when it is first used.

    It cannot be made earlier: the module of the class that they name may import this module.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(chosen().instance, name)


coordinator = _Coordinator()
