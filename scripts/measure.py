"""Budgets: sizes of files and functions, small modules, class names, comments, cycles, mocks.

    python scripts/measure.py              exit 1 and a line for everything over its budget
    python scripts/measure.py --table      sizes and comments of every package

An exception stands beside its cause: `# budget: REASON` on the `def` or `class` line, or among a
file's first lines.
"""

import ast
import io
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES, FUNCTION_LINES, PARAMETERS = 400, 40, 6
# A module this small belongs into its only importer, unless a test or another package uses it, too.
SMALL_MODULE = 60
# 31,500 as the rooms were cut; the tool does twice as much since (dialects, files, pages, audits),
# and what goes past one machine and chooses what to buy (rows, reasons, the whole loop) is built on
# top.
PACKAGES_LINES = 77_000
COMMENTS = 0.03
FORBIDDEN_NAMES = {"utils.py", "helpers.py", "types.py", "base.py"}
MOCKS = re.compile(r"\b(unittest[.]mock|Magic[M]ock|monkeypatch[.]setattr|mocke[r])\b")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> int:
    files = sorted([*ROOT.glob("packages/*/src/**/*.py"), *ROOT.glob("packages/*/*.py")])
    others = [*ROOT.glob("scripts/*.py"), *ROOT.glob("benchmarks/*.py")]
    tests = sorted(ROOT.glob("tests/**/*.py"))
    if "--table" in sys.argv:
        print_table(files, tests)
        return 0
    problems = [problem for file in [*files, *tests, *others] for problem in over_budget(file)]
    problems += [f"import cycle: {' -> '.join(cycle)}" for cycle in cycles(files)]
    problems += [*same_names(files), *split_for_nothing(files, [*tests, *others]), *in_all(files)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def over_budget(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8")
    lines, where = text.splitlines(), file.relative_to(ROOT)
    if len(lines) > FILE_LINES and "# budget:" not in "\n".join(lines[:30]):
        yield f"{where}: {len(lines)} lines, the budget is {FILE_LINES}"
    if file.name in FORBIDDEN_NAMES:
        yield f"{where}: a file is named for what it holds"
    if MOCKS.search(text):
        yield f"{where}: a mock, where a real part can stand"
    for function in functions(text):
        if "# budget:" not in lines[function.lineno - 1]:
            yield from function_over_budget(function, f"{where}:{function.lineno}")


def function_over_budget(function: Function, where: str) -> Iterator[str]:
    length = (function.end_lineno or function.lineno) - function.lineno + 1
    if length > FUNCTION_LINES:
        yield f"{where}: {function.name} has {length} lines, the budget is {FUNCTION_LINES}"
    count = len(parameters(function))
    if count > PARAMETERS:
        yield f"{where}: {function.name} has {count} parameters, the budget is {PARAMETERS}"


@cache
def nodes_of(text: str) -> list[ast.AST]:
    """Every node of a file that something here looks at; each file is parsed and walked once."""
    wanted = (Function, ast.Import, ast.ImportFrom, ast.ClassDef)
    return [node for node in ast.walk(ast.parse(text)) if isinstance(node, wanted)]


def functions(text: str) -> Iterator[Function]:
    return (node for node in nodes_of(text) if isinstance(node, Function))


def parameters(function: Function) -> list[str]:
    given = function.args.posonlyargs + function.args.args + function.args.kwonlyargs
    return [argument.arg for argument in given if argument.arg not in ("self", "cls")]


def cycles(files: list[Path]) -> list[list[str]]:
    """Every import cycle, deferred and type-only imports included."""
    graph = {module_of(file): imports_of(file) for file in files if "src" in file.parts}
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            found.append([*path[path.index(module) :], module])
        elif module in graph and module not in done:
            for imported in sorted(graph[module]):
                visit(imported, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def same_names(files: list[Path]) -> Iterator[str]:
    """Public classes that share a name: one word for one thing, in the whole repository."""
    places: dict[str, list[str]] = defaultdict(list)
    for file in files:
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and "# budget:" not in lines[node.lineno - 1]:
                places[node.name].append(str(file.relative_to(ROOT)))
    for name, found in places.items():
        if len(found) > 1 and name[0] != "_":
            yield f"{found[0]}: class {name} is one of {found[1]}, too"


def split_for_nothing(files: list[Path], others: list[Path]) -> Iterator[str]:
    """Small modules with a single importer that are no seam: nothing else stands on them."""
    importers: dict[str, set[str]] = defaultdict(set)
    for file in [*files, *others]:
        name = module_of(file) if "src" in file.parts else str(file.relative_to(ROOT))
        for module in imports_of(file):
            importers[module].add(name)
    for file in files:
        text = file.read_text(encoding="utf-8")
        is_small = len(text.splitlines()) < SMALL_MODULE and file.name[:2] != "__"
        alone = "src" in file.parts and len(importers[module_of(file)]) == 1
        if is_small and alone and "# budget:" not in text:
            (only,) = importers[module_of(file)]
            yield f"{file.relative_to(ROOT)}: only {only} imports it, and it is small: merge them"


def in_all(files: list[Path]) -> Iterator[str]:
    """What holds for the packages as a whole."""
    texts = [file.read_text(encoding="utf-8") for file in files]
    lines, comments = sum(map(lines_of, texts)), sum(map(comments_of, texts))
    if lines > PACKAGES_LINES:
        yield f"packages: {lines:,} lines, the budget is {PACKAGES_LINES:,}"
    if comments < COMMENTS * lines:
        yield f"packages: {comments / lines:.1%} of lines have a comment, at least {COMMENTS:.0%}"


def lines_of(text: str) -> int:
    return len(text.splitlines())


def comments_of(text: str) -> int:
    """Lines with a comment that tells a reader something: marks for tools do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(not re.match(r"#\s*(noqa|pyright|budget|fmt|type):?", each) for each in comments)


def module_of(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(parts[parts.index("src") + 1 :]).removesuffix(".__init__")


@cache
def imports_of(file: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes_of(file.read_text(encoding="utf-8")):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def print_table(files: list[Path], tests: list[Path]) -> None:
    headings = ("files", "lines", "max file", "functions", "max function", "comments")
    print(f"{'':12} {' '.join(f'{heading:>12}' for heading in headings)}")
    for name in ("common", "annotator", "trainer"):
        print_row(name, [file for file in files if f"packages/{name}/" in str(file)])
    print_row("tests", tests)


def print_row(name: str, files: list[Path]) -> None:
    texts = [file.read_text(encoding="utf-8") for file in files]
    sizes = [len(text.splitlines()) for text in texts] or [0]
    lengths = [(f.end_lineno or 0) - f.lineno + 1 for text in texts for f in functions(text)] or [0]
    share = sum(map(comments_of, texts)) / max(1, sum(sizes))
    numbers = (len(files), sum(sizes), max(sizes), len(lengths), max(lengths))
    print(f"{name:12} {' '.join(f'{number:12,}' for number in numbers)} {share:12.1%}")


if __name__ == "__main__":
    sys.exit(main())
