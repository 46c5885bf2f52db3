"""The stack of docker-compose.yml, tried for real; see scripts/test-compose."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import openai

PROJECT = "embedding-gateway-test"
REPLICAS = 3
CONFIG = "/etc/gateway/gateway.yaml"
COMPOSE = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PORT = free_port()
URL = f"http://127.0.0.1:{PORT}"
STARTED = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


def compose(*arguments: str, show: bool = False) -> str:
    environ = {**os.environ, "LISTEN": f"127.0.0.1:{PORT}", "COMPOSE_PROJECT_NAME": PROJECT}
    done = subprocess.run(
        [*COMPOSE, *arguments], env=environ, text=True, stdout=None if show else subprocess.PIPE, check=True
    )
    return done.stdout or ""


def containers(service: str) -> list[str]:
    return compose("ps", "-q", service).split()


def docker(*arguments: str) -> str:
    return subprocess.run(
        ["docker", *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True
    ).stdout


def status(path: str) -> int:
    try:
        with urllib.request.urlopen(f"{URL}{path}", timeout=5) as answer:  # noqa: S310 (its own balancer)
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def wait(what: str, condition: Callable[[], bool], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"{what}: not within {seconds:g} s")
        time.sleep(0.5)
    say(what)


@contextlib.contextmanager
def stack() -> Iterator[None]:
    say(f"building and starting {REPLICAS} replicas, a balancer on port {PORT} and Redis")
    try:
        compose("up", "--build", "--detach", "--scale", f"gateway={REPLICAS}", show=True)
        yield
    except BaseException:
        compose("logs", "--tail", "40", show=True)
        raise
    finally:
        compose("down", "--volumes", "--timeout", "5", show=True)
        say("everything is down")


def new_key(*options: str) -> str:
    made = compose("exec", "-T", "gateway", "python", "-m", "gateway", "keys", "create", "--config", CONFIG, *options)
    return made.strip()


def embed(key: str, text: str, retries: int = 3) -> list[float]:
    with openai.OpenAI(base_url=f"{URL}/v1", api_key=key, max_retries=retries, timeout=20) as client:
        return client.embeddings.create(model="local-small", input=[text]).data[0].embedding


def many(key: str, count: int, retries: int = 3) -> tuple[int, int, int]:
    """How many of so many calls were answered, refused by a limit, and failed."""

    def one(number: int) -> str:
        try:
            embed(key, f"text number {number}", retries)
        except openai.RateLimitError:
            return "refused"
        except openai.OpenAIError as error:
            print(f"         {type(error).__name__}: {error}", flush=True)
            return "failed"
        return "answered"

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(one, range(count)))
    return outcomes.count("answered"), outcomes.count("refused"), outcomes.count("failed")


def until_stopped(key: str, stopped: threading.Event) -> tuple[int, int]:
    """How many calls, none of them tried twice, were answered until then, and how many were not."""
    answered = lost = 0
    while not stopped.is_set():
        right, refused, failed = many(key, 32, retries=0)
        answered, lost = answered + right, lost + refused + failed
    return answered, lost


def check(what: str, right: bool) -> None:
    say(f"{'ok  ' if right else 'FAIL'} {what}")
    if not right:
        raise AssertionError(what)


def main() -> int:
    with stack():
        wait("the balancer has a ready replica", lambda: status("/health/ready") == 200)
        wait("every replica is healthy", lambda: all(healthy(name) for name in containers("gateway")))
        key = new_key("--name", "test")
        vector = embed(key, "The cat sat on the mat")
        check(f"OpenAI's client gets a vector of {len(vector)} numbers through the balancer", len(vector) == 256)
        check("200 calls are answered", many(key, 200) == (200, 0, 0))
        served = [replica for replica in containers("gateway") if '"event":"request"' in docker("logs", replica)]
        check(f"all {REPLICAS} replicas took part", len(served) == REPLICAS)
        check("/admin and /metrics are not reached from outside", {status("/admin/keys"), status("/metrics")} == {404})

        limited = new_key("--name", "limited", "--budget-tokens", "40", "--per", "total")
        spent = 0
        with contextlib.suppress(openai.RateLimitError):
            while spent < 100:
                embed(limited, "one two three", 0)
                spent += 1
        say(f"     a budget of 40 tokens let {spent} calls pass, whichever replica answered")
        check("a budget is one for all replicas", 0 < spent <= 40)
        burst = new_key("--name", "burst", "--rpm", "20")
        answered, refused, failed = many(burst, 60, retries=0)
        say(f"     20 requests a minute: {answered} answered, {refused} refused, {failed} failed")
        check("a limit is one for all replicas", answered in (20, 21) and failed == 0)

        victim = containers("gateway")[0]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(many, key, 400)
            time.sleep(0.3)
            docker("kill", victim)
            say("     one replica killed under load")
            check("400 calls are answered all the same", load.result() == (400, 0, 0))
        compose("up", "--detach", "--no-recreate", "--scale", f"gateway={REPLICAS}", show=True)
        wait("the third replica is back", lambda: sum(map(healthy, containers("gateway"))) == REPLICAS)

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(until_stopped, key, stopped := threading.Event())
            for replica in containers("gateway"):
                docker("restart", "--time", "30", replica)
                wait("a replica is restarted", lambda: sum(map(healthy, containers("gateway"))) == REPLICAS)
                time.sleep(3)  # until the balancer has noticed it, too
            stopped.set()
            answered, lost = load.result()
        check(f"a rolling restart loses none of {answered} calls", lost == 0)

        check("200 calls let every replica know the key", many(key, 200) == (200, 0, 0))

        docker("kill", *containers("redis"))
        say("     Redis killed")
        check("known keys are served without Redis", many(key, 100) == (100, 0, 0))
        compose("up", "--detach", "--no-recreate", "--scale", f"gateway={REPLICAS}", show=True)
        wait("Redis is back", lambda: all(healthy(name) for name in containers("redis")))
        fresh = new_key("--name", "fresh")
        wait("a new key works", lambda: works(fresh))
        keys = json.loads(
            compose("exec", "-T", "gateway", "python", "-m", "gateway", "keys", "list", "--config", CONFIG, "--json")
        )
        names = {row["name"] for row in keys}
        check("the keys outlived Redis's death", {"test", "limited", "burst", "fresh"} <= names)
        users = {docker("exec", replica, "id", "-u").strip() for replica in containers("gateway")}
        check("no gateway runs as root", users == {"10001"})
    return 0


def healthy(container: str) -> bool:
    state = docker("inspect", "--format", "{{.State.Running}} {{.State.Health.Status}}", container)
    return state.strip() == "true healthy"


def works(key: str) -> bool:
    try:
        return len(embed(key, "a", 0)) == 256
    except openai.OpenAIError:
        return False


if __name__ == "__main__":
    sys.exit(main())
