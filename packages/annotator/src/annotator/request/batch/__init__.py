"""The batch teacher: requests as files through the Batch API, at the batch price."""
