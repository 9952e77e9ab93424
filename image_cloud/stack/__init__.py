"""The local stack: everything that `make run` and `make up` start, under one home folder."""
