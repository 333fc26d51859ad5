"""What people write has the type it should have: no true for 1, no text for a number, no infinity."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from commands.input.job_input import job_input
from reindexer.errors import BadInput
from reindexer.explain import explain
from reindexer.jobs.job import Job, Params, job_of
from reindexer.models import Attributes, JobInput, Limits, Resume
from reindexer.models.model import Asked

SCOPES: dict[str, dict[str, Any]] = {
    "sample": {},
    "keys": {"values": ["a"]},
    "partitions": {"values": ["a"]},
    "quarantined": {"job": "j", "run": "r"},
}


def inputs_with(path: str, value: Any) -> dict[str, Any]:
    """A good input but for one field."""
    given: dict[str, Any] = {"table": "cities"}
    first, _, rest = path.partition(".")
    if first == "scope":
        kind, _, rest = rest.partition(".")
        base = {name: entry for name, entry in SCOPES[kind].items() if rest == name or rest != "keys"}
        given["scope"] = {"kind": kind, **base, rest: value}
    elif first == "operation":
        kind, _, rest = rest.partition(".")
        job = {"job": "j"} if kind == "transform" else {}
        given["operation"] = {"kind": kind, **job, rest: value}
    elif rest:
        given[first] = {rest: value}
    else:
        given[first] = value
    return given


NUMBERS = [
    "operation.touch.version",
    "operation.transform.version",
    "operation.verify.version",
    "scope.sample.limit",
    "limits.read_units_per_second",
    "limits.write_units_per_second",
    "limits.records_per_second",
    "limits.shards_in_flight",
    "limits.quarantined",
    "total_segments",
]
SWITCHES = [
    "verify",
    "sweep",
    "allow_lower",
    "allow_used",
    "allow_multi_region",
    "dry_run",
    "allow_no_recovery",
    "force_lock",
    "skip_expired",
]
TEXTS = [
    "table",
    "reason",
    "operation.transform.job",
    "attributes.version",
    "attributes.run",
    "scope.partitions.index",
    "scope.quarantined.job",
    "scope.quarantined.run",
    "scope.quarantined.error",
]


def field_of(path: str) -> str:
    """As the sentence names it: without the kind."""
    parts = path.split(".")
    return f"{parts[0]}.{parts[-1]}" if len(parts) == 3 else path


@pytest.mark.parametrize("text", ["true", "false", '"5"', "1e400", "-1e400", "NaN", "Infinity", "[5]", "{}"])
@pytest.mark.parametrize("path", NUMBERS)
def test_a_number_is_a_finite_number_and_the_field_is_named(path: str, text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        JobInput.model_validate(inputs_with(path, json.loads(text)))
    assert explain(refused.value).startswith(f"{field_of(path)}: ")


@pytest.mark.parametrize("path", [path for path in NUMBERS if not path.endswith("_per_second")])
def test_a_count_is_no_decimal(path: str) -> None:
    with pytest.raises(ValidationError, match="valid integer"):
        JobInput.model_validate(inputs_with(path, 5.0))


@pytest.mark.parametrize("value", ["no", "false", "yes", 0, 1, 1.0, "", [], {}])
@pytest.mark.parametrize("path", SWITCHES)
def test_a_switch_is_true_or_false(path: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        JobInput.model_validate(inputs_with(path, value))
    assert explain(refused.value).startswith(f"{path}: ")
    words = ' or "complete"' if path == "verify" else ""
    assert explain(refused.value).endswith(f"it must be true or false{words}")


@pytest.mark.parametrize("value", [True, 7, 1.5, ["a"], {}])
@pytest.mark.parametrize("path", TEXTS)
def test_a_text_is_a_text(path: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        JobInput.model_validate(inputs_with(path, value))
    assert explain(refused.value).startswith(f"{field_of(path)}: ")


@pytest.mark.parametrize("value", [True, 1.0, 1.5, None, ["a"]])
@pytest.mark.parametrize("scope", ["keys", "partitions"])
def test_a_key_is_a_text_or_an_integer(scope: str, value: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        JobInput.model_validate({"table": "c", "scope": {"kind": scope, "values": ["a", value]}})
    assert explain(refused.value).startswith("scope.values[1]: ")


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"days": float("nan")}, "days"),
        ({"a": {"b": [1, 2.5, float("inf")]}}, "a.b[2]"),
        ({"a": json.loads("-1e400")}, "a"),
    ],
)
def test_parameters_hold_finite_numbers(params: dict[str, Any], path: str) -> None:
    given = {"table": "c", "operation": {"kind": "transform", "job": "j", "params": params}}
    with pytest.raises(ValidationError) as refused:
        JobInput.model_validate(given)
    assert explain(refused.value).startswith(f"operation.params: {path} must be a finite number")


@pytest.mark.parametrize("text", ["inf", "nan", "1e400"])
def test_a_parameter_given_as_text_is_finite_too(text: str) -> None:
    class Days(Params):
        days: float

    with pytest.raises(ValidationError, match="finite number"):
        Days.model_validate({"days": text})
    assert Days.model_validate({"days": "7"}).days == 7  # what `--param days=7` gives


def test_changed_limits_are_as_strict_as_the_inputs() -> None:
    for change in ({"write_units_per_second": "5"}, {"quarantined": True}, {"read_units_per_second": 1e400}):
        with pytest.raises(ValidationError):
            Limits.model_validate({**Limits().model_dump(), **change})
    with pytest.raises(ValidationError):
        Resume.model_validate({"reason": 7})
    with pytest.raises(ValidationError):
        Attributes.model_validate({"version": 1})


def test_what_is_right_stays_right() -> None:
    given = {
        "table": "c",
        "operation": {"kind": "touch", "version": 7},
        "limits": {
            "read_units_per_second": 5,
            "write_units_per_second": 0.5,
            "records_per_second": "unlimited",
        },
        "verify": False,
        "scope": {"kind": "keys", "keys": [{"id": "a", "n": 7}]},
    }
    job = JobInput.model_validate(given)
    assert job.model_dump(mode="json", exclude_unset=True) == given
    assert JobInput.model_validate_json(job.model_dump_json()) == job


def test_every_model_that_people_write_is_strict() -> None:
    seen = list(_models(JobInput))
    assert len(seen) > 10
    assert [model.__name__ for model in seen if not issubclass(model, Asked)] == []


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        for field in kind.model_fields.values():
            yield from _models(field.annotation)
    elif get_origin(kind) in (Union, UnionType, Annotated, list, dict):
        for part in get_args(kind):
            yield from _models(part)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"operation": {"version": "7"}}, "operation.version"),
        ({"verify": "no"}, "verify"),
        ({"limits": {"write_units_per_second": "5"}}, "limits.write_units_per_second"),
    ],
)
def test_an_input_file_is_as_strict(tmp_path: Path, options: dict[str, Any], sentence: str) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"table": "c", **options}))
    with pytest.raises(BadInput, match=sentence):
        job_input({}, file)


class Days(Params):
    days: int = 0
    ratio: float = 0.0
    sure: bool = False
    since: datetime | None = None
    each: tuple[int, ...] = ()


@pytest.mark.parametrize(
    ("given", "path"),
    [({"days": True}, "days"), ({"ratio": False}, "ratio"), ({"sure": 1}, "sure"), ({"since": 7}, "since"),
     ({"each": [1, True]}, "each[1]")],
)  # fmt: skip
def test_only_text_is_taken_for_a_parameter_of_another_type(given: dict[str, Any], path: str) -> None:
    with pytest.raises(BadInput, match=re.escape(f"operation.params: {path}: ")):
        _job(Days).parameters(given)


def test_a_parameter_may_be_given_as_text() -> None:
    given = {"days": "3", "sure": "true", "since": "2026-01-01", "each": ["1"], "ratio": 1}
    taken = _job(Days).parameters(given).model_dump(exclude={"since"})
    assert taken == {"days": 3, "ratio": 1.0, "sure": True, "each": (1,)}


@pytest.mark.parametrize("limits", [{"records_per_second": 1e-300}, {"read_units_per_second": 1e300},
                                    {"quarantined": 10**22}])  # fmt: skip
def test_limits_are_of_a_size_that_means_something(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        JobInput.model_validate({"table": "c", "limits": limits})


def _job(params: type[Params]) -> Job:
    def transform(item: Any, params: Any) -> None: ...

    module = SimpleNamespace(__doc__="", __name__=params.__module__, Days=params, transform=transform)
    return job_of("j", "j.py", b"def transform(item, params): ...", module)
