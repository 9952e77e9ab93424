"""Variants beyond the limit go, those longest unused first, a piece at a time."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons.janitor.eviction import Eviction
from image_cloud.picture.key import fan_out, key_of
from image_cloud.storage.space import NONE, Room, Space

NOW = 1_800_000_000.0
SIZE = 1000


def store(root: Path, number: int, age_s: float, name: str = "200x200-fit-q85.jpg") -> Path:
    key = key_of(str(number))
    path = root / "variants" / fan_out(key) / key / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(SIZE))
    os.utime(path, (NOW - age_s, NOW - 10 * 86400))
    return path


class Disk(Space):
    """Lacks what the test says."""

    def __init__(self, lacking: Callable[[], Room] = lambda: NONE) -> None:
        self.lacking = lacking  # type: ignore[method-assign]


ROOMY = Disk()


def run(one: Eviction, steps: int = 10) -> None:
    for _ in range(steps):
        one.step()


def test_the_least_recently_used_go(tmp_path: Path) -> None:
    paths = [store(tmp_path, number, age_s=number * 3600) for number in range(20)]
    run(Eviction(tmp_path, 10 * SIZE, ROOMY, lambda: NOW))
    assert [path.exists() for path in paths] == [True] * 9 + [False] * 11  # down to 95 %
    assert not paths[19].parent.exists()
    assert (tmp_path / "variants").exists()


def test_what_nginx_sent_counts_as_used(tmp_path: Path) -> None:
    paths = [store(tmp_path, number, age_s=number * 3600) for number in range(20)]
    one = Eviction(tmp_path, 10 * SIZE, ROOMY, lambda: NOW)
    one.note_use([str(paths[19].relative_to(tmp_path))])
    run(one)
    assert paths[19].exists()
    assert sum(path.exists() for path in paths) == 9


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_no_link_leads_out_of_the_variants(depth: int, tmp_path: Path) -> None:
    inside = store(tmp_path, 1, age_s=0)
    elsewhere = tmp_path / "originals/ab/cd/kept"
    elsewhere.mkdir(parents=True)
    (elsewhere / "original.jpg").write_bytes(bytes(SIZE))
    os.utime(elsewhere / "original.jpg", (0, 0))
    place = [inside, *inside.parents][depth]
    link = place.with_name("0link") if depth else inside.with_name("link.jpg")
    link.symlink_to([elsewhere / "original.jpg", *[elsewhere, *elsewhere.parents]][depth])
    run(Eviction(tmp_path, 0, ROOMY, lambda: NOW))
    assert (elsewhere / "original.jpg").exists()
    assert not inside.exists()


def test_below_the_limit_nothing_goes(tmp_path: Path) -> None:
    paths = [store(tmp_path, number, age_s=0) for number in range(10)]
    one = Eviction(tmp_path, 10 * SIZE, ROOMY, lambda: NOW)
    assert not any(one.step() for _ in range(5))
    assert all(path.exists() for path in paths)


def test_a_step_is_bounded(tmp_path: Path) -> None:
    paths = [store(tmp_path, number, age_s=number * 3600) for number in range(20)]
    one = Eviction(tmp_path, 0, ROOMY, lambda: NOW, files_per_step=3)
    left = []
    for _ in range(40):
        one.step()
        left.append(sum(path.exists() for path in paths))
    assert max(before - after for before, after in itertools.pairwise(left)) <= 3
    assert left[-1] == 0


def test_temporary_files_are_not_counted_or_touched(tmp_path: Path) -> None:
    waiting = tmp_path / "variants" / ".incoming" / "x"
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(bytes(5 * SIZE))
    run(Eviction(tmp_path, 0, ROOMY, lambda: NOW))
    assert waiting.exists()


def test_no_more_is_remembered_than_fits(tmp_path: Path) -> None:
    paths = [store(tmp_path, number, age_s=number * 3600) for number in range(4)]
    one = Eviction(tmp_path, 2 * SIZE + 200, ROOMY, lambda: NOW, most_remembered=2)
    one.note_use(str(path.relative_to(tmp_path)) for path in reversed(paths))
    run(one)
    assert [path.exists() for path in paths] == [True, True, False, False]


def test_no_variants_folder(tmp_path: Path) -> None:
    assert not Eviction(tmp_path, 0, ROOMY, lambda: NOW).step()


@pytest.mark.parametrize("lacking", [Room(4 * SIZE, 0), Room(0, 4), Room(SIZE, 4)])
def test_on_a_full_disk_the_least_recently_used_go_although_they_are_few(
    tmp_path: Path, lacking: Room
) -> None:
    paths = [store(tmp_path, number, age_s=number * 3600) for number in range(10)]

    def still_lacking() -> Room:
        gone = 10 - sum(path.exists() for path in paths)
        return Room(lacking.bytes - gone * SIZE, lacking.inodes - gone)

    one = Eviction(tmp_path, 10**12, Disk(still_lacking), lambda: NOW, files_per_step=3)
    steps = 0
    while one.step():  # at once, without the janitor's pause
        steps += 1
        assert steps < 20
    assert [path.exists() for path in paths] == [True] * 6 + [False] * 4


def test_a_disk_that_fills_up_within_a_walk_has_room_before_its_end(tmp_path: Path) -> None:
    paths = [store(tmp_path, number, age_s=number * 3600) for number in range(20)]
    lacking = [NONE]
    one = Eviction(tmp_path, 10**9, Disk(lambda: lacking[0]), lambda: NOW, files_per_step=10)
    run(one, 3)  # a whole walk, which ends with a step that finds no more
    lacking[0] = Room(20 * SIZE, 0)
    assert one.step()
    assert sum(path.exists() for path in paths) == 10


def test_a_disk_full_of_originals_is_not_walked_without_pause(tmp_path: Path) -> None:
    path = store(tmp_path, 1, age_s=0)
    one = Eviction(tmp_path, 10**12, Disk(lambda: Room(10**9, 0)), lambda: NOW)
    while one.step():
        pass
    assert not path.exists()
    assert not one.step()
