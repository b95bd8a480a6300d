"""What a file is called that a client saves."""

from __future__ import annotations

from urllib.parse import quote


def disposition(kind: str, name: str) -> str:
    """``Content-Disposition`` with a file name of any script (RFC 6266)."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "_" for letter in name)
    quoted = plain.replace("\\", "_").replace('"', "_")
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return f'{kind}; filename="{quoted}"{extended}'
