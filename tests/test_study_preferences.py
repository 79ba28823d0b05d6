"""Studies that people judge, and studies that start from an earlier one."""

from itertools import combinations

import pytest
from PIL import Image

from fabricbo.assessment import Advice, Assessment, Estimate
from fabricbo.cli.answers.studies import shown
from fabricbo.cli.reading import print_study
from fabricbo.cli.wording import score_texts
from fabricbo.compose import analyse, create_study, resume_study
from fabricbo.proposers import AxProposer
from fabricbo.records import Role, TrialStatus
from fabricbo.report import write_report
from fabricbo.report.wording import expectation, going_on, headline
from fabricbo.scores import Measure, Preference, Score
from fabricbo.study import Parts, SettingsError, Study, check_settings
from tests.fakes import POOL, ColourSampler, UnitProposer, fake_study, redness


def blue(images, prompt):
    return [float(image.getpixel((0, 0))[2]) for image in images]


def rated(tmp_path, proposer=None, objective=None, earlier=None, **settings) -> Study:
    values = {"name": "rated", "prompt": "a cat", "rounds": 2, "trials": 3, "images": 2}
    checked = check_settings(
        {**values, "storage": tmp_path, "rating": {"kind": "pairwise"}, **settings}
    )
    parts = Parts(proposer or UnitProposer(), ColourSampler(), objective)
    return Study.create(checked, parts, POOL, earlier)


def red_of(study: Study, trial) -> float:
    return redness([study.images.load(trial.images[0])], "")[0]


def test_drawn_trials_wait_for_a_person_and_survive_closing(tmp_path) -> None:
    study = rated(tmp_path)
    drawn = [study.draw() for _ in range(7)]
    assert study.draw() is None
    assert {trial.status for trial in drawn} == {TrialStatus.AWAITING_RATING}
    assert [trial.round for trial in drawn] == [1, 1, 1, 1, 2, 2, 2]
    assert study.best() is None
    study.prefer(drawn[2], drawn[0], drawn[1])
    study.tie(drawn[3], drawn[2])
    study.close()
    again = Study.open(tmp_path / "rated")
    assert again.trials == drawn
    assert again.preferences == [Preference(2, 0), Preference(2, 1), Preference(3, 2, tie=True)]
    assert again.best() == drawn[2]
    assert again.history.preferences == tuple(again.preferences)


def test_running_needs_somebody_to_score(tmp_path) -> None:
    with pytest.raises(ValueError, match="people judge"):
        rated(tmp_path).run()


def test_wrong_judgements_are_refused_and_nothing_is_stored(tmp_path) -> None:
    study = rated(tmp_path / "one")
    other = rated(tmp_path / "other", seed=1)
    first, second = study.draw(), study.draw()
    foreign = other.draw()
    asked = study.ask()
    with pytest.raises(ValueError, match="trial 0 is not one of this study's"):
        study.prefer(foreign, second)
    with pytest.raises(ValueError, match="trial 2 of this study has no such images"):
        study.prefer(first, asked)
    with pytest.raises(ValueError, match="itself"):
        study.prefer(first, second, first)
    with pytest.raises(ValueError, match="better than"):
        study.prefer(first)
    assert study.preferences == []


def test_no_objective_joins_a_study_that_people_judge(tmp_path) -> None:
    study = rated(tmp_path)
    study.close()
    with pytest.raises(ValueError, match="people judge this study"):
        Study.open(study.folder, Parts(UnitProposer(), ColourSampler(), redness))


def test_the_pool_of_a_judged_study_grows(tmp_path) -> None:
    study = rated(tmp_path, pool={"grow_liked": 1, "grow_disliked": 1})
    first = [study.draw() for _ in range(4)]
    study.prefer(first[2], first[0], first[1], first[3])
    study.draw()
    joined = {r.id: r.hand_role for r in study.rounds[1].pool if r not in POOL}
    assert joined[study.trials[2].images[0]] is Role.LIKED
    assert [*joined.values()].count(Role.DISLIKED) == 1


def test_images_that_were_judged_stay(tmp_path) -> None:
    study = rated(tmp_path)
    a, b = study.draw(), study.draw()
    others = [Image.new("RGB", (4, 4))] * 2
    study.prefer(a, b)
    with pytest.raises(ValueError, match="judged by the images that it has"):
        study.tell(a, others)
    with pytest.raises(ValueError, match="judged by the images that it has"):
        study.fail(a, "a mistake", others)
    study.fail(a, "a mistake")
    assert study.trials[0].images == a.images
    assert study.best() == study.trials[1]


def test_nothing_is_held_out_where_nothing_scores(tmp_path) -> None:
    study = rated(tmp_path)
    a, b = study.draw(), study.draw()
    study.tell(a, [study.images.load(identity) for identity in a.images], [1.0, 2.0])
    study.prefer(b, study.trials[0])
    assert study.best() == b
    assert study.hold_out() is None


def test_an_earlier_study_that_counts_no_longer_is_told(tmp_path, caplog) -> None:
    earlier = fake_study(tmp_path)
    earlier.run()
    study = rated(tmp_path, AxProposer(initial_trials=1), redness, earlier)
    a, b, _ = study.draw(), study.draw(), study.draw()
    assert "earlier study" not in caplog.text
    study.prefer(a, b)
    study.draw()
    assert "the earlier study counts no longer" in caplog.text


def test_a_cycle_is_accepted(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(initial_trials=2))
    a, b, c = study.draw(), study.draw(), study.draw()
    for better, worse in ((a, b), (b, c), (c, a)):
        study.prefer(better, worse)
    assert study.draw().source == "bo"
    assert study.assess().utilities.keys() == {0, 1, 2}


def test_a_person_who_likes_red_gets_it(tmp_path) -> None:
    """The whole loop, with the real proposer: drawn, compared, drawn again."""
    study = rated(tmp_path, AxProposer(initial_trials=3), trials=7)
    study.draw()
    while study.draw() is not None:
        one, other = study.next_comparison()
        better, worse = sorted((one, other), key=lambda trial: -red_of(study, trial))
        if red_of(study, better) == red_of(study, worse):
            study.tie(better, worse)
        else:
            study.prefer(better, worse)
    assert {trial.source for trial in study.trials} == {"hand", "sobol", "bo"}
    study.assess()
    reds = sorted(red_of(study, trial) for trial in study.trials)
    assert red_of(study, study.best()) >= reds[-3]
    assert Study.open(study.folder).best() == study.best()


def test_judgements_after_the_assessment_make_it_old(tmp_path) -> None:
    study = rated(tmp_path, AxProposer())
    a, b, c = study.draw(), study.draw(), study.draw()
    study.prefer(a, b)
    assert study.assess().utilities.keys() == {0, 1}
    study.prefer(c, a)
    assert study.assessment.utilities == {}
    assert study.assess().utilities.keys() == {0, 1, 2}


def test_proposers_that_cannot_compare_have_the_least_compared_shown(tmp_path) -> None:
    study = rated(tmp_path)
    assert study.next_comparison() is None
    a, b, c = study.draw(), study.draw(), study.draw()
    assert study.next_comparison() == (a, b)
    study.prefer(a, b)
    assert c in study.next_comparison()


def test_scored_studies_may_be_judged_too(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(initial_trials=2), objective=redness)
    study.run()
    by_red = sorted(study.trials, key=lambda trial: trial.score.mean)
    study.prefer(by_red[0], by_red[-1])  # somebody who does not like red at all
    found = study.assess()
    everything = {trial.index for trial in study.trials}
    assert found.estimates.keys() == found.utilities.keys() == everything
    assert found.advice is None


BOTH = {"red": redness, "blue": blue}


def test_a_judged_study_of_several_measures_stays_readable(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(initial_trials=2), BOTH, constraints=["blue <= 40"])
    study.run()
    by_red = sorted(study.trials, key=lambda trial: trial.score.mean)
    study.prefer(by_red[0], by_red[-1])
    for found in (study.assessment, study.assess()):  # out of date, then made anew
        assert study.best() in study.trials
        assert study.pareto()
        bounded = {tuple(study.broken_bounds(trial)) for trial in study.trials}
        assert bounded <= {(), ("blue <= 40",)}
        assert shown(study).best_trial == study.best().index
        assert write_report(study).is_file()
        assert found.effects == () or len(found.estimates[0]) == 2
    assert study.hold_out() is not None
    assert study.broken_bounds(study.best()) == []
    assert Study.open(study.folder).assessment == study.assessment
    print_study("rated", tmp_path, as_json=False)


def test_a_judged_study_is_shown_before_it_is_assessed(tmp_path) -> None:
    study = rated(tmp_path, objective=BOTH, constraints=["blue <= 40"])
    for _ in range(2):
        trial = study.ask()
        study.tell(trial, study._parts.sampler(trial.action, "a cat", trial.seeds))
    study.prefer(*study.trials)
    assert study.best() == study.trials[0]
    assert study.broken_bounds(study.best()) == []
    print_study("rated", tmp_path, as_json=False)
    assert shown(study).best_expected is None
    assert write_report(study).is_file()


def test_a_page_whose_best_has_no_score_yet(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(), BOTH, constraints=["blue <= 40"])
    study.draw()
    trial = study.ask()
    study.tell(trial, study._parts.sampler(trial.action, "a cat", trial.seeds))
    study.prefer(study.trials[1], study.trials[0])
    for _ in range(2):
        assert study.best() == study.trials[1]
        assert write_report(study).is_file()
        print_study("rated", tmp_path, as_json=False)
        print_study("rated", tmp_path, as_json=True)
        study.assess()


def test_scored_trials_of_two_objectives_are_compared_before_any_preference(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(initial_trials=2), BOTH)
    study.run()
    one, other = study.next_comparison()
    assert one != other


def test_a_score_told_after_a_judgement_makes_the_assessment_old(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(), redness)
    for _ in range(3):
        trial = study.ask()
        study.tell(trial, study._parts.sampler(trial.action, "a cat", trial.seeds))
    study.prefer(*study.trials)
    assert study.assess().estimates == {}
    images = [study.images.load(identity) for identity in study.trials[1].images]
    study.tell(study.trials[1], images, redness(images, ""))
    assert study.assessment.utilities == {}
    assert study.assess().estimates.keys() == {1}


def test_assessments_of_before_there_were_utilities_are_read() -> None:
    data = {"estimates": {"3": [{"mean": 1.0, "standard_error": 0.5}]}, "advice": None}
    found = Assessment.from_json({**data, "effects": [], "slices": []})
    assert found == Assessment({3: (Estimate(1.0, 0.5),)})


# Bounds where nothing but people says what is good


def bounded(tmp_path, proposer=None, **settings) -> Study:
    """People judge; blue, which grows with the liked references, is to stay below 60."""
    settings = {"constraints": ["blue <= 60"], **settings}
    return rated(tmp_path, proposer, {"blue": blue}, **settings)


def test_what_has_bounds_is_measured_and_the_trial_waits_for_a_person(tmp_path) -> None:
    study = bounded(tmp_path)
    assert study.measures == (Measure("preference"), Measure("blue", at_most=60.0))
    assert study.people_lead
    drawn = [study.draw() for _ in range(7)]
    assert {trial.status for trial in drawn} == {TrialStatus.AWAITING_RATING}
    for trial in drawn:
        assert (trial.score, trial.scores) == (None, ())
        assert trial.further == (Score((40.0 * len(trial.action.liked),) * 2),)
        assert trial.by_measure(study.measures) == ((study.measures[1], trial.further[0]),)
    study.close()
    again = Study.open(study.folder)
    assert (again.trials, again.measures) == (drawn, study.measures)
    with pytest.raises(ValueError, match="people judge"):
        bounded(tmp_path / "other").run()


def test_the_best_of_what_people_like_keeps_the_bound(tmp_path) -> None:
    study = bounded(tmp_path, AxProposer(initial_trials=4), trials=6)
    drawn = [study.draw() for _ in range(7)]
    breaks = [t for t in drawn if t.further[0].mean > 60]
    keeps = [t for t in drawn if t.further[0].mean <= 60]
    assert breaks and len(keeps) > 1
    study.prefer(breaks[0], *keeps)
    study.prefer(keeps[1], keeps[0])
    for _ in range(2):  # before it is assessed, and after
        assert study.best() == keeps[1]
        assert study.broken_bounds(breaks[0]) == ["blue <= 60"]
        assert study.broken_bounds(keeps[0]) == []
        study.assess()
    found = study.assessment
    assert found.estimates == {}
    assert found.utilities[breaks[0].index].mean > found.utilities[keeps[1].index].mean
    assert study.draw() is not None
    assert Study.open(study.folder).best() == keeps[1]


@pytest.mark.parametrize("judged", [False, True])
def test_people_are_asked_first_about_what_keeps_the_bound(tmp_path, judged) -> None:
    study = bounded(tmp_path, AxProposer(initial_trials=4), trials=6)
    drawn = [study.draw() for _ in range(7)]
    keeps = {trial.index for trial in drawn if trial.further[0].mean <= 60}
    breaks = [trial for trial in drawn if trial.index not in keeps]
    assert len(keeps) > 2 and breaks
    if judged:  # what breaks the bound pleases most, and nothing else was judged
        study.prefer(breaks[0], *(trial for trial in drawn if trial.index in keeps))
    asked = {frozenset((one.index, other.index)) for one, other in study.next_comparisons(9)}
    assert asked and all(pair <= keeps for pair in asked)
    among_keepers = {frozenset(pair) for pair in combinations(keeps, 2)}
    further = study.next_comparisons(9, among_keepers)
    assert further  # nobody waits where those are exhausted
    assert all({one.index, other.index} - keeps for one, other in further)


@pytest.mark.parametrize(("most", "is_told"), [(60, True), (-1, False)])
def test_advice_beside_bounds_is_given_where_the_best_keeps_them(tmp_path, most, is_told) -> None:
    study = bounded(
        tmp_path, AxProposer(initial_trials=4), constraints=[f"blue <= {most}"], trials=6
    )
    *others, last = [study.draw() for _ in range(7)]
    for _ in range(2):
        study.prefer(last, *others)
    advice = study.assess().advice
    assert (advice is not None) is is_told
    assert ("this space that keeps all bounds pleases" in (going_on(study) or "")) is is_told


def test_other_proposers_have_what_keeps_the_bound_compared_first(tmp_path) -> None:
    study = bounded(tmp_path, trials=6)
    drawn = [study.draw() for _ in range(7)]
    keeps = {trial.index for trial in drawn if trial.further[0].mean <= 60}
    assert 1 < len(keeps) < len(drawn)
    asked = {trial.index for pair in study.next_comparisons(2) for trial in pair}
    assert asked <= keeps


def test_an_abandoned_trial_is_nothing_to_compare(tmp_path) -> None:
    study = rated(tmp_path, AxProposer(initial_trials=4))
    one, _ = study.draw(), study.draw()
    study.abandon(one, "looks broken")
    assert study.next_comparison() is None


def test_where_too_little_keeps_the_bound_people_are_asked_about_all(tmp_path) -> None:
    study = bounded(tmp_path, AxProposer(initial_trials=4))
    drawn = [study.draw()]
    while all(trial.further[0].mean > 60 for trial in drawn):
        drawn.append(study.draw())
    assert len(drawn) > 1
    asked = {trial.index for pair in study.next_comparisons(6) for trial in pair}
    assert asked == {trial.index for trial in drawn}


def test_where_all_that_was_judged_breaks_the_bound_one_of_them_is_the_best(tmp_path) -> None:
    study = bounded(tmp_path, AxProposer(initial_trials=4), constraints=["blue <= 30"])
    drawn = [study.draw() for _ in range(7)]
    breaks = [trial for trial in drawn if trial.further[0].mean > 30]
    assert len(breaks) < len(drawn)
    least, *others = sorted(breaks, key=lambda trial: trial.further[0].mean)
    study.prefer(others[-1], least)
    for _ in range(2):  # before it is assessed, and after
        assert study.best() == least
        study.assess()


def test_what_breaks_a_bound_is_said_wherever_trials_are_shown(tmp_path, capsys) -> None:
    study = bounded(tmp_path, AxProposer(initial_trials=4))
    drawn = [study.draw() for _ in range(4)]
    breaking = next(trial for trial in drawn if trial.further[0].mean > 60)
    keeping = next(trial for trial in drawn if trial.further[0].mean <= 60)
    study.prefer(breaking, keeping)
    said = f"{keeping.further[0].mean:.4f}"
    assert score_texts(keeping, study.measures) == ["awaiting-rating", said]
    assert score_texts(breaking, study.measures)[1].endswith(" !")
    assert shown(study).trials[breaking.index].scores == {"blue": breaking.further[0].mean}
    print_study("rated", tmp_path, as_json=False)
    assert "blue <= 60" in capsys.readouterr().out
    for _ in range(2):
        page = write_report(study).read_text("utf-8")
        assert "breaks blue &lt;= 60" in page
        study.assess()
    assert page.count("crosses are trials that break a bound") == 1
    assert study.hold_out() is None


def test_an_outcome_is_told_by_the_name_of_what_has_bounds(tmp_path) -> None:
    study = bounded(tmp_path)
    images = [Image.new("RGB", (4, 4), (number, 0, 0)) for number in range(2)]
    with pytest.raises(ValueError, match="expected scores of blue, got red"):
        study.tell(study.ask(), images, {"red": [1.0, 2.0]})
    study.tell(study.trials[0], images, {"blue": [1.0, 2.0]})
    study.tell(study.ask(), images, [3.0, 4.0])
    study.tell(study.ask(), images)
    assert [trial.further for trial in study.trials] == [
        (Score((1.0, 2.0)),),
        (Score((3.0, 4.0)),),
        (),
    ]
    assert {trial.status for trial in study.trials} == {TrialStatus.AWAITING_RATING}


def test_the_pool_grows_by_what_people_say_not_by_what_has_bounds(tmp_path) -> None:
    study = bounded(tmp_path, pool={"grow_liked": 1})
    first = [study.draw() for _ in range(4)]
    breaking = next(trial for trial in first if trial.further[0].mean > 60)
    liked = [trial for trial in first if trial.further[0].mean <= 60][-1]
    others = [trial for trial in first if trial not in (breaking, liked)]
    study.prefer(liked, *others)
    study.prefer(breaking, liked, *others)
    study.draw()
    (joined,) = (r.id for r in study.rounds[1].pool if r not in POOL)
    assert joined == liked.images[0]


def test_what_was_judged_and_kept_no_bound_is_said_to_be_so(tmp_path, capsys) -> None:
    study = bounded(tmp_path, constraints=["blue <= 30"])
    drawn = [study.draw() for _ in range(7)]
    keeping = next(trial for trial in drawn if trial.further[0].mean <= 30)
    one, other, *_ = [trial for trial in drawn if trial.further[0].mean > 30]
    study.prefer(one, other)
    print_study("rated", tmp_path, as_json=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "no trial that people judged keeps all bounds; the best misses blue <= 30" in said
    assert "No trial that people judged keeps all" in write_report(study).read_text("utf-8")
    study.prefer(one, keeping)
    assert headline(study).startswith(f"Trial {keeping.index} is preferred of what keeps all")
    assert "trial that people judged" not in write_report(study).read_text("utf-8")


def test_a_lost_trial_keeps_nobody_from_what_was_measured(tmp_path) -> None:
    study = bounded(tmp_path)
    trial = study.draw()
    study.fail(trial, "a mistake")
    (lost,) = study.trials
    assert lost.by_measure(study.measures) == ()
    assert score_texts(lost, study.measures) == ["failed", ""]


def test_cards_say_who_waits_beside_what_has_bounds(tmp_path) -> None:
    study = bounded(tmp_path)
    one, other, _ = study.draw(), study.draw(), study.draw()
    study.prefer(one, other)
    page = write_report(study).read_text("utf-8")
    assert page.count("judged by eye") >= 2
    assert "waits for a person&#39;s judgement" in page


def test_ax_has_nothing_to_analyse_where_people_decide(tmp_path) -> None:
    study = bounded(tmp_path)
    study.draw()
    with pytest.raises(SettingsError, match="nothing but people says"):
        analyse(study)


def test_what_has_bounds_keeps_its_name_when_opened_with_another(tmp_path) -> None:
    study = bounded(tmp_path)
    study.close()
    parts = Parts(UnitProposer(), ColourSampler(), lambda images, _prompt: blue(images, ""))
    assert Study.open(study.folder, parts).draw().further


@pytest.mark.parametrize(
    "settings", [{"report_with": ["clipping"]}, {"heldout_prompts": ["a dog"]}]
)
def test_what_only_people_judge_is_not_reported_by_scores(tmp_path, settings) -> None:
    (name,) = settings
    with pytest.raises(ValueError, match=f"{name}: .* only people say what is good"):
        bounded(tmp_path / "bounded", **settings)
    with pytest.raises(ValueError, match=f"{name}: .* only people say what is good"):
        rated(tmp_path, **settings)


def test_no_objective_is_called_as_people_are(tmp_path) -> None:
    with pytest.raises(ValueError, match="'preference' is what people say"):
        rated(tmp_path, objective={"preference": blue})


def test_people_do_not_start_from_bounds_alone(tmp_path) -> None:
    earlier = bounded(tmp_path / "earlier")
    with pytest.raises(ValueError, match="are no judgements"):
        rated(tmp_path, objective={"blue": blue}, constraints=["blue <= 60"], earlier=earlier)


def test_proposers_that_hear_no_one_are_refused_beside_bounds(tmp_path) -> None:
    (tmp_path / "scored.py").write_text(
        "def one(images, prompt):\n    return [1.0] * len(images)\n"
    )
    asked = {
        "name": "rated",
        "prompt": "a cat",
        "storage": str(tmp_path),
        "space": {"guidance_scale": [1.0, 5.0]},
        "rating": {"kind": "pairwise"},
        "objective": {"name": f"{tmp_path / 'scored.py'}:one"},
        "constraints": ["one <= 2"],
    }
    with pytest.raises(SettingsError, match="optuna-tpe learns from scores only, and here people"):
        create_study({**asked, "proposer": "optuna-tpe"})
    assert create_study(asked).people_lead


# Starting from an earlier study


def test_an_earlier_study_is_copied(tmp_path) -> None:
    earlier = fake_study(tmp_path)
    earlier.run()
    values = {"name": "next", "prompt": "a dog", "storage": tmp_path, "trials": 3, "images": 2}
    parts = Parts(AxProposer(), ColourSampler(), redness)
    study = Study.create(check_settings(values), parts, POOL[:1], earlier)
    known = study.history.earlier
    assert [t.action for t in known] == [t.action for t in earlier.trials]
    assert [t.score.mean for t in known] == [t.score.mean for t in earlier.trials]
    assert study.rounds[0].pool == POOL[:1]
    (earlier.folder / "study.db").unlink()
    again = Study.open(study.folder, parts)
    assert again.history == study.history
    again.run()
    assert [trial.source for trial in again.trials[:2]] == ["hand", "bo"]


def test_an_earlier_study_that_does_not_fit_is_refused(tmp_path) -> None:
    both = fake_study(tmp_path, objective={"red": redness, "more": redness})
    both.run()
    values = {"name": "next", "prompt": "a dog", "storage": tmp_path}
    parts = Parts(UnitProposer(), ColourSampler(), redness)
    with pytest.raises(ValueError, match=r"measures red .*, more .*, this one redness"):
        Study.create(check_settings(values), parts, POOL, both)
    unscored = fake_study(tmp_path / "unscored")
    with pytest.raises(ValueError, match="start_from: the hand settings have no score"):
        Study.create(check_settings(values), parts, POOL, unscored)
    assert not (tmp_path / "next" / "study.db").exists()


def test_scores_of_an_earlier_study_are_matched_by_name(tmp_path) -> None:
    """A bound moves a measure to the end, and a study file may name objectives in any order."""
    earlier = fake_study(tmp_path, objective={"red": redness, "blue": blue})
    earlier.run()
    values = {"prompt": "a dog", "storage": tmp_path, "constraints": ["red >= 5"]}
    parts = Parts(UnitProposer(), ColourSampler(), {"red": redness, "blue": blue})
    study = Study.create(check_settings({"name": "next", **values}), parts, POOL, earlier)
    assert [measure.name for measure in study.measures] == ["blue", "red"]
    known = study.history.earlier
    assert [t.score.mean for t in known] == [t.further[0].mean for t in earlier.trials]
    assert [t.further[0].mean for t in known] == [t.score.mean for t in earlier.trials]


def test_an_earlier_study_of_another_objective_is_refused(tmp_path) -> None:
    earlier = fake_study(tmp_path, objective={"blue": blue})
    earlier.run()
    settings = check_settings({"name": "next", "prompt": "a dog", "storage": tmp_path})
    parts = Parts(UnitProposer(), ColourSampler(), redness)
    with pytest.raises(ValueError, match=r"measures blue .*, this one redness .*label"):
        Study.create(settings, parts, POOL, earlier)
    with pytest.raises(ValueError, match="people judge this study"):
        rated(tmp_path, earlier=earlier)


@pytest.mark.parametrize("named", ["folder", "name"])
def test_start_from_by_folder_or_name(tmp_path, named) -> None:
    earlier = fake_study(tmp_path)
    earlier.run()
    settings = {
        "name": "next",
        "prompt": "a cat",
        "storage": str(tmp_path),
        "space": {"guidance_scale": [1.0, 5.0]},
        "start_from": str(earlier.folder) if named == "folder" else "fake",
    }
    study = create_study(settings, objective=redness)
    assert len(study.history.earlier) == 7
    study.close()
    assert len(resume_study(tmp_path / "next", objective=redness).history.earlier) == 7


class Assessing(UnitProposer):
    def __init__(self, assessment: Assessment) -> None:
        self._assessment = assessment

    def assess(self, _history) -> Assessment:
        return self._assessment


def test_what_people_prefer_is_said_in_numbers_that_mean_something(tmp_path, capsys) -> None:
    found = Assessment(
        utilities={0: Estimate(0.0, 0.6), 1: Estimate(2**0.5, 0.8)}, advice=Advice(0.72, 0.1, 0.15)
    )
    study = rated(tmp_path, Assessing(found))
    trials = [study.draw() for _ in range(3)]
    study.prefer(trials[1], trials[0])
    study.assess()
    said = expectation(study)
    assert said is not None
    assert "84% should prefer it (62% to 96% within one standard error)" in said
    study.close()
    print_study("rated", tmp_path, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "over 10% of what lies between the worst and the best: 72%" in shown
    assert "is put at 15% of it" in shown


def test_where_the_hand_settings_are_preferred_nothing_is_compared_with_them(tmp_path) -> None:
    found = Assessment(utilities={0: Estimate(1.0, 0.6), 1: Estimate(0.0, 0.8)})
    study = rated(tmp_path, Assessing(found))
    first, second = study.draw(), study.draw()
    study.prefer(first, second)
    study.assess()
    assert expectation(study) == "Trial 0 is the best by what all judgements together say."
