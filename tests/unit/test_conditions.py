"""Conditional requests, as nginx answers them (ngx_http_not_modified_filter)."""

from __future__ import annotations

import pytest

from image_cloud.request.conditions import FAILED, NOT_MODIFIED, OK, Conditions

TAG, OTHER = '"0000000a-0000000b"', '"0000000c-0000000d"'
STORED = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
THEN, BEFORE = "Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:36 GMT"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, OK),
        ({"IF-NONE-MATCH": TAG}, NOT_MODIFIED),
        ({"IF-NONE-MATCH": f"{OTHER}, W/{TAG}"}, NOT_MODIFIED),
        ({"IF-NONE-MATCH": "*"}, NOT_MODIFIED),
        ({"IF-NONE-MATCH": OTHER}, OK),
        ({"IF-MODIFIED-SINCE": THEN}, NOT_MODIFIED),
        ({"IF-MODIFIED-SINCE": BEFORE}, OK),
        ({"IF-MODIFIED-SINCE": "yesterday"}, OK),
        ({"IF-NONE-MATCH": OTHER, "IF-MODIFIED-SINCE": THEN}, OK),
        ({"IF-NONE-MATCH": TAG, "IF-MODIFIED-SINCE": THEN}, NOT_MODIFIED),
        ({"IF-MATCH": TAG}, OK),
        ({"IF-MATCH": "*"}, OK),
        ({"IF-MATCH": f"W/{TAG}"}, FAILED),
        ({"IF-MATCH": OTHER, "IF-NONE-MATCH": TAG}, FAILED),
        ({"IF-UNMODIFIED-SINCE": BEFORE}, FAILED),
        ({"IF-UNMODIFIED-SINCE": THEN}, OK),
    ],
)
def test_conditions(headers: dict[str, str], status: int) -> None:
    assert Conditions.of(headers).status(TAG, STORED) == status
