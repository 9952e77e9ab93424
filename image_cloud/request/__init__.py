"""What a client asks for: query, parameters, tokens and signatures.

Nothing here touches the storage or the network.
"""
