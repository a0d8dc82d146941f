"""What the layer options choose: a policy, or a class of the charm's own.

What lives here: from options to a policy or an instance. What must not: a
rule, what a coordinator does.

A class may derive from ours, or from charmhelpers.coordinator.BaseCoordinator:
then ours is put between that one and the class, so that each `super()` call of
the class ends in this layer, and charmhelpers' own state is never touched.
"""

from importlib import import_module
from typing import Any, Mapping

from charms.layer.coordinator import juju, policy
from charms.layer.coordinator.classes import BaseCoordinator, Coordinator, Serial, SimpleCoordinator
from charms.layer.coordinator.here import Here


class Choice:
    """What the options of this charm choose.

    Args:
        here: the layer's coordinator in this hook.
        instance: a coordinator object on it, for charm code that calls methods.
        own: the same where it is of the charm's own class, else None.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        chosen = policy.from_options(options)
        juju.log_from(options.get('log_level', policy.DEFAULTS['log_level']))
        path = policy.own_class(options)
        self.own = _made(_loaded(path)) if path else None
        if self.own:
            _known_as_the_one(self.own)
            self.here = Here(juju.Juju(), self.own.policy(), self.own.msg)
        else:
            self.here = Here(juju.Juju(), policy.Policy() if path else chosen)
        ours = Serial if options.get('class') in policy.SERIAL else SimpleCoordinator
        self.instance: Any = self.own or _made(ours)
        self.instance._here = self.here


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


def _made(cls: Any) -> Any:
    """Return the one instance of a class, which the layer leads; None where it cannot work on this Juju."""
    instance = cls.__new__(cls)
    instance._led_by_layer = True
    try:
        instance.__init__(peer_relation_name=juju.PEERS)
    except (NotImplementedError, FileNotFoundError) as missing:
        sentence = (
            'class {}: it needs what this Juju does not have ({}); the unit goes on without it, '
            'and one unit at a time holds locks'
        )
        juju.log(sentence.format(cls.__name__, missing), 'ERROR')
        return None
    return instance


def _known_as_the_one(instance: Any) -> None:
    """Let whoever builds one of the charm's own class from now on get this one."""
    cls: Any = type(instance)
    kind: Any = type(cls)
    kind._instances[getattr(cls, 'built', cls)] = instance
