"""Charms without charms.reactive, on this layer's classes or on charmhelpers.coordinator's own."""

import os
import shutil
from pathlib import Path
from typing import Optional

import yaml

from tests.deploy import ROOT

HOOKS = [
    'install',
    'config-changed',
    'start',
    'stop',
    'remove',
    'update-status',
    'upgrade-charm',
    'leader-elected',
    'leader-settings-changed',
    'coordinator-relation-created',
    'coordinator-relation-joined',
    'coordinator-relation-changed',
    'coordinator-relation-departed',
]

OURS, SEED = 'charms.layer', 'charmhelpers'

HEAD = """
import os, sys
from subprocess import check_call
from charmhelpers.core import hookenv
hookenv.juju_version = lambda: os.environ['JUJU_VERSION']  # it asks /var/lib/juju, which is not here
from {} import coordinator

go, unit = int(hookenv.config('go') or 0), hookenv.local_unit()

def say(*words):
    hookenv.log('said ' + ' '.join(map(str, words)))

def once(name):
    try:
        os.close(os.open('once-' + name, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False

def run():
    pass

"""
TAIL = """

hooks = hookenv.Hooks()
hooks.register(hookenv.hook_name(), lambda: run())
if __name__ == '__main__':
    hooks.execute([hookenv.hook_name()])
"""


def classic(target: Path, source: str, plan: Optional[str] = None, metadata: Optional[dict] = None) -> Path:
    """Write a charm to a new folder, and return that folder.

    Args:
        target: the new folder.
        source: a folder of tests/charms; or OURS or SEED, whose coordinator the plan finds as `coordinator`.
        plan: makes a coordinator, and defines `run()`, the work of every hook.
        metadata: what metadata.yaml says instead of the source's own.
    """
    charms = ROOT / 'tests' / 'charms'
    if plan is None:
        shutil.copytree(str(charms / source), str(target))
        text = (target / 'hooks' / 'hooks.py').read_text()
    else:
        (target / 'hooks').mkdir(parents=True)
        shutil.copy(str(charms / 'classic-db' / 'metadata.yaml'), str(target))
        shutil.copy(str(charms / 'classic-db' / 'config.yaml'), str(target))
        text = HEAD.format(source) + plan + TAIL
    if metadata is not None:
        (target / 'metadata.yaml').write_text(yaml.safe_dump({'name': 'classic', **metadata}))
    shutil.copytree(str(ROOT / 'lib'), str(target / 'lib'), ignore=shutil.ignore_patterns('__pycache__'))
    for name in HOOKS:
        (target / 'hooks' / name).write_text(text)
        os.chmod(str(target / 'hooks' / name), 0o755)
    return target
