"""What answers are right while something is broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.shared_storage.load import DELETE, NEW, ORIGINAL, THUMBNAIL, Answer, summary

KINDS = (NEW, ORIGINAL, THUMBNAIL, DELETE)


def served(answer: Answer) -> bool:
    """Say whether it is a picture that is stored, or a delete that was done."""
    return answer.is_right


def served_without_storage(answer: Answer) -> bool:
    """Say whether it is that, or says what it should without a storage.

    New pictures pass through; what is stored, and a delete, is a 503 that says when to ask again.
    """
    if answer.status == 503 and answer.kind in (ORIGINAL, THUMBNAIL, DELETE):
        return answer.text.startswith("with Retry-After")
    return answer.status == 200


def check(
    answers: Sequence[Answer],
    is_right: Callable[[Answer], bool],
    logged: Callable[[Answer], str],
    *,
    kinds: Sequence[str] = KINDS,
    most_s: float = 10.0,
) -> None:
    """Check answers of these kinds, and that none took longer; print them all.

    Of what is wrong it tells what was `logged`.
    """
    print(f"  {summary(answers)}", flush=True)
    answers = [answer for answer in answers if answer.kind in kinds]
    assert answers, "nobody asked"
    wrong = [answer for answer in answers if not is_right(answer)]
    assert not wrong, f"{summary(wrong)}\n" + "\n".join(
        f"{answer}\n{logged(answer)}" for answer in wrong[:10]
    )
    slow = [answer for answer in answers if answer.took_s > most_s]
    assert not slow, f"{len(slow)} took longer than {most_s:g} s: {slow[:5]}"
