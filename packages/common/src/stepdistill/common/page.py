"""Texts made of templates. An HTML page needs nothing else, and every text in it is escaped."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from stepdistill.common.terminal import visible

_SHARED = Path(__file__).parent / "templates"


def rendered(template: Path, **values: object) -> str:
    """A template, filled. One that extends `page.html.jinja` is a whole page: styles inside, no
    script."""
    import jinja2  # a tenth of a second to import: only where a page is written

    is_page = template.name.endswith(".html.jinja")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, _SHARED]),
        autoescape=is_page,
        finalize=_seen if is_page else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    ours: dict[str, Any] = {
        "usd": usd,
        "usd_alike": usd_alike,
        "percent": percent,
        "n": "{:,}".format,
    }
    environment.filters.update(ours)
    return environment.get_template(template.name).render(**values)


def _seen(value: object) -> object:
    """Texts with what marks their direction shown: a teacher's words turn no others round."""
    return visible(value) if type(value) is str else value  # not what is HTML already


def usd(amount: Decimal | float | None) -> str:
    """Four digits, more where it is less than a cent."""
    if amount is None:
        return "-"
    return f"{amount:,.4f}" if abs(amount) >= Decimal("0.01") or not amount else f"{amount:.7f}"


def usd_alike(amounts: Iterable[Decimal | float]) -> list[str]:
    """A column of them: the same number of decimals in all, so that they stand below each other."""
    known = list(amounts)
    digits = 4 if all(not each or abs(each) >= Decimal("0.01") for each in known) else 7
    return [f"{each:,.{digits}f}" for each in known]


def percent(share: float | None) -> str:
    """As `87.5 %`."""
    return "-" if share is None else f"{100 * share:.1f} %"
