"""The short form of the storm: ``tests/storm.py`` has the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

STORM = Path(__file__).parents[1] / "storm.py"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes under /proc")
def test_kills_at_random_moments_lose_double_and_leave_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(STORM), "--rounds", "2", "--minutes", "5", "--folder", str(tmp_path / "storm")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " 0 faults; " in ended.stdout
