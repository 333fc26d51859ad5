"""A sample of a table's segments, and what it says of the whole: a share with its 95 % interval."""

from __future__ import annotations

import math

from pydantic import NonNegativeFloat, NonNegativeInt

from reindexer.models.model import Model

_Z = 1.959964  # of a normal distribution, 95 % lie within this many standard deviations
#: Segments that differ, below which their spread is an accident: simulated intervals held the share in 85 of
#: 100 samples where whole segments differ, and in 95 from here on.
_FEW = 10
_RULE_OF_THREE = 3.0  # -ln(0.05), rounded up: what 95 % of samples would have shown at least once


class Clusters(Model):
    """Sums over segments that were read whole. A segment's keys are a cluster: chosen together.

    Every field adds up, so that rounds and shards do. `keys`: with a verdict; `differ`: of these.
    """

    segments: NonNegativeInt = 0
    with_keys: NonNegativeInt = 0  # segments that have any
    that_differ: NonNegativeInt = 0  # segments with a key that differs
    keys: NonNegativeInt = 0
    differ: NonNegativeInt = 0
    keys_squared: NonNegativeInt = 0
    differ_squared: NonNegativeInt = 0
    products: NonNegativeInt = 0  # keys times differ

    @classmethod
    def of_segment(cls, keys: int, differ: int) -> Clusters:
        """One segment."""
        return cls(
            segments=1,
            with_keys=int(keys > 0),
            that_differ=int(differ > 0),
            keys=keys,
            differ=differ,
            keys_squared=keys * keys,
            differ_squared=differ * differ,
            products=keys * differ,
        )

    def __add__(self, other: Clusters) -> Clusters:
        return Clusters(**{name: getattr(self, name) + getattr(other, name) for name in Clusters.model_fields})


class Estimate(Model):
    """The share of keys that differ, from 0 to 1, and its 95 % interval. `segments`: read, of `total`."""

    keys: NonNegativeInt
    segments: NonNegativeInt
    total: NonNegativeInt
    share: NonNegativeFloat
    low: NonNegativeFloat
    high: NonNegativeFloat


def estimate(sample: Clusters, total: int) -> Estimate | None:
    """What a sample of random segments of `total` says; None where they held no key.

    The share is the ratio of sums over segments, and its variance that of a ratio estimator over clusters
    (Cochran, Sampling Techniques, 3rd edition, 6.3 and 9.2), with the correction for a finite number of
    segments. Compared with the variance of as many independent keys it gives the effective number of keys (Korn
    and Graubard, Survey Methodology 24, 1998; never more than there are). For that number the interval is
    Wilson's, corrected for continuity (Newcombe, Statistics in Medicine 17, 1998). It holds for small shares,
    where share ± 2 standard errors does not.

    Where few segments differ their spread says little of how alike the keys of a segment are. Then these are
    taken to be all alike, the worst case (Kish, Survey Sampling, 1965). Where no key differs, or every one, the
    bound is the rule of three: 3 by the effective number of keys (Hanley and Lippman-Hand, JAMA 249, 1983).
    Both are wide rather than wrong.
    """
    if not sample.keys:
        return None
    share, unread = sample.differ / sample.keys, max(0.0, 1 - sample.segments / total)
    if not unread:
        low = high = share
    elif sample.differ in (0, sample.keys):
        bound = min(1.0, _RULE_OF_THREE * unread * sample.keys_squared / sample.keys**2)
        low, high = (0.0, bound) if not sample.differ else (1 - bound, 1.0)
    else:
        low, high = _wilson(share, sample.keys / _design_effect(sample, share) / unread)
    return Estimate(keys=sample.keys, segments=sample.segments, total=total, share=share, low=low, high=high)


def _design_effect(sample: Clusters, share: float) -> float:
    """How many keys say as much as one that is chosen independently: 1 or more."""
    number, all_alike = sample.with_keys, sample.keys_squared / sample.keys
    if number < 2:  # of one segment no spread is known
        return all_alike
    squares = sample.differ_squared - 2 * share * sample.products + share**2 * sample.keys_squared
    variance = number / (number - 1) * squares / sample.keys**2
    effect = max(1.0, variance * sample.keys / (share * (1 - share)))
    return max(effect, all_alike) if sample.that_differ < _FEW else effect


def _wilson(share: float, size: float) -> tuple[float, float]:
    """Wilson's interval of a share of `size` independent keys, with the correction for continuity."""
    return max(0.0, _lower(share, size)), min(1.0, 1 - _lower(1 - share, size))


def _lower(share: float, size: float) -> float:
    spread = _Z**2 - 1 / size + 4 * size * share * (1 - share) + 4 * share - 2
    return (2 * size * share + _Z**2 - 1 - _Z * math.sqrt(max(0.0, spread))) / (2 * (size + _Z**2))
