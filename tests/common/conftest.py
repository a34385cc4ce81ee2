"""What the tests of `common` share."""

from pathlib import Path

import pytest

from tests.common.made import write_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two shards of two records each, and their manifest."""
    return write_folder(tmp_path)
