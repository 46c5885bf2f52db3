"""Clouds that speak OpenAI's endpoint among much else, one record each."""

from __future__ import annotations

from typing import Final

from tests.fakes.wires.base import Reason, Sent, Unsound, Wire
from tests.fakes.wires.openai_like import ENCODING, FLOAT, OPENAI_FACTS, no_usage, total_only, wire
from tests.fakes.wires.refusals import refusing, without_type
from tests.fakes.wires.shapes import no_use, one_of, text, text_up_to, whole

_AZURE_REFUSES: Final = refusing(
    without_type,
    {
        Reason.KEY: "Access denied due to invalid subscription key or wrong API endpoint. The {place} {fault}.",
        Reason.ADDRESS: "Resource not found",
    },
)
# https://learn.microsoft.com/azure/ai-foundry/openai/reference#embeddings
AZURE: Final = wire(
    "azure",
    "",
    path="/openai/deployments/text-embedding-3-small/embeddings",
    query={"api-version": "2024-10-21"},
    names_model=False,  # ignored, as the path names it
    key_header="api-key",
    key_scheme="",
    refuse=_AZURE_REFUSES,
    configured={"api_version": "2024-10-21"},
    **OPENAI_FACTS,
)
AZURE_V1: Final = wire(
    "azure-v1",
    "/openai/v1",
    provider="azure",
    key_header="api-key",
    key_scheme="",
    refuse=_AZURE_REFUSES,
    **OPENAI_FACTS,
)
# https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/
CLOUDFLARE: Final = wire(
    "cloudflare",
    "/client/v4/accounts/4cc0un7/ai/v1",
    "@cf/baai/bge-small-en-v1.5",
    384,
    max_inputs=100,
    refuse=refusing(
        lambda status, message: {
            "success": False,
            "errors": [{"code": 10000, "message": message}],
            "result": None,
            "messages": [],
        }
    ),
    envelope={"usage": no_usage},  # none is documented
)
# https://www.alibabacloud.com/help/en/model-studio/embedding-interfaces-compatible-with-openai
DASHSCOPE: Final = wire(
    "dashscope",
    "/compatible-mode/v1",
    "text-embedding-v4",
    1024,
    dimensions=("dimensions", one_of(2048, 1536, 1024, 768, 512, 256, 128, 64)),
    encodings=("encoding_format", FLOAT),  # base64 is not verified
    max_inputs=10,
    lengths=(64, 256),
    refuse=refusing(
        lambda status, message: {
            "error": {"message": message, "type": "InvalidParameter", "param": None, "code": "InvalidParameter"},
            "id": "318cff27",
            "request_id": "318cff27",
        },
        {Reason.NUMBER: "<400> InternalError.Algo.InvalidParameter: Value error, batch size is invalid: {fault}"},
    ),
)
# https://docs.databricks.com/aws/machine-learning/model-serving/query-embedding-models
DATABRICKS: Final = wire(
    "databricks",
    "/serving-endpoints",
    "databricks-gte-large-en",
    1024,
    others={"instruction": no_use},
    max_inputs=150,
    unit_length=False,
    refuse=refusing(
        lambda status, message: {"error_code": "BAD_REQUEST", "message": message},
        {Reason.FIELD: 'Bad request: json: unknown field "{place}"\n'},
    ),
)
# https://cloud.baidu.com/doc/qianfan-api
QIANFAN: Final = wire(
    "qianfan",
    "/v2",
    "embedding-v1",
    384,
    text=text_up_to(1000),
    encodings=("encoding_format", FLOAT),
    max_inputs=16,
    refuse=refusing(
        lambda status, message: {
            "error": {"code": "invalid_argument", "message": message, "type": "invalid_request_error"},
            "id": "as-1",
        }
    ),
)


def _snowflake_refuses(unsound: Unsound) -> Sent:
    body = {"message": str(unsound), "code": "390104", "request_id": "9b1f"}
    return Sent(403 if unsound.reason is Reason.KEY else 400, body, words=str(unsound))


# https://docs.snowflake.com/en/user-guide/snowflake-cortex/cortex-rest-api/embed-api
SNOWFLAKE: Final = wire(
    "snowflake",
    "",
    "e5-base-v2",
    768,
    path="/api/v2/cortex/inference:embed",
    inputs="text",
    headers={"x-snowflake-authorization-token-type": "PROGRAMMATIC_ACCESS_TOKEN"},
    configured={"headers": {"X-Snowflake-Authorization-Token-Type": "PROGRAMMATIC_ACCESS_TOKEN"}},
    refuse=_snowflake_refuses,
    envelope={"nested": True, "usage": total_only},
)
# https://www.volcengine.com/docs/82379
VOLCENGINE: Final = wire(
    "volcengine",
    "/api/v3",
    "doubao-embedding-text",
    2560,
    dimensions=("dimensions", whole(1, 2560)),
    encodings=("encoding_format", ENCODING),
    others={"user": text},
    max_inputs=32,
    lengths=(256,),
    extra={"user": "user-1"},
    envelope={"top": {"id": "0217", "created": 1717171717, "object": "list"}},
)

CLOUDS: Final[tuple[Wire, ...]] = (AZURE, CLOUDFLARE, DASHSCOPE, DATABRICKS, QIANFAN, SNOWFLAKE, VOLCENGINE, AZURE_V1)
