"""What stays on disk: originals, variants, records, tombstones and failures, each in a module of its own.

`store.py` holds them together; nothing here fetches, decodes or answers a request.

    originals/ab/cd/<key>.<ext>         as received                                     originals.py
    variants/ab/cd/<key>/<name>         everything made from one original               variants.py
    unrecorded/<key>.json               an original that has no row yet, perhaps        records.py
    records/ab/cd/<key>.json            the same, once its row is committed             records.py
    tombstones/ab/cd/<key>.json         what was deleted                                tombstones.py
    unrecorded/<key>.deleted.json       a delete that the database may not know yet     tombstones.py
    failures/ab/cd/<key>.<kind>.json    what failed, and until when that stands         failures.py
    quarantine/                         damaged originals, set aside                    store.py
    incoming/, variants/.incoming/      files on their way, where they need a name      new_file.py
    fallback/                           what is sent for a missing picture   fetch/fallback_files.py
    cluster/, domains/                  what other parts remember beside the pictures

Where the origin was sent credentials, `<key>` is `<key>.private` in the first two lines, and whoever sends
the file, nginx first of all, knows by its name that shared caches may not keep it.
"""
