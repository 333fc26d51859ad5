"""What durability costs: the reindexer beside the bare limit, and beside what people write without it."""
