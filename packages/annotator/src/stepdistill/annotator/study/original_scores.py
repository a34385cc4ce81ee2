"""The scores that the original recorded, imported as metadata of this project.

    SRC/prompt-metadata/<task>.yaml -> PROMPTS/<task>/metadata-original.yaml

They are what the original's own reader saw in gpt-3.5-turbo's answers of autumn 2023.
"""

from collections.abc import Mapping
from pathlib import Path

from stepdistill.annotator.importing.original import (
    MODEL,
    RecordedNumbers,
    original_folder,
    read_recorded,
)
from stepdistill.annotator.prompt.template import Template, load_templates
from stepdistill.annotator.reading.original import NAME, VERSION
from stepdistill.annotator.study.metadata import (
    Metadata,
    Setting,
    Style,
    TemplateResult,
    TemplateScore,
    save_metadata,
)
from stepdistill.common.errors import PromptError
from stepdistill.common.manifest import TokenTotals

_SETTING = Setting(teacher=MODEL, server="api.openai.com/v1", split="train", reader=NAME)
_UNKNOWN_DATA = "not recorded"


def import_scores(src: Path, prompts: Path) -> dict[str, int]:
    """Write the scores of every task that has templates here; how many. Raises PromptError."""
    n_scores: dict[str, int] = {}
    for path in sorted(original_folder(src, "prompt-metadata").glob("*.yaml")):
        scores = _scores(path, load_templates(prompts, path.stem))
        if scores:
            result = TemplateResult(
                setting=_SETTING, reader_version=VERSION, data=_UNKNOWN_DATA, templates=scores
            )
            metadata = Metadata(task=path.stem, results=[result])
            save_metadata(prompts / path.stem / "metadata-original.yaml", metadata)
        n_scores[path.stem] = len(scores)
    return n_scores


def _scores(path: Path, templates: Mapping[str, Template]) -> dict[str, TemplateScore]:
    try:
        return {
            str(number): _score(sections, templates[str(number)])
            for number, sections in read_recorded(path).items()
            if str(number) in templates
        }
    except KeyError as error:
        raise PromptError(f"{path}: not the original's metadata ({error} is missing)") from None


def _score(recorded: RecordedNumbers, template: Template) -> TemplateScore:
    found, costs, performance = (
        recorded[section] for section in ("characteristics", "costs", "performance")
    )
    rows = round(performance["n_correct"] + performance["n_wrong"])
    # Costs count every query ever made, also those of rows that were judged elsewhere.
    part = rows / costs["total_performed_queries"] if costs["total_performed_queries"] else 0.0
    return TemplateScore(
        prompt=template.digest,
        rows=rows,
        unanswered=0,
        correct=round(performance["n_correct"]),
        labels=rows - round(found["n_parse_errors"]),
        rationales=round(found["total_responses"]),
        style=_style(found),
        tokens=TokenTotals(
            prompt=round(part * costs["total_tokens_sent"]),
            completion=round(part * costs["total_tokens_received"]),
        ),
        cost_usd=round(part * costs["total_accumulated_costs"], 6),
    )


def _style(found: Mapping[str, float]) -> Style | None:
    """None where no rationale was seen, or where the record is too old to describe them."""
    if not found["total_responses"] or "avg_nr_of_words" not in found:
        return None
    return Style(
        characters=found["avg_len_of_explanations"],
        characters_variance=found["variance_length_of_explanations"],
        words=found["avg_nr_of_words"],
        sentences=found["avg_nr_of_sentences"],
        reading_ease=found["flesch_reading_ease"] or None,  # 0: it was not computed
    )
