"""The tokens of a simulated answer, with what else each could have been: as OpenAI's chat tells it.

Which answer is given is drawn from known chances. The tokens of all possible answers make a tree:
at each token the chances of those that begin alike so far are parted by how they go on.
"""

import re
from collections.abc import Mapping, Sequence
from math import log
from typing import NamedTuple, Protocol, runtime_checkable

from stepdistill.annotator.simulator.wire import invalid

_TOKEN = re.compile(r" ?\w{1,5}|\s|.", re.DOTALL)
_MOST = 20  # alternatives that OpenAI tells


class ToldToken(NamedTuple):
    """A token of an answer, and what could stand in its place, itself included: token -> chance."""

    text: str
    chances: Mapping[str, float]


@runtime_checkable
class TellsTokens(Protocol):
    """A teacher who knows with which chances it said what it said."""

    def tokens(self, body: Mapping[str, object], text: str) -> list[ToldToken]:
        """The tokens of the text that it gave for this request's body."""
        ...


def told_tokens(text: str, answers: Mapping[str, float]) -> list[ToldToken]:
    """The tokens of a text that was drawn from these answers: text -> chance."""
    own, told = _TOKEN.findall(text), list[ToldToken]()
    alive = [(_TOKEN.findall(each), chance) for each, chance in answers.items() if chance > 0]
    for i, token in enumerate(own):
        whole = sum(chance for _, chance in alive)
        chances = {token: 0.0} if alive else {token: 1.0}
        for each, chance in alive:
            if i < len(each):  # else it would have ended here, which is no token
                chances[each[i]] = chances.get(each[i], 0.0) + chance / whole
        alive = [(each, chance) for each, chance in alive if each[i : i + 1] == [token]]
        told.append(ToldToken(token, chances))
    return told


def alternatives_wanted(body: Mapping[str, object]) -> int | None:
    """How many are asked for; None where no log-probabilities are. Raises RefusedRequest."""
    wanted, most = body.get("logprobs"), body.get("top_logprobs", 0)
    if not wanted:
        if most:
            raise invalid("top_logprobs can only be set if logprobs is enabled.", "top_logprobs")
        return None
    if not isinstance(most, int) or not 0 <= most <= _MOST:
        raise invalid(f"top_logprobs must be from 0 to {_MOST}.", "top_logprobs")
    return most


def chat_logprobs(told: Sequence[ToldToken], text: str, most: int) -> dict[str, object]:
    """The field of a choice. text: what went out, the whole of the tokens or how they begin."""
    content, left = list[dict[str, object]](), len(text)
    for token, chances in told:
        if left <= 0:
            break
        likeliest = sorted(chances.items(), key=lambda pair: -pair[1])[:most]
        own = _entry(token[:left], chances[token])
        content.append({**own, "top_logprobs": [_entry(*each) for each in likeliest]})
        left -= len(token)
    return {"content": content, "refusal": None}


def _entry(token: str, chance: float) -> dict[str, object]:
    logprob = max(log(chance), -100.0) if chance > 0 else -100.0
    return {"token": token, "logprob": logprob + 0.0, "bytes": [*token.encode()]}
