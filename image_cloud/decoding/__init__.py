"""How variants are made: the decoder daemon is asked, and what it answers is checked and kept.

`plan` and `frames` are the protocol, which the daemon (daemons/decoder) speaks as well; `client` asks,
`answer` reads and `check` judges what comes back, `maker` keeps it for those who are `asking`.
Nothing here decodes.
"""
