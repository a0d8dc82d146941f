"""Virtual time and the record of what happened. Nothing here knows Juju.

Events due at the same moment come in the order in which they were booked, and
every random number comes from the seed, so a seed has one history.
"""

import heapq
import random
from typing import Callable, List, NamedTuple, Optional, Tuple


class Event(NamedTuple):
    """One thing that happened: a hook began, a program ran, leadership moved, and so on."""

    time: float
    unit: str
    what: str
    text: str = ''


class Restless(Exception):
    """Raised where a model does not come to rest."""


class Timeline:
    """Events in virtual time, in seconds since the model began."""

    def __init__(self, seed: int, delay_s: Tuple[float, float]) -> None:
        self.seed, self.delay_s = seed, delay_s
        self.random = random.Random(seed)
        self.now = 0.0
        self.history: List[Event] = []
        self.observers: List[Callable[[Event], None]] = []
        self.readers: List[Callable[[str, str], None]] = []
        self.logs: List[Tuple[float, str, str, str]] = []
        self._events: List[Tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._on_their_way = 0

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Do something at a virtual time, in seconds since the model began."""
        self._sequence += 1
        heapq.heappush(self._events, (when, self._sequence, do))

    def run(self, seconds: Optional[float] = None, until: Optional[Callable[[], bool]] = None) -> bool:
        """Let time pass: for so long, or until a condition holds, or until nothing is left to do.

        Update-status and lease renewals are not "left to do". Returns whether
        the condition held, or without one, True.

        Raises:
            Restless: where it does not come to rest within a day of the model.
        """
        patience = self.now + 86400
        stop = None if seconds is None else self.now + seconds
        while self._events and (stop is None or self._events[0][0] <= stop):
            if until is not None and until():
                return True
            if stop is None and until is None and self.quiet:
                return True
            self.now, _, do = heapq.heappop(self._events)
            if stop is None and self.now > patience:
                raise Restless('no rest within a day; the last events:\n' + self.story(30))
            do()
        if stop is not None:
            self.now = stop
        return until is None or until()

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to do."""
        return not self._on_their_way

    def _delay(self) -> float:
        return self.random.uniform(*self.delay_s)

    def _soon(self, seconds: float, do: Callable[[], None]) -> None:
        """Do something after some seconds; until then the model is not quiet."""
        self._on_their_way += 1

        def done() -> None:
            self._on_their_way -= 1
            do()

        self.at(self.now + seconds, done)

    # What happened

    def note(self, what: str, text: str) -> None:
        """Add a line that belongs to no unit to the history."""
        self._tell('', what, text)

    def _tell(self, unit: str, what: str, text: str = '') -> None:
        event = Event(self.now, unit, what, text)
        self.history.append(event)
        for observer in self.observers:
            observer(event)

    def _log(self, unit: str, level: str, text: str) -> None:
        self.logs.append((self.now, unit, level, text))
        for reader in self.readers:
            reader(unit, text)

    def log_of(self, unit: str, containing: str = '') -> List[str]:
        """Return what a unit logged, in order, without charms.reactive's tracer."""
        return [
            text
            for _, by, _, text in self.logs
            if by == unit and containing in text and not text.startswith('tracer')
        ]

    def story(self, last: int = 0) -> str:
        """Return the history as text, a line an event; the last so many lines only, if asked."""
        lines = ['{:9.2f}  {:10} {} {}'.format(*event).rstrip() for event in self.history]
        return '\n'.join(lines[-last:])
