"""What answers say about trials and images."""

import pytest

from fabricbo.scores import Preference
from fabricbo.votes import (
    Option,
    Question,
    Task,
    Vote,
    answers,
    check_answer,
    counting,
    preferences,
    verdicts,
)


def task(name: str, kind: str, trials, order=None, rater: int = 1) -> Task:
    options = tuple(Option(f"image-{name}-{k}", trial) for k, trial in enumerate(trials))
    question = Question(len(name), kind, options, "why")
    return Task(name, question, rater, tuple(order or range(len(trials))))


def votes(*pairs) -> list[Vote]:
    return [Vote(number, of, answer) for number, (of, answer) in enumerate(pairs, 1)]


@pytest.mark.parametrize(
    ("answer", "order", "said"),
    [
        ("left", (0, 1), Preference(3, 5, rater=1, left=3)),
        ("left", (1, 0), Preference(5, 3, rater=1, left=5)),
        ("right", (0, 1), Preference(5, 3, rater=1, left=3)),
        ("tie", (1, 0), Preference(5, 3, tie=True, rater=1, left=5)),
        ("both-bad", (0, 1), Preference(3, 5, tie=True, rater=1, left=3)),
    ],
)
def test_a_pair_says_which_trial_is_better_wherever_it_was_shown(answer, order, said) -> None:
    assert preferences(votes((task("a", "pairwise", (3, 5), order), answer))) == [said]


def test_the_best_of_several_beats_each_other() -> None:
    found = preferences(votes((task("a", "best-of", (3, 5, 7), (2, 0, 1)), "2")))
    assert found == [Preference(3, 7, rater=1), Preference(3, 5, rater=1)]


def test_stars_and_likes_are_compared_within_a_rater() -> None:
    given = votes(
        (task("a", "stars", (0, 0)), "5"),
        (task("b", "stars", (1, 1)), "2"),
        (task("c", "stars", (2, 2)), "2"),
        (task("d", "stars", (1, 1), rater=2), "5"),
        (task("e", "stars", (2, 2), rater=2), "1"),
    )
    assert preferences(given) == [
        Preference(0, 1, rater=1),
        Preference(0, 2, rater=1),
        Preference(1, 2, tie=True, rater=1),
        Preference(1, 2, rater=2),
    ]
    liked = votes(
        (task("a", "like", (0, 0)), "liked,disliked"), (task("b", "like", (1, 1)), "liked,neither")
    )
    assert preferences(liked) == [Preference(1, 0, rater=1)]


def test_the_last_vote_of_a_task_counts_and_excluded_raters_do_not() -> None:
    one, other = task("a", "pairwise", (0, 1)), task("b", "pairwise", (1, 2), rater=2)
    given = votes((one, "left"), (other, "left"), (one, "undo"), (one, "right"))
    assert [vote.answer for vote in counting(given)] == ["right", "left"]
    assert [vote.task.id for vote in counting(given, frozenset({2}))] == ["a"]
    assert counting(votes((one, "left"), (one, "undo"))) == []
    assert counting(votes((one, "skip"))) == []


def test_gold_checks_say_nothing_about_trials() -> None:
    gold = task("a", "pairwise", (None, None))
    assert preferences(votes((gold, "left"))) == []
    assert verdicts(votes((gold, "left"))) == {}


def test_verdicts_on_images() -> None:
    pair, several = task("a", "pairwise", (0, 1), (1, 0)), task("b", "best-of", (0, 1, 2))
    assert verdicts(votes((pair, "left"))) == {"image-a-1": 1, "image-a-0": 0}
    assert verdicts(votes((pair, "both-bad"))) == {"image-a-1": -1, "image-a-0": -1}
    assert verdicts(votes((several, "3")))["image-b-2"] == 1
    like = task("c", "like", (0, 0, 0), (2, 0, 1))
    found = verdicts(votes((like, "liked,disliked,neither")))
    assert found == {"image-c-2": 1, "image-c-0": -1, "image-c-1": 0}
    stars = task("d", "stars", (0,))
    assert [verdicts(votes((stars, s)))["image-d-0"] for s in "135"] == [-1, 0, 1]


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("pairwise", ("left", "both-bad", "undo"), ("", "LEFT", "3", "liked,liked")),
        ("best-of", ("1", "3", "skip"), ("0", "4", "left", "1,2")),
        ("stars", ("1", "5", "skip"), ("0", "6", "2.5")),
        ("like", ("liked,neither,disliked", "skip"), ("liked", "liked,neither", "a,b,c")),
    ],
)
def test_answers_are_checked(kind, good, bad) -> None:
    count = 2 if kind == "pairwise" else 3
    asked = task("a", kind, range(count))
    for answer in good:
        check_answer(asked, answer)
    for answer in bad:
        with pytest.raises(ValueError, match="answer must be"):
            check_answer(asked, answer)
    assert (answers(kind, count) is None) == (kind == "like")


def test_each_trial_is_compared_with_other_grades_however_many_share_one() -> None:
    given = votes(
        *((task(f"t{k}", "stars", (k, k)), "5" if k % 4 == 0 else "3") for k in range(40))
    )
    found = preferences(given)
    strict = [one for one in found if not one.tie]
    assert all(one.better % 4 == 0 and one.worse % 4 for one in strict)
    assert {one.better for one in strict} | {one.worse for one in strict} == set(range(40))
    assert len(found) < 2 * 40
