"""What can go wrong between here and an upstream, each a `Fault` of its kind, in our own words: the whole table."""

from __future__ import annotations

from typing import Final

from providers.base import Fault, FaultKind

BAD_URL: Final = Fault(FaultKind.MISCONFIGURED, "its URL cannot be used")
BAD_HEADERS: Final = Fault(FaultKind.MISCONFIGURED, "its URL or headers cannot be sent")

NOT_CONNECTED: Final = Fault(FaultKind.OVERLOADED, "no connection could be made")
"""Nobody listens there, the name has no address, or the certificate is not to be trusted."""
SLOWLY_CONNECTED: Final = Fault(FaultKind.OVERLOADED, "no connection could be made in time")
PROXY_FAILED: Final = Fault(FaultKind.OVERLOADED, "the proxy made no connection")

TIMED_OUT: Final = Fault(FaultKind.TIMEOUT, "it did not answer in time")
CLOSED_EARLY: Final = Fault(FaultKind.OVERLOADED, "it closed the connection before the answer was whole")
BROKEN_OFF: Final = Fault(FaultKind.OVERLOADED, "the connection broke")

NOT_HTTP: Final = Fault(FaultKind.MALFORMED, "its answer breaks the rules of HTTP")
NOT_DECOMPRESSED: Final = Fault(FaultKind.MALFORMED, "its answer could not be decompressed")
TOO_LARGE: Final = Fault(FaultKind.MALFORMED, "its answer is larger than any right one")
