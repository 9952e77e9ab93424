"""Hostile pictures through the front door: each costs one request, and nobody else notices."""

import functools
import io
import os
import random
import signal
import struct
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from image_cloud.decoding.client import Decoder
from image_cloud.process.sockets import socket_path
from tests import heif_files
from tests.frontdoor.client import eventually, get, jpeg, picture, problem
from tests.origin import Origin
from tests.stack.running import Stack

REFUSALS = {413, 422}
LONGEST_S = 5.0  # the bound on any answer


def encoded(fmt: str, size: tuple[int, int] = (320, 240), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg(*size))).save(file, fmt, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(width: int, height: int) -> bytes:
    rows = zlib.compress(b"\0" * min((width // 8 + 1) * height, 50_000_000), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def text_bomb() -> bytes:
    """A small PNG with a comment that unpacks to 200 MB."""
    whole = encoded("PNG", (20, 20))
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 200_000_000, 9))
    return whole[:33] + bomb + whole[33:]


def many_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated `count` times."""
    data = jpeg(2000, 1500, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def webp_claim(width: int, height: int) -> bytes:
    """34 bytes that claim a lossless WebP of that size."""
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + b"\x88\x88\x08\0\0\0\0"
    body = b"WEBPVP8L" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def claimed(data: bytes, width: int, height: int) -> bytes:
    """Make a JPEG say that it has another size."""
    at = next(data.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in data)
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def heif_claim(name: str, width: int, height: int) -> bytes:
    part = heif_files.coded(Image.new("RGB", (64, 64)), name)
    part.properties = [heif_files.size(width, height), *part.properties]
    return heif_files.heif([part], name)


def ask(stack: Stack, url: str, **parameters: Any) -> requests.Response:
    started = time.monotonic()
    answer = get(stack, "/get_image", url=url, **({"resize_width": 100} | parameters))
    assert time.monotonic() - started < LONGEST_S + 20, (
        "far beyond the bound, even for a busy machine"
    )
    return answer


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (png_bomb(30_000, 30_000), 413, "too_many_pixels"),
        (png_bomb(2_000_000_000, 2_000_000_000), 413, "too_many_pixels"),
        (webp_claim(16_383, 16_383), 413, "too_many_pixels"),
        (many_scans(500), 413, "too_many_scans"),
        (text_bomb(), 422, None),
        (b"<html>" + jpeg(), 422, "not_an_image"),
        (b"%PDF-1.4\n" + jpeg(), 422, "not_an_image"),
        (b"\x89PNG\r\n\x1a\n", 422, None),
        (b"\xff\xd8\xff\xe0", 422, None),
        (b"GIF89a", 422, None),
        (b"", 422, "not_an_image"),
        (encoded("JPEG2000"), 422, "unsupported_format"),
        (claimed(jpeg(progressive=True, subsampling=0), 16_000, 16_000), 413, "too_much_memory"),
        (claimed(jpeg(), 20_000, 20_000), 413, "too_many_pixels"),
        (heif_claim("avif", 2**31, 2**31), 413, "too_many_pixels"),
        (heif_claim("heic", 50_000, 50_000), 413, "too_many_pixels"),
        (encoded("HEIF")[:900], 422, "truncated_image"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\0\x20meta" + bytes(200), 422, "corrupt_image"),
    ],
    ids=["png-bomb", "png-huge", "webp-claim", "500-scans", "text-bomb", "html-jpeg", "pdf-jpeg", "png-head",
         "jpeg-head", "gif-head", "empty", "jpeg2000",
         "progressive-claim", "jpeg-claim", "avif-claim", "heic-claim", "heic-cut", "heic-head"],
)  # fmt: skip
def test_a_clear_refusal(
    content: bytes, status: int, code: str, stack: Stack, origin: Origin
) -> None:
    url = origin.serve("/hostile.jpg", content)
    answer = ask(stack, url)
    if answer.status_code == 200:
        assert code is None, "should have been refused"
        picture(answer)
    else:
        problem(answer, status, code or answer.json()["code"])
        assert int(ask(stack, url).headers["Retry-After"]) >= 1


def test_a_polyglot_is_sent_as_a_picture_and_nothing_else(stack: Stack, origin: Origin) -> None:
    content = jpeg() + b"<script>alert(1)</script>"
    answer = get(
        stack, "/get_image", url=origin.serve("/x.html", content, content_type="text/html")
    )
    assert answer.content == content
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_webp_that_claims_fifty_megapixels(stack: Stack, origin: Origin) -> None:
    content = webp_claim(10_000, 5_000)
    assert len(content) <= 40
    answer = ask(stack, origin.serve("/claim.webp", content))
    assert answer.status_code in REFUSALS | {200}


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"])
def test_damaged_files_are_right_or_refused(fmt: str, stack: Stack, origin: Origin) -> None:
    whole, seed = encoded(fmt), random.Random(fmt)
    for number in range(24):
        damaged = bytearray(whole)
        if number % 3 == 0:
            damaged = damaged[: seed.randrange(1, len(whole))]
        for _ in range(seed.choice([1, 3, 30])):
            damaged[seed.randrange(len(damaged))] ^= 1 << seed.randrange(8)
        answer = ask(stack, origin.serve(f"/{number}", bytes(damaged)))
        assert answer.status_code in REFUSALS | {200}, answer.text
        if answer.status_code == 200:
            assert picture(answer).width <= 100


@functools.cache
def slow_picture() -> bytes:
    """A picture that takes a second or so to decode: 48 megapixels of PNG."""
    tile = Image.open(io.BytesIO(jpeg(1000, 1000)))
    image = Image.new("RGB", (8000, 6000))
    for x in range(0, 8000, 1000):
        for y in range(0, 6000, 1000):
            image.paste(tile, (x, y))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def decoding(stack: Stack) -> int:
    """Return how many pictures are being decoded."""
    return (Decoder(socket_path(str(stack.home / "run"), "decoder"), 5).status() or {})["running"]


def workers(stack: Stack) -> list[int]:
    master = stack.pid("image-cloud-decoder")
    return [int(pid) for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split()]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGKILL, "decoder_died"),
        (signal.SIGSEGV, "decoder_died"),
        (signal.SIGSTOP, "decode_timeout"),
    ],
)
def test_a_decoder_that_dies_costs_one_request(
    number: int, code: str, stack: Stack, origin: Origin
) -> None:
    content = slow_picture()
    url = origin.serve("/deadly.png", content)
    assert get(stack, "/get_image", url=url, no_image=1).status_code == 204
    answers = []
    asking = threading.Thread(target=lambda: answers.append(ask(stack, url)))
    asking.start()
    eventually(lambda: decoding(stack) or answers, "the decoder has begun")
    assert not answers, "decoded before it could be killed"
    for pid in workers(stack):
        os.kill(pid, number)
    asking.join(60)
    problem(answers[0], 422, code)
    problem(ask(stack, url, resize_width=50), 422, code)
    assert get(stack, "/get_image", url=url).content == content, "the original is still sent"
    other = origin.serve("/fine.jpg", jpeg(seed=number))
    eventually(lambda: ask(stack, other).status_code == 200, "the workers are back")
    assert not decoding(stack)


def test_no_worker_passes_its_memory_limit(stack: Stack, origin: Origin) -> None:
    for number in range(3):
        ask(stack, origin.serve(f"/large{number}.png", slow_picture()))
    for pid in workers(stack):
        status = Path(f"/proc/{pid}/status").read_text()
        peak_kb = int(status.partition("VmPeak:")[2].split()[0])
        assert peak_kb <= 1024 * 1024


def test_the_sandbox_has_no_rights(stack: Stack) -> None:
    for pid in workers(stack):
        status = Path(f"/proc/{pid}/status").read_text()
        if os.geteuid() == 0:
            assert Path(f"/proc/{pid}").stat().st_uid not in (
                0,
                (stack.home / "storage").stat().st_uid,
            )
            assert "NoNewPrivs:\t1" in status
            assert "CapEff:\t0000000000000000" in status
            for secret in ("tokens.json", "token", "postgres"):
                path = stack.home / secret
                assert not path.stat().st_mode & 0o077
        interfaces = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
        assert [line.partition(":")[0].strip() for line in interfaces] == ["lo"], "no network"


def test_hits_go_on_while_hostile_pictures_are_decoded(stack: Stack, origin: Origin) -> None:
    fine = origin.serve("/hit.jpg", jpeg(seed=77))
    assert get(stack, "/get_thumbnail", url=fine).status_code == 200
    hostile = [origin.serve(f"/h{n}.png", slow_picture()) for n in range(4)]
    threads = [
        threading.Thread(target=get, args=(stack, "/get_thumbnail"), kwargs={"url": url})
        for url in hostile
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: decoding(stack), "decoding has begun")
    for _ in range(50):
        assert get(stack, "/get_thumbnail", url=fine).headers["X-Cache"] == "HIT"
    for thread in threads:
        thread.join(60)
