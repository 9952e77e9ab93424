"""Every error that Image Cloud answers with: one tree, no HTTP in it.

The first line of a class's docstring is its public title, the rest says what to do about it
(docs/errors.md). `code` is its stable name for clients, logs, metrics and the failure memory.
`image_cloud/api/problems.py` gives each class its HTTP status.
"""

from __future__ import annotations


class ImageCloudError(Exception):
    """Something went wrong inside Image Cloud.

    `detail` is public text: no token, no file path, no address of ours.  `upstream_status` is
    the origin's HTTP status where it answered.  `retry_after_s` says in how many seconds to
    try the same request again.
    """

    code = "internal"
    # For how long the failure memory (storage/failures.py) answers with it.
    remembered_s = 0.0

    def __init__(
        self,
        detail: str = "",
        *,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.detail = detail or self.title()
        self.upstream_status = upstream_status
        self.retry_after_s = retry_after_s
        super().__init__(self.detail)

    @classmethod
    def title(cls) -> str:
        """Return the docstring's first line: the same words for every error of this class."""
        return (cls.__doc__ or ImageCloudError.__doc__ or "").strip().splitlines()[0].rstrip(".")

    @classmethod
    def advice(cls) -> str:
        """Return what to do about it, one line: the rest of the docstring."""
        return " ".join((cls.__doc__ or "").split("\n", 1)[-1].split())


# --- the request ---------------------------------------------------------------------------------


class BadParameter(ImageCloudError):
    """A parameter is missing, malformed, duplicated or out of range.

    `detail` names the parameter, what came and what is allowed.
    """

    code = "bad_parameter"


class BadRequestBody(ImageCloudError):
    """The request body is malformed.

    `detail` names the member and the place.
    """

    code = "bad_body"


class RequestTooLarge(ImageCloudError):
    """The request is too large.

    Send less at once: at most 100,000 URLs and 32 MiB to /fire_and_forget.
    """

    code = "request_too_large"


class TokenMissing(ImageCloudError):
    """This endpoint needs a token.

    Send it as `Authorization: Bearer`, `X-Image-Cloud-Token` or `?token=`.
    """

    code = "token_missing"


class TokenUnknown(ImageCloudError):
    """The token is unknown.

    It was revoked, or is another node's: `image-cloud token list` shows the clients of this one.
    """

    code = "token_unknown"


class Forbidden(ImageCloudError):
    """This is forbidden.

    `detail` says why, and which node takes the request where another one does.
    """

    code = "forbidden"


class ScopeMissing(Forbidden):
    """The client lacks the scope that this endpoint needs.

    Use a token that has the scope: `image-cloud token add NAME SCOPE...`.
    """

    code = "scope_missing"


class ForeignOrigin(Forbidden):
    """The form was sent from another site.

    Use the form of the node's own page; a proxy in between has to pass on `Host` and `Origin`.
    """

    code = "foreign_origin"


class FormExpired(Forbidden):
    """The form has expired.

    Open the page again and send its form anew.
    """

    code = "form_expired"


class TooManyAttempts(ImageCloudError):
    """Too many wrong tokens came from this address.

    `Retry-After` says when to try again.
    """

    code = "too_many_attempts"


class BadSignature(Forbidden):
    """The signed URL is not valid.

    Sign the URL exactly as it is requested, with a token that is still valid: docs/api.md has the
    recipe.
    """

    code = "bad_signature"


class SignatureExpired(Forbidden):
    """The signed URL has expired.

    Sign the URL anew.
    """

    code = "signature_expired"


class UrlForbidden(Forbidden):
    """This URL must not be fetched.

    Its scheme, port, domain or address is excluded; `[download]` in the ini allows networks, domains
    and ports.
    """

    code = "url_forbidden"


class RobotsRefused(Forbidden):
    """The origin does not want this done with the picture.

    The origin sends one of the ini's `[download] respect_robots_tags`.
    """

    code = "robots_refused"


class NotLocal(ImageCloudError):
    """This node does not have the picture.

    Ask without `only_send_if_local`, or another node.
    """

    code = "not_local"


class BatchUnknown(ImageCloudError):
    """No such batch.

    Use the `batch` of the POST's answer; old batches are removed.
    """

    code = "batch_unknown"


class Blocked(ImageCloudError):
    """The picture was deleted and its URL is blocked.

    `DELETE /delete_image?url=...&block=false` lifts the block.
    """

    code = "blocked"


# --- the origin ----------------------------------------------------------------------------------


class OriginNotFound(ImageCloudError):
    """The origin has no such picture.

    The shop has removed the picture, or the URL is wrong; it is asked again after about an hour.
    """

    code = "origin_not_found"


class OriginFailed(ImageCloudError):
    """The origin failed.

    Try again after Retry-After.
    """

    code = "origin_failed"


class OriginRefused(OriginFailed):
    """The origin refused the connection.

    Its web server is down, or a firewall is between.
    """

    code = "origin_refused"


class OriginReset(OriginFailed):
    """The origin closed the connection early.

    Try again after Retry-After; if it persists, the origin may turn this node's address away.
    """

    code = "origin_reset"


class OriginDns(OriginFailed):
    """The origin's name does not resolve.

    Check the host name, and the node's resolver.
    """

    code = "origin_dns"


class OriginTls(OriginFailed):
    """The TLS connection to the origin failed.

    `detail` says what is wrong with its certificate; `[download] ca_file` adds an authority.
    """

    code = "origin_tls"


class OriginStatus(OriginFailed):
    """The origin answered with an unexpected status.

    `upstream_status` has the status; after 429 and 503 the origin's Retry-After is obeyed.
    """

    code = "origin_status"


class OriginProtocol(OriginFailed):
    """The origin did not send valid HTTP.

    Look at what its server sends: docs/origins.md lists what is read.
    """

    code = "origin_protocol"


class TooManyRedirects(OriginFailed):
    """The origin redirects too often.

    `[download] max_redirects` is the limit.
    """

    code = "too_many_redirects"


class OriginTimeout(ImageCloudError):
    """The origin is too slow.

    Try again after Retry-After; `[download]` has the time limits.
    """

    code = "origin_timeout"


# --- the picture ---------------------------------------------------------------------------------


class ImageTooLarge(ImageCloudError):
    """The picture is too large.

    `detail` names the limit, which the ini can raise; the original may still be served.
    """

    code = "image_too_large"


class TooManyBytes(ImageTooLarge):
    """The picture's file is too large.

    `[download] max_bytes` is the limit.
    """

    code = "too_many_bytes"


class TooManyPixels(ImageTooLarge):
    """The picture has too many pixels.

    `[resize] max_pixels` and `max_jpeg_pixels` are the limits; the original is served.
    """

    code = "too_many_pixels"


class TooManyFrames(ImageTooLarge):
    """The picture has too many frames.

    `[resize] max_frames` is the limit; the original is served.
    """

    code = "too_many_frames"


class TooManyScans(ImageTooLarge):
    """The progressive JPEG has too many scans.

    `[resize] max_scans` is the limit; the original is served.
    """

    code = "too_many_scans"


class TooMuchMemory(ImageTooLarge):
    """Resizing the picture needs more memory than is allowed.

    `[resize] worker_memory` is the limit; the original is served.
    """

    code = "too_much_memory"


class UnusableImage(ImageCloudError):
    """The origin sent no usable picture.

    Look at what the URL shows in a browser.
    """

    code = "unusable_image"


class NotAnImage(UnusableImage):
    """The origin did not send a picture.

    The URL leads to a page or to something else; look at it in a browser.
    """

    code = "not_an_image"


class UnsupportedFormat(UnusableImage):
    """The picture's format is not supported.

    `detail` names the format that the bytes claim; docs/pictures.md lists those that are read.
    """

    code = "unsupported_format"


class TruncatedImage(UnusableImage):
    """The picture is truncated.

    The origin sends only a part of it; it is asked again later.
    """

    code = "truncated_image"


class CorruptImage(UnusableImage):
    """The picture is damaged.

    The file is broken at the origin; its original is served as it is.
    """

    code = "corrupt_image"


class DecoderDied(UnusableImage):
    """The picture crashed the decoder.

    Its original is served; please report the URL.
    """

    code = "decoder_died"


class DecodeTimeout(UnusableImage):
    """Decoding the picture took too long.

    `[resize] decode_timeout` is the limit; the original is served.
    """

    code = "decode_timeout"


# --- this node -----------------------------------------------------------------------------------


class Unavailable(ImageCloudError):
    """This node cannot answer right now.

    Try again after Retry-After, or ask another node.
    """

    code = "unavailable"


class Busy(Unavailable):
    """This node is busy.

    Try again after Retry-After.
    """

    code = "busy"


class DecoderAway(Busy):
    """The decoder is away.

    It is started again at once; try again after Retry-After.
    """

    code = "decoder_away"


class OriginPaused(Busy):
    """Requests to this origin are paused.

    It failed too often or asked for a pause; try again after Retry-After.
    """

    code = "origin_paused"

    def __init__(
        self,
        detail: str = "",
        *,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        domain: str = "",
    ) -> None:
        self.domain = domain
        super().__init__(detail, upstream_status=upstream_status, retry_after_s=retry_after_s)


class StorageUnavailable(Unavailable):
    """The storage is unavailable.

    See `/ready` and the disk; without `no_image` the picture is passed through.
    """

    code = "storage_unavailable"


class DatabaseUnavailable(Unavailable):
    """The database is unavailable.

    See `/ready` and PostgreSQL; pictures are served meanwhile.
    """

    code = "database_unavailable"


class DeletedMeanwhile(Unavailable):
    """The picture was deleted while it was being fetched.

    Ask again: it is fetched anew.
    """

    code = "deleted_meanwhile"


class PeerAway(Unavailable):
    """A peer is unreachable.

    See `/alternative_clouds`.
    """

    code = "peer_away"


class PeerBroken(PeerAway):
    """A peer broke off while it answered, or went on for too long."""

    code = "peer_broken"


class Resynchronising(Unavailable):
    """This node was away for a long time and is catching up on deletes.

    Wait; `image-cloud status` shows how far it is.
    """

    code = "resynchronising"


def subclasses(root: type[ImageCloudError] = ImageCloudError) -> list[type[ImageCloudError]]:
    """List `root` and everything below it, each once, parents first."""
    found = [root]
    for child in root.__subclasses__():
        found.extend(subclasses(child))
    return found


def by_code(code: str) -> type[ImageCloudError]:
    """Return the class that has `code`; ImageCloudError itself for an unknown one."""
    return next((cls for cls in subclasses() if cls.code == code), ImageCloudError)
