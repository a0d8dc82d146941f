"""Command lines: a verb's options and words, and how a command ends that cannot go on."""

import re
from typing import Dict, List, NamedTuple, Optional, Tuple

COMMON = 'model|m= quiet|q verbose'
"""What every verb takes; the last two change nothing here."""


class Answer(NamedTuple):
    """What a command printed, and its exit code."""

    out: str = ''
    err: str = ''
    code: int = 0


class Refused(Exception):
    """An error that Juju would report: exit code 1, and what was printed before."""

    def __init__(self, text: str, out: str = '') -> None:
        super().__init__(text)
        self.out = out


class NotKnown(Exception):
    """What Juju may know and this one does not: exit code 2."""


class Line(NamedTuple):
    """A command line taken apart: options by their first name, and the words beside them."""

    verb: str
    options: Dict[str, List[str]]
    words: List[str]
    folder: str = '/'

    def has(self, name: str) -> bool:
        """Tell whether an option was given."""
        return name in self.options

    def get(self, name: str, default: str = '') -> str:
        """Return an option's last value."""
        return self.options.get(name, [default])[-1]

    def format(self, known: Tuple[str, ...], default: str) -> str:
        """Return the chosen form of the output, which must be a known one."""
        chosen = self.get('format', default)
        if chosen not in known:
            form = 'juju {}: --format {} is not known here; known: {}'
            raise NotKnown(form.format(self.verb, chosen, ', '.join(known)))
        return chosen

    def demand(self, least: int, most: Optional[int], what: str) -> List[str]:
        """Return the words if there are as many as there should be."""
        if len(self.words) < least:
            raise Refused('{}: expected {}'.format(self.verb, what))
        if most is not None and len(self.words) > most:
            raise Refused('unrecognized args: {!r}'.format(self.words[most:]))
        return self.words


def parse(verb: str, words: List[str], options: str, folder: str = '/', mixed: bool = True) -> Line:
    """Take a command line apart.

    Args:
        verb: what it begins with.
        words: what follows.
        options: those that are known, as 'num-units|n= force': `=` for those with a value.
        folder: the client's current directory.
        mixed: whether options may follow words; else the first word ends them.

    Raises:
        NotKnown: an option is none of these.
    """
    known = _known('{} {}'.format(COMMON, options))
    found: Dict[str, List[str]] = {}
    rest: List[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        if word == '--':
            return Line(verb, found, rest + waiting, folder)
        match = re.match(r'--?([a-zA-Z][\w-]*)(=.*)?$', word, re.DOTALL)
        if not match:
            rest.append(word)
            if not mixed:
                return Line(verb, found, rest + waiting, folder)
            continue
        if match[1] not in known:
            form = 'juju {}: the option {} is not known here; known: {}'
            raise NotKnown(form.format(verb, word, ' '.join(sorted(_spelled(name) for name in known))))
        name, takes = known[match[1]]
        if takes and match[2] is None and not waiting:
            raise Refused('option needs an argument: {}'.format(word))
        value = match[2][1:] if match[2] is not None else waiting.pop(0) if takes else 'true'
        found.setdefault(name, []).append(value)
    return Line(verb, found, rest, folder)


def _known(options: str) -> Dict[str, Tuple[str, bool]]:
    known = {}
    for word in options.split():
        names = word.rstrip('=').split('|')
        known.update({name: (names[0], word.endswith('=')) for name in names})
    return known


def _spelled(name: str) -> str:
    return '-' * min(len(name), 2) + name


def seconds(text: str) -> float:
    """Return a duration as Go writes it, '1m30s' or '5.0s', in seconds."""
    units = {'h': 3600.0, 'm': 60.0, 's': 1.0, 'ms': 0.001}
    parts = re.findall(r'(\d+\.?\d*)(ms|[hms])', text)
    if ''.join(number + unit for number, unit in parts) != text or not text:
        raise Refused('invalid value "{}": time: invalid duration "{}"'.format(text, text))
    return sum(float(number) * units[unit] for number, unit in parts)


def pairs(words: List[str]) -> Dict[str, str]:
    """Return 'key=value' words as a dict."""
    wrong = [word for word in words if '=' not in word]
    if wrong:
        raise Refused('expected "key=value", got "{}"'.format(wrong[0]))
    return dict(word.split('=', 1) for word in words)
