"""The answers of a store, as rows: nothing is known of the rows that they are about."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stepdistill.annotator.money.prices import Tariff, day_of
from stepdistill.annotator.reading.thinking import without_thoughts
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.store.response_store import ResponseStore
from stepdistill.annotator.view.detail import answer_facts, marked
from stepdistill.annotator.view.entry import RowEntry, cut
from stepdistill.common.errors import StoreError

_SNIPPET = 480  # characters of an answer in the list
_SEARCHED = 20_000
_FACETS = {"model": "model", "ending": "ended", "mode": "asked", "day": "day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSource:
    """Every answer of a store, in the order of the keys."""

    title: str
    store: ResponseStore
    total: int
    stamp: str  # changes with the store
    tariff_of: Callable[[str], Tariff]  # of a model, by the name that it gives itself
    remarks: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Changes with what the index would hold."""
        return hashlib.sha256(self.stamp.encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def compared_with(self) -> str:
        """Nothing is compared."""
        return ""

    @property
    def facets(self) -> Mapping[str, str]:
        """What answers are chosen by."""
        return _FACETS

    def entries(self, start: int) -> Iterator[RowEntry]:
        """Every answer from this one on. Raises StoreError."""
        with self.store.reading() as stored:
            for key, answer in islice(stored.answers(), start, None):
                yield RowEntry(
                    words={
                        "model": answer.model,
                        "ending": answer.ending,
                        "mode": answer.mode,
                        "day": day_of(answer.asked_at).isoformat(),
                    },
                    text=f"{key.hex()}\n{answer.words[:_SEARCHED]}",
                    place=key,
                )

    def can_compare(self, places: Sequence[bytes]) -> bool:
        """Never: which answers are about one row is not known."""
        del places
        return False

    def comparisons(self, places: Sequence[bytes]) -> list[int]:
        """Nobody disagrees."""
        return [0] * len(places)

    def summary(self, place: bytes) -> dict[str, object]:
        """An answer as a line of the list."""
        answer = self._answer(place)
        return {
            "id": place.hex()[:12],
            "input": [["answer", cut(answer.words, _SNIPPET)]],
            "template": answer.model,
            "rejected": None if answer.ending == "whole" else answer.ending,
            "usd": self._usd(answer),
        }

    def detail(self, place: bytes) -> dict[str, object]:
        """All that the store has of an answer."""
        answer = self._answer(place)
        plain = without_thoughts(answer.words)
        told = {
            "part": "answer",
            "key": place.hex(),
            "answer": marked(answer.words[plain.start :], (), None),
            "thoughts": answer.thoughts or plain.thoughts,
            "usd": self._usd(answer),
        }
        return {
            "id": place.hex(),
            "answers": [told | answer_facts(answer)],
            "remarks": [
                "A store knows answers by the hash of their requests alone: look at a run or a "
                "task to see rows, prompts and labels."
            ],
        }

    def _answer(self, key: bytes) -> Answer:
        with self.store.reading() as stored:
            answer = stored.answer(key)
        if answer is None:
            raise StoreError(f"--store {self.store.path}: has no answer {key.hex()} any more")
        return answer

    def _usd(self, answer: Answer) -> float | None:
        price = self.tariff_of(answer.model).answer_price(answer)
        if price is None or not answer.is_counted:
            return answer.cost_usd
        return float(price.cost_usd(answer.usage))
