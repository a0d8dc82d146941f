"""Which verbs are known, and which options each takes."""

from typing import Dict

OF_THE_CLIENT: Dict[str, str] = {
    'add-model': 'no-switch controller|c= config=',
    'controllers': 'format=',
    'destroy-model': 'no-prompt|y force destroy-storage release-storage no-wait timeout|t=',
    'models': 'format= controller|c=',
    'show-model': 'format=',
    'switch': '',
    'version': 'format= all',
}
"""What the client answers by itself."""

OF_A_MODEL: Dict[str, str] = {
    'actions': 'format=',
    'add-machine': 'n=',
    'add-unit': 'num-units|n= to=',
    'config': 'format= file= reset=',
    'debug-log': 'limit= replay no-tail include|i= level|l= date utc ms no-color lines|n=',
    'deploy': 'num-units|n= config= to= base=',
    'exec': 'format= unit|u= application|app|a= wait= utc',
    'machines': 'format= utc',
    'model-config': 'format= reset=',
    'refresh': 'path= force force-units force-base',
    'remove-application': 'no-prompt force destroy-storage no-wait',
    'remove-unit': 'no-prompt force no-wait destroy-storage',
    'resolve': 'no-retry all',
    'run': 'format= wait= params= utc background string-args',
    'show-task': 'format= utc',
    'show-unit': 'format=',
    'ssh': 'no-host-key-checks pty=',
    'status': 'format= utc no-color relations',
}
"""What a model's process answers."""

ALIASES = {
    'list-actions': 'actions',
    'list-controllers': 'controllers',
    'list-machines': 'machines',
    'list-models': 'models',
    'resolved': 'resolve',
    'show-status': 'status',
    'upgrade-charm': 'refresh',
}

WORDS_END_OPTIONS = ('exec', 'ssh')
"""Whose options all stand before the first word."""

VERBS = {**OF_THE_CLIENT, **OF_A_MODEL}
