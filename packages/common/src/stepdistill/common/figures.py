"""How every figure looks, and how it is written: PNG and SVG, with its caption inside."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart with any colour vision, and in grey by the markers beside them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SHADES = "cividis"  # a map of colours that rises evenly in lightness

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.dpi": 144,
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 144,
    # The same figures make the same bytes.
    "svg.hashsalt": "stepdistill",
    "svg.fonttype": "none",
}
_CAPTION_SIZE = 8
_LETTERS_PER_INCH = 17  # of the caption, at that size


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One figure before it is drawn; sizes are in inches."""

    name: str  # of its files, without an ending
    caption: str  # says n and how its data were chosen
    paint: Callable[[Figure], None]  # puts axes and marks on an empty figure
    width_in: float = 6.4
    height_in: float = 4.2


def write_picture(picture: Picture, folder: Path) -> tuple[Path, Path]:
    """Draw a picture as `NAME.png` and `NAME.svg` in a folder, which is made; both paths."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = (folder / f"{picture.name}.{kind}" for kind in ("png", "svg"))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(picture.width_in, picture.height_in), layout="constrained")
        FigureCanvasAgg(figure)
        picture.paint(figure)
        lines = wrap(picture.caption, int(picture.width_in * _LETTERS_PER_INCH))
        # As a label of the whole figure it gets its own room below the axes.
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=_CAPTION_SIZE, color="0.3")
        figure.savefig(png, metadata={"Description": picture.caption})
        figure.savefig(svg, metadata={"Description": picture.caption, "Date": None})
    return png, svg
