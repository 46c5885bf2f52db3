"""An OpenAI-compatible gateway for embeddings: N inputs in, N correct vectors out, or a clear error."""

__version__ = "0.1.0"
