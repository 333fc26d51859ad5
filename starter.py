"""The command line: every verb of `commands/`, and errors turned into exit codes.

reindexer --help        (from a checkout without installing: python starter.py --help)
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from commands.cancel import cancel
from commands.compare import compare
from commands.confirm import confirm
from commands.demo import demo
from commands.demo_search import demo_search
from commands.dev import dev
from commands.differences import differences
from commands.doctor import doctor
from commands.estimate import estimate_job
from commands.failures import failures
from commands.index import index
from commands.input.exits import EXPECTED, Exit, meaning
from commands.input.fields import with_fields
from commands.input.json_only import json_only
from commands.jobs import jobs
from commands.limits import limits
from commands.list import list_jobs
from commands.new_job import new_job
from commands.pause import pause
from commands.redrive import redrive
from commands.refresh import refresh
from commands.rendering.screen import BAD, note
from commands.repair import repair
from commands.replicate import replicate
from commands.report import report
from commands.rescan import rescan
from commands.resume import resume
from commands.retire import retire
from commands.setup import setup
from commands.start import start
from commands.status import status
from commands.watch import watch
from reindexer.settings import settings

app = typer.Typer(
    help="Reprocess every record of a DynamoDB table and account for each exactly once.",
    epilog="Exit codes: 0 complete, 1 incomplete or failed, 2 bad input, 3 not finished, or no answer.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain, aligned help without boxes
    add_completion=False,  # four options that few use would open the help
    pretty_exceptions_enable=False,  # a mistake gets a sentence, a defect a plain traceback
    context_settings={"help_option_names": ["-h", "--help"]},
)

#: In the order of the help: try it, prepare, run, control, and what was given up.
VERBS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "demo-search": demo_search,
    "dev": dev,
    "setup": setup,
    "doctor": doctor,
    "estimate": estimate_job,
    "start": start,
    "compare": compare,
    "repair": repair,
    "replicate": replicate,
    "index": index,
    "refresh": refresh,
    "retire": retire,
    "list": list_jobs,
    "status": status,
    "watch": watch,
    "report": report,
    "confirm": confirm,
    "pause": pause,
    "resume": resume,
    "rescan": rescan,
    "limits": limits,
    "cancel": cancel,
    "failures": failures,
    "differences": differences,
    "redrive": redrive,
    "jobs": jobs,
    "new-job": new_job,
}
for _name, _verb in VERBS.items():
    # The first line of a verb's file, "pause: stop …", says it in one line.
    _line = (sys.modules[_verb.__module__].__doc__ or "").splitlines()[0]
    app.command(_name, short_help=_line.removeprefix(f"{_name}: "))(with_fields(_verb))


def _as_json(arguments: list[str]) -> bool:
    """Whether the answer is JSON; help is not."""
    return "--json" in arguments and not {"-h", "--help"} & set(arguments)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; a user error becomes one sentence on stderr."""
    logging.basicConfig(level=logging.ERROR)  # a user of the command line has no use for warnings of libraries
    try:
        settings()  # a wrong one ends every command, even one that does not use it
        with json_only() if _as_json(arguments) else contextlib.nullcontext():
            app(arguments, prog_name="reindexer")
    except EXPECTED as error:
        code, sentence = meaning(error)
        if sentence:
            note(sentence, "" if code is Exit.NOT_FINISHED else BAD)
        return code
    except SystemExit as end:  # how the parser and every command end
        return end.code if isinstance(end.code, int) else 0
    return 0


def main() -> NoReturn:
    """The console script."""
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BrokenPipeError, ValueError):  # the reader has closed the pipe
            stream.flush()
    # Not sys.exit: threads of Temporal's core that come back while Python shuts down abort the process (134).
    os._exit(code)


if __name__ == "__main__":
    main()
