"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

TaskName = Annotated[str, typer.Argument(help="A folder of --prompts, e.g. demo, svamp, cqa.")]
Splits = Annotated[
    list[str] | None, typer.Option("--split", help="May be given several times; default train.")
]
Data = Annotated[
    str | None,
    typer.Option(help="Folder or file of rows (jsonl, csv, parquet; .gz too), or hub:NAME."),
]
Samples = Annotated[int | None, typer.Option(min=1, help="Only the first N rows of each split.")]
TemplateId = Annotated[
    str | None, typer.Option("--template", help="One template for label and rationale.")
]
MixName = Annotated[
    str | None,
    typer.Option("--mix", help="A mix of the task by name, or a file; default: default."),
]
Prompts = Annotated[
    Path | None, typer.Option(help="Folder of tasks; default: ./prompts, else the project's own.")
]
Store = Annotated[
    Path, typer.Option(help="Folder of the response store: nothing is paid for twice.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]
