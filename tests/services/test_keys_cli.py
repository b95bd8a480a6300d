"""The commands about keys and the audit log: what they write down, and which file they mean."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import main

Cli = Callable[..., Result]


@pytest.fixture
def cli(environ: dict[str, str]) -> Cli:
    return lambda *words, **variables: CliRunner().invoke(main, words, env={**environ, **variables})


@pytest.fixture
def file(environ: dict[str, str]) -> Path:
    """Where the service keeps keys."""
    return Path(environ["DSA110_STATE_DIR"]) / "api" / "api.sqlite3"


# -- what is written down


def test_audit_log_tells_which_key_was_made_and_revoked(cli: Cli) -> None:
    secrets = [
        cli("keys", "create", "--name", "nightly reruns", "--scope", "write", "--expires", "2999-01-31").stdout.strip(),
        cli("keys", "create", "--name", 'Ann\'s "laptop", read').stdout.strip(),
    ]
    cli("keys", "revoke", "1")
    told = [re.sub(r"^\S+ +- +|  \S+ \(operator\)$", "", line) for line in cli("audit").stdout.splitlines()]
    assert told == [
        "CLI    keys create 1: write until 2999-01-31T00:00:00Z, for nightly reruns",
        'CLI    keys create 2: read, for Ann\'s "laptop", read',
        "CLI    keys revoke 1: write until 2999-01-31T00:00:00Z, for nightly reruns",
    ]
    everything = cli("audit", "--json").stdout
    assert [json.loads(line)["route"] for line in everything.splitlines()] == [
        "keys create",
        "keys create",
        "keys revoke",
    ]
    for secret in secrets:
        assert len(secret) > 40
        assert secret[len("dsa110_") :][:6] not in everything, "not even what of a key may be shown"


def test_equal_acts_have_equal_digests_and_others_do_not(cli: Cli) -> None:
    for name in ("a", "b"):
        cli("keys", "create", "--name", name)
    digests = [json.loads(line)["arguments"] for line in cli("audit", "--json").stdout.splitlines()]
    assert len(set(digests)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests)


# -- which file is meant

READING = (
    ("keys", "list"),
    ("keys", "list", "--json"),
    ("keys", "revoke", "1"),
    ("audit",),
    ("audit", "--json"),
)


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_command_that_finds_no_database_makes_none_and_says_where_it_looked(
    cli: Cli, tmp_path: Path, words: tuple[str, ...]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    done = cli(*words, DSA110_API_STATE_DIR=str(elsewhere))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert f"There is no {elsewhere}/api.sqlite3" in done.stderr
    assert "DSA110_API_STATE_DIR" in done.stderr
    assert not elsewhere.exists()


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_command_says_on_the_other_output_which_file_it_reads(cli: Cli, file: Path, words: tuple[str, ...]) -> None:
    cli("keys", "create", "--name", "x")
    done = cli(*words)
    assert done.exit_code == 0, done.output
    assert done.stderr == f"From {file}:\n"
    assert str(file) not in done.stdout
    if "--json" in words:
        json.loads(done.stdout)


def test_command_that_makes_a_key_says_where_it_is_kept_and_whether_the_file_is_new(cli: Cli, file: Path) -> None:
    first, second = (cli("keys", "create", "--name", name) for name in ("a", "b"))
    assert f"Its hash is in {file}, a new file.\n" in first.stderr
    assert f"Its hash is in {file}.\n" in second.stderr
    assert [len(done.stdout.splitlines()) for done in (first, second)] == [1, 1], "the key and nothing else"


def test_key_that_is_not_made_leaves_no_file(cli: Cli, file: Path) -> None:
    assert cli("keys", "create", "--name", " ").exit_code == 1
    assert not file.exists()


# -- moments


@pytest.mark.parametrize("moment", ["99999y", "9000y", "999999w", "9999-12-31T23:59:59-01:00"])
def test_key_beyond_the_calendar_is_not_made(cli: Cli, moment: str) -> None:
    assert cli("keys", "create", "--name", "x", "--expires", "9999-12-31T23:59:59Z").exit_code == 0
    refused = cli("keys", "create", "--name", "y", "--expires", moment)
    assert (refused.exit_code, "beyond the year 9999" in refused.output) == (2, True), refused.output
    [key] = json.loads(cli("keys", "list", "--json").stdout)
    assert key["expires_at"] == "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("moment", ["1e12", "1e300", "-1e300", "9e999"])
def test_moment_in_the_file_that_no_calendar_has_stops_no_list(cli: Cli, file: Path, moment: str) -> None:
    cli("keys", "create", "--name", "x", "--expires", "90d")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE api_key SET expires_at = {moment}")
    for options in ((), ("--json",)):
        listed = cli("keys", "list", *options)
        assert (listed.exit_code, "beyond all calendars" in listed.stdout) == (0, True), listed.output
    assert cli("keys", "revoke", "1").exit_code == 0


def test_audit_log_is_read_from_as_far_back_as_one_likes(cli: Cli) -> None:
    cli("keys", "create", "--name", "x")
    assert len(cli("audit", "--since", "99999y").stdout.splitlines()) == 1
