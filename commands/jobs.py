"""jobs: list the jobs of this checkout and of installed packages."""

from __future__ import annotations

from rich.text import Text

from commands.input.json_only import emit_json
from commands.input.options import AsJson
from commands.rendering.screen import DIM, say
from reindexer.jobs.catalogue import catalogue
from reindexer.jobs.job import Job
from reindexer.settings import settings


def jobs(as_json: AsJson = False) -> None:
    """List jobs with their parameters. Exit code 2, with file and line, if a job file is broken."""
    found = catalogue()
    if as_json:
        emit_json([_plain(job) for job in found.values()])
        return
    for job in found.values():
        lines = job.documentation.splitlines()
        say(Text.assemble((job.name, "bold"), f"  {lines[0] if lines else ''}"))
        for name, kind, default in _parameters(job):
            say(Text.assemble(f"    {name}: {kind}", (default, DIM)))
    if not found:
        say(f"no jobs in {settings().jobs}; reindexer new-job NAME writes one")


def _parameters(job: Job) -> list[tuple[str, str, str]]:
    """(name, type, default)."""
    listed = []
    for name, field in job.params.model_fields.items():
        kind = getattr(field.annotation, "__name__", None) or str(field.annotation)
        if field.is_required():
            default = "  required"
        else:
            default = "  chosen at the start" if field.default_factory else f"  default {field.default!r}"
        listed.append((name, kind, default))
    return listed


def _plain(job: Job) -> dict[str, object]:
    return {
        "name": job.name,
        "documentation": job.documentation,
        "params": job.params.model_json_schema(),
        "kind": job.kind,
        "destructive": job.destructive,
        "task_queue": job.task_queue,
        "code": job.code,
        "file": job.file,
    }
