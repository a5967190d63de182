"""The way of someone who has just heard of it: a clone, one command, a decision shown, an answer to curl."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]


def test_from_a_clone_to_a_decision(tmp_path: Path) -> None:
    """In a fresh clone `make run` makes its environment from the lock, shows what README shows, and answers README's curl."""
    clone = tmp_path / "numa-extender"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    out = tmp_path / "out"
    with out.open("wb") as output:
        run = subprocess.Popen(
            ["make", "run", f"PYTHON={sys.executable}"], cwd=clone, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 600
        while "Ctrl-C stops it." not in out.read_text():
            assert run.poll() is None, out.read_text()
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.2)
        output_shown = "\n".join(line.rstrip() for line in out.read_text().splitlines())
        (shown,) = re.findall(r"^```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
        for part in filter(str.strip, shown.split("...\n")):
            assert part.strip("\n") in output_shown

        ((path, file),) = re.findall(r"^curl -s http://127.0.0.1:8099(\S+) -d @(\S+)$", README, re.MULTILINE)
        with urllib.request.urlopen(f"http://127.0.0.1:8099{path}", (clone / file).read_bytes()) as response:
            (answer,) = re.findall(r"^```json\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
            assert json.loads(answer) == json.load(response)
    finally:
        os.killpg(run.pid, signal.SIGINT)
        run.wait(60)
