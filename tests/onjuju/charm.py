"""The charm of `make on-juju`: the example, built as docs/building.md tells, with a record of its work."""

import os
import platform
import shutil
import sys
import zipfile
from pathlib import Path
from subprocess import PIPE, STDOUT, CompletedProcess, run
from typing import Any, Callable, Dict, List

import yaml

from tests.onjuju.trouble import Trouble

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / 'examples' / 'rolling-db'
RECORD = Path(__file__).resolve().parent / 'work_record.py'
HANDLERS = Path('reactive') / 'rolling_db.py'
OF_THE_EXAMPLE = 'from subprocess import check_call\n'
OF_THE_RECORD = 'from charms.layer.work_record import check_call\n'
TOOLS = ('charm-tools==3.0.9', 'virtualenv<20.31', 'setuptools>=75,<82')
LEFT_OUT = (
    '.git',
    '.venv',
    '__pycache__',
    'build',
    '.hypothesis',
    '.pytest_cache',
    '.ruff_cache',
    '.mypy_cache',
)
NETWORK = (
    'The build needs git, and the network for PyPI and layer:basic. '
    'CHARM=FOLDER takes a charm that was built elsewhere.'
)

Run = Callable[..., CompletedProcess]


def built(folder: Path, say: Callable[[str], None], start: Run = run) -> Path:
    """Build the example with charm-build, as docs/building.md tells; return the charm's folder.

    Args:
        folder: where the tools, the layers and the charm go; tools that are there already are used again.
        say: gets a line for each step.
        start: runs a program.

    Raises:
        Trouble: a step fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    layer = folder / 'layers' / 'coordinator'
    shutil.rmtree(str(folder / 'layers'), ignore_errors=True)
    shutil.copytree(str(ROOT), str(layer), symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    tools = folder / 'tools'
    environ = {
        **os.environ,
        'PATH': '{}:{}'.format(tools / 'bin', os.environ.get('PATH', '')),
        'CHARM_LAYERS_DIR': str(folder / 'layers'),
        'CHARM_BUILD_DIR': str(folder / 'build'),
        'CHARM_HIDE_METRICS': '1',
    }
    environ.pop('PYTHONPATH', None)
    steps: Dict[str, List[str]] = {
        'make an environment for charm-tools': [sys.executable, '-m', 'venv', str(tools)],
        'install charm-tools': [str(tools / 'bin' / 'pip'), 'install', '--quiet', *TOOLS],
        'build the charm': [
            str(tools / 'bin' / 'charm-build'),
            '--binary-wheels',
            str(layer / 'examples' / 'rolling-db'),
        ],
    }
    for what, argv in steps.items():
        if (tools / 'bin' / 'charm-build').exists() and what != 'build the charm':
            continue
        say(what)
        _do(start, what, argv, environ, folder)
    return folder / 'build' / 'rolling-db'


def _do(start: Run, what: str, argv: List[str], environ: Dict[str, str], folder: Path) -> None:
    try:
        done = start(argv, env=environ, cwd=str(folder), stdout=PIPE, stderr=STDOUT, universal_newlines=True)
    except OSError as error:
        raise Trouble('Could not {}: {}. {}'.format(what, error, NETWORK)) from None
    if done.returncode:
        last = [line for line in done.stdout.splitlines() if line.strip()][-8:]
        raise Trouble('Could not {}: {} failed. {}'.format(what, Path(argv[0]).name, NETWORK), last)


def recorded(charm: Path, target: Path, work_s: float) -> Path:
    """Copy a built charm, and let it write its work down; return the copy.

    Raises:
        Trouble: it is not the example.
    """
    handlers = charm / HANDLERS
    text = handlers.read_text() if handlers.exists() else ''
    if OF_THE_EXAMPLE not in text or not (charm / 'metadata.yaml').exists():
        form = 'CHARM={}: expected the folder of the built example, with metadata.yaml and {}'
        raise Trouble(form.format(charm, HANDLERS))
    if not (charm / 'hooks' / 'config-changed').exists():
        form = 'CHARM={}: this is the example as a layer; build it first, as docs/building.md tells'
        raise Trouble(form.format(charm))
    shutil.copytree(str(charm), str(target), symlinks=False, ignore=shutil.ignore_patterns('__pycache__'))
    (target / HANDLERS).write_text(text.replace(OF_THE_EXAMPLE, OF_THE_RECORD))
    seconds = 'WORK_S = {}\n'.format(float(work_s))
    record = RECORD.read_text().replace('WORK_S = 10.0\n', seconds)
    (target / 'lib' / 'charms' / 'layer' / 'work_record.py').write_text(record)
    return target


def packed(charm: Path, target: Path, base: str) -> Path:
    """Write a charm's folder as a .charm file with a manifest, which Juju 4 asks for.

    Args:
        charm: the folder, whose metadata.yaml loses `series`, since the manifest has the base.
        target: the file to write.
        base: as 'ubuntu@24.04'.
    """
    name, _, channel = base.partition('@')
    machine = {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine())
    manifest = {'bases': [{'name': name, 'channel': channel, 'architectures': [machine]}]}
    metadata: Dict[str, Any] = yaml.safe_load((charm / 'metadata.yaml').read_text())
    metadata.pop('series', None)
    with zipfile.ZipFile(str(target), 'w', zipfile.ZIP_DEFLATED) as file:
        for path in sorted(charm.rglob('*')):
            if path.is_file() and path.relative_to(charm) not in (
                Path('metadata.yaml'),
                Path('manifest.yaml'),
            ):
                file.write(str(path), str(path.relative_to(charm)))
        file.writestr('metadata.yaml', yaml.safe_dump(metadata))
        file.writestr('manifest.yaml', yaml.safe_dump(manifest))
    return target


def base_of_this_machine(release: Path = Path('/etc/os-release')) -> str:
    """Return the base of the Ubuntu that this is, whose wheels the charm carries; else ubuntu@24.04."""
    found = (
        dict(line.split('=', 1) for line in release.read_text().splitlines() if '=' in line)
        if release.exists()
        else {}
    )
    if found.get('ID', '').strip('"') == 'ubuntu':
        return 'ubuntu@' + found.get('VERSION_ID', '24.04').strip('"')
    return 'ubuntu@24.04'
