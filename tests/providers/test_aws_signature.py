"""AWS's signatures: its published samples, and botocore as it signs by itself."""

from __future__ import annotations

import datetime
import sys

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from providers import aws_signature
from providers.aws_signature import AwsKeys
from providers.base import EmbedCall, Endpoint, Request
from providers.bedrock_titan import BEDROCK_TITAN

# https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-test-suite.html
KEYS = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
NOW = datetime.datetime(2015, 8, 30, 12, 36, tzinfo=datetime.UTC).timestamp()
SCOPE = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request"
URL = "https://example.amazonaws.com/"
FORM = {"content-type": "application/x-www-form-urlencoded"}

TITAN = BEDROCK_TITAN.build_request(
    EmbedCall("amazon.titan-embed-text-v2:0", ["a text, ünïcode"]),
    Endpoint("https://bedrock-runtime.eu-west-1.amazonaws.com", region="eu-west-1", headers={"X-Team": "a  b"}),
)


@pytest.mark.parametrize(
    ("request_", "names", "signature"),
    [
        (
            Request("GET", URL, {}, b""),
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            Request("POST", URL, {}, b""),
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            Request("POST", URL, FORM, b"Param1=value1"),
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "post-x-www-form-urlencoded"],
)
def test_published(request_: Request, names: str, signature: str) -> None:
    """AWS's own samples are signed as AWS says."""
    signed = aws_signature.signer(KEYS, "us-east-1", "service")(request_, NOW)
    authorization = f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders={names}, Signature={signature}"

    assert {**request_.headers, "x-amz-date": "20150830T123600Z", "authorization": authorization} == signed.headers


@pytest.mark.parametrize("session_token", [None, "AQoDYXdzEPT//wEXAMPLE=="])
def test_botocore(monkeypatch: pytest.MonkeyPatch, session_token: str | None) -> None:
    """A request to Bedrock is signed as botocore signs it at that moment."""
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: moment)
    theirs = AWSRequest(TITAN.method, TITAN.url, dict(TITAN.headers), TITAN.body)
    credentials = Credentials(KEYS.access_key_id, KEYS.secret_access_key, session_token)
    botocore.auth.SigV4Auth(credentials, "bedrock", "eu-west-1").add_auth(theirs)
    keys = AwsKeys(KEYS.access_key_id, KEYS.secret_access_key, session_token)
    ours = aws_signature.signer(keys, "eu-west-1")(TITAN, NOW)

    assert {name.lower(): value for name, value in theirs.headers.items()} == ours.headers


def test_nothing_else_changes() -> None:
    """A signed request differs in its headers alone."""
    signed = aws_signature.signer(KEYS, "eu-west-1")(TITAN, NOW)

    assert (TITAN.method, TITAN.url, TITAN.body) == (signed.method, signed.url, signed.body)


def test_same_signature() -> None:
    """The same moment gives the same signature."""
    first, second = (aws_signature.signer(KEYS, "eu-west-1")(TITAN, NOW) for _ in range(2))

    assert first == second


def test_secrets_hide() -> None:
    """Keys do not show themselves."""
    assert "AwsKeys()" == repr(AwsKeys("S3cret", "S3cret", "S3cret"))


def test_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the extra is installed is known without importing it."""
    there = aws_signature.is_installed()
    monkeypatch.setitem(sys.modules, "botocore", None)

    assert (True, False) == (there, aws_signature.is_installed())
