"""new-job: write the file of a new job, and a test for it."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Annotated

import typer

from commands.rendering.screen import line
from reindexer.errors import BadInput
from reindexer.settings import settings

_JOB = '''"""Say in one sentence what this job is for.

Start it with: reindexer start TABLE --job {name} --param word=hello --dry-run
"""

from collections.abc import Mapping
from typing import Any

from reindexer import Attr, Condition, Params, Skip, Update


class {title}(Params):
    """Parameters, checked before anything is read."""

    word: str = "hello"


def query(params: {title}) -> Condition | None:
    """Which records. None: every one. DynamoDB leaves out the others, so that they are not counted either."""
    return Attr("{name}").not_exists()


def transform(item: Mapping[str, Any], params: {title}) -> Update | Skip:
    """What becomes of one record: Update(set={{…}}, remove=[…]), Delete() or Skip("why").

    Idempotent: it may be asked again about a record that it has changed already. Pure: it looks at nothing but
    the item, which is read-only, and the parameters. An exception is this record's failure, and no other's.
    """
    return Update(set={{"{name}": params.word}})
'''

_TEST = '''"""{name}, tried without any server."""

from reindexer.testing import run_job


def test_a_record_gets_the_word() -> None:
    run = run_job("{path}", [{{"id": "a"}}, {{"id": "b", "{name}": "there already"}}])
    assert run.outcomes == {{"updated": 1, "filtered": 1}}
    assert run.records[0].after == {{"id": "a", "{name}": "hello"}}


def test_doing_it_twice_changes_nothing_more() -> None:
    once = run_job("{path}", [{{"id": "a"}}]).records[0].after
    assert once is not None
    assert run_job("{path}", [once]).outcomes == {{"filtered": 1}}
'''


def new_job(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the job and its file, such as fix_dates.")
    ],
) -> None:
    """Write NAME.py to the folder of jobs (REINDEXER_JOBS), and a test for it. Overwrites nothing."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith(("_", "test_")):
        raise BadInput(
            f"{name!r} is not a module name; use letters, digits and underscores, as in fix_dates", "NAME"
        )
    folder = settings().jobs
    tests = folder.parent / "tests"
    test = (tests if tests.is_dir() else folder) / f"test_{name}.py"
    file = folder / f"{name}.py"
    for path in (file, test):
        if path.exists():
            raise BadInput(f"{path} already exists", "NAME")
    title = "".join(word.capitalize() for word in name.split("_")) or name
    folder.mkdir(parents=True, exist_ok=True)
    _write(file, _JOB.format(name=name, title=title))
    _write(test, _TEST.format(name=name, path=file))


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    line(str(path))
