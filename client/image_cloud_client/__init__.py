"""The client of Image Cloud: pictures of shops by their URLs, from one node or several.

from image_cloud_client import Client
client = Client(["http://ic00:5000", "http://ic01:5000"], token)
client.thumbnail("http://shop.example/a.jpg", 250)
"""

from image_cloud_client.batches import Batch
from image_cloud_client.client import Client
from image_cloud_client.errors import ImageCloudError, UnexpectedAnswer, Unreachable
from image_cloud_client.info import Info
from image_cloud_client.options import Options
from image_cloud_client.signing import sign

__all__ = [
    "Batch",
    "Client",
    "ImageCloudError",
    "Info",
    "Options",
    "UnexpectedAnswer",
    "Unreachable",
    "sign",
]
__version__ = "1.0.0"
