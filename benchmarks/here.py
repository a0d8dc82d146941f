"""Which machine this is: what `make bench` measures is true of it alone."""

import os
import platform
from pathlib import Path

CPUINFO = '/proc/cpuinfo'
MODEL = ('model name', 'Model')  # the second where the CPU is an ARM


def told(cpuinfo: str = CPUINFO) -> str:
    """Return a sentence about this machine and how busy it is."""
    form = 'This machine: {}, {} cores for this process, Python {}, Linux {}; load {:.1f} at the start.'
    load = os.getloadavg()[0]
    return form.format(model(cpuinfo), cores(), platform.python_version(), platform.release(), load)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def model(cpuinfo: str = CPUINFO) -> str:
    """Return what the CPU calls itself, or its architecture if it says nothing."""
    try:
        lines = Path(cpuinfo).read_text(errors='replace').splitlines()
    except OSError:
        lines = []
    named = {key.strip(): text.strip() for key, _, text in (line.partition(':') for line in lines)}
    return next((named[key] for key in MODEL if named.get(key)), platform.machine())
