"""What the decoder answers is believed like a stranger's word: hostile answers, early ends, silence."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from falcon_app.growing_threads import GrowingThreads
from image_cloud.config.sections import Failures as FailureSettings
from image_cloud.config.sections import Resize
from image_cloud.decoding import frames
from image_cloud.decoding.asking import Made, Variant
from image_cloud.decoding.check import Expected
from image_cloud.decoding.client import BUSY, DIED, REFUSED, TIMEOUT, Decoder, Exchange
from image_cloud.decoding.facts import FactsMaker
from image_cloud.decoding.maker import Maker
from image_cloud.decoding.plan import HEAD, MOST_BYTES, MOST_DESCRIPTORS, PREFETCH, Plan, complete
from image_cloud.errors import (
    Busy,
    CorruptImage,
    DecoderAway,
    DecoderDied,
    DecodeTimeout,
    ImageCloudError,
    TooManyPixels,
)
from image_cloud.fetch.flights import Flights
from image_cloud.picture.facts import Facts
from image_cloud.picture.record import Original
from image_cloud.picture.variant import LADDER, Focus, Recipe
from image_cloud.storage.failures import RESIZE, Failures
from image_cloud.storage.store import Store
from tests.decoding import eventually

KEY, RECIPE, IDENTITY = "0f" * 32, Recipe(200, 200), "a" * 32
ORIGINAL = Original(KEY, "png")
VARIANT, END = frames.VARIANT, frames.END
Behave = Callable[["Asked"], object]


def picture(size: tuple[int, int], format: str = "jpeg") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, format)
    return file.getvalue()


GOOD, COMPANION = picture((200, 100)), picture((250, 125))
OTHER, TOGETHER = Recipe(250, 250), Resize(thumbnails_together=(200, 250))


class Asked:
    """One request as the fake decoder sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        message, self.descriptors, _, _ = socket.recv_fds(
            connection, HEAD.size + MOST_BYTES, MOST_DESCRIPTORS
        )
        self.kind = message[0]
        self.plan = Plan.read(message[HEAD.size :])
        self.target, *self.files = self.descriptors

    def send(self, *frame: tuple[int, bytes]) -> None:
        for kind, content in frame:
            frames.write(self.target, kind, content)

    def raw(self, content: bytes) -> None:
        os.write(self.target, content)

    def close(self) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.connection.close()


class Fake:
    """A decoder that does what the test says."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.behave: Behave = lambda asked: None
        self.has_answered: Callable[[], object] = lambda: None
        self.path = str(folder / "socket")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.path)
        self.listening.listen()
        self.failures = Failures(store.root, FailureSettings())
        self._store = store

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with contextlib.closing(Asked(connection)) as asked, contextlib.suppress(OSError):
                self.behave(asked)
            self.has_answered()

    def make(self, recipe: Recipe = RECIPE, patience_s: float = 20.0, **settings: object) -> bytes:
        """Have a variant made of a PNG of 400 x 200, and return it."""
        maker = self.maker(Resize(thumbnails_together=(), **settings), patience_s)
        assert maker.make(ORIGINAL, recipe) is None
        return self._store.variants.path(KEY, recipe.name).read_bytes()

    def maker(self, settings: Resize, patience_s: float = 20.0) -> Maker:
        turns: Flights[Made] = Flights(self._store.root / "incoming" / ".decoding", 20.0)
        decoder = Decoder(self.path, patience_s)
        return Maker(self._store, self.failures, decoder, turns, settings)

    def facts(self) -> Facts:
        """Have the facts of a PNG of 400 x 200 made."""
        turns: Flights[Facts] = Flights(self._store.root / "incoming" / ".decoding", 20.0)
        decoder = Decoder(self.path, 20.0)
        return FactsMaker(self._store, self.failures, decoder, turns, Resize()).have(ORIGINAL)

    def remembered(self) -> ImageCloudError | None:
        return self.failures.recall(KEY, RESIZE)


@pytest.fixture
def fake(tmp_path: Path, store: Store) -> Iterator[Fake]:
    path = store.originals.path(ORIGINAL)
    path.parent.mkdir(parents=True)
    path.write_bytes(picture((400, 200), "png"))
    folder = tmp_path / "run"
    folder.mkdir()
    fake = Fake(folder, store)
    thread = threading.Thread(target=fake.serve)
    thread.start()
    yield fake
    fake.listening.shutdown(socket.SHUT_RDWR)
    fake.listening.close()
    thread.join()


def test_the_picture_goes_over_as_a_descriptor_and_comes_back_as_bytes(fake: Fake) -> None:
    seen: list[object] = []

    def behave(asked: Asked) -> None:
        with open(asked.files[0], "rb", closefd=False) as file:
            file.seek(0)
            seen.append((asked.plan, len(asked.files), file.read(8)))
        asked.send((VARIANT, GOOD), (END, b""))

    fake.behave = behave
    assert fake.make() == GOOD
    assert seen == [(Plan((RECIPE,)), 1, b"\x89PNG\r\n\x1a\n")]


@pytest.mark.parametrize(
    ("content", "is_large"),
    [(picture((400, 200)), False), (picture((6000, 3400), "png"), True), (b"\xff\xd8\xff", True)],
    ids=["small", "large", "unknown"],
)
def test_which_pictures_are_decoded_without_another_like_them(
    content: bytes, is_large: bool
) -> None:
    expected = Expected(Original("0" * 64, "jpg"), io.BytesIO(content), Resize())
    assert expected.is_large is is_large


@pytest.mark.parametrize(
    "content",
    [
        picture((200, 99)), picture((100, 199)), picture((10, 5)), picture((5000, 2500)),
        picture((200, 100), "png"), b"", b"x" * 100, b"\xff\xd8\xff", GOOD[:20],
    ],
    ids=["size", "turned", "smaller", "larger", "format", "empty", "noise", "head", "cut"],
)  # fmt: skip
def test_another_picture_than_the_one_asked_for_is_refused(fake: Fake, content: bytes) -> None:
    heard: list[bytes] = []

    def behave(asked: Asked) -> None:
        asked.send((VARIANT, content))
        heard.append(asked.connection.recv(100))

    fake.behave = behave
    with pytest.raises(DecoderDied, match="did not make the picture"):
        fake.make()
    assert isinstance(fake.remembered(), DecoderDied)
    assert eventually(lambda: heard) == [REFUSED], "the daemon hears of it"


TRIMMED = Recipe(200, 0, trim=10)


@pytest.mark.parametrize(
    ("recipe", "size", "is_good"),
    [
        (Recipe(90, 120, "crop"), (90, 120), True), (Recipe(90, 120, "crop"), (90, 119), False),
        (Recipe(90, 120, "crop", trim=10), (90, 120), True),
        (Recipe(90, 120, "crop", trim=10), (89, 120), False),
        (Recipe(90, 0, "stretch", trim=10), (90, 3), True),
        (Recipe(90, 0, "stretch", trim=10), (89, 3), False),
        (Recipe(90, 0, "stretch", trim=10), (90, 401), False),
        (TRIMMED, (200, 1), True), (TRIMMED, (1, 400), True), (TRIMMED, (201, 1), False),
        (TRIMMED, (10, 401), False), (Recipe(0, 0, trim=10), (400, 200), True),
        (Recipe(0, 0, trim=10), (1, 1), True), (Recipe(0, 0, trim=10), (401, 200), False),
        (Recipe(200, 0, enlarge=True, trim=10), (200, 3000), True),
        (Recipe(200, 0, enlarge=True, trim=10), (201, 3000), False),
        (Recipe(5000, 0, enlarge=True, trim=10), (5000, 5000), False),
    ],
    ids=lambda value: getattr(value, "name", None),
)  # fmt: skip
def test_what_a_cut_may_have_left(
    fake: Fake, recipe: Recipe, size: tuple[int, int], is_good: bool
) -> None:
    """The original has 400 x 200 pixels, or turned; how many of them are border only the pixels tell."""
    content = picture(size)
    fake.behave = lambda asked: asked.send((VARIANT, content), (END, b""))
    if is_good:
        assert fake.make(recipe, max_pixels=20_000_000) == content
    else:
        with pytest.raises(DecoderDied, match="did not make the picture"):
            fake.make(recipe, max_pixels=20_000_000)


@pytest.mark.parametrize(
    "raw",
    [
        frames.HEAD.pack(VARIANT, 2**31) + b"x" * 1000,
        frames.HEAD.pack(99, 4) + b"abcd",
        frames.HEAD.pack(END, 0),
        frames.HEAD.pack(frames.LADDER, 3) + b"abc",
        frames.HEAD.pack(frames.ERROR, 2) + b"[]",
        frames.HEAD.pack(frames.ERROR, 60) + b"[" * 60,
        frames.HEAD.pack(frames.ERROR, 22) + json.dumps(["token_unknown", "ab"]).encode(),
    ],
    ids=["too large", "unknown", "end", "ladder", "no error", "deep", "no picture's error"],
)
def test_what_no_decoder_of_ours_sends_is_refused(fake: Fake, raw: bytes) -> None:
    def behave(asked: Asked) -> None:
        asked.raw(raw)
        asked.connection.recv(100)

    fake.behave = behave
    with pytest.raises(DecoderDied):
        fake.make()
    assert isinstance(fake.remembered(), DecoderDied)


def test_a_companion_on_its_way_holds_up_no_answer_and_is_not_made_twice(
    fake: Fake, store: Store
) -> None:
    asked_for: list[tuple[Recipe, ...]] = []
    goes_on = threading.Event()

    def behave(asked: Asked) -> None:
        asked_for.append(asked.plan.recipes)
        asked.send((VARIANT, GOOD))
        assert goes_on.wait(60)
        asked.send((VARIANT, COMPANION), (END, b""))

    fake.behave = behave
    threads, maker = GrowingThreads(4), fake.maker(TOGETHER)
    assert maker.have(ORIGINAL, RECIPE, start=threads.start) == Variant(
        RECIPE.name, None, is_new=True
    )
    assert store.variants.names(KEY) == {RECIPE.name}, "answered ahead of its companion"
    waiting = threads.submit(maker.have, ORIGINAL, OTHER)
    again = threads.submit(maker.have, ORIGINAL, RECIPE)
    assert again.result(20.0) == Variant(RECIPE.name, None, is_new=False)
    assert not waiting.done()
    goes_on.set()
    assert waiting.result(20.0) == Variant(OTHER.name, None, is_new=False)
    assert store.variants.names(KEY) == {RECIPE.name, OTHER.name}
    assert asked_for == [(RECIPE, OTHER)]
    threads.shutdown()


def test_a_reader_knows_without_waiting_whether_all_has_come() -> None:
    reading, writing = os.pipe()
    reader = frames.Reader(reading, time.monotonic() + 20.0)
    frames.write(writing, VARIANT, GOOD)
    assert reader.read(10**6) == (VARIANT, GOOD)
    assert not reader.is_all_here(), "nothing more yet"
    frames.write(writing, VARIANT, COMPANION)
    assert not reader.is_all_here(), "something, but no end"
    frames.write(writing, END)
    os.close(writing)
    assert reader.is_all_here()
    assert reader.read(10**6) == (VARIANT, COMPANION), "what it looked at is not lost"
    assert reader.read(10**6) == (END, b"")
    os.close(reading)


def test_an_answer_that_has_come_in_full_needs_no_other_thread(fake: Fake, store: Store) -> None:
    fake.behave = lambda asked: asked.send((VARIANT, GOOD), (VARIANT, COMPANION), (END, b""))
    sent = threading.Event()

    class Late(Decoder):
        def ask(self, *arguments: Any, **options: Any) -> Exchange:
            exchange = super().ask(*arguments, **options)
            assert sent.wait(60)
            return exchange

    fake.has_answered = sent.set
    turns: Flights[Made] = Flights(store.root / "incoming" / ".decoding", 20.0)
    maker = Maker(store, fake.failures, Late(fake.path, 20.0), turns, TOGETHER)
    maker.have(ORIGINAL, RECIPE, start=lambda _: pytest.fail("all was here"))
    assert store.variants.names(KEY) == {RECIPE.name, OTHER.name}


def test_a_companion_that_never_comes_is_made_when_it_is_asked_for(
    fake: Fake, store: Store
) -> None:
    threads, maker = GrowingThreads(4), fake.maker(TOGETHER)
    fake.behave = lambda asked: asked.send((VARIANT, GOOD))
    maker.have(ORIGINAL, RECIPE, start=threads.start)
    fake.behave = lambda asked: asked.send((VARIANT, COMPANION), (END, b""))
    assert maker.make(ORIGINAL, OTHER) is None
    assert store.variants.names(KEY) == {RECIPE.name, OTHER.name}
    assert fake.remembered() is None, "the picture is not to blame"
    threads.shutdown()


def test_a_large_answer_is_not_read_to_its_end(fake: Fake) -> None:
    sent: list[int] = []

    def behave(asked: Asked) -> None:
        count = 2 * 10**6  # for a thumbnail of 200 x 100
        asked.raw(frames.HEAD.pack(VARIANT, count))
        with contextlib.suppress(OSError):
            while sum(sent) < count:
                sent.append(os.write(asked.target, b"x" * 4096))

    fake.behave = behave
    with pytest.raises(DecoderDied):
        fake.make()
    assert sum(sent) < 200_000


@pytest.mark.parametrize("error", [CorruptImage("bits"), TooManyPixels("60 MP\n\x00")])
def test_an_error_of_the_picture_is_raised_and_remembered(
    fake: Fake, error: ImageCloudError
) -> None:
    fake.behave = lambda asked: frames.write_error(asked.target, error)
    with pytest.raises(type(error)) as caught:
        fake.make()
    assert caught.value.detail.isprintable()
    assert isinstance(fake.remembered(), type(error))


@pytest.mark.parametrize(
    ("verdict", "error", "is_remembered"),
    [
        (DIED, DecoderDied, True), (TIMEOUT, DecodeTimeout, True), (BUSY, Busy, False),
        (b"nonsense", DecoderAway, False), (b"", DecoderAway, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cut", [0, 3, len(GOOD) // 2, len(GOOD) + 4])
def test_an_answer_that_ends_early_is_what_the_daemon_says(
    fake: Fake, verdict: bytes, error: type[ImageCloudError], is_remembered: bool, cut: int
) -> None:
    def behave(asked: Asked) -> None:
        asked.raw((frames.HEAD.pack(VARIANT, len(GOOD)) + GOOD)[:cut])
        asked.connection.send(verdict)

    fake.behave = behave
    with pytest.raises(error):
        fake.make()
    assert (fake.remembered() is not None) == is_remembered


def test_a_daemon_that_goes_away_is_asked_once_more(fake: Fake) -> None:
    times: list[int] = []

    def behave(asked: Asked) -> None:
        times.append(1)
        if len(times) > 1:
            asked.send((VARIANT, GOOD), (END, b""))

    fake.behave = behave
    assert fake.make() == GOOD


def test_one_that_never_answers_is_not_waited_for_and_no_picture_blamed(fake: Fake) -> None:
    over = threading.Event()
    fake.behave = lambda asked: over.wait(60)
    with pytest.raises(Busy):
        fake.make(patience_s=0.05)
    over.set()
    assert fake.remembered() is None


def test_one_that_drips_is_cut_at_the_deadline(fake: Fake) -> None:
    over = threading.Event()

    def behave(asked: Asked) -> None:
        asked.raw(frames.HEAD.pack(VARIANT, 1000))
        while not over.wait(0.01):
            asked.raw(b"x")

    fake.behave = behave
    with pytest.raises(Busy):
        fake.make(patience_s=0.3)
    over.set()


def test_without_a_daemon_nobody_waits(tmp_path: Path, fake: Fake) -> None:
    with pytest.raises(Busy):
        Decoder(str(tmp_path / "nothing"), 1.0).ask(Plan((RECIPE,)), [])
    assert Decoder(str(tmp_path / "nothing"), 1.0).status() is None


def test_what_goes_wrong_behind_the_variant_asked_for_costs_only_the_rest(
    fake: Fake, store: Store
) -> None:
    (store.root / "variants" / KEY[:2] / KEY[2:4] / KEY).mkdir(parents=True)
    store.variants.keep(KEY, {Recipe(20, 20).name: picture((20, 10))})  # so that a ladder is wanted
    fake.behave = lambda asked: asked.send((VARIANT, GOOD), (frames.LADDER, b"no ladder"))
    assert fake.make() == GOOD
    assert LADDER not in store.variants.names(KEY)
    assert fake.remembered() is None


# --- the protocol ---------------------------------------------------------------------------------

CONTENTS = st.lists(st.tuples(st.sampled_from([VARIANT, frames.LADDER]), st.binary(max_size=9000)))


@given(CONTENTS, st.lists(st.integers(1, 5000), min_size=1))
def test_frames_cut_anywhere_are_read_as_they_were_written(
    contents: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    written = b"".join(frames.HEAD.pack(kind, len(content)) + content for kind, content in contents)
    reading, writing = os.pipe()

    def write() -> None:
        rest = written
        while rest:
            for cut in cuts:
                os.write(writing, rest[:cut])
                rest = rest[cut:]
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    reader = frames.Reader(reading, time.monotonic() + 60)
    assert [reader.read(10_000) for _ in contents] == contents
    with pytest.raises(frames.Closed):
        reader.read(10_000)
    thread.join()
    os.close(reading)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    with contextlib.suppress(frames.Closed, frames.MalformedAnswer):
        reader = frames.Reader(reading, time.monotonic() + 60)
        while True:
            kind, piece = reader.read(100)
            if kind == frames.ERROR:
                with contextlib.suppress(frames.MalformedAnswer):
                    raise frames.error_of(piece)
    os.close(reading)


@given(st.integers(0, 20), st.sampled_from(["none", "as decoded", "fine"]))
def test_a_plan_is_read_as_it_was_written(width: int, ladder: str) -> None:
    crop = Recipe(3, 4, "crop", focus=Focus(width, 7), trim=width, background="00ff00")
    plan = Plan((Recipe(width, 7), Recipe(3, 4, "pad"), crop), ladder, IDENTITY)
    message = plan.message(PREFETCH)
    for cut in range(len(message)):
        assert not complete(message[:cut])
    assert complete(message)
    assert Plan.read(message[HEAD.size :]) == plan


@given(st.binary(max_size=100))
def test_no_message_breaks_the_plan(content: bytes) -> None:
    with contextlib.suppress(ValueError):
        if complete(content):
            Plan.read(content[HEAD.size :])


TRUE_FACTS = Facts(400, 200, False, True, 6, "0080ff", "0123456789abcdef")


def told(**others: object) -> bytes:
    return json.dumps(vars(TRUE_FACTS) | others).encode()


def test_facts_are_kept_and_made_once(fake: Fake, store: Store) -> None:
    plans: list[Plan] = []

    def behave(asked: Asked) -> None:
        plans.append(asked.plan)
        asked.send((frames.FACTS, told(more="of a newer version")), (END, b""))

    fake.behave = behave
    assert fake.facts() == fake.facts() == store.variants.facts(KEY) == TRUE_FACTS
    assert [plan.recipes for plan in plans] == [()]
    assert not store.variants.names(KEY), "they are no variant"


@pytest.mark.parametrize("size", [(400, 200), (200, 400)])
def test_facts_may_turn_the_picture(fake: Fake, size: tuple[int, int]) -> None:
    fake.behave = lambda asked: asked.send(
        (frames.FACTS, told(width=size[0], height=size[1])), (END, b"")
    )
    assert (fake.facts().width, fake.facts().height) == size


@pytest.mark.parametrize(
    "frame",
    [
        (VARIANT, GOOD),
        (END, b""),
        (frames.FACTS, b""),
        (frames.FACTS, b"[]"),
        (frames.FACTS, b"[" * 1000),
        (frames.FACTS, b"\xff"),
        (frames.FACTS, told(width=401)),
        (frames.FACTS, told(width=0)),
        (frames.FACTS, told(width=400.0)),
        (frames.FACTS, told(height=10**30)),
        (frames.FACTS, told(animated=1)),
        (frames.FACTS, told(orientation=9)),
        (frames.FACTS, told(orientation=True)),
        (frames.FACTS, told(average_colour="0080FF")),
        (frames.FACTS, told(average_colour=None)),
        (frames.FACTS, told(dhash="0123456789abcdef\n")),
        (frames.FACTS, told(dhash="0123456789abcdeg")),
        (frames.FACTS, told(dhash="1")),
        (frames.FACTS, told(more="x" * 2000)),
    ],
)  # fmt: skip
def test_hostile_facts(fake: Fake, store: Store, frame: tuple[int, bytes]) -> None:
    heard: list[bytes] = []

    def behave(asked: Asked) -> None:
        asked.send(frame)
        heard.append(asked.connection.recv(100))

    fake.behave = behave
    with pytest.raises(DecoderDied):
        fake.facts()
    eventually(lambda: heard == [REFUSED], "its worker is ended")
    assert isinstance(fake.remembered(), DecoderDied)
    assert store.variants.facts(KEY) is None


def test_facts_of_a_picture_that_is_replaced_meanwhile(fake: Fake, store: Store) -> None:
    def behave(asked: Asked) -> None:
        path = store.originals.path(ORIGINAL)
        path.unlink()
        path.write_bytes(picture((400, 200), "png") + b"longer")
        asked.send((frames.FACTS, told()), (END, b""))

    fake.behave = behave
    assert fake.facts() == TRUE_FACTS
    assert store.variants.facts(KEY) is None, "they may be those of the one before"


def test_odd_files_are_no_facts(store: Store) -> None:
    path = store.variants.path(KEY, "facts.json")
    path.parent.mkdir(parents=True)
    for content in (b"", b"{}", b"null", told(dhash="x"), told(more="x" * 2000)):
        path.write_bytes(content)
        assert store.variants.facts(KEY) is None
    path.write_bytes(told())
    assert store.variants.facts(KEY) == TRUE_FACTS
