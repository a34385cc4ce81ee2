"""All checks of `make check`, side by side; each prints only when it fails.

python scripts/check.py            everything that CI checks
python scripts/check.py lint       one of them, by name
"""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
TYPED = [*ROOT.glob("packages/*/src"), *ROOT.glob("tests/*"), ROOT / "scripts", ROOT / "benchmarks"]
WITH_TORCH = [each for each in TYPED if "trainer" in each.parts or each.name == "benchmarks"]
WITHOUT = [each for each in TYPED if each not in WITH_TORCH and each.name != "__pycache__"]
CHECKS = {
    # In halves and first: one process would take most of a minute, on one core.
    "types-torch": [BIN / "basedpyright", *WITH_TORCH],
    "types": [BIN / "basedpyright", *WITHOUT],
    "format": [BIN / "ruff", "format", "--check", "."],
    "lint": [BIN / "ruff", "check", "."],
    "layers": [BIN / "lint-imports"],
    "budgets": [sys.executable, "scripts/measure.py"],
    "map": [sys.executable, "scripts/write_map.py", "--check"],
    "lock": [sys.executable, "scripts/check_lock.py"],
}


def check(name: str) -> bool:
    start = time.monotonic()
    command = [str(word) for word in CHECKS[name]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    verdict = "ok" if done.returncode == 0 else "FAILED"
    print(f"{name:11} {verdict:6} {time.monotonic() - start:5.1f} s", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, flush=True)
    return done.returncode == 0


def main() -> int:
    names = sys.argv[1:] or list(CHECKS)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"no check {unknown[0]}: choose from {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(max_workers=2) as pool:
        return 0 if all(list(pool.map(check, names))) else 1


if __name__ == "__main__":
    sys.exit(main())
