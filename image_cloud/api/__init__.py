"""What the HTTP API is: endpoints, parameters, answers and errors, and the documents made of them."""
