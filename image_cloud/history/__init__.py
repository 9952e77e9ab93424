"""The last hours and days of this node, without a monitoring server.

`daemons/sampler` writes samples into the node's SQLite file (image_cloud/db/history.py); `/history`, the
pages and `image-cloud top` read them.  Nothing here needs PostgreSQL.
"""
