"""The pages Domains, Prefetch, Cloning and Clients: what waits, runs, fails, and who asks."""
