"""What the layer options choose: a policy, or a class of the charm's own.

What lives here: from options to a session and an instance. What must not: a
rule, what a coordinator does.

A class may derive from ours, or from charmhelpers.coordinator.BaseCoordinator:
then ours is put between that one and the class, so that each `super()` call of
the class ends in this layer, and charmhelpers' own state is never touched.
"""

from importlib import import_module
from typing import Any, List, Mapping

from charmhelpers.core import hookenv
from charms.layer.coordinator import juju, policy
from charms.layer.coordinator.compat.classes import (
    BaseCoordinator,
    Coordinator,
    Serial,
    SimpleCoordinator,
    opened,
)
from charms.layer.coordinator.compat.predecessor import OldJuju


class Choice:
    """What the options of this charm choose.

    Args:
        options: the layer options.

    Attributes:
        session: the layer's session in this hook.
        instance: a coordinator object on it, for charm code that calls methods.
        own: the same where it is of the charm's own class, else None.

    Raises:
        ValueError: for a layer option that does not exist or is not allowed.
        RuntimeError: below Juju 2.9.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        chosen, port = policy.from_options(options), OldJuju()
        port.least = options.get('log_level', policy.DEFAULTS['log_level']).upper()
        path = policy.own_class(options)
        self.own = _made(_loaded(path), port) if path else None
        if self.own:
            _known_as_the_one(self.own)
            self.session = opened(port, self.own.policy(), self.own.msg)
        else:
            self.session = opened(port, policy.Policy() if path else chosen, port.log)
        ours = Serial if options.get('class') in policy.SERIAL else SimpleCoordinator
        self.instance: Any = self.own or _made(ours, port)
        self.instance.use(self.session)

    def begin(self) -> None:
        """Let handlers use turns from now on, and an own class do what it does at the start of a hook."""
        if self.own:
            self.own.tolerating(self.own.initialize)
            self.own.tolerating(self.own.handle)
        self.session.begin()

    def end(self) -> None:
        """Release what is held and not kept, by the own class if there is one."""
        if self.own:
            self.own.finish()
        else:
            self.session.end()
        self.session.hide()


_CHOSEN: List[Choice] = []


def chosen() -> Choice:
    """Return what the layer options chose; the first question of a process looks at what is true now.

    Raises:
        ValueError: for a layer option that does not exist or is not allowed.
        RuntimeError: below Juju 2.9.
    """
    if not _CHOSEN:
        from charms.layer import options  # type: ignore[attr-defined]  # of layer:basic

        _CHOSEN.append(Choice(options.get('coordinator') or {}))
    return _CHOSEN[0]


def _loaded(path: str) -> Any:
    """Return the class at a dotted path, with this layer below it.

    Raises:
        ValueError: where there is none, or it is no coordinator.
    """
    module, name = path.rsplit('.', 1)
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as missing:
        raise policy.no_such_class(path, str(missing)) from missing
    bases = found.__mro__ if isinstance(found, type) else ()
    if BaseCoordinator in bases:
        return found
    if any(base.__module__ == 'charmhelpers.coordinator' for base in bases):
        return _on_ours(found)
    raise policy.no_such_class(path, repr(found))


def _on_ours(theirs: Any) -> Any:
    """Return a subclass of the class whose `super()` calls end in ours, before charmhelpers' own methods."""
    from charmhelpers.coordinator import BaseCoordinator as Base

    kind: Any = type(theirs)
    between = kind('Between', (Coordinator, Base), {})
    bases = (between,) if theirs is Base else (theirs, between)
    return kind(theirs.__name__, bases, {'__module__': theirs.__module__, 'built': theirs})


def _made(cls: Any, port: juju.Juju) -> Any:
    """Return the one instance of a class, which the layer calls; None where it cannot work on this Juju."""
    try:
        return cls.led_by_layer()
    except (NotImplementedError, FileNotFoundError) as missing:
        sentence = (
            'class {}: it needs what this Juju does not have ({}); the unit goes on without it, '
            'and one unit at a time holds locks'
        )
        port.log(sentence.format(cls.__name__, missing), hookenv.ERROR)
        return None


def _known_as_the_one(instance: Any) -> None:
    """Let whoever builds one of the charm's own class from now on get this one."""
    cls: Any = type(instance)
    kind: Any = type(cls)
    kind._instances[getattr(cls, 'built', cls)] = instance
