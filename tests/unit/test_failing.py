"""When a unit says that its hook failed in a turn of a roll, and what stops then."""

import json
import os
import subprocess

import pytest
from charms.layer.coordinator import failing, orders, wakeup, why, wire
from charms.layer.coordinator.values import ROLL, About, Claim, Ledger, Order, Said, Ticket

from tests.deploy import ROOT

RELATION, UNIT = 'coordinator:4', 'app/3'
SAID = Said('0a1b2c3d', About(term=2, zone='a'), (('', Claim(1, 1, nonce='0a1b2c3d', ended=3)),))
LATER = SAID._replace(queues=(('', Claim(1, 1, nonce='0a1b2c3d', ended=7)),))


class Charm:
    """A charm's directory with the script, and a Juju that keeps the claims of one unit."""

    def __init__(self, place, monkeypatch):
        self.place, self.timers, self.bag = place, [], place / 'bag'
        monkeypatch.setattr(wakeup, '_set', lambda *timer: self.timers.append(timer) or True)
        monkeypatch.setenv('JUJU_VERSION', '3.6.1')
        for name, text in [
            ('relation-get', '[ "$*" = "--format smart -r {0} coordinator-claims {1}" ] && cat "{2}"'),
            ('relation-set', '[ "$1 $2" = "-r {0}" ] && printf "%s\\n" "${{3#coordinator-claims=}}" > "{2}"'),
        ]:
            path = place / 'bin' / name
            path.parent.mkdir(exist_ok=True)
            path.write_text('#!/bin/sh\n' + text.format(RELATION, UNIT, self.bag) + '\n')
            path.chmod(0o755)

    @property
    def file(self):
        return self.place / '.coordinator.turn'

    def hook(self, token=7, ends=True, said=LATER):
        """Run a hook that uses a turn; return what stands for it."""
        hook = failing.Failing(str(self.file), UNIT)
        hook.withdraw()
        hook.begins(token, RELATION)
        if ends:
            hook.ends((RELATION, wire.said_text(said)))
        return hook

    def juju_has(self, said):
        self.bag.write_text(wire.said_text(said) + '\n' if said else '')

    def says(self, turn='7'):
        """Run the script; return what Juju has of the unit then."""
        env = {'JUJU_CHARM_DIR': str(self.place), 'JUJU_UNIT_NAME': UNIT}
        env['PATH'] = '{}/bin:{}'.format(self.place, os.environ['PATH'])
        subprocess.run([str(ROOT / failing.SCRIPT), turn], env=env, check=True)
        return self.bag.read_text()[:-1]


@pytest.fixture
def charm(tmp_path, monkeypatch):
    made = Charm(tmp_path, monkeypatch)
    made.juju_has(SAID)
    return made


def failed(said, token):
    return wire.said_text(said._replace(about=said.about._replace(failed=token)))


def test_a_hook_that_fails_is_said_to_have_failed_in_the_text_that_the_layer_itself_would_write(charm):
    charm.hook(ends=False)

    assert charm.says() == failed(SAID, 7)
    assert charm.says() == failed(SAID, 7)


def test_so_is_one_whose_commit_juju_refuses_and_one_that_has_succeeded_is_not(charm):
    charm.hook()
    assert charm.says() == failed(SAID, 7)

    charm.juju_has(LATER)
    assert charm.says() == wire.said_text(LATER)


def test_a_text_that_ends_with_a_blank_has_been_said_when_juju_has_it(charm):
    """A text that repairs a spoilt databag ends so."""
    hook = charm.hook(ends=False)
    hook.ends((RELATION, wire.said_text(LATER) + ' '))
    charm.bag.write_text(wire.said_text(LATER) + ' \n')

    assert charm.says() == wire.said_text(LATER) + ' '


def test_the_word_of_an_earlier_turn_gives_way_to_that_of_this_one(charm):
    charm.bag.write_text(failed(SAID, 3) + '\n')
    charm.hook(ends=False)

    assert charm.says() == failed(SAID, 7)


def test_nothing_is_said_of_another_turn_or_once_another_hook_has_begun(charm):
    charm.hook(ends=False)
    assert charm.says('6') == wire.said_text(SAID)
    assert charm.says('') == wire.said_text(SAID)

    failing.Failing(str(charm.file), UNIT).withdraw()
    assert charm.says() == wire.said_text(SAID)


def test_nothing_is_said_where_juju_has_nothing_of_this_unit_or_does_not_answer(charm):
    charm.hook(ends=False)
    charm.juju_has(None)
    assert charm.says() == ''

    charm.bag.unlink()
    charm.bag.mkdir()
    subprocess.run([str(ROOT / failing.SCRIPT), '7'], check=True, env={
        'JUJU_CHARM_DIR': str(charm.place), 'JUJU_UNIT_NAME': UNIT,
        'PATH': '{}/bin:{}'.format(charm.place, os.environ['PATH']),
    }, stderr=subprocess.DEVNULL)  # fmt: skip


def test_the_script_is_run_by_juju_exec_when_the_hook_is_over(charm):
    charm.hook(ends=False)

    ((name, seconds, command),) = charm.timers
    assert name.startswith('coordinator-failed-app-3-')
    assert seconds == 1
    assert command == ['/usr/bin/juju-exec', UNIT, '{}/hooks/coordinator-failed 7'.format(charm.place)]


def test_a_hook_without_a_turn_of_a_roll_leaves_no_file(charm):
    hook = failing.Failing(str(charm.file), UNIT)
    hook.withdraw()
    hook.ends((RELATION, 'x'))

    assert not hook.has_begun()
    assert not charm.file.exists()


@pytest.mark.parametrize('word', ['"7"', '-1', '1.5', 'true', '[7]', '{}'])
def test_a_word_that_is_no_token_is_refused_with_the_text_that_has_it(word):
    text = wire.said_text(SAID).replace('{', '{"failed":%s,' % word, 1)
    found, problems = wire.said(text, 'there')

    assert found == Said(about=About(spoke=True))
    assert len(problems) == 1


def test_the_word_is_read_as_it_was_written():
    said = SAID._replace(about=SAID.about._replace(failed=7, spoke=True))

    assert wire.said(failed(SAID, 7), 'there') == (said, ())
    assert json.loads(failed(SAID, 7))['failed'] == 7


# What stops


def ticket(token, unit, roll='restart', stage=1):
    return Ticket(token, '', unit, 0, slots=2, stage=stage, roll=roll)


ROLLED = Order(ROLL, 'r', 'restart', first=1, last=3)
LEDGER = Ledger(
    4,
    (ticket(1, 'app/1'), ticket(2, 'app/2'), ticket(3, 'app/3'), Ticket(4, '', 'app/4', 1, slots=2, stage=1)),
    orders=(ROLLED,),
)


def over(token):
    return Claim(ended=token)


def test_in_a_roll_whoever_comes_after_a_failed_turn_waits_for_it_and_says_so():
    first, third = LEDGER.tickets[0], LEDGER.tickets[2]
    claims = {('app/1', ''): over(1)}

    assert orders.stopped_by(LEDGER, third, claims, {'app/2': 2}) == 'app/2'
    assert orders.stopped_by(LEDGER, first, claims, {'app/2': 2}) == ''
    sentence = 'a hook of app/2 failed in its turn; the roll goes on when a hook of app/2 has succeeded'
    assert why.refusal(LEDGER, third, claims, {'app/2': 2}) == sentence
    assert why.refusal(LEDGER, third, claims) == 'its turn begins in the next hook of this unit'


def test_a_word_about_a_turn_that_is_over_or_about_none_of_this_roll_stops_nobody():
    third, claims = LEDGER.tickets[2], {('app/1', ''): over(1)}

    assert orders.stopped_by(LEDGER, third, {**claims, ('app/2', ''): over(2)}, {'app/2': 2}) == ''
    assert orders.stopped_by(LEDGER, third, claims, {'app/2': 9, 'app/3': 3}) == ''
    earlier = LEDGER._replace(orders=(ROLLED._replace(first=3),))
    assert orders.stopped_by(earlier, third, claims, {'app/2': 2}) == ''


def test_a_failed_turn_does_not_stop_who_has_asked_for_itself():
    assert orders.stopped_by(LEDGER, LEDGER.tickets[3], {}, {'app/2': 2}) == ''
