"""Labels that are free text: what the answer says the answer is, or the whole of a short answer."""

# budget: each kind of label has its reader in a file of its own

import re
from collections.abc import Mapping

from stepdistill.annotator.reading.reading import Verdict, undecided
from stepdistill.annotator.reading.verdict.text import Text

_THE_ANSWER_IS = re.compile(
    r"\b(?:answer|label|verdict|result|title|summary|conclusion)"
    r" (?:is|would be|should be|must be):? +(?=\S)",
    re.IGNORECASE,
)


class FreeTextReader:
    """Reads the label of a task whose labels are free text."""

    quotes_say_nothing = False

    def quotable(self, fields: Mapping[str, str]) -> list[str]:
        """Nothing is hidden: a free text may well repeat the row."""
        return []

    def names(self, fields: Mapping[str, str]) -> None:
        """None: such labels have no names."""

    def named(self, text: str, fields: Mapping[str, str]) -> str | None:
        """The text itself, without the quotation marks and the emphasis around it."""
        return text.strip().strip("*_`\"'“”").strip() or None

    def read(self, text: Text, fields: Mapping[str, str]) -> Verdict:
        """The last `the answer is ...`, or the answer itself where it is a single sentence."""
        for start, end in reversed(text.sentences):
            if match := _THE_ANSWER_IS.search(text.answer, start, end):
                label = self.named(text.answer[match.end() : end].rstrip(".!"), fields)
                if label is None:
                    continue
                stated = ((start, end),)
                return Verdict(label=label, rule="statement", confidence=0.85, stated=stated)
        if len(text.sentences) == 1:
            label = self.named(text.answer, fields)
            if label is None:
                return undecided("no_verdict")
            return Verdict(label=label, rule="whole", confidence=0.8, stated=text.sentences)
        return undecided("no_verdict")
