"""Everything that the client raises: a class for each problem code, one tree.

Written by `python -m image_cloud.api.client_errors` from the server's errors.
"""

from __future__ import annotations


class ImageCloudError(Exception):
    """Something went wrong.

    `status` is the HTTP status, None where no answer came, and `upstream_status` that of the picture's
    origin.  `retry_after_s` says in how many seconds to try again.  `request_id` finds the request in the
    node's logs.
    """

    code = "internal"

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        self.detail = detail or (self.__doc__ or "").partition("\n")[0]
        self.status = status
        self.upstream_status = upstream_status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        super().__init__(self.detail)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.detail,), self.__dict__

    def __str__(self) -> str:
        where = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.detail}{where}"


class Unreachable(ImageCloudError):
    """No node can be reached."""

    code = "unreachable"


class UnexpectedAnswer(ImageCloudError):
    """The answer is not one of Image Cloud: a proxy in between, or a wrong address."""

    code = "unexpected_answer"


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


class ForeignOrigin(Forbidden):
    """The form was sent from another site."""

    code = "foreign_origin"


class FormExpired(Forbidden):
    """The form has expired."""

    code = "form_expired"


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


class TooManyAttempts(ImageCloudError):
    """Too many wrong tokens came from this address."""

    code = "too_many_attempts"


class NotLocal(ImageCloudError):
    """This node does not have the picture."""

    code = "not_local"


class BatchUnknown(ImageCloudError):
    """No such batch."""

    code = "batch_unknown"


class Blocked(ImageCloudError):
    """The picture was deleted and its URL is blocked."""

    code = "blocked"


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


class Unavailable(ImageCloudError):
    """This node cannot answer right now."""

    code = "unavailable"


class Busy(Unavailable):
    """This node is busy."""

    code = "busy"


class DecoderAway(Busy):
    """The decoder is away."""

    code = "decoder_away"


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


class PeerBroken(PeerAway):
    """A peer broke off while it answered, or went on for too long."""

    code = "peer_broken"


class Resynchronising(Unavailable):
    """This node was away for a long time and is catching up on deletes."""

    code = "resynchronising"


class BadRequest(ImageCloudError):
    """The request is not valid HTTP."""

    code = "bad_request"


class NoSuchAddress(ImageCloudError):
    """There is nothing at this address."""

    code = "no_such_address"


class MethodNotAllowed(ImageCloudError):
    """This method is not allowed here."""

    code = "method_not_allowed"


class RequestTimeout(ImageCloudError):
    """The request came too slowly."""

    code = "request_timeout"


class PreconditionFailed(ImageCloudError):
    """The picture does not meet the request's condition."""

    code = "precondition_failed"


class RangeNotSatisfiable(ImageCloudError):
    """The picture has no such range."""

    code = "range_not_satisfiable"


class TooManyRequests(ImageCloudError):
    """This client sends too many requests."""

    code = "too_many_requests"


class UnsupportedRequest(ImageCloudError):
    """This node does not support what the request asks for."""

    code = "not_implemented"


class HttpVersionNotSupported(ImageCloudError):
    """This HTTP version is not supported."""

    code = "http_version_not_supported"


def by_code(code: str) -> type[ImageCloudError] | None:
    """Return the class that has `code`, None for a code of a newer server."""
    return _BY_CODE.get(code)


def _below(root: type[ImageCloudError]) -> list[type[ImageCloudError]]:
    return [root, *(found for child in root.__subclasses__() for found in _below(child))]


_BY_CODE = {cls.code: cls for cls in _below(ImageCloudError)}
