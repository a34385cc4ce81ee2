"""`annotate plots`."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from stepdistill.annotator.console.output import ConsoleOutput
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.settings.console import JSON, JsonSettings
from stepdistill.annotator.settings.rows import OUT
from stepdistill.annotator.settings.study import PlotsSettings
from stepdistill.annotator.study.few_shot_cost import FEW_SHOT_COST_NAME, FewShotCost
from stepdistill.annotator.study.metadata import METADATA_NAME, Metadata
from stepdistill.annotator.study.optimize.history import HISTORY_NAME, read_history
from stepdistill.annotator.study.tournament.offer_table import OFFERS_NAME, read_offers
from stepdistill.common.errors import ConfigError

_SEARCH = "search"


def plots_command(settings: PlotsSettings, console: JsonSettings = JSON) -> None:
    """Draw what is known about templates, their searches and their costs, as PNG and SVG.

    From the metadata that experiments and searches keep, from the scores that were imported beside
    a task's templates, and from what `annotate experiment --teachers` and `annotate estimate
    --few-shot` kept. What the data do not have is left out, and listed.

    Examples:

        annotate plots --out figures

        annotate plots --out figures --task cqa --task esnli

        annotate plots --out figures --history runs/demo/search/history.jsonl
    """
    given = [read_yaml(path, Metadata) for path in settings.metadata]
    tasks = settings.task or _tasks_of(settings, given)
    files = [
        read_yaml(path, Metadata)
        for name in tasks
        for path in [
            *sorted((settings.prompts / name).glob("metadata-*.yaml")),
            *(() if settings.metadata else _own(name)),
        ]
    ]
    searches = settings.history or _existing(OUT / name / _SEARCH / HISTORY_NAME for name in tasks)
    histories = {path: read_history(path) for path in searches}
    estimates = settings.few_shot or _existing(OUT / name / FEW_SHOT_COST_NAME for name in tasks)
    compared = [read_yaml(path, FewShotCost) for path in estimates]
    kept = settings.tournament or _existing(OUT / name / OFFERS_NAME for name in tasks)
    tournaments = [read_offers(path) for path in kept]
    if not (files or given or compared or tournaments or histories):
        raise ConfigError(
            f"nothing to draw: neither {OUT}/TASK/{METADATA_NAME} nor imported scores in "
            f"{settings.prompts}; annotate experiment and annotate optimize keep them"
        )
    from stepdistill.annotator.study.plots.drawing import draw  # matplotlib takes half a second

    drawn = draw([*files, *given], compared, tournaments, histories, settings.out)
    _show(drawn.files, drawn.left_out, console)


def _show(
    files: Mapping[str, tuple[Path, Path]], left_out: Iterable[str], console: JsonSettings
) -> None:
    output = ConsoleOutput(quiet=console.is_quiet)
    if console.as_json:
        paths = {name: [str(each) for each in both] for name, both in files.items()}
        output.json({"figures": paths, "left_out": left_out})
        return
    for png, svg in files.values():
        output.show(f"{png}, {svg.suffix}")
    for line in left_out:
        output.show(f"left out: {line}")


def _tasks_of(settings: PlotsSettings, given: list[Metadata]) -> list[str]:
    """Where no task is named: those of the files that are, else all that there are."""
    if settings.metadata or settings.few_shot or settings.tournament or settings.history:
        return sorted({each.task for each in given})
    return sorted({folder.name for at in (settings.prompts, OUT) for folder in at.glob("*/")})


def _own(task: str) -> list[Path]:
    return _existing(OUT / task / part / METADATA_NAME for part in ("", _SEARCH))


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]
