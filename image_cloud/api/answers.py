"""What endpoints answer when all is well: status, media type and JSON schema."""

from __future__ import annotations

import dataclasses
from typing import Any

from image_cloud.prefetch.body import LONGEST_CALLBACK, MOST_AGE_S
from image_cloud.prefetch.shown import CALLBACK_STATES, STATES

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
BYTES: Schema = {}
DHASH: Schema = {"type": "string", "pattern": "^[0-9a-f]{16}$"}


def listing(of: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": of}


def record(**members: Schema) -> Schema:
    """Return the schema of an object that has at least these members."""
    return {"type": "object", "properties": members, "required": list(members)}


def or_none(schema: Schema) -> Schema:
    """Return the schema of what may be null."""
    return {**schema, "type": [schema["type"], "null"]}


@dataclasses.dataclass(frozen=True)
class Answer:
    """One answer; `media` maps media types to schemas, an empty one has no body."""

    status: int
    meaning: str
    media: dict[str, Schema] = dataclasses.field(default_factory=dict)


def json_of(status: int, meaning: str, schema: Schema) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, meaning, {"application/json": schema})


PICTURE = Answer(200, "the picture", {"image/*": BYTES})
NOTHING = Answer(204, "the picture is stored (`no_image`)")
NOT_MODIFIED = Answer(304, "the client's copy is still good")
PART = Answer(206, "the range that was asked for", {"image/*": BYTES})
DELETED = json_of(
    200,
    "the picture is gone",
    record(url=TEXT, deleted=YES_OR_NO, blocked=YES_OR_NO, recorded=YES_OR_NO),
)
INFO = json_of(
    200,
    "what is known of the picture",
    record(
        url=TEXT, key=TEXT, format=TEXT, width=COUNT, height=COUNT, bytes=COUNT, sha256=TEXT,
        stored_at=NUMBER, checked_at=NUMBER, stored_from=TEXT,
        origin=record(etag=or_none(TEXT), last_modified=or_none(TEXT)),
        animated=YES_OR_NO, has_alpha=YES_OR_NO,
        orientation={"type": "integer", "minimum": 1, "maximum": 8},
        average_colour={"type": "string", "pattern": "^[0-9a-f]{6}$"},
        dhash=DHASH,
    ),
)  # fmt: skip
SIMILAR = json_of(
    200,
    "the pictures of this node's catalogue that resemble it, the most similar first",
    record(
        dhash=DHASH, within=COUNT, is_all=YES_OR_NO,
        pictures=listing(
            record(
                url=TEXT, key=TEXT, distance=COUNT, dhash=DHASH, format=TEXT, width=or_none(COUNT),
                height=or_none(COUNT), bytes=COUNT, sha256=TEXT, stored_at=NUMBER,
            )
        ),
    ),
)  # fmt: skip
REFRESHED = json_of(
    200,
    "the origin has been asked",
    record(
        url=TEXT, key=TEXT, changed=YES_OR_NO, sha256=TEXT, format=TEXT, bytes=COUNT,
        stored_at=NUMBER, checked_at=NUMBER,
    ),
)  # fmt: skip
BATCH = {
    **record(urls={"type": "array", "items": TEXT, "maxItems": 100_000}),
    "example": {"urls": ["https://shop.example/a.jpg"], "thumbnails": [200, 250], "priority": 0},
}
BATCH["properties"] |= {
    "thumbnails": listing({"type": "integer"}),
    "priority": {"type": "integer", "minimum": -1000, "maximum": 1000},
    "callback": {"type": ["string", "null"], "maxLength": LONGEST_CALLBACK},
    "max_age": {"type": ["integer", "null"], "minimum": 0, "maximum": MOST_AGE_S},
}
REJECTED = record(url=TEXT, code=TEXT, detail=TEXT)
ACCEPTED = json_of(
    202,
    "the batch is safely in the database",
    record(
        batch=TEXT,
        accepted=COUNT,
        already_cached=COUNT,
        duplicates=COUNT,
        rejected=listing(REJECTED),
    ),
)
BATCH_STATE = record(
    batch=TEXT, client=TEXT, state={"type": "string", "enum": list(STATES)},
    total=COUNT, done=COUNT, failed=COUNT, cancelled=COUNT, waiting=COUNT,
    failures={"type": "object", "additionalProperties": COUNT},
    already_cached=COUNT, duplicates=COUNT, rejected=COUNT, priority={"type": "integer"},
    thumbnails=listing(COUNT), created_at=TIME, finished_at=or_none(TIME), cancelled_at=or_none(TIME),
    callback=or_none(
        record(
            state={"type": "string", "enum": list(CALLBACK_STATES)}, tries=COUNT, code=or_none(TEXT)
        )
    ),
)  # fmt: skip
BATCHES = record(batches=listing(BATCH_STATE), batches_before=or_none(TEXT))
PROGRESS = json_of(
    200,
    "how far the batch is; without `batch`, a page of batches",
    {"anyOf": [BATCH_STATE, BATCHES]},
)
CANCELLED = json_of(
    200,
    "what waited is cancelled: nothing where the batch has ended",
    record(batch=TEXT, cancelled=COUNT),
)
RETRIED = json_of(200, "the failures are queued again (`retry`)", record(batch=TEXT, queued=COUNT))
SLOTS = record(used=COUNT, allowed=COUNT)
DOMAINS = json_of(
    200,
    "the domains in trouble, or the one that was asked for",
    record(domains=listing(record(domain=TEXT, state=TEXT, slots=SLOTS))),
)
RESUMED = json_of(
    200, "it is asked again, or was not paused", record(domain=TEXT, resumed=YES_OR_NO)
)
CLOUDS = json_of(
    200,
    "the other nodes",
    record(
        node=TEXT,
        alternative_clouds=listing(
            record(
                name=TEXT,
                url=TEXT,
                alive=YES_OR_NO,
                last_seen=or_none(TIME),
                backlog=or_none(COUNT),
            )
        ),
    ),
)
CHANGES = json_of(200, "a page of the feed", record(changes=listing({"type": "object"})))
KEYS: Schema = {
    **TEXT,
    "description": "one cache key of 64 hexadecimal digits a line, at most 1000",
    "pattern": "^[0-9a-f]{64}(\\n[0-9a-f]{64}){0,999}\\n?$",
}
ORIGINALS = Answer(
    200, "a tar: `<key>.json`, then `<key>.<extension>`; or absence", {"application/x-tar": BYTES}
)
EXPLAINED = json_of(
    200,
    "what is known of the picture",
    record(
        node=TEXT, url=TEXT, key=TEXT, at=NUMBER, verdict=TEXT, variants=listing({"type": "object"})
    ),
)
STATE = {"type": "string", "enum": ["ok", "degraded"]}
HEALTH = json_of(200, "up", record(status=STATE))
READY = json_of(200, "`ok` or `degraded`; details with the scope `ops`", record(status=STATE))
NODE_STATUS = json_of(
    200,
    "the state; what needs the database is null while it is away",
    record(
        node=TEXT, version=TEXT, at=NUMBER, status=STATE, storage=TEXT, database=TEXT,
        uptime_s=or_none(NUMBER), pools={"type": "object"}, disk={"type": "object"},
        traffic={"type": "object"}, peers=listing({"type": "object"}), domains=listing({"type": "object"}),
        pictures_about=or_none(COUNT), clone_backlog=or_none(COUNT), refresh=or_none({"type": "object"}),
    ),
)  # fmt: skip
HISTORY = json_of(
    200,
    "a row for each step, the oldest first, in the order of `columns`; null is what is not known",
    record(
        node=TEXT, window=TEXT, at=NUMBER, step=COUNT, columns=listing(TEXT),
        rows=listing(listing(or_none(NUMBER))),
    ),
)  # fmt: skip
METRICS = Answer(200, "Prometheus's text format", {"text/plain": TEXT})
OPENAPI = json_of(200, "an OpenAPI 3.1 document", {"type": "object"})
