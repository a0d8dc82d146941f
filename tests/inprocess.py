"""Hooks in this process: the layer's own code over jujusim's controller, agents and hook tools.

What is real: charmhelpers' hookenv and all that calls it. What answers it is
jujusim: `tools.answer` in the context of one hook. What is left out: the hook's
process, charms.reactive, time, delays. One hook runs at a time. Nothing here
knows a lock.
"""

import os
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple
from unittest.mock import patch

from charmhelpers.core import hookenv

from jujusim import process, tools
from jujusim.agent import Agent, Context, Local, Operation, Remote, environment
from jujusim.juju import EPOCH_S, VERSIONS
from jujusim.model import Controller, Unit

START = Operation('start')

LONGEST = 131072
"""Linux takes no longer argument, its final NUL included."""


def application(
    juju: int, names: Sequence[str], notify: Callable[[str, str], None] = lambda *_: None
) -> Controller:
    """Return the controller of an application whose units are all in the peer relation; the first leads."""
    controller = Controller(names[0].split('/')[0], juju, notify, relation='coordinator')
    for name in names:
        add(controller, name)
    controller.set_leader(names[0])
    return controller


def add(controller: Controller, name: str) -> None:
    """Add a unit that is in the peer relation."""
    controller.units[name] = Unit(name)
    controller.enter_scope(name)


def agent_of(controller: Controller, name: str) -> Agent:
    """Return the agent of a unit that has started and has handled every change so far."""
    agent = Agent(name, controller)
    peers = [peer for peer in controller.units if peer != name and controller.in_scope(peer)]
    members = {peer: controller.version(peer) for peer in peers}
    seen = {
        'app_version': controller.app_version(),
        'leader_settings': controller.leader_settings_writes,
        'leads': controller.leader == name,
        'config': controller.config_version(),
    }
    agent.local = Local(installed=True, created=True, started=True, members=dict(members), **seen)
    agent.remote = Remote(members=members, **seen)
    return agent


class Hook:
    """One hook under way.

    Args:
        context: what it reads and writes.

    Attributes:
        calls: the names of the hook tools it called, in order.
        logged: the arguments of each juju-log.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.calls: List[str] = []
        self.logged: List[List[str]] = []
        self.refused: Optional[BaseException] = None

    def answer(self, message: Tuple[Any, ...]) -> Tuple[Any, ...]:
        """Answer what `process.Popen` asks. What is refused here also fails the test, see `in_hook`."""
        logged, what, *about = message
        self.hear(logged)
        try:
            if what != 'call':
                raise tools.Unanswered('expected hook tools only, found {}'.format(what))
            argv = about[0]
            for word in argv:
                argument(word)
            found = tools.answer(self.context, argv)
            if found is None:
                raise tools.Unanswered('{}: this Juju has no such tool'.format(argv[0]))
        except BaseException as refused:
            self.refused = self.refused or refused
            raise
        self.calls.append(argv[0])
        return (EPOCH_S, True, *found)

    def hear(self, logged: List[List[str]]) -> None:
        """Take the juju-log calls that come with a message."""
        self.logged += logged
        self.calls += [argv[0] for argv in logged]

    def commit(self) -> None:
        """End the hook as a success: what it wrote lands."""
        controller, context = self.context.controller, self.context
        before = set(controller.units[context.agent.name].settings.values())
        before.update(controller.app_settings.values())
        for text in {*context.own_settings().values(), *context.app_settings().values()} - before:
            argument(text)
        context.commit()


def argument(word: str) -> None:
    """Refuse a word that Linux gives to no program."""
    assert '\x00' not in word, 'a NUL in an argument: {!r}'.format(word[:200])
    assert len(word.encode('utf-8')) < LONGEST, 'an argument of {} characters'.format(len(word))


@contextmanager
def in_hook(agent: Agent, operation: Operation, charm_dir: Path) -> Iterator[Hook]:
    """Put charmhelpers' hookenv into this hook for a while. Only `Hook.commit` lets anything land.

    Raises:
        tools.Unanswered, AssertionError: where the hook asked for what no Juju or
            no Linux would do, whatever the hook's own code made of it.
    """
    hook = Hook(agent.context(operation))
    version, id_ = VERSIONS[agent.controller.juju], hook.context.id
    env = environment(agent, operation, str(charm_dir), version, id_)
    hookenv.cache.clear()
    process.World.ask, process.World.now, process.World.logged = hook.answer, EPOCH_S, []
    with ExitStack() as places:
        places.callback(hookenv.cache.clear)  # quick hooks of later tests begin with what is here
        for place, name, value in (
            (os, 'environ', env),
            (subprocess, 'Popen', process.Popen),
            (hookenv, '_atexit', []),
        ):
            places.enter_context(patch.object(place, name, value))
        yield hook
    hook.hear(process.World.logged)
    if hook.refused:
        raise hook.refused
    for argv in hook.logged:
        for word in argv:
            argument(word)
