"""An OpenAI-compatible gateway for embeddings: N inputs in, N correct vectors out, or a clear error."""

from importlib.metadata import version

__version__ = version("embedding-gateway")
