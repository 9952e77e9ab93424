"""The other nodes: who they are, what they changed, and which deletes hold.

Nothing here decodes a picture.
"""
