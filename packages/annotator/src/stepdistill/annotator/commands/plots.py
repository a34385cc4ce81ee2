"""`annotate plots`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.commands.options import AsJson, Prompts
from stepdistill.annotator.console.screen import ConsoleOutput
from stepdistill.annotator.prompt.yaml_file import read_yaml
from stepdistill.annotator.settings.run import OUT
from stepdistill.annotator.study.few_shot_cost import FEW_SHOT_COST_NAME, FewShotCost
from stepdistill.annotator.study.metadata import METADATA_NAME, Metadata
from stepdistill.annotator.study.optimize.history import HISTORY_NAME, read_history
from stepdistill.common.errors import ConfigError

_SEARCH = "search"


def plots_command(  # budget: a command's options are its parameters
    *,
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    task: Annotated[
        list[str] | None,
        typer.Option(help="A task; may be repeated. Default: all that something is known of."),
    ] = None,
    metadata: Annotated[
        list[Path] | None,
        typer.Option(
            help=f"In place of {OUT}/TASK/{METADATA_NAME} and the search's; may be repeated."
        ),
    ] = None,
    few_shot: Annotated[
        list[Path] | None,
        typer.Option(help=f"In place of {OUT}/TASK/{FEW_SHOT_COST_NAME}; may be repeated."),
    ] = None,
    history: Annotated[
        list[Path] | None,
        typer.Option(help=f"In place of {OUT}/TASK/{_SEARCH}/{HISTORY_NAME}; may be repeated."),
    ] = None,
    prompts: Prompts,
    as_json: AsJson = False,
) -> None:
    """Draw what is known about templates, their searches and their costs, as PNG and SVG.

    From the metadata that experiments and searches keep, from the scores that were imported beside
    a task's templates, and from what `annotate estimate --few-shot` kept. What the data do not have
    is left out, and said.

    Examples:

        annotate plots --out figures

        annotate plots --out figures --task cqa --task esnli

        annotate plots --out figures --history runs/demo/search/history.jsonl
    """
    named = bool(task or metadata or few_shot or history)
    given = [read_yaml(path, Metadata) for path in metadata or ()]
    tasks = task or (sorted({each.task for each in given}) if named else _all_tasks(prompts))
    files = [
        read_yaml(path, Metadata)
        for name in tasks
        for path in [*_imported(prompts, name), *(() if metadata else _own(name))]
    ]
    searches = history or _existing(OUT / name / _SEARCH / HISTORY_NAME for name in tasks)
    histories = {path: read_history(path) for path in searches}
    estimates = few_shot or _existing(OUT / name / FEW_SHOT_COST_NAME for name in tasks)
    compared = [read_yaml(path, FewShotCost) for path in estimates]
    if not (files or given or compared or histories):
        raise ConfigError(
            f"nothing to draw: neither {OUT}/TASK/{METADATA_NAME} nor imported scores in "
            f"{prompts}; annotate experiment and annotate optimize keep them"
        )
    from stepdistill.annotator.study.plots.drawing import draw  # matplotlib takes half a second

    drawn = draw([*files, *given], compared, histories, out)
    screen = ConsoleOutput(quiet=as_json)
    if as_json:
        paths = {name: [str(each) for each in both] for name, both in drawn.files.items()}
        screen.json({"figures": paths, "left_out": drawn.left_out})
        return
    for png, svg in drawn.files.values():
        screen.show(f"{png}, {svg.suffix}")
    for line in drawn.left_out:
        screen.show(f"left out: {line}")


def _all_tasks(prompts: Path) -> list[str]:
    folders = [*prompts.glob("*/"), *OUT.glob("*/")]
    return sorted({folder.name for folder in folders})


def _imported(prompts: Path, task: str) -> list[Path]:
    return sorted((prompts / task).glob("metadata-*.yaml"))


def _own(task: str) -> list[Path]:
    return _existing(OUT / task / part / METADATA_NAME for part in ("", _SEARCH))


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in paths if path.is_file()]
