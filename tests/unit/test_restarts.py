"""After a crash of the machine the last variants go: they may be empty or cut short."""

import os
from pathlib import Path

from image_cloud.disk import Store
from image_cloud.keys import key_of
from image_cloud.restarts import UNSAFE_S, Restarts

OLD, YOUNG = key_of("old"), key_of("young")


def stored(root: Path, now: float) -> Store:
    store = Store(root)
    store.prepare()
    for key, age_s in ((OLD, 2 * UNSAFE_S), (YOUNG, UNSAFE_S / 2)):
        store.keep_variant(key, "200x200-fit-q85.jpg", b"picture")
        for path in (root / "variants").glob(f"??/??/{key}/*"):
            os.utime(path, (now - age_s, now - age_s))
            os.utime(path.parent, (now - age_s, now - age_s))
    return store


def test_after_a_restart_young_variants_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    assert Restarts(tmp_path, "ic00", "first boot").step() == 0
    now = (tmp_path / "cluster" / "ic00.boot").stat().st_mtime
    store = stored(tmp_path, now)
    assert Restarts(tmp_path, "ic00", "first boot").step() == 0
    os.utime(tmp_path / "cluster" / "ic00.boot", (now, now))
    second = Restarts(tmp_path, "ic00", "second boot")
    assert second.step() == 1
    assert store.variants(OLD)
    assert not store.variants(YOUNG)
    store.keep_variant(YOUNG, "200x200-fit-q85.jpg", b"picture")
    assert second.step() == 0
    assert store.variants(YOUNG)


def test_an_empty_variant_is_none(tmp_path: Path) -> None:
    store = stored(tmp_path, 0.0)
    assert store.has_variant(OLD, "200x200-fit-q85.jpg")
    store.keep_variant(OLD, "250x250-fit-q85.jpg", b"")
    assert not store.has_variant(OLD, "250x250-fit-q85.jpg")
