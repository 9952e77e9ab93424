"""What 100 million pictures cost a node: measured with some millions of rows, and scaled from there."""
