"""The login through an identity provider of another site, in a Chromium that means `SameSite` seriously."""

from __future__ import annotations

import pathlib
import re
import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.fakes.openid_provider import Client, FakeProvider
from tests.gateway_process import GatewayProcess

CHROMIUM = shutil.which("chromium")
ORIGIN = "http://localhost"
"""The provider's site is 127.0.0.1, which is another."""
REDIRECT = f"{ORIGIN}/admin/ui/login/oidc"

SECONDS = 60
"""However busy the machine is."""
expect.set_options(timeout=SECONDS * 1000)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: the console is not driven")


def test_login(tmp_path: pathlib.Path) -> None:
    """Two clicks lead through the provider to the page that was wanted, with a session, and without a complaint."""
    with FakeProvider({"console": Client(REDIRECT)}) as provider:
        provider.asks = True
        provider.person = {"email": "ada@example.com", "groups": ["gateway-admins"]}
        access = f"""
            admin_key: correct-horse-battery-staple
            console:
              issuer: {provider.name}
              client_id: console
              authorization_url: {provider.root_url}/authorize
              token_url: {provider.root_url}/token
              jwks_url: {provider.jwks_url}
              redirect_url: {REDIRECT}
              values: [gateway-admins]
        """
        models = "small: {normalize: true, targets: [{provider: static, path: wordllama}]}"
        with GatewayProcess(tmp_path, models, access=access) as process, sync_playwright() as driver:
            here = f"--host-resolver-rules=MAP localhost:80 {process.root_url.removeprefix('http://')}"
            browser = driver.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", here], timeout=SECONDS * 1000
            )
            page = browser.new_page()
            page.set_default_timeout(SECONDS * 1000)
            complaints: list[str] = []
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            page.goto(f"{ORIGIN}/admin/ui/keys")
            page.get_by_role("link", name="Log in with single sign-on").click()
            page.get_by_role("link", name="Allow").click()

            expect(page).to_have_url(f"{ORIGIN}/admin/ui/keys")
            expect(page).to_have_title(re.compile("^Keys"))
            expect(page.get_by_role("button", name="Log out")).to_have_attribute(
                "title", "Logged in with ada@example.com"
            )
            kept = {cookie["name"]: cookie["sameSite"] for cookie in page.context.cookies()}
            assert (kept, complaints) == ({"gateway-console": "Strict"}, [])
            browser.close()
