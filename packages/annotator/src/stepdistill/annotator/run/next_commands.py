"""The commands that come after a run or an experiment, as they can be pasted: to look at rows, to
judge some, to label all, to train a student."""

from collections.abc import Collection, Iterable
from pathlib import Path
from shlex import join

from stepdistill.annotator.settings.run import STORE
from stepdistill.common.urls import Place

_SPLITS = ("train", "valid", "test")


def view_command(out: Place, store: Path) -> str:
    """The page of a run's rows."""
    return join(["annotate", "view", str(out), *_store(store)])


def audit_command(out: Place, store: Path) -> str:
    """Which hundred rows people should judge."""
    return join(["annotate", "audit", str(out), "--human", "100", *_store(store)])


def run_command(
    task: str, teacher: str, template: str, data: str | None = None, addresses: Iterable[str] = ()
) -> str:
    """All rows, asked of one template."""
    given = [("--data", data or ""), *(("--base-url", each) for each in addresses)]
    more = [word for name, value in given if value for word in (name, value)]
    return join(["annotate", "run", task, "--teacher", teacher, "--template", template, *more])


def train_command(out: Place, splits: Collection[str]) -> str | None:
    """A first student of these splits; None where there is nothing to learn from, or to try on."""
    if not {"train", "test"} <= set(splits):
        return None
    used = [word for split in _SPLITS if split in splits for word in (f"--{split}", out / split)]
    words = ["--model", "google/t5-v1_1-small", "--output", "STUDENT", *map(str, used)]
    return join(["stepdistill", "train", *words])


def _store(store: Path) -> list[str]:
    return [] if store == STORE.store else ["--store", str(store)]
