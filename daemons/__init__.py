"""The daemons: each does one job, is started on its own and shares nothing in memory."""

import image_cloud  # noqa: F401  # which postpones modules, before all else
