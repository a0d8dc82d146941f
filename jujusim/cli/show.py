"""What `juju status`, `machines`, `show-unit`, `config` and `actions` show of a model."""

import uuid
from typing import Any, Dict, List

from jujusim.cli.forms import dump, natural, table
from jujusim.cli.live import Live, Status
from jujusim.cli.model import LocalModel
from jujusim.cli.places import CLOUD, CONTROLLER
from jujusim.cli.times import clock, since
from jujusim.cli.words import Answer, Line, Refused
from jujusim.model import address_of

SEVERITY = ('unknown', 'terminated', 'active', 'maintenance', 'waiting', 'blocked', 'error')
"""An application's status is that of the unit that is worst, unless its charm says otherwise."""


def uuid_of(model: LocalModel, unit: str) -> str:
    """Return the id of a unit in the controller of Juju 4."""
    return str(uuid.uuid5(uuid.UUID(model.uuid), unit))


def status(model: LocalModel, line: Line) -> Answer:
    """Show the model."""
    form = line.format(('json', 'yaml', 'tabular'), 'tabular')
    for name in line.words:
        if name != model.app and name not in model.units:
            raise Refused('"{}" not found'.format(name))
    found = as_dict(model)
    named = [name for name in line.words if name in model.units]
    if named and model.app not in line.words:
        app = found['applications'][model.app]
        app['units'] = {name: app['units'][name] for name in sorted(named)}
    if form != 'tabular':
        return Answer(dump(found, form))
    empty = '' if model.live else '\nModel "admin/{}" is empty.\n'.format(model.name)
    return Answer(as_text(model, found), empty)


def as_dict(model: LocalModel) -> Dict[str, Any]:
    """Return the model as `juju status --format json` has it."""
    return {
        'model': {
            'name': model.name,
            'type': 'iaas',
            'controller': CONTROLLER,
            'cloud': CLOUD,
            'version': model.version,
            'model-status': {'current': 'available', 'since': since(0)},
        },
        'machines': machines_of(model),
        'applications': {model.app: application(model, model.live)} if model.live else {},
        'storage': {},
        'controller': {'timestamp': clock(model.now) + 'Z'},
    }


def _shown(found: Status, **more: str) -> Dict[str, Any]:
    shown = {'current': found.current, 'message': found.message, 'since': since(found.since), **more}
    return {name: value for name, value in shown.items() if value}


def machines_of(model: LocalModel) -> Dict[str, Any]:
    """Return the machines."""
    found: Dict[str, Any] = {}
    for name, place in sorted(model.places.items()):
        started = Status('started', '', place.since)
        running = Status('running', 'Running', place.since)
        number = place.number
        found[name] = {
            'juju-status': _shown(
                started, **({'version': model.version} if model.juju == 3 else {'life': 'alive'})
            ),
            'hostname': 'juju-{}-{}'.format(model.uuid[-6:], name),
            'dns-name': place.address,
            'ip-addresses': [place.address],
            'instance-id': 'juju-{}-{}'.format(model.uuid[-6:], name),
            'machine-status': _shown(running, **({} if model.juju == 3 else {'life': 'alive'})),
            'modification-status': {},
            'base': {'name': model.base[0], 'channel': model.base[1]},
            'network-interfaces': {
                'eth0': {
                    'ip-addresses': [place.address + '/24'],
                    'mac-address': '00:16:3e:00:{:02x}:{:02x}'.format(*divmod(number, 256)),
                    'space': 'alpha',
                    'is-up': True,
                }
            },
            'hardware': 'arch=amd64 cores=2 mem=4096M',
        }
    return found


def application(model: LocalModel, live: Live) -> Dict[str, Any]:
    """Return the application."""
    peers = model.described('metadata.yaml').get('peers') or {}
    found = {
        'charm': 'local:{}-{}'.format(model.charm_name, model.revision),
        'base': {'name': model.base[0], 'channel': model.base[1]},
        'charm-origin': 'local',
        'charm-name': model.charm_name,
        'charm-rev': model.revision,
        'exposed': False,
        'life': 'dying' if model.leaving else 'alive',
        'application-status': _shown(_worst(model, live)),
        'relations': {
            name: [{'related-application': model.app, 'interface': about['interface'], 'scope': 'global'}]
            for name, about in sorted(peers.items())
        },
        'units': {unit: _unit(model, live, unit) for unit in sorted(model.units)},
        'endpoint-bindings': {'': 'alpha', **dict.fromkeys(model.endpoints(), 'alpha')},
    }
    return {name: value for name, value in found.items() if value or name in ('charm-rev', 'exposed')}


def _worst(model: LocalModel, live: Live) -> Status:
    found = [live.workload(unit) for unit in model.units]
    return max(found, key=lambda status: SEVERITY.index(status.current)) if found else Status('unknown')


def _unit(model: LocalModel, live: Live, unit: str) -> Dict[str, Any]:
    agent = {'version': live.agents[unit].version or live.version}
    if model.juju == 3 and live.controller.units[unit].life == 'dying':
        agent['life'] = 'dying'
    found: Dict[str, Any] = {
        'workload-status': _shown(live.workload(unit)),
        'juju-status': _shown(live.agent_status(unit), **agent),
    }
    if live.controller.leader == unit:
        found['leader'] = True
    return {**found, 'machine': model.machine_of(unit), 'public-address': address_of(unit)}


def as_text(model: LocalModel, found: Dict[str, Any]) -> str:
    """Return the model as `juju status` prints it on a terminal."""
    heads = ['Model', 'Controller', 'Cloud/Region', 'Version', 'SLA', 'Timestamp']
    about = [model.name, CONTROLLER, CLOUD, model.version, 'unsupported', found['controller']['timestamp']]
    if model.juju == 4:
        del heads[4], about[4]
    parts = [table([heads, about])]
    for name, app in found['applications'].items():
        parts.append(_text_of_application(model, name, app))
        parts.append(_text_of_units(app.get('units', {})))
    if found['machines']:
        rows = [['Machine', 'State', 'Address', 'Inst id', 'Base', 'AZ', 'Message']]
        for name in sorted(found['machines'], key=natural):
            machine = found['machines'][name]
            base = '{name}@{channel}'.format(**machine['base'])
            state, address, instance = (
                machine['juju-status']['current'],
                machine['dns-name'],
                machine['instance-id'],
            )
            rows.append([name, state, address, instance, base, '', machine['machine-status']['message']])
        parts.append(table(rows))
    return '\n'.join(part for part in parts if part)


def _text_of_application(model: LocalModel, name: str, app: Dict[str, Any]) -> str:
    heads = ['App', 'Version', 'Status', 'Scale', 'Charm', 'Channel', 'Rev', 'Exposed', 'Message']
    said = app['application-status']
    scale, revision = str(len(app.get('units', {}))), str(app['charm-rev'])
    row = [name, '', said['current'], scale, app['charm-name'], '', revision, 'no', said.get('message', '')]
    return table([heads, row], right=(3, 6))


def _text_of_units(units: Dict[str, Any]) -> str:
    rows = [['Unit', 'Workload', 'Agent', 'Machine', 'Public address', 'Ports', 'Message']]
    for name in sorted(units, key=natural):
        unit = units[name]
        workload, agent = unit['workload-status'], unit['juju-status']
        star = '*' if unit.get('leader') else ''
        message = workload.get('message', '')
        if workload['current'] not in ('error', 'unknown') and agent.get('message') and not message:
            message = '({})'.format(agent['message'])
        address = unit['public-address']
        rows.append(
            [name + star, workload['current'], agent['current'], unit['machine'], address, '', message]
        )
    return table(rows) if len(rows) > 1 else ''


def machines(model: LocalModel, line: Line) -> Answer:
    """Show the machines."""
    form = line.format(('json', 'yaml'), 'yaml')
    return Answer(dump({'model': model.name, 'machines': machines_of(model)}, form))


def settings(model: LocalModel) -> Dict[str, Any]:
    """Return the application's configuration as `juju config` shows it."""
    found: Dict[str, Any] = {}
    for name, about in sorted(model.options().items()):
        default = about.get('default')
        shown = {'default': default, 'description': about.get('description', '')}
        shown['source'] = 'user' if name in model.given else 'default' if default is not None else 'unset'
        shown['type'] = about.get('type', 'string')
        shown['value'] = model.given.get(name, default)
        found[name] = {key: value for key, value in shown.items() if value is not None}
    trust = {
        'default': False,
        'description': 'Does this application have access to trusted credentials',
        'source': 'default',
        'type': 'bool',
        'value': False,
    }
    return {
        'application': model.app,
        'application-config': {'trust': trust},
        'charm': model.charm_name,
        'settings': found,
    }


def plain(value: Any) -> str:
    """Return a value of the configuration as text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def actions(model: LocalModel, line: Line) -> Answer:
    """Show the charm's actions."""
    model.demand_live(line.demand(1, 1, 'an application')[0])
    form = line.format(('json', 'yaml', 'default'), 'default')
    found = {
        name: ' '.join((about.get('description') or 'No description').split())
        for name, about in sorted(model.described('actions.yaml').items())
    }
    if form != 'default':
        return Answer(dump(found, form))
    return Answer(table([['Action', 'Description'], *([name, text] for name, text in found.items())]))


def show_unit(model: LocalModel, line: Line) -> Answer:
    """Show units with the data of their peer relation."""
    form = line.format(('json', 'yaml'), 'yaml')
    units = [model.named(unit) for unit in line.demand(1, None, 'a unit')]
    for unit in units:
        if unit not in model.units:
            raise Refused('unit "{}" not found'.format(unit))
    return Answer(dump({unit: _unit_info(model, model.demand_live(), unit) for unit in units}, form))


def _unit_info(model: LocalModel, live: Live, unit: str) -> Dict[str, Any]:
    controller = live.controller
    relations: List[Dict[str, Any]] = []
    if controller.relation:
        relation = {
            'relation-id': controller.relation_number,
            'endpoint': controller.relation,
            'related-endpoint': controller.relation,
            'application-data': dict(sorted(controller.app_settings.items())),
            'local-unit': _bag(live, unit),
        }
        others = sorted(other for other in controller.units if other != unit)
        relation['related-units'] = {other: _bag(live, other) for other in others}
        relations.append(relation)
    return {
        'machine': model.machine_of(unit),
        'opened-ports': None if model.juju == 4 else [],
        'public-address': address_of(unit),
        'charm': 'local:{}-{}'.format(model.charm_name, model.revision),
        'leader': controller.leader == unit,
        'life': controller.units[unit].life,
        'relation-info': relations,
    }


def _bag(live: Live, unit: str) -> Dict[str, Any]:
    record = live.controller.units[unit]
    inside = record.entered_scope and record.life != 'dead'
    return {'in-scope': inside, 'data': dict(sorted(record.settings.items())) if inside else {}}
