"""Pictures and notes on the disk of one node. Nothing here asks an origin or a peer."""
