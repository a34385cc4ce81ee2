"""Keys, digests, stored values and shards stay, byte for byte, what an earlier version made.

The scenes are in `golden/`, and what came of them is in `golden/expected.json`. A test that fails
here says that answers which people paid for would be asked again, that finished runs would be done
again, or that shards of the same inputs would be others. Where that is meant, and nowhere else:

    python -m tests.journeys.golden.record
"""

import hashlib
import json
from pathlib import Path

import pytest

from tests.journeys.golden.commands import results
from tests.journeys.golden.scenes import EXPECTED, SCENES, set_out
from tests.journeys.golden.store_scenes import STORE_SCENES

ALL = {**SCENES, **STORE_SCENES}


@pytest.mark.parametrize("name", ALL)
def test_what_comes_of_it_is_what_came_of_it(name: str, tmp_path: Path) -> None:
    expected = json.loads(EXPECTED.read_text(encoding="utf-8"))
    assert expected.keys() == ALL.keys()
    set_out(tmp_path)
    assert ALL[name](tmp_path) == expected[name]


def test_a_key_is_the_sha256_of_who_is_asked_and_what(tmp_path: Path) -> None:
    set_out(tmp_path)
    words = (
        "pick",
        "--data",
        "rows",
        "--template",
        "as-json",
        "--row",
        "4",
        "--prompts",
        "prompts",
    )
    to = ("--teacher", "m", "--base-url", "https://teacher.example:8443/v1")
    (shown,) = results(tmp_path, ("prompts", "render", *words, *to))
    (request,) = shown["requests"]

    limit = request["body"].pop("max_tokens")  # what merely limits the answer is outside
    content = ["teacher.example:8443", "/v1/chat/completions", request["body"], 0]
    canonical = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert limit == 512
    assert request["key"] == hashlib.sha256(canonical.encode()).hexdigest()
