"""What the annotator and the trainer both speak: tasks, labels, records, manifests and shards."""
