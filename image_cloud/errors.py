"""Every error that Image Cloud answers with: one tree, no HTTP in it.

A class's docstring is its public title, `code` its stable name for clients, logs, metrics and the
failure memory. `falcon_app/http_errors.py` gives each class its HTTP status.
"""

from __future__ import annotations


class ImageCloudError(Exception):
    """Something went wrong inside Image Cloud.

    `detail` is public text: no token, no file path, no address of ours.  `upstream_status` is
    the origin's HTTP status where it answered.  `retry_after_s` says in how many seconds to
    try the same request again.
    """

    code = "internal"

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


# --- the request ---------------------------------------------------------------------------------


class BadParameter(ImageCloudError):
    """A parameter is missing, malformed, duplicated or out of range."""

    code = "bad_parameter"


class BadRequestBody(ImageCloudError):
    """The request body is malformed."""

    code = "bad_body"


class RequestTooLarge(ImageCloudError):
    """The request is too large."""

    code = "request_too_large"


class TokenMissing(ImageCloudError):
    """This endpoint needs a token."""

    code = "token_missing"


class TokenUnknown(ImageCloudError):
    """The token is unknown."""

    code = "token_unknown"


class Forbidden(ImageCloudError):
    """This is forbidden."""

    code = "forbidden"


class ScopeMissing(Forbidden):
    """The client lacks the scope that this endpoint needs."""

    code = "scope_missing"


class BadSignature(Forbidden):
    """The signed URL is not valid."""

    code = "bad_signature"


class SignatureExpired(Forbidden):
    """The signed URL has expired."""

    code = "signature_expired"


class UrlForbidden(Forbidden):
    """This URL must not be fetched."""

    code = "url_forbidden"


class RobotsRefused(Forbidden):
    """The origin does not want this done with the picture."""

    code = "robots_refused"


class NotLocal(ImageCloudError):
    """This node does not have the picture."""

    code = "not_local"


class BatchUnknown(ImageCloudError):
    """No such batch."""

    code = "batch_unknown"


class Blocked(ImageCloudError):
    """The picture was deleted and its URL is blocked."""

    code = "blocked"


# --- the origin ----------------------------------------------------------------------------------


class OriginNotFound(ImageCloudError):
    """The origin has no such picture."""

    code = "origin_not_found"


class OriginFailed(ImageCloudError):
    """The origin failed."""

    code = "origin_failed"


class OriginRefused(OriginFailed):
    """The origin refused the connection."""

    code = "origin_refused"


class OriginReset(OriginFailed):
    """The origin closed the connection early."""

    code = "origin_reset"


class OriginDns(OriginFailed):
    """The origin's name does not resolve."""

    code = "origin_dns"


class OriginTls(OriginFailed):
    """The TLS connection to the origin failed."""

    code = "origin_tls"


class OriginStatus(OriginFailed):
    """The origin answered with an unexpected status."""

    code = "origin_status"


class OriginProtocol(OriginFailed):
    """The origin did not send valid HTTP."""

    code = "origin_protocol"


class TooManyRedirects(OriginFailed):
    """The origin redirects too often."""

    code = "too_many_redirects"


class OriginTimeout(ImageCloudError):
    """The origin is too slow."""

    code = "origin_timeout"


# --- the picture ---------------------------------------------------------------------------------


class ImageTooLarge(ImageCloudError):
    """The picture is too large."""

    code = "image_too_large"


class TooManyBytes(ImageTooLarge):
    """The picture's file is too large."""

    code = "too_many_bytes"


class TooManyPixels(ImageTooLarge):
    """The picture has too many pixels."""

    code = "too_many_pixels"


class TooManyFrames(ImageTooLarge):
    """The picture has too many frames."""

    code = "too_many_frames"


class TooManyScans(ImageTooLarge):
    """The progressive JPEG has too many scans."""

    code = "too_many_scans"


class TooMuchMemory(ImageTooLarge):
    """Resizing the picture needs more memory than is allowed."""

    code = "too_much_memory"


class UnusableImage(ImageCloudError):
    """The origin sent no usable picture."""

    code = "unusable_image"


class NotAnImage(UnusableImage):
    """The origin did not send a picture."""

    code = "not_an_image"


class UnsupportedFormat(UnusableImage):
    """The picture's format is not supported."""

    code = "unsupported_format"


class TruncatedImage(UnusableImage):
    """The picture is truncated."""

    code = "truncated_image"


class CorruptImage(UnusableImage):
    """The picture is damaged."""

    code = "corrupt_image"


class DecoderDied(UnusableImage):
    """The picture crashed the decoder."""

    code = "decoder_died"


class DecodeTimeout(UnusableImage):
    """Decoding the picture took too long."""

    code = "decode_timeout"


# --- this node -----------------------------------------------------------------------------------


class Unavailable(ImageCloudError):
    """This node cannot answer right now."""

    code = "unavailable"


class Busy(Unavailable):
    """This node is busy."""

    code = "busy"


class OriginPaused(Busy):
    """Requests to this origin are paused."""

    code = "origin_paused"


class StorageUnavailable(Unavailable):
    """The storage is unavailable."""

    code = "storage_unavailable"


class DatabaseUnavailable(Unavailable):
    """The database is unavailable."""

    code = "database_unavailable"


class DeletedMeanwhile(Unavailable):
    """The picture was deleted while it was being fetched."""

    code = "deleted_meanwhile"


class PeerAway(Unavailable):
    """A peer is unreachable."""

    code = "peer_away"


class Resynchronising(Unavailable):
    """This node was away for a long time and is catching up on deletes."""

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
