"""The JSON of the `progress` query: scripts read it, and commands of one version ask workers of another."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from commands.input.exits import Exit, Stopped
from commands.temporal.server import progress_of, state_of
from commands.temporal.status import JobStatus
from reindexer.connect import DATA_CONVERTER
from reindexer.models import (
    Consumed,
    JobProgress,
    Limits,
    PartitionsDone,
    ShardsDone,
    Throttle,
    Verification,
)
from reindexer.tally import Attempts, Tally

AT = "2026-01-02T03:04:05.600000+00:00"
KNOWN = JobProgress(
    state="throttled",
    reason="capacity",
    since=AT,
    tally=Tally(scanned=5, updated=3, quarantined=1),
    attempts=Attempts(throttled=2),
    remaining=95,
    in_flight=2,
    isolated=1,
    shards=ShardsDone(total=4, done=1, running=2),
    consumed=Consumed(read_units=0.5, write_units=12.0),
    limits=Limits(read_units_per_second=100, write_units_per_second="unlimited"),
    throttle=Throttle(reason="capacity", scope="table", since=AT),
    records_per_second=12.0,
    eta_seconds=8,
    partitions=PartitionsDone(total=3, done=1),
    run="stamp00001",
    verification=Verification(scanned=2),
    started_at=AT,
    as_of=AT,
    look_seconds=8.0,
    phase="running",
    cycle=2,
    cycling=True,
)
JSON_OF_KNOWN = (
    f'{{"state":"throttled","reason":"capacity","since":"{AT}",'
    '"tally":{"scanned":5,"updated":3,"deleted":0,"created":0,"replaced":0,"removed":0,'
    '"current":0,"superseded":0,"filtered":0,"vanished":0,'
    '"quarantined":1},'
    '"attempts":{"throttled":2,"server_errors":0,"timeouts":0,"conflicts":0,"ambiguous":0},'
    '"remaining":95,"in_flight":2,"isolated":1,"shards":{"total":4,"done":1,"running":2},'
    '"consumed":{"read_units":0.5,"write_units":12.0},'
    '"limits":{"read_units_per_second":100.0,"write_units_per_second":"unlimited","records_per_second":null,'
    '"shards_in_flight":32,"quarantined":1000},'
    f'"throttle":{{"reason":"capacity","scope":"table","since":"{AT}"}},'
    '"records_per_second":12.0,"eta_seconds":8,"partitions":{"total":3,"done":1},"run":"stamp00001",'
    f'"verification":{{"scanned":2,"behind":0}},"started_at":"{AT}","as_of":"{AT}","look_seconds":8.0,'
    '"phase":"running","cycle":2,"cycling":true}'
)
JSON_OF_NOTHING = (
    '{"state":"planning","reason":null,"since":"","tally":null,"attempts":null,"remaining":null,'
    '"in_flight":null,"isolated":0,"shards":{"total":null,"done":null,"running":0},'
    '"consumed":{"read_units":null,"write_units":null},"limits":null,"throttle":null,'
    '"records_per_second":null,"eta_seconds":null,"partitions":null,"run":null,"verification":null,'
    '"started_at":null,"as_of":null,"look_seconds":null,"phase":null,"cycle":0,"cycling":false}'
)


class Job:
    """A handle to a job whose workers answer this."""

    id = "j"

    def __init__(self, **answer: Any) -> None:
        self._answer = answer

    async def query(self, _name: str, **_how: Any) -> Any:
        return self._answer


def answering(**answer: Any) -> Any:
    return Job(**answer)


@pytest.mark.parametrize(
    ("progress", "expected"), [(KNOWN, JSON_OF_KNOWN), (JobProgress(state="planning"), JSON_OF_NOTHING)]
)
async def test_its_json_is_the_same_on_the_wire_and_in_status(progress: JobProgress, expected: str) -> None:
    [payload] = await DATA_CONVERTER.encode([progress])
    assert payload.data.decode() == expected
    status = JobStatus("j", "r", "running", datetime.now(UTC), progress, workers=True).as_json()
    beside = {name: status.pop(name) for name in ("workflow", "workers", "rounds")}
    assert beside["workers"]
    assert json.dumps(status, separators=(",", ":")) == expected


async def test_what_workers_answer_is_what_they_sent() -> None:
    assert await progress_of(answering(**json.loads(JSON_OF_KNOWN))) == KNOWN


async def test_an_older_worker_answers_less_and_a_newer_one_more() -> None:
    assert await progress_of(answering(state="running")) == JobProgress(state="running")
    known = json.loads(JSON_OF_KNOWN)
    newer = {**known, "mood": "good", "shards": {**known["shards"], "waiting": 1}}
    newer["tally"]["merged"] = 0
    assert await progress_of(answering(**newer)) == KNOWN


async def test_an_answer_that_cannot_be_read_is_refused_in_one_sentence() -> None:
    job = answering(state="running", tally={"scanned": 1, "merged": 1}, cycle="first")
    for ask in (progress_of, state_of):
        with pytest.raises(Stopped) as stopped:
            await ask(job)
        assert stopped.value.code is Exit.NOT_FINISHED
        sentence = str(stopped.value)
        assert "the workers of j are of another version, whose answer this one cannot read (" in sentence
        assert "cycle" in sentence
        assert "merged" in sentence
        assert "\n" not in sentence
