"""What the operator's pages tell, and who may look: sessions, nodes' states, problems.  No HTML in it."""
