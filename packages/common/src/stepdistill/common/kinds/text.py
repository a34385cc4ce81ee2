"""Text: any short text; compared without case and outer punctuation."""

# budget: a kind is a file, however small: that is where the next one goes.

import re
from collections.abc import Mapping

from pydantic import JsonValue

from stepdistill.common.kinds.kind import Kind, LabelWording

_WORD = re.compile(r"\w+")


class FreeText(Kind):
    """A label is a short text of no closed set."""

    name = "text"
    is_prose = True

    def check(self, label: str, fields: Mapping[str, str]) -> str | None:
        return None if label.strip() else "the label is empty"

    def schema(self) -> dict[str, JsonValue]:
        return {"type": "string"}

    def wording(self, what: str) -> LabelWording:
        question = f"Which {what} fits this text?"
        return LabelWording(question=question, answer=f"the {what}", value=f"the {what}")

    def invented(self, fields: Mapping[str, str], u: float) -> str:
        """What the row begins with."""
        words = _WORD.findall(max(fields.values(), key=len, default=""))
        return " ".join(words[:3]) or "nothing"

    def sentence(self) -> str:
        return "The label is a short text."
