"""A table with its title and notes: Markdown for the screen, CSV with all digits, LaTeX."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stepdistill.common.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """name: of its files. note: how its figures are made. digits: by column, default 3."""

    name: str
    title: str
    note: str
    frame: pd.DataFrame
    digits: dict[str, int]


def markdown(sheet: Table) -> str:
    """As a section with a heading."""
    aligned = [
        "right" if pd.api.types.is_numeric_dtype(sheet.frame[name]) else "left"
        for name in sheet.frame.columns
    ]
    table = _written(sheet).to_markdown(index=False, disable_numparse=True, colalign=aligned)
    return f"## {sheet.title}\n\n{table}\n\n{sheet.note}\n"


def write_sheet(sheet: Table, folder: Path) -> list[Path]:
    """`NAME.md`, `NAME.csv` and `NAME.tex` in a folder, which is made. Raises ConfigError."""
    latex = _written(sheet).to_latex(
        index=False, escape=True, caption=sheet.title, label=f"tab:{sheet.name}"
    )
    texts = {"md": markdown(sheet), "csv": sheet.frame.to_csv(index=False), "tex": latex}
    paths = [folder / f"{sheet.name}.{kind}" for kind in texts]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, texts.values(), strict=True):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be written ({error.strerror})") from None
    return paths


def _written(sheet: Table) -> pd.DataFrame:
    """All cells as words."""
    return pd.DataFrame(
        {
            name.replace("_", " "): [_word(value, sheet.digits.get(name, 3)) for value in column]
            for name, column in sheet.frame.items()
            if isinstance(name, str)
        }
    )


def _word(value: object, digits: int) -> str:
    if value is None or value != value:  # NaN is not itself
        return ""
    return f"{value:.{digits}f}" if isinstance(value, float) else str(value)
