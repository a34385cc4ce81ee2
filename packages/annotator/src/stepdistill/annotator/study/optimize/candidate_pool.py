"""Where templates are tried: the same rows for all, in races, each against the best so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stepdistill.annotator.dataset.sources import Source
from stepdistill.annotator.plan.plan import Plan, Unanswered
from stepdistill.annotator.prompt.mix import single
from stepdistill.annotator.prompt.template import Template
from stepdistill.annotator.study.optimize.asker import Asker
from stepdistill.annotator.study.race import Correct, RaceRules, run_race
from stepdistill.annotator.study.score import Scored
from stepdistill.annotator.study.stop_risk import expected_shares


@dataclass(slots=True, kw_only=True)
class CandidatePool:
    """Rows in order, and how every template did on them.

    rules: None asks every template every row. right, scored: by template id.
    """

    plan: Plan
    rows: Source
    n_rows: int
    rules: RaceRules | None
    asker: Asker
    templates: dict[str, Template] = field(default_factory=dict[str, Template])
    right: dict[str, Correct] = field(default_factory=dict[str, Correct])
    scored: dict[str, Scored] = field(default_factory=dict[str, Scored])

    def enter(self, templates: Sequence[Template]) -> None:
        """Try these templates. Raises RunStopped, StoreError, Interrupted; answers are stored."""
        if not templates:
            return
        self.templates |= {each.id: each for each in templates}
        names = [each.id for each in templates]
        if self.rules is None:
            self._ask(names, self.n_rows)
        else:
            run_race(names, self.n_rows, self.rules, self._ask, self._whole())

    @property
    def best(self) -> str | None:
        """The best of the templates that were asked every row: the cheapest of equals."""
        return min(self._whole(), key=self._best_first, default=None)

    def whole(self) -> list[Scored]:
        """The templates that were asked every row."""
        return [self.scored[name] for name in self._whole()]

    def expected(self) -> dict[str, float]:
        """What share of the rows each template is expected to get right, the best first."""
        found = expected_shares(self.right, self.n_rows)
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def _whole(self) -> dict[str, Correct]:
        return {name: each for name, each in self.right.items() if len(each) == self.n_rows}

    def _best_first(self, name: str) -> tuple[int, float, str]:
        return -sum(self.right[name]), self.scored[name].score.cost_per_row_usd or 0.0, name

    def _ask(self, names: Sequence[str], rows: int) -> dict[str, Correct]:
        plans = {name: replace(self._plan_of(name), samples=rows) for name in names}
        asked = {name: len(self.right.get(name, ())) for name in names}
        self.asker.ask([Unanswered(plan=plans[name], start=asked[name]) for name in names])
        for name, plan in plans.items():
            self.scored[name] = scored = self.asker.score(plan)
            self.right[name] = scored.correct_rows(plan)
        return {name: self.right[name] for name in names}

    def _plan_of(self, name: str) -> Plan:
        """The rows, asked with one template."""
        return replace(
            self.plan,
            source=self.rows,
            mix=single(name),
            templates={name: self.templates[name]},
        )
