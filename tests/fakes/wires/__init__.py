"""The wires of all remote providers, written from their references and not from the code that speaks to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fakes.wires.base import Wire
from tests.fakes.wires.bedrock import NOVA, TITAN, TITAN_V1
from tests.fakes.wires.clouds import CLOUDS
from tests.fakes.wires.cohere import BEDROCK_COHERE, BEDROCK_COHERE_V4, COHERE, COHERE_V1
from tests.fakes.wires.google import GOOGLE
from tests.fakes.wires.hosts import HOSTS
from tests.fakes.wires.makers import MAKERS
from tests.fakes.wires.native import NATIVE
from tests.fakes.wires.relays import RELAYS, SELF_HOSTED

_ALL: Final = (
    *(*MAKERS, *HOSTS, *CLOUDS, *RELAYS, *SELF_HOSTED, *NATIVE, *GOOGLE),
    *(COHERE, COHERE_V1, TITAN_V1, TITAN, BEDROCK_COHERE, BEDROCK_COHERE_V4, NOVA),
)

WIRES: Final[Mapping[str, Wire]] = {wire.name: wire for wire in _ALL}
