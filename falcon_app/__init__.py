"""The web side: three pools (front, fetch, control) of one Falcon code base."""

from image_cloud.loading import load

# Falcon's ASGI half, and a type that it names.
load("falcon", {"asyncio": ("create_task", "get_running_loop"), "http.cookiejar": ("Cookie",)})
