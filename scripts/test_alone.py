"""Run each package's tests with only that package installed, in an environment made for it.

python3 scripts/test_alone.py              all three
python3 scripts/test_alone.py annotator    one of them
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = (
    *("pytest", "pytest-asyncio", "pytest-socket", "pytest-timeout", "hypothesis"),
    # What tests make other people's files and servers with.
    *("openpyxl", "pandas", "trustme"),
)


def main() -> int:
    failed = [
        name for name in sys.argv[1:] or ("common", "annotator", "trainer") if not alone(name)
    ]
    print(f"alone: {', '.join(failed)} FAILED" if failed else "alone: all passed")
    return 1 if failed else 0


def alone(package: str) -> bool:
    print(f"\n{package} alone", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STEPDISTILL_VENV": folder}
        install = [sys.executable, "scripts/install.py", package]
        subprocess.run(install, cwd=ROOT, env=environment, check=True, stderr=subprocess.DEVNULL)
        uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
        python = f"{folder}/bin/python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *TOOLS], check=True)
        tests = subprocess.run(
            [python, "-m", "pytest", "-q", f"tests/{package}"], cwd=ROOT, check=False
        )
    return tests.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
