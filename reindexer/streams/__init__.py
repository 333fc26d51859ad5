"""Reading a table's stream: its lineages, their order, and one stream shard from a position."""
