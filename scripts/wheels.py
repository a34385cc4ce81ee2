"""Build the wheels of the three packages into dist/, as they would be published.

python3 scripts/wheels.py [FOLDER]
"""

import sys
from pathlib import Path

from install import ROOT, find_uv, run


def main() -> int:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").absolute()
    run(find_uv(), "build", "--quiet", "--wheel", "--all-packages", "--out-dir", str(folder))
    for wheel in sorted(folder.glob("*.whl")):
        print(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
