"""The SQLite store beyond what every home promises: what lasts, who may read and write it, and how it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.auth import KeyRecord
from gateway.errors import StateUnavailable
from gateway.store import StoreError
from gateway.store.embedded import EmbeddedStore
from tests.fakes.asking import ask, reserve, settle

FULL = KeyRecord("key_1", "app", "a" * 64, ("text-*", "local"), 100.5, 200.25, 150.125)
BARE = KeyRecord("key_2", "bare", "b" * 64)
NOBODY = 65534

IN_ANOTHER_PROCESS = """
import asyncio, pathlib, sys
from gateway.auth import KeyRecord
from gateway.store.embedded import EmbeddedStore

async def main(file, add):
    store = EmbeddedStore(pathlib.Path(file))
    if add:
        await store.add_key(KeyRecord(add, add, add))
    print(*[key.id for key in await store.list_keys()])
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


DIES_AT_WORK = """
import os, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode=WAL")
connection.execute("CREATE TABLE left (behind)")
os._exit(0)
"""
# It locks what SQLite itself locks while it does that, and no more: https://www.sqlite.org/walformat.html#locks
RECOVERS = """
import fcntl, sys

with open(f"{sys.argv[1]}-shm", "r+b") as index:
    index.write(bytes(32768))
    index.flush()
    fcntl.lockf(index, fcntl.LOCK_SH, 1, 128)
    fcntl.lockf(index, fcntl.LOCK_EX, 3, 120)
    print("begun", flush=True)
    sys.stdin.read()
"""


def another_process(file: pathlib.Path, add: str = "") -> list[str]:
    """Opens the file, adds a key if one is named, and says which keys there are."""
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(file), add]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "gateway.db"


def mode_of(file: pathlib.Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


@pytest.fixture
async def store(file: pathlib.Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(file)
    yield store
    await store.close()


@contextlib.asynccontextmanager
async def opened(file: pathlib.Path) -> AsyncIterator[EmbeddedStore]:
    store = EmbeddedStore(file)
    try:
        yield store
    finally:
        await store.close()


# ── what lasts ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_reopening(file: pathlib.Path) -> None:
    """What was kept is there after closing and opening."""
    async with opened(file) as store:
        await store.add_key(FULL)
    async with opened(file) as store:
        found = await store.find_key(FULL.sha256)

    assert FULL == found


def test_killed_process(file: pathlib.Path) -> None:
    """What was kept is there after a process died without closing."""
    dying = IN_ANOTHER_PROCESS.replace("await store.close()", "import os; os._exit(1)")
    subprocess.run([sys.executable, "-c", dying, str(file), "key_1"], check=False, capture_output=True)

    assert ["key_1"] == another_process(file)


BUDGET = ask("token_budget", "key:a:total", 100, 10)


async def left(file: pathlib.Path) -> int:
    """Of the budget, for another process."""
    async with opened(file) as store:
        [found] = await reserve(store, "probe", [ask("token_budget", "key:a:total", 100, 101)], 10)
        return found.remaining


async def test_cancelled_saving(file: pathlib.Path) -> None:
    """A saving goes on though whoever asked for it is cancelled, and closing waits for it."""
    async with opened(file) as store:
        await reserve(store, "r", [BUDGET], 10)
        await settle(store, "r", [BUDGET], [30])
        saving = asyncio.create_task(store.save())
        await asyncio.sleep(0)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)

    assert (True, 70) == (saving.cancelled(), await left(file))


async def test_failed_saving(file: pathlib.Path) -> None:
    """What could not be saved is saved the next time, whatever the fault was."""
    async with opened(file) as store:
        too_large = ask("token_budget", "key:b:total", 100, 10)
        await reserve(store, "r", [BUDGET, too_large], 10)
        await settle(store, "r", [BUDGET, too_large], [30, 2**63])
        with pytest.raises(OverflowError):
            await store.save()
        store._limits._budget(too_large.gate.id, None).unsaved = 0
        await store.save()

    assert 70 == await left(file)


# ── who may read it ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def _no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_no_umask")
async def test_mode(file: pathlib.Path) -> None:
    """The file, as well as those that SQLite lays beside it, is its owner's alone."""
    async with opened(file) as store:
        await store.add_key(FULL)
        modes = {path.name: mode_of(path) for path in file.parent.iterdir()}

    assert {"gateway.db": 0o600, "gateway.db-wal": 0o600, "gateway.db-shm": 0o600} == modes


@pytest.fixture
def _group_readable(file: pathlib.Path) -> None:
    file.touch()
    file.chmod(0o640)


@pytest.mark.usefixtures("_group_readable")
async def test_mode_of_a_file_that_is_there(file: pathlib.Path) -> None:
    """A file that is there already keeps the mode that its owner gave it."""
    async with opened(file):
        mode = mode_of(file)

    assert 0o640 == mode


# ── who else may write it ─────────────────────────────────────────────────────────────────────────────────────────


async def test_two_processes(store: EmbeddedStore, file: pathlib.Path) -> None:
    """Each of two processes sees what the other one writes."""
    await store.add_key(BARE)
    theirs = another_process(file, add="key_9")
    ours = [record.id for record in await store.list_keys()]

    assert ({"key_2", "key_9"}, {"key_2", "key_9"}) == (set(theirs), set(ours))


def test_new_file_of_many(file: pathlib.Path) -> None:
    """Several processes may make a new file at once, and each keeps its key."""
    names = [f"key_{number}" for number in range(6)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: another_process(file, add=name), names))

    assert set(names) == set(another_process(file))


async def test_second_store_in_one_process(store: EmbeddedStore, file: pathlib.Path) -> None:
    """Opening the file twice in one process does not make another process's closing lose what is written after it."""
    await store.add_key(BARE)
    async with opened(file):
        another_process(file)
        await store.add_key(FULL)

        assert {"key_1", "key_2"} == set(another_process(file))


async def test_new_file_in_other_hands(file: pathlib.Path) -> None:
    """A new file that another process is just preparing is waited for."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            other.close()

    store = EmbeddedStore(file, sleep=sleep)
    await store.add_key(FULL)
    kept = await store.list_keys()
    await store.close()

    assert (3, [FULL]) == (len(waits), kept)


def test_file_that_is_being_recovered(file: pathlib.Path) -> None:
    """What a process left behind that died is not in the way while another one is just putting it in order."""
    subprocess.run([sys.executable, "-c", DIES_AT_WORK, str(file)], check=True)
    command = [sys.executable, "-c", RECOVERS, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert "begun\n" == other.stdout.readline()
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                other.communicate()

        asyncio.run(EmbeddedStore(file, sleep=sleep).close())

    assert (3, ["key_9"]) == (len(waits), another_process(file, add="key_9"))


def test_new_file_for_ever_in_other_hands(file: pathlib.Path) -> None:
    """A file that another process does not let go of is given up after five seconds."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waits: list[float] = []
    try:
        with pytest.raises(StoreError, match=r"gateway\.db cannot be used: database is locked\.$"):
            EmbeddedStore(file, sleep=waits.append)
    finally:
        other.close()

    assert 4.9 < sum(waits) < 5.1


# ── how it fails ──────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything, so a test about what may not be read is somebody else for a moment."""
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        if is_root:
            os.setresuid(0, 0, 0)


def missing_folder(folder: pathlib.Path) -> pathlib.Path:
    return folder / "missing" / "gateway.db"


def folder_itself(folder: pathlib.Path) -> pathlib.Path:
    return folder


def below_a_file(folder: pathlib.Path) -> pathlib.Path:
    (folder / "file").touch()
    return folder / "file" / "gateway.db"


def no_database(folder: pathlib.Path) -> pathlib.Path:
    file = folder / "gateway.db"
    file.write_text("This is a text, and long enough not to be taken for an empty database. " * 50)
    return file


def impossible(folder: pathlib.Path) -> pathlib.Path:
    return folder / "a\0b"


def too_long(folder: pathlib.Path) -> pathlib.Path:
    return folder / ("x" * 300)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing_folder, "cannot be opened: No such file or directory"),
        (folder_itself, "cannot be opened: it must be a file that this user may read and write"),
        (below_a_file, "cannot be opened: Not a directory"),
        (no_database, "cannot be used: file is not a database"),
        (impossible, "cannot be opened: embedded null byte"),
        (too_long, "cannot be opened: File name too long"),
    ],
)
def test_unusable(tmp_path: pathlib.Path, make: object, reason: str) -> None:
    """What cannot be a state file is refused in one sentence that names the file and the reason."""
    assert callable(make)
    file = make(tmp_path)
    with pytest.raises(StoreError) as caught:
        EmbeddedStore(file)

    assert f"The state file {file} {reason}." == str(caught.value)


@pytest.fixture
def open_folder() -> Iterator[pathlib.Path]:
    """A folder that everyone may write, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o700)


@pytest.mark.parametrize("mode", [0o000, 0o200, 0o444])
def test_file_of_others(open_folder: pathlib.Path, mode: int) -> None:
    """A file that this user may not read and write is refused in one sentence."""
    file = open_folder / "gateway.db"
    another_process(file)
    file.chmod(mode)
    with pytest.raises(StoreError) as caught, as_nobody():
        EmbeddedStore(file)

    assert f"The state file {file} cannot be opened: Permission denied." == str(caught.value)


def test_folder_of_others(open_folder: pathlib.Path) -> None:
    """A folder in which this user may not make a file is refused in one sentence."""
    open_folder.chmod(0o555)
    file = open_folder / "gateway.db"
    with pytest.raises(StoreError) as caught, as_nobody():
        EmbeddedStore(file)

    assert f"The state file {file} cannot be opened: Permission denied." == str(caught.value)


async def find(store: EmbeddedStore) -> None:
    await store.find_key("a")


async def list_all(store: EmbeddedStore) -> None:
    await store.list_keys()


async def add(store: EmbeddedStore) -> None:
    await store.add_key(FULL)


async def revoke(store: EmbeddedStore) -> None:
    await store.revoke_key("key_1", 1.0)


@pytest.mark.parametrize("action", [find, list_all, add, revoke])
async def test_lost_in_flight(store: EmbeddedStore, file: pathlib.Path, action: object) -> None:
    """A state that breaks while the gateway runs is an error that the client can be told."""
    assert callable(action)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("DROP TABLE keys")
    other.close()
    with pytest.raises(StateUnavailable) as caught:
        await action(store)

    assert "The gateway cannot reach its state right now; try again shortly." == caught.value.message
