"""The daemon that writes the node's history: it counts nginx's answers, and looks at queues, disk and memory.

It is small on purpose: no framework, no client of PostgreSQL, and what it wants to know of the queues it asks
the control pool.
"""
