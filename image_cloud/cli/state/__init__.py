"""Commands that show how nodes are: `status` once and in full, `top` live and side by side."""
