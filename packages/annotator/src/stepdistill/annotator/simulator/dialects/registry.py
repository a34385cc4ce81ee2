"""The dialects that the simulator speaks beside chat. OpenRouter's is chat, with what each answer
cost and errors of its own."""
from typing import Literal

from stepdistill.annotator.simulator.dialects.anthropic import SpokenAnthropic
from stepdistill.annotator.simulator.dialects.gemini import SpokenGemini
from stepdistill.annotator.simulator.dialects.openrouter import SpokenOpenRouter
from stepdistill.annotator.simulator.dialects.responses import SpokenResponses
from stepdistill.annotator.simulator.dialects.spoken import SpokenDialect

SpokenName = Literal["openai", "responses", "anthropic", "gemini", "openrouter"]
# Each at a route of its own, whatever else is served.
OTHERS: tuple[SpokenDialect, ...] = (SpokenResponses(), SpokenAnthropic(), SpokenGemini())
OPENROUTER = SpokenOpenRouter()  # in place of OpenAI's chat, at its route
