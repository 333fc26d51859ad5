"""The ledger: a table of its own for what must outlive Temporal's retention.

Keys `pk` and `sk` are strings; every read is consistent. Layout (`attribute`: the name of the version's):

| pk                        | sk                            | what                                           |
|---------------------------|-------------------------------|------------------------------------------------|
| `table#<arn>#<attribute>` | `lock`                        | who works on the table: see `locks`            |
| `table#<arn>#<attribute>` | `version`                     | the highest version a job has aimed at         |
| `table#<arn>#<attribute>` | `use#<version>#<hash>`        | what a version was used for, as JSON in `used` |
| `destination#<name>`      | `epoch`                       | the last epoch taken: see `epochs`             |
| `destination#<name>`      | `index#<epoch>`               | the index that a rescan has filled again       |
| `destination#<name>`      | `positions#<epoch>#<shard>`   | how far a follow has come: see `positions`     |
| `destination#<name>`      | `ended#<epoch>#<stream shard>` | it was read to its end, as JSON in `ended`    |
| `destination#<name>`      | `graph#<epoch>`               | stream shards left to the scan, and holes      |
| `destination#<name>`      | `scanned#<epoch>`             | the scan of that epoch came to its end         |
| `job#<workflow id>`       | `last`                        | the newest run of the job                      |
| `job#<workflow id>`       | `report#<start>#<run>`        | a report, as JSON in `report`                  |
| `job#<workflow id>`       | `partitions#<hash>#<part>`    | its partitions, compressed                     |
| `reports`                 | `<start>#<run>#<job>`         | where that report is, for a list of all        |
| `failures#<job>#<run>`    | SHA-256 of the key            | a quarantined record, as JSON in `entry`       |
| `kept#<job>#<run>`        | `state#<shard>#<no.>#<part>`  | a shard's state, compressed: see `kept`        |
| `kept#<job>#<run>`        | `behind#<SHA-256 of the key>` | a key that a verification found behind         |
| `kept#<job>#<run>`        | `keys#<number>`               | a list of these for a sweep, as JSON in `keys` |
| `kept#<job>#<run>`        | `seen#<shard>#<rows>#<attempt>#<part>` | digests of records read with a stamp  |
| `differences#<job>#<run>` | `<shard>#<number>#<part>`     | what a comparison found: see `differences`     |
| `probe`                   | `probe`                       | written by `check`: can it be written?         |

Calls are retried by botocore: nothing here is counted, and each write is conditional or repeats itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reindexer.ledger.differences import Differences
from reindexer.ledger.epochs import Epochs
from reindexer.ledger.failures import Failures
from reindexer.ledger.kept import KeptWhileRunning
from reindexer.ledger.locks import Locks
from reindexer.ledger.positions import Positions
from reindexer.ledger.reports import Reports
from reindexer.ledger.runs import Runs
from reindexer.ledger.seen_stamps import SeenStamps
from reindexer.ledger.store import Store, ledger_client
from reindexer.ledger.versions import Versions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Ledger:
    """The table (`store`), and what it holds. Thread-safe, as boto3 clients are.

    Each call may raise `Refused` of kind `LedgerMissing` where the table does not exist, `EnvironmentFault`
    `LedgerDenied` where the credentials do not suffice, and `Unavailable` where DynamoDB did not answer.
    """

    def __init__(self, table: str, client: DynamoDBClient | None = None) -> None:
        """`client` None: one of its own, with retries, from AWS's standard settings."""
        self.table = table
        self.store = store = Store(table, client if client is not None else ledger_client())
        self.runs = Runs(store)
        self.locks = Locks(store, self.runs)
        self.reports = Reports(store, self.runs)
        self.versions = Versions(store)
        self.epochs = Epochs(store)
        self.positions = Positions(store)
        self.failures = Failures(store)
        self.kept = KeptWhileRunning(store)
        self.seen = SeenStamps(store)
        self.differences = Differences(store)


__all__ = ["Ledger", "ledger_client"]
