"""A flame graph of one gateway under one load: `bench/profile` tells the words."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Final

from bench import checking, gateways, wrk
from bench.house import MissingError, find_tools, running, written
from bench.loads import FRESH, GATEWAY, LOADS
from bench.programs import StartError

FOLDER: Final = pathlib.Path(__file__).parent
PY_SPY: Final = FOLDER / "py-spy-venv" / "bin" / "py-spy"
DRAWN: Final = FOLDER / "profile.svg"


def main(name: str = "1 × base64 @64", seconds: str = "10") -> int:
    load = next((load for load in LOADS if load.name == name), None)
    if load is None or not seconds.isdigit():
        print(f"There is no load {name!r}; `bench/run --list` prints them. SECONDS is a whole number.", file=sys.stderr)
        return 2
    try:
        tools = find_tools()
        with tempfile.TemporaryDirectory(prefix="gateway-bench-") as written_to:
            folder = pathlib.Path(written_to)
            house = written(tools, folder, {GATEWAY})
            server = house.servers[GATEWAY]
            body = folder / "body.json"
            body.write_bytes(load.body(load.model))
            with running(house):
                checking.ready(server)
                checking.check(GATEWAY, server, load, "/v1/embeddings", load.model)
                seed = f"{time.time_ns()}" if FRESH.encode() in body.read_bytes() else ""
                shot = wrk.Shot("/v1/embeddings", body, load.connections, gateways.KEY, seed)
                wrk.measure(tools.wrk, server, house.behind, shot, 2)
                command = [str(PY_SPY), "record", "--pid", str(server.pid), "--output", str(DRAWN), "--rate", "200"]
                with subprocess.Popen([*command, "--duration", seconds]) as spy:  # noqa: S603
                    sample = wrk.measure(tools.wrk, server, house.behind, shot, int(seconds) + 1)
                    spy.wait()
    except (MissingError, StartError, wrk.WrkError, checking.WrongError) as error:
        print(error, file=sys.stderr)
        return 2
    if spy.returncode:
        print(
            "py-spy could not look into the process. It may have to run as root, or with ptrace allowed.",
            file=sys.stderr,
        )
        return 1
    print(f"{load.name}: {sample.rate:,.0f} requests/s while it was looked at, {sample.cost * 1e6:,.0f} µs each.")
    print(f"Written: {DRAWN}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
