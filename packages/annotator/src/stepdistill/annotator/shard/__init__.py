"""Shards: records and rejections written to disk."""
