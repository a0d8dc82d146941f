"""What ends the suite before its verdict, in a sentence."""

from typing import Any, Iterable


class Trouble(Exception):
    """Why the suite cannot go on, and what to do.

    Args:
        sentence: both, for the person who typed the command.
        details: what was seen of the units, a line each.
    """

    def __init__(self, sentence: str, details: Iterable[str] = ()) -> None:
        super().__init__(sentence)
        self.sentence, self.details = sentence, list(details)


class Skipped(Exception):
    """Why a scene cannot be played here."""


def last_line(error: Any) -> str:
    """Return the last thing that juju said when it failed."""
    said = [line for line in str(error.stderr or error.stdout or '').splitlines() if line.strip()]
    return said[-1].strip() if said else 'it ended with status {}'.format(error.returncode)
