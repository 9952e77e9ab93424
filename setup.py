"""Lists the packages of the server's wheel: its own, and the client library of client/.

setup.cfg has all else; it can look for packages in one folder alone.
"""

from setuptools import find_packages, setup

OURS = ("image_cloud", "falcon_app", "daemons")

setup(
    packages=[
        *find_packages(include=[name for one in OURS for name in (one, f"{one}.*")]),
        *find_packages("client"),
    ],
    package_dir={"image_cloud_client": "client/image_cloud_client"},
)
