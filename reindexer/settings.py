"""Everything read from the environment that is ours: `REINDEXER_*`. AWS's and Temporal's are read by them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: What the queue of rounds is called: that of everything else, with this behind it.
ROUNDS_SUFFIX = "-rounds"
#: Behind that, of rounds that follow a stream.
FOLLOWING_SUFFIX = "-following"


class Settings(BaseSettings):
    """Settings of workers and of the command line, each with its default and why."""

    model_config = SettingsConfigDict(env_prefix="REINDEXER_", frozen=True, extra="ignore")

    #: Queue of workflows and of all activities but rounds.
    task_queue: str = "reindexer"
    #: Serve only the jobs whose files name this `task_queue`, and no workflows. Empty: workflows, and the jobs
    #: whose files name none.
    job_queue: str = ""
    #: Table that keeps locks, reports and quarantine.
    ledger_table: str = "reindexer-ledger"
    #: Worker processes; 0: one per core, since a process's Python uses one core.
    processes: int = Field(default=0, ge=0, le=256)
    #: Rounds at the same time in one process. Threads only hide waiting; more than 16 starve the heartbeat.
    rounds_per_process: int = Field(default=16, ge=1, le=64)
    #: Rounds that follow a stream at the same time in one process, beside the others: they hold their slots for
    #: as long as their follow runs. They mostly wait; a follow has 2, and more only of 300 stream shards.
    following_per_process: int = Field(default=16, ge=1, le=64)
    #: Seconds without a heartbeat after which an attempt counts as dead; also the longest a zombie may write.
    heartbeat_timeout: float = Field(default=10.0, ge=2, le=600)
    #: Seconds between heartbeats sent to the server: a pause arrives with the answer to one, 1.2 s after it was
    #: sent with 24 rounds under way. Each costs the server 2 ms, on Temporal Cloud an Action: raise it where a
    #: pause has more time. Half as long, the same job took a tenth longer, and a pause 1.1 s.
    heartbeat_interval: float = Field(default=1.0, ge=0.1, le=60)
    #: Time slice of a round, seconds: long enough to cost few events, short enough to report by.
    round_seconds: float = Field(default=30.0, ge=1, le=3600)
    #: Events of a shard's history before it continues as new; 0: when the server suggests it.
    continue_after_events: int = Field(default=0, ge=0, le=40_000)
    #: Seconds between two looks of a job at its shards, at first; later a 60th of its age, at most 300. One
    #: takes six events of its history, whatever the number of shards: an hour 1,000 of them, a week 13,000.
    look_seconds: float = Field(default=8.0, ge=0.2, le=300)
    #: Events of a run of a job's workflow before the next run takes over; 0: only when the server suggests it,
    #: at 4,096 by default. 2,000 replay in a second, for which a restarted worker's answers wait. Shards hand
    #: back for it, which takes seconds.
    cycle_events: int = Field(default=2000, ge=0, le=10_000)
    #: Signals of a run before that: a tenth of what the server takes, so that a pause always passes.
    cycle_signals: int = Field(default=1000, ge=10, le=5000)
    #: Updates of a run before that: a quarter of the 2,000 that the server takes.
    cycle_updates: int = Field(default=500, ge=10, le=1000)
    #: Seconds that a worker's activities get to hand back their state after SIGTERM.
    graceful_shutdown_seconds: float = Field(default=20.0, ge=1, le=3600)
    #: Folder of the job files. The default is the checkout's own.
    jobs: Path = Path(__file__).resolve().parent.parent / "jobs"
    #: File with the certificate authorities that OpenSearch endpoints are checked by. Empty: the system's own.
    search_ca: str = ""
    #: Log level.
    log_level: str = "INFO"

    @property
    def serves(self) -> str:
        """The queue a worker with these settings takes plans and records from."""
        return self.job_queue or self.task_queue

    @property
    def rounds_queue(self) -> str:
        """Rounds have a queue of their own, so that plans and records do not wait behind them."""
        return f"{self.serves}{ROUNDS_SUFFIX}"

    @property
    def following_queue(self) -> str:
        """Rounds that follow do not end: in the slots of the others they would leave none for a scan."""
        return f"{self.rounds_queue}{FOLLOWING_SUFFIX}"

    @field_validator("job_queue")
    @classmethod
    def _of_its_own(cls, given: str, others: ValidationInfo) -> str:
        if given == others.data.get("task_queue"):
            raise ValueError(f"should be another queue than task_queue (given: {given} for both)")
        if given.endswith(ROUNDS_SUFFIX):
            raise ValueError(f"should be a job's task_queue, without {ROUNDS_SUFFIX} (given: {given})")
        return given


def aws_region() -> str | None:
    """`AWS_REGION`, which AWS sets and other SDKs read, and boto3 alone does not; None: boto3's own way."""
    return os.environ.get("AWS_REGION") or None


@cache
def settings() -> Settings:
    """This process's settings, read once. Raises pydantic's `ValidationError` on a bad value."""
    return Settings()
