"""dynamodb-replicator, the comparison that people know, beside ours: got, run, and what it says."""
