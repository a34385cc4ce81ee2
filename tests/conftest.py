"""What all tests share: no made-up example fails for being slow on a busy machine, and commands
are imported once for all of their calls."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.warm import WarmProcess

if TYPE_CHECKING:
    from tests.object_store import ObjectStore, ObjectStores

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def warm_annotate() -> Iterator[WarmProcess]:
    """`annotate` with its commands, and what they import only once they need it."""
    late = ("genai_prices", "jinja2", "nltk.tokenize.casual", "numpy", "punkt", "regex")
    modules = ("stepdistill.annotator.commands.*", "stepdistill.annotator.run.*", *late)
    warm = WarmProcess("annotate", "stepdistill.annotator.cli:main", *modules)
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def warm_stepdistill() -> Iterator[WarmProcess]:
    """`stepdistill` with what trains and uses a student; on the CPU."""
    entry = "stepdistill.trainer.main:console_script"
    rooms = [f"stepdistill.trainer.{room}.*" for room in ("training", "inference", "distil")]
    warm = WarmProcess("stepdistill", entry, *rooms, "stepdistill.trainer.run", "deepspeed")
    yield warm
    warm.close()


@pytest.fixture(scope="session")
def object_stores() -> "Iterator[ObjectStores]":
    """A server of object stores; imported for whoever asks for it."""
    from tests.object_store import object_stores

    with object_stores() as made:
        yield made


@pytest.fixture
def bucket(object_stores: "ObjectStores", monkeypatch: pytest.MonkeyPatch) -> "ObjectStore":
    """An empty bucket, which this process and its commands reach."""
    store = object_stores.make()
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return store
