"""The plan: everything that is decided before the first record is read."""
