"""How gently this node treats origins: limits, slots and a circuit breaker per domain.

Nothing here downloads.
"""
