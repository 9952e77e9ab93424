"""What a node's generated files are made from: nginx, supervisord, settings, folders and their owners."""
