"""The description of the interface: it names every path that is served, and a real gateway keeps to it."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from gateway import openapi, openapi_answers, openapi_schemas
from gateway.admin import Admin
from gateway.app import EXPOSED_HEADERS, routes
from gateway.endpoints import Endpoints
from gateway.target_admin import TargetAdmin
from gateway.telemetry import Telemetry
from tests.gateway_process import KEY, GatewayProcess
from tests.test_process import LOCAL

ADMIN_KEY = "correct-horse-battery-staple"
TOO_FREE = {
    "positive_data_acceptance": "no schema says which numbers are token ids, which names are taken, which days past",
    "negative_data_rejection": "unknown fields and headers are allowed on purpose",
    "unsupported_method": "GET has HEAD beside it, which nobody documents",
    "allow_header_conformance": "a key's name may hold a slash: such a path has two readings, and the methods of both",
}


def served() -> set[tuple[str, str]]:
    """Methods and paths, without the other forms of one path that the description's preface tells of."""
    made = routes(
        object.__new__(Endpoints), object.__new__(Admin), object.__new__(TargetAdmin), object.__new__(Telemetry)
    )
    forms = {
        (method, re.sub(r":\w+}", "}", route.path))
        for route in made
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    plain = {(method, path) for method, path in forms if path == "/" or not path.endswith("/")}
    return {(method, path) for method, path in plain if (method, f"/v1{path}") not in plain}


def described() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in openapi.document()["paths"].items():
        for method in item.keys() & {"get", "post", "put", "patch", "delete"}:
            yield method.upper(), path, item[method]


def test_paths() -> None:
    """Every path that is served is described, and no other."""
    named = {(method, path) for method, path, _ in described()}

    assert served() == named, (
        "describe new paths in gateway/openapi_paths.py (`paths`), their bodies in openapi_schemas"
    )


def test_operations() -> None:
    """Each operation has a name of its own, a summary, and says which key it needs."""
    operations = [operation for _, _, operation in described()]
    names = [operation["operationId"] for operation in operations]

    assert sorted(set(names)) == sorted(names)
    assert all(operation["summary"] and "security" in operation for operation in operations)


def test_headers() -> None:
    """Every header that web pages may read is described: add new ones to `HEADERS` of gateway/openapi_answers.py."""
    assert set(EXPOSED_HEADERS) == set(openapi_answers.HEADERS)


def test_references() -> None:
    """Every reference leads somewhere, and everything that can be referred to is."""
    document = openapi.document()
    parts = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in document["components"][kind]
    }

    assert parts == set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))


def test_codes() -> None:
    """An error may have any code that the code knows."""
    properties = openapi_schemas.schemas()["Error"]["properties"]["error"]["properties"]

    assert [*openapi_schemas.error_codes(), None] == properties["code"]["enum"]


@pytest.fixture(scope="module")
def open_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("openapi"), LOCAL, access=f"admin_key: {ADMIN_KEY}") as process:
        yield process


def test_served(open_gateway: GatewayProcess) -> None:
    """Anyone may read it."""
    with open_gateway.client(None) as http:
        answer = http.get("/openapi.json")

    assert (200, "application/json", openapi.document()) == (
        answer.status_code,
        answer.headers["content-type"],
        answer.json(),
    )


@pytest.mark.parametrize("kind", ["key", "admin_key"])
def test_conformance(open_gateway: GatewayProcess, tmp_path: pathlib.Path, kind: str) -> None:
    """Whatever is sent that looks like a call, its answer is one that the description names, and no failure of ours.

    Schemathesis makes the calls up; of models it may name the one that there is, so that some are answered.
    """
    document = openapi.document()
    for schema in ("EmbeddingsRequest", "NugenRequest"):
        document["components"]["schemas"][schema]["properties"]["model"] = {"enum": ["local"]}
    for item in document["paths"].values():
        for method in [name for name in item if name != "parameters"]:
            if ({"admin_key": []} in item[method]["security"]) is (kind == "key"):
                del item[method]
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    secret = {"key": KEY, "admin_key": ADMIN_KEY}[kind]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", open_gateway.root_url),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "1", "--no-shrink"),
        *("--exclude-checks", ",".join(TOO_FREE), "--suppress-health-check", "all", "--warnings", "off"),
        *("--header", f"Authorization: Bearer {secret}", "--continue-on-failure"),
    ]
    environ = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    run = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True)

    assert run.returncode == 0, run.stdout + run.stderr
