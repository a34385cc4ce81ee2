"""The optimiser's questions: the same meta-prompt, asked as often as there are to be candidates."""

from collections.abc import Iterator
from dataclasses import dataclass

from stepdistill.annotator.plan.key import Request, RequestForm
from stepdistill.annotator.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRequests:
    """One iteration's. plan: whom they go to.

    first: the number of the first in the whole search. It is part of the request's key, so the
    same meta-prompt has other answers in another iteration, and the same ones when it is replayed.
    """

    plan: Plan
    meta_prompt: str
    first: int
    n: int
    temperature: float

    def requests(self) -> Iterator[Request]:
        """One for each candidate."""
        plan, own = self.plan, {"temperature": self.temperature}
        for number in range(self.first, self.first + self.n):
            form = RequestForm(plan.endpoint, plan.model, plan.options.apply({**own}), number)
            yield form.request("", self.meta_prompt)

    def count(self) -> int:
        """How many there are."""
        return self.n
