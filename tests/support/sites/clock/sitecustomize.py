"""Puts the clock of a process and its children off by what stands in a file: seconds, a native double."""

import mmap
import os
import struct
import time

with open(os.environ["TEST_CLOCK"], "r+b") as _file:
    _offset = mmap.mmap(_file.fileno(), 8)
_time, _time_ns = time.time, time.time_ns


def _put_off() -> float:
    return float(struct.unpack("d", _offset[:8])[0])


time.time = lambda: _time() + _put_off()
time.time_ns = lambda: _time_ns() + int(_put_off() * 1e9)
