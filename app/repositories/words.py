"""Words that the pipeline wrote, which need not be UTF-8.

SQLite takes any bytes for text, and Python's module refuses a row with some that are not UTF-8. What counts a whole
table would then fail for one row of it: there, words are cast to BLOB and read here, as logs and tables are.
"""

from __future__ import annotations


def read(word: bytes | None) -> str:
    """Text of a word, U+FFFD for what is not UTF-8; empty where there is none."""
    return "" if word is None else word.decode("utf-8", "replace")
