"""Puts a charm together from layers, the short way: what `charm build` does to these very layers.

tests/hooks/test_build.py compares the result with the real `charm build`.
"""

import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Optional

import yaml

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {'layer:basic': ROOT / 'tests' / 'layers' / 'basic', 'layer:coordinator': ROOT}
RELATION_HOOKS = ('created', 'joined', 'changed', 'departed', 'broken')
SHIPPED = ('lib', 'reactive', 'hooks', 'actions')
MERGED = ('metadata.yaml', 'config.yaml', 'actions.yaml')


def assemble(charm: Path, target: Path, options: Optional[Dict[str, Any]] = None) -> Path:
    """Write the charm of a top layer to a new folder, and return that folder.

    Args:
        options: layer options of layer:coordinator, instead of the charm's own.
    """
    target.mkdir(parents=True)
    top = yaml.safe_load((charm / 'layer.yaml').read_text())
    merged: Dict[str, Dict[str, Any]] = {name: {} for name in MERGED}
    for layer in [LAYERS[name] for name in top['includes']] + [charm]:
        for name in SHIPPED:
            if (layer / name).is_dir():
                shutil.copytree(
                    str(layer / name),
                    str(target / name),
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns('__pycache__'),
                )
        for name in MERGED:
            if (layer / name).exists():
                _merge(merged[name], yaml.safe_load((layer / name).read_text()) or {})
    for name, content in merged.items():
        (target / name).write_text(yaml.safe_dump(content))
    chosen = top.get('options', {}).get('coordinator', {}) if options is None else options
    defined = yaml.safe_load((ROOT / 'layer.yaml').read_text())['defines']
    defaults = {name: option['default'] for name, option in defined.items()}
    built = {'includes': top['includes'], 'options': {'coordinator': {**defaults, **chosen}}}
    (target / 'layer.yaml').write_text(yaml.safe_dump(built))
    _write_hooks(target, merged['metadata.yaml'])
    return target


def _merge(into: Dict[str, Any], more: Dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _write_hooks(target: Path, metadata: Dict[str, Any]) -> None:
    """Relation hooks come from the template of layer:basic, one for each endpoint and event."""
    endpoints: List[str] = [
        name for role in ('peers', 'provides', 'requires') for name in metadata.get(role) or {}
    ]
    for endpoint in endpoints:
        for event in RELATION_HOOKS:
            hook = target / 'hooks' / '{}-relation-{}'.format(endpoint, event)
            if not hook.exists():
                shutil.copy(str(target / 'hooks' / 'hook.template'), str(hook))
                os.chmod(str(hook), 0o755)
