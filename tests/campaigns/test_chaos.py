"""A share of the campaign of tests/campaigns/chaos.py, and what the campaign itself is worth."""

import pytest

from tests.campaigns import chaos

EVER_FAILED = (20, 33, 38, 3071, 4358, 7286, 8108, 8571)
"""Seeds in which the layer, or the account that is kept of it, was once found wrong."""


@pytest.mark.parametrize('seeds', [range(first, first + 10) for first in range(1, 41, 10)], ids=str)
def test_no_promise_is_broken_in_a_random_history(seeds):
    for seed in seeds:
        verdict = chaos.live(chaos.kind_of(seed))

        assert not verdict.fault, '{}\nmake chaos SEED={}\n{}'.format(verdict.fault, seed, verdict.story)


@pytest.mark.parametrize('seed', EVER_FAILED)
def test_a_history_that_once_failed_does_not_fail_again(seed):
    verdict = chaos.live(chaos.kind_of(seed))

    assert not verdict.fault, verdict.story


@pytest.mark.parametrize('seed', [1, 2, 7, 12, 21])
def test_quick_hooks_tell_the_same_history_as_a_process_a_hook_to_the_letter(seed):
    kind = chaos.kind_of(seed)

    assert chaos.live(kind, quick=True) == chaos.live(kind, quick=False)


def test_the_same_campaign_finds_what_is_known_to_be_wrong_with_charmhelpers():
    verdicts = [chaos.live(chaos.kind_of(seed, chaos.THEIRS)) for seed in range(1, 13)]

    sorts = {chaos.sort_of(verdict.fault) for verdict in verdicts if verdict.fault}
    assert {'two at work', 'a turn lost'} <= sorts


def test_seeds_reach_every_charm_and_whatever_may_go_wrong():
    kinds = [chaos.kind_of(seed) for seed in range(1, 201)]

    assert {kind.plan for kind in kinds} == set(chaos.PLANS)
    assert {(kind.juju, kind.slots, kind.queues) for kind in kinds} == {
        (juju, slots, queues) for juju in (3, 4) for slots in (1, 2) for queues in ('one', 'per-lock')
    }
    assert {kind.units for kind in kinds} == set(range(2, 8))
