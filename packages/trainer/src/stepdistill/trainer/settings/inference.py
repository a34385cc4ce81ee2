"""Settings of what uses a trained student: predict, evaluate, serve."""

from dataclasses import KW_ONLY
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepdistill.common.command_line import FILE_OR_INPUT, Settings, at_least, between, options
from stepdistill.common.errors import ConfigError
from stepdistill.common.tables.table_file import CELLS, ending_of


@options("Student", 1, kw_only=False)
class StudentSettings(Settings):
    """A trained student."""

    model: Path
    """The folder `model` of a finished run."""


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
    to: Path | None = None
    """A file for your rows, answers beside them: .csv, .tsv, .jsonl (.gz, .zst), .parquet."""
    output: Path | None = None
    """A file for the answers alone, as the lines on the screen."""
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
        is_of_cells = self.to is not None and ending_of(self.to).startswith(CELLS)
        if self.escape_formulas and not is_of_cells:
            raise ConfigError("--escape-formulas goes with --to FILE.csv or FILE.tsv")
        for word in self.column:
            if not all(part.strip() for part in (*word.partition("=")[::2],)):
                raise ConfigError(f"--column {word}: FIELD=COLUMN, as question=Frage")

    @property
    def target(self) -> Path | None:
        """The file that is written; None for the screen."""
        return self.output if self.to is None else self.to

    @property
    def given_columns(self) -> dict[str, str]:
        """field -> column, as somebody said."""
        return {name: column for name, _, column in (word.partition("=") for word in self.column)}


@options("Rows and answers", 2, kw_only=False)
class CompareSettings(QuietSettings, StudentSettings):
    """A student, and rows that its teacher labelled, too."""

    folders: tuple[Path, ...]
    """Folders of shards."""
    _: KW_ONLY
    judgements: Path | None = None
    """What people judged (`annotate audit`): their labels are gold labels."""
    usd_per_hour: Annotated[float | None, at_least(0)] = None
    """What this machine costs."""
    json: Path | None = None
    """A file for all figures."""
    html: Path | None = None
    """A page: labels one by one, rows where student and teacher differ, how it learnt."""


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
    rows: tuple[Path, ...] = ()
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
