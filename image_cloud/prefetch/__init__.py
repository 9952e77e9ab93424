"""What a batch of URLs is, from the request body to rows. Nothing here downloads."""
