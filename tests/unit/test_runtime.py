"""The runtime directory: private, told to workers, and gone with its master."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.web import runtime

MAKE = "from pathlib import Path; from app.web import runtime; import os; d = runtime.make(Path({parent!r})); print(d);"
ROOT = Path(__file__).resolve().parents[2]


def run(parent: Path, then: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A process that makes a directory and goes on; the directory, and how it ended."""
    script = MAKE.format(parent=str(parent)) + then
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    return Path(done.stdout.splitlines()[0]), done


def test_directory_is_private_and_announced(tmp_path: Path) -> None:
    look = "s = os.stat(d); print(oct(s.st_mode & 0o777), os.environ['DSA110_RUNTIME_DIR'], sorted(os.listdir(d)))"
    directory, done = run(tmp_path, look)
    assert done.stdout.splitlines()[1] == f"0o700 {directory} ['lock', 'metrics', 'workers']"


def test_directory_goes_when_its_master_ends(tmp_path: Path) -> None:
    directory, _ = run(tmp_path, "pass")
    assert not directory.exists()


def test_directory_stays_when_a_worker_ends(tmp_path: Path) -> None:
    fork = "pid = os.fork()\nif pid == 0: raise SystemExit\nos.waitpid(pid, 0); print(d.exists())"
    _, done = run(tmp_path, "\n" + fork)
    assert done.stdout.splitlines()[-1] == "True"


def test_what_a_killed_master_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left, done = run(tmp_path, "import sys; sys.stdout.flush(); os.kill(os.getpid(), 9)")
    assert done.returncode == -9
    assert left.exists()
    run(tmp_path, "pass")
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_still_uses_is_left_alone(tmp_path: Path) -> None:
    other = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {MAKE.format(parent=str(tmp_path))!r}]);"
    _, done = run(tmp_path, other + "print(d.exists())")
    assert done.stdout.splitlines()[-1] == "True"


def test_foreign_directories_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "contimg-api-without-a-lock").mkdir()
    assert runtime.sweep(tmp_path) == []
    assert (tmp_path / "contimg-api-without-a-lock").is_dir()


def test_an_inherited_directory_is_never_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSA110_RUNTIME_DIR", str(tmp_path / "of-the-old-master"))
    directory, _ = run(tmp_path, "pass")
    assert directory.parent == tmp_path
    assert directory.name != "of-the-old-master"


def test_outside_of_gunicorn_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DSA110_RUNTIME_DIR", raising=False)
    assert runtime.current() is None
