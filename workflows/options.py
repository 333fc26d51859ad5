"""Time-outs and retry policies, each number with its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

#: Activities that talk to the control plane or the ledger: seconds when all is well, minutes in a storm.
CONTROL: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=2),  # a table of 400 probes and samples takes seconds
    "heartbeat_timeout": timedelta(seconds=15),  # a busy process is seconds late; see `activities.heartbeats`
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(seconds=1),  # the ledger's own client has tried for seconds already
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=30),  # a ledger that comes back is found within half a minute
        maximum_attempts=10,  # about three minutes; a bug must not look like "running" for ever
    ),
}

#: One attempt to plan. The workflow makes the next one itself, and says meanwhile why it has to.
PLANNING: dict[str, Any] = {**CONTROL, "retry_policy": RetryPolicy(maximum_attempts=1)}
#: Attempts to plan, with 1, 2, 4 … 30 s between them: three to five minutes. Nothing has been changed yet, so a
#: job that cannot be planned for so long fails, and whoever started it learns of it.
PLAN_ATTEMPTS = 10
LONGEST_WAIT_TO_PLAN = 30.0  # seconds; a table that comes back is found within half a minute

#: Taking a lock waits one heartbeat timeout where its holder died.
LOCK: dict[str, Any] = {
    **CONTROL,
    "start_to_close_timeout": timedelta(minutes=15),  # the longest heartbeat timeout is 10 minutes
    "heartbeat_timeout": timedelta(seconds=30),  # it heartbeats every second while it waits
}

#: The last look of a cancelled shard: it reads for a minute at most, and a dead worker's is tried again.
LAST_LOOK: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=3),
    "heartbeat_timeout": timedelta(seconds=30),  # it heartbeats with every page
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=5),  # about 15 s
}

#: A control activity of a job that is being cancelled: less patience, since someone waits.
CLOSING: dict[str, Any] = {
    **CONTROL,
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=5),  # about 15 s
}


#: Asking what a shard had come to that someone ended: there is its last report, so it is not asked for long.
ASKING: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=15),  # a query, which is given 10 s
    "retry_policy": RetryPolicy(maximum_attempts=3),  # workers may be restarting
    "schedule_to_close_timeout": timedelta(seconds=60),  # also where no worker is there
}

#: Keeping and loading a shard's state: as patient as the ledger's own client, then the shard parks.
KEEPING: dict[str, Any] = {
    **CONTROL,
    "start_to_close_timeout": timedelta(seconds=30),  # some 2 MB in items of 350 KB
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=5),  # about 15 s
}


#: Of a read that nothing else depends on: a worker that was lost is replaced within seconds.
READ_AGAIN = RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=3)


#: A look at the whole stream: where it fails the next one is minutes away, and nothing waits for it.
LOOK_AT_STREAM: dict[str, Any] = {
    **CONTROL,
    "retry_policy": RetryPolicy(maximum_interval=timedelta(seconds=5), maximum_attempts=3),
}
#: Waiting for others: as long as the activity itself allows, and heartbeats with each question.
ARRIVAL: dict[str, Any] = {
    "start_to_close_timeout": timedelta(minutes=10),  # five minutes of waiting, and the questions at its end
    "schedule_to_close_timeout": timedelta(minutes=15),  # also where no worker is there
    "heartbeat_timeout": timedelta(seconds=30),  # a question takes seconds
    "retry_policy": READ_AGAIN,
}


def look_options(seconds: float) -> dict[str, Any]:
    """For one look at the shards that begins after `seconds`: its first attempt does nothing but say when."""
    return {
        "start_to_close_timeout": timedelta(seconds=30),  # 400 describes take a second
        "schedule_to_close_timeout": timedelta(seconds=seconds + 300),  # without workers: look again later
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),  # a server that restarts answers within seconds
            maximum_interval=timedelta(seconds=30),
            maximum_attempts=10,  # then it is given up, and the next one begins
        ),
    }


def first_round_seconds(shard: int, seconds: float) -> float:
    """The time slice of a shard's first round, 3 to 6.5 s; the others take `seconds`, as this one at most.

    By the time a person has opened the Web UI something is to be seen, and it is known what the shard uses of
    the budgets. Not the same for all, so that not all of them turn over at the same moment.
    """
    return min(seconds, 3.0 + shard % 8 / 2)


def round_options(seconds: float, heartbeat_timeout: float) -> dict[str, Any]:
    """For a round of any kind with a time slice of `seconds`."""
    return {
        # Handing back takes one call in flight (5 s) and a heartbeat; three minutes more is a hung process.
        "start_to_close_timeout": timedelta(seconds=seconds + 180),
        "heartbeat_timeout": timedelta(seconds=heartbeat_timeout),
        # The workflow begins a new round instead: between two attempts the server keeps the heartbeat of the
        # first, and an activity that is cancelled just then loses it.
        "retry_policy": RetryPolicy(maximum_attempts=1),
        # A round that is asked to stop returns its state, and the workflow gets that result.
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


def record_options(heartbeat_timeout: float) -> dict[str, Any]:
    """For an isolated record: three quarters of a minute of trouble are passing, more is the record's."""
    return {
        "start_to_close_timeout": timedelta(minutes=2),  # one call, one consistent read, and their waits
        "heartbeat_timeout": timedelta(seconds=max(heartbeat_timeout, 30.0)),  # idle while a call is out
        "retry_policy": RetryPolicy(
            initial_interval=timedelta(seconds=1),  # it failed five times within a second already
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=5),  # asking more often would hammer a partition in trouble
            # After the 5 failures in its round: where one call in three fails, 17 in a row come once in 1,000
            # jobs of 100,000 records. 47 s in all, then it is quarantined and can be redriven.
            maximum_attempts=12,
        ),
        "cancellation_type": ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    }


#: Isolated records of one shard at the same time: a hot partition is not to be hammered.
RECORDS_AT_ONCE = 10
#: Isolated records a shard may hold before it begins no new round (two rounds' worth).
MAX_PENDING_RECORDS = 100
#: Rounds in a row that are lost before they got anywhere, after which the shard parks: a bug, not bad luck.
MAX_LOST_ROUNDS = 10
#: Seconds between tries of a shard that finds no capacity or no service: doubled from the first to the last.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
#: Seconds before a round that follows a lost one, at most: workers that come back are used within 10 s.
LONGEST_WAIT_AFTER_LOST = 10.0
#: Throttles that reach so far stop all shards, not one: no one else's share would go through either.
EVERYWHERE = ("table", "account", "index")
