"""Gzipped files read in one pass."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pytest

from app.services.fits import open_image
from app.services.gzipped import LazyGzip, is_gzipped
from tests.support.radio_images import NX, NY, pixels, write_image

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def rewound(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every return to the beginning of a stream."""
    times: list[int] = []
    rewind = gzip._GzipReader._rewind  # type: ignore[attr-defined]

    def counted(self: object) -> None:
        times.append(1)
        rewind(self)

    monkeypatch.setattr(gzip._GzipReader, "_rewind", counted)  # type: ignore[attr-defined]
    return times


def test_gzip_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    for number, (content, wanted) in enumerate(
        [(gzip.compress(CONTENT), True), (CONTENT, False), (b"", False), (b"\x1f", False)]
    ):
        (tmp_path / str(number)).write_bytes(content)
        assert is_gzipped(tmp_path / str(number)) is wanted


def test_bytes_are_those_of_the_place(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with LazyGzip(path) as file:
        for offset in (0, 100_000, 5, 255_999, 300_000):
            assert file.seek(offset) == offset
            assert file.tell() == offset
            assert file.read(7) == CONTENT[offset : offset + 7]
        file.seek(10)
        assert file.seek(5, io.SEEK_CUR) == file.tell()
        file.seek(-3, io.SEEK_END)
        assert file.read() == CONTENT[-3:]


def test_going_back_without_reading_there_costs_nothing(tmp_path: Path, rewound: list[int]) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with LazyGzip(path) as file:
        for offset in range(0, 200_000, 1000):
            file.seek(offset)
            file.read(10)
            file.seek(0)
    assert rewound == []


def test_window_of_a_gzipped_image_is_read_in_one_pass(tmp_path: Path, rewound: list[int]) -> None:
    plain = write_image(tmp_path / "a.fits")
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(plain.read_bytes()))
    with open_image(path) as image:
        found = image.window(slice(10, NY - 10), slice(5, NX - 5))
    np.testing.assert_array_equal(found, pixels()[10:-10, 5:-5])
    assert len(rewound) <= 2, "once to recognise the file, once for its header"
