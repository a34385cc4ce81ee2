"""The dialects by name."""

from collections.abc import Mapping

from stepdistill.annotator.provider.profile import DialectName
from stepdistill.annotator.teacher.dialects.anthropic import AnthropicDialect
from stepdistill.annotator.teacher.dialects.chat import ChatDialect
from stepdistill.annotator.teacher.dialects.dialect import Dialect
from stepdistill.annotator.teacher.dialects.gemini import GeminiDialect
from stepdistill.annotator.teacher.dialects.responses import ResponsesDialect

DIALECTS: Mapping[DialectName, Dialect] = {
    "chat": ChatDialect(),
    "responses": ResponsesDialect(),
    "anthropic": AnthropicDialect(),
    "gemini": GeminiDialect(),
}


def dialect_of(name: DialectName) -> Dialect:
    """The dialect of this name."""
    return DIALECTS[name]
