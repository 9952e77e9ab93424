"""The live stack keeps what /openapi.json says: statuses, media types and the members of its JSON."""

from __future__ import annotations

from typing import Any, cast

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.frontdoor.client import get, jpeg
from tests.origin import Origin
from tests.stack.running import Stack

EXAMPLES = 25
CHECKS: list[CheckFunction] = [
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def test_every_answer_is_described(stack: Stack, origin: Origin) -> None:
    """500 stands nowhere in the description, so one fails this."""
    good = origin.serve("/described.jpg", jpeg(300, 200))
    urls = st.sampled_from([good, origin.url("/nothing.jpg"), "ftp://shop.example/", "", "x"])
    schema = schemathesis.openapi.from_dict(get(stack, "/openapi.json").json())
    headers = {"X-Image-Cloud-Token": stack.token}
    seen: set[int] = set()
    for result in schema.get_all_operations():
        operation = cast(Ok[Any], result).ok()

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(), url=urls)
        def ask(case: schemathesis.Case[Any], url: str) -> None:
            if "url" in case.query:
                case.query["url"] = url
            case.query.pop("token", None)
            case.headers = CaseInsensitiveDict(headers)  # one credential is enough
            seen.add(case.call_and_validate(base_url=stack.url, checks=CHECKS).status_code)

        ask()
    # Many parameters at once mostly contradict each other, and the good picture may be blocked by now.
    another = origin.serve("/another.jpg", jpeg(300, 200))
    for query in ({}, {"no_image": True}, {"resize_width": 40, "trim": True}):
        case = schema["/get_image"]["GET"].Case(query={"url": another, **query}, headers=headers)
        seen.add(case.call_and_validate(base_url=stack.url, checks=CHECKS).status_code)
    assert {200, 202, 204, 400, 403, 404} <= seen
