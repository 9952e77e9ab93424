"""The resize pool: what makes variants in its sandbox (`maker`), and how others ask it (`client`)."""
