"""Image Cloud on a real distributed file system, and what happens when that breaks.

`Volume` is a GlusterFS volume of three bricks in network namespaces, `Mount` one node's mount of it.
"""
