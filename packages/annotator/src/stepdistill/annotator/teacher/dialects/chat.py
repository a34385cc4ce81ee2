"""OpenAI's chat completions, which most servers speak."""

from collections.abc import Mapping
from typing import ClassVar

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.store.answer import Answer
from stepdistill.annotator.teacher.dialects.dialect import Dialect, Limit, ReplyContext
from stepdistill.annotator.teacher.reply import read_answer


class ChatDialect(Dialect):
    """Requests as they are everywhere in here."""

    name: ClassVar[str] = "chat"

    def path(self, base: str, model: str) -> str:
        return f"{base}/chat/completions"

    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        return {**request.body, limit.name: limit.tokens}

    def read(self, body: bytes, asked: ReplyContext) -> Answer:
        return read_answer(
            body,
            limit=asked.limit,
            request_id=asked.request_id,
            model=asked.model,
            mode=asked.mode,
            headers=asked.headers,
        )
