"""What hooks/coordinator-relation-changed decides, as a function: two million scripts take an hour otherwise.

The script is the truth. benchmarks/test_bench.py runs both on the same files and
demands the same answer, so a change of the script fails there until it is here, too.
"""

import hashlib
from typing import NamedTuple, Tuple

LINES = 5
"""How many lines a whole hook writes; each hook that leaves adds one."""

SETTINGS_CHANGED = 'leader-settings-changed'


class Answers(NamedTuple):
    """What the hook tools print, without the newline at the end.

    Args:
        said: relation-get of the unit's own claims.
        data: relation-get --app -, or leader-get in leader-settings-changed.
    """

    said: str = ''
    data: str = ''


class Asleep:
    """The file .coordinator.wake as a whole hook has left it, read once.

    Args:
        text: the file.
    """

    def __init__(self, text: str) -> None:
        lines = text.split('\n')
        self.whole = len(lines) > LINES and lines[0].startswith('wake-1 ') and lines[0].endswith(' end')
        self.words = frozenset(lines[0].split(' ')[1:])
        self.text, self.told, self.settings = (*lines[1:4], '', '', '')[:3]
        self.first = len(lines) < LINES + 2  # no hook has left since

    def leaves(self, hook: str, remote: str, unit: str, tools: Answers) -> Tuple[bool, int]:
        """Return whether the script leaves, and how many hook tools it calls.

        Args:
            hook: the hook's name.
            remote: the unit whose news it brings, '' for the leader's data.
            unit: the unit that runs it.
            tools: what the hook tools print.
        """
        if not self.whole or 'all' in self.words or remote in self.words:
            return False, 0
        calls = 0
        if self.first:
            if '{}:{}'.format(hook, remote) in self.words:
                return False, 0
            if self.told:
                calls += 1
                if tools.said != self.told.partition(' ')[2]:
                    return False, calls
        if not remote:
            if not self.text:
                return False, calls
            calls += 1
            if not self._has_nothing_new(hook, unit, tools.data):
                return False, calls
        self.first = False
        return True, calls

    def _has_nothing_new(self, hook: str, unit: str, data: str) -> bool:
        if hook == SETTINGS_CHANGED:
            before, _, rest = data.partition('"coordinator-ledger-')
            _, ends, after = rest.partition('}"')
            around = '{} {}'.format(before, after if ends else rest)
            if not self.settings or hashlib.sha256(around.encode()).hexdigest() != self.settings:
                return False
        if 'anew' in data or data.count('coordinator-ledger-') > 1 or '\\"orders\\":' in data:
            return False
        return self.text in data or '"{}\\"'.format(unit) not in data
