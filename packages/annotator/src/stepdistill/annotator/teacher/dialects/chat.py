"""OpenAI's chat completions, which most servers speak."""

from collections.abc import Mapping
from typing import ClassVar

from stepdistill.annotator.plan.key import Request
from stepdistill.annotator.teacher.dialects.dialect import Dialect, Limit


class ChatDialect(Dialect):
    """Requests as they are everywhere in here."""

    name: ClassVar[str] = "chat"

    def path(self, root: str, model: str) -> str:
        return f"{root}/chat/completions"

    def wire(self, request: Request, limit: Limit) -> Mapping[str, object]:
        return {**request.body, limit.name: limit.tokens}
