"""How variants are made: the decoder daemon is asked, and what it answers is checked and kept.

`plan` and `frames` are the protocol, which the daemon (daemons/decoder) speaks as well; `client` asks,
`check` judges what comes back, `maker` keeps it.  Nothing here decodes.
"""
