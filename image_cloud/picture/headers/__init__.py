"""What HTTP headers say of a picture: its tag, its dates, and what an origin recognises it by."""
