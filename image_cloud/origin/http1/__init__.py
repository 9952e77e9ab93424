"""HTTP/1.1 as origins speak it: read as browsers read it, with bounded bytes, memory and work.

Which hosts, statuses and pictures are wanted is decided elsewhere.
"""
