"""Servers of one's own that speak OpenAI's embeddings endpoint, each as a record of where it departs from it.

None has a public address. Where one takes token ids they are of its own model's vocabulary, so a target has to say
that these are the clients'. Base64 of float32 is in the byte order of the host, which is little-endian wherever these
servers usually run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from providers import infinity_statistics, openai_shape
from providers.base import Embeddings, Fault, FaultKind, Limits, Provider, Response, StatisticsSource
from providers.dialect import Dialect
from providers.errors_shape import Meaning

# https://huggingface.github.io/text-embeddings-inference/
# It cuts what is too long unless started with `--auto-truncate false`: this endpoint has no switch.
TEI: Final = Dialect().provider(
    "tei",
    limits=Limits(
        inputs=32,  # --max-client-batch-size
        request_bytes=2_000_000,  # --payload-limit
    ),
    token_ids=True,
    base64=True,
    unit_length=True,
    overlong="cuts",
)


def without_usage(response: Response) -> Embeddings | Fault:
    """Infinity counts characters, not tokens, unless started otherwise; which of both cannot be seen."""
    answer = openai_shape.parse_response(response)
    return replace(answer, prompt_tokens=None) if isinstance(answer, Embeddings) else answer


# https://michaelfeil.eu/infinity/
# Its prefix is empty unless `--url-prefix` says otherwise, so the base URL is taken as it is. It shortens without
# making the rest unit length, which `shorten: truncate` does here.
INFINITY: Final = Dialect(
    version=None,
    dimensions_field=None,
    user_field="user",
    guarded=frozenset({"modality"}),
).provider(
    "infinity",
    None,
    Meaning(FaultKind.MISCONFIGURED, 400, says="Invalid model"),
    parse_response=without_usage,
    limits=Limits(inputs=2048, input_chars=122_880),  # INFINITY_MAX_CLIENT_BATCH_SIZE; the characters are fixed
    base64=True,
    overlong="cuts",
    statistics=StatisticsSource(infinity_statistics.build_request, infinity_statistics.parse_response),
)

# https://docs.vllm.ai/en/latest/models/pooling_models/
# Asked for nothing else, it refuses what is too long.
VLLM: Final = Dialect(
    user_field="user",
    guarded=frozenset(
        {
            *("messages", "truncate_prompt_tokens", "truncation_side", "add_special_tokens"),  # other input
            *("normalize", "use_activation"),  # another space
            *("embed_dtype", "endianness"),  # other bytes behind base64
        }
    ),
).provider(
    "vllm",
    None,
    Meaning(FaultKind.MISCONFIGURED, 400, says="base64 encoding is not currently supported"),  # before mid-2024
    token_ids=True,
    base64=True,
    overlong="refuses",
)

# https://github.com/ggml-org/llama.cpp/tree/master/tools/server
# Its `embd_normalize` makes other vectors of a text, and `content` is another name for the input.
LLAMACPP: Final = Dialect(dimensions_field=None, guarded=frozenset({"embd_normalize", "content"})).provider(
    "llamacpp",
    None,
    Meaning(FaultKind.REJECTED, 500, says="too large to process"),  # longer than the physical batch, `-ub`
    Meaning(FaultKind.MISCONFIGURED, 501),  # not started with `--embeddings`
    token_ids=True,
    base64=True,
    unit_length=True,
    overlong="refuses",
)

# https://lmstudio.ai/docs/developer/openai-compat
# It ignores `encoding_format` and `dimensions`, and often reports a usage of zero, which counts as none.
LMSTUDIO: Final = Dialect(dimensions_field=None, asks_base64={}).provider("lmstudio")

SELF_HOSTED: Final[tuple[Provider, ...]] = (TEI, INFINITY, VLLM, LLAMACPP, LMSTUDIO)
