"""What a hit looks at and what can be made again; on a disk of the node's own if several share the rest."""
