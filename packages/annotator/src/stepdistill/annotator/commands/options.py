"""Options that several commands share."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer

from stepdistill.annotator.reading.readers import VERSIONS
from stepdistill.annotator.settings.run import MODELS, PRICES, default_prompts
from stepdistill.common.errors import ConfigError


def _connections(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= 65_536:
        raise ConfigError(f"--concurrency {text}: a number from 1, or auto")
    return int(text)


def _models_file(models: Path | None) -> Path | None:
    return models or (MODELS if MODELS.is_file() else None)


def _prices_file(prices: Path | None) -> Path | None:
    return prices or (PRICES if PRICES.is_file() else None)


def _usd(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or amount < 0:
        raise ConfigError(f"--max-cost {text}: US dollars, as 5 or 0.25")
    return amount


TaskName = Annotated[str, typer.Argument(help="A folder of --prompts, e.g. demo, svamp, cqa.")]
Splits = Annotated[
    list[str] | None,
    typer.Option("--split", "--splits", help="Given several times, or with commas; default train."),
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
    Path,
    typer.Option(
        default_factory=default_prompts,
        show_default=False,
        help="Folder of tasks; default: ./prompts, else the project's own.",
    ),
]
Store = Annotated[
    Path, typer.Option(help="Folder of the response store: nothing is paid for twice.")
]
BaseUrl = Annotated[
    str | None, typer.Option(help="An OpenAI-compatible server, as http://localhost:8000/v1.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask nobody: what the store has must do.")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        parser=_connections,
        metavar="N",
        show_default="auto",
        help="Requests in flight at most, or auto: found by itself.",
    ),
]
RequestsPerMinute = Annotated[
    float | None, typer.Option(min=0.1, help="Your limit; the teacher's headers may lower it.")
]
TokensPerMinute = Annotated[
    float | None, typer.Option(min=1, help="Likewise; a request counts max(answer, prompt).")
]
Models = Annotated[
    Path | None,
    typer.Option(callback=_models_file, help="YAML of options by model; default ./models.yaml."),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        callback=_prices_file, help="YAML of your own prices by model; default ./prices.yaml."
    ),
]
MaxCost = Annotated[
    Decimal | None,
    typer.Option(
        parser=_usd,
        metavar="USD",
        help="What this run may cost, over all its restarts: then it stops.",
    ),
]
BudgetName = Annotated[
    str | None,
    typer.Option("--budget", help="Share --max-cost, by this name, with other runs on the store."),
]
Log = Annotated[
    Path | None, typer.Option(help="Append what happens to this file, a JSON line each.")
]
MaxTokens = Annotated[int, typer.Option(min=1, help="The longest answer asked for, in tokens.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait for one answer.")]
ReaderName = Annotated[
    str, typer.Option("--reader", help=f"Who reads the answers: {', '.join(VERSIONS)}.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, only the result.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


def split_names(splits: list[str] | None) -> tuple[str, ...]:
    """The splits that --split names, each once."""
    names = [name.strip() for word in splits or ["train"] for name in word.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def shared(budget: str | None, max_cost: Decimal | None) -> str | None:
    """The name that --budget says. Raises ConfigError: a budget without a ceiling."""
    if budget is not None and max_cost is None:
        raise ConfigError(f"--budget {budget} needs --max-cost: the USD that its runs may cost")
    return budget
