"""A log is followed without loss or repeat: as it grows, across rotation, and across connections."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.services.log_follower import LogFollower, Position

Follow = Callable[..., LogFollower]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


@pytest.fixture
def follow(path: Path) -> Iterator[Follow]:
    made: list[LogFollower] = []

    def follow(start: Position | None = None) -> LogFollower:
        made.append(LogFollower(path, start))
        return made[-1]

    yield follow
    for follower in made:
        follower.close()


def append(path: Path, text: str | bytes) -> None:
    with open(path, "ab") as file:
        file.write(text.encode() if isinstance(text, str) else text)


def texts(follower: LogFollower) -> list[str]:
    return [line.text for line in follower.lines()]


def test_lines_are_given_once_as_they_come(path: Path, follow: Follow) -> None:
    follower = follow()
    assert texts(follower) == []
    append(path, "one\ntwo\nthr")
    assert texts(follower) == ["one", "two"]
    assert texts(follower) == []
    append(path, "ee\n\nσ\r\n")
    assert texts(follower) == ["three", "", "σ"]


def test_id_of_a_line_is_the_byte_behind_it(path: Path, follow: Follow) -> None:
    append(path, "σ\nab\n")
    assert [line.behind.offset for line in follow().lines()] == [3, 6]


def test_bytes_that_are_no_utf8_become_replacement_characters(path: Path, follow: Follow) -> None:
    append(path, b"a\xffb\n")
    assert texts(follow()) == ["a�b"]


def test_reading_goes_on_behind_any_line(path: Path, follow: Follow) -> None:
    append(path, "one\ntwo\nthree\n")
    for n, line in enumerate(list(follow().lines()), 1):
        place = Position.parse(str(line.behind))
        assert texts(follow(place)) == ["one", "two", "three"][n:]
        assert texts(follow(Position(line.behind.offset))) == ["one", "two", "three"][n:]


def test_rotation_while_reading_loses_and_repeats_nothing(path: Path, follow: Follow) -> None:
    follower = follow()
    append(path, "one\n")
    assert texts(follower) == ["one"]
    append(path, "two\nunfinis")
    path.rename(path.with_suffix(".log.1"))
    append(path.with_suffix(".log.1"), "hed")
    append(path, "three\n")
    assert texts(follower) == ["two", "unfinished", "three"]
    append(path, "four\n")
    assert texts(follower) == ["four"]


def test_what_is_written_between_the_last_look_and_the_renaming_is_read(
    path: Path, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(path, "one\n")
    follower = follow()
    moved = LogFollower._moved

    def late(self: LogFollower) -> bool:
        monkeypatch.undo()
        append(path, "two\n")
        path.rename(path.with_suffix(".log.1"))
        append(path, "three\n")
        return moved(self)

    monkeypatch.setattr(LogFollower, "_moved", late)
    assert texts(follower) == ["one", "two", "three"]


def test_reading_goes_on_across_two_rotations(path: Path, follow: Follow) -> None:
    append(path, "one\ntwo\n")
    place = next(iter(follow().lines())).behind
    for number, name, line in ((1, "run.log.2", "three\n"), (2, "run.log.1", "four\n")):
        path.rename(path.with_name(name))
        os.utime(path.with_name(name), (number, number))
        append(path, line)
    assert texts(follow(place)) == ["two", "three", "four"]


def test_file_that_was_cut_is_read_from_its_beginning(path: Path, follow: Follow) -> None:
    append(path, "one\ntwo\n")
    follower = follow()
    assert texts(follower) == ["one", "two"]
    path.write_text("a\n")
    assert texts(follower) == ["a"]


def test_place_in_a_file_that_is_gone_begins_with_the_present_one(path: Path, follow: Follow) -> None:
    append(path, "new\n")
    assert texts(follow(Position(1000, 12345))) == ["new"]
    assert texts(follow(Position(1000))) == ["new"]


def test_long_line_comes_in_pieces(path: Path, follow: Follow) -> None:
    append(path, "x" * 200_000 + "\nend\n")
    pieces = texts(follow())
    assert "".join(pieces[:-1]) == "x" * 200_000
    assert pieces[-1] == "end"
    assert len(pieces) > 2


def test_link_put_in_place_of_a_log_is_not_followed(path: Path, follow: Follow, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("not for you\n")
    follower = follow()
    path.symlink_to(tmp_path / "elsewhere")
    assert texts(follower) == []


@pytest.mark.parametrize("text", ["", "x", "-1", "1:zz", "1.5", "99999999999999999999", ":1"])
def test_nonsense_is_no_place(text: str) -> None:
    assert Position.parse(text) is None


def test_whatever_happens_every_line_comes_once(path: Path, follow: Follow) -> None:
    """Lines are written and files rotated at random; the reader comes and goes with the last id it has seen."""
    chance = random.Random(4)
    written: list[str] = []
    read: list[str] = []
    rotations = 0
    place: Position | None = None
    follower = follow()
    for step in range(400):
        action = chance.random()
        if action < 0.5:
            written.append(f"line {step}")
            append(path, written[-1] + "\n")
        elif action < 0.55 and path.exists():
            rotations += 1
            path.rename(path.with_name(f"run.log.{rotations}"))
            os.utime(path.with_name(f"run.log.{rotations}"), (rotations, rotations))
            append(path, "")
        elif action < 0.7 and place is not None:
            follower = follow(Position.parse(str(place)))
        else:
            for line in follower.lines():
                read.append(line.text)
                place = line.behind
    read += texts(follower)
    assert read == written
    assert rotations > 5
