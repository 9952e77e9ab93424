"""get_many: in the order of arrival, with bounded memory, and to an end in each case."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from image_cloud_client import Client, ImageCloudError, errors
from image_cloud_client.many import many

WORKERS = 4


def urls(count: int) -> list[str]:
    return [f"http://shop.example/{number}.jpg" for number in range(count)]


def threads_end(before: set[threading.Thread]) -> bool:
    for thread in set(threading.enumerate()) - before:
        thread.join(60)
    return not set(threading.enumerate()) - before


def test_each_url_comes_once_with_its_bytes_or_its_error() -> None:
    def get(url: str) -> bytes:
        if url.endswith("7.jpg"):
            raise errors.OriginNotFound(url)
        return url.encode()

    came = dict(many(urls(100), WORKERS, get))
    assert set(came) == set(urls(100))
    failed = {url for url, one in came.items() if isinstance(one, ImageCloudError)}
    assert failed == {url for url in urls(100) if url.endswith("7.jpg")}
    assert all(one == url.encode() for url, one in came.items() if url not in failed)


def test_what_arrives_first_comes_first() -> None:
    quick = threading.Event()

    def get(url: str) -> bytes:
        if url.endswith("/0.jpg"):
            assert quick.wait(60)
        return b""

    arriving = many(urls(3), 2, get)
    assert [next(arriving)[0] for _ in range(2)] == urls(3)[1:]
    quick.set()
    assert [url for url, _ in arriving] == urls(3)[:1]


def test_memory_is_bounded_and_the_list_may_be_endless() -> None:
    before = set(threading.enumerate())
    asked = itertools.count()
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        for number in itertools.count():
            taken = number + 1
            yield f"http://shop.example/{number}"

    arriving = many(endless(), WORKERS, lambda url: str(next(asked)).encode())
    for had in range(1, 50):
        next(arriving)
        assert taken <= had + 3 * WORKERS
    arriving.close()  # type: ignore[attr-defined]
    assert threads_end(before)


def test_who_leaves_waits_for_no_slow_picture() -> None:
    before = set(threading.enumerate())
    come = threading.Event()

    def get(url: str) -> bytes:
        assert url.endswith("/0.jpg") or come.wait(60)
        return b""

    arriving = many(urls(100), WORKERS, get)
    assert next(arriving) == (urls(1)[0], b"")
    arriving.close()  # type: ignore[attr-defined]
    assert not come.is_set()
    come.set()
    assert threads_end(before)


def test_a_list_that_breaks_is_raised() -> None:
    before = set(threading.enumerate())

    def broken() -> Iterator[str]:
        yield from urls(3)
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="gone"):
        list(many(broken(), WORKERS, lambda url: b""))
    assert threads_end(before)


def test_a_list_that_ends_the_program_is_raised() -> None:
    def broken() -> Iterator[str]:
        yield from urls(3)
        raise SystemExit("enough")

    with pytest.raises(SystemExit, match="enough"):
        list(many(broken(), WORKERS, lambda url: b""))


def test_a_mistake_is_raised_and_not_given_for_each_picture() -> None:
    def get(url: str) -> bytes:
        raise TypeError("a mistake")

    with pytest.raises(TypeError, match="a mistake"):
        list(many(urls(100), WORKERS, get))


@pytest.mark.parametrize("count", [0, 1])
def test_few_urls_end(count: int) -> None:
    assert len(list(many(urls(count), WORKERS, lambda url: b""))) == count


def test_workers_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="workers"):
        many(urls(1), 0, lambda url: b"")


def test_one_url_is_no_list() -> None:
    with Client(["http://ic00:5000"], "token") as one:
        for call in (one.get_many, one.prefetch):
            with pytest.raises(TypeError, match="list of URLs"):
                call("http://shop.example/a.jpg")
