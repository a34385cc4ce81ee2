"""Engines that a student can be exported to, and that answer in torch's place: a file each."""
