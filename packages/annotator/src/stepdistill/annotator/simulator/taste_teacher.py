"""A teacher for prompt searches: it answers any wording, and proposes new ones.

Whatever template a row is asked with, it knows the row and is right as often as the words please
its taste. Where it is shown templates it plays the optimiser.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stepdistill.annotator.simulator.answers import SimulatedTeacher
from stepdistill.annotator.simulator.proposer import Proposer, shows_templates
from stepdistill.annotator.simulator.row_book import RowBook
from stepdistill.annotator.simulator.taste import Taste
from stepdistill.annotator.simulator.verbosity import facts_asked_for
from stepdistill.annotator.simulator.wire import prompt_digest, read_messages


@dataclass(frozen=True, slots=True, kw_only=True)
class TasteTeacher:
    """voice: how answers are worded, and the seed of which are wrong."""

    rows: RowBook
    taste: Taste
    proposer: Proposer
    voice: SimulatedTeacher

    def answer(self, body: Mapping[str, object]) -> str:
        """The text for this request; raises ValueError when its messages cannot be read."""
        messages = read_messages(body.get("messages"))
        prompt = "\n".join(text for _, text in messages)
        if shows_templates(prompt):
            return self.proposer.propose(prompt)
        found = self.rows.find(prompt)
        known = found and replace(
            found.known,
            accuracy=self.taste.accuracy(found.words),
            facts=found.known.facts[: facts_asked_for(found.words)],
        )
        return self.voice.say(known, body, prompt_digest(messages))
