"""The card of an exported dataset: `README.md`, with the head that the Hugging Face hub reads."""

import re
from pathlib import Path
from typing import Any

import yaml

from stepdistill.annotator.export.joined import NOT_ASKED, Joined
from stepdistill.annotator.settings.teacher import SIMULATED
from stepdistill.common.errors import ConfigError
from stepdistill.common.page import rendered
from stepdistill.common.terminal import one_line
from stepdistill.common.urls import Place
from stepdistill.common.whole_file import write_whole

CARD = "README.md"
_TEMPLATE = Path(__file__).parent / "templates" / "card.md.jinja"
TAG = "stepdistill"  # in the head of all cards that are made here
_CLASSIFIED = ("classes", "multi")
# Below how many rows which of the hub's sizes is it.
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"))
_LABELS_SHOWN = 200
_WHAT = {
    "label": "the teacher's label; empty where there is none",
    "rationale": "the teacher's reasons",
    "confidence": "of the label, 0 to 1",
    "template": "which prompt asked",
    "rejected": "why there is no label, as a word",
    "why": "the same as a sentence, where the teacher said one",
    "split": "which split the row is of",
}
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#])")  # what Markdown takes for its own


def card_of(table: Joined, files: str | list[dict[str, str]]) -> str:
    """The card of a table whose rows were read. files: the one that holds it, or of each split the
    name and the path."""
    task, manifests = table.source.task, [each.manifest for each in table.run.splits.values()]
    first, n_rows = manifests[0], table.counts.total()
    left_out = {**table.rejected, NOT_ASKED: table.counts[NOT_ASKED]}
    head: dict[str, object] = {
        "pretty_name": one_line(task.title or task.task),
        "license": "unknown",
        "annotations_creators": ["machine-generated"],
        "size_categories": [next((name for n, name in _SIZES if n_rows < n), "n>1M")],
        "tags": [TAG, "llm-annotated"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    if task.label.kind in _CLASSIFIED:
        head["task_categories"] = ["text-classification"]
    return rendered(
        _TEMPLATE,
        head=yaml.safe_dump(head, sort_keys=False, allow_unicode=True),
        title=_plain(task.title or task.task),
        task=f"`{task.task}`",
        kind=task.label.kind,
        n_rows=n_rows,
        is_simulated=first.teacher.model == SIMULATED,
        n_labelled=sum(each.counts.records for each in manifests),
        teacher=first.teacher,
        reader=first.reader,
        columns=[(_plain(column), _WHAT[name]) for name, column in table.own.items()],
        labels=[(_plain(name), n) for name, n in table.labels.most_common(_LABELS_SHOWN)],
        left_out=[(reason, n) for reason, n in left_out.items() if n],
        splits=manifests,
    )


def write_card(table: Joined, file: Path) -> str:
    """Write the card beside a table's file; its path. A README.md of somebody else, or of another
    table, is left alone: the card then goes by the file's name. Raises ConfigError."""
    path = file.with_name(CARD)
    try:
        if path.exists() and not _is_of(path, file):
            path = file.with_name(card_name(file))
        write_whole(path, card_of(table, file.name).encode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from None
    return str(path)


def card_name(file: Place) -> str:
    """What the card of a file is called where README.md may be somebody else's."""
    return f"{file.name.partition('.')[0]}.{CARD}"


def _is_of(path: Path, file: Path) -> bool:
    """Whether a card was made here, of this file or of one that is there no longer."""
    parts = path.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
    try:
        head: Any = yaml.safe_load(parts[1])
        named = str(head["configs"][0]["data_files"])
        is_ours = TAG in head["tags"]
    except (yaml.YAMLError, TypeError, LookupError):
        return False
    return is_ours and (named == file.name or not path.with_name(named).exists())


def _plain(text: str) -> str:
    """A text of others as one line of Markdown that shows it, and does nothing."""
    return _MARKUP.sub(r"\\\1", one_line(text))
