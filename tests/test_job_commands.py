"""What the command line makes of a job's name, its parameters and what a dry run showed."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from commands.input.operation import operation_given
from commands.rendering.dry_run import render_dry_run
from reindexer.errors import BadInput
from reindexer.models import Change, DryRun, Pair
from reindexer.tally import Tally


def test_a_job_and_its_parameters_are_the_operation() -> None:
    params = ["older_than_days=30", "note=a=b", 'names=["x"]', "empty="]
    assert operation_given(None, "next", "expire", params) == {
        "kind": "transform",
        "job": "expire",
        "version": "next",
        "params": {"older_than_days": "30", "note": "a=b", "names": ["x"], "empty": ""},
    }
    assert operation_given("touch") == {"kind": "touch"}


@pytest.mark.parametrize(
    ("kind", "job", "params", "says"),
    [
        ("transform", None, [], "--job NAME"),
        ("verify", "expire", [], "not verify"),
        (None, None, ["a=b"], "needs --job"),
        (None, "expire", ["a"], "NAME=VALUE"),
        (None, "expire", ["a=[1"], "not JSON"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    kind: str | None, job: str | None, params: list[str], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        operation_given(kind, None, job, params)


def test_a_dry_run_is_shown_as_differences() -> None:
    key: Any = {"id": {"S": "a"}}
    shown = DryRun(
        tally=Tally(scanned=3, updated=1, deleted=1, quarantined=1),
        pairs=[
            Pair(key=key, changes=[Change(name="name", before='"ulm"', after='"ULM"')]),
            Pair(key=key, changes=[Change(name="age", before="20", after=None)], delete=True),
        ],
        failures={"KeyError": 1},
        messages={"KeyError": "'x' (job.py:3)"},
    )
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(render_dry_run(shown))
    text = console.export_text()
    assert "dry run  3 records looked at, nothing written" in text
    assert '- name: "ulm"\n+ name: "ULM"' in text
    assert '{"id":{"S":"a"}}  deleted\n- age: 20' in text
    assert "KeyError: 1, such as: 'x' (job.py:3)" in text
