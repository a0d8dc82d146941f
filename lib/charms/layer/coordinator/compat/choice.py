"""What the layer options choose: a policy, or a class of the charm's own.

What lives here: what may be in the options, with all that the old layer took, and how
they become a session and an instance. What must not: a rule, what a coordinator does.
"""

import re
from importlib import import_module
from typing import Any, Mapping, NamedTuple, Tuple

from charms.layer.coordinator import environment, flags, forms, gates, policy, rest, wire
from charms.layer.coordinator.compat.classes import (
    OPENED,
    BaseCoordinator,
    Coordinator,
    Serial,
    SimpleCoordinator,
    reason,
)
from charms.layer.coordinator.compat.predecessor import OldJuju
from charms.layer.coordinator.session import Session

# The classes of this layer, by each value of the option `class` that means one of them. The old layer
# took a bare name for one of its own classes, and its first versions kept them in `reactive`.
CLASSES = {
    'SimpleCoordinator': SimpleCoordinator,
    'charms.coordinator.SimpleCoordinator': SimpleCoordinator,
    'charms.layer.coordinator.SimpleCoordinator': SimpleCoordinator,
    'reactive.coordinator.SimpleCoordinator': SimpleCoordinator,
    'Serial': Serial,
    'charmhelpers.coordinator.Serial': Serial,
    'charms.layer.coordinator.Serial': Serial,
}
DEFAULTS = {
    'class': environment.DEFAULT_CLASS, 'log_level': 'info', 'wake': 'needed', **policy.DEFAULTS,
}  # fmt: skip
WAKE = ('needed', 'all')
LEVELS = ('debug', 'info', 'warning', 'error', 'critical')
CLASS_FORM = 'SimpleCoordinator, Serial, or a dotted path to a class of the charm such as module.MyClass'
NEEDS_MORE = 'class {}: it needs what this Juju does not have ({}); instead, one unit at a time holds locks'

_DOTTED = r'[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z'  # compiled for a class of the charm's own


class Options(NamedTuple):
    """The layer options as values.

    Args:
        policy: what `queues`, `slots` and `wake` ask for.
        path: the value of `class`: a key of CLASSES, or a dotted path.
        least: the least severe level that is logged.
    """

    policy: policy.Policy
    path: str
    least: str


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
        self.session.show, self.session.gate = flags.Shown().show, gates.closed
        for step in (self.instance.initialize, self.instance.handle) if self.own else ():
            self.instance.tolerating(step)
        self.session.begin()
        for lock in sorted(self.session.granted):
            self.session.log(self.session.explain(lock))

    def end(self) -> None:
        """Release what is held and not kept, through the charm's own class if there is one."""
        (self.instance.finish if self.own else self.session.end)()
        self.session.hide()
        self.session.sleep(any(other.relname == environment.PEERS for other in OPENED.values()))


def chosen() -> Choice:
    """Return what the layer options choose. The first call in a process makes it, and reads what is true now.

    In a hook that seemed to have nothing to do (rest.py), it catches up with what has passed of it.

    Raises:
        ValueError: for a layer option with a value that is not allowed.
        RuntimeError: below Juju 2.9.
    """
    if not rest.CHOSEN:
        made = _choice(environment.layer_options())
        made.session.has_gate, made.session.gate = gates.guards, gates.closed
        rest.CHOSEN.append(made)
        rest.make_up(rest.CHOSEN[0])
    return rest.CHOSEN[0]


def understood(options: Mapping[str, Any]) -> Tuple[Options, wire.Problems]:
    """Return what the options of a charm ask for, and a problem for each that does not exist.

    `queues` and `slots` belong to the default class. Any other class decides by
    itself, and both must then have their defaults.

    Raises:
        ValueError: for a value that is not allowed. The message names the option,
            and what is allowed.
    """
    chosen = {**DEFAULTS, **options}
    by_options, path, level = policy.from_options(chosen), chosen['class'], chosen['log_level']
    if not isinstance(level, str) or level.lower() not in LEVELS:
        raise policy.refused('log_level', 'one of ' + ', '.join(LEVELS), level)
    if chosen['wake'] not in WAKE:
        raise policy.refused('wake', 'one of ' + ', '.join(WAKE), chosen['wake'])
    if not isinstance(path, str) or not (path in CLASSES or re.match(_DOTTED, path)):
        raise policy.refused('class', CLASS_FORM, path)
    for name, default in policy.DEFAULTS.items():
        if CLASSES.get(path) is not SimpleCoordinator and chosen[name] != default:
            expected = '{} beside class {}, which decides itself'.format(default, path)
            raise policy.refused(name, expected, chosen[name])
    expected, consequence = 'one of the options ' + ', '.join(sorted(DEFAULTS)), 'it is ignored'
    unknown = [name for name in options if name not in DEFAULTS]  # charm build lets them pass
    problems = (forms.problem(policy.PLACE, expected, name, consequence) for name in unknown)
    by_options = by_options._replace(every_hook=chosen['wake'] == 'all')
    return Options(by_options, path, level.upper()), tuple(problems)


def _choice(options: Mapping[str, Any]) -> Choice:
    asked, port = understood(options), OldJuju()
    port.least = asked[0].least
    by_options, path, _ = port.believed(asked)
    if path not in CLASSES:
        cls = _loaded(path)
        try:
            own = _made(cls)
        except (NotImplementedError, FileNotFoundError) as missing:
            port.believed((None, (NEEDS_MORE.format(cls.__name__, reason(missing)),)))
        else:
            type(cls)._instances[cls] = own  # whoever builds one from now on gets this one
            decides = own.policy()._replace(every_hook=by_options.every_hook)
            return Choice(own.use(port, decides, own.msg), own, own=True)
    ours = _made(CLASSES.get(path, SimpleCoordinator))
    if isinstance(ours, Serial):
        by_options = ours.policy()._replace(every_hook=by_options.every_hook)
    return Choice(ours.use(port, by_options, port.log), ours, own=False)


def _loaded(path: str) -> Any:
    """Return the coordinator class at a dotted path.

    Raises:
        ValueError: if there is no such class, or it is not a coordinator class.
    """
    module, name = path.rsplit('.', 1)
    expected = 'a coordinator class at ' + path
    try:
        found: Any = getattr(import_module(module), name)
    except (ImportError, AttributeError) as missing:
        raise policy.refused('class', expected, reason(missing)) from missing
    from charmhelpers.coordinator import BaseCoordinator as Theirs  # only for a class of the charm's own

    if isinstance(found, type) and issubclass(found, (BaseCoordinator, Theirs)):
        return found
    raise policy.refused('class', expected, repr(found))


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
