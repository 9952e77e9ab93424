"""The one guarded downloader: nothing else in Image Cloud fetches what a client named."""

from image_cloud.origin.client import Downloaded, Origin

__all__ = ["Downloaded", "Origin"]
