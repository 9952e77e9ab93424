"""The resize pool: decodes, one picture at a time, in a sandbox."""
