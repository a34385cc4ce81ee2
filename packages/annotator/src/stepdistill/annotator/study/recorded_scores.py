"""The scores that the original recorded, as this project keeps them.

    SRC/prompt-metadata/<task>.yaml -> PROMPTS/<task>/metadata-original.yaml

They are what the original's own reader saw in gpt-3.5-turbo's answers of autumn 2023.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stepdistill.annotator.importing.files import folder_of, read_any_yaml
from stepdistill.annotator.importing.original import MODEL
from stepdistill.annotator.prompt.template import Template, load_templates
from stepdistill.annotator.reading.original import NAME, VERSION
from stepdistill.annotator.study.metadata import Metadata, Setting, TemplateResult, save_metadata
from stepdistill.annotator.study.score import Style, TemplateScore
from stepdistill.common.errors import PromptError
from stepdistill.common.manifest import TokenTotals

_SETTING = Setting(teacher=MODEL, server="api.openai.com/v1", split="train", reader=NAME)
_UNKNOWN_DATA = "not recorded"


class _Recorded(BaseModel):
    """One template's record; older ones lack some characteristics."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    characteristics: dict[str, float]
    costs: dict[str, float]
    performance: dict[str, float]


def import_scores(src: Path, prompts: Path) -> dict[str, int]:
    """Write the scores of every task that has templates here; how many each has.

    Raises PromptError where a file is not the original's.
    """
    done: dict[str, int] = {}
    for path in sorted(folder_of(src, "prompt-metadata").glob("*.yaml")):
        templates = load_templates(prompts, path.stem)
        scores = _scores(path, templates)
        if scores:
            result = TemplateResult(
                setting=_SETTING, reader_version=VERSION, data=_UNKNOWN_DATA, templates=scores
            )
            metadata = Metadata(task=path.stem, results=[result])
            save_metadata(prompts / path.stem / "metadata-original.yaml", metadata)
        done[path.stem] = len(scores)
    return done


def _scores(path: Path, templates: Mapping[str, Template]) -> dict[str, TemplateScore]:
    content = read_any_yaml(path)
    try:
        recorded = {str(key): _Recorded.model_validate(each) for key, each in content.items()}
        return {
            name: _score(each, templates[name])
            for name, each in recorded.items()
            if name in templates
        }
    except (ValidationError, KeyError, AttributeError) as error:
        said = str(error).splitlines()[0]
        raise PromptError(f"{path}: not the original's metadata ({said})") from None


def _score(recorded: _Recorded, template: Template) -> TemplateScore:
    found, costs, performance = recorded.characteristics, recorded.costs, recorded.performance
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
        reading_ease=found["flesch_reading_ease"] or None,
    )
