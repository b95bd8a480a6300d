"""How many connections a worker takes, so that what it must open to answer them can be opened.

gunicorn takes in a thousand, whatever the system allows. Where every descriptor is a connection, no database can be
opened: all are let in and none is answered.
"""

from __future__ import annotations

import math
import resource

# What a worker has open beside its connections [descriptors]: listening sockets, log, counts, sockets to the others ...
_ITS_OWN = 64
# ... and in each thread: the databases with their logs, the file that is sent, temporary ones.
_OF_A_THREAD = 16


def connections(wanted: int, threads: int) -> int:
    """How many of the wanted connections the system leaves room for, once it was asked for more.

    A process may raise its own limit as far as the hard one allows; nothing here uses ``select``, for which only small
    numbers are good.

    Parameters
    ----------
    wanted
        As configured.
    threads
        In each worker.
    """
    reserved = _ITS_OWN + _OF_A_THREAD * threads
    allowed = _allowed(wanted + reserved)
    # With fewer than threads some of them would be idle for good.
    return int(min(wanted, max(allowed - reserved, threads)))


def _allowed(needed: int) -> float:
    """How many descriptors this process and those it starts may have."""
    soft, hard = (
        math.inf if most == resource.RLIM_INFINITY else most for most in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft >= needed:
        return soft
    raised = int(min(needed, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, resource.RLIM_INFINITY if hard == math.inf else int(hard)))
    return raised
