"""Comparing two tables: by value, both directions in one pass, without writing to either."""
