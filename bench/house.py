"""Everything that a run needs: the upstreams, the proxy, the gateways, Redis and LiteLLM, all up at the same time."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final

import trustme

from bench import answers, gateways, loads, nginx
from bench.programs import Program, free_port

LITELLM: Final = pathlib.Path(__file__).with_name("litellm-venv") / "bin" / "litellm"


class MissingError(Exception):
    """A program that has to be installed first; the message says how."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Paths of the programs; those that may be missing are None, and what needs them is left out."""

    nginx: str
    wrk: str
    redis: str | None
    litellm: pathlib.Path | None

    @property
    def servers(self) -> set[str]:
        """Those that can be measured here."""
        found = {loads.NGINX, loads.BARE, loads.GATEWAY, loads.TWO}
        if self.redis:
            found |= {loads.REDIS, loads.TWO_REDIS}
        return found | ({loads.LITELLM} if self.litellm else set())


def find_tools(litellm: pathlib.Path | None = None) -> Tools:
    """`litellm` is its executable, where bench/litellm-setup did not put it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])  # Debian's nginx is there
    found = {name: shutil.which(name, path=path) for name in ("nginx", "wrk", "redis-server")}
    missing = [name for name in ("nginx", "wrk") if found[name] is None]
    if missing:
        names = " ".join(missing)
        raise MissingError(
            f"{' and '.join(missing)} not found. On Debian and Ubuntu: apt-get install {names}; on Fedora: "
            f"dnf install {names}. (nginx need not run as a service; wrk is https://github.com/wg/wrk)"
        )
    installed = litellm or LITELLM
    return Tools(
        str(found["nginx"]), str(found["wrk"]), found["redis-server"], installed if installed.exists() else None
    )


@dataclass(frozen=True, slots=True)
class House:
    servers: dict[str, Program]
    """By the names of bench/loads.py."""
    behind: list[Program] = field(default_factory=list)
    """What the servers ask: the upstreams, and Redis."""


def _certificate(folder: pathlib.Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = authority.issue_cert("localhost", "127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "certificate.pem"))


def written(tools: Tools, folder: pathlib.Path, wanted: Collection[str], watched: pathlib.Path | None = None) -> House:
    """All programs with their files, none of them started. In the file `watched` the gateways tell of themselves."""
    answers.write(folder / "answers")
    _certificate(folder)
    ways = {name: free_port() for name in ("plain", "tls", "slow")}
    slow = [sys.executable, "-m", "bench.delay", str(ways["slow"]), str(folder / "answers" / "b1.json")]
    behind = [
        nginx.upstream(tools.nginx, folder, ways["plain"], ways["tls"]),
        Program("slow", slow, ways["slow"], folder, {"PYTHONPATH": str(gateways.ROOT)}),
    ]
    servers = {loads.NGINX: nginx.proxy(tools.nginx, folder, free_port(), ways)}
    if loads.BARE in wanted:
        port = free_port()
        command = [sys.executable, "-m", "bench.bare", str(port), f"http://127.0.0.1:{ways['plain']}"]
        servers[loads.BARE] = Program("bare", command, port, folder, {"PYTHONPATH": str(gateways.ROOT)})
    for name, workers, shared in (
        (loads.GATEWAY, 1, False),
        (loads.TWO, 2, False),
        (loads.REDIS, 1, True),
        (loads.TWO_REDIS, 2, True),
    ):
        if name not in wanted or (shared and tools.redis is None):
            continue
        redis: int | None = None
        if shared:  # each its own: what one has cached is not another's
            redis = free_port()
            behind.append(_redis(str(tools.redis), folder, redis))
        plain_name = name.replace(",", "").replace(" ", "-")
        servers[name] = gateways.gateway(
            plain_name, folder, free_port(), ways, workers=workers, redis=redis, watched=watched
        )
    if tools.litellm and loads.LITELLM in wanted:
        servers[loads.LITELLM] = gateways.litellm(tools.litellm, folder, free_port(), ways)
    return House(servers, behind)


def _redis(binary: str, folder: pathlib.Path, port: int) -> Program:
    """In memory alone; what is cached makes room for what is newer, so that a long run does not fill the machine."""
    bounds = ["--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru"]
    command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", *bounds]
    return Program(f"redis-{port}", command, port, folder)


@contextlib.contextmanager
def running(house: House) -> Iterator[None]:
    """From the upstreams on; whatever was started is ended, in the other order."""
    with contextlib.ExitStack() as stack:
        for program in (*house.behind, *house.servers.values()):
            stack.enter_context(program)
        yield
