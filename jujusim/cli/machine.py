"""`juju ssh`: the few commands on a machine that a test of a charm needs, each as a fault of the model."""

import re
from typing import Callable, List, Tuple

from jujusim.cli.live import Live
from jujusim.cli.model import LocalModel
from jujusim.cli.words import Answer, Line, NotKnown, Refused

FOR_EVER_S = 1e9

KNOWN = (
    'systemctl stop jujud-machine-N',
    'systemctl start jujud-machine-N',
    'systemctl restart jujud-machine-N',
    'systemctl kill -s KILL jujud-machine-N',
    'pkill -KILL -f hooks/NAME',
)


def ssh(model: LocalModel, line: Line) -> Answer:
    """Do something to the agents, or to the hook's process, of a machine."""
    target, *words = line.demand(2, None, 'a machine and a command')
    number = _machine(model, target.rpartition('@')[2])
    units = [unit for unit in model.places[number].units if unit in model.units]
    command = ' '.join(words).replace('sudo ', '', 1) if words[0].startswith('sudo') else ' '.join(words)
    for pattern, do in _COMMANDS:
        match = re.fullmatch(pattern, command)
        if match and (not match.groupdict().get('machine') or match['machine'] == number):
            return do(model.demand_live(), units, match.groupdict().get('hook') or '')
    form = 'juju ssh: {} is not known here; known, also with sudo: {}'
    raise NotKnown(form.format(command, '; '.join(KNOWN).replace('-N', '-' + number)))


def _machine(model: LocalModel, target: str) -> str:
    """Return the machine that is meant, or that of a unit."""
    if '/' in target:
        unit = model.named(target)
        if unit not in model.units:
            raise Refused('unit "{}" not found'.format(unit))
        return model.machine_of(unit)
    if target not in model.places:
        raise Refused('machine {} not found'.format(target))
    return target


def _stop(live: Live, units: List[str], hook: str) -> Answer:
    for unit in units:
        live.die_agent(unit, FOR_EVER_S)
    return Answer()


def _start(live: Live, units: List[str], hook: str) -> Answer:
    for unit in units:
        live.start_agent(unit)
    return Answer()


def _restart(live: Live, units: List[str], hook: str) -> Answer:
    for unit in units:
        live.die_agent(unit)
    return Answer()


def _kill_hooks(live: Live, units: List[str], hook: str) -> Answer:
    """Kill the process of the hook under way; like pkill, exit 1 if there is none of that name."""
    found = [
        unit
        for unit in units
        if unit in live.running
        and live.running[unit].operation.name.startswith(hook)
        and not live.running[unit].operation.aside
    ]
    for unit in found:
        live.kill_hook(unit)
    return Answer(code=0 if found else 1)


_SERVICE = r'jujud-machine-(?P<machine>\d+)(\.service)?'

_COMMANDS: Tuple[Tuple[str, Callable[[Live, List[str], str], Answer]], ...] = (
    (r'systemctl stop ' + _SERVICE, _stop),
    (r'systemctl start ' + _SERVICE, _start),
    (r'systemctl restart ' + _SERVICE, _restart),
    (r'systemctl kill (-s |--signal=)(SIG)?KILL ' + _SERVICE, _restart),
    (r"pkill (-9|-KILL) -f '?(hooks|\[h\]ooks)/(?P<hook>[\w-]*)'?", _kill_hooks),
)
