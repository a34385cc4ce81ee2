"""A teacher with a price, and as many rows of the demo task as wanted."""

import json
from pathlib import Path

from stepdistill.annotator.dataset.demo import demo_rows

PRICES = """
models:
  simulated:
    - {valid_from: 2026-01-01, source: made up, input: 1, output: 4, batch: {input: 0.5, output: 2}}
  priced:
    - {valid_from: 2026-01-01, source: made up, input: 1, output: 4, batch: {input: 0.5, output: 2}}
"""


def with_prices(folder: Path) -> None:
    """`prices.yaml`, where commands look for it."""
    (folder / "prices.yaml").write_text(PRICES)


def demo_data(folder: Path, n: int) -> Path:
    """A file of n train rows of the demo task."""
    path = folder / "train.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for row in demo_rows("train", n):
            file.write(json.dumps(row) + "\n")
    return path
