"""The daemons: each does one job, is started on its own and shares nothing in memory."""
