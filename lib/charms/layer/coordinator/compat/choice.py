"""What the layer options choose: a policy, or a class of the charm's own.

What lives here: how options become a session and an instance. What must not: a
rule, what a coordinator does.
"""

from importlib import import_module
from typing import Any, List, Mapping, NamedTuple

from charms.layer.coordinator import environment, policy
from charms.layer.coordinator.compat.classes import BaseCoordinator, Coordinator, Serial, SimpleCoordinator
from charms.layer.coordinator.compat.predecessor import OldJuju
from charms.layer.coordinator.session import Session

NEEDS_MORE = 'class {}: it needs what this Juju does not have ({}); instead, one unit at a time holds locks'


class Choice(NamedTuple):
    """The session and the coordinator object that the options of this charm choose.

    Args:
        session: the layer's session in this hook.
        instance: a coordinator object that uses it, for charm code that calls methods.
        own: whether that object's class is the charm's own.
    """

    session: Session
    instance: Any
    own: bool

    def begin(self) -> None:
        """Run the start of the charm's own class, if there is one; then let handlers use turns."""
        for step in (self.instance.initialize, self.instance.handle) if self.own else ():
            self.instance.tolerating(step)
        self.session.begin()

    def end(self) -> None:
        """Release what is held and not kept, through the charm's own class if there is one."""
        (self.instance.finish if self.own else self.session.end)()
        self.session.hide()


_CHOSEN: List[Choice] = []


def chosen() -> Choice:
    """Return what the layer options choose. The first call in a process makes it, and reads what is true now.

    Raises:
        ValueError: for a layer option that does not exist or is not allowed.
        RuntimeError: below Juju 2.9.
    """
    if not _CHOSEN:
        from charms.layer import options  # type: ignore[attr-defined]  # of layer:basic

        _CHOSEN.append(_choice(options.get('coordinator') or {}))
    return _CHOSEN[0]


def _choice(options: Mapping[str, Any]) -> Choice:
    by_options, path, port = policy.from_options(options), policy.own_class(options), OldJuju()
    port.least = options.get('log_level', policy.DEFAULTS['log_level']).upper()
    if path:
        cls, by_options = _loaded(path), policy.Policy()
        try:
            own = _made(cls)
        except (NotImplementedError, FileNotFoundError) as missing:
            port.log(NEEDS_MORE.format(cls.__name__, missing), 'ERROR')
        else:
            type(cls)._instances[cls] = own  # whoever builds one from now on gets this one
            return Choice(own.use(port, own.policy(), own.msg), own, own=True)
    ours = _made(Serial if options.get('class') in policy.SERIAL else SimpleCoordinator)
    return Choice(ours.use(port, by_options, port.log), ours, own=False)


def _loaded(path: str) -> Any:
    """Return the coordinator class at a dotted path.

    Raises:
        ValueError: if there is no such class, or it is not a coordinator class.
    """
    module, name = path.rsplit('.', 1)
    try:
        found: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError) as missing:
        raise policy.no_such_class(path, str(missing)) from missing
    from charmhelpers.coordinator import BaseCoordinator as Theirs  # only for a class of the charm's own

    if isinstance(found, type) and issubclass(found, (BaseCoordinator, Theirs)):
        return found
    raise policy.no_such_class(path, repr(found))


def _made(cls: Any) -> Any:
    """Return the instance of a coordinator class; the layer calls it at the start and end of a hook.

    The class may derive from charmhelpers' BaseCoordinator. Then this layer's class
    comes before that one in the method order. So each `super()` call of the class ends
    in this layer, and charmhelpers' own state is never touched.
    """
    bases: Any = (cls,)
    if not issubclass(cls, BaseCoordinator):
        from charmhelpers.coordinator import BaseCoordinator as Theirs

        bases = (Coordinator, cls) if cls is Theirs else (cls, Coordinator, Theirs)
    led = type(cls)(cls.__name__, bases, {'__module__': cls.__module__, '_led_by_layer': True})
    return led(peer_relation_name=environment.PEERS)
