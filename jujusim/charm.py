"""Puts a charm together from layers, the short way: the part of `charm build` that hooks need."""

import os
import shutil
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import yaml

RELATION_HOOKS = ('created', 'joined', 'changed', 'departed', 'broken')
SHIPPED = ('lib', 'reactive', 'hooks', 'actions', 'templates', 'files')
MERGED = ('metadata.yaml', 'config.yaml', 'actions.yaml')


def assemble(
    charm: Path,
    target: Path,
    layers: Mapping[str, Path],
    options: Optional[Mapping[str, Mapping[str, Any]]] = None,
) -> Path:
    """Write the charm of a top layer to a new folder.

    Args:
        charm: the folder of the top layer.
        target: the folder to write, which must not exist.
        layers: where each layer lies that layer.yaml includes, by 'layer:NAME'.
        options: layer options by the name of the layer, instead of those that
            the charm's own layer.yaml gives that layer.

    Returns:
        The folder that was written.

    Raises:
        ValueError: a layer.yaml includes a layer that was not given.
        FileExistsError: the target exists.
    """
    order = [layers[name] for name in _included(charm, layers)] + [Path(charm)]
    target.mkdir(parents=True)
    merged: Dict[str, Dict[str, Any]] = {name: {} for name in MERGED}
    for layer in order:
        for name in SHIPPED:
            if (layer / name).is_dir():
                shutil.copytree(
                    str(layer / name),
                    str(target / name),
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns('__pycache__'),
                )
        for name in MERGED:
            _merge(merged[name], _read(layer / name))
    for name, content in merged.items():
        (target / name).write_text(yaml.safe_dump(content))
    built = {'includes': _read(charm / 'layer.yaml').get('includes') or []}
    built['options'] = _options(charm, layers, options or {})
    (target / 'layer.yaml').write_text(yaml.safe_dump(built))
    _write_relation_hooks(target, merged['metadata.yaml'])
    return target


def _read(path: Path) -> Dict[str, Any]:
    if not path.exists():
        return {}
    found: Dict[str, Any] = yaml.safe_load(path.read_text()) or {}
    return found


def _included(charm: Path, layers: Mapping[str, Path]) -> List[str]:
    """Return the layers below a layer, each before the layers that include it."""
    order: List[str] = []
    for name in _read(charm / 'layer.yaml').get('includes') or []:
        if name.startswith('interface:') and name not in layers:
            continue  # the local Juju has no relation for it
        if name not in layers:
            form = '{}: includes {}, which was not given; the layers given are {}'
            raise ValueError(form.format(charm / 'layer.yaml', name, ', '.join(sorted(layers)) or 'none'))
        order += [*_included(layers[name], layers), name]
    return list(dict.fromkeys(order))


def _options(
    charm: Path, layers: Mapping[str, Path], instead: Mapping[str, Mapping[str, Any]]
) -> Dict[str, Dict[str, Any]]:
    """Return what each layer's options are: its defaults, and above them what is chosen."""
    chosen = _read(charm / 'layer.yaml').get('options') or {}
    options: Dict[str, Dict[str, Any]] = {}
    for included in _included(charm, layers):
        name = included.partition(':')[2]
        defined = _read(layers[included] / 'layer.yaml').get('defines') or {}
        defaults = {option: about.get('default') for option, about in defined.items()}
        options[name] = {**defaults, **instead.get(name, chosen.get(name) or {})}
    return {name: found for name, found in options.items() if found}


def _merge(into: Dict[str, Any], more: Dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _write_relation_hooks(target: Path, metadata: Dict[str, Any]) -> None:
    """Write the relation hooks from hook.template, one for each endpoint and event."""
    endpoints: List[str] = [
        name for role in ('peers', 'provides', 'requires') for name in metadata.get(role) or {}
    ]
    template = target / 'hooks' / 'hook.template'
    for endpoint in endpoints if template.exists() else []:
        for event in RELATION_HOOKS:
            hook = target / 'hooks' / '{}-relation-{}'.format(endpoint, event)
            if not hook.exists():
                shutil.copy(str(template), str(hook))
                os.chmod(str(hook), 0o755)
