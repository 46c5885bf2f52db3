"""Hosts of other people's models at OpenAI's endpoint, one record each."""

from __future__ import annotations

from typing import Final

from tests.fakes.wires.base import Reason, Wire
from tests.fakes.wires.openai_like import ENCODING, FLOAT, no_usage, wire
from tests.fakes.wires.refusals import details, openai_like, refusing
from tests.fakes.wires.shapes import no_use, whole

# https://deepinfra.com/docs/openai_api
DEEPINFRA: Final = wire(
    "deepinfra",
    "/v1/openai",
    "Qwen/Qwen3-Embedding-0.6B",
    1024,
    dimensions=("dimensions", whole(1, 1024)),
    encodings=("encoding_format", FLOAT),  # base64 is not verified
    max_inputs=1024,
    lengths=(256,),
    refuse=refusing(details, number=422, value=422),
)
# https://docs.fireworks.ai
FIREWORKS: Final = wire(
    "fireworks",
    "/inference/v1",
    "nomic-ai/nomic-embed-text-v1.5",
    768,
    dimensions=("dimensions", whole(64, 768)),
    others={"prompt_template": no_use, "return_logits": no_use, "normalize": no_use},
    max_inputs=2048,
    unit_length=False,  # `normalize` is false unless asked for
    lengths=(64,),
)
# https://docs.tokenfactory.nebius.com
NEBIUS: Final = wire(
    "nebius",
    "/v1",
    "Qwen/Qwen3-Embedding-8B",
    4096,
    dimensions=("dimensions", whole(1, 4096)),
    lengths=(256,),
)
# https://docs.siliconflow.cn
SILICONFLOW: Final = wire(
    "siliconflow",
    "/v1",
    "Qwen/Qwen3-Embedding-0.6B",
    1024,
    dimensions=("dimensions", whole(1, 1024)),
    encodings=("encoding_format", ENCODING),
    max_inputs=32,
    lengths=(256,),
    refuse=refusing(
        lambda status, message: {"code": 20015, "message": message, "data": None},
        {
            Reason.FIELD: "The parameter is invalid. Please check again.",
            Reason.NUMBER: "input batch size > maximum allowed batch size 32",
        },
        number=413,
    ),
)
# https://docs.together.ai
TOGETHER: Final = wire(
    "together",
    "/v1",
    "BAAI/bge-base-en-v1.5",
    768,
    encodings=("encoding_format", ENCODING),
    refuse=refusing(openai_like, {Reason.FIELD: "Unrecognized request arguments supplied: {place}"}),
    envelope={"usage": no_usage},  # as some of its models do
)

HOSTS: Final[tuple[Wire, ...]] = (DEEPINFRA, FIREWORKS, NEBIUS, SILICONFLOW, TOGETHER)
