"""The front pool: checks tokens and parameters, looks at the disk, never waits and never decodes."""
