"""What a sample of segments says of a table: intervals that hold the share in 95 of 100 samples, or more."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from reindexer.models import Clusters, Estimate, estimate

TOTAL = 4000


def drawn(segments: list[Clusters], number: int, seed: int) -> Clusters:
    """The sum of a sample, field by field: `+` would make half a million models on the way."""
    sample = random.Random(seed).sample(segments, number)
    return Clusters(**{name: sum(getattr(one, name) for one in sample) for name in Clusters.model_fields})


def independent(share: float) -> list[Clusters]:
    """Keys by chance, and each differs by chance."""
    chance = random.Random(1)
    sizes = [sum(chance.random() < 0.25 for _ in range(40)) for _ in range(TOTAL)]
    return [Clusters.of_segment(size, sum(chance.random() < share for _ in range(size))) for size in sizes]


def alike(share: float) -> list[Clusters]:
    """All keys of a segment differ, or none, as if one partition key had not been copied; sizes vary."""
    chance = random.Random(2)
    sizes = [chance.choice([0, 5, 10, 30]) for _ in range(TOTAL)]
    return [Clusters.of_segment(size, size if chance.random() < share else 0) for size in sizes]


@pytest.mark.parametrize("made", [independent, alike], ids=lambda made: str(made.__name__))
@pytest.mark.parametrize("share", [0.0, 0.002, 0.02, 0.3, 0.9])
def test_the_interval_holds_the_share(made: Callable[[float], list[Clusters]], share: float) -> None:
    segments = made(share)
    true = sum(one.differ for one in segments) / sum(one.keys for one in segments)
    found = [estimate(drawn(segments, 150, seed), TOTAL) for seed in range(400)]
    holds = [each is not None and each.low <= true <= each.high for each in found]
    assert sum(holds) >= 0.92 * len(holds)


def test_clustered_keys_give_a_wider_interval_than_independent_ones() -> None:
    together = estimate(sum_of([(10, 10)] * 10 + [(10, 0)] * 90), TOTAL)
    apart = estimate(sum_of([(10, 1)] * 100), TOTAL)
    assert together is not None
    assert apart is not None
    assert together.share == apart.share == 0.1
    assert width(together) > 2 * width(apart)


def test_without_a_difference_the_bound_is_the_rule_of_three() -> None:
    sample = sum_of([(1, 0)] * 300)
    found = estimate(sample, 1_000_000)
    assert found is not None
    assert (found.keys, found.share, found.low) == (300, 0, 0)
    assert found.high == pytest.approx(0.01, rel=1e-3)
    every = estimate(sum_of([(1, 1)] * 300), 1_000_000)
    assert every is not None
    assert (every.share, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.99, rel=1e-3)


def test_of_a_table_that_was_read_whole_the_share_is_exact() -> None:
    found = estimate(sum_of([(4, 1), (6, 0)]), 2)
    assert found == Estimate(keys=10, segments=2, total=2, share=0.1, low=0.1, high=0.1)


def test_one_segment_says_next_to_nothing_and_none_nothing() -> None:
    found = estimate(sum_of([(10, 1)]), 1000)
    assert found is not None
    assert width(found) > 0.7
    assert estimate(sum_of([(0, 0)] * 5), 1000) is None


def sum_of(segments: list[tuple[int, int]]) -> Clusters:
    sample = Clusters()
    for keys, differ in segments:
        sample += Clusters.of_segment(keys, differ)
    return sample


def width(found: Estimate) -> float:
    return found.high - found.low
