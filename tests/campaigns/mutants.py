"""Breaks the layer on purpose, one rule at a time, and shows which test notices: `make mutants`.

Each mutation changes one place of the tree in a copy of it, and runs a few
tests there, the cheapest that notice. First the same tests run on the tree as
it is: they must pass, or to fail would mean nothing. Exits with 1 where a
mutation is not caught.

    .venv/bin/python tests/campaigns/mutants.py           all of them
    .venv/bin/python tests/campaigns/mutants.py 'rule 7'  those with these words in their name
"""

import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from typing import List, NamedTuple, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
LIB = 'lib/charms/layer/coordinator/'
LEFT_OUT = ('.git', '.venv', '.hypothesis', '.pytest_cache', '.ruff_cache', '.mypy_cache', '__pycache__')

FAILED, FAULT = 1, 3
"""What pytest exits with if a test failed, and what a search exits with if it found a fault."""

SEARCH = """
from tests.proofs.search import Search
from tests.proofs.smallworld import Kind

found = Search(Kind({}, asks={})).run(most={})
print(found)
raise SystemExit({} if found.fault else 0)
"""


class Mutation(NamedTuple):
    """One rule broken.

    Args:
        name: the rule of the design, or the row of what the old pair gets wrong, and what is broken.
        file: from the tree's root.
        good: what is there, exactly once; '' for a file that must not be there.
        bad: what is put in its place.
        caught_by: arguments of Python that notice: a pytest selection, a search, any other command.
    """

    name: str
    file: str
    good: str
    bad: str
    caught_by: Tuple[str, ...]


def tests(*selection: str) -> Tuple[str, ...]:
    return (
        '-m',
        'pytest',
        '-x',
        '-q',
        '-rf',
        '-p',
        'no:cacheprovider',
        *['tests/' + each for each in selection],
    )


def search(kind: str, asks: int = 1, most: int = 100000) -> Tuple[str, ...]:
    """Visit so many worlds of two units; the shortest history is told."""
    return ('-c', SEARCH.format(kind, asks, most, FAULT))


MUTATIONS = [
    Mutation(
        'rule 1: two versions of a claim do not merge by max',
        LIB + 'rules.py',
        'done=max(ours.done, theirs.done)',
        'done=theirs.done',
        tests('unit/test_rules.py::test_versions_of_a_claim_merge_the_same_in_any_order'),
    ),
    Mutation(
        'rule 1, row "hook fails after the critical section": a release is not remembered at once',
        LIB + 'protocol.py',
        '    port.save(hook.local)\n    port.publish(own)',
        '    port.publish(own)',
        tests('hooks/test_charm.py::test_a_released_lock_is_not_used_twice_though_the_hook_fails_afterwards[3]'),
    ),
    Mutation(
        'rule 1, row "request lost when the commit fails": what Juju has not heard is not told again',
        LIB + 'protocol.py',
        'if reread or not known or own != committed:',
        'if reread or not known:',
        search('juju=3'),
    ),
    Mutation(
        'rule 2: absence of data counts as a release',
        LIB + 'rules.py',
        'claims.get((ticket.unit, ticket.queue), NO_CLAIM).done >= ticket.ask',
        'claims.get((ticket.unit, ticket.queue), Claim(done=MAX_COUNT)).done >= ticket.ask',
        tests('unit/test_rules.py::test_a_unit_of_which_nothing_is_known_holds_what_it_has'),
    ),
    Mutation(
        'rule 2, row "queue ordered by unit clocks": who asks later is put before who has a ticket',
        LIB + 'rules.py',
        'return Ledger(token, standing + tuple(added))',
        'return Ledger(token, tuple(added) + standing)',
        tests('unit/test_rules.py::test_an_earlier_clock_overtakes_nobody_who_has_a_ticket'),
    ),
    Mutation(
        'rule 3: one slot too many',
        LIB + 'protocol.py',
        'len(rules.ahead(hook.ledger, ticket, hook.claims)) < ticket.slots',
        'len(rules.ahead(hook.ledger, ticket, hook.claims)) <= ticket.slots',
        search('juju=3'),
    ),
    Mutation(
        'rule 3: a later option takes a turn from its holder',
        LIB + 'rules.py',
        'token + 1, queue, unit, claim.asked, slots, since=',
        'token + 1, queue, unit, claim.asked, since=',
        tests('unit/test_rules.py::test_fewer_slots_later_take_nothing_from_a_holder'),
    ),
    Mutation(
        'rule 4, row "nobody is woken": a release is heard by the leader alone',
        LIB + 'protocol.py',
        '                hook = _hear(port, hook, [earlier.unit])\n',
        '',
        search('juju=3'),
    ),
    Mutation(
        'rule 5: a ticket is used before it is durable',
        LIB + 'protocol.py',
        '    if port.durable_at_once:\n',
        '    if True:\n',
        search('juju=4'),
    ),
    Mutation(
        'rule 5, row "leader\'s own lock only in memory": granted, and written by nobody',
        LIB + 'protocol.py',
        """            port.write_ledger(grown)
            hook = _noting(hook, start, grown, gone)
    except LedgerClosed:
        return hook._replace(leading=False)
    if port.durable_at_once:
""",
        """            return hook._replace(ledger=grown, ledger_read=True)
    except LedgerClosed:
        return hook._replace(leading=False)
    if port.durable_at_once:
""",
        search('juju=3'),
    ),
    Mutation(
        'rule 6: the ledger is written for each request',
        LIB + 'rules.py',
        'if _unfinished(ledger, queue, claims, gone) > slots:',
        'if _unfinished(ledger, queue, claims, gone) > 10000:',
        tests('unit/test_rules.py::test_the_leader_writes_rarely'),
    ),
    Mutation(
        'rule 7, row "read before asking": decided from what the hook read at its start',
        LIB + 'protocol.py',
        '        ledger = port.fresh_ledger()\n        if ledger is None:',
        '        ledger = port.ledger()\n        if ledger is None:',
        search('juju=3, aba=True', asks=2, most=200000),
    ),
    Mutation(
        'rule 7: leader-get is taken for fresh, as Juju caches it',
        LIB + 'juju.py',
        "        self._set({self.key + '-refresh': None})\n",
        '',
        tests('unit/test_juju.py::test_a_ledger_that_another_wrote_within_the_hook_is_read_before_a_decision'),
    ),
    Mutation(
        'rule 7: a write that is refused fails the hook',
        LIB + 'juju.py',
        """            raise _closed('leader-set', refused) from refused
""",
        """            raise
""",
        tests('unit/test_juju.py::test_a_write_that_is_refused_closes_the_ledger_and_fails_no_hook'),
    ),
    Mutation(
        'rule 8: a ticket above the own claim is not adopted',
        LIB + 'protocol.py',
        'own = rules.adopted(hook.ledger, hook.occasion.unit, hook.own)',
        'own = hook.own',
        search('juju=3, forgets=True', most=200000),
    ),
    Mutation(
        'rule 9: the release of a hook that has not succeeded counts',
        LIB + 'protocol.py',
        '= {} if policy.tells else hook.committed',
        '= {} if policy.tells else claims',
        search('juju=3, releases=True', asks=2, most=200000),
    ),
    Mutation(
        'rule 9: a ticket is dropped for a release that Juju has not heard',
        LIB + 'rules.py',
        'if ticket.unit not in gone and not finished(ticket, committed)',
        'if ticket.unit not in gone and not finished(ticket, claims)',
        tests('unit/test_rules.py::test_what_only_this_unit_knows_yet_of_itself_frees_no_ticket'),
    ),
    Mutation(
        'rule 9: the turn is released before the handlers, and so when they fail',
        LIB + '__init__.py',
        '    hookenv.atexit(end_hook)\n',
        '    protocol.end(here.juju, here.hook, frozenset(), frozenset(), juju.now())\n'
        '    hookenv.atexit(end_hook)\n',
        tests('hooks/test_rolling.py::test_a_restart_that_fails_stops_the_roll_until_it_is_retried[3]'),
    ),
    Mutation(
        'rule 9: an action between a failed hook and its retry uses up the turn',
        LIB + 'here.py',
        'self.aside = frozenset(self.hook.turns)',
        'self.aside = frozenset()',
        tests('hooks/test_found.py::test_an_action_between_a_failed_hook_and_its_retry_frees_no_lock[3]'),
    ),
    Mutation(
        'rule 10: a unit that leaves takes a new turn',
        LIB + 'juju.py',
        "leaving=(ours and departing == unit) or name in ('stop', 'remove'),",
        'leaving=False,',
        tests('hooks/test_charm.py::test_a_unit_that_leaves_takes_no_new_turn_and_gives_up_what_it_has[3]'),
    ),
    Mutation(
        'row "stale granted flag": no flag is ever cleared',
        LIB + 'flags.py',
        'for flag in sorted(present - wanted):',
        'for flag in ():',
        tests('hooks/test_charm.py::test_the_granted_flag_is_set_in_just_the_hook_in_which_the_lock_is_held[3]'),
    ),
    Mutation(
        'row "new leader with an empty relation-list": who is not in it is gone',
        LIB + 'juju.py',
        'units = frozenset(_goal_units())',
        'units = frozenset(hookenv.related_units(self.relation)) | {self.unit}',
        tests('unit/test_juju.py::test_nobody_is_gone_because_a_new_leader_has_not_joined_him'),
    ),
    Mutation(
        'section 5: a unit that is leaving is taken for gone',
        LIB + 'protocol.py',
        'living = port.living()',
        'living = port.everybody()',
        tests('unit/test_juju.py::test_a_unit_that_is_dying_is_not_gone'),
    ),
    Mutation(
        'row "ask while holding": what is asked for in a callback goes with the turn',
        LIB + 'here.py',
        '        if self._turn_is_ending(lock):\n',
        '        if False:\n',
        tests('hooks/test_found.py::test_a_lock_asked_for_in_a_callback_outlives_the_release_of_the_turn_it_came_in',
              'hooks/test_charm.py::test_a_lock_asked_for_in_another_layers_atexit_callback_is_not_lost[3]'),
    ),
    Mutation(
        'row "grant landing in a hook whose handlers do not match": keep_lock keeps nothing',
        LIB + 'protocol.py',
        'if set(claim.names) & kept:',
        'if False:',
        tests('hooks/test_charm.py::test_a_kept_lock_is_held_in_the_next_hook_and_by_nobody_else[3]'),
    ),
    Mutation(
        'row "acquire in another layer\'s atexit": granted when no handler can use it',
        LIB + 'here.py',
        'return self.hook.serving and not juju.callbacks_running()',
        'return self.hook.serving',
        tests('hooks/test_charm.py::test_a_lock_asked_for_in_another_layers_atexit_callback_is_not_lost'),
    ),
    Mutation(
        'row "bad JSON from one peer": it fails the hook',
        LIB + 'wire.py',
        'except (ValueError, RecursionError):\n        return None',
        'except RecursionError:\n        return None',
        tests('unit/test_wire.py::test_any_text_is_read_as_something_or_reported_and_never_raises'),
    ),
    Mutation(
        'row "bad JSON from one peer": a count that cannot be is believed',
        LIB + 'wire.py',
        ' and _is_token(token) and done <= asked):',
        ' and _is_token(token)):',
        tests('hooks/test_charm.py::test_a_holders_poisoned_claim_frees_nothing_and_fails_no_hook'),
    ),
    Mutation(
        'row "bad JSON from one peer": a ticket that cannot be read is finished',
        LIB + 'rules.py',
        '    if ticket.raw:\n        return False\n',
        '',
        tests('unit/test_wire.py::test_a_bad_ticket_stays_where_it_is_and_frees_nobody'),
    ),
    Mutation(
        'row "bad JSON from one peer": a local store is believed though its checksum is another',
        LIB + 'juju.py',
        'if found != _summed(text):',
        'if not found:',
        tests('hooks/test_found.py::test_a_digit_changed_in_a_local_store_is_not_believed'),
    ),
    Mutation(
        'row "order across lock names": requests seen together have no order',
        LIB + 'rules.py',
        '        requests.sort(key=_order)\n',
        '        requests.sort(key=len)\n',
        tests('unit/test_rules.py::test_requests_seen_together_are_ordered_by_time_and_then_by_unit'),
    ),
    Mutation(
        'row "own hook stubs in the layer": one is shipped',
        'hooks/config-changed',
        '',
        '#!/usr/bin/env python3\n',
        tests('unit/test_house.py::test_nothing_of_the_layer_stands_in_the_way_of_layer_basic'),
    ),
    Mutation(
        'row "two coordinators": locks with queues of their own share one',
        LIB + 'policy.py',
        'return lock if self.per_lock else ALL_LOCKS',
        'return ALL_LOCKS',
        tests('unit/test_rules.py::test_locks_with_queues_of_their_own_are_held_by_different_units_and_others_by_one'),
    ),
    Mutation(
        'row "Juju 4": leader settings are asked for where there are none',
        LIB + 'juju.py',
        "major_version(os.environ.get('JUJU_VERSION', '')) < 4",
        "major_version(os.environ.get('JUJU_VERSION', '')) < 5",
        tests('unit/test_juju.py::test_three_units_take_turns_and_each_failed_turn_is_kept'),
    ),
    Mutation(
        'section 5: a subordinate, whose goal-state is empty, takes all others for gone',
        LIB + 'juju.py',
        'return units if self.unit in units else None',
        'return units',
        tests('hooks/test_charm.py::test_units_of_a_subordinate_take_turns_too'),
    ),
    Mutation(
        'section 2: a token is given twice',
        LIB + 'rules.py',
        'token, room = ticket.token, room - _bytes(ticket)',
        'room = room - _bytes(ticket)',
        tests('unit/test_rules.py::test_tokens_only_grow_and_none_is_given_twice'),
    ),
]  # fmt: skip


class Outcome(NamedTuple):
    """What came of one mutation: who caught it ('' for nobody), after how long, and the output."""

    by: str
    seconds: float
    output: str


def misplaced(mutation: Mutation, root: Path = ROOT) -> str:
    """Return why a mutation cannot be made, '' if it can."""
    path = root / mutation.file
    if not mutation.good:
        return '{}: expected no such file, found one'.format(mutation.file) if path.exists() else ''
    times = path.read_text(encoding='utf-8').count(mutation.good)
    if times == 1:
        return ''
    form = '{}: expected once, found {} times: {!r}; correct the table in tests/campaigns/mutants.py'
    return form.format(mutation.file, times, mutation.good)


def copied(place: Path) -> Path:
    """Return a copy of the tree, without what is not in git."""
    shutil.copytree(str(ROOT), str(place / 'tree'), symlinks=True, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return place / 'tree'


def mutated(mutation: Mutation, tree: Path) -> None:
    path = tree / mutation.file
    if not mutation.good:
        path.write_text(mutation.bad, encoding='utf-8')
    else:
        text = path.read_text(encoding='utf-8')
        path.write_text(text.replace(mutation.good, mutation.bad), encoding='utf-8')


def outcome(caught_by: Sequence[str], tree: Path) -> Tuple[int, Outcome]:
    """Run a command in a tree; return its exit code, and what it tells."""
    began = time.monotonic()
    env = {'PATH': '/usr/bin:/bin', 'PYTHONPATH': 'lib:.', 'PYTHONDONTWRITEBYTECODE': '1', 'LANG': 'C.UTF-8'}
    done = run([sys.executable, *caught_by], cwd=str(tree), env=env, stdout=PIPE, stderr=STDOUT)
    output = done.stdout.decode('utf-8', 'replace')
    return done.returncode, Outcome(told(done.returncode, output), time.monotonic() - began, output)


def told(code: int, output: str) -> str:
    """Return who caught it: the test, or the fault and the length of the shortest history."""
    if code == FAULT:
        steps = len(re.findall(r'^ +\d+  ', output, re.M))
        worlds = output.split(' worlds; ')[0]
        return 'a search: {} steps, after {} worlds'.format(steps, worlds)
    failed = re.search(r'^FAILED tests/(\S+)', output, re.M)
    return failed.group(1) if code == FAILED and failed else ''


def tried(mutation: Mutation) -> Outcome:
    """Make one mutation in a copy of the tree and run what should catch it."""
    with tempfile.TemporaryDirectory() as place:
        tree = copied(Path(place))
        mutated(mutation, tree)
        return outcome(mutation.caught_by, tree)[1]


def control(mutations: Sequence[Mutation]) -> str:
    """Run the same on the tree as it is; return what failed."""
    commands = {mutation.caught_by for mutation in mutations}
    prefix = tests()
    selected = sorted(
        {each for command in commands if command[: len(prefix)] == prefix for each in command[len(prefix) :]}
    )
    others = sorted(command for command in commands if command[: len(prefix)] != prefix)
    with tempfile.TemporaryDirectory() as place:
        tree = copied(Path(place))
        for command in [(*prefix, *selected)] * bool(selected) + others:
            code, found = outcome(command, tree)
            if code:
                return found.output
    return ''


def main(words: List[str]) -> int:
    mutations = [mutation for mutation in MUTATIONS if all(word in mutation.name for word in words)]
    problems = [problem for problem in map(misplaced, mutations) if problem]
    if problems:
        print('\n'.join(problems))
        return 1
    began = time.monotonic()
    print('The tree as it is ... ', end='', flush=True)
    failure = control(mutations)
    if failure:
        print('fails what should catch mutations, so that to fail would mean nothing:\n' + failure)
        return 1
    print('passes, {:.0f} s'.format(time.monotonic() - began))
    missed = 0
    for mutation in mutations:
        print('\n' + mutation.name, flush=True)
        found = tried(mutation)
        missed += not found.by
        if found.by:
            print('    caught after {:.1f} s by {}'.format(found.seconds, found.by))
        else:
            print('    NOT CAUGHT\n' + found.output[-2000:])
    told = '{} not caught'.format(missed) if missed else 'all caught'
    print('\n{} mutations, {}, in {:.0f} s'.format(len(mutations), told, time.monotonic() - began))
    return 1 if missed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
