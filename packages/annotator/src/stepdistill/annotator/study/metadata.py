"""What is known about a task's templates: `metadata.yaml`, kept by experiments and `evaluate`.

The file is replaced as a whole, after every template, so whoever reads it finds a whole one. It
holds nothing that could not be recomputed from the store: `annotate evaluate` does.
"""

from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    model_validator,
)

from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.settings.shards import SURE_ENOUGH
from stepdistill.common.intervals import wilson
from stepdistill.common.manifest import TokenTotals
from stepdistill.common.whole_file import write_whole

# The dumper in C is ten times as fast, and there but for rare platforms.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
METADATA_NAME = "metadata.yaml"
_HEAD = (
    "# Kept by `annotate experiment` and `annotate evaluate`, which compute it from the store.\n"
)


class _FilePart(BaseModel):
    # An unknown field is a mistake in the file.
    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_empty(measures: dict[str, float]) -> bool:
    return not measures


def _is_usual(value: object) -> bool:
    return value in ("answer", SURE_ENOUGH)


class Style(_FilePart):
    """How the rationales of a template are written: means over them, and a variance."""

    characters: float
    characters_variance: float | None  # None: there is no rationale to vary
    words: float
    sentences: float
    reading_ease: float | None  # Flesch's, higher is easier; None: too little text


class TemplateScore(_FilePart):
    """What one template achieved on a set of rows with gold labels: shares follow from counts."""

    prompt: str  # the template's digest: an edited template is not the one that was scored
    rows: int  # that were answered
    unanswered: int  # rows that were asked and failed
    correct: int  # rows; one without a readable label counts as wrong
    labels: int  # rows with a readable label
    rationales: int  # rows with a rationale
    style: Style | None  # None: there is no rationale
    tokens: TokenTotals
    cost_usd: float | None  # of all answers; None: the model has no known price
    # Of kinds of label that are more than right or wrong, as the kind's `scores` names them. Left
    # out where there are none: files of other kinds have the fields that they always had.
    measures: dict[str, float] = Field(default_factory=dict[str, float], exclude_if=_is_empty)

    @model_validator(mode="before")
    @classmethod
    def _without_accuracy(cls, content: Any) -> Any:
        # A file states the accuracy for its readers; here it follows from the counts.
        if isinstance(content, dict):
            stated = cast(dict[str, Any], content)
            return {key: value for key, value in stated.items() if key != "accuracy"}
        return content

    @computed_field
    @property
    def accuracy(self) -> float:
        """Share of the answered rows with the right label."""
        return self.correct / self.rows if self.rows else 0.0

    @property
    def is_unread(self) -> bool:
        """Whether it was answered and no label could be read: then its accuracy says nothing."""
        return self.rows > 0 and self.labels == 0

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval."""
        return wilson(self.correct, self.rows)

    @property
    def parse_rate(self) -> float:
        """Share of the answered rows with a readable label."""
        return self.labels / self.rows if self.rows else 0.0

    @property
    def rationale_rate(self) -> float:
        """Share of the answered rows with a rationale."""
        return self.rationales / self.rows if self.rows else 0.0

    @property
    def cost_per_row_usd(self) -> float | None:
        """None where the price is not known, or nothing was answered."""
        return None if self.cost_usd is None or not self.rows else self.cost_usd / self.rows

    @property
    def cost_per_correct_usd(self) -> float | None:
        """None where the price is not known, or no label is right."""
        return None if self.cost_usd is None or not self.correct else self.cost_usd / self.correct


class Setting(_FilePart):
    """What a template was judged by: who answered which rows, and who read the answers."""

    teacher: str
    server: str  # where the teacher is served from: host and the URL's path
    split: str
    reader: str
    test_size: int | float | None = None  # rows, or a share of them; None: every answered row
    seed: int | None = None  # None: no rows were drawn
    # Left out where they are as usual: files have the fields that they always had.
    rationale_from: Literal["answer", "thinking"] = Field(default="answer", exclude_if=_is_usual)
    min_confidence: float = Field(default=SURE_ENOUGH, exclude_if=_is_usual)
    effort: str | None = Field(default=None, exclude_if=lambda effort: effort is None)

    @property
    def asked(self) -> str:
        """The teacher in words."""
        return f"{self.teacher}, effort {self.effort}" if self.effort else self.teacher

    @property
    def rows(self) -> str:
        """The rows in words."""
        if self.test_size is None:
            return "all answered rows"
        return f"{self.test_size:g} rows drawn with seed {self.seed}"

    @property
    def read_by(self) -> str:
        """The reader in words, and what differs from how answers are usually read."""
        words = [f"reader {self.reader}"]
        if not _is_usual(self.rationale_from):
            words.append(f"rationales from {self.rationale_from}")
        if not _is_usual(self.min_confidence):
            words.append(f"confidence {self.min_confidence:g}")
        return ", ".join(words)


class TemplateResult(_FilePart):
    """The scores of templates in one setting."""

    setting: Setting
    reader_version: int  # of the rules that the answers were read by
    data: str  # sha256 of the rows' source
    templates: dict[str, TemplateScore]


class Metadata(_FilePart):
    """The content of a `metadata.yaml`."""

    task: str
    results: list[TemplateResult] = Field(default_factory=list[TemplateResult])  # by setting

    def with_scores(self, result: TemplateResult) -> "Metadata":
        """These scores in the place of older ones of the same templates in the same setting."""
        before = next((each for each in self.results if each.setting == result.setting), None)
        templates = dict(result.templates)
        # Scores by other rules, or of other rows, cannot be compared: they do not stay beside.
        if before and (before.reader_version, before.data) == (result.reader_version, result.data):
            templates = {**before.templates, **templates}
        merged = result.model_copy(update={"templates": templates})
        others = [each for each in self.results if each.setting != result.setting]
        return Metadata(task=self.task, results=[*others, merged])


def load_metadata(path: Path, task: str) -> Metadata:
    """The file, or an empty one where there is none. Raises PromptError."""
    return read_yaml(path, Metadata) if path.is_file() else Metadata(task=task)


def known_results(prompts: Path, path: Path, task: str) -> list[TemplateResult]:
    """What the task's metadata says, and what was imported beside its templates."""
    imported = sorted((prompts / task).glob("metadata-*.yaml"))
    files = [load_metadata(each, task) for each in [*imported, path]]
    return [result for metadata in files for result in metadata.results]


def save_metadata(path: Path, metadata: Metadata) -> None:
    """Replace the file; a kill at any moment leaves the old one or the new one."""
    content = yaml.dump(metadata.model_dump(), Dumper=_DUMPER, allow_unicode=True, sort_keys=False)
    write_whole(path, (_HEAD + content).encode())
