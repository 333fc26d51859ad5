"""Defects that would break the promise, one at a time: each must be caught by the tests named beside it."""

from evidence.exactness.mutations import (
    of_compare,
    of_counting,
    of_follow,
    of_index,
    of_jobs,
    of_repair,
    of_replicate,
    of_unstamp,
)
from evidence.exactness.mutations.mutation import Mutation

MUTATIONS = (
    *of_counting.MUTATIONS,
    *of_jobs.MUTATIONS,
    *of_unstamp.MUTATIONS,
    *of_compare.MUTATIONS,
    *of_repair.MUTATIONS,
    *of_index.MUTATIONS,
    *of_follow.MUTATIONS,
    *of_replicate.MUTATIONS,
)

__all__ = ["MUTATIONS", "Mutation"]
