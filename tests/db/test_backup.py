"""Backups of databases that are in use, and what was backed up put back."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli import main
from app.config import Settings
from app.db import backup, state
from app.db.state import StateDatabase
from app.domain.backups import BackupRefused, RestoreIncomplete, Rotation, directory_name, outdated
from app.domain.errors import Busy, DatabaseUnavailable
from app.queue.engine import Engine
from app.queue.heartbeat import Heart
from app.services.backup import BackupService
from app.services.backup_contents import verify
from app.services.restore import RestoreService
from tests.support.faults import NAMESPACE, may_mount
from tests.support.pipeline import Pipeline
from tests.support.server import ROOT

# Moves one from a row to another, again and again: in any one state of the database they sum to nothing.
WRITER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
print("open", flush=True)
while True:
    time.sleep(0.001)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE pair SET n = n + 1 WHERE side = 'left'")
    connection.execute("UPDATE pair SET n = n - 1 WHERE side = 'right'")
    connection.execute("COMMIT")
"""
# Reads the pair again and again, and says how many states it saw that are none, and the last left side.
READER = """
import signal, sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=20)
running = True
def stop(*_):
    global running
    running = False
signal.signal(signal.SIGTERM, stop)
print("open", flush=True)
torn = 0
while running:
    time.sleep(0.001)
    rows = dict(connection.execute("SELECT side, n FROM pair"))
    torn += rows["left"] + rows["right"] != 0
print(torn, rows["left"], flush=True)
"""
HOLDER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
print("open", flush=True)
time.sleep(30)
"""


@contextmanager
def running(script: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has a database open."""
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def make_pair(path: Path, mode: str = "wal", left: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("CREATE TABLE pair (side TEXT PRIMARY KEY, n INTEGER)")
        connection.executemany("INSERT INTO pair VALUES (?, ?)", [("left", left), ("right", -left)])
        connection.execute("CREATE TABLE ballast (data BLOB)")
        connection.executemany("INSERT INTO ballast VALUES (?)", [(os.urandom(2000),) for _ in range(500)])
        connection.commit()
    return path


def pair(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT side, n FROM pair").fetchall())


def wait_for_a_commit(path: Path, *, after: int) -> None:
    limit = time.monotonic() + 20
    while pair(path)["left"] <= after:
        assert time.monotonic() < limit, "the writer goes on"


def mode_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return mode


@pytest.fixture
def settings(environ: dict[str, str], pipeline: Pipeline, tmp_path: Path) -> Settings:
    """A service with all its files: its own, the queue's, the pipeline's."""
    found = Settings.from_environment(
        environ
        | {
            "PIPELINE_PRODUCTS_DB": str(pipeline.products_path),
            "PIPELINE_CAL_REGISTRY_DB": str(pipeline.registry_path),
        }
    )
    state = StateDatabase(found.api_state_dir)
    state.rows("SELECT count(*) FROM sqlite_master", {})
    state.close()
    engine = Engine("", found.queue_name, found.api_state_dir)
    engine.write("job:1", {"kind": "rerun"})
    engine.close()
    return found


@pytest.fixture
def service(settings: Settings) -> BackupService:
    return BackupService(settings)


@pytest.fixture
def restorer(settings: Settings) -> RestoreService:
    return RestoreService(settings)


def remember(settings: Settings, value: int) -> None:
    state = StateDatabase(settings.api_state_dir)
    with state.transaction() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS remembered (n INTEGER)")
        connection.execute("DELETE FROM remembered")
        connection.execute("INSERT INTO remembered VALUES (:n)", {"n": value})
    state.close()


def remembered(settings: Settings) -> int:
    state = StateDatabase(settings.api_state_dir)
    (row,) = state.rows("SELECT n FROM remembered", {})
    state.close()
    return int(row[0])


# -- copies


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_copy_taken_while_another_process_writes_is_one_state_of_the_database(tmp_path: Path, mode: str) -> None:
    path = make_pair(tmp_path / "live.sqlite3", mode)
    seen = []
    with running(WRITER, path) as writer:
        for number in range(8):
            copied = tmp_path / f"copy{number}.sqlite3"
            backup.copy(path, copied, "live", timeout_s=10)
            rows = pair(copied)
            assert rows["left"] + rows["right"] == 0
            seen.append(rows["left"])
            wait_for_a_commit(path, after=rows["left"])
        assert writer.poll() is None, "the writer was not hurt"
    assert seen == sorted(set(seen)), "each copy is of a later state"


def test_copy_is_a_single_file_with_the_journal_mode_of_its_origin(tmp_path: Path) -> None:
    path = make_pair(tmp_path / "live.sqlite3")
    copied = tmp_path / "backup" / "copy.sqlite3"
    copied.parent.mkdir()
    backup.copy(path, copied, "live", timeout_s=1)
    assert [entry.name for entry in copied.parent.iterdir()] == ["copy.sqlite3"]
    assert copied.stat().st_mode & 0o777 == 0o600
    assert mode_of(copied) == "wal"


def test_database_locked_for_too_long_is_busy(tmp_path: Path) -> None:
    path = make_pair(tmp_path / "live.sqlite3", "delete")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(Busy):
            backup.copy(path, tmp_path / "copy.sqlite3", "live", timeout_s=0.2)
        assert time.monotonic() - started < 2


def test_damage_is_found_on_every_page(tmp_path: Path) -> None:
    path = make_pair(tmp_path / "live.sqlite3", "delete")
    backup.check(path, "live")
    with path.open("r+b") as file:
        file.seek(4096)  # the root of a table
        file.write(b"\xff" * 200)
    with pytest.raises(DatabaseUnavailable):
        backup.check(path, "live")


# -- backups


def test_backup_holds_our_files_and_a_manifest_that_proves_them(
    service: BackupService, settings: Settings, tmp_path: Path
) -> None:
    made = service.make(tmp_path / "backups")
    assert sorted(entry.name for entry in made.directory.iterdir()) == [
        "api.sqlite3", "manifest.json", "queue.sqlite3",
    ]  # fmt: skip
    assert made.directory.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in made.manifest.files] == ["api", "queue"]
    assert all(len(file.sha256) == 64 and file.bytes > 0 for file in made.manifest.files)
    assert made.manifest.left_out["products"] == "the pipeline's databases were not asked for"
    assert verify(made.directory) == made.manifest


def test_pipelines_files_are_copied_on_request_and_each_once(
    service: BackupService, environ: dict[str, str], pipeline: Pipeline, tmp_path: Path
) -> None:
    made = service.make(tmp_path / "backups", pipeline=True)
    assert [file.name for file in made.manifest.files] == ["api", "queue", "products", "cal_registry"]
    one = BackupService(Settings.from_environment(environ | {"PIPELINE_DB": str(pipeline.products_path)}))
    made = one.make(tmp_path / "backups", pipeline=True)
    assert [file.name for file in made.manifest.files] == ["api", "queue", "products"]
    assert made.manifest.left_out["cal_registry"] == "the same file as another"


def test_queue_on_a_server_is_left_out_and_that_is_told(environ: dict[str, str], tmp_path: Path) -> None:
    settings = Settings.from_environment(environ | {"DSA110_QUEUE_URL": "redis://127.0.0.1:1/0"})
    remember(settings, 1)
    made = BackupService(settings).make(tmp_path / "backups")
    assert "redis" in made.manifest.left_out["queue"]


def test_nothing_to_back_up_is_said(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(BackupRefused, match="nothing to back up"):
        BackupService(Settings.from_environment(environ)).make(tmp_path / "backups")


def test_backup_that_fails_leaves_nothing_behind(service: BackupService, settings: Settings, tmp_path: Path) -> None:
    settings.hdf5_db.write_bytes(b"not a database " * 500)
    with pytest.raises(DatabaseUnavailable):
        service.make(tmp_path / "backups", pipeline=True)
    assert [entry.name for entry in (tmp_path / "backups").iterdir()] == [".contimg-lock"]


def test_what_a_killed_backup_left_is_cleared_away(service: BackupService, tmp_path: Path) -> None:
    left = tmp_path / "backups" / ".contimg-unfinished-contimg-20260101T000000Z"
    left.mkdir(parents=True)
    (left / "api.sqlite3").write_bytes(b"half")
    made = service.make(tmp_path / "backups")
    assert sorted(entry.name for entry in made.directory.parent.iterdir()) == [".contimg-lock", made.directory.name]


def test_file_with_the_name_of_what_a_killed_backup_left_is_no_obstacle(service: BackupService, tmp_path: Path) -> None:
    parent = tmp_path / "backups"
    parent.mkdir()
    (parent / ".contimg-unfinished-notes").touch()
    (parent / ".contimg-unfinished-link").symlink_to(tmp_path)
    assert service.make(parent).directory.is_dir()
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("file/backups", "Not a directory"),
        ("file", "File exists"),
        ("locked", "Is a directory"),
        ("x" * 300, "too long"),
    ],
)
def test_place_that_cannot_be_used_for_backups_is_refused_in_a_sentence(
    service: BackupService, tmp_path: Path, place: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked" / ".contimg-lock").mkdir(parents=True)
    with pytest.raises(BackupRefused, match=rf"cannot be used for backups: .*{reason}"):
        service.make(tmp_path / place)


@pytest.mark.skipif(not may_mount(), reason="no file system can be mounted here")
def test_place_on_a_file_system_that_is_read_only_is_refused_in_a_sentence(settings: Settings, tmp_path: Path) -> None:
    place = tmp_path / "small"
    (place / "contimg-20200101T000000Z").mkdir(parents=True)
    command = f"{sys.executable} -c 'from app.cli import main; main()' backup {place}"
    script = f"mount --bind {place} {place} && mount -o remount,bind,ro {place} && cd {ROOT} || exit 9; {command}"
    environ = {"PATH": os.environ["PATH"], "DSA110_ENV": "testing"}
    environ["DSA110_API_STATE_DIR"] = str(settings.api_state_dir)
    for options in ("", " --keep 1 --prune"):
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", script + options], env=environ, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.splitlines()[1:]) == (1, [])
        assert "cannot be used for backups: Read-only file system." in done.stderr


def test_backup_killed_under_way_never_has_the_name_of_one(settings: Settings, tmp_path: Path) -> None:
    script = (
        "import os, signal\nfrom app.db import backup\n"
        "backup.digest = lambda path: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from app.cli import main\nmain()\n"
    )
    environ = os.environ | {
        "DSA110_ENV": "testing",
        "DSA110_API_STATE_DIR": str(settings.api_state_dir),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    parent = tmp_path / "backups"
    done = subprocess.run([sys.executable, "-c", script, "backup", str(parent)], env=environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [entry.name for entry in parent.glob("contimg-*")] == []
    assert [entry.is_dir() for entry in parent.glob(".contimg-unfinished-*")] == [True]


def test_two_backups_into_one_place_do_not_meet(service: BackupService, tmp_path: Path) -> None:
    import fcntl

    parent = tmp_path / "backups"
    parent.mkdir()
    with (parent / ".contimg-lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(BackupRefused, match="Another backup"):
            service.make(parent)


def test_rotation_keeps_the_newest_and_touches_nothing_else(service: BackupService, tmp_path: Path) -> None:
    parent = tmp_path / "backups"
    for name in ("contimg-20200101T000000Z", "contimg-20210101T000000Z", "my-own", "contimg-notes"):
        (parent / name).mkdir(parents=True)
    made = service.make(parent, keep=2)
    assert made.rotation.removed == ("contimg-20200101T000000Z",)
    assert {entry.name for entry in parent.iterdir() if entry.is_dir()} == {
        "contimg-20210101T000000Z", "my-own", "contimg-notes", made.directory.name,
    }  # fmt: skip


def test_pruning_makes_room_without_making_a_backup_first(service: BackupService, tmp_path: Path) -> None:
    parent = tmp_path / "backups"
    names = [service.make(parent).directory.name for _ in range(4)]
    (parent / ".contimg-unfinished-contimg-20200101T000000Z").mkdir()
    (parent / "my-own").mkdir()
    assert service.prune(parent, keep=2).removed == tuple(names[:2])
    assert {entry.name for entry in parent.iterdir() if entry.is_dir()} == {*names[2:], "my-own"}
    assert service.prune(parent, keep=2).removed == ()


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda newest: (newest / "api.sqlite3").unlink(), "incomplete"),
        (lambda newest: (newest / "api.sqlite3").write_bytes(b""), "damaged"),
        (lambda newest: (newest / "manifest.json").unlink(), "no backup"),
    ],
    ids=["file gone", "file empty", "no manifest"],
)
def test_nothing_is_pruned_where_the_newest_is_not_whole(
    service: BackupService, tmp_path: Path, spoil: Callable[[Path], None], error: str
) -> None:
    parent = tmp_path / "backups"
    names = {service.make(parent).directory.name for _ in range(3)}
    spoil(parent / outdated(names, keep=0)[-1])
    with pytest.raises(BackupRefused, match=error):
        service.prune(parent, keep=1)
    assert names <= {entry.name for entry in parent.iterdir()}


def test_where_there_are_no_backups_none_are_pruned(service: BackupService, tmp_path: Path) -> None:
    for parent in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BackupRefused, match="no backups"):
            service.prune(parent, keep=1)


@pytest.mark.skipif(not may_mount(), reason="no file system can be mounted here")
def test_disk_that_is_full_of_backups_has_room_again_after_pruning(settings: Settings, tmp_path: Path) -> None:
    """What the run book says, on a disk of half a megabyte."""
    remember(settings, 1)
    place = tmp_path / "small"
    place.mkdir()
    command = f"{sys.executable} -c 'from app.cli import main; main()' backup {place}"
    script = f"""
        mount -t tmpfs -o size=512k tmpfs {place} && cd {ROOT} || exit 9
        for n in 1 2 3 4 5 6 7 8 9; do {command} --keep 14 || break; done
        ls {place} > {tmp_path}/before
        {command} --keep 1 && exit 8
        ls {place} > {tmp_path}/refused
        {command} --keep 1 --prune && {command} --keep 2 && ls {place} > {tmp_path}/after
    """
    environ = {"PATH": os.environ["PATH"], "DSA110_ENV": "testing"}
    environ["DSA110_API_STATE_DIR"] = str(settings.api_state_dir)
    done = subprocess.run([*NAMESPACE, "sh", "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    before, refused, after = ((tmp_path / name).read_text().split() for name in ("before", "refused", "after"))
    assert len(before) > 2
    assert refused == before, "a backup that has no room costs none of those that there are"
    assert len(after) == 2
    assert after[0] == before[-1]


def test_pruning_wants_to_know_how_many_to_keep(settings: Settings, tmp_path: Path) -> None:
    environ = {"DSA110_ENV": "testing", "DSA110_API_STATE_DIR": str(settings.api_state_dir)}
    refused = CliRunner().invoke(main, ["backup", str(tmp_path), "--prune"], env=environ)
    assert refused.exit_code == 2
    assert "--keep" in refused.output


def test_backup_dated_in_the_future_is_neither_counted_nor_removed(service: BackupService, tmp_path: Path) -> None:
    """Made while a clock was ahead, or else the clock is wrong now: nobody can tell which is the newest."""
    parent = tmp_path / "backups"
    ahead = "contimg-29990101T000000Z"
    (parent / ahead).mkdir(parents=True)
    with pytest.raises(BackupRefused, match=f"no backups in .* but such as are dated in the future: {ahead}"):
        service.prune(parent, keep=1)
    first = service.make(parent, keep=1)
    assert first.rotation == ((), (ahead,), {})
    second = service.make(parent, keep=2)
    assert second.rotation.removed == ()
    assert service.prune(parent, keep=1) == ((first.directory.name,), (ahead,), {})
    assert {entry.name for entry in parent.iterdir() if entry.is_dir()} == {second.directory.name, ahead}


def test_rotation_goes_on_past_a_link_and_what_cannot_be_removed(
    service: BackupService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = tmp_path / "backups"
    moved = tmp_path / "larger disk" / "contimg-20190101T000000Z"
    moved.mkdir(parents=True)
    for name in ("contimg-20200101T000000Z", "contimg-20210101T000000Z", "contimg-20220101T000000Z"):
        (parent / name).mkdir(parents=True)
    (parent / moved.name).symlink_to(moved)
    (parent / "contimg-20180101T000000Z").touch()
    really = shutil.rmtree

    def rmtree(path: Path, **options: bool) -> None:
        if path.name == "contimg-20200101T000000Z":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        really(path, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    made = service.make(parent, keep=2)
    assert made.rotation.removed == ("contimg-20210101T000000Z",)
    assert made.rotation.failed == {"contimg-20200101T000000Z": "Permission denied"}
    assert moved.is_dir()


def test_names_sort_by_age_and_two_in_a_second_differ() -> None:
    first = directory_name(1e9, [])
    names = [first]
    for _ in range(11):
        names.append(directory_name(1e9, names))
    assert first == "contimg-20010909T014640Z"
    assert len(set(names)) == 12
    assert outdated([*names, "contimg-20010909T014639Z"], keep=1) == ["contimg-20010909T014639Z", *names[:-1]]
    assert outdated(names, keep=20) == []
    assert directory_name(1e9, ["contimg-20010909T014640Z-4", "notes"]) == "contimg-20010909T014640Z-5"


# -- restores


def test_restored_state_is_the_one_that_was_backed_up(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups")
    remember(settings, 2)
    inode = (settings.api_state_dir / "api.sqlite3").stat().st_ino
    done = restorer.restore(made.directory)
    assert [(item.name, item.poured) for item in done] == [("api", True), ("queue", True)]
    assert remembered(settings) == 1
    assert (settings.api_state_dir / "api.sqlite3").stat().st_ino == inode
    assert mode_of(settings.api_state_dir / "api.sqlite3") == "wal"


def test_missing_and_damaged_files_are_put_in_place_and_the_damaged_one_is_kept(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups")
    (settings.api_state_dir / "queue.sqlite3").unlink()
    own = settings.api_state_dir / "api.sqlite3"
    own.write_bytes(b"garbage " * 1000)
    own.chmod(0o640)
    Path(f"{own}-wal").write_bytes(b"a log of the damaged file")
    done = {item.name: item for item in restorer.restore(made.directory)}
    assert (done["api"].poured, done["queue"].poured, done["queue"].kept) == (False, False, None)
    kept = done["api"].kept
    assert kept is not None
    assert kept.read_bytes().startswith(b"garbage")
    assert not Path(f"{own}-wal").exists()
    assert own.stat().st_mode & 0o777 == 0o640
    assert (settings.api_state_dir / "queue.sqlite3").stat().st_mode & 0o777 == 0o640, "of a file that was lost"
    assert remembered(settings) == 1


def test_files_set_aside_within_a_second_do_not_overwrite_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101T000000Z")
    target, source = tmp_path / "live.sqlite3", tmp_path / "copy.sqlite3"
    source.write_bytes(b"third")
    kept = []
    for content in (b"first", b"second"):
        target.write_bytes(content)
        Path(f"{target}-wal").write_bytes(b"log of the " + content)
        kept.append(backup.put(source, target))
    stem = f"{target}.replaced-20260101T000000Z"
    assert kept == [Path(stem), Path(f"{stem}-2")]
    assert [path.read_bytes() for path in kept if path] == [b"first", b"second"]
    assert Path(f"{stem}-wal").read_bytes() == b"log of the first"
    assert Path(f"{stem}-2-wal").read_bytes() == b"log of the second"


def test_what_a_link_leads_to_is_replaced_with_the_log_beside_it(tmp_path: Path) -> None:
    target, link, source = tmp_path / "disk" / "live.sqlite3", tmp_path / "link.sqlite3", tmp_path / "copy.sqlite3"
    target.parent.mkdir()
    target.write_bytes(b"damaged")
    Path(f"{target}-wal").write_bytes(b"log")
    source.write_bytes(b"whole")
    link.symlink_to(target)
    kept = backup.put(source, link)
    assert link.is_symlink()
    assert target.read_bytes() == b"whole"
    assert kept is not None
    assert (kept.parent, kept.read_bytes(), Path(f"{kept}-wal").read_bytes()) == (target.parent, b"damaged", b"log")
    assert not Path(f"{target}-wal").exists()
    target.unlink()
    Path(f"{target}-wal").write_bytes(b"log of a file that is lost")
    assert backup.put(source, link) is None
    assert [entry.name for entry in target.parent.glob("live.sqlite3*-wal")] == [f"{kept.name}-wal"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_what_root_restores_belongs_to_the_user_of_the_directory(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups")
    own = settings.api_state_dir / "api.sqlite3"
    own.unlink()
    os.chown(settings.api_state_dir, 65534, 65534)
    restorer.restore(made.directory)
    assert (own.stat().st_uid, own.stat().st_gid) == (65534, 65534)


def test_pipelines_files_are_left_alone_unless_asked_for(
    service: BackupService, restorer: RestoreService, pipeline: Pipeline, tmp_path: Path
) -> None:
    pipeline.make_image()
    made = service.make(tmp_path / "backups", pipeline=True)
    pipeline.connection.execute("DELETE FROM images")
    pipeline.connection.commit()
    restorer.restore(made.directory)
    assert pipeline.connection.execute("SELECT count(*) FROM images").fetchone() == (0,)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda made: (made / "manifest.json").unlink(), "is no backup"),
        (lambda made: (made / "manifest.json").write_text("{"), "cannot be read"),
        (lambda made: (made / "manifest.json").write_text('{"format": 99}'), "no format"),
        (lambda made: (made / "manifest.json").write_text('{"format": 1, "files": []}'), "incomplete"),
        (lambda made: (made / "queue.sqlite3").unlink(), "queue.sqlite3 is missing"),
        (lambda made: flip(made / "queue.sqlite3"), "queue.sqlite3 is not what was backed up"),
        (lambda made: (made / "queue.sqlite3").open("ab").write(b"x"), "queue.sqlite3 is not what was backed up"),
        (lambda made: rename_in_manifest(made, "../api.sqlite3"), "names what is no database"),
        (lambda made: edit_manifest(made, version=10_000), "newer version"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_backup_that_is_not_whole_changes_nothing(
    service: BackupService,
    restorer: RestoreService,
    settings: Settings,
    tmp_path: Path,
    spoil: Callable[[Path], object],
    words: str,
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups")
    remember(settings, 2)
    spoil(made.directory)
    with pytest.raises(BackupRefused, match=words):
        restorer.restore(made.directory)
    assert remembered(settings) == 2


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)


def edit_manifest(directory: Path, **changes: object) -> None:
    told = json.loads((directory / "manifest.json").read_text())
    told["files"][0].update(changes)
    (directory / "manifest.json").write_text(json.dumps(told))


def rename_in_manifest(directory: Path, name: str) -> None:
    edit_manifest(directory, file=name)


def test_process_is_found_by_a_link_to_the_database_whose_log_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pair(tmp_path / "live.sqlite3")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.sqlite3"
    link.symlink_to(path)
    monkeypatch.setattr(backup, "_open_files", lambda pid: iter(()))
    with running(HOLDER, link) as holder:
        assert [found.pid for found in backup.holders(link)] == [holder.pid]


def test_files_of_a_database_are_looked_up_once_for_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(backup, "_identities", lambda path: looked.append(path) or set())
    backup.holders(tmp_path / "live.sqlite3")
    assert looked == [tmp_path / "live.sqlite3"]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_process_that_has_a_database_open_is_found(tmp_path: Path, mode: str) -> None:
    path = make_pair(tmp_path / "live.sqlite3", mode)
    assert backup.holders(path) == []
    with running(HOLDER, path) as holder:
        (found,) = backup.holders(path)
        assert found.pid == holder.pid
    assert backup.holders(path) == []


def test_lock_of_a_connection_tells_of_processes_whose_files_cannot_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_pair(tmp_path / "live.sqlite3")
    monkeypatch.setattr(backup, "_open_files", lambda pid: iter(()))
    with running(HOLDER, path) as holder:
        assert [found.pid for found in backup.holders(path)] == [holder.pid]


def test_database_in_use_is_not_restored_unless_asked_for(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups")
    remember(settings, 2)
    with running(HOLDER, settings.api_state_dir / "api.sqlite3") as holder:
        with pytest.raises(BackupRefused, match=rf"api is in use by {holder.pid} "):
            restorer.restore(made.directory)
        assert remembered(settings) == 2
        restorer.restore(made.directory, online=True)
    assert remembered(settings) == 1


def test_damaged_database_in_use_is_never_replaced_under_its_user(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    made = service.make(tmp_path / "backups")
    own = settings.api_state_dir / "api.sqlite3"
    with running(HOLDER, own):
        own.write_bytes(b"garbage " * 1000)
        with pytest.raises(BackupRefused, match="damaged or of another kind, and in use"):
            restorer.restore(made.directory, online=True)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_restore_under_load_shows_the_old_or_the_new_and_nothing_in_between(tmp_path: Path, mode: str) -> None:
    path = make_pair(tmp_path / "live.sqlite3", mode)
    old = make_pair(tmp_path / "old.sqlite3", "delete", left=1_000_000)
    with running(WRITER, path) as writer, running(READER, path) as reader:
        for _ in range(4):
            backup.pour(old, path, "live", timeout_s=20)
        wait_for_a_commit(path, after=1_000_000)
        assert writer.poll() is None
        reader.send_signal(signal.SIGTERM)
        assert reader.stdout is not None
        torn, left = map(int, reader.stdout.readline().split())
    assert torn == 0
    assert left > 1_000_000
    assert mode_of(path) == mode


def make_older(directory: Path, version: int) -> None:
    """Let the backup be one that was made by a version of this service whose own database was at that step."""
    path = directory / "api.sqlite3"
    path.unlink()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for script in state.steps()[:version]:
            connection.executescript(script)
        connection.execute("CREATE TABLE remembered (n INTEGER)")
        connection.execute("INSERT INTO remembered VALUES (1)")
        connection.execute(f"PRAGMA user_version = {version}")
    edit_manifest(directory, bytes=path.stat().st_size, sha256=backup.digest(path), version=version)


@pytest.mark.parametrize("way", ["poured", "put"])
def test_own_database_of_an_older_version_is_brought_up_to_date_before_anybody_sees_it(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path, way: str
) -> None:
    made = service.make(tmp_path / "backups")
    make_older(made.directory, version=1)
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    kept_open = StateDatabase(settings.api_state_dir)
    names = kept_open.rows(tables, {})
    if way == "put":
        kept_open.close()
        kept_open.path.unlink()
    restorer.restore(made.directory, online=True)
    with closing(sqlite3.connect(kept_open.path)) as looked:
        assert looked.execute("PRAGMA user_version").fetchone() == (len(state.steps()),)
    assert set(kept_open.rows(tables, {})) == {*names, ("remembered",)}
    kept_open.close()
    assert remembered(settings) == 1
    assert list(settings.api_state_dir.glob(".contimg-*")) == []


def test_database_that_is_locked_keeps_the_others_from_being_put_back(
    service: BackupService, restorer: RestoreService, settings: Settings, pipeline: Pipeline, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups", pipeline=True)
    remember(settings, 2)
    told: list[str] = []
    with closing(sqlite3.connect(pipeline.products_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        impatient = RestoreService(replace(settings, busy_timeout_s=0.2))
        with pytest.raises(Busy, match="products"):
            impatient.restore(made.directory, pipeline=True, online=True, tell=lambda done: told.append(done.name))
    assert (told, remembered(settings)) == ([], 2)
    restorer.restore(made.directory, pipeline=True, online=True, tell=lambda done: told.append(done.name))
    assert (told, remembered(settings)) == (["api", "queue", "products", "cal_registry"], 1)


def test_what_was_put_back_and_what_was_not_is_said_where_one_fails(
    service: BackupService, settings: Settings, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups", pipeline=True)
    remember(settings, 2)
    (settings.api_state_dir / "queue.sqlite3").unlink()
    (tmp_path / "file").touch()
    restorer = RestoreService(replace(settings, products_db=tmp_path / "file" / "products.sqlite3"))
    with pytest.raises(
        RestoreIncomplete,
        match=r"File exists\. Put back already: queue\. Not put back: api, products, cal_registry\.",
    ):
        restorer.restore(made.directory, pipeline=True)
    assert (settings.api_state_dir / "queue.sqlite3").exists()
    assert remembered(settings) == 2


@pytest.mark.parametrize("tables", [0, 2])
def test_pouring_that_is_called_off_while_locked_changes_nothing(tmp_path: Path, tables: int) -> None:
    path = make_pair(tmp_path / "live.sqlite3")
    source = make_pair(tmp_path / "old.sqlite3", "delete", left=7) if tables else tmp_path / "empty.sqlite3"
    if not tables:
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("PRAGMA user_version = 1")

    def call_off() -> None:
        assert pair(path) == {"left": 0, "right": 0}
        raise Busy("Another one is locked")

    with pytest.raises(Busy, match="Another one"):
        backup.pour(source, path, "live", timeout_s=1, while_locked=call_off)
    assert pair(path) == {"left": 0, "right": 0}
    backup.pour(source, path, "live", timeout_s=1)


def test_two_databases_are_not_poured_into_one_file(
    service: BackupService, settings: Settings, pipeline: Pipeline, tmp_path: Path
) -> None:
    made = service.make(tmp_path / "backups", pipeline=True)
    restorer = RestoreService(replace(settings, cal_registry_db=settings.products_db))
    with pytest.raises(BackupRefused, match="products and cal_registry are two"):
        restorer.restore(made.directory, pipeline=True)


def test_queue_is_not_put_back_under_workers(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    made = service.make(tmp_path / "backups")
    engine = Engine("", settings.queue_name, settings.api_state_dir)
    heart = Heart(engine, every_s=5, concurrency=1, running=list)
    heart.beat()
    with pytest.raises(BackupRefused, match="Workers are at work"):
        restorer.restore(made.directory, online=True)
    heart.stop()
    restorer.restore(made.directory)
    engine.close()


def test_file_with_pages_of_another_size_is_put_in_place(
    service: BackupService, restorer: RestoreService, settings: Settings, tmp_path: Path
) -> None:
    remember(settings, 1)
    made = service.make(tmp_path / "backups")
    own = settings.api_state_dir / "api.sqlite3"
    own.unlink()
    with closing(sqlite3.connect(own)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE other (n)")
    done = {item.name: item.poured for item in restorer.restore(made.directory)}
    assert done == {"api": False, "queue": True}
    assert remembered(settings) == 1


# -- the commands


def test_commands_say_where_the_backup_is_and_put_it_back(settings: Settings, tmp_path: Path) -> None:
    environ = {"DSA110_ENV": "testing", "DSA110_API_STATE_DIR": str(settings.api_state_dir)}
    remember(settings, 1)
    made = CliRunner().invoke(main, ["backup", str(tmp_path / "backups"), "--keep", "3"], env=environ)
    assert made.exit_code == 0, made.output
    directory = made.output.splitlines()[-1]
    remember(settings, 2)
    checked = CliRunner().invoke(main, ["restore", directory, "--check"], env=environ)
    assert (checked.exit_code, remembered(settings)) == (0, 2)
    restored = CliRunner().invoke(main, ["restore", directory], env=environ)
    assert restored.exit_code == 0, restored.output
    assert f"api: restored within {settings.api_state_dir / 'api.sqlite3'}" in restored.output
    assert remembered(settings) == 1


def test_old_backups_that_cannot_be_removed_fail_the_command_once_there_is_a_new_one(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"DSA110_ENV": "testing", "DSA110_API_STATE_DIR": str(settings.api_state_dir)}
    rotation = Rotation((), ("contimg-29990101T000000Z",), {"contimg-20200101T000000Z": "Permission denied"})
    monkeypatch.setattr("app.services.backup._rotate", lambda *_: rotation)
    done = CliRunner().invoke(main, ["backup", str(tmp_path), "--keep", "1"], env=environ)
    assert done.exit_code == 1
    assert f"\n{tmp_path}/contimg-" in done.output
    assert "left alone, dated in the future: contimg-29990101T000000Z\n" in done.output
    assert "Old backups cannot be removed: contimg-20200101T000000Z: Permission denied." in done.output


def test_directory_of_backups_given_for_a_backup_names_those_in_it(settings: Settings, tmp_path: Path) -> None:
    environ = {"DSA110_ENV": "testing", "DSA110_API_STATE_DIR": str(settings.api_state_dir)}
    CliRunner().invoke(main, ["backup", str(tmp_path / "backups")], env=environ)
    refused = CliRunner().invoke(main, ["restore", str(tmp_path / "backups")], env=environ)
    assert refused.exit_code == 1
    assert "Backups in it: contimg-" in refused.output
