"""The page on which the chosen rows are judged, one at a time: what it asks, and what it sends.

It shows neither the row's gold label nor what a student or another template says: whoever knows
what others think judges as they do.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stepdistill.annotator.audit.findings import find_out
from stepdistill.annotator.audit.report import facts_of
from stepdistill.annotator.audit.rows import Chosen, ChosenRow
from stepdistill.annotator.view.entry import shown
from stepdistill.annotator.view.run_lines import fields_of
from stepdistill.annotator.view.run_source import RunSource
from stepdistill.annotator.view.server import PageServer, answered, number_in
from stepdistill.common.errors import ConfigError, DatasetError
from stepdistill.common.judgements import (
    Judgement,
    Judgements,
    Verdict,
    add_judgement,
    read_judgements,
)

_PAGE = Path(__file__).parent / "page"
_SHOWN = ("id", "split", "index", "input", "label", "rationale")
_OF_ANSWERS = ("part", "answer", "thoughts")
_MOST_LETTERS = 10_000


class _Said(BaseModel):
    """What the page sends of a row. choice: which of the row's labels is right; text: the right
    label where they cannot be listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: str  # the digest of what was shown
    verdict: Verdict
    choice: int | None = Field(default=None, ge=0)
    text: str | None = Field(default=None, max_length=_MOST_LETTERS)
    reasons: Literal["good", "bad"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Rows that a person judges, and the file that keeps what was said."""

    source: RunSource
    chosen: Chosen
    path: Path
    judge: str
    command: str  # what judges these rows

    def _said(self) -> Judgements:
        return read_judgements(self.path)

    def _mine(self, said: Judgements) -> list[Judgement | None]:
        """Of each row, what this judge said."""
        each = (said.of(row.answer) for row in self.chosen.rows)
        return [next((j for j in found if j.judge == self.judge), None) for found in each]

    def state(self, said: Judgements | None = None) -> dict[str, object]:
        """How far this judge is. Raises ConfigError: the file is broken."""
        mine = self._mine(said or self._said())
        return {
            "title": shown(self.source.title),
            "judge": shown(self.judge),
            "n": len(mine),
            "verdicts": [None if each is None else each.verdict for each in mine],
            "next": next((n for n, each in enumerate(mine) if each is None), None),
        }

    def row(self, n: int) -> dict[str, object]:
        """What is shown of a row. Raises DatasetError: there is none of this number."""
        row = self._row(n)
        detail = self.source.detail(row.place)
        answers: Any = detail["answers"]
        mine = self._mine(self._said())[n]
        told = {
            **{name: detail[name] for name in _SHOWN},
            "answers": [
                {name: each.get(name) for name in _OF_ANSWERS}
                for each in answers
                if each.get("answer") and each["part"] != "vote"
            ],
            "choices": row.choices,
            "mine": mine and mine.model_dump(include={"verdict", "right", "reasons"}),
        }
        return {"n": n, "answer": row.answer, "row": shown(told)}

    def _row(self, n: int) -> ChosenRow:
        if not 0 <= n < len(self.chosen.rows):
            raise DatasetError(f"no row {n}: {len(self.chosen.rows):,} are to be judged")
        return self.chosen.rows[n]

    def say(self, n: int, body: bytes) -> dict[str, object]:
        """Keep what was said of a row. Raises ConfigError: it is nothing that can be said."""
        row = self._row(n)
        try:
            said = _Said.model_validate_json(body)
        except ValidationError as error:
            raise ConfigError(f"not a judgement: {error.errors()[0]['msg']}") from None
        if said.answer != row.answer:
            raise ConfigError("this page shows another run than the command: load it again")
        self._add(row, said.verdict, self._right(row, said), said.reasons)
        return self.state()

    def _right(self, row: ChosenRow, said: _Said) -> str | None:
        """The right label of a wrong one; None where nothing was said of it."""
        right = said.text.strip() if said.text else None
        if said.choice is not None and said.choice < len(row.choices):
            right = row.choices[said.choice]
        if said.verdict != "wrong" or not right:
            return None
        kind, fields = self.chosen.kind, fields_of(row.line)
        if (problem := kind.check(right, fields)) is not None:
            raise ConfigError(f"no label of this row: {problem}")
        if kind.same(right, row.label, row.choices):
            raise ConfigError("this is the label that the row has: then it is right")
        return right

    def undo(self) -> dict[str, object]:
        """Take back what this judge said last of these rows. Raises ConfigError."""
        said = self._said()
        mine = [(each.at, n) for n, each in enumerate(self._mine(said)) if each is not None]
        if not mine:
            raise ConfigError("there is nothing to undo")
        _, n = max(mine)
        self._add(self.chosen.rows[n], "undone", None, None)
        return {**self.state(), "undone": n}

    def _add(
        self,
        row: ChosenRow,
        verdict: Verdict | Literal["undone"],
        right: str | None,
        reasons: Literal["good", "bad"] | None,
    ) -> None:
        judgement = Judgement(
            at=time.time(),
            judge=self.judge,
            split=row.line["split"],
            id=row.line["id"],
            row=row.row,
            answer=row.answer,
            label=row.label,
            verdict=verdict,
            right=right,
            reasons=reasons if row.rationale is not None else None,
            rationale=row.rationale if reasons is not None else None,
        )
        add_judgement(self.path, judgement)

    def result(self) -> dict[str, object]:
        """What all judgements say so far."""
        said = self._said()
        facts = facts_of(self.chosen, find_out(self.chosen, said), said, self.command)
        return {"result": shown({name: facts[name] for name in facts if name != "choice"})}


class JudgeServer(PageServer):
    """The page, and what it asks."""

    def __init__(self, judging: Judging, listening: socket.socket) -> None:
        super().__init__(listening, _PAGE)
        self._judging = judging

    def routes(self) -> list[web.RouteDef]:
        """What the page asks."""
        return [
            web.get("/api/judging", self._state),
            web.get("/api/rows/{n}", self._row),
            web.post("/api/rows/{n}", self._say),
            web.post("/api/undo", self._undo),
            web.get("/api/result", self._result),
        ]

    async def _answered(self, work: Callable[[], dict[str, object]]) -> web.Response:
        return answered(await self.read(work))

    async def _state(self, _: web.Request) -> web.Response:
        return await self._answered(self._judging.state)

    async def _row(self, request: web.Request) -> web.Response:
        n = number_in(request)
        return await self._answered(lambda: self._judging.row(n))

    async def _say(self, request: web.Request) -> web.Response:
        n, body = number_in(request), await request.read()
        return await self._answered(lambda: self._judging.say(n, body))

    async def _undo(self, _: web.Request) -> web.Response:
        return await self._answered(self._judging.undo)

    async def _result(self, _: web.Request) -> web.Response:
        return await self._answered(self._judging.result)
