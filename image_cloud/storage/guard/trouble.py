"""Which errors are the storage's own, and say nothing about the file that was asked for."""

from __future__ import annotations

import errno

from image_cloud.errors import StorageUnavailable

RETRY_AFTER_S = 30.0
SOON_S = 5.0
FULL = (errno.ENOSPC, errno.EDQUOT)
TROUBLE = frozenset({
    errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO,
    errno.EREMOTEIO, errno.ESHUTDOWN, errno.EBADFD, errno.ENOLINK, errno.ECOMM, errno.EPROTO,
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ENETDOWN, errno.ENETUNREACH, errno.EUCLEAN,
})  # fmt: skip


def is_trouble(error: OSError) -> bool:
    """Say whether the storage, a disk or the network to it does not work."""
    return error.errno in TROUBLE


def unavailable(error: OSError, place: str = "storage") -> StorageUnavailable:
    """Return what a client is told of a file that could not be read or written in this place."""
    reason = "full" if error.errno in FULL else error.strerror or "an error"
    return StorageUnavailable(
        f"{place}: {reason}", retry_after_s=SOON_S if is_trouble(error) else RETRY_AFTER_S
    )


def silent() -> StorageUnavailable:
    """Return what a client is told of a storage that does not answer."""
    return StorageUnavailable("storage: does not answer", retry_after_s=SOON_S)


def gone() -> StorageUnavailable:
    """Return what a client is told where nothing is mounted."""
    return StorageUnavailable("storage: is not there", retry_after_s=SOON_S)
