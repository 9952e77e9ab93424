"""How other processes talk to the resize pool. Nothing here decodes."""
