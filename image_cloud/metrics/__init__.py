"""What this node counts, for Prometheus: definitions, the processes' files, and the text of a scrape.

Each process counts into files of its own (`run/metrics`), so that counting waits for nobody; a
scrape adds them up.
"""
