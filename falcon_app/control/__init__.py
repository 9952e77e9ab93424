"""The control pool: takes batches and deletes, and answers peers that follow the change feed."""
