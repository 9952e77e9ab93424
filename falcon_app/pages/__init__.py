"""The operator's pages: HTML made on the server, for whoever has logged in; the control pool serves them."""
