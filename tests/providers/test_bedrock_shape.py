"""Bedrock's endpoint, whichever family of models is asked."""

from __future__ import annotations

import pytest

from providers import PROVIDERS, bedrock_shape
from providers.base import EmbedCall, Fault, FaultKind, Provider
from tests.providers.exchange import HTML, KEY, answer, request

NAMES = ["bedrock-titan-v1", "bedrock-titan", "bedrock-cohere", "bedrock-cohere-v4", "bedrock-nova"]
FAMILIES = [provider for name in NAMES if isinstance(provider := PROVIDERS[name], Provider)]
EACH = pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
BARE = EmbedCall("amazon.titan-embed-text-v2:0", ["hello"])


@EACH
def test_address(family: Provider) -> None:
    """The region makes up the address, and the model is named in its path, encoded."""
    expected = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.titan-embed-text-v2%3A0/invoke"

    assert expected == request(family, BARE, region="eu-west-1").url


def test_address_of_profile() -> None:
    """An ARN stays one segment of the address."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"
    url = request(FAMILIES[0], EmbedCall(arn, ["hello"]), base_url="https://vpce.example.com/").url

    expected = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fabc"
    assert f"https://vpce.example.com/model/{expected}/invoke" == url


@EACH
def test_needs(family: Provider) -> None:
    """There is no address without a region."""
    assert {"region"} == family.needs


@EACH
def test_headers(family: Provider) -> None:
    """A key goes out as a bearer token."""
    expected = {"content-type": "application/json", "accept": "application/json", "authorization": f"Bearer {KEY}"}

    assert expected == request(family, BARE, region="eu-west-1", api_key=KEY).headers


@EACH
def test_headers_without_key(family: Provider) -> None:
    """Without a key nothing is in the place of a signature."""
    expected = {"content-type": "application/json", "accept": "application/json"}

    assert expected == request(family, BARE, region="eu-west-1").headers


NAMESPACE = "http://internal.amazon.com/coral/com.amazon.coral.service/"


@EACH
@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "ValidationException", FaultKind.REJECTED),
        (400, "ServiceQuotaExceededException", FaultKind.EXHAUSTED),
        (400, "ServiceQuotaExceeded", FaultKind.EXHAUSTED),
        (403, "AccessDeniedException", FaultKind.MISCONFIGURED),
        (403, "UnrecognizedClientException", FaultKind.MISCONFIGURED),
        (404, "ResourceNotFoundException", FaultKind.MISCONFIGURED),
        (408, "ModelTimeoutException", FaultKind.TIMEOUT),
        (424, "ModelErrorException", FaultKind.BROKEN),
        (429, "ThrottlingException", FaultKind.THROTTLED),
        (429, "ModelNotReadyException", FaultKind.OVERLOADED),
        (500, "InternalServerException", FaultKind.BROKEN),
        (503, "ServiceUnavailableException", FaultKind.OVERLOADED),
    ],
)
@pytest.mark.parametrize("suffix", ["", f":{NAMESPACE}"], ids=["bare", "with address"])
def test_error(family: Provider, status: int, name: str, kind: FaultKind, suffix: str) -> None:
    """What an error is, a header tells where the status does not."""
    response = answer({"message": "No."}, status, {"x-amzn-errortype": f"{name}{suffix}"})

    assert Fault(kind, "No.", status) == family.parse_error(response)


def test_recorded_error() -> None:
    """A bad token is ours to mend."""
    message = "The security token included in the request is invalid."
    response = answer({"message": message}, 403, {"x-amzn-errortype": f"UnrecognizedClientException:{NAMESPACE}"})

    assert Fault(FaultKind.MISCONFIGURED, message, 403) == bedrock_shape.parse_error(response)


@pytest.mark.parametrize("payload", [HTML, b"", [], {"message": None}], ids=["html", "empty", "list", "null"])
def test_other_bodies(payload: object) -> None:
    """An error of no such shape is told by its status."""
    assert Fault(FaultKind.OVERLOADED, "", 503) == bedrock_shape.parse_error(answer(payload, 503))


@pytest.mark.parametrize(("headers", "expected"), [({}, None), ({"x-amzn-bedrock-input-token-count": "5"}, 5)])
def test_billed(headers: dict[str, str], expected: int | None) -> None:
    """Every family tells its tokens in a header."""
    assert expected == bedrock_shape.billed(answer(b"", headers=headers))
