"""What supervisord runs and loads beside the programs: watchdog, kept sockets, log rotation."""
