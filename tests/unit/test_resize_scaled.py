"""DCT scaling: a JPEG decoded small gives the picture that it gives decoded whole, as far as is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_cloud.config.sections import Resize
from image_cloud.picture.variant import Recipe
from image_cloud.resize import resize
from tests.corpus.reference import psnr_db, reference
from tests.unit.pictures import loaded
from tests.unit.test_resize_jpeg_scans import photo

SIZE = (1607, 1203)
MOST_LOSS_DB = 0.3
NEVER_SCALED = 1000.0


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("side", [150, 200, 390, 790])
def test_scaling_costs_little(tmp_path: Path, side: int, progressive: bool) -> None:
    path = tmp_path / "photo.jpg"
    photo(SIZE).save(path, quality=88, progressive=progressive)
    wanted = reference(path, Recipe(side, side))
    scaled = resize(path, Recipe(side, side), Resize())
    whole = resize(path, Recipe(side, side), Resize(reducing_gap=NEVER_SCALED))
    assert scaled != whole, "not scaled"
    scaled_db, whole_db = (psnr_db(loaded(one).convert("RGBA"), wanted) for one in (scaled, whole))
    assert scaled_db > whole_db - MOST_LOSS_DB
