# ruff: noqa: F821 - a replacement is run among the names of the module that it is put into
"""The rules of the layer, each broken on purpose, and what must notice: the one table of such.

An entry puts a function of this file in place of one of the layer. Within this process that is a
setattr (`put_in`), for the searches. In a copy of the tree it is a few lines at the end of a
module (`written_into`), for tests that run charms: each hook imports the charm's own library.

A replacement may use the names of that module, and those only. `unbroken` is what it replaces.
`make mutants` tries every entry; tests/proofs/test_histories.py those that a search notices.
"""

import importlib
import inspect
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Callable, List, NamedTuple, Tuple, Union

from tests.proofs.smalljuju import Kind
from tests.proofs.worlds import TWO_LOCKS, WORLDS

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = 'charms.layer.coordinator'

LAYER = ROOT / 'lib' / 'charms' / 'layer' / 'coordinator'


def _module_name(path: Path) -> str:
    parts = path.relative_to(LAYER).with_suffix('').parts
    return '.'.join([LIBRARY, *(parts[:-1] if parts[-1] == '__init__' else parts)])


MODULES = {name: importlib.import_module(name) for name in map(_module_name, sorted(LAYER.rglob('*.py')))}
"""Imported once, with this module: a test that runs quick hooks takes the library away from sys.modules."""

TWO = 'hold one lock'
NOTHING_RELEASED = 'has released nothing'
NO_TICKET = 'works without an unfinished ticket'
FOR_EVER = 'waiting for ever'
TOO_EARLY = 'its flags do not know'


class History(NamedTuple):
    """A search that notices.

    Args:
        fault: what the search must say of the world that it finds.
        kind: what may happen in it.
        most: how many worlds it visits before it gives up.
    """

    fault: str
    kind: Kind
    most: int


class Broken(NamedTuple):
    """One rule broken.

    Args:
        rule: the rule of the protocol, or the part of the layer.
        breaks: what is wrong then.
        where: the function replaced, from the library on: 'rules.finished', 'policy.Policy.queue_of'.
            Where `instead` is a text: a file, from the tree's root, that must not exist.
        instead: the function put there, or the text of that file.
        noticed_by: searches, and selections of tests from tests/ on. Each of them must notice.
    """

    rule: str
    breaks: str
    where: str
    instead: Union[Callable[..., Any], str]
    noticed_by: Tuple[Union[History, str], ...]

    @property
    def name(self) -> str:
        return '{}: {}'.format(self.rule, self.breaks)

    @property
    def histories(self) -> List[History]:
        return [notice for notice in self.noticed_by if isinstance(notice, History)]


BROKEN: List[Broken] = []


def broken(rule: str, breaks: str, where: str, *noticed_by: Union[History, str]) -> Callable[..., Any]:
    """Add an entry whose replacement is the function below."""

    def add(instead: Callable[..., Any]) -> Callable[..., Any]:
        BROKEN.append(Broken(rule, breaks, where, instead, noticed_by))
        return instead

    return add


def history(fault: str, most: int = 300000, world: str = '', **changes: Any) -> History:
    """Return a search of a named world, or the smallest one, with such changes.

    Where the fault is not about calm weather, hooks may come at any time: that makes fewer worlds.
    """
    kind = WORLDS[world].kind if world else Kind(terms=1 if fault == FOR_EVER else 3)
    return History(fault, kind._replace(**{'anytime': fault != FOR_EVER, **changes}), most)


# How a replacement is put in


class Place(NamedTuple):
    """Where a replaced function is: in which module, in which class or module, and what is there."""

    module: ModuleType
    owner: Any
    attribute: str
    there: Any

    @property
    def function(self) -> Any:
        return self.there.fget if isinstance(self.there, property) else self.there


def place(where: str) -> Place:
    """Return the place of a function of the library.

    Raises:
        LookupError: where there is none of that name.
    """
    module = owner = MODULES[LIBRARY]
    *owners, attribute = where.split('.')
    for name in owners:
        inner = '{}.{}'.format(module.__name__, name)
        if inner in MODULES:
            module = owner = MODULES[inner]
        else:
            owner = getattr(owner, name, None)
    if attribute not in vars(owner or object):
        raise LookupError('{}: no such function in the layer; correct tests/broken.py'.format(where))
    return Place(module, owner, attribute, vars(owner)[attribute])


def replacement(entry: Broken) -> Any:
    """Return the entry's function as it is among the names of the module it is put into."""
    at, instead = place(entry.where), entry.instead
    assert isinstance(instead, FunctionType)
    function = FunctionType(instead.__code__, vars(at.module), instead.__name__, instead.__defaults__)
    function.__kwdefaults__ = instead.__kwdefaults__
    return property(function) if isinstance(at.there, property) else function


def put_in(entry: Broken, setattr: Callable[..., None]) -> None:
    """Break the rule in this process, by monkeypatch.setattr."""
    at = place(entry.where)
    setattr(at.module, 'unbroken', at.function, raising=False)
    setattr(at.owner, at.attribute, replacement(entry))


def written_into(entry: Broken, tree: Path) -> None:
    """Break the rule in a copy of the tree."""
    if isinstance(entry.instead, str):
        (tree / entry.where).write_text(entry.instead, encoding='utf-8')
        return
    at = place(entry.where)
    path = tree / Path(str(at.module.__file__)).resolve().relative_to(ROOT)
    whole = '{}.{}'.format(at.owner.__name__, at.attribute) if at.owner is not at.module else at.attribute
    form = ('{}.fget', 'property({})') if isinstance(at.there, property) else ('{}', '{}')
    lines = (
        'unbroken = ' + form[0].format(whole),
        source(entry.instead),
        '{} = {}'.format(whole, form[1].format(entry.instead.__name__)),
    )
    with path.open('a', encoding='utf-8') as module:
        module.write('\n\n' + '\n\n'.join(lines) + '\n')


def source(function: Callable[..., Any]) -> str:
    """Return the function's text, without the entry above it."""
    text = inspect.getsource(function)
    return text[text.index('def ') :] if text.startswith('def ') else text[text.index('\ndef ') + 1 :]


# Rules 1 to 10 of the protocol: docs/protocol.md


@broken(
    'rule 1', 'two versions of a claim do not merge by max', 'merging.merged',
    'unit/test_rules.py::test_versions_of_a_claim_merge_the_same_in_any_order',
)  # fmt: skip
def merged_with_their_done(ours, theirs):
    return unbroken(ours, theirs)._replace(done=theirs.done)


@broken(
    'rule 1', 'what Juju lost with a hook is not published again', 'view.View._has_more_to_say',
    history(FOR_EVER),
)  # fmt: skip
def has_more_to_say_at_first_only(self):
    return not self.state.spoken


@broken(
    'rule 15', 'a new unit believes the store of one of its name that left before it had joined',
    'values.UnitState.gave_all_up',
    'hooks/test_cases_names.py::'
    'test_a_unit_that_left_before_it_joined_leaves_nothing_to_the_next_of_its_name[the old disk-3]',
)  # fmt: skip
def gave_nothing_up(self):
    return False


@broken(
    'rule 1', 'an emptied databag is filled with the very text that it had', 'juju.Juju.published',
    'hooks/test_found.py::test_an_emptied_databag_is_filled_with_another_text',
)  # fmt: skip
def published_and_not_emptied(self):
    found = unbroken(self)
    self._spoilt = self._spoilt and found is not None
    return found


@broken(
    'rule 2', 'absence of data counts as a release', 'rules.finished',
    'unit/test_rules.py::test_a_unit_of_which_nothing_is_known_holds_what_it_has',
    history(TWO),
)  # fmt: skip
def finished_where_nothing_is_known(ticket, claims):
    return unbroken(ticket, claims) or (ticket.unit, ticket.queue) not in claims


@broken(
    'rule 2', 'the leader puts a later request before those who have a ticket', 'rules.appended',
    'unit/test_rules.py::test_an_earlier_clock_overtakes_nobody_who_has_a_ticket',
    history(TWO),
)  # fmt: skip
def put_before(ledger, *rest):
    grown = unbroken(ledger, *rest)
    return grown._replace(
        tickets=tuple(sorted(grown.tickets, key=lambda ticket: ticket.token <= ledger.token))
    )


@broken(
    'rule 3', 'one slot too many', 'rules.is_turn',
    history(TWO),
)  # fmt: skip
def is_turn_with_one_more(ledger, ticket, claims):
    return len(ahead(ledger, ticket, claims)) <= ticket.slots


@broken(
    'rule 3', 'a later option takes a turn from its holder', 'rules.appended',
    'unit/test_rules.py::test_fewer_slots_later_take_nothing_from_a_holder',
)  # fmt: skip
def appended_without_slots(ledger, *rest):
    grown = unbroken(ledger, *rest)
    return grown._replace(tickets=tuple(ticket._replace(slots=1) for ticket in grown.tickets))


@broken(
    'rule 3', 'a ticket of another unit counts as its own', 'rules.ticket_of',
    history(TWO, locks=TWO_LOCKS, asks=2),
)  # fmt: skip
def ticket_of_anybody(ledger, unit, queue, claim):
    for ticket in ledger.tickets if ledger and claim.outstanding else ():
        if (ticket.queue, ticket.ask) == (queue, claim.asked):
            return ticket
    return None


@broken(
    'rule 4', 'only the leader hears of a release', 'view.View._read_claims',
    history(FOR_EVER),
)  # fmt: skip
def only_the_leader_reads(self, units):
    if self.leading:
        unbroken(self, units)


@broken(
    'rule 5', 'a ticket is used before it is durable', 'leading.Leading._append',
    history(NO_TICKET, juju=4),
)  # fmt: skip
def append_and_read_back(self, gone=frozenset(), reported=()):
    unbroken(self, gone, reported)
    if self.leading:
        self._read_ledger()


@broken(
    'rule 5', 'a leader takes a ticket that it never writes', 'leading.Leading._append',
    history(NO_TICKET),
)  # fmt: skip
def append_in_memory(self, gone=frozenset(), reported=()):
    try:
        ledger = terms.newest(self._fresh_terms(), self._known_term)
    except LedgerClosed:
        self.leading = False
        return
    if ledger is None:
        unbroken(self, gone, reported)
        return
    self.ledger, self.ledger_read = self._grown(ledger, gone), True
    self._remember(seen=tuple((ticket.queue, ticket.ask) for ticket in self.ledger.tickets))


@broken(
    'rule 6', 'the ledger is written for each request', 'rules.appended',
    'unit/test_rules.py::test_the_leader_writes_rarely',
)  # fmt: skip
def appended_for_each_request(ledger, claims, committed, slots, *rest):
    grown = unbroken(ledger, claims, committed, 10000, *rest)
    return grown._replace(tickets=tuple(ticket._replace(slots=slots) for ticket in grown.tickets))


@broken(
    'rule 7', 'leader-get is believed to be fresh, though Juju caches it', 'juju.Juju.fresh_terms',
    'unit/test_juju.py::test_a_ledger_that_another_wrote_within_the_hook_is_read_before_a_decision',
)  # fmt: skip
def terms_from_the_cache(self):
    return self.terms()


@broken(
    'rule 7', 'a write that is refused fails the hook', 'juju.Juju.write_shared',
    'unit/test_juju.py::test_a_write_that_is_refused_closes_the_ledger_and_fails_no_hook',
)  # fmt: skip
def write_or_fail(self, settings, in_databag=False):
    if self.durable_at_once and not in_databag:
        hookenv.leader_set(settings)
    else:
        hookenv.relation_set(self.relation, settings, app=True)
        hookenv.flush('"app": ')


@broken(
    'rule 8', 'a ticket above the own claim is not adopted', 'rules.adopted',
    'unit/test_rules.py::test_a_unit_that_forgot_an_ask_of_its_own_finds_it_in_the_ledger',
)  # fmt: skip
def adopted_nothing(ledger, unit, nonce, own):
    return dict(own)


@broken(
    'rule 9', 'a ticket is dropped for a release that Juju has not heard of', 'rules.appended',
    'unit/test_rules.py::test_what_only_this_unit_knows_yet_of_itself_frees_no_ticket',
)  # fmt: skip
def appended_by_what_is_said(ledger, claims, committed, *rest):
    return unbroken(ledger, claims, claims, *rest)


@broken(
    'rule 9', 'the release of a hook that has not succeeded counts', 'view.View.committed',
    history(TWO, releases=True, asks=2),
    history(NOTHING_RELEASED, releases=True),
)  # fmt: skip
def committed_though_the_hook_may_fail(self):
    return self.claims


@broken(
    'rule 9', 'the turn is released before the handlers, and so also where they fail', 'begin_hook',
    'hooks/test_rolling.py::test_a_restart_that_fails_stops_the_roll_until_it_is_retried[3]',
)  # fmt: skip
def begin_hook_and_release():
    unbroken()
    mine = _session()
    over = {turn.queue: mine.own[turn.queue] for turn in mine.turns}
    ended = {queue: claim._replace(done=claim.asked, locks=(), begun=False) for queue, claim in over.items()}
    mine._say({**mine.own, **ended})


@broken(
    'rule 10', 'a unit that leaves takes a new turn', 'environment.context',
    'hooks/test_charm.py::test_a_unit_that_leaves_takes_no_new_turn_and_gives_up_what_it_has[3]',
)  # fmt: skip
def context_of_one_who_stays(peers='coordinator'):
    return unbroken(peers)._replace(leaving=False)


# Rules 11 to 18


@broken(
    'rule 11', 'it is not written down that a turn has begun', 'holding.Holding._begin_turns',
    history(TOO_EARLY, world='refreshed-3', terms=1),
)  # fmt: skip
def begin_turns_without_a_note(self):
    pass


@broken(
    'rule 11', 'a begun turn moves to another queue when the options do', 'own.OwnClaims._fitting',
    history(TOO_EARLY, world='refreshed-3', terms=1),
)  # fmt: skip
def fitting_for_begun_turns_too(self, own):
    return unbroken(self, {queue: claim._replace(begun=False) for queue, claim in own.items()})


@broken(
    'rule 12', 'the end of a turn is saved at once', 'session.Session._end_turns',
    history(TOO_EARLY),
    history(TOO_EARLY, juju=4),
)  # fmt: skip
def end_turns_at_once(self, own=None):
    self._say(own)
    if self.ends:
        self._save(own=rules.frozen(self.own))
        self.port.note_ended(dict(self.ends))


@broken(
    'rule 12', 'an action publishes what the hook before it decided', 'rules.beside_a_turn',
    history(NO_TICKET, aside=True),
)  # fmt: skip
def beside_a_turn_as_it_is(own, committed):
    return dict(own)


@broken(
    'rule 12', 'an action uses a turn that came before it', 'holding.Holding._usable',
    history('beside its hooks', aside=True),
)  # fmt: skip
def usable_by_all(self):
    return self.turns


@broken(
    'rule 12', 'a second process of a hook believes what the first one wrote',
    'own.OwnClaims._compare_own_claims',
    history(TOO_EARLY, aside=True),
)  # fmt: skip
def compare_with_what_is_not_committed(self, first, reread):
    self._remember(context='')
    unbroken(self, first, reread)


@broken(
    'rule 13', 'a leader goes on under the term of another', 'leading.Leading._write',
    history(NOTHING_RELEASED, aba=True, juju=4),
)  # fmt: skip
def write_without_a_claim(self, found, gone, reported):
    newest = terms.newest_record(found)
    if not newest:
        return unbroken(self, found, gone, reported)
    grown = rules.pruned(self._grown(newest.ledger, gone), reported)
    if grown != newest.ledger:
        record = terms.opened(newest._replace(nonce=self.state.nonce), grown)
        self.port.write(record, terms.superseded(found, record), False)


@broken(
    'rule 13', 'on Juju 4 a term is opened in the hook that claims it', 'leading.Leading._write',
    history(TWO, aba=True, juju=4),
)  # fmt: skip
def write_in_the_hook_that_claims(self, found, gone, reported):
    unbroken(self, found, gone, reported)
    if self.claimed:
        self.claimed = False
        unbroken(self, self.port.fresh_terms(), gone, reported)


@broken(
    'rule 13', 'a ticket of a contested ledger is used', 'turns.Turns._may_use',
    history(TWO, aba=True, juju=4),
)  # fmt: skip
def may_use_any(self, ticket):
    return True


@broken(
    'rule 13', 'all go by an older ledger', 'terms.newest_record',
    history(TWO, whole=True, aba=True, juju=4),
)  # fmt: skip
def newest_record_by_version(terms):
    opened = [record for record in terms.records if record.version]
    return max(opened, key=lambda record: (record.version, record.term), default=None)


@broken(
    'rule 13', 'a record is written over', 'terms.opened',
    history(TWO, aba=True, juju=4),
)  # fmt: skip
def opened_in_place(own, ledger):
    return unbroken(own, ledger)._replace(version=1)


@broken(
    'rule 14', 'a lost ledger is made at once', 'terms.silent',
    'unit/test_terms.py::test_a_unit_is_silent_until_it_gives_exactly_the_answer_to_this_claim',
    history(TWO, world='moves-3', terms=2),
    history(TWO, world='loses-3', terms=2),
)  # fmt: skip
def silent_is_nobody(about, units, members, answer):
    return frozenset()


@broken(
    'rule 14', 'turns that have begun do not come first in a new ledger', 'rules.rebuilt',
    'unit/test_rules.py::test_turns_that_have_begun_come_first_in_a_rebuilt_ledger_whatever_their_queue',
    history(TWO, world='loses-3', most=1500000, terms=2, keeps=True),
)  # fmt: skip
def rebuilt_without_turns(claims, slots):
    return unbroken(claims, slots)._replace(tickets=())


@broken(
    'rule 14', 'an answer to an earlier claim counts', 'terms.silent',
    'unit/test_terms.py::test_a_unit_is_silent_until_it_gives_exactly_the_answer_to_this_claim',
)  # fmt: skip
def silent_if_it_never_answered(about, units, members, answer):
    said = {unit: about.get(unit, About()) for unit in units}
    return frozenset(unit for unit in units if not said[unit].heard and (unit in members or said[unit].spoke))


@broken(
    'rule 15', 'the claim of a former unit finishes the ticket of its successor', 'rules.finished',
    'unit/test_rules.py::test_a_ticket_is_finished_by_its_own_incarnation_or_by_a_later_one_that_says_so',
)  # fmt: skip
def finished_by_any_incarnation(ticket, claims):
    claim = claims.get((ticket.unit, ticket.queue), NO_CLAIM)
    return unbroken(ticket, claims) or (not ticket.raw and claim.done >= ticket.ask)


@broken(
    'rule 15', 'nobody says that the tickets of a former unit are over', 'rules.adopted',
    'unit/test_rules.py::test_a_unit_says_that_tickets_of_a_former_unit_of_its_name_are_over',
)  # fmt: skip
def adopted_of_this_life(ledger, unit, nonce, own):
    if not ledger:
        return dict(own)
    tickets = tuple(ticket for ticket in ledger.tickets if ticket.unit != unit or ticket.nonce == nonce)
    return unbroken(ledger._replace(tickets=tickets), unit, nonce, own)


@broken(
    'rule 16', 'a leader forgets what a unit that has left said was over', 'view.View._read_all_claims',
    'hooks/test_cases_subordinates.py::test_tickets_of_units_that_were_removed_in_good_order_hold_up_nobody',
)  # fmt: skip
def read_all_claims_of_those_who_stay(self):
    unbroken(self)
    here = self.staying()
    self._remember(
        peers=tuple(peer for peer in self.state.peers if peer[0][0] in here),
        about=tuple(each for each in self.state.about if each[0] in here | {self.context.unit}),
    )


@broken(
    'rule 16', 'no subordinate is ever found gone', 'view.View._gone_among',
    'hooks/test_cases_subordinates.py::test_a_subordinate_removed_by_force_while_it_works_delays_the_roll_and_no_more',
)  # fmt: skip
def gone_among_principals_only(self, units):
    living = self.port.living() if units else None
    return frozenset(units - living) if living and self.context.unit in living else frozenset()


@broken(
    'rule 17', 'a databag that cannot be read is one that is not there yet', 'juju.Juju.said_if_any',
    'hooks/test_cases_reads.py::test_a_request_that_the_leader_could_not_read_is_read_in_the_retry',
)  # fmt: skip
def said_if_it_can_be_read(self, unit, key):
    try:
        return self.said(unit, key)
    except CalledProcessError:
        return None


@broken(
    'rule 17', 'a unit that has no databag yet fails the hooks of others', 'juju.Juju.said_if_any',
    'hooks/test_cases_reads.py::test_a_unit_that_has_not_entered_the_relation_yet_fails_no_hook',
)  # fmt: skip
def said_or_failed(self, unit, key):
    return self.said(unit, key)


@broken(
    'rule 17', 'a unit that is gone must be readable', 'juju.Juju.present',
    'hooks/test_cases_reads.py::test_a_unit_that_is_gone_fails_no_hook_although_nobody_can_read_its_databag',
)  # fmt: skip
def present_by_relation_list(self):
    return self.related_units() | {self.unit}


@broken(
    'rule 18', 'a unit that asks again keeps the lock no longer', 'session.Session.request_again',
    history('gave up a turn that it keeps', keeps=True, asks=2),
)  # fmt: skip
def request_again_and_release(self, lock):
    self._kept -= {lock}
    unbroken(self, lock)


# Units that are gone, and a new leader


@broken(
    'gone', 'a unit is gone once its relation-departed has run', 'view.View._gone',
    history(NOTHING_RELEASED, removals=1),  # it is still in its hook
)  # fmt: skip
def gone_where_departed(self):
    return frozenset(rules.unfinished_units(self.ledger, self.claims)) & {self.context.departed} - {UNNAMED}


@broken(
    'gone', 'a unit that is not in the relation-list of a new leader is gone', 'view.View._gone',
    history(NOTHING_RELEASED, newcomer=True, subordinate=True),
)  # fmt: skip
def gone_where_not_met(self):
    unfinished = frozenset(rules.unfinished_units(self.ledger, self.claims)) - {self.context.unit, UNNAMED}
    return unfinished - self.port.everybody()


@broken(
    'gone', 'a unit that is not in relation-list is gone', 'juju.Juju.living',
    'unit/test_juju.py::test_no_unit_is_gone_because_a_new_leader_has_not_joined_it',
)  # fmt: skip
def living_where_met(self):
    return self.related_units() | {self.unit}


@broken(
    'gone', 'a unit that is leaving is gone', 'view.View._gone_among',
    'unit/test_juju.py::test_a_unit_that_is_dying_is_not_gone',
)  # fmt: skip
def gone_where_leaving(self, units):
    return frozenset(units - self.port.everybody())


@broken(
    'gone', 'among subordinates, whose goal-state is empty, all other units are gone', 'juju.Juju.living',
    'hooks/test_charm.py::test_units_of_a_subordinate_take_turns_too',
)  # fmt: skip
def living_by_goal_state(self):
    return frozenset(self.goal_units())


@broken(
    'gone', 'a unit whose ticket holds up nobody is not gone', 'view.View._gone',
    'hooks/test_found_removed.py::'
    'test_a_holder_that_nobody_waits_for_is_gone_at_update_status[a request-3]',
)  # fmt: skip
def gone_where_blocking(self):
    unfinished = set(rules.unfinished_units(self.ledger, self.claims))
    asking = unfinished | {unit for (unit, _), claim in self.claims.items() if claim.outstanding}
    blocking = {unit for unit in unfinished if asking - {unit}}
    return self._gone_among(blocking - {self.context.unit, UNNAMED})


@broken(
    'gone', 'a subordinate in whose place another runs is not gone', 'view.View._gone_among',
    'hooks/test_found_removed.py::test_a_percentage_counts_no_unit_in_whose_place_another_runs[4]',
)  # fmt: skip
def gone_with_its_principal(self, units):
    living = self.port.living() if units else None
    if living is None or self.context.unit in living:
        return unbroken(self, units)
    principals = ((unit, self.about(unit).principal) for unit in units)
    return frozenset(unit for unit, principal in principals if principal and principal not in living)


@broken(
    'rule 10', 'a unit that leaves gives up only the places that it has seen', 'own.OwnClaims._queues_left',
    'hooks/test_found_removed.py::'
    'test_a_unit_that_leaves_before_it_sees_its_place_in_a_roll_gives_it_up[0.5-one]',
)  # fmt: skip
def queues_seen(self, own):
    return {*own, *dict(self.state.seen)}


@broken(
    'rule 19', 'the leader writes nothing where one that leaves was in the way', 'rules._has_left',
    'hooks/test_found_removed.py::'
    'test_the_leader_s_write_brings_a_hook_where_a_leaver_was_in_the_way[options1]',
)  # fmt: skip
def has_left_unseen(ticket, claims):
    return False


@broken(
    'rule 14', 'a new subordinate waits only beside the applications that it has met',
    'leading.Leading._unheard_principals',
    'hooks/test_found_removed.py::'
    'test_a_new_leader_waits_for_a_unit_beside_an_application_that_it_has_not_met[beta/0-4-0]',
)  # fmt: skip
def principals_of_known_applications(self, any_application):
    return unbroken(self, any_application=False)


@broken(
    'rule 21', 'the pause between two stages outlives the roll', 'orders._goes_on',
    'hooks/test_found_shown.py::test_the_pause_between_two_stages_holds_up_no_request_behind_the_roll[3]',
)  # fmt: skip
def goes_on_without_its_roll(ledger, pause, claims):
    return True


@broken(
    'request', 'one that a program of the hook has numbered, and given up, is lost',
    'session.Session.request',
    'hooks/test_found_shown.py::'
    'test_what_a_hook_asks_for_after_its_program_gave_it_up_is_not_lost[request_lock-False-3]',
)  # fmt: skip
def request_once(self, lock):
    if lock not in self._asked and not self.context.leaving:
        self._ask(lock)
        self._show_locks()
    return self.turn(lock) is not None


@broken(
    'flags', 'what a handler clears is set again', 'flags.Shown.show',
    "hooks/test_found_shown.py::"
    "test_a_flag_that_the_charm_clears_stays_so_in_that_hook[granted-coordinator.request_again('a')-3]",
)  # fmt: skip
def show_what_is_cleared(self, requested, granted, rolled=frozenset(), over=False):
    unbroken(self, requested, granted, rolled, True)


@broken(
    'rolled', 'no hook comes to show the end that an order brings', 'holding.Holding._has_unseen_end',
    'hooks/test_found_shown.py::test_a_roll_whose_last_unit_is_freed_is_shown_as_over[3]',
)  # fmt: skip
def unseen_end_of_a_turn(self):
    return bool(self.ends) and unbroken(self)


@broken(
    'new leader', 'it takes the units that it has met for all there are', 'leading.Leading._must_answer',
    'hooks/test_found_new_leader.py::test_a_leader_that_is_new_makes_no_ledger_while_goal_state_fails[None-removed-3]',
    'hooks/test_found_new_leader.py::test_a_subordinate_that_is_new_and_leads_waits_for_those_that_it_has_not_met[0-removed-3]',
    history(TWO, 1500000, world='newcomer-subordinate-loses-3', anytime=False),
)  # fmt: skip
def answered_by_those_it_has_met(self, answer):
    everyone = self._everyone()
    first = terms.is_first(answer) and not self.port.store.get('moved')
    members = self.port.related_units() if first else everyone
    silent = terms.silent(dict(self.state.about), everyone, members, answer)
    return silent if first else silent | self._unheard_principals(any_application=True)


@broken(
    'new leader', 'it does not read the claims of all units', 'leading.Leading._lead',
    history(FOR_EVER, 2000000, terms=2),
)  # fmt: skip
def lead_as_before(self):
    self._remember(led=True)
    unbroken(self)


@broken(
    'Juju 4', 'leader settings are asked for, where there are none', 'juju.major_version',
    'unit/test_juju.py::test_three_units_take_turns_and_each_failed_turn_is_kept',
)  # fmt: skip
def at_most_version_3(version):
    return min(3, unbroken(version))


# Tokens, order, queues


@broken(
    'tokens', 'one is given twice', 'rules.appended',
    'unit/test_rules.py::test_tokens_only_grow_and_none_is_given_twice',
    history('was used by', tokens=7),
)  # fmt: skip
def appended_with_the_token_before(ledger, *rest):
    return unbroken(ledger, *rest)._replace(token=ledger.token)


@broken(
    'tokens', 'they fall', 'rules.appended',
    history('after token', tokens=7),
)  # fmt: skip
def appended_with_falling_tokens(ledger, *rest):
    grown = unbroken(ledger, *rest)
    tokens = sorted((ticket.token for ticket in grown.tickets if ticket.token > ledger.token), reverse=True)
    old = [ticket for ticket in grown.tickets if ticket.token <= ledger.token]
    new = grown.tickets[len(old) :]
    return grown._replace(
        tickets=(*old, *(ticket._replace(token=token) for ticket, token in zip(new, tokens)))
    )


@broken(
    'order', 'requests seen together have none', 'rules.unserved',
    'unit/test_rules.py::test_requests_seen_together_are_ordered_by_time_and_then_by_unit',
)  # fmt: skip
def unserved_in_any_order(ledger, claims):
    seen = list(claims)
    waiting = unbroken(ledger, claims)
    return {
        queue: sorted(waiting[queue], key=lambda request: seen.index((request[0], queue)))
        for queue in waiting
    }


@broken(
    'queues', 'locks with queues of their own share one', 'policy.Policy.queue_of',
    'unit/test_rules.py::test_locks_with_queues_of_their_own_are_held_by_different_units_and_others_by_one',
)  # fmt: skip
def queue_of_all_locks(self, lock):
    return ALL_LOCKS


# A policy that decides on the leader


@broken(
    'policy', 'a ticket does not wait for the leader, whose hook may fail', 'compat.deciding._unsettled',
    history(TWO, world='policy-3'),
)  # fmt: skip
def unsettled_without_what_is_said(ledger, claims, committed, unit):
    return tuple(
        ticket.token
        for ticket in ledger.tickets
        if ticket.unit != unit and not rules.finished(ticket, committed) and ticket.after is None
    )


@broken(
    'policy', 'a ticket waits for those of one lock only', 'compat.deciding._unsettled',
    history(TWO, world='policy-locks-3', asks=2),
)  # fmt: skip
def unsettled_of_one_lock(ledger, claims, committed, unit):
    of_one_lock = tuple(ticket for ticket in ledger.tickets if ticket.queue == 'a')
    return unbroken(ledger._replace(tickets=of_one_lock), claims, committed, unit)


@broken(
    'policy', 'the policy is not told what is granted', 'compat.deciding.Question.granted',
    history(TWO, world='policy-3'),
)  # fmt: skip
def granted_to_nobody(self):
    return frozenset()


@broken(
    'policy', 'the policy is not asked when the leader releases', 'session.Session._policy_must_decide',
    history(FOR_EVER, world='policy-3', asks=1),
)  # fmt: skip
def policy_need_not_decide(self):
    return False


# Bad data


@broken(
    'bad data', 'a text that is no JSON fails the hook', 'forms.parsed',
    'unit/test_wire.py::test_any_text_is_read_as_something_or_reported_and_never_raises',
)  # fmt: skip
def parsed_or_raised(text):
    try:
        return _STRICT.decode(text)
    except RecursionError:
        return None


@broken(
    'bad data', 'a count that cannot be is believed', 'wire._claim',
    'hooks/test_charm.py::test_a_holders_poisoned_claim_frees_nothing_and_fails_no_hook',
)  # fmt: skip
def claim_with_any_done(found, nonce):
    counts = [found.get(name) for name in ('asked', 'done')] if isinstance(found, dict) else [None]
    if not all(map(is_count, counts)):
        return unbroken(found, nonce)
    claim = unbroken({**found, 'done': min(counts)}, nonce)
    return claim and claim._replace(done=found['done'])


@broken(
    'bad data', 'a ticket that cannot be read is finished', 'rules.finished',
    'unit/test_wire.py::test_a_bad_ticket_stays_where_it_is_and_frees_nobody',
)  # fmt: skip
def finished_though_unreadable(ticket, claims):
    return unbroken(ticket._replace(raw=''), claims)


@broken(
    'bad data', 'a local store is believed though its checksum is another', 'store.checksum',
    'hooks/test_found.py::test_a_digit_changed_in_a_local_store_is_not_believed',
)  # fmt: skip
def checksum_of_nothing(values):
    return ''


# What the charm sees


@broken(
    'flags', 'none is ever cleared', 'flags.Shown.show',
    'hooks/test_charm.py::test_the_granted_flag_is_set_in_just_the_hook_in_which_the_lock_is_held[3]',
)  # fmt: skip
def show_and_clear_nothing(self, requested, granted, rolled=frozenset(), over=False):
    from charms.reactive import flags

    for family, locks in zip(FAMILIES, (requested, granted, rolled)):
        for lock in locks:
            flags.set_flag(family + lock)


@broken(
    'callbacks', 'what is asked for in a callback goes with the turn', 'session.Session._ask',
    'hooks/test_found.py::test_a_lock_asked_for_in_a_callback_outlives_the_release_of_the_turn_it_came_in',
)  # fmt: skip
def ask_in_any_phase(self, lock):
    phase, self.phase = self.phase, Phase.HANDLERS
    unbroken(self, lock)
    self.phase = phase


@broken(
    'callbacks', 'a turn comes where no handler can use it', 'session.Session.handlers_succeeded',
    'hooks/test_charm.py::test_a_lock_asked_for_in_another_layers_atexit_callback_is_not_lost',
)  # fmt: skip
def handlers_never_succeeded(self):
    pass


@broken(
    'keep_lock', 'it keeps nothing', 'holding.Holding.keep',
    'hooks/test_charm.py::test_a_kept_lock_is_held_in_the_next_hook_and_by_nobody_else[3]',
)  # fmt: skip
def keep_nothing(self, lock, check_again_in=None, reason=''):
    return self.turn(lock) is not None


@broken(
    'rule 19',
    'a leader hears nothing as soon as it has given a ticket, its own too',
    'wake.leading',
    history(FOR_EVER, most=2000000, wakes=True),
    'unit/test_wake.py::test_a_leader_whose_own_ticket_is_the_only_unfinished_one_hears_everything',
)
def leading_by_any_ticket(ledger, unit, slots, claims):
    return Wake(frozenset(), data=True) if ledger.tickets else None


@broken(
    'rule 19',
    'a leader forgets whose news came while its hooks did not run',
    'session.Session._find_unheard',
    'hooks/test_wake.py::test_a_roll_runs_few_hooks_a_unit_and_waits_for_no_update_status',
)
def find_unheard(self):
    self.port.wake.withdraw()
    self.unheard = frozenset({self.context.news} - {''})


@broken(
    'rule 19',
    'a unit watches fewer units than there are slots',
    'wake.watched',
    'unit/test_wake.py::test_a_turn_never_comes_without_news_of_a_unit_that_is_watched',
)
def watched_too_few(ledger, ticket, claims):
    return rules.ahead(ledger, ticket, claims)[-1:]


@broken(
    'rule 19',
    "a unit that watches somebody does not hear of the leader's data that name it",
    'wake.text',
    'unit/test_wake.py::test_the_leaders_data_run_a_hook_where_they_can_matter',
)
def text_without_the_ledger(wake, known, unheard):
    words = ['wake-1', known.event, *sorted(wake.units), 'end'] if wake else ['wake-1', 'all', 'end']
    return ''.join(
        line + '\n' for line in [' '.join(words), '{', '', *known.settings, ' '.join(sorted(unheard))]
    )


@broken(
    'rule 19',
    'the file stays in force while a hook runs',
    'store.WakeFile.withdraw',
    'unit/test_wake.py::test_a_file_that_is_withdrawn_lets_every_hook_run_and_keeps_what_was_not_heard',
)
def withdraw(self):
    if not os.path.exists(self._path):
        return None
    with open(self._path, encoding='utf-8') as file:
        return wake.skipped(file.read())


@broken(
    'rule 19',
    'nobody looks whether Juju has what this unit published',
    'store.WakeFile.write',
    'hooks/test_wake.py::test_what_juju_has_lost_is_published_again_in_the_next_hook[3]',
)
def write_without_what_was_said(self, needed, unheard):
    said, self.said = self.said, ('', '')
    unbroken(self, needed, unheard)
    self.said = said


@broken(
    'rule 19',
    'the file stays in force though an action asks',
    'view.View._save',
    'hooks/test_wake_found.py::test_a_request_of_an_action_that_juju_never_heard_of_goes_on_with_the_next_news',
)
def save_under_the_file(self, **known):
    withdraw, self.port.wake.withdraw = self.port.wake.withdraw, lambda: None
    unbroken(self, **known)
    self.port.wake.withdraw = withdraw


@broken(
    'rule 19',
    'a unit that leads hears what another in its place would',
    'waking.Waking.needed',
    history(FOR_EVER, most=2000000, wakes=True),
)
def needed_by_any_unit(self):
    before = self.leading, self.state
    self.leading, self.state = False, self.state._replace(led=False)
    needed = unbroken(self)
    self.leading, self.state = before
    return needed


@broken(
    'rule 19',
    'a leader that was deposed hears what another in its place would',
    'waking.Waking.needed',
    'hooks/test_wake_found.py::test_a_leader_to_which_leadership_came_back_unheard_of_hears_the_next_request',
)
def needed_though_deposed(self):
    self.deposed = False
    return unbroken(self)


@broken(
    'rule 19',
    'a leader that may not write where its hook runs a second time hears what others would',
    'session.Session.look',
    'hooks/test_wake_found.py::test_a_leader_whose_hook_is_run_twice_by_hand_hears_what_comes_next',
)
def deposed_only_as_the_hook_begins(self):
    leads = self.port.is_leader()
    unbroken(self)
    self.deposed = self.deposed and not leads


LEAVERS = 'hooks/test_found_leavers.py::'


@broken(
    'rule 16',
    'a percentage counts subordinates that have left',
    'leading.Leading._slots',
    LEAVERS + 'test_a_percentage_counts_no_unit_that_has_left',
)
def slots_of_all_that_juju_lists(self):
    return self.policy.slots or self.policy.slots_among(len(self.port.present()))


@broken(
    'rule 16',
    'a leader forgets beside which principal a unit ran that has left',
    'view.View._read_all_claims',
    LEAVERS + 'test_a_percentage_counts_no_unit_that_has_left',
)
def read_all_claims_and_forget_leavers(self):
    unbroken(self)
    gone = self._gone_among(frozenset(unit for unit, _ in self.state.about))
    self._remember(about=tuple(each for each in self.state.about if each[0] not in gone))


@broken(
    'rule 16',
    'who has left and released its ticket is dropped on Juju 2.9 - 3.x only',
    'leading.Leading._left_for_good',
    LEAVERS
    + 'test_a_leaver_that_a_waiting_unit_cannot_read_any_more_holds_it_up_no_longer'
    + '[by force, after it had withdrawn-4]',
)
def left_for_good_on_3(self):
    return unbroken(self) if self.port.durable_at_once else frozenset()


@broken(
    'rule 20',
    'a roll is for all units that Juju lists',
    'view.View.staying',
    LEAVERS + 'test_a_unit_that_has_left_is_in_no_roll[True-True-4]',
)
def staying_as_juju_says(self):
    return self.port.everybody()


@broken(
    'rule 19',
    'the names on a disk that lost power are all that a leader reads',
    'session.Session._find_unheard',
    'hooks/test_wake_found.py::test_names_that_a_loss_of_power_took_from_the_leaders_disk_are_read_again_in_start',
)
def find_unheard_in_start_as_in_any_hook(self):
    context, self.context = self.context, self.context._replace(reread=False)
    unbroken(self)
    self.context = context


@broken(
    'rule 19',
    'a leader with a percentage goes by the slots of old tickets',
    'wake.leading',
    'hooks/test_wake_found.py::test_a_percentage_that_grows_gives_a_new_unit_its_turn',
)
def leading_by_old_slots(ledger, unit, slots, claims):
    return unbroken(ledger, unit, slots or max([1, *(each.slots for each in ledger.tickets)]), claims)


@broken(
    'rule 19',
    'the file stays in force though collect-metrics asks',
    'view.View._save',
    'hooks/test_wake_found.py::test_what_is_asked_for_in_collect_metrics_is_published_in_the_next_hook',
)
def save_as_where_juju_answers(self, **known):
    context, self.context = self.context, self.context._replace(restricted=False)
    unbroken(self, **known)
    self.context = context


@broken(
    'rule 19',
    'leader-settings-changed leaves though a refresh may have brought its handlers',
    'store.WakeFile.write',
    'hooks/test_wake_found.py::test_leader_settings_changed_runs_after_a_refresh_which_may_bring_its_handlers',
)
def write_in_a_refresh_as_in_any_hook(self, needed, unheard):
    event, self._event = self._event, self._event.replace('upgrade-charm', 'start')
    unbroken(self, needed, unheard)
    self._event = event


@broken(
    'rule 19',
    'a unit that waits in the queue of one lock does not hear of its ticket in another',
    'wake.both',
    'hooks/test_wake_found.py::test_a_unit_that_waits_in_one_queue_hears_of_its_ticket_in_another',
)
def both_of_one_queue(parts):
    found = unbroken(parts)
    same = found and len([part for part in parts if part.tickets]) == 1
    return Wake(found.units, next(part.tickets for part in parts if part.tickets)) if same else found


@broken(
    'rule 19',
    'a unit that rests does not look at the ledger in update-status',
    'session.Session._take_turns',
    'hooks/test_found_siblings.py::'
    'test_a_hook_that_failed_before_the_layer_and_was_skipped_stops_nothing_beyond_update_status',
)
def take_turns_without_a_look(self, reread=False):
    unbroken(self, reread and not self.context.full_check)


@broken(
    'rule 12',
    'what runs beside a failed hook ends a turn that began in old code',
    'rules.beside_a_turn',
    'compat/test_upgrade.py::'
    'test_what_runs_beside_a_failed_hook_after_a_forced_refresh_frees_no_turn_that_began_in_old_code',
)
def beside_a_turn_that_old_code_began(own, committed):
    said = unbroken(own, committed)
    return {
        **said,
        **{
            queue: claim._replace(begun=False, roll=False)
            for queue, claim in own.items()
            if claim.begun and not claim.token and not committed.get(queue, NO_CLAIM).outstanding
        },
    }


@broken(
    'rule 12',
    'an end counts for a lock that was asked for anew, too',
    'rules.after_ends',
    'hooks/test_found_in_plain_use.py::test_a_lock_that_was_withdrawn_beside_another_may_be_asked_for_again',
    'campaigns/test_plain.py::test_no_promise_is_broken_where_nothing_goes_wrong',
)
def after_ends_of_any_ask(own, ends):
    return unbroken(own, {queue: end._replace(asked=()) for queue, end in ends.items()})


@broken(
    'rule 24',
    'a lock behind a shut gate joins a turn that has begun',
    'holding.Holding._needs_another_ticket',
    'hooks/test_found_in_plain_use.py::test_a_lock_that_is_held_back_does_not_join_a_turn_that_has_begun',
)
def needs_no_other_ticket_in_a_turn(self, queue, claim, lock):
    return not claim.holds and unbroken(self, queue, claim, lock)


@broken(
    'rule 19',
    'a unit watches one that has departed',
    'waking.Waking.needed',
    'hooks/test_wake_found.py::test_a_unit_that_is_removed_is_not_the_only_one_that_is_heard',
)
def needed_of_any_unit(self):
    related, self.port.related_units = self.port.related_units, lambda: {unit for unit, _ in self.claims}
    needed = unbroken(self)
    self.port.related_units = related
    return needed


@broken(
    'coordinator-show',
    'it acts as a hook of the unit does',
    'onlooker.Onlooker.look',
    'hooks/test_show.py::test_looking_changes_no_file_no_databag_no_status_and_logs_nothing[3]',
)
def look_as_a_hook(self):
    Session.look(self)


@broken(
    'coordinator-show',
    'what a unit has not heard of others counts as what they say',
    'onlooker.Onlooker._read_front',
    'hooks/test_show.py::test_a_unit_that_keeps_the_lock_has_not_failed[4]',
)
def read_no_claim(self, most):
    pass


@broken(
    'coordinator-show',
    'a turn that is kept counts as one whose hook failed',
    'onlooker.Onlooker._failed',
    'hooks/test_show.py::test_a_unit_that_keeps_the_lock_has_not_failed[3]',
)
def failed_if_begun(self):
    return frozenset(queue for queue, claim in self.own.items() if claim.holds)


@broken(
    'coordinator-show',
    'a unit whose claim says nothing of its turn counts as one that has not begun',
    'report._ticket',
    'unit/test_report.py::test_only_a_units_own_turn_and_one_that_goes_on_are_known_to_have_begun',
)
def ticket_not_begun(seen, ticket):
    return {**unbroken(seen, ticket), 'begun': False}


BROKEN.append(
    Broken(
        'the built charm',
        'a hook of the layer is shipped in place of those of layer:basic',
        'hooks/config-changed',
        '#!/usr/bin/env python3\n',
        ('unit/test_house.py::test_nothing_of_the_layer_stands_in_the_way_of_layer_basic',),
    )
)


@broken(
    'rest',
    'a hook that brings news is left alone',
    'context.HookContext.is_for_nothing',
    history('has something to do in a hook that is left alone', wakes=True, terms=1),
)
def is_for_nothing_whatever_it_brings(self, rest):
    return bool(rest)


@broken(
    'rest',
    'a unit that waits is left alone',
    'waking.Waking.needed',
    history('has something to do in a hook that is left alone', wakes=True, terms=1),
    'hooks/test_rest.py::test_what_is_asked_in_a_hook_that_seemed_idle_is_served_in_a_later_hook',
)
def needed_by_none(self):
    return wake.Wake(frozenset(), rest=NO_REQUEST, store=self.port.store_with(self.state))


# Rolls, and an operator's word


@broken(
    'rule 20', "a roll's ticket is finished as soon as it is given", 'rules.finished',
    history(TWO, world='roll-3'),
)  # fmt: skip
def finished_by_no_ask(ticket, claims):
    return unbroken(ticket._replace(roll=''), claims) and not ticket.raw


@broken(
    'rule 20', 'a unit does not remember that a roll waits for it', 'orders.is_rolling',
    'hooks/test_rolls.py::test_a_roll_is_one_write_one_hook_for_each_release_and_no_time_lost[1-3]',
)  # fmt: skip
def rolling_never(ledger, unit, leads, own):
    return False


@broken(
    'rule 20', 'an action between a failed hook and its retry says that a turn of a roll is over',
    'rules.beside_a_turn', history(TWO, world='roll-aside-3', most=2000000),
)  # fmt: skip
def beside_a_turn_of_a_roll(own, committed):
    said = unbroken(own, committed)
    return {queue: claim._replace(ended=max(claim.ended, claim.token)) for queue, claim in said.items()}


@broken(
    'rule 20', 'no hook is brought to a unit whose turn in a roll comes by the end of another of its turns',
    'rules.next_by_own_turn',
    'hooks/test_rolls.py::test_a_turn_that_was_kept_beyond_the_start_of_a_roll_does_not_hold_up_the_roll[3]',
)  # fmt: skip
def none_by_its_own_turn(ledger, claims):
    return frozenset()


@broken(
    'rule 20', 'no hook is brought to a leader whose turn in a roll comes by the end of another of its turns',
    'session.Session._bring_next_turn',
    'hooks/test_found_in_plain_use.py::'
    'test_two_places_in_rolls_that_have_come_while_another_turn_went_on_need_no_update_status[3]',
)  # fmt: skip
def brings_itself_nothing(self, own):
    pass


@broken(
    'rule 20', 'no hook is brought to a leader whose turn comes with its own order',
    'session.Session._bring_own_turn',
    'hooks/test_rolls.py::test_a_leader_whose_turn_comes_as_it_resumes_a_roll_begins_at_once[3]',
    'hooks/test_own_turn.py::'
    'test_a_leader_whose_order_fails_and_is_given_again_needs_no_update_status[leader-set-3]',
)  # fmt: skip
def bring_no_hook(self):
    pass


@broken(
    'rule 11', 'a lock is released in one queue only', 'holding.Holding._queues_with',
    'hooks/test_found_anew.py::test_a_unit_that_releases_a_lock_has_released_it_in_every_queue[3]',
)  # fmt: skip
def the_queue_of_its_turn(self, lock):
    return frozenset(queue for queue, _ in self.state.own if queue == self.queue_of(lock))


@broken(
    'rule 4', 'no hook is brought to a leader that is next in a queue that is otherwise empty',
    'leading.Leading._bring_hook',
    'hooks/test_own_turn.py::test_a_leader_that_asks_in_an_action_needs_no_update_status[3]',
    'hooks/test_own_turn.py::'
    'test_a_leader_whose_turn_comes_in_update_status_has_it_in_a_hook_in_which_handlers_run[3]',
)  # fmt: skip
def bring_none(self, written=True):
    pass


@broken(
    'rule 4', 'a leader that is not next writes a word that wakes everybody',
    'session.Session._would_be_next',
    'hooks/test_own_turn.py::test_a_leader_that_is_not_next_writes_no_word_that_wakes_everybody[3]',
)  # fmt: skip
def always_next(self, queue):
    return True


@broken(
    'rule 4', 'a leader counts as the next in a queue of one slot', 'rules.behind_all',
    'hooks/test_found_orders.py::'
    'test_a_leader_that_queues_up_again_beside_a_failed_unit_uses_the_other_slot[False-3]',
)  # fmt: skip
def behind_all_with_one_slot(queue, unit, slots=1):
    return unbroken(queue, unit)


@broken(
    'rule 4', 'a turn that is left in update-status makes a unit forget another one', 'turns.Turns._puts_off',
    'hooks/test_found_orders.py::'
    'test_turns_of_two_locks_that_come_in_update_status_are_left_for_a_better_hook_once',
)  # fmt: skip
def puts_off_one(self, ticket):
    left = unbroken(self, ticket)
    if left:
        self._remember(put_off=(ticket.place,))
    return left


@broken(
    'rule 18', 'what comes after a turn stays behind when the request moves', 'own.OwnClaims._move',
    'hooks/test_found_orders.py::test_what_a_unit_asks_for_after_its_turn_moves_to_another_queue_too[3]',
)  # fmt: skip
def move_no_more(self, claim, own):
    unbroken(self, claim._replace(again=()), own)


@broken(
    'rule 20', 'the leader logs in each hook how far a roll is', 'leading.Leading._tell_progress',
    'hooks/test_rolls.py::test_the_leader_logs_how_far_the_roll_is_and_each_number_once[3]',
)  # fmt: skip
def tell_always(self, ledger, committed):
    self._remember(progress=())
    unbroken(self, ledger, committed)


@broken(
    'rule 20', 'a leaving unit keeps its place in a roll', 'own.OwnClaims._fitting',
    'unit/test_orders.py::test_a_unit_that_leaves_gives_up_its_places_in_rolls',
)  # fmt: skip
def fitting_with_rolls(self, own):
    fitting = unbroken(self, own)
    ended = {queue: claim.ended for queue, claim in own.items()}
    return {queue: claim._replace(ended=ended.get(queue, 0)) for queue, claim in fitting.items()}


@broken(
    'rule 20', 'a stage does not wait for the one before it', 'rules.is_turn',
    'unit/test_orders.py::test_a_stage_begins_when_the_one_before_it_is_over',
)  # fmt: skip
def turn_whatever_the_stage(ledger, ticket, claims):
    return len(ahead(ledger, ticket, claims)) < ticket.slots


@broken(
    'rule 12', 'of two turns that only the charm knows to be over, one begins again if the store is lost',
    'own.OwnClaims._with_ends_saved',
    'hooks/test_found_siblings.py::test_of_two_turns_whose_end_only_the_charm_has_saved_none_begins_again_after_the_store_is_lost',
    history('its flags know to be over', world='forgets-once-3'),
)  # fmt: skip
def forgotten_number(self, lost=False):
    return unbroken(self)


@broken(
    'rule 14', 'without a ledger, the turn of a unit that departs is forgotten', 'view.View._forget',
    'hooks/test_found_together.py::test_a_leader_without_a_ledger_does_not_forget_the_turn_of_a_unit_that_departs_at_work[marked]',
)  # fmt: skip
def forgotten_with_its_turn(self, leavers=frozenset()):
    if self.ledger:
        return unbroken(self, leavers)
    asks = {key for key, claim in self.state.peers if claim.outstanding and key[0] in leavers}
    self._remember(peers=tuple(peer for peer in self.state.peers if peer[0] not in asks))


@broken(
    'rule 14', 'nobody reads what a unit says that departs', 'view.View._hear_leaver',
    'hooks/test_found_together.py::test_a_unit_that_departs_at_work_is_waited_for_also_while_goal_state_fails[removed]',
)  # fmt: skip
def unheard_leaver(self):
    pass


@broken(
    'rule 12', 'an end takes the place of those that earlier hooks have saved', 'values.End.beside',
    'hooks/test_found_together.py::test_what_two_hooks_have_ended_is_over_if_only_the_charm_has_saved_it[one-ab-3]',
)  # fmt: skip
def the_last_end_only(self, earlier):
    return self


@broken(
    'rule 12', 'an action that makes a lost store anew knows of no begun turn', 'holding.Holding._goes_on',
    'hooks/test_found_together.py::test_an_action_that_makes_a_lost_store_anew_gives_up_no_turn_of_a_failed_hook[1-3]',
    'hooks/test_found_together.py::test_an_action_that_makes_a_lost_store_anew_gives_up_no_turn_of_a_failed_hook[2-4]',
)  # fmt: skip
def goes_on_if_it_is_known(self, queue):
    self.unsure = False
    return unbroken(self, queue)


@broken(
    'rule 4', 'a turn whose gate has opened is left for a better hook in update-status',
    'turns.Turns._puts_off',
    'hooks/test_found_stalls.py::test_a_turn_behind_a_gate_that_has_opened_begins_in_the_first_update_status[3]',
)  # fmt: skip
def no_better_hook(self, ticket):
    state = self.state
    own = {queue: claim._replace(reason='') for queue, claim in state.own}
    self._remember(own=rules.frozen(own))
    put_off = unbroken(self, ticket)
    self._remember(own=state.own)
    return put_off


@broken(
    'gates', 'a lock behind a gate is held at import', 'gates.guards',
    'hooks/test_found_stalls.py::test_a_lock_behind_a_shut_gate_is_not_held_at_import[3]',
    'hooks/test_found_stalls.py::test_what_is_asked_again_at_import_behind_a_shut_gate_gives_no_second_turn[4]',
)  # fmt: skip
def unguarded(locks):
    return False


@broken(
    'rule 20', 'a failure does not stop a roll with more slots', 'orders.stopped_by',
    history('though a hook of', world='roll-fails-4'),
)  # fmt: skip
def stopped_by_nobody(ledger, ticket, claims, failed):
    return ''


@broken(
    'rule 20', 'a unit that keeps its turn goes on saying that its hook failed', 'failing.Failing.has_begun',
    'hooks/test_rolls.py::test_a_roll_goes_on_where_the_unit_that_failed_keeps_its_turn[3]',
)  # fmt: skip
def never_begun(self):
    return False


@broken(
    'rule 20', 'an action takes back the word that a hook failed', 'view.View._to_say',
    'hooks/test_rolls.py::test_an_action_beside_a_failed_turn_does_not_take_back_that_it_failed[3]',
)  # fmt: skip
def said_no_more(self):
    said = unbroken(self)
    return said._replace(about=said.about._replace(failed=0))


@broken(
    'rule 21', 'a turn begins though its lock is paused', 'orders.pause_of',
    history('though its lock is paused', world='pause-3'),
)  # fmt: skip
def never_paused(ledger, ticket, locks, claims):
    return None


@broken(
    'rule 22', 'a cancelled request stays', 'orders._after_cancel',
    'unit/test_orders.py::test_what_has_not_begun_is_withdrawn_when_it_is_cancelled',
)  # fmt: skip
def never_cancelled(order, claim, ticket, ledger):
    return claim


@broken(
    'rule 22', 'a place in a roll is given up before an earlier one is over', 'orders.may_end',
    'unit/test_orders.py::test_a_later_place_in_rolls_is_given_up_only_when_the_earlier_ones_are_over',
    'hooks/test_cases_orders.py',
)  # fmt: skip
def given_up_at_once(ledger, ticket, claim):
    begun = claim.holds and claim.token == ticket.token
    return not begun and ticket.token > claim.ended


@broken(
    'rule 22', 'an order and what undoes it are both to be written', 'orders.with_wish',
    'unit/test_orders.py::test_an_order_takes_the_place_of_an_earlier_one_that_it_undoes',
)  # fmt: skip
def both_written(wishes, wish):
    return (*wishes, wish)


@broken(
    'rule 22', 'a new request has the ticket that is cancelled', 'orders.is_cancelled',
    'hooks/test_cases_orders.py::test_a_lock_asked_for_anew_after_its_cancellation_has_its_turn',
)  # fmt: skip
def never_anew(ledger, ticket, lock):
    return False


@broken(
    'rule 23', 'a freed unit goes on in its turn', 'orders._after_free',
    history('in a turn that an operator has ended', world='free-3'),
)  # fmt: skip
def freed_in_vain(order, claim, ask):
    return claim


@broken(
    'rule 23', 'the leader forgets that a unit was freed before that unit knows', 'orders.matters',
    'unit/test_orders.py::test_the_ledger_remembers_that_a_unit_was_freed_until_the_unit_knows',
)  # fmt: skip
def forgotten_at_once(order, ledger, claims, gone, rolled):
    return order.kind != FREE and unbroken(order, ledger, claims, gone, rolled)


@broken(
    'rule 24', 'a gate is asked again in a turn that has begun', 'holding.Holding._ask_gates',
    'hooks/test_gates.py::test_a_gate_is_asked_before_a_turn_begins_and_never_again_in_it',
)  # fmt: skip
def gates_asked_always(self):
    self.turns = tuple(
        turn
        for turn in self.turns
        if not self.gate(self.own.get(turn.queue, self._no_claim).names | {turn.roll})
    )


@broken(
    'rule 24', 'what a gate asks for itself is written over', 'holding.Holding._ask_gates',
    'hooks/test_gates.py::test_what_a_gate_asks_for_itself_is_served[open-one-3]',
)  # fmt: skip
def gates_asked_with_a_copy(self):
    before = self.state.own
    unbroken(self)
    self._say(dict(before))


@broken(
    'rule 12', 'a turn that has come has begun, in an action too', 'holding.Holding._is_under_way',
    "hooks/test_gates.py::test_in_an_action_a_turn_behind_a_shut_gate_has_not_begun[request_again('a')-3]",
    'hooks/test_gates.py::test_an_action_may_withdraw_a_request_that_a_shut_gate_holds_back[3]',
)  # fmt: skip
def under_way_as_soon_as_it_has_come(self, queue):
    return any(turn.queue == queue for turn in self.turns)


@broken(
    'rule 14', 'a lost ledger is replaced when those have answered that joined or spoke', 'terms.is_first',
    'hooks/test_found_anew.py::'
    'test_a_new_unit_that_leads_hears_all_before_it_replaces_a_lost_ledger_where_databags_were_lost_too[4]',
)  # fmt: skip
def always_first(answer):
    return True


@broken(
    'rule 14', 'a unit that knew the term of a claim says no higher one', 'terms.known_once_read',
    'unit/test_terms.py::test_a_unit_that_knew_the_term_of_a_claim_from_another_ledger_says_a_higher_one_only_once',
    'hooks/test_found_anew.py::'
    'test_a_new_unit_that_leads_hears_all_before_it_replaces_a_lost_ledger_where_databags_were_lost_too[3]',
)  # fmt: skip
def known_is_the_highest(terms, known, heard):
    return max([known, *(record.term for record in terms.records)])


@broken(
    'rule 14', 'a first claim that was lost with its hook counts', 'terms.claiming',
    'unit/test_terms.py::'
    'test_no_term_is_claimed_twice_but_the_first_of_all_if_nobody_is_known_to_have_seen_it',
    'hooks/test_found_anew.py::'
    'test_a_leader_whose_first_hooks_fail_makes_the_first_ledger_without_machines_that_are_still_being_made[4]',
)  # fmt: skip
def claim_above_the_lost_one(terms, nonce, known, claimed=0):
    return Record(nonce, max(highest(terms), known, claimed) + 1, anew=is_lost(terms, known))


@broken(
    'rule 14', 'a new subordinate waits for those that it has met', 'leading.Leading._unheard_principals',
    'hooks/test_found_anew.py::'
    'test_a_new_subordinate_that_leads_waits_for_a_unit_beside_each_principal_before_it_replaces_a_lost_ledger'
    '[marked-3]',
)  # fmt: skip
def principals_not_awaited(self, any_application):
    return frozenset()


@broken(
    'wake-up',
    'it counts after a hook that failed',
    'wakeup.WakeUp.withdraw',
    'hooks/test_wakeup.py::test_a_wake_up_between_a_failed_hook_and_its_retry_leaves_before_any_handler',
)
def never_withdrawn(self, woken=False):
    pass


@broken(
    'wake-up',
    'it counts though the flags of the hook before it were not saved',
    'wakeup.counts',
    'hooks/test_wakeup.py::test_a_wake_up_of_a_hook_whose_flags_were_not_saved_ends_before_any_handler[3]',
)
def counts_unsaved(path, token, saved):
    return _found(path).counts == token


@broken(
    'wake-up',
    'it counts again after it has begun',
    'wakeup.WakeUp.withdraw',
    'hooks/test_wakeup.py::test_each_wake_up_counts_once',
)
def not_withdrawn_in_a_wake_up(self, woken=False):
    if not os.environ.get('COORDINATOR_WAKE_UP'):
        unbroken(self, woken)


@broken(
    'wake-up',
    'a second timer is set beside one that ends earlier',
    'wakeup.planned',
    'unit/test_wakeup.py::test_a_timer_that_ends_early_enough_stays_and_an_earlier_one_takes_its_place',
)
def always_planned(timer, now, seconds):
    return seconds


@broken(
    'wake-up',
    'it tells the others of a release that is not saved',
    'view.View._to_say',
    'hooks/test_wakeup.py::test_what_a_wake_up_released_and_then_failed_is_not_free',
)
def ends_said_at_once(self):
    context, self.context = self.context, self.context._replace(woken=False)
    said = unbroken(self)
    self.context = context
    return said


@broken(
    'wake-up',
    'a turn begins in it',
    'holding.Holding._usable',
    'hooks/test_wakeup.py::test_nor_does_one_whose_pause_has_ended[3]',
)
def usable_in_a_wake_up(self):
    return () if self.context.aside else self.turns


@broken(
    'rule 14', 'a leader without a ledger forgets what is over, and with it the tokens', 'view.View._forget',
    history('was used by', world='loses-tokens-3', most=2000000),
    'unit/test_terms.py::test_while_there_is_no_ledger_what_is_over_is_remembered_for_its_token',
)  # fmt: skip
def forget_what_is_over(self, leavers=frozenset()):
    self._remember(peers=tuple(peer for peer in self.state.peers if peer[1].outstanding))


@broken(
    'rule 12', 'a hook that fails before its turns are noted hides that its store was made anew',
    'view.View._by',
    'hooks/test_found_lost_stores.py::'
    'test_no_action_gives_up_a_turn_whose_store_was_lost_and_whose_retry_failed_before_its_handlers[gate-3]',
    'hooks/test_found_lost_stores.py::'
    'test_collect_metrics_does_not_make_an_action_give_up_a_turn_of_a_lost_store',
)  # fmt: skip
def by_an_action_only(self):
    return (ANEW if self.unsure else '') + self.context.id


@broken(
    'rule 12', 'a lost store counts as such for ever',
    'view.View._by',
    'hooks/test_found_lost_stores.py::'
    'test_an_action_withdraws_a_paused_request_after_hooks_have_succeeded[True-3]',
)  # fmt: skip
def anew_for_ever(self):
    return (ANEW if self.state.context.startswith(ANEW) or self.lost else '') + self.context.id


@broken(
    'rule 12', 'what one process withdraws, another one of its unit asks for again',
    'merging._united',
    'hooks/test_found_joined.py::'
    'test_what_a_program_of_a_hook_withdraws_beside_another_lock_stays_withdrawn[asks0-3]',
)  # fmt: skip
def with_what_is_withdrawn(before, *sides):
    return unbroken((), *sides)


@broken(
    'rule 18', 'what is asked for after a turn that goes on cannot be withdrawn',
    'session.Session._withdraw_again',
    'hooks/test_found_in_rolls.py::test_an_action_withdraws_what_another_action_has_queued[kept-3]',
)  # fmt: skip
def withdraws_nothing_again(self, lock, queues):
    pass


@broken(
    'rule 21', 'a pause of one lock stops a roll of another',
    'orders.pause_before',
    'hooks/test_found_in_rolls.py::test_a_roll_passes_a_unit_that_has_asked_later_for_another_lock[pause-3]',
)  # fmt: skip
def paused_by_any_of_its_locks(ledger, ticket, claim, claims):
    return pause_of(ledger, ticket, claim.names, claims)


@broken(
    'rule 24', 'a lock behind a shut gate begins with the turn of a roll of another',
    'holding.Holding._later',
    'hooks/test_found_in_rolls.py::test_a_roll_passes_a_unit_that_has_asked_later_for_another_lock[gate-3]',
)  # fmt: skip
def nothing_later(self, turn, claim):
    return frozenset()


@broken(
    'rule 20', 'the end of a roll is shown late if a unit has gone that had its turn',
    'view.View._hear_leaver',
    'hooks/test_found_joined.py::'
    'test_a_roll_is_over_soon_also_if_a_unit_that_has_had_its_turn_is_removed[True-3]',
)  # fmt: skip
def hear_leaver_once(self):
    before, unit = self.state, self.context.departed
    self._read_claims([unit] if unit else [])
    if not any(claim.outstanding for (who, _), claim in self.state.peers if who == unit):
        self.state = before


@broken(
    'rule 20', 'a leader that sleeps does not hear a unit that has a place in a roll behind another turn',
    'rules.has_later_place',
    'hooks/test_found_in_rolls.py::'
    'test_a_place_in_a_roll_comes_also_if_a_unit_between_has_withdrawn_and_the_leader_slept[3]',
)  # fmt: skip
def no_later_place(ledger, claims):
    return frozenset()


@broken(
    'rule 20', 'only the end of a hook brings a leader the hook of its next turn',
    'session.Session._bring_next_turn',
    'hooks/test_found_in_rolls.py::'
    'test_a_unit_that_withdraws_what_its_gate_held_back_begins_its_turn_in_the_roll_behind[app/0-4]',
)  # fmt: skip
def brings_it_at_the_end_only(self, own):
    if not self.context.aside:
        unbroken(self, own)


@broken(
    'rule 20', 'release_lock at the end of a turn gives up the place in a roll behind it',
    'session.Session.release',
    'hooks/test_found_in_rolls.py::'
    'test_release_lock_at_the_end_of_a_turn_leaves_the_place_in_a_roll_behind_it[True-3]',
)  # fmt: skip
def release_with_the_places_behind(self, lock):
    rolls = [ticket for ticket in self._rolls() if ticket.roll == lock]
    unbroken(self, lock)
    for ticket in rolls:
        self._leave(ticket, dict(self.state.own).get(ticket.queue, self._no_claim))
    self._end_turns(dict(self.state.own))
