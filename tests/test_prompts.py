"""Prompt dropout."""

from hypothesis import given
from hypothesis import strategies as st

from fabricbo.sampler.prompts import drop_words

PROMPT = "a cat on a blue background, sketch style"
words = st.text(st.characters(blacklist_categories=["Z", "C"]), min_size=1, max_size=5)


def test_none_is_dropped_at_0_and_the_text_stays_as_it_is() -> None:
    assert drop_words("  a   cat ", 0.0, 1) == "  a   cat "
    assert drop_words("", 0.5, 1) == ""


@given(st.lists(words, min_size=1, max_size=8), st.floats(0, 0.999), st.integers(0, 2**63 - 1))
def test_never_empty_order_kept_and_seeded(
    tokens: list[str], probability: float, seed: int
) -> None:
    prompt = " ".join(tokens)
    kept = drop_words(prompt, probability, seed).split()
    assert kept
    remaining = iter(tokens)
    assert all(word in remaining for word in kept)  # a subsequence
    assert drop_words(prompt, probability, seed).split() == kept


def test_share_dropped_is_the_probability() -> None:
    kept = [len(drop_words(PROMPT, 0.3, seed).split()) for seed in range(2000)]
    assert abs(sum(kept) / len(kept) / len(PROMPT.split()) - 0.7) < 0.02
