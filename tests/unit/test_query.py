import pytest

from image_cloud.errors import BadParameter
from image_cloud.request.query import Query


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("url=a%20b+c", "a b c"),
        ("url=%C3%A9", "é"),
        ("url=\xc3\xa9", "é"),  # raw UTF-8, as WSGI hands it over
        ("x=1&url=http://a/?b=c", "http://a/?b=c"),
        ("%75rl=a", "a"),
        ("URL=b&url=a", "a"),
        ("url=", ""),
        ("url=a%2526b", "a%26b"),
    ],
)
def test_a_value_is_decoded_once(raw: str, value: str) -> None:
    assert Query(raw).text("url") == value


@pytest.mark.parametrize(
    "raw", ["url=a&url=a", "url=a&%75rl=b", "url=%zz", "url=%", "url=%f", "url=%ff"]
)
def test_what_could_be_read_in_two_ways_is_refused(raw: str) -> None:
    with pytest.raises(BadParameter, match="^url: "):
        Query(raw).text("url")


def test_both_spellings_together_are_a_duplicate() -> None:
    with pytest.raises(BadParameter):
        Query("a=1&b=1").boolean("a", "b")


def test_unknown_parameters_are_ignored_whatever_they_are() -> None:
    assert Query("_=%zz&_=1&url=a&&=&x").text("url") == "a"


@pytest.mark.parametrize(
    ("raw", "value"), [("TRUE", True), ("1", True), ("fAlse", False), ("0", False)]
)
def test_booleans(raw: str, value: bool) -> None:
    assert Query(f"b={raw}").boolean("b", default=not value) is value


@pytest.mark.parametrize("raw", ["yes", "", "2", "true ", "on"])
def test_booleans_are_strict(raw: str) -> None:
    with pytest.raises(BadParameter, match=r"^b: .* true, false, 1, 0$"):
        Query(f"b={raw}").boolean("b")


@pytest.mark.parametrize(
    "raw", ["0", "5001", "-1", "1.5", "", "1e3", "%2b5", "٣", "1_0", "99999999999"]
)
def test_whole_numbers_name_what_came_and_what_is_allowed(raw: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in raw.encode()) if not raw.isascii() else raw
    with pytest.raises(BadParameter, match=r"^n: .* from 1 to 5000$"):
        Query(f"n={encoded}").whole("n", 1, 5000)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("60", 60.0), ("2.5", 2.5), ("07.50", 7.5)]
)
def test_a_number(text: str, value: float) -> None:
    assert Query(f"wait={text}").number("wait", 0, 60) == value


@pytest.mark.parametrize(
    "text", ["", "60.1", "-1", "+1", "1e1", "nan", "inf", ".5", "5.", "1_0", "%20"]
)
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(BadParameter, match="^wait: .* is not a number from 0 to 60$"):
        Query(f"wait={text}").number("wait", 0, 60)
