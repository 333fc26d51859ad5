"""Lineages over an engine's stream: stream shards that roll, split, are trimmed, and are listed late.

Engines on one machine have one stream shard that never ends. Here it stays the truth: its records, in its
order. The layer only draws borders in it, by hash of the partition key and by sequence number, and serves the
four calls of Streams for what lies between. It keeps its own list of what it handed out.

    control = proxy.lineages(stream_arn)
    left, right = control.split(control.root)
    control.roll(left, listed_after=2)

500s, cuts and damaged answers are those of a `FaultPlan` with `operations={"GetRecords"}`.
"""
