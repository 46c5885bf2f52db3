"""The console in a real Chromium, as an operator uses it, and as those use it who see it otherwise."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.fakes import mishaps
from tests.fakes.openai_upstream import FakeOpenAI
from tests.fakes.redis_server import eventually
from tests.gateway_process import GatewayProcess

ADMIN_KEY = "correct-horse-battery-staple"
CHROMIUM = shutil.which("chromium")
AXE = pathlib.Path(__file__).parents[2] / ".venv/node/node_modules/axe-core/axe.min.js"
PAGES = ["overview", "targets", "keys", "new-key", "keys/file:tests", "usage", "configuration", "playground"]
WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PICTURES = os.environ.get("CONSOLE_PICTURES")
"""A folder to put screenshots into, for people to look at."""

SECONDS = 60
"""However busy the machine is."""
expect.set_options(timeout=SECONDS * 1000)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: the console is not driven")


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture(scope="module")
def running(upstream: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    service = f"provider: openai, model: text-embedding-3-small, base_url: '{upstream.base_url}'"
    models = f"""
        local: {{normalize: true, targets: [{{provider: static, path: wordllama}}]}}
        cut: {{dimensions: {{shorten: truncate}}, targets: [{{provider: static, path: wordllama}}]}}
        small:
          targets: [{{name: west, {service}, api_key: {upstream.api_key}}}]
    """
    access = f"admin_key: {ADMIN_KEY}"
    with GatewayProcess(tmp_path_factory.mktemp("console"), models, access=access) as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=SECONDS * 1000)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, running: GatewayProcess) -> Iterator[Page]:
    """Logged in, on the overview; whatever the browser complains of fails the test."""
    with browser.new_context(base_url=f"{running.root_url}/admin/ui/", viewport=WIDE) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(SECONDS * 1000)
        page.goto(f"{running.root_url}/admin")
        page.get_by_label("Admin key").fill(ADMIN_KEY)
        page.keyboard.press("Enter")
        expect(page).to_have_title(re.compile("^Overview"))
        yield page
        refusals = [text for text in complaints if "status of 400" not in text]  # which a wrong form answers
        assert refusals == []


def tile(page: Page, name: str) -> Any:
    return page.locator("dt", has_text=re.compile(f"^{name}$")).locator("xpath=../dd")


def ask(running: GatewayProcess, key: str, model: str = "local", text: str = "a") -> httpx.Response:
    with running.client(key) as http:
        return http.post("/v1/embeddings", json={"model": model, "input": [text]})


def used(running: GatewayProcess, key: str) -> int:
    """Requests of a key that are written down."""
    with running.client(key) as http:
        return int(http.get("/v1/usage").json()["total"]["requests"])


def faults(page: Page) -> list[tuple[str, str]]:
    """What axe-core finds, where it is installed, and whether the page is wider than its window."""
    violations = []
    if AXE.exists():
        page.evaluate(AXE.read_text("utf-8"))
        violations = page.evaluate("axe.run().then(told => told.violations)")
    found = [(one["id"], one["nodes"][0]["html"]) for one in violations]
    return found + ([("too wide", "")] if page.evaluate("document.documentElement.scrollWidth > innerWidth") else [])


def picture(page: Page, name: str) -> None:
    if PICTURES is not None:
        page.screenshot(path=pathlib.Path(PICTURES) / f"{name}.png", full_page=True)


def test_a_keys_life(page: Page, running: GatewayProcess) -> None:
    """A key is made, shown once, used, seen in the counters as they move, changed, and revoked."""
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_role("link", name="New key").click()
    page.get_by_label("Name").fill("search")
    page.get_by_label("Requests a minute").fill("many")
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("alert")).to_contain_text("`rpm` must be a whole number")
    page.get_by_label("Requests a minute").fill("600")
    page.get_by_role("button", name="Make the key").click()
    picture(page, "key-made")
    key = page.get_by_label("Key", exact=True).input_value()
    page.get_by_role("link", name="Overview").click()
    before = page.locator("svg rect").count()
    answers = [ask(running, key).status_code for _ in range(3)]
    expect(page.locator("section", has_text="Last 10 minutes").get_by_role("img").first).to_be_visible()
    expect(page.locator(".charts .chart").first.locator("svg")).to_have_attribute(
        "aria-label", re.compile(r"minutes: [3-9]")
    )
    picture(page, "overview-used")
    eventually(lambda: used(running, key) == 3)  # once a second it is written down, and then the page has it
    page.get_by_role("link", name="Keys", exact=True).click()
    page.get_by_role("link", name="search").click()
    expect(tile(page, "Requests")).to_have_text("3")
    page.get_by_label("Requests a minute").fill("1")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".facts")).to_contain_text("rpm 1")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke search").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("revoked")

    assert (before, answers) == (0, [200, 200, 200])
    assert page.get_by_text(key).count() == 0
    page.wait_for_timeout(2_100)  # a revoked key is believed for two seconds
    assert ask(running, key).status_code == 401


def test_a_target_that_breaks(page: Page, running: GatewayProcess, upstream: FakeOpenAI) -> None:
    """An operator sees a failing target and its last error by itself, drains it, and restores it."""
    page.get_by_role("link", name="Models", exact=True).click()
    target = page.get_by_role("row", name=re.compile("west"))
    expect(target).to_contain_text("in service")
    upstream.behave(mishaps.error(503), times=50)
    with running.client() as http:
        for _ in range(6):
            http.post("/v1/embeddings", json={"model": "small", "input": "x"})
    expect(target).to_contain_text("failing")
    expect(target).to_contain_text("overloaded (503)")
    picture(page, "targets-broken")
    page.get_by_role("link", name="Overview").click()
    expect(page.get_by_role("heading", name="Not in service")).to_be_visible()
    picture(page, "overview-broken")
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("button", name="Drain west of small").click()
    expect(target).to_contain_text("drained")
    page.get_by_role("button", name="Restore west of small").click()
    expect(target).not_to_contain_text("drained")


def test_a_wrong_file(page: Page) -> None:
    """A pasted routing file is told what is wrong with it, line by line, and a right one what it would change."""
    page.get_by_role("link", name="Configuration").click()
    page.get_by_label("Routing file").fill("server: {prot: 8080}\nmodels:\n  local:\n    targets: []\n")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("alert")).to_contain_text("2 problems")
    row = page.get_by_role("row", name=re.compile("server.prot"))
    expect(row).to_contain_text("did you mean `port`?")
    picture(page, "configuration-wrong")
    page.get_by_label("Routing file").fill("models: {local: {targets: [{provider: static, path: wordllama}]}}\n")
    page.get_by_role("button", name="Check it").click()
    expect(page.get_by_role("row", name=re.compile("models.small"))).to_contain_text("removed")
    picture(page, "configuration-right")

    assert faults(page) == []


def test_playground(page: Page) -> None:
    """Texts are compared by two models beside each other, as a table that can be read aloud."""
    page.get_by_role("link", name="Playground", exact=True).click()
    page.get_by_label("Texts").fill("a cat\na kitten\nan invoice")
    page.get_by_label("Model", exact=True).select_option("local")
    page.get_by_label("Compared with").select_option("cut")
    page.get_by_role("button", name="Embed and compare").click()
    heat = page.get_by_role("table", name=re.compile("Cosine"))
    expect(heat).to_have_count(2)
    expect(heat.first.get_by_role("cell", name="1.00")).to_have_count(3)
    picture(page, "playground-heat")

    assert faults(page) == []


def test_keyboard(page: Page) -> None:
    """Whoever has no mouse can jump over the tabs, and sees where he is."""
    page.goto("keys")
    page.keyboard.press("Tab")
    expect(page.get_by_text("To the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New key")).to_be_focused()

    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_without_scripts(browser: Browser, running: GatewayProcess) -> None:
    """Everything but the renewing works in a browser that runs no scripts."""
    with browser.new_context(base_url=f"{running.root_url}/admin/ui/", java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("new-key")
        page.get_by_label("Admin key").fill(ADMIN_KEY)
        page.get_by_role("button", name="Log in").click()
        page.get_by_label("Name").fill("plain")
        page.get_by_role("button", name="Make the key").click()
        made = page.get_by_label("Key", exact=True).input_value()
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_title(re.compile("^Log in"))

    assert made.startswith("sk-gateway-")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed (scripts/setup dev): access is not looked at")
@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", WIDE), ("dark", PHONE)], ids=["light and wide", "dark and a phone"]
)
def test_for_everyone(page: Page, scheme: Any, viewport: ViewportSize) -> None:
    """No page has what axe-core finds wrong, or is wider than its window, in any of its looks."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(viewport)
    found = {}
    for name in [*PAGES, "login"]:
        page.goto(name)
        picture(page, f"{name.replace('/', '-')}-{scheme}-{viewport['width']}")
        wrong = faults(page)
        if wrong:
            found[name] = wrong

    assert found == {}
