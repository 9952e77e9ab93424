"""Which of our errors a failure of the network is."""

from __future__ import annotations

import errno
import ssl

from image_cloud.errors import (
    Busy,
    ImageCloudError,
    OriginRefused,
    OriginReset,
    OriginTimeout,
    OriginTls,
)

_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


def of_connecting(error: OSError) -> ImageCloudError:
    """Translate what `socket.connect` raised."""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return OriginTimeout("the origin did not take the connection in time")
    if error.errno in _OURS:
        return Busy("this node has no room for another connection", retry_after_s=5.0)
    if error.errno == errno.ECONNREFUSED:
        return OriginRefused("the origin refused the connection")
    if error.errno == errno.ECONNRESET:
        return OriginReset("the origin broke the connection off at once")
    return OriginRefused("the origin's address is not reachable")


def of_handshake(error: OSError) -> ImageCloudError:
    """Translate what the TLS handshake raised."""
    if isinstance(error, TimeoutError):
        return OriginTimeout("the origin did not finish the TLS handshake in time")
    if isinstance(error, ssl.SSLCertVerificationError):
        return OriginTls(f"the origin's certificate is not trusted: {error.verify_message}")
    return OriginTls("the TLS handshake with the origin failed")


def of_answer(error: OSError) -> ImageCloudError:
    """Translate what sending the request or reading the answer raised."""
    if isinstance(error, TimeoutError):
        return OriginTimeout("the origin was silent for too long")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return OriginTls("the TLS connection with the origin broke")
    return OriginReset("the origin broke the connection off")
