"""What leaders have written on a local Juju, read as the layer reads it, and spoilt as an operator might."""

from typing import Any, Dict, Optional

from charms.layer.coordinator import terms, wire
from charms.layer.coordinator.values import Ledger, Record, Terms

KEY = 'coordinator-ledger'


def data_of(controller: Any) -> Dict[str, str]:
    """Return what leaders wrote: leader settings on Juju 3, the application databag on 4."""
    found: Dict[str, str] = controller.leader_settings if controller.juju == 3 else controller.app_settings
    return found


def terms_in(data: Dict[str, str]) -> Terms:
    """Return the records among what leaders have written."""
    found = (
        wire.record(key[len(KEY) + 1 :], text, key)[0]
        for key, text in data.items()
        if key.startswith(KEY + '-')
    )
    return Terms(tuple(record for record in found if record), KEY in data)


def newest(data: Dict[str, str]) -> Optional[Record]:
    """Return the record of the ledger that counts, None if there is none."""
    return terms.newest_record(terms_in(data))


def newest_key(data: Dict[str, str]) -> str:
    """Return the key of the ledger that counts, '' if there is none."""
    record = newest(data)
    return '{}-{}'.format(KEY, wire.record_name(record)) if record else ''


def newest_text(data: Dict[str, str]) -> str:
    """Return the text of the ledger that counts, '' if there is none."""
    return data.get(newest_key(data), '')


def ledger_in(data: Dict[str, str]) -> Ledger:
    """Return the ledger that counts, an empty one if there is none."""
    record = newest(data)
    return (record and record.ledger) or Ledger()
