"""What hooks/coordinator-relation-changed decides, as a function: two million scripts take an hour otherwise.

The script is the truth. benchmarks/test_thousand.py runs both on the same files and
demands the same answer, so a change of the script fails there until it is here, too.
"""

from typing import NamedTuple, Tuple

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
        self.whole = len(lines) > 6 and lines[0].startswith('wake-1 ') and lines[0].endswith(' end')
        self.words = frozenset(lines[0].split(' ')[1:])
        self.text, self.told, self.before, self.after = (*lines[1:5], '', '', '', '')[:4]
        self.first = len(lines) < 8  # no hook has left since

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
            ends = len(data) - len(self.after)
            if not self.before or not data.startswith(self.before) or not data.endswith(self.after):
                return False
            ours = data[len(self.before) : ends]
            if '","' in ours or not ours.startswith('"coordinator-ledger-'):
                return False
        if 'anew' in data or data.count('coordinator-ledger-') > 1:
            return False
        return self.text in data or '"{}\\"'.format(unit) not in data
