"""Verification: an independent consistent read. It shares no code with the rounds."""
