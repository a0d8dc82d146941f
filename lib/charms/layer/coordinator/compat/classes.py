"""The classes of charmhelpers.coordinator, on top of this layer's protocol.

    serial = coordinator.Serial()             # at import: nothing is read yet

    @serial.require('restart', needs_restart)
    def maybe_restart():
        service_restart('db')                 # the turn ends when this hook succeeds

They work in any charm whose hooks run hookenv's atstart and atexit callbacks:
charms.reactive, `hookenv.Hooks`, charmhelpers' services framework. What lives
here: names and signatures that charms know. What must not: a rule, a hook tool.

If a subclass overrides only `msg`, a lock passes directly from unit to unit. If it
overrides `default_grant`, or has a `grant_LOCK`, the leader decides: each turn then
takes two hops, and none begins while the leader is down. If it overrides
`released`, each release costs a ledger write.
"""

from datetime import datetime
from functools import partial, wraps
from typing import Any, Callable, ClassVar, Dict, List, Optional, Set, Tuple

from charmhelpers.core import hookenv
from charms.layer.coordinator import environment, forms, juju
from charms.layer.coordinator.compat import deciding
from charms.layer.coordinator.compat.predecessor import OldJuju
from charms.layer.coordinator.context import Phase
from charms.layer.coordinator.policy import Policy
from charms.layer.coordinator.view import Snapshot

Function = Callable[..., Any]

# The coordinators of this process, by the beginning of their keys: no two may write over one another.
OPENED: Dict[str, 'Coordinator'] = {}


class Coordinator:
    """What all coordinators can do. A charm builds one of the classes below, or a subclass.

    Args:
        relation_key: the beginning of its keys in databags and leader settings. By
            default each class has its own. Pass one if the class may change its
            name while the charm is in use.
        peer_relation_name: the peer relation that it uses; None for the one in
            metadata.yaml whose name sorts first.

    Raises:
        ValueError: at the start of the hook, if two coordinators would have the same keys.
    """

    default_grant: Function
    _session: Optional[deciding.LeaderSession] = None
    _led_by_layer = False  # whether the layer, not hookenv, says when a hook begins and ends
    _about: Optional[Tuple[str, str]] = None  # during `grant`: decide only about this lock and unit

    def __init__(self, relation_key: str = environment.KEY, peer_relation_name: Optional[str] = None) -> None:
        self.key = relation_key
        self.relname = peer_relation_name
        if not self._led_by_layer:
            hookenv.atstart(self.initialize)
            hookenv.atstart(self.handle)

    def use(self, port: juju.Juju, policy: Policy, log: Callable[[str], None]) -> deciding.LeaderSession:
        """Make the session of this hook, and let it look at what is true now.

        Args:
            port: this hook's Juju.
            policy: as for Session.
            log: as for Session.

        Returns:
            The session, after it has looked at what is true now.
        """
        session = deciding.LeaderSession(port, Snapshot(environment.context(port.peers)), policy, log)
        self._session = session  # before it looks: `msg` may ask it something
        session.look()
        return session

    # The course of a hook

    def initialize(self) -> None:
        """Look at what is true now, and book the release for the end of the hook.

        It is called at the start of every hook; a second call does nothing. The
        other methods may be called earlier.

        Raises:
            AssertionError: if the charm has no peer relation.
            RuntimeError: below Juju 2.9.
        """
        session = self._opened()
        if not self._begun:
            session.begin()
            for lock in sorted(session.requested):
                self.msg('{} {}'.format('Granted' if session.turn(lock) else 'Waiting on', lock))
            if not self._led_by_layer:
                hookenv.atexit(self.finish)

    def handle(self) -> None:
        """As the leader, report the releases, and then decide about all requests that wait.

        It is called after `initialize` in every hook. Call it again to decide again.
        """
        if not self._begun:
            self.initialize()
        if self._opened().leading:
            self._report_releases()
            self._opened().lead()

    def finish(self) -> None:
        """Release, and then let a subclass save. It is called after the hook's work, if that succeeded."""
        self._release_granted()
        self.tolerating(self._save_state)

    def _release_granted(self) -> None:
        """Release every lock this unit holds. A subclass that does not call it keeps them."""
        self._report_releases()  # if an overridden `handle` has not: after this they are forgotten
        self._opened().end()

    def _save_state(self) -> None:
        """Do nothing: everything has been saved already. A subclass may save what it counts here."""

    def _opened(self) -> deciding.LeaderSession:
        if self._session:
            return self._session
        name = environment.KEY + '-' + type(self).__name__ if self.key == environment.KEY else self.key
        self.relname = self.relname or juju.peers_in_use(name, self.key)
        if OPENED.setdefault(name, self) is not self:
            sentence = 'relation_key: {} and {} have the same key {!r}; give each its own, this hook fails'
            raise ValueError(sentence.format(type(OPENED[name]).__name__, type(self).__name__, self.key))
        return self.use(OldJuju(name, self.relname, self.key), self.policy(), self.msg)

    @property
    def _begun(self) -> Optional[deciding.LeaderSession]:
        """The session once `initialize` has run; None before that, when no release is reported yet."""
        session = self._session
        return session if session and session.phase is not Phase.BEFORE_HANDLERS else None

    # What a charm asks

    @property
    def relid(self) -> Optional[str]:
        """Return the id of the peer relation, None before it exists or anything is asked."""
        return self._session.port.relation if self._session else None

    def acquire(self, lock: str) -> bool:
        """Ask for a lock once, without waiting.

        Asking again before the turn is over changes neither the request nor
        its time. On the leader the policy decides at once, and again in each call.
        If a policy's method or `released` calls this, the policy decides afterwards.

        Args:
            lock: the lock.

        Returns:
            Whether this unit holds it now.

        Raises:
            ValueError: for a name that is not a lock name, such as a number.
        """
        return self._opened().request(forms.lock_name(lock))

    def granted(self, lock: str) -> bool:
        """Return whether this unit holds the lock for its present request."""
        return self._opened().turn(lock) is not None

    def requested(self, lock: str) -> bool:
        """Return whether this unit has asked for the lock and not released it."""
        return lock in self._opened().requested

    def request_timestamp(self, lock: str) -> Optional[datetime]:
        """Return when this unit asked, in UTC without a time zone; None if it has not."""
        return environment.time_of(dict(self._opened().claim(lock).locks).get(lock, ''))

    @property
    def grants(self) -> Optional[deciding.Locks]:
        """Return {unit: {lock: time of the request}} of all locks held; None before `initialize`.

        The answer is a copy. On a unit that does not lead it costs one read of
        the ledger, and one of each unit, in each hook.
        """
        return deciding.grants(*self._begun.known()) if self._begun else None

    @property
    def requests(self) -> Optional[deciding.Locks]:
        """Return {unit: {lock: time of the request}} of all requests, those granted included.

        This unit is always in it. The answer is a copy, and costs the same as `grants`.
        """
        asked = deciding.requests(self._begun.known()[1]) if self._begun else None
        return asked if asked is None else {hookenv.local_unit(): {}, **asked}

    def require(self, lock: str, guard_func: Function, *guard_args: Any, **guard_kw: Any) -> Function:
        """Return a decorator for a function that may run only while this unit holds the lock.

        Args:
            lock: the lock.
            guard_func: says whether to ask for the lock. It is not called while
                the lock is held.
            guard_args: arguments for `guard_func`.
            guard_kw: keyword arguments for `guard_func`.

        Returns:
            A decorator. The decorated function returns None if it did not run.
        """

        def decorate(function: Function) -> Function:
            @wraps(function)
            def guarded(*args: Any, **kw: Any) -> Any:
                held = self.granted(lock) or (guard_func(*guard_args, **guard_kw) and self.acquire(lock))
                return function(*args, **kw) if held else None

            return guarded

        return decorate

    # What the leader decides

    def policy(self) -> Policy:
        """Return this class's policy: who decides, and whether releases are reported."""
        releases = type(self).released is not Coordinator.released
        grant: Any = getattr(type(self), 'default_grant', None)
        direct = _DIRECT.get(grant)
        by_lock = any(name.startswith('grant_') for name in dir(self))
        if direct is None or by_lock or (releases and not direct.per_lock):
            direct = Policy(per_lock=True, grow=deciding.growing(self._decide))
        return direct._replace(reports_releases=releases)

    def grant(self, lock: str, unit: str) -> bool:
        """As the leader, grant the lock to a unit if the policy agrees.

        Args:
            lock: the lock.
            unit: the unit.

        Returns:
            Whether it is granted. False if this unit does not lead, or that unit has
            not asked.
        """
        session, about, self._about = self._opened(), self._about, (lock, unit)
        session.lead()
        self._about = about
        place = session.policy.queue_of(lock), unit
        given = any((ticket.queue, ticket.unit) == place for ticket in session.given)  # durable or not yet
        return session.leading and (given or lock in deciding.grants(*session.known()).get(unit, {}))

    def released(self, unit: str, lock: str, timestamp: datetime) -> None:
        """Called on the leader for each release, and for each unit that is gone with a lock. Override it.

        It is called once if the hook succeeds. If the hook fails it is called again,
        so save what it counts in `_save_state`, in leader settings. An exception is
        logged and does not fail the hook.

        Args:
            unit: the unit that held the lock.
            lock: the lock.
            timestamp: when the unit had asked for the lock, in UTC without a time zone.
        """
        self.msg('Leader released {} from {}, held {}'.format(lock, unit, environment.utc() - timestamp))

    def _decide(self, question: deciding.Question) -> bool:
        """Ask `grant_LOCK`, or else `default_grant`. An exception is logged and counts as a refusal."""
        session, lock, unit = self._begun, question.lock, question.unit
        if not session or self._about not in (None, (lock, unit)):
            return False

        def ask() -> bool:
            decide = getattr(self, 'grant_' + lock, None) or self.default_grant
            return bool(decide(lock, unit, set(question.granted), list(question.queue)))

        session.question, what = question, 'its policy, asked to grant {} to {}'.format(lock, unit)
        try:
            return bool(self._tried(ask, what, 'not granted now'))
        finally:
            session.question = None

    def _report_releases(self) -> None:
        session = self._opened()
        for ticket in session.finished + session.dropped if session.policy.reports_releases else ():
            if ticket not in session.reported:
                session.reported += (ticket,)
                requested_at = environment.time_of(ticket.requested_at) or environment.utc()
                report = partial(self.released, ticket.unit, ticket.queue, requested_at)
                what = 'released({!r}, {!r}, …)'.format(ticket.unit, ticket.queue)
                self._tried(report, what, 'the lock is released all the same')

    def tolerating(self, step: Callable[[], None]) -> None:
        """Run a step of a subclass. If it needs a hook tool that Juju lacks, log that once and go on."""
        try:
            step()
        except (NotImplementedError, FileNotFoundError) as missing:
            sentence = '{}: {} needs what this Juju does not have ({}); the unit goes on'
            problem = sentence.format(type(self).__name__, step.__name__, reason(missing))
            self._opened().port.believed((None, (problem,)))

    def _tried(self, step: Function, what: str, consequence: str) -> Any:
        """Run a step of a subclass and return its result. If it raises, log that and return None."""
        try:
            return step()
        except Exception as broken:
            sentence = 'coordinator: {}: {} raised {!r}; {}'
            hookenv.log(sentence.format(type(self).__name__, what, broken, consequence), hookenv.ERROR)

    def msg(self, msg: str) -> None:
        """Log a sentence. Override it to say less."""
        by = 'coordinator.' + type(self).__name__
        if self._session:
            self._session.port.log(msg, by=by)
        else:
            hookenv.log('{} {}'.format(by, msg), hookenv.INFO)


def reason(error: BaseException) -> str:
    """Return why, in words: charmhelpers raises errors without any, because of one that has them."""
    cause: Optional[BaseException] = error
    while cause and not str(cause).strip():
        cause = cause.__cause__ or cause.__context__
    return str(cause or type(error).__name__)


class OnePerClass(type):
    """One instance of each class: building a second one returns the first, whatever the arguments."""

    _instances: ClassVar[Dict[type, Any]] = {}

    def __call__(cls, *args: Any, **kw: Any) -> Any:
        """Return the instance of the class; if there is none, make it with these arguments."""
        if cls not in cls._instances:
            cls._instances[cls] = super().__call__(*args, **kw)
        return cls._instances[cls]


class BaseCoordinator(Coordinator, metaclass=OnePerClass):
    """The base class for a policy of your own: give your class a `default_grant` or a `grant_LOCK`.

    Both are called on the leader as (lock, unit, granted, queue): `granted` is
    the set of units that hold the lock, without `unit`; `queue` is the list of those
    that wait for it, by time of the request, with `unit`. True grants the lock.
    Without either method nothing is granted, and the log says so.
    """


class Serial(BaseCoordinator):
    """A lock is held by one unit at a time, and different locks by different units."""

    def default_grant(self, lock: str, unit: str, granted: Set[str], queue: List[str]) -> bool:
        """Return whether nobody holds the lock and the unit is the first in the queue."""
        return not granted and queue[0] == unit


class SimpleCoordinator(BaseCoordinator):
    """Only one unit at a time holds locks. It holds all that it asked for, whatever their names."""

    def default_grant(self, lock: str, unit: str, granted: Set[str], queue: List[str]) -> bool:
        """Return whether no other unit holds a lock, and this one holds one or is first in the queue."""
        holders = {holder for holder, locks in (self.grants or {}).items() if locks}
        return holders == {unit} or (not holders and queue[0] == unit)


# With these functions the leader would grant what units can hand over directly, by these policies.
_DIRECT = {Serial.default_grant: Policy(per_lock=True), SimpleCoordinator.default_grant: Policy()}
