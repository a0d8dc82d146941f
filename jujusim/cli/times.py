"""How Juju's client writes the model's time."""

import datetime

from jujusim.executions import EPOCH_S


def moment(now: float) -> datetime.datetime:
    """Return a time of the model, in seconds since it began, as a date."""
    return datetime.datetime.fromtimestamp(EPOCH_S + now, datetime.timezone.utc)


def since(now: float) -> str:
    """Return a time as in `juju status --format json`."""
    return moment(now).strftime('%d %b %Y %H:%M:%SZ')


def stamp(now: float) -> str:
    """Return a time as in the result of a task, to the nanosecond."""
    return moment(now).strftime('%Y-%m-%d %H:%M:%S.%f') + '000 +0000 UTC'


def clock(now: float, form: str = '%H:%M:%S') -> str:
    """Return a time of day."""
    return moment(now).strftime(form)
