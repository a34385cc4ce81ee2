"""The lock is up to date, and names nothing but the public registry and this workspace."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = "https://pypi.org/simple"


def main() -> int:
    text = (ROOT / "uv.lock").read_text(encoding="utf-8")
    problems = [
        f"registry {url}" for url in re.findall(r'registry = "([^"]+)"', text) if url != PUBLIC
    ]
    problems += [f"local path {path}" for path in re.findall(r'path = "(/[^"]+)"', text)]
    for problem in sorted(set(problems)):
        print(f"uv.lock names a {problem}: lock again without local settings (`make lock`)")
    return 1 if problems or outdated() else 0


def outdated() -> bool:
    uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    environment = {key: value for key, value in os.environ.items() if key != "UV_FIND_LINKS"}
    command = [uv, "lock", "--check", "--quiet"]
    try:
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    except FileNotFoundError:
        print("uv is not here, so whether uv.lock is up to date is not known: run `make setup`")
        return True
    if done.returncode:
        print("uv.lock is out of date: run `make lock`")
    return done.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
