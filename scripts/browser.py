"""What the tests of pages in a browser need: Debian's Chromium with its driver, and axe-core.

    python scripts/browser.py      install what is missing, as far as this machine allows

Nothing fails for it: tests that find no browser are skipped, and say so.
"""

import base64
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AXE = ROOT / ".cache" / "axe-core" / "axe.min.js"
_AXE = "axe-core@4.14.1"
_AXE_SHA512 = (
    "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)
_DEBIAN = ("chromium", "chromium-driver")


def main() -> int:
    for what, there, install in (
        ("chromium and chromedriver", has_browser(), install_browser),
        (_AXE, AXE.is_file(), fetch_axe),
    ):
        problem = None if there else install()
        print(f"{what}: {problem or 'there'}")
    return 0


def has_browser() -> bool:
    return all(shutil.which(name) for name in ("chromium", "chromedriver"))


def install_browser() -> str | None:
    """What is in the way, if anything."""
    words = ["apt-get", "install", "--yes", "--no-install-recommends", *_DEBIAN]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return f"missing; where apt is: sudo {' '.join(words)}"
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], words):
        done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    return (
        None if done.returncode == 0 else f"not installed: {(done.stderr or '?').splitlines()[-1]}"
    )


def fetch_axe() -> str | None:
    """What is in the way, if anything. axe-core is one file of its package."""
    npm = shutil.which("npm")
    if npm is None:
        return "missing, and npm that could fetch it is, too"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [npm, "pack", _AXE, "--pack-destination", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        files = list(Path(folder).glob("*.tgz"))
        if done.returncode or not files:
            return f"npm pack failed: {done.stderr.strip().splitlines()[-1:]}"
        content = files[0].read_bytes()
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != _AXE_SHA512:
        return "not what was expected (sha512)"
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        file = archive.extractfile("package/axe.min.js")
        assert file is not None
        AXE.parent.mkdir(parents=True, exist_ok=True)
        AXE.write_bytes(file.read())
    return None


if __name__ == "__main__":
    sys.exit(main())
