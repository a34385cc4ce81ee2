"""The teacher through the Batch API: parts of a run, sent as files."""
