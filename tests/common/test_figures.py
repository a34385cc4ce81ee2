"""A figure is written twice, with its caption, and the same way each time."""

# matplotlib types its keyword arguments in part only.
# pyright: reportUnknownMemberType=false
from pathlib import Path

from matplotlib.figure import Figure

from stepdistill.common.figures import Picture, write_picture

CAPTION = (
    "Mean of 3 seeds, n = 300 rows each; no selection. Bars are 95 % intervals over the seeds."
)


def paint(figure: Figure) -> None:
    axes = figure.subplots()
    axes.errorbar([0, 1, 2], [0.4, 0.5, 0.6], yerr=0.05, capsize=3)
    axes.set(xlabel="share of the data", ylabel="test accuracy")


def drawn(folder: Path) -> tuple[bytes, bytes]:
    png, svg = write_picture(Picture(name="one", caption=CAPTION, paint=paint), folder)
    return png.read_bytes(), svg.read_bytes()


def test_a_picture_is_png_and_svg_with_its_caption(tmp_path: Path) -> None:
    png, svg = drawn(tmp_path / "made" / "here")
    assert png.startswith(b"\x89PNG")
    assert CAPTION.encode() in png
    assert CAPTION.encode() in svg
    assert b"share of the data" in svg


def test_the_same_picture_is_the_same_bytes(tmp_path: Path) -> None:
    assert drawn(tmp_path / "a") == drawn(tmp_path / "b")
