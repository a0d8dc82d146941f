"""Which hooks of a roll run whole, which leave at once, and what each whole one was for."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from charms.layer.coordinator import forms, wire
from charms.layer.coordinator.values import NO_CLAIM

from benchmarks.script import LINES, SETTINGS_CHANGED
from jujusim.juju import Event, Juju

RUNS_WHOLE = 'Reactive main running'  # what charms.reactive logs where a hook's handlers are run


class Ran(NamedTuple):
    """One hook that has ended.

    Args:
        unit: where it ran.
        event: the hook, `data` for news of the leader's data, `news` for a peer's.
        about: what the news said: asks, releases, asks and releases, nothing new; '' where it is no news.
        woke: why a whole hook ran: all (the file said so), watched, retry, data, or what Juju lacks of the
            unit's claims; `always` for hooks without a script; '' where the script left.
        whole: whether Python ran.
        leads: whether the unit led at its start.
        gave: how many tickets it gave; None where it did not write the ledger.
        worked: whether the unit used its turn in it.
        began_s: when it began.
        took_s: how long it took.
    """

    unit: str
    event: str
    about: str
    woke: str
    whole: bool
    leads: bool
    gave: Optional[int]
    worked: bool
    began_s: float
    took_s: float

    @property
    def use(self) -> str:
        """What came of the hook, in a word."""
        parts = ['works'] * self.worked
        if self.gave is not None:
            parts.append('gives {}'.format('tickets' if self.gave else 'no ticket'))
        return ' and '.join(parts) or 'nothing'


class Account:
    """Follows a model from now on, and keeps what each hook was for."""

    def __init__(self, model: Juju) -> None:
        self.model = model
        self.hooks: List[Ran] = []
        self._open: Dict[str, Dict[str, Any]] = {}
        model.observers.append(self._see)

    def _see(self, event: Event) -> None:
        if event.what == 'begins':
            self._open[event.unit] = self._begun(event)
        elif event.what == 'works' and event.unit in self._open:
            self._open[event.unit]['worked'] = True
        elif event.what in ('ends', 'fails') and event.unit in self._open:
            self._end(event, self._open.pop(event.unit))

    def _begun(self, event: Event) -> Dict[str, Any]:
        name, _, remote = event.text.rstrip(')').partition(' (')
        is_news = name.endswith('-relation-changed')
        return {
            'event': name if not is_news else 'news' if remote else 'data',
            'about': self._about(event.unit, remote) if is_news and remote else '',
            'woke': self._why(event.unit, name, remote) if is_news or name == SETTINGS_CHANGED else 'always',
            'leads': self.model.controller.leader == event.unit,
            'logs': len(self.model.logs),
            'writes': len(self.model.controller.leader_writes),
            'began_s': event.time,
            'worked': False,
        }

    def _folder(self, unit: str) -> Path:
        return self.model.home / 'agents' / unit.replace('/', '-') / 'charm'

    def _why(self, unit: str, name: str, remote: str) -> str:
        """Return why the script would run the hook whole, as far as the file alone tells."""
        file = self._folder(unit) / '.coordinator.wake'
        lines = file.read_text().split('\n') if file.exists() else []
        words = lines[0].split(' ')[1:-1] if lines else ['all']
        if 'all' in words or remote in words:
            return 'all' if 'all' in words else 'watched'
        if len(lines) < LINES + 2 and '{}:{}'.format(name, remote) in words:
            return 'retry'
        return 'data' if not remote else 'what Juju lacks'

    def _about(self, unit: str, remote: str) -> str:
        """Return what a peer's news says beyond what the unit remembers of it."""
        store = self._folder(unit) / '.coordinator.json'
        state = wire.state(forms.parsed(store.read_text()), 'store')[0] if store.exists() else None
        knows = dict(state.peers).get((remote, ''), NO_CLAIM) if state else NO_CLAIM
        text = self.model.controller.units[remote].settings.get('coordinator-claims')
        said = wire.said(text, 'databag')[0]
        says = dict(said.queues).get('', NO_CLAIM) if said else NO_CLAIM
        parts = ['asks'] * (says.asked > knows.asked and says.outstanding)
        parts += ['releases'] * (says.done > knows.done and says.done > 0)
        return ' and '.join(parts) or 'nothing new'

    def _end(self, event: Event, begun: Dict[str, Any]) -> None:
        logs = self.model.logs[begun.pop('logs') :]
        whole = any(unit == event.unit and text.startswith(RUNS_WHOLE) for _, unit, _, text in logs)
        mine = [
            text
            for unit, text in self.model.controller.leader_writes[begun.pop('writes') :]
            if unit == event.unit
        ]
        self.hooks.append(
            Ran(
                unit=event.unit,
                whole=whole,
                gave=sum(map(_tickets, mine)) if mine else None,
                took_s=event.time - begun['began_s'],
                **{**begun, 'woke': begun['woke'] if whole else ''},
            )
        )

    @property
    def whole(self) -> List[Ran]:
        """The hooks in which Python ran, without update-status."""
        return [hook for hook in self.hooks if hook.whole and hook.event != 'update-status']

    @property
    def left(self) -> List[Ran]:
        """The hooks that the script left at once."""
        return [hook for hook in self.hooks if not hook.whole]


def _tickets(written: str) -> int:
    """Return how many tickets a leader's write has in its newest ledger."""
    ledgers = [value for key, value in json.loads(written).items() if value and '"tickets"' in value]
    return max((len(json.loads(text)['tickets']) for text in ledgers), default=0)


def purposes(hooks: List[Ran]) -> List[Tuple[str, int]]:
    """Return how many of the hooks were for what, the most frequent first."""
    found = Counter(
        '{}{}, woken by {}, {}'.format(
            hook.event, ' that ' + hook.about if hook.about else '', hook.woke, hook.use
        )
        for hook in hooks
    )
    return found.most_common()
