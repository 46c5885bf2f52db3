"""What each backend speaks: pure functions and facts. Nothing here does I/O, except a local model reading its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from providers.azure import AZURE
from providers.base import Provider
from providers.bedrock_cohere import BEDROCK_COHERE, BEDROCK_COHERE_V4
from providers.bedrock_nova import BEDROCK_NOVA
from providers.bedrock_titan import BEDROCK_TITAN, BEDROCK_TITAN_V1
from providers.cohere import COHERE, COHERE_V1
from providers.compatible import COMPATIBLE
from providers.engine import LocalProvider
from providers.gemini import GEMINI
from providers.huggingface import HUGGINGFACE
from providers.local.fastembed import FASTEMBED
from providers.local.onnx import ONNX
from providers.local.sentence_transformers import SENTENCE_TRANSFORMERS
from providers.local.static import STATIC
from providers.nomic import NOMIC
from providers.ollama import OLLAMA
from providers.openai import OPENAI
from providers.perplexity import PERPLEXITY
from providers.relays import RELAYS
from providers.self_hosted import SELF_HOSTED
from providers.snowflake import SNOWFLAKE
from providers.tei_native import TEI_EMBED
from providers.vertex import VERTEX, VERTEX_EMBED_CONTENT
from providers.watsonx import WATSONX

_OPENAI_SHAPED: Final[tuple[Provider, ...]] = (
    *(OPENAI, AZURE, *COMPATIBLE, *RELAYS, *SELF_HOSTED),
    *(SNOWFLAKE, PERPLEXITY),
)
"""Those that speak OpenAI's endpoint, give or take some names."""

_NATIVE: Final = (
    *(COHERE, COHERE_V1, GEMINI, VERTEX, VERTEX_EMBED_CONTENT),
    *(BEDROCK_TITAN_V1, BEDROCK_TITAN, BEDROCK_COHERE, BEDROCK_COHERE_V4, BEDROCK_NOVA),
    *(OLLAMA, TEI_EMBED, HUGGINGFACE, NOMIC, WATSONX),
)
"""Those with a wire of their own."""

_LOCAL: Final = (STATIC, ONNX, FASTEMBED, SENTENCE_TRANSFORMERS)
"""Those inside the gateway."""

_ALL: Final[tuple[Provider | LocalProvider, ...]] = (*_OPENAI_SHAPED, *_NATIVE, *_LOCAL)

PROVIDERS: Final[Mapping[str, Provider | LocalProvider]] = {provider.name: provider for provider in _ALL}
