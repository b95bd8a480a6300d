"""Three hosts behind HAProxy, as docs/operations/several-hosts.md says: databases of their own, one Redis for all.

Each has a directory, copies of the pipeline's databases and a gunicorn of its own. What they share is the queue and the
counts of requests. `make soak` goes on for a minute with hosts that die, come back and get other databases.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import lasting
from tests.support.neighbours import closed_port
from tests.support.pipeline import Pipeline, worked_example
from tests.support.pipeline_rows import run_id
from tests.support.proxies import OPERATIONS, certificate, haproxy, is_problem, needed, wait_until
from tests.support.restless import RestlessClients
from tests.support.server import Reply, Server, environment
from tests.support.worker import WorkerProcess

pytestmark = pytest.mark.live

HOSTS = 3
QUOTA = 12
CLIENTS = 4
KEY = {"X-API-Key": "dsa110_live_test_key", "Content-Type": "application/json"}
IMAGES = "/api/v1/images?limit=1000"
TABLE = "/api/v1/images?format=csv"
# HAProxy asks every second, and believes the second answer of a kind.
NOTICED_S = 4.0


def test_real_haproxy_configuration_is_one_that_it_takes(tmp_path: Path) -> None:
    program = needed("haproxy")
    key, cert = certificate(tmp_path)
    (tmp_path / "bundle.pem").write_text(key.read_text() + cert.read_text())
    text = (OPERATIONS / "haproxy.cfg").read_text().replace("/etc/ssl/contimg-api", str(tmp_path))
    (tmp_path / "haproxy.cfg").write_text(re.sub(r"(?m)^ *(user|group) .*$", "", text))
    done = subprocess.run(
        [program, "-c", "-f", str(tmp_path / "haproxy.cfg")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_haproxy_itself_has_to_say_is_a_problem_like_every_other(tmp_path: Path) -> None:
    with haproxy(tmp_path / "haproxy", [closed_port() for _ in range(HOSTS)]) as port:
        away = ask(port, "GET", IMAGES, {})
    assert (away.status, away.headers["content-type"]) == (503, "application/problem+json")
    assert away.headers["retry-after"] == "2"
    is_problem(away.body, 503, "SERVICE_UNAVAILABLE")
    text = (OPERATIONS / "haproxy.cfg").read_text()
    words = re.findall(r"http-error status (\d+) content-type application/problem\+json .* string '(.*)'", text)
    assert [int(status) for status, _ in words] == [500, 502, 503, 504]
    for status, body in words:
        is_problem(body.encode(), int(status), json.loads(body)["code"])


def replica(original: Path, place: Path) -> Path:
    """A copy of a database in a place, swapped in whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_suffix(".new")
    with closing(sqlite3.connect(original)) as read, closing(sqlite3.connect(fresh)) as written:
        read.backup(written)
    fresh.replace(place)
    return place


class Host:
    """One of the hosts.

    Parameters
    ----------
    directory
        What it has for itself.
    pipeline
        Whose databases it has copies of.
    settings
        Variables that are the same on all hosts.
    """

    def __init__(self, directory: Path, pipeline: Pipeline, **settings: str) -> None:
        self._original = pipeline.products_path
        self._settings = settings
        self.products = replica(pipeline.products_path, directory / "products.sqlite3")
        self.registry = replica(pipeline.registry_path, directory / "cal_registry.sqlite3")
        self.starts = 0
        self.server = self._start("0")

    def _start(self, port: str) -> Server:
        self.starts += 1
        paths = {"PIPELINE_PRODUCTS_DB": str(self.products), "PIPELINE_CAL_REGISTRY_DB": str(self.registry)}
        place = self.products.parent / f"server{self.starts}"
        return Server(place, None, **self._settings, **paths, DSA110_PORT=port, DSA110_WORKERS="1")

    def take_newest(self) -> None:
        """Get the newest state of the products, and wait until it is shown."""
        before = self.server.get(IMAGES).body
        replica(self._original, self.products)
        self.server.wait_until(lambda: self.server.get(IMAGES).body != before)

    def kill(self) -> None:
        """End at once, as a power cut does: nobody says goodbye."""
        if self.server.process.poll() is None:
            for pid in (self.server.process.pid, *self.server.worker_pids):
                os.kill(pid, signal.SIGKILL)
            self.server.process.wait()
        self.server.stop()

    def return_(self) -> None:
        """Start again where it was, as after a power cut."""
        self.server = self._start(str(self.server.port))


class Site:
    """The hosts, the proxy in front of them, and a worker beside the pipeline."""

    def __init__(self, directory: Path, pipeline: Pipeline, redis: str, running: contextlib.ExitStack) -> None:
        self.pipeline = pipeline
        self.run = run_id(pipeline.make_ms())
        self.imaged = directory / "imaged"
        shared = {
            "DSA110_QUEUE_URL": redis,
            "DSA110_QUEUE_NAME": f"hosts-{os.getpid()}-{time.monotonic_ns()}",
            "DSA110_RATE_LIMIT_STORAGE_URL": redis,
            "DSA110_RATE_LIMIT_EXPORTS": f"{QUOTA} per hour",
            # A table refused for want of a place is counted, and HAProxy asks another host, which counts it too.
            "DSA110_MAX_DOWNLOADS": "100",
            "DSA110_LOG_REQUESTS": "false",
        }
        with ThreadPoolExecutor(HOSTS) as pool:
            made = [pool.submit(Host, directory / f"host{n}", pipeline, **shared) for n in range(HOSTS)]
            (directory / "pipeline.sh").write_text(f"echo $1 >> {self.imaged}")
            command = f"/bin/sh {directory / 'pipeline.sh'} {{run_id}}"
            work = environment(directory / "worker", pipeline, **shared, DSA110_PIPELINE_RUN_CMD=command)
            self.worker = WorkerProcess(directory / "worker", work)
            running.callback(self.worker.kill)
            for future in made:
                running.callback(lambda one=future: one.exception() or one.result().kill())
        self.hosts = [future.result() for future in made]
        self.port = running.enter_context(haproxy(directory / "haproxy", [host.server.port for host in self.hosts]))

    def get(self, target: str, peer: str = "10.1.1.1") -> Reply:
        """Ask through the proxy, for some client behind it."""
        return ask(self.port, "GET", target, {"X-Forwarded-For": peer})

    def shown(self, host: Host, target: str, member: str) -> Any:
        """What a host says, as soon as that has a member that says yes."""

        def asked() -> Any:
            return json.loads(host.server.get(f"/api/v1{target}").body)

        wait_until(lambda: asked()[member], lambda: host.server.log + self.worker.log)
        return asked()

    def everywhere(self, target: str, peer: str = "10.1.1.1") -> list[Reply]:
        """What each host says that lives."""
        living = [host for host in self.hosts if host.server.process.poll() is None]
        return [ask(host.server.port, "GET", target, {"X-Forwarded-For": peer}) for host in living]


def ask(port: int, method: str, target: str, headers: dict[str, str]) -> Reply:
    """One request on a connection of its own."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


@pytest.fixture
def site(tmp_path: Path, pipeline: Pipeline, store_url: Callable[[str], str]) -> Iterator[Site]:
    """Everything, running."""
    worked_example(pipeline)
    with contextlib.ExitStack() as running:
        yield Site(tmp_path, pipeline, store_url("redis"), running)


class Load:
    """Clients that keep asking through the proxy; what they were answered is looked at in the end."""

    def __init__(self, site: Site) -> None:
        self.seen: set[bytes] = set()
        half = CLIENTS // 2
        self.clients = RestlessClients(
            site.port, (IMAGES, "/api/v1/images/7"), keeping=half, fresh=half, right=self._note, asking_again=True
        )

    def _note(self, target: str, body: bytes) -> bool:
        self.seen.update({body} if target == IMAGES else ())
        return True

    def check(self, states: set[bytes], kills: int) -> None:
        """Nothing was lost or refused, and each answer is of one state of the database or another."""
        assert self.clients.lost == []
        assert self.clients.refused == []
        assert self.seen == states
        assert len(self.clients.cut) <= 2 * CLIENTS * kills, "answers under way from a host that was killed"


def test_no_request_is_lost_while_hosts_die_lose_their_database_or_get_a_new_one(site: Site) -> None:
    """Hosts together admit exactly the quota, and an order given to one is known to all and done by the worker."""
    load = Load(site)
    ends_s = time.monotonic() + lasting(60, 0)
    with load.clients as clients:
        clients.wait_for(40)
        order_is_known_to_all_and_done(site)
        hosts_admit_exactly_the_quota(site)
        states, rounds = {site.hosts[1].server.get(IMAGES).body}, 0
        while not rounds or time.monotonic() < ends_s:
            states.add(round_of_faults(site, clients, rounds))
            rounds += 1
            if time.monotonic() < ends_s:
                site.hosts[(rounds - 1) % HOSTS].return_()
                time.sleep(NOTICED_S)
    load.check(states, kills=rounds)
    assert {reply.status for reply in site.everywhere(TABLE)} == {429}


def round_of_faults(site: Site, clients: RestlessClients, number: int) -> bytes:
    """One host loses its database for a while, one dies, the two others get a newer database; what they then say."""
    first, second, third = (site.hosts[(number + n) % HOSTS] for n in range(HOSTS))
    site.pipeline.make_image(path=f"/stage/images/new{number}.fits")
    away = third.products.with_suffix(".away")
    third.products.rename(away)
    third.server.wait_until(lambda: third.server.get("/readyz").status == 503)
    clients.wait_for(40)
    away.rename(third.products)
    third.server.wait_until(lambda: third.server.get("/readyz").status == 200)
    first.take_newest()
    clients.wait_for(40)
    first.kill()
    clients.wait_for(40)
    for host in (second, third):
        host.take_newest()
    clients.wait_for(40)
    said = {reply.body for reply in site.everywhere(IMAGES)}
    assert len(said) == 1, "all have the same again"
    assert f"new{number}.fits".encode() in next(iter(said))
    return said.pop()


def order_is_known_to_all_and_done(site: Site) -> None:
    """Order a run of one host."""
    for host in site.hosts:
        site.shown(host, "/queue", "connected")
    ordered = ask(site.hosts[0].server.port, "POST", f"/api/v1/jobs/{site.run}/rerun", KEY)
    assert ordered.status == 202, ordered.body
    job, made = ordered.json()["job_id"], ordered.json()["run_id"]
    for host in site.hosts:
        assert site.shown(host, f"/queue/jobs/{job}", "meta")["meta"]["run_id"] == made
        assert site.shown(host, f"/queue/jobs/{job}", "ended_at")["status"] == "finished"
    assert site.imaged.read_text().split() == [made]


def hosts_admit_exactly_the_quota(site: Site) -> None:
    """Ask twice as often as one may, through the proxy."""
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: site.get(TABLE).status, range(2 * QUOTA)))
    assert statuses == {200: QUOTA, 429: QUOTA}
    assert [reply.status for reply in site.everywhere(TABLE)] == [429] * HOSTS
    assert site.get(TABLE, peer="10.1.1.2").status == 200
