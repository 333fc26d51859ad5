"""Why a job that ran to its end is not complete."""

from __future__ import annotations

from temporalio import workflow

from workflows.job.index import differing

with workflow.unsafe.imports_passed_through():
    from reindexer.models import Report, Verb
    from reindexer.tally import Outcome, Tally

#: What of an outcome that a complete job must not have. `{}`: how many records.
_WORDS = {
    Outcome.SUPERSEDED: "{} records are past the target, and were not transformed",
    Outcome.QUARANTINED: "{} records are quarantined (see `failures`, then `redrive`)",
}


def reasons(report: Report, verb: Verb) -> list[str]:
    """In words, none of a complete job's. Of what was expected and not found, see `found`."""
    found = []
    if not report.balanced:
        found.append("outcomes and scanned records differ: a defect, please report it")
    found += [
        _words(verb, outcome).format(number)
        for outcome in Outcome
        if outcome in verb.incomplete and (number := _left(report, outcome))
    ]
    if report.index and not report.index.complete:
        found.append(report.index.shortfall)
    current = report.tally[Outcome.CURRENT]
    if current and report.used:
        found.append(
            f"{current} records were at version {report.version} already, which was used for something else by "
            f"{report.used.words}"
        )
    sample = report.dry_run.tally if report.dry_run else Tally()
    if given_up := sample[Outcome.QUARANTINED]:
        found.append(f"{given_up} of {sample.scanned} records of the sample would be quarantined")
    if report.arrival and not report.arrival.confirmed:
        said = [f"{follow.index}: {follow.why}" for follow in report.arrival.follows if follow.why]
        found.append(f"what was written is not confirmed ({report.arrival.why or '; '.join(said)})")
    if verb.copies and report.comparison and report.comparison.estimate is None:
        differ = sum(report.comparison.counts.differences.values())
        found += [f"{differ} records of the replica are not what they are in the table"] if differ else []
    if verb.makes_index and (why := differing(report.comparison)):
        found.append(why)
    if report.verification and report.verification.behind:
        if verb.writes_index:
            found.append(f"the documents of {report.verification.behind} records are not what these are now")
            return found
        are = "are behind the target" if verb.stamps else "still carry the version or the run attribute"
        found.append(f"{report.verification.behind} rows {are}")
    return found


def _left(report: Report, outcome: Outcome) -> int:
    """How many there are; of those given up what no redrive has settled since, where that was counted."""
    if outcome is Outcome.QUARANTINED and report.left is not None:
        return report.left
    return report.tally[outcome]


def _words(verb: Verb, outcome: Outcome) -> str:
    return f"{{}} records are {verb.words[outcome]}" if outcome in verb.words else _WORDS[outcome]
