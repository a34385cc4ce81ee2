"""What the tests of the annotator share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stepdistill.annotator.store.response_store import ResponseStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResponseStore]:
    """An empty store, open for writing."""
    with ResponseStore.open(tmp_path / "the-store", write=True, map_bytes=1 << 24) as store:
        yield store
