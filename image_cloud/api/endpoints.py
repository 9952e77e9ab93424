"""Every endpoint: methods, scope, parameters, answers, and the errors that it may answer with."""

from __future__ import annotations

import dataclasses
from typing import Any

from image_cloud import errors
from image_cloud.api import answers
from image_cloud.api.answers import Answer
from image_cloud.api.problems import Problem, of_the_server, problem_of
from image_cloud.bulk.request import StreamParameters
from image_cloud.cluster.feed_page import PageParameters
from image_cloud.config.sections import Resize
from image_cloud.explain.request import ExplainParameters
from image_cloud.history.windows import HistoryParameters
from image_cloud.politeness.overview import DomainParameters
from image_cloud.prefetch.asked import CancelParameters, ProgressParameters, RetryParameters
from image_cloud.request.parameter import Parameter, Parameters
from image_cloud.request.params import (
    DeleteParameters,
    ImageParameters,
    InfoParameters,
    RefreshParameters,
    ThumbnailParameters,
)
from image_cloud.similar.request import SimilarParameters

ErrorClass = type[errors.ImageCloudError]

# What any request may meet before an endpoint sees it.
ANYWHERE = (400, 405, 408, 413, 414, 429, 431, 503)
WITH_TOKEN: tuple[ErrorClass, ...] = (
    errors.BadParameter, errors.TokenMissing, errors.TokenUnknown, errors.ScopeMissing,
)  # fmt: skip
SIGNED: tuple[ErrorClass, ...] = (errors.BadSignature, errors.SignatureExpired)
URL: tuple[ErrorClass, ...] = (errors.UrlForbidden,)
DOWNLOAD: tuple[ErrorClass, ...] = (
    errors.RobotsRefused, errors.NotLocal, errors.OriginNotFound, errors.Blocked, errors.OriginTimeout,
    *errors.subclasses(errors.OriginFailed), *errors.subclasses(errors.ImageTooLarge),
    *errors.subclasses(errors.UnusableImage), errors.Busy, errors.DecoderAway, errors.OriginPaused,
    errors.StorageUnavailable, errors.DeletedMeanwhile, errors.Resynchronising,
)  # fmt: skip
PICTURE_STATUSES = (412, 416)


@dataclasses.dataclass(frozen=True)
class Operation:
    """One method of one path.  `scope` is what the token needs, None where there is no token asked for."""

    method: str
    path: str
    summary: str
    scope: str | None
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter[Any], ...] = ()
    errors: tuple[ErrorClass, ...] = ()
    statuses: tuple[int, ...] = ()
    body: dict[str, Any] | None = None

    def problems(self) -> list[Problem]:
        """Return everything that can go wrong."""
        common = [problem_of(one) for one in (WITH_TOKEN if self.scope else ())]
        common += [one for status in ANYWHERE if (one := of_the_server(status))]
        return sorted({*common, *self.own_problems()}, key=lambda one: (one.status, one.code))

    def own_problems(self) -> list[Problem]:
        """Return what can go wrong here, and not everywhere."""
        own = [problem_of(one) for one in self.errors]
        return own + [one for status in self.statuses if (one := of_the_server(status))]


def operations(settings: Resize, formats: tuple[str, ...]) -> list[Operation]:
    """List all that clients may ask; `formats` are those that can be written."""
    image, thumbnail = ImageParameters(settings, formats), ThumbnailParameters(settings)
    return [
        *_pictures(image, thumbnail),
        *_deletes(),
        *_refreshes(),
        *_batches(),
        *_domains(),
        *_cluster(),
        *_state(),
    ]


def _pictures(image: Parameters, thumbnail: Parameters) -> list[Operation]:
    failing = SIGNED + URL + DOWNLOAD
    return [
        Operation(
            "GET", "/get_image", "A picture, as the origin sent it or resized.", "read",
            (answers.PICTURE, answers.NOTHING, answers.NOT_MODIFIED, answers.PART),
            tuple(image.all()), failing, PICTURE_STATUSES,
        ),
        *(
            Operation(
                "GET", path, summary, "read",
                (answers.PICTURE, answers.NOT_MODIFIED, answers.PART),
                tuple(thumbnail.all()), failing, PICTURE_STATUSES,
            )
            for path, summary in (
                ("/get_thumbnail", "A picture fitted inside a square box."),
                ("/iproxy.php", "The same as /get_thumbnail, for old pages."),
            )
        ),
        Operation(
            "GET", "/image_info", "What is known of a picture; HEAD downloads nothing.", "read",
            (answers.INFO,), tuple(InfoParameters().all()), failing,
        ),
    ]  # fmt: skip


def _deletes() -> list[Operation]:
    summary = "Delete a picture on every node."
    failing = (*URL, errors.Forbidden, errors.StorageUnavailable)
    parameters = tuple(DeleteParameters().all())
    return [
        Operation(
            method, "/delete_image", summary, "delete", (answers.DELETED,), parameters, failing
        )
        for method in ("DELETE", "POST")
    ]


def _refreshes() -> list[Operation]:
    return [
        Operation(
            "POST", "/refresh_image", "Ask the origin now whether it has changed a picture.", "prefetch",
            (answers.REFRESHED,), tuple(RefreshParameters().all()), URL + DOWNLOAD,
        ),
    ]  # fmt: skip


def _batches() -> list[Operation]:
    away = (errors.Busy, errors.DatabaseUnavailable)
    return [
        Operation(
            "POST", "/fire_and_forget",
            "Take a list of URLs to fetch in advance, or queue the failures of a batch again.", "prefetch",
            (answers.ACCEPTED, answers.RETRIED), tuple(RetryParameters().all()),
            (
                errors.BadRequestBody, errors.RequestTooLarge, errors.BatchUnknown, errors.UrlForbidden,
                *away,
            ),
            body=answers.BATCH,
        ),
        Operation(
            "GET", "/fire_and_forget", "Tell how far a batch is, or list batches.", "prefetch",
            (answers.PROGRESS,), tuple(ProgressParameters().all()), (errors.BatchUnknown, *away),
        ),
        Operation(
            "DELETE", "/fire_and_forget", "Cancel what waits for a batch.", "prefetch",
            (answers.CANCELLED,), tuple(CancelParameters().all()), (errors.BatchUnknown, *away),
        ),
    ]  # fmt: skip


def _domains() -> list[Operation]:
    one, needed = (tuple(DomainParameters(required=it).all()) for it in (False, True))
    return [
        Operation(
            "GET", "/domains", "List the domains that are paused or failing.", "ops",
            (answers.DOMAINS,), one,
        ),
        Operation(
            "POST", "/domains/resume", "Lift the pause of a domain.", "ops",
            (answers.RESUMED,), needed,
        ),
    ]  # fmt: skip


def _cluster() -> list[Operation]:
    return [
        Operation(
            "GET", "/alternative_clouds", "The other nodes and their state.", "read", (answers.CLOUDS,)
        ),
        Operation(
            "GET", "/explain", "Say why a picture is, or is not, here and at every peer.", "ops",
            (answers.EXPLAINED,), tuple(ExplainParameters().all()), URL,
        ),
        Operation(
            "GET", "/similar", "The pictures that look like a given one.", "ops",
            (answers.SIMILAR,), tuple(SimilarParameters().all()),
            (*URL, *DOWNLOAD, errors.DatabaseUnavailable),
        ),
        Operation(
            "GET", "/changes", "The change feed, which peers follow.", "peer",
            (answers.CHANGES,), tuple(PageParameters().all()),
            (errors.DatabaseUnavailable, errors.Resynchronising),
        ),
        Operation(
            "POST", "/originals", "Many originals in one stream, for a peer that lacks them.", "peer",
            (answers.ORIGINALS,), tuple(StreamParameters().all()), (errors.BadRequestBody,),
            body=answers.KEYS,
        ),
    ]  # fmt: skip


def _state() -> list[Operation]:
    return [
        Operation("GET", "/health", "Say that this process is up.", None, (answers.HEALTH,)),
        Operation("GET", "/ready", "Say whether this node can serve.", None, (answers.READY,)),
        Operation(
            "GET",
            "/node_status",
            "How this node is, in all detail; the scope `peer` is enough.",
            "ops",
            (answers.NODE_STATUS,),
        ),
        Operation(
            "GET",
            "/history",
            "The last hours or days of this node, for charts.",
            "ops",
            (answers.HISTORY,),
            tuple(HistoryParameters().all()),
        ),
        Operation(
            "GET",
            "/metrics",
            "Prometheus metrics; the scope `metrics` is enough.",
            "ops",
            (answers.METRICS,),
        ),
        Operation("GET", "/openapi.json", "This description.", "read", (answers.OPENAPI,)),
    ]
