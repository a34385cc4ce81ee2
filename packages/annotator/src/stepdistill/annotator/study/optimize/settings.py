"""How a search is made."""

from dataclasses import dataclass, field

from stepdistill.annotator.study.race import RaceRules

# What a search finds is called so, and takes no part in the next one unless it is named.
FOUND = "found-"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """iterations, candidates: proposals of each; keep: templates that the optimiser is shown.

    test_size: rows that all templates are scored on; held_out: rows that the winner is confirmed
    on; problems: rows that the optimiser is shown with their gold labels. All drawn by the seed.
    race: None asks every template every row. temperature: of the optimiser.
    templates: to begin with; empty for all of the task that no search has found.
    """

    iterations: int = 20
    candidates: int = 8
    keep: int = 15
    test_size: int = 25
    held_out: int = 100
    problems: int = 3
    seed: int = 42
    race: RaceRules | None = field(default_factory=RaceRules)
    temperature: float = 1.0
    templates: tuple[str, ...] = ()
