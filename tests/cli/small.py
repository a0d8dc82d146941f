"""A small charm of shell scripts, and what tests ask of a model of it."""

import json

CHARM = {
    'metadata.yaml': 'name: db\npeers: {mates: {interface: mates}}',
    'config.yaml': 'options: {size: {type: int, default: 1}, ready: {type: boolean}, name: {type: string}}',
    'actions.yaml': 'count: {params: {to: {type: integer, default: 3}}}\nfail: {}\nbreak: {}',
    'hooks/start': '#!/bin/sh\nstatus-set active ready\n',
    'hooks/config-changed': '#!/bin/sh\nif [ -e ill ]; then exit 1; fi\nsleep 10\n',
    'actions/count': '#!/bin/sh\necho counting\naction-set n.last=$(action-get --format json to)\n',
    'actions/fail': '#!/bin/sh\naction-fail "not today"\n',
    'actions/break': '#!/bin/sh\necho oh\nexit 4\n',
}


def units(model):
    return json.loads(model('status --format json', step=0.0).out)['applications']['db']['units']
