"""shard -> example -> batch."""
