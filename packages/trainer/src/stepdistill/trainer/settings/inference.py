"""Settings of what uses a trained student: predict, evaluate, serve."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, Token

from stepdistill.common.command_line import (
    FILE_OR_INPUT,
    PLACE,
    PLACES,
    Settings,
    at_least,
    between,
    options,
)
from stepdistill.common.errors import ConfigError, NothingThere, StorageRefused
from stepdistill.common.files.folders import local_folder
from stepdistill.common.files.storage import fetch, refuse_read_only, staged_path
from stepdistill.common.tables.table_file import CELLS, ending_of
from stepdistill.common.urls import Place, Url, place_of
from stepdistill.trainer.settings.train import RESULTS_NAME


def _copied(_: object, tokens: Sequence[Token]) -> Path:
    """The student's folder; of one elsewhere a copy, with its run's results beside it."""
    place = place_of(tokens[-1].value)
    try:
        folder = local_folder(place)
        if isinstance(place, Url):
            with suppress(NothingThere, StorageRefused):
                fetch(place.parent / RESULTS_NAME, folder.parent / RESULTS_NAME)
    except OSError as error:
        raise ConfigError(f"{place}: cannot be copied here ({error.strerror})") from None
    return folder


@options("Student", 1, kw_only=False)
class StudentSettings(Settings):
    """A trained student."""

    model: Annotated[Path, Parameter(converter=_copied, n_tokens=1)]
    """The folder `model` of a finished run, also a URL."""


@options("Student", 1)
class RowsAtOnceSettings(Settings):
    """How the student works."""

    batch_size: Annotated[int, at_least(1)] = 64
    """Rows at once."""


@options("Output", 3)
class QuietSettings(Settings):
    """What is shown."""

    quiet: bool = False
    """No progress."""


@options("Rows and answers", 2, kw_only=False)
class PredictSettings(RowsAtOnceSettings, QuietSettings, StudentSettings):
    """Rows to label."""

    input: Annotated[str, FILE_OR_INPUT]
    """Rows: CSV, TSV, JSON, Excel, Parquet; also a URL, as s3://...; - is standard input."""
    _: KW_ONLY
    to: Annotated[Place | None, PLACE] = None
    """A file for your rows, answers beside them: .csv, .tsv, .jsonl (.gz, .zst), .parquet; also
    a URL."""
    output: Annotated[Place | None, PLACE] = None
    """A file for the answers alone, as the lines on the screen; also a URL."""
    force: bool = False
    """Replace that file, whatever it holds."""
    column: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Which column a field is, as question=Frage; may be repeated."""
    explain: bool = False
    """Add the student's rationale."""
    abstain_below: Annotated[float, between(0, 1)] = 0.0
    """No label that is less likely."""
    escape_formulas: bool = False
    """In a CSV, put ' before texts that a spreadsheet takes for formulas."""

    def check(self) -> None:
        super().check()
        if self.to is not None and self.output is not None:
            raise ConfigError("--to and --output exclude each other: --to has your columns, too")
        if isinstance(self.goal, Url):
            refuse_read_only(self.goal)
        named = None if self.to is None else Path(self.to.name)
        is_of_cells = named is not None and ending_of(named).startswith(CELLS)
        if self.escape_formulas and not is_of_cells:
            raise ConfigError("--escape-formulas goes with --to FILE.csv or FILE.tsv")
        for word in self.column:
            if not all(part.strip() for part in (*word.partition("=")[::2],)):
                raise ConfigError(f"--column {word}: FIELD=COLUMN, as question=Frage")

    @property
    def goal(self) -> Place | None:
        """The file that is written; None for the screen."""
        return self.output if self.to is None else self.to

    @property
    def target(self) -> Path | None:
        """Where it is written on this machine; what belongs elsewhere is put there once whole."""
        return None if self.goal is None else staged_path(self.goal)

    @property
    def given_columns(self) -> dict[str, str]:
        """field -> column, as somebody said."""
        return {name: column for name, _, column in (word.partition("=") for word in self.column)}


@options("Rows and answers", 2, kw_only=False)
class CompareSettings(QuietSettings, StudentSettings):
    """A student, and rows that its teacher labelled, too."""

    folders: Annotated[tuple[Place, ...], PLACES]
    """Folders of shards, also URLs."""
    _: KW_ONLY
    judgements: Path | None = None
    """What people judged (`annotate audit`): their labels are gold labels."""
    usd_per_hour: Annotated[float | None, at_least(0)] = None
    """What this machine costs."""
    json: Annotated[Place | None, PLACE] = None
    """A file for all figures; also a URL."""
    html: Annotated[Place | None, PLACE] = None
    """A page, also at a URL: labels one by one, rows where student and teacher differ, how it
    learnt."""


@options("Export", 2, kw_only=False)
class StudentExportSettings(QuietSettings, StudentSettings):
    """What a student is exported to, and the rows that it is checked on."""

    _: KW_ONLY
    to: Literal["onnx", "ctranslate2"]
    """What computes it; ctranslate2: T5s and BARTs alone."""
    output: Path
    """The folder that is written; predict, evaluate and serve take it."""
    precision: Literal["fp32", "int8"] = "fp32"
    """int8: a fourth as large, quicker, and not the same to the last digit."""
    rows: Annotated[tuple[Place, ...], PLACES] = ()
    """Folders of shards, or a file of rows, to check it on; default: the run's test rows."""
    agree: Annotated[float, between(0, 1)] = 0.995
    """Share of these rows that must get the label that the student gives them."""
    force: bool = False
    """Replace an export that is there."""


@options("Address", 2, kw_only=False)
class ServeSettings(RowsAtOnceSettings, StudentSettings):
    """Where a student is served."""

    _: KW_ONLY
    host: str = "127.0.0.1"
    """0.0.0.0: for other machines, too."""
    port: Annotated[int, between(0, 65_535)] = 8080
    """0: a free one."""
