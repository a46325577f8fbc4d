"""The fuzzing of the ledger's decoders can be run at any time; this runs a moment of it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from sync_pipelines_tests.fuzz.ledger_bytes import TARGETS
from sync_pipelines_tests.pipelines.ledger.sources import small_ledger

SAMPLES = [b"", b"\0", b"\xff" * 100, small_ledger(3), small_ledger(3)[16:]]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_takes_any_bytes(target: str) -> None:
    for sample in SAMPLES:
        TARGETS[target](sample)


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed (pip install atheris, on Linux)"
)
@pytest.mark.parametrize("runs", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_a_moment_of_fuzzing_finds_nothing(tmp_path: Path, runs: int) -> None:
    command = [sys.executable, "-m", "sync_pipelines_tests.fuzz.ledger_bytes", f"-runs={runs}", "-seed=1"]
    root = Path(__file__).parents[2]

    ran = subprocess.run(
        [*command, f"-artifact_prefix={tmp_path}/"], cwd=root, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    assert f"Done {runs} runs" in ran.stderr
