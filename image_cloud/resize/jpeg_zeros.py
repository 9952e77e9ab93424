"""Empty scans that tell libjpeg that all remaining coefficients are zero.

Without the AC scans of a component libjpeg takes a progressive JPEG for one still arriving and
smooths its blocks' edges, which costs half of the time and changes the picture.  A scan that ends
every block at once (runs of EOB, a few bytes for thousands of blocks) says that there is no more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

LONGEST_RUN = 32767
NO_RESTARTS = b"\xff\xdd\0\x04\0\0"
# AC table 0: the symbols EOB0 to EOB14, each with its number as a code of four bits.
RUN_TABLE = b"\xff\xc4\0\x22\x10" + bytes([0, 0, 0, 15, *[0] * 12]) + bytes(range(0, 0xF0, 0x10))


def scans(
    size: tuple[int, int], sampling: Mapping[int, tuple[int, int]], components: Collection[int]
) -> bytes:
    """Return a scan of zeros for each of `components` of a progressive JPEG, the last in the file.

    `size` is the picture's in pixels, `sampling` all components' factors (across, down).
    """
    if not components:
        return b""
    bodies = [_scan(one, blocks(size, sampling, one)) for one in sorted(components)]
    return b"".join([NO_RESTARTS, RUN_TABLE, *bodies])


def blocks(size: tuple[int, int], sampling: Mapping[int, tuple[int, int]], component: int) -> int:
    """Count the blocks of a component in a scan of its own."""
    count = 1
    for side, length in enumerate(size):
        most = max(factors[side] for factors in sampling.values())
        samples = -(-length * sampling[component][side] // most)
        count *= -(-samples // 8)
    return count


def _scan(component: int, blocks: int) -> bytes:
    """Return a scan over coefficients 1 to 63 of `component` in which every block ends at once."""
    bits = ""
    while blocks:
        run = min(blocks, LONGEST_RUN)
        kind = run.bit_length() - 1
        bits += f"{kind:04b}" + f"{run:b}"[1:]
        blocks -= run
    bits += "1" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return bytes([0xFF, 0xDA, 0, 8, 1, component, 0, 1, 63, 0]) + body
