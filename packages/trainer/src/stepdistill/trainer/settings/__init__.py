"""Settings of a training run: its options, the table of tasks, the sizes of a student."""
