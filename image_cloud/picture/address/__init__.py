"""How browsers read addresses: hosts, what goes on the wire, and redirects (WHATWG URL standard)."""
