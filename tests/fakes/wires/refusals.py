"""How the services say no: the families of error bodies, and the statuses and words in which one departs from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.fakes.wires.base import Reason, Sent, Unsound

Refuse = Callable[[Unsound], Sent]
Body = Callable[[int, str], Any]

USUAL: Final[Mapping[Reason, int]] = {
    Reason.ADDRESS: 404,
    Reason.METHOD: 405,
    Reason.KEY: 401,
    Reason.MODEL: 404,
    Reason.FIELD: 400,
    Reason.VALUE: 400,
    Reason.NUMBER: 400,
}


def refusing(body: Body, words: Mapping[Reason, str] | None = None, **statuses: int) -> Refuse:
    """`words` are templates for the fault's `place` and `fault`; `statuses` go by the reason's name."""

    def refuse(unsound: Unsound) -> Sent:
        status = statuses.get(unsound.reason.value, USUAL[unsound.reason])
        template = (words or {}).get(unsound.reason, "`{place}` {fault}")
        said = template.format(place=unsound.place, fault=unsound.fault)
        return Sent(status, body(status, said), words=said)

    return refuse


def openai_like(status: int, message: str) -> Any:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}


def with_number(status: int, message: str) -> Any:
    """Infinity, new vLLM."""
    return {"error": {"message": message, "type": None, "param": None, "code": status}}


def without_type(status: int, message: str) -> Any:
    """Azure and its kin, Zhipu: the code is a text."""
    return {"error": {"code": str(status), "message": message}}


def bare(status: int, message: str) -> Any:
    """Ollama, the Hugging Face router."""
    return {"error": message}


def detail(status: int, message: str) -> Any:
    """Voyage, Jina, Nomic."""
    return {"detail": message}


def details(status: int, message: str) -> Any:
    """FastAPI's list, for what does not validate."""
    if status != 422:
        return {"detail": message}
    return {"detail": [{"loc": ["body"], "msg": message, "type": "value_error"}]}
