"""What stands between the pictures and those who ask for them: errors of the storage, and its silence.

An error that is the storage's own (trouble.py) becomes StorageUnavailable in one place (guarded.py).  A
network file system may also never answer: then only the threads that already wait for it go on waiting
(pulse.py), and all others are refused at once.
"""
