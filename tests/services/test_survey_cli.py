"""Commands about a survey in a directory, and what ``serve`` says of them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result

from app import create_app
from app.cli import main
from app.cli.survey import survey_environment
from app.config import Settings
from app.db.empty import create_pair
from tests.support.neighbours import closed_port

WRITE = "/api/v1/cache/clear"


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """A survey as ``init`` makes it, with a space in its name."""
    create_pair(tmp_path / "my survey")
    return tmp_path / "my survey"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment that names another place than the survey, put back afterwards."""
    with patch.dict(os.environ, {"DSA110_ENV": "testing", "DSA110_STATE_DIR": str(tmp_path / "elsewhere")}):
        yield settings()


def settings() -> dict[str, str]:
    """What the environment says of the service."""
    return {name: value for name, value in os.environ.items() if name.startswith(("DSA110_", "PIPELINE_"))}


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def status_of_a_write(survey: Path, key: str) -> int:
    """What a service over the survey says to a write with that key."""
    app = create_app(Settings.from_environment({**survey_environment(survey), "DSA110_ENV": "testing"}))
    try:
        return app.test_client().post(WRITE, headers={"X-API-Key": key}).status_code
    finally:
        app.extensions["contimg.services"].close()


def test_key_made_for_a_survey_is_accepted_by_whoever_serves_it(
    survey: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    made = run("--survey", survey, "keys", "create", "--name", "me", "--scope", "write")
    assert made.exit_code == 0, made.output
    assert f"Its hash is in {survey}/api/api.sqlite3, a new file." in made.stderr
    assert status_of_a_write(survey, made.stdout.strip()) == 200
    assert status_of_a_write(survey, "dsa110_another") == 401
    assert not (tmp_path / "elsewhere").exists()
    assert settings() == environment


def test_environment_is_put_back_where_the_command_fails(survey: Path, environment: dict[str, str]) -> None:
    assert run("--survey", survey, "keys", "revoke", "7").exit_code == 1
    assert settings() == environment


def test_every_command_is_about_the_survey(survey: Path) -> None:
    run("--survey", survey, "keys", "create", "--name", "me")
    assert f"From {survey}/api/api.sqlite3" in run("--survey", survey, "keys", "list").stderr
    assert f"{survey}/products.sqlite3 answers" in run("--survey", survey, "doctor").output


def test_directory_without_a_survey_is_refused_with_what_makes_one(tmp_path: Path) -> None:
    refused = run("--survey", tmp_path, "doctor")
    assert refused.exit_code == 2
    assert f"contimg-api init {tmp_path}" in refused.output


def test_command_that_finds_nothing_names_the_option() -> None:
    assert "contimg-api --survey DIRECTORY" in run("keys", "list").stderr


def test_serve_greets_with_lines_that_work_from_another_terminal(survey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, arguments: started.append(arguments))
    port = closed_port()
    with patch.dict(os.environ, {"DSA110_PORT": str(port)}):
        served = run("serve", survey)
    assert (served.exit_code, len(started)) == (0, 1), served.output
    assert f"Serving {survey}/products.sqlite3 at http://127.0.0.1:{port} with" in served.output
    assert f"  http://127.0.0.1:{port}/console/ " in served.output
    lines = [line for line in served.output.splitlines() if "--survey" in line]
    commands = [shlex.split(line, comments=True)[1:] for line in lines]
    assert [words[2] for words in commands] == ["keys", "worker", "doctor"]
    assert all(words[:2] == ["--survey", str(survey)] for words in commands)
    assert status_of_a_write(survey, run(*commands[0]).stdout.strip()) == 200
