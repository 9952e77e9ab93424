from pathlib import Path

import pytest

from image_cloud.config import Config, ConfigError, load_config, reference
from image_cloud.config.sample import render

SAMPLE = Path(__file__).parents[2] / "image_cloud.ini"
REFERENCE = Path(__file__).parents[2] / "docs/ini.md"


def problems(text: str, tmp_path: Path, overrides: str = "") -> list[str]:
    file = tmp_path / "image_cloud.ini"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file, home=str(tmp_path), overrides=overrides)
    return caught.value.problems


def test_the_sample_shows_every_option_with_its_default() -> None:
    assert SAMPLE.read_text() == render()
    assert load_config(SAMPLE, home="/h") == load_config(None, home="/h")


def test_the_reference_is_made_of_the_sections() -> None:
    told = "run python -m image_cloud.config.reference > docs/ini.md"
    assert REFERENCE.read_text() == reference.render(), told


def test_what_render_writes_is_read_back_the_same(tmp_path: Path) -> None:
    overrides = "resize.quality=70;download.allow_networks=127.0.0.0/8, fd00::/8;failures.jitter=0"
    config = load_config(None, home=str(tmp_path), overrides=overrides)
    file = tmp_path / "effective.ini"
    file.write_text(render(config, comments=False))
    assert load_config(file, home=str(tmp_path)) == config


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = (
        "[resize]\nquality = 101\nqualty = 3\n[nowhere]\nx = 1\n"
        "[storage]\nmin_free_bytes = 12\n[download]\nconnect_timeout = 5\nallow_networks = 10.0.0.1/8\n"
    )
    found = problems(text, tmp_path, "node.name=A B;nonsense")
    assert len(found) == 8
    parts = ["[resize] quality", "did you mean quality?", "[nowhere]", "[storage] min_free_bytes"]
    parts += ["[download] connect_timeout", "[download] allow_networks", "[node] name", "nonsense"]
    for part in parts:
        assert any(part in line for line in found), part
    assert any("expected a whole number, 1 to 100" in line for line in found)


@pytest.mark.parametrize("value", ["0", "101", "8.5", "eighty", "", "0x50"])
def test_a_value_that_is_nearly_right_is_refused(value: str, tmp_path: Path) -> None:
    assert "[resize] quality" in problems(f"[resize]\nquality = {value}\n", tmp_path)[0]


def test_duplicate_options_and_broken_files_are_one_clear_line(tmp_path: Path) -> None:
    assert len(problems("[resize]\nquality = 1\nquality = 2\n", tmp_path)) == 1
    assert len(problems("no section\n", tmp_path)) == 1
    assert len(problems("[download]\nmax_bytes = 5 MB\n max_bytes\n", tmp_path)) == 1


def test_options_that_contradict_each_other(tmp_path: Path) -> None:
    assert "expected one of 100, 300" in problems(
        "[resize]\nthumbnail_sizes = 100, 300\n", tmp_path
    )[0]  # fmt: skip


def test_contradictions_are_reported_beside_other_mistakes(tmp_path: Path) -> None:
    found = problems(
        "[resize]\nquality = high\n"
        "[failures]\nfirst_keep = 2 h\nlongest_keep = 1 h\n"
        "[prefetch]\nfirst_wait = 2 h\nlongest_wait = soon\n"
        "[database]\ndsn = who knows password=secret\n",
        tmp_path,
    )
    for start in (
        "[resize] quality",
        "[failures] first_keep",
        "[prefetch] longest_wait",
        "[database] dsn",
    ):
        assert [line for line in found if line.startswith(start)], found
    # What longest_wait was meant to be is not known.
    assert not [line for line in found if line.startswith("[prefetch] first_wait")]
    assert "secret" not in "".join(found)


def test_several_databases_are_told_apart_by_who_takes_changes(tmp_path: Path) -> None:
    several = "[database]\ndsn = host=db1,db2 port=5432 dbname=image_cloud"
    assert "target_session_attrs=read-write" in problems(several, tmp_path)[0]
    for wanted in ("read-write", "primary"):
        (file := tmp_path / "good.ini").write_text(f"{several} target_session_attrs={wanted}\n")
        load_config(file, home=str(tmp_path))


def test_home_is_filled_in() -> None:
    assert load_config(None, home="/srv/ic").storage.path == "/srv/ic/storage"
    assert Config().storage.path.startswith("{home}")


@pytest.mark.parametrize("path", ["relative", "/with blank", '/quote"', "/semi;colon", "/dollar$x"])
def test_paths_that_would_break_nginx_are_refused(path: str, tmp_path: Path) -> None:
    assert problems(f"[storage]\npath = {path}\n", tmp_path)


def test_domains_are_kept_as_they_stand_in_a_parsed_url(tmp_path: Path) -> None:
    given = (
        "download.deny_domains=Bücher.example, xn--r8jz45g.テスト, Shop.Example., 192.0.2.1, ::1"
    )
    config = load_config(None, home=str(tmp_path), overrides=given)
    known = ["xn--bcher-kva.example", "xn--r8jz45g.xn--zckzah", "shop.example", "192.0.2.1", "::1"]
    assert list(config.download.deny_domains) == known


@pytest.mark.parametrize(
    "domain", ["*.shop.example", "http://shop.example", "a..b", "a b", "127.1", "a:80"]
)
def test_what_is_no_domain_is_refused(domain: str, tmp_path: Path) -> None:
    assert "deny_domains" in problems(f"[download]\ndeny_domains = {domain}\n", tmp_path)[0]
