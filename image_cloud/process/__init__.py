"""What processes of one node share: locks, logs, heartbeats, sockets and counters.

Nothing here knows about pictures.
"""
