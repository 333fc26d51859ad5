"""From what is known of a job to its row of the matrix, and what did not hold."""

from __future__ import annotations

from collections import Counter
from math import ceil

from evidence.exactness.cell import Cell, Evidence
from evidence.exactness.row import Row
from evidence.exactness.scenes import tenant
from evidence.exactness.stand import HEARTBEAT_INTERVAL_SECONDS

_BATCH = 25  # records
_BATCH_SECONDS = 0.2  # that one takes at least where writes are held back: two calls of 0.1 s for a deletion


def judged(cell: Cell, seen: Evidence) -> Row:
    """The row of a cell, with what did not hold."""
    row = _row(cell, seen)
    musts = {
        "nothing was injected": bool(row.injected),
        # Of a redrive each record is isolated: those without an outcome when it was cancelled are under way.
        "not balanced": row.balanced or (cell.cancelled and cell.scene.redrive),
        "a shard was started again": row.restarts == 0,
        **_account(cell, row, seen),
        **seen.happened.musts,
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
        musts["no one came in between: this shows nothing"] = bool(seen.others) and between
    elif not cell.edge:
        musts |= _looked_at(cell, row, seen)
    if cell.verb.pending:
        musts |= _worked(cell, seen)
    row.wrong += [what for what, held in musts.items() if not held]
    return row


def failed(cell: Cell, error: Exception) -> Row:
    """The row of a cell of whose job nothing is known: the other cells are run all the same."""
    return Row(
        operation=cell.verb.name,
        scene=cell.scene.name,
        fault=cell.fault,
        moment=cell.moment,
        records=cell.records,
        injected={},
        ambiguous=0,
        outcomes={},
        balanced=False,
        verification="none",
        changed_twice=0,
        lost=0,
        restarts=0,
        seconds=0.0,
        wrong=[" ".join(f"{type(error).__name__}: {error}".split())],
    )


def _account(cell: Cell, row: Row, seen: Evidence) -> dict[str, bool]:
    """What must hold of the outcomes."""
    if cell.beside or (cell.edge and cell.verb.deletes):
        # At least: a row that was re-created may be handed out once more.
        return {f"{cell.records:,} records should have an outcome": sum(row.outcomes.values()) >= cell.records}
    counted, musts = Counter(row.outcomes), {}
    if cell.cancelled or cell.scene.sample:
        expected = _by_the_table(cell, seen, counted)
    else:
        expected = Counter(cell.outcomes())
    if cell.scene.sample and not cell.cancelled:
        size = cell.scene.sampled(cell.records)
        musts[f"a sample should be of {size}"] = seen.report["tally"]["scanned"] == size
    if cell.crash:
        for name in ("deleted", "updated") if cell.cancelled else ("deleted",):
            truth = expected.pop(name, 0)
            musts |= _bounded(name, truth, counted[name], cell, seen)
            # Whoever is asked for by its key and is gone has vanished, where it is not known who deleted it.
            vanished = min(counted["vanished"] - expected["vanished"], truth - counted.pop(name, 0))
            expected["vanished"] += max(0, vanished)
    musts[f"outcomes should be {dict(+expected)}"] = counted == +expected
    return musts


def _by_the_table(cell: Cell, seen: Evidence, counted: Counter[str]) -> Counter[str]:
    """Of a job that was not for all rows: what it changed is seen on them, what it left alone is not."""
    changed = ("updated", "deleted")
    done = Counter(cell.verb.outcome(number) for number in seen.done(cell) if seen.right(cell, number))
    others = {name: count for name, count in counted.items() if name not in changed}
    return Counter({name: done[name] for name in changed} | others)


def _bounded(name: str, truth: int, counted: int, cell: Cell, seen: Evidence) -> dict[str, bool]:
    """What must hold of a count that lost attempts may have left too low.

    Each by what it did between its last heartbeat that arrived and its end, and one batch that was under way.
    """
    unheard = HEARTBEAT_INTERVAL_SECONDS + cell.silence
    least = max(0, truth - seen.lost * _BATCH * (ceil(unheard / _BATCH_SECONDS) + 1))
    warned = any("lower bound" in warning for warning in seen.report["warnings"])
    return {
        f"{name} should be from {least:,} to {truth:,}": least <= counted <= truth,
        f"{name} is below {truth:,}, and no warning says so": counted == truth or warned,
    }


def _looked_at(cell: Cell, row: Row, seen: Evidence) -> dict[str, bool]:
    """What must hold of the verification, and of the totals by partition."""
    if cell.cancelled:
        return {"the report does not say that it was cancelled": seen.report["state"] == "cancelled"}
    if cell.scene.sample:
        return {"a sample is not verified": row.verification == "none"}
    left = sum(cell.verb.after(number) is not None for number in cell.numbers)
    left += cell.given_up if cell.verb.deletes else 0
    verified = f"{left:,} read, {cell.given_up:,} behind"
    musts = {f"verification should be {verified}": row.verification == verified}
    if cell.scene.partitions and not (cell.crash and cell.verb.deletes):
        expected = Counter(tenant(number) for number in cell.numbers)
        totals = {
            name: total["scanned"] for name, total in seen.report["partitions"].items() if total["scanned"]
        }
        musts[f"partitions should be {dict(expected)}"] = totals == expected
    return musts


def _worked(cell: Cell, seen: Evidence) -> dict[str, bool]:
    """What must hold of work outside of the table: at least once for each record that was done."""
    done = {cell.verb.before(number)["name"]["S"] for number in seen.done(cell)}
    return {"records are done that were not worked for": done <= seen.visits.keys()}


def _row(cell: Cell, seen: Evidence) -> Row:
    report, truth = seen.report, seen.truth
    tally, found = report["tally"], report["verification"]
    table = report["table"]
    kinds = {str(fault.kind) for fault in cell.plan(table)}
    injected = {kind: count for kind, count in truth.injected.items() if kind in kinds}
    injected |= seen.happened.injected
    if cell.crash:  # without an attempt that was lost nothing has happened to the job, whatever was done
        injected = {**injected, "attempts lost": seen.lost} if seen.lost else {}
    deletes = cell.crash and cell.verb.deletes
    return Row(
        operation=cell.verb.name,
        scene=cell.scene.name,
        fault=cell.fault,
        moment=cell.moment,
        records=cell.records,
        injected=injected,
        ambiguous=report["attempts"]["ambiguous"],
        outcomes={name: count for name, count in tally.items() if count and name != "scanned"},
        balanced=report["balanced"] and tally["scanned"] == sum(tally.values()) - tally["scanned"],
        verification=f"{found['scanned']:,} read, {found['behind']:,} behind" if found else "none",
        changed_twice=seen.changed_twice(cell),
        lost=_lost(cell, seen) - cell.given_up,
        restarts=seen.restarts,
        seconds=seen.seconds,
        edge=cell.edge,
        deleted=sum(seen.row(cell, number) is None for number in cell.numbers) if deletes else None,
    )


def _lost(cell: Cell, seen: Evidence) -> int:
    """Rows that are not what they have to be, and rows that no one made."""
    wrong = sum(not _is_as_it_has_to_be(cell, seen, number) for number in range(cell.records))
    return wrong + max(0, len(seen.rows) - cell.records)


def _is_as_it_has_to_be(cell: Cell, seen: Evidence, number: int) -> bool:
    """Whether a row is what it has to be."""
    if cell.beside:
        return cell.beside(cell, number, seen)
    if not cell.scene.covers(number) and not cell.scene.redrive:  # what a redrive is not for was done before it
        return seen.untouched(cell, number)
    right = seen.right(cell, number)
    if cell.cancelled or cell.scene.sample:
        return right or seen.untouched(cell, number) or (cell.cancelled and seen.marked(cell, number))
    return right
