"""The map in docs/architecture.md: every file of the packages, by room, in its docstring's words.

python scripts/write_map.py            write it
python scripts/write_map.py --check    exit 1 when it is not what the files say
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- map: scripts/write_map.py -->\n", "<!-- end of map -->\n"
PACKAGES = ("common", "annotator", "trainer")


def main() -> int:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    drawn = f"{before}{BEGIN}{''.join(map(package_map, PACKAGES))}{END}{after}"
    if "--check" in sys.argv and drawn != text:
        print("docs/architecture.md: its map is not what the files say; run scripts/write_map.py")
        return 1
    DOCUMENT.write_text(drawn, encoding="utf-8")
    return 0


def package_map(package: str) -> str:
    """A package's files under their rooms: its own first, then each folder's, as the path goes."""
    source = ROOT / "packages" / package / "src" / "stepdistill" / package
    rooms: dict[Path, list[Path]] = defaultdict(list)
    for file in source.rglob("*.py"):
        rooms[file.parent].append(file)
    lines = [f"\n### {package}\n"]
    for room in sorted(rooms):
        name = room.relative_to(source).as_posix()
        about = first_sentence(room / "__init__.py")
        lines.append(f"\n{about}\n\n" if name == "." else f"\n**`{name}/`** {about}\n\n")
        lines += [
            f"- `{file.name}`: {first_sentence(file)}\n"
            for file in sorted(rooms[room])
            if file.name != "__init__.py"
        ]
    return "".join(lines)


def first_sentence(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    # "Prices. One's own first, then the list." -> "Prices"
    return re.split(r"\. (?=[A-Z`])", paragraph)[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
