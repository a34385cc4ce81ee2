"""The annotator: a teacher LLM labels every row and says why; the answers become shards."""
