"""A Python that has imported already: each program is a fork of it, and begins in milliseconds instead of a second.

For many short programs in a row, like the examples of the documents. A fork gets the arguments, folder, environment and
streams of its own, as a process would.
"""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import sys
from types import TracebackType
from typing import Final, Self

ROOT: Final = pathlib.Path(__file__).parents[1]
LARGEST: Final = 2**20

# What stands in for a program: it hands its arguments and streams to the warm one, and ends as that ends. Its second
# line is a command to the shell, which takes a path with a blank, and a string to Python.
STAND_IN: Final = """#!/bin/sh
"exec" "{python}" "-IS" "$0" "$@"
import json, os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect({address!r})
asked = [{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]
socket.send_fds(door, [json.dumps(asked).encode()], [0, 1, 2])
sys.exit(int(door.recv(16)))
"""


class WarmPython:
    """Puts `gateway`, and `python-warm` which runs its standard input, into a folder; serves them until it is left."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.address = str(folder / "warm")
        folder.mkdir(parents=True, exist_ok=True)
        for program in ("gateway", "python-warm"):
            file = folder / program
            file.write_text(STAND_IN.format(python=sys.executable, address=self.address, program=program))
            file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def __enter__(self) -> Self:
        command = [sys.executable, "-c", f"from tests import warm_python; warm_python.serve({self.address!r})"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def serve(address: str) -> None:
    import openai  # noqa: F401  (what most examples begin with)

    from gateway.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: each tells its end by itself
    door = socket.socket(socket.AF_UNIX)
    door.bind(address)
    door.listen()
    print("ready", flush=True)
    while True:
        caller, _ = door.accept()
        if os.fork():
            caller.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asked, streams, _, _ = socket.recv_fds(caller, LARGEST, 3)
        program, arguments, folder, environ = json.loads(asked)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environ)
        code = 1
        try:
            if program == "gateway":
                main(arguments, prog_name="gateway")
            else:
                exec(sys.stdin.read(), {"__name__": "__main__"})  # noqa: S102
                code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:  # noqa: BLE001 (as Python itself ends a program)
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            caller.send(b"%d" % code)
            os._exit(code)
