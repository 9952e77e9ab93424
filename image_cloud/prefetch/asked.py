"""What clients ask about batches: the parameters of GET, DELETE and POST /fire_and_forget."""

from __future__ import annotations

import dataclasses
import uuid

from image_cloud.errors import BadParameter, BatchUnknown
from image_cloud.picture.key import KEY_PATTERN
from image_cloud.request.parameter import Flag, Parameters, Pattern, Whole
from image_cloud.request.query import Query

MOST_LISTED = 1000
LATEST = 2**63 - 1
BATCH_FORM = "the batch of a POST's answer"


class ProgressParameters(Parameters):
    """The parameters of GET /fire_and_forget."""

    def __init__(self) -> None:
        self.batch = Pattern(
            name="batch",
            pattern=r".*",
            form=BATCH_FORM,
            meaning=f"{BATCH_FORM}; without it, batches are listed",
        )
        self.list_failures = Flag(
            name="list_failures", meaning=f"list the URLs that failed, at most {MOST_LISTED}"
        )
        self.after = Pattern(
            name="after",
            pattern=KEY_PATTERN.pattern,
            form="the failed_after of an earlier answer",
            meaning="`failed_after` of the answer before: the next page of failures",
        )
        self.limit = Whole(
            name="limit",
            low=1,
            high=MOST_LISTED,
            default=100,
            meaning="how many batches are listed",
        )
        self.before = Pattern(
            name="before",
            pattern=r"[0-9]{1,18}",
            form="the batches_before of an earlier answer",
            meaning="`batches_before` of the answer before: the next page of batches",
        )


class CancelParameters(Parameters):
    """The parameter of DELETE /fire_and_forget."""

    def __init__(self) -> None:
        self.batch = Pattern(
            name="batch", pattern=r".*", form=BATCH_FORM, required=True, meaning=BATCH_FORM
        )


class RetryParameters(Parameters):
    """The parameters of POST /fire_and_forget; without them it takes a new batch."""

    def __init__(self) -> None:
        self.batch = Pattern(
            name="batch",
            pattern=r".*",
            form=BATCH_FORM,
            meaning="with `retry`: the batch whose failures are queued again",
        )
        self.retry = Flag(
            name="retry", meaning="true: no body, queue the failures of `batch` again"
        )


@dataclasses.dataclass(frozen=True)
class Viewer:
    """Who asks: the client's name, and whether it sees the batches of all."""

    client: str
    sees_all: bool

    @property
    def only(self) -> str | None:
        """Return the one client whose batches it sees, None for all."""
        return None if self.sees_all else self.client


@dataclasses.dataclass(frozen=True)
class ProgressRequest:
    """Which batch is asked for; `list_failures` wants its failures, those behind the key `after`."""

    batch: uuid.UUID
    list_failures: bool = False
    after: str = ""


@dataclasses.dataclass(frozen=True)
class ListRequest:
    """Which page of batches is asked for: `limit` of them, with numbers below `before`."""

    limit: int
    before: int = LATEST


def read_get(query: Query) -> ProgressRequest | ListRequest:
    """Read what ProgressParameters describe.  Raises BadParameter, BatchUnknown."""
    asked = ProgressParameters()
    is_one = query.text("batch") is not None
    batch, after = asked.batch.of(query), asked.after.of(query)
    flag, limit, before = (
        asked.list_failures.of(query),
        asked.limit.of(query),
        asked.before.of(query),
    )
    if is_one:
        return ProgressRequest(batch_of(batch), flag, after)
    return ListRequest(limit, int(before) if before else LATEST)


def read_retry(query: Query) -> uuid.UUID | None:
    """Return the batch that a POST retries, None where it brings a new one.

    Raises BadParameter for one parameter without the other, BatchUnknown.
    """
    asked = RetryParameters()
    batch, retry = query.text("batch"), asked.retry.of(query)
    if retry and batch is None:
        raise BadParameter(f"batch: missing; expected with retry is {BATCH_FORM}")
    if batch is not None and not retry:
        raise BadParameter("retry: expected with batch is true")
    return None if batch is None else batch_of(batch)


def read_cancel(query: Query) -> uuid.UUID:
    """Return the batch that a DELETE cancels.  Raises BadParameter, BatchUnknown."""
    return batch_of(CancelParameters().batch.of(query))


def batch_of(text: str) -> uuid.UUID:
    """Return the batch of this id.  Raises BatchUnknown for what is no id of a batch."""
    try:
        return uuid.UUID(text)
    except ValueError:
        raise BatchUnknown() from None
