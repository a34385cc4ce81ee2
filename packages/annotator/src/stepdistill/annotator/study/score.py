"""A template's score: what its answers, read and held against the gold labels, are worth.

The score is what the metadata file keeps. Shares and intervals follow from its counts.
"""

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, computed_field, model_validator

from stepdistill.common.intervals import wilson
from stepdistill.common.manifest import TokenTotals


class Style(BaseModel):
    """How the rationales of a template are written: means over them, and a variance.

    reading_ease: Flesch's, higher is easier; None where there is too little text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    characters: float
    characters_variance: float | None
    words: float
    sentences: float
    reading_ease: float | None


class TemplateScore(BaseModel):
    """What one template achieved on a set of rows with gold labels.

    prompt: the template's digest, so that an edited one is told from what was measured.
    rows: that were answered; unanswered: that were asked, in vain.
    labels: rows with a readable label; a row without one counts as wrong.
    cost_usd: of the answers, None where the model has no known price.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    rows: int
    unanswered: int
    correct: int
    labels: int
    rationales: int
    style: Style | None
    tokens: TokenTotals
    cost_usd: float | None

    @model_validator(mode="before")
    @classmethod
    def _without_what_follows(cls, content: Any) -> Any:
        """A file states the accuracy for its readers; it is not taken from there."""
        if isinstance(content, dict):
            stated = cast(dict[str, Any], content)
            return {key: value for key, value in stated.items() if key != "accuracy"}
        return content

    @computed_field
    @property
    def accuracy(self) -> float:
        """Right labels among the answered rows."""
        return self.correct / self.rows if self.rows else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval."""
        return wilson(self.correct, self.rows)

    @property
    def parse_rate(self) -> float:
        """Rows with a readable label among the answered ones."""
        return self.labels / self.rows if self.rows else 0.0

    @property
    def rationale_rate(self) -> float:
        """Rows with a rationale among the answered ones."""
        return self.rationales / self.rows if self.rows else 0.0

    @property
    def cost_per_row_usd(self) -> float | None:
        """None where the price is not known, or nothing was answered."""
        return None if self.cost_usd is None or not self.rows else self.cost_usd / self.rows

    @property
    def cost_per_correct_usd(self) -> float | None:
        """What one right label costs; None where there is none, or no price."""
        return None if self.cost_usd is None or not self.correct else self.cost_usd / self.correct
