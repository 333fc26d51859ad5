"""rescan: scan the table of a follow again, into the same index or replica."""

from __future__ import annotations

from commands.input.confirm import confirm
from commands.input.options import Job, Reason, Yes
from commands.rendering.screen import say
from commands.temporal.server import open_follow, talk
from commands.temporal.updating import asked_of_workers
from reindexer.errors import BadInput


def rescan(job: Job, reason: Reason = None, yes: Yes = False) -> None:
    """Scan the table of a running follow again, into the same destination, after asking.

    Readers keep what they have meanwhile. A parked follow is resumed with it: reindexer resume JOB --rescan.
    """
    no_follow = BadInput(f"{job} is not a follow, and only a follow can be scanned again; start another job")
    talk(lambda client: open_follow(client, job, no_follow))  # before anyone is asked
    confirm(f"Read every record of the table of {job} again?", yes=yes, otherwise="nothing was changed")
    asked = {"reason": reason} if reason else {}
    answer = talk(lambda client: asked_of_workers(client, job, "rescan", asked))
    say(f"{job} scans its table again" + ("" if answer["begins"] else " once it is resumed"))
