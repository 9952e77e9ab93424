"""What a decoder answers to one question: the variant that was asked for, and then what is made along."""

from __future__ import annotations

import dataclasses
import logging

from image_cloud.decoding import frames
from image_cloud.decoding.check import Expected
from image_cloud.decoding.client import Decoder, Exchange
from image_cloud.decoding.plan import NO_STEPS, Plan
from image_cloud.errors import DecoderAway, ImageCloudError
from image_cloud.picture.variant import LADDER, Recipe
from image_cloud.process.closing import Closing

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Question:
    """A plan, the open files of picture and ladder, and the class of the request."""

    plan: Plan
    descriptors: tuple[int, ...]
    kind: int


class Answer(Closing):
    """Bytes as they come; a context manager that lets go of the decoder.

    `first` is what was asked for, and has come already.
    """

    def __init__(self, exchange: Exchange, plan: Plan, expected: Expected) -> None:
        """Read the first variant.  Raises the picture's error and what Exchange.read raises."""
        self.plan = plan
        self._exchange = exchange
        self._expected = expected
        try:
            self.first = self._variant(plan.recipes[0])
        except BaseException:
            exchange.close()
            raise

    def close(self) -> None:
        """Let go of the decoder, whatever it still has to say."""
        self._exchange.close()

    def has_more(self) -> bool:
        """Say whether the rest is more than an end, and still to come."""
        is_more = len(self.plan.recipes) > 1 or self.plan.ladder != NO_STEPS
        return is_more and not self._exchange.is_all_here()

    def rest(self) -> dict[str, bytes]:
        """Read and judge what is made along, by name: variants in the plan's order, perhaps a ladder.

        Whatever goes wrong costs only what comes after it.
        """
        files: dict[str, bytes] = {}
        try:
            for recipe in self.plan.recipes[1:]:
                content = self._variant(recipe)
                files[recipe.name_of(content)] = content
            files |= self._ladder()
        except ImageCloudError as error:
            log.warning("event=not_made_along code=%s", error.code)
        return files

    def _ladder(self) -> dict[str, bytes]:
        kind, content = self._exchange.read(self._expected.most_ladder_bytes())
        if kind != frames.LADDER or self.plan.ladder == NO_STEPS:
            return {}
        if reason := self._expected.why_wrong_ladder(content):
            raise self._exchange.refuse(reason)
        return {LADDER: content}

    def _variant(self, recipe: Recipe) -> bytes:
        kind, content = self._exchange.read(self._expected.most_bytes(recipe))
        if kind != frames.VARIANT:
            raise self._exchange.refuse(f"a frame of kind {kind}")
        if reason := self._expected.why_wrong(content, recipe):
            raise self._exchange.refuse(reason)
        return content


def ask(decoder: Decoder, question: Question, expected: Expected) -> Answer:
    """Return the answer, its first variant read; a daemon that went away meanwhile is asked once more."""
    try:
        return _ask_once(decoder, question, expected)
    except DecoderAway:
        return _ask_once(decoder, question, expected)


def _ask_once(decoder: Decoder, question: Question, expected: Expected) -> Answer:
    files, kind = question.descriptors, question.kind
    exchange = decoder.ask(question.plan, files, kind, is_large=expected.is_large)
    return Answer(exchange, question.plan, expected)
