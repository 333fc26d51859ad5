"""From what is known of a job to its row of the matrix, and what did not hold."""

from __future__ import annotations

from exactness.cell import Cell, Evidence
from exactness.row import Row


def judged(cell: Cell, seen: Evidence) -> Row:
    """The row of a cell, with what did not hold."""
    row = _row(cell, seen)
    musts = {
        "not balanced": row.balanced,
        "a shard was started again": row.restarts == 0,
        **_account(cell, row),
    }
    if cell.edge:
        musts["the writer that drops the stamp was not seen"] = row.changed_twice > 0
    else:
        musts |= {
            "records were changed twice": row.changed_twice == 0,
            "records were lost": row.lost == 0,
        }
    if cell.beside:
        between = seen.report["attempts"]["conflicts"] > 0 or cell.verb.deletes
        musts["nobody came in between: this shows nothing"] = bool(seen.others) and between
    if not cell.edge and not cell.beside:
        left = cell.verb.left(cell.records) + (cell.given_up if cell.verb.deletes else 0)
        verified = f"{left:,} read, {cell.given_up:,} behind"
        musts[f"verification should be {verified}"] = row.verification == verified
    row.wrong += [what for what, held in musts.items() if not held]
    return row


def _account(cell: Cell, row: Row) -> dict[str, bool]:
    """What must hold of the outcomes."""
    if cell.beside or (cell.edge and cell.verb.deletes):
        # At least: a row that was created anew may be handed out once more.
        return {f"{cell.records:,} records should have an outcome": sum(row.outcomes.values()) >= cell.records}
    expected = cell.verb.outcomes(cell.records)
    if cell.given_up:
        expected[cell.verb.outcome(cell.records - 1)] -= cell.given_up
        expected["quarantined"] = cell.given_up
    if not row.bound:
        return {f"outcomes should be {expected}": row.outcomes == expected}
    told = dict(row.outcomes)
    deleted = told.pop("deleted", 0)
    most = expected.pop("deleted")
    return {
        f"outcomes should be {expected}": told == expected,
        f"deleted should be above 0 and at most {most:,}": 0 < deleted <= most,
    }


def _row(cell: Cell, seen: Evidence) -> Row:
    report, truth = seen.report, seen.truth
    tally, found = report["tally"], report["verification"]
    kinds = {str(fault.kind) for fault in cell.faults(report["table"])}
    return Row(
        operation=cell.verb.name,
        fault=cell.fault,
        moment=cell.moment,
        records=cell.records,
        # What only held the job back is none of them.
        injected={kind: count for kind, count in truth.injected.items() if kind in kinds},
        ambiguous=report["attempts"]["ambiguous"],
        outcomes={name: count for name, count in tally.items() if count and name != "scanned"},
        balanced=report["balanced"] and tally["scanned"] == sum(tally.values()) - tally["scanned"],
        verification=f"{found['scanned']:,} read, {found['behind']:,} behind" if found else "none",
        changed_twice=seen.changed_twice(cell.verb),
        lost=_lost(cell, seen) - cell.given_up,
        restarts=seen.restarts,
        seconds=seen.seconds,
        edge=cell.edge,
        bound=cell.crash and cell.verb.deletes,
    )


def _lost(cell: Cell, seen: Evidence) -> int:
    """Rows that are not what they have to be, and rows that nobody made."""
    version = int(seen.report["version"])
    if cell.beside:
        wrong = sum(not cell.beside(number, seen) for number in range(cell.records))
    else:
        wrong = sum(not cell.verb.is_right(number, seen.row(number), version) for number in range(cell.records))
    return wrong + max(0, len(seen.rows) - cell.records)
