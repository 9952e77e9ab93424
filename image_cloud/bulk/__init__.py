"""Many originals in one stream: between nodes, and to and from files.

The stream is a tar in webdataset's layout, `<key>.json` and then `<key>.jpg`, so that any tool reads what
is exported.  Whoever takes one checks it like a stranger's, and writes, syncs and records groups of pictures.
"""
