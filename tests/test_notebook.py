"""The widget of a notebook, without a browser: buttons are clicked as its front end would."""

import pytest

widgets = pytest.importorskip("ipywidgets")

from fabricbo.rating.notebook import rate  # noqa: E402
from fabricbo.study import NotAStudyError  # noqa: E402
from tests.web_server import fill, rated_study  # noqa: E402


def parts(box, kind) -> list:
    """Return all parts of a kind, from the top."""
    found = [box] if isinstance(box, kind) else []
    return found + [one for child in getattr(box, "children", ()) for one in parts(child, kind)]


def button(box, label: str):
    return next(one for one in parts(box, widgets.Button) if one.description == label)


def stored(study) -> list[str]:
    return [vote.answer for vote in study.ballots.votes()]


def ready(tmp_path, kind: str = "pairwise", **rating):
    study = rated_study(tmp_path, rating={"kind": kind, **rating})
    fill(study)
    return study


@pytest.mark.parametrize(
    ("kind", "label", "answer"),
    [
        ("pairwise", "Left", "left"),
        ("best-of", "Picture 2", "2"),
        ("stars", "★★★★", "4"),
        ("like", "Skip", "skip"),
    ],
)
def test_a_click_is_a_vote_and_undo_takes_it_back(tmp_path, kind, label, answer) -> None:
    study = ready(tmp_path, kind)
    box = rate(study, name="Ada")
    assert len(parts(box, widgets.Image)) == len(study.ballots.tasks_of(1)[0].order)
    assert button(box, "Undo").disabled
    button(box, label).click()
    assert stored(study) == [answer]
    assert study.ballots.votes()[0].seconds is not None
    button(box, "Undo").click()
    assert stored(study) == [answer, "undo"]


def test_pictures_do_not_say_how_they_were_drawn(tmp_path) -> None:
    study = ready(tmp_path)
    image = study.trials[0].images[0]
    assert b"parameters" in study.images.read(image)
    for picture in parts(rate(study, name="Ada"), widgets.Image):
        assert not any(said in picture.value for said in (b"parameters", b"fabricbo", b"a cat"))


def test_verdicts_are_sent_together(tmp_path) -> None:
    study = ready(tmp_path, "like")
    box = rate(study, name="Ada")
    parts(box, widgets.ToggleButtons)[1].value = "liked"
    button(box, "Done").click()
    assert stored(study) == ["neither,liked"]


def test_a_second_click_does_not_answer_the_next_question(tmp_path) -> None:
    study = ready(tmp_path)
    box = rate(study, name="Ada")
    old = button(box, "Left")
    old.click()
    old.click()
    assert stored(study) == ["left"]


def test_a_folder_can_be_given_and_the_same_name_goes_on(tmp_path) -> None:
    study = ready(tmp_path)
    button(rate(study.folder, name="Ada"), "Right").click()
    box = rate(str(study.folder), name="Ada")
    assert "You answered 1." in parts(box, widgets.Label)[-1].value
    assert len(study.ballots.raters()) == 1
    with pytest.raises(NotAStudyError):
        rate(tmp_path / "none", name="Ada")


def test_who_waits_can_look_again(tmp_path) -> None:
    study = rated_study(tmp_path)
    box = rate(study, name="Ada")
    fill(study)
    button(box, "Look again").click()
    assert len(parts(box, widgets.Image)) == 2
    study.ballots.state = "stopped"
    button(box, "Left").click()
    assert "Thank you" in parts(box, widgets.Label)[0].value


def test_consent_and_blur(tmp_path) -> None:
    study = ready(tmp_path, consent="for science", blur=True)
    box = rate(study, name="Ada")
    assert study.ballots.raters() == []
    button(box, "I agree, begin").click()
    assert parts(box, widgets.Image) == []
    button(box, "Show this picture").click()
    assert len(parts(box, widgets.Image)) == 1
