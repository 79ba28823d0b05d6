"""Proposing with several measures, people's preferences, costs, replicates and earlier studies."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from linear_operator.utils.errors import NotPSDError

from experiments.benchmark.synthetic import synthetic
from fabricbo.assessment import Assessment
from fabricbo.best import best, pareto
from fabricbo.proposers import AxProposer, SobolProposer, bayes, last_fit, surrogate
from fabricbo.proposers.bayes import SurrogateProposer
from fabricbo.proposers.cost import expected_seconds
from fabricbo.proposers.preference import Compared, comparisons
from fabricbo.proposers.surrogate import Surrogate, fit_surrogate
from fabricbo.protocols import Assessor, Comparer, History
from fabricbo.records import Action, FabricParams, Trial, TrialStatus
from fabricbo.scores import Measure, Preference, Score
from fabricbo.space import ActionSpace, Choice, Range

SPACE = ActionSpace({"guidance_scale": Range(1.0, 9.0), "prompt_dropout": Range(0.0, 0.8)})
"""Two numbers that matter without references."""


def played(history: History, scores, trials: int, proposer=None) -> History:
    """Go on with a history; `scores` turns an action and a trial's number into scores."""
    proposer = proposer or AxProposer()
    for index in range(len(history.trials), trials):
        proposal = proposer.propose(history)
        first, *further = scores(proposal.action, index)
        done = TrialStatus.DONE
        trial = Trial(index, 1, proposal.action, proposal.source, (), done, first)
        trial = replace(trial, further=tuple(further))
        history = replace(history, trials=(*history.trials, trial))
    return history


def empty(**changes) -> History:
    return replace(History(SPACE, (), (), "maximize", 0), **changes)


def near(action: Action, guidance: float, dropout: float) -> float:
    params = action.params
    far = ((params.guidance_scale - guidance) / 8) ** 2 + (params.prompt_dropout - dropout) ** 2
    return math.exp(-4 * far)


def noisy(value: float, seed: int, noise: float = 0.01) -> Score:
    rng = np.random.default_rng(seed)
    return Score(tuple(float(v) for v in value + noise * rng.standard_normal(4)))


# Several objectives


def hypervolume(history: History) -> float:
    """Area that the front of true values covers above the origin."""
    points = sorted({(near(t.action, 2, 0.1), near(t.action, 8, 0.7)) for t in history.trials})
    area, height = 0.0, 0.0
    for one, other in reversed(points):
        area += one * max(other - height, 0.0)
        height = max(height, other)
    return area


def two(action: Action, index: int) -> list[Score]:
    return [
        noisy(near(action, 2, 0.1), index),
        noisy(-near(action, 8, 0.7), index + 1000),
    ]


def test_several_objectives_widen_the_front_faster_than_chance() -> None:
    start = empty(further=(Measure("other", "minimize"),))
    ours = played(start, two, 16)
    chance = played(start, two, 16, SobolProposer())
    assert {trial.source for trial in ours.trials[6:]} <= {"bo"}
    assert hypervolume(ours) > hypervolume(chance)


def test_a_reference_point_keeps_the_search_away_from_one_sided_actions() -> None:
    start = empty(further=(Measure("other", "minimize", reference_point=-0.4),))
    start = replace(start, reference_point=0.4)
    proposed = played(start, two, 14).trials[8:]
    balanced = [min(near(t.action, 2, 0.1), near(t.action, 8, 0.7)) for t in proposed]
    free = played(empty(further=(Measure("other", "minimize"),)), two, 14).trials[8:]
    unbounded = [min(near(t.action, 2, 0.1), near(t.action, 8, 0.7)) for t in free]
    assert np.mean(balanced) > np.mean(unbounded)


def test_assessment_has_an_estimate_for_each_measure_in_its_own_units() -> None:
    def scores(action: Action, index: int) -> list[Score]:
        return [noisy(near(action, 4, 0.4), index), noisy(1000 * near(action, 8, 0.7), index, 5.0)]

    history = played(empty(further=(Measure("other"),)), scores, 14)
    estimates = AxProposer().assess(history).estimates
    for trial in history.trials:
        one, other = estimates[trial.index]
        assert one.mean == pytest.approx(near(trial.action, 4, 0.4), abs=0.1)
        assert other.mean == pytest.approx(1000 * near(trial.action, 8, 0.7), abs=100)
    found = AxProposer().assess(history)
    assert {slice_.measure for slice_ in found.slices} == {0, 1}


# Bounds


def test_bounds_keep_the_search_where_they_hold() -> None:
    """The best action (guidance 8) breaks the bound; the best that keeps it is at its edge."""

    def scores(action: Action, index: int) -> list[Score]:
        return [
            noisy(near(action, 8, 0.4), index),
            noisy(action.params.guidance_scale, index + 1000),
        ]

    measures = (Measure("score"), Measure("guidance", "minimize", at_most=5.0))
    history = played(empty(further=measures[1:]), scores, 20)
    chosen = best(history.trials, measures, AxProposer().assess(history).estimates)
    assert chosen is not None
    assert 4.0 < chosen.action.params.guidance_scale <= 5.1
    late = [trial.action.params.guidance_scale for trial in history.trials[12:]]
    assert np.mean(late) < 6.0
    unbounded = played(empty(), lambda action, index: scores(action, index)[:1], 20)
    late = [trial.action.params.guidance_scale for trial in unbounded.trials[12:]]
    assert np.mean(late) > 6.0


def test_where_no_trial_keeps_the_bounds_the_search_goes_towards_them() -> None:
    """Only a corner that no first point meets is allowed."""

    def scores(action: Action, index: int) -> list[Score]:
        return [noisy(near(action, 2, 0.2), index), noisy(near(action, 8.8, 0.78), index + 1000)]

    measures = (Measure("score"), Measure("corner", at_least=0.97))
    start = played(empty(further=measures[1:]), scores, 6)
    assert all(trial.further[0].mean < 0.97 for trial in start.trials)
    history = played(start, scores, 16)
    kept = [trial for trial in history.trials if trial.further[0].mean >= 0.97]
    assert kept
    assert pareto(history.trials, measures, {}) == [max(kept, key=lambda t: t.score.mean)]


# Preferences


def judged(trials: int, seed: int = 0, ties: bool = False) -> History:
    """Drawn trials, each compared with the one before by a person who likes guidance of 6."""
    history = empty(seed=seed)
    proposer = SobolProposer()
    for index in range(trials):
        action = proposer.propose(history).action
        drawn = TrialStatus.AWAITING_RATING
        trial = Trial(index, 1, action, "sobol", (index,), drawn, images=(f"i{index}",))
        history = replace(history, trials=(*history.trials, trial))
    values = [near(trial.action, 6, 0.4) for trial in history.trials]
    said = []
    for one, other in zip(range(trials), range(1, trials), strict=False):
        if ties and abs(values[one] - values[other]) < 0.1:
            said.append(Preference(one, other, tie=True))
        else:
            better, worse = (one, other) if values[one] > values[other] else (other, one)
            said.append(Preference(better, worse))
    return replace(history, preferences=tuple(said))


def test_our_proposer_assesses_and_compares() -> None:
    assert isinstance(AxProposer(), Assessor)
    assert isinstance(AxProposer(), Comparer)
    assert not isinstance(SobolProposer(), Comparer)


@pytest.mark.parametrize("ties", [False, True])
def test_preferences_teach_what_is_better(ties: bool) -> None:
    history = judged(16, ties=ties)
    utilities = AxProposer().assess(history).utilities
    learnt = [utilities[trial.index].mean for trial in history.trials]
    truth = [near(trial.action, 6, 0.4) for trial in history.trials]
    assert np.corrcoef(learnt, truth)[0, 1] > 0.7
    proposal = AxProposer().propose(history)
    assert proposal.source == "bo"
    assert near(proposal.action, 6, 0.4) > np.median(truth)


def test_contradictions_are_noise() -> None:
    history = judged(8)
    turned = tuple(Preference(one.worse, one.better) for one in history.preferences)
    loop = (Preference(0, 1), Preference(1, 2), Preference(2, 0))
    for said in ((*history.preferences, *turned), loop):
        confused = replace(history, preferences=said)
        assert AxProposer().propose(confused).source in ("bo", "bo-fallback")
        found = AxProposer().assess(confused).utilities
        assert all(math.isfinite(estimate.mean) for estimate in found.values())


def test_a_tie_says_that_two_are_as_good() -> None:
    history = judged(6)
    apart = replace(history, preferences=(Preference(0, 1),) * 4)
    close = replace(history, preferences=(Preference(0, 1, tie=True),) * 4)

    def gap(known: History) -> float:
        found = AxProposer().assess(known).utilities
        return found[0].mean - found[1].mean

    assert gap(apart) > 0.1
    assert abs(gap(close)) < 0.01


def test_the_next_comparison_is_of_promising_trials_not_judged_against_each_other() -> None:
    history = judged(12)
    ((one, other),) = AxProposer().compare(history)
    said = {frozenset((p.better, p.worse)) for p in history.preferences}
    assert frozenset((one, other)) not in said
    truth = [near(trial.action, 6, 0.4) for trial in history.trials]
    assert max(truth[one], truth[other]) > np.median(truth)
    assert AxProposer().compare(history) == [(one, other)]


def test_a_pair_is_compared_by_all_its_images_before_it_is_exhausted() -> None:
    history = judged(2)
    two = tuple(replace(trial, images=("a", "b")) for trial in history.trials)
    history = replace(history, trials=two, preferences=(Preference(0, 1),))
    third = replace(two[0], index=2, images=("c", "d"))
    assert AxProposer().compare(history) == [(0, 1)]
    history = replace(
        history, trials=(*two, third), preferences=(Preference(0, 1), Preference(0, 1))
    )
    found = {frozenset(pair) for pair in AxProposer().compare(history, 9)}
    assert frozenset((0, 1)) not in found
    assert found


def test_nothing_judged_yet_the_first_two_are_compared() -> None:
    history = replace(judged(3), preferences=())
    assert AxProposer().compare(history) == [(0, 1)]
    with pytest.raises(ValueError, match="two trials"):
        AxProposer().compare(replace(history, trials=history.trials[:1]))


def test_drawn_trials_without_judgement_are_pending() -> None:
    """Asked again and again without an answer, the proposer does not repeat itself."""
    history, actions = judged(8), []
    for index in range(8, 12):
        action = AxProposer().propose(history).action
        drawn = TrialStatus.AWAITING_RATING
        trial = Trial(index, 1, action, "bo", (index,), drawn, images=(f"i{index}",))
        history = replace(history, trials=(*history.trials, trial))
        actions.append(action)
    assert len(set(actions)) == 4


@pytest.mark.parametrize("scored", [True, False], ids=["scored", "bound only"])
def test_bounds_keep_the_search_where_people_judge(scored: bool) -> None:
    """A person likes guidance of 8, and a bound allows 5 at most."""

    def proposed(bound: Measure) -> float:
        def scores(action: Action, index: int) -> list[Score]:
            return [Score((0.0, 1.0)), noisy(action.params.guidance_scale, index)]

        history = played(empty(further=(bound,)), scores, 12, SobolProposer())
        liking = [near(trial.action, 8, 0.4) for trial in history.trials]
        said = [Preference(a, b) for a in range(12) for b in range(12) if liking[a] > liking[b]]
        history = replace(history, preferences=tuple(said))
        if not scored:
            drawn = {"score": None, "status": TrialStatus.AWAITING_RATING}
            history = replace(history, trials=tuple(replace(t, **drawn) for t in history.trials))
        known = (replace(history, seed=seed) for seed in range(3))
        return np.mean([SurrogateProposer().propose(h).action.params.guidance_scale for h in known])

    assert proposed(Measure("guidance", at_most=5.0)) < 5.5
    assert proposed(Measure("guidance", at_most=50.0)) > 6.0


def test_scores_join_preferences_where_they_differ_beyond_noise() -> None:
    history = played(empty(), lambda a, i: [noisy(near(a, 6, 0.4), i)], 4, SobolProposer())
    ranked = sorted(history.trials, key=lambda trial: -trial.score.mean)
    said = Preference(ranked[-1].index, ranked[0].index)
    pairs = comparisons(replace(history, preferences=(said,)))
    assert pairs[0] == Compared(said.better, said.worse)
    assert Compared(ranked[0].index, ranked[1].index) in pairs
    alike = tuple(replace(t, score=Score((0.0, 1.0))) for t in history.trials)
    assert comparisons(replace(history, trials=alike, preferences=(said,))) == [pairs[0]]
    mixed = AxProposer().assess(replace(history, preferences=(said,)))
    assert mixed.estimates.keys() == {0, 1, 2, 3}


@pytest.mark.parametrize("judging", [False, True])
def test_an_assessment_survives_numbers_that_fail(monkeypatch, judging: bool) -> None:
    """The prior's centre has to do where only the fitted surrogate fails."""
    history = judged(6) if judging else played(empty(), two_peaks, 6, SobolProposer())
    real = Surrogate.estimates

    def fails_if_fitted(surrogate, actions):
        if surrogate.fitted:
            raise NotPSDError("no factorisation")
        return real(surrogate, actions)

    monkeypatch.setattr(Surrogate, "estimates", fails_if_fitted)
    found = AxProposer().assess(history)
    assert (found.utilities if judging else found.estimates).keys() == set(range(6))
    for module in (bayes, last_fit):  # for assessing, and for proposing
        monkeypatch.setattr(module, "fit_surrogate", _no_fit)
    assert AxProposer().assess(history) == Assessment()
    assert SurrogateProposer().propose(history).source == "sobol-fallback"


def test_a_fit_that_ends_in_no_number_is_a_failure(monkeypatch) -> None:
    real = surrogate.fit_gpytorch_mll

    def lost(likelihood, max_attempts, **options):
        if not max_attempts:
            real(likelihood, max_attempts=max_attempts, **options)
        for parameter in likelihood.model.covar_module.parameters():
            parameter.data.fill_(math.nan)

    history = played(empty(), two_peaks, 6, SobolProposer())
    monkeypatch.setattr(surrogate, "fit_gpytorch_mll", lost)
    found = AxProposer().assess(history).estimates
    assert found.keys() == set(range(6))
    assert all(math.isfinite(estimate.mean) for (estimate,) in found.values())


def two_peaks(action: Action, index: int) -> list[Score]:
    return [noisy(near(action, 4, 0.4), index)]


def _no_fit(*_):
    raise NotPSDError("no factorisation")


# Costs


def timed(trials: int, seconds) -> History:
    space = ActionSpace({"denoising_steps": Range(5, 50), "guidance_scale": Range(1.0, 9.0)})
    history = History(space, (), (), "maximize", 1, spend="seconds")

    def scores(action: Action, index: int) -> list[Score]:
        return [noisy(near(action, 5, 0.0), index)]

    history = played(history, scores, trials, SobolProposer())
    return replace(
        history, trials=tuple(replace(t, seconds=seconds(t.action)) for t in history.trials)
    )


def test_expected_seconds_are_those_that_were_measured() -> None:
    def truth(action: Action) -> float:
        return 2.0 + 0.1 * action.params.denoising_steps

    expected = expected_seconds(timed(10, truth))
    assert expected is not None
    for steps in (5, 20, 50):
        action = Action(FabricParams(denoising_steps=steps))
        assert expected(action) == pytest.approx(truth(action), rel=0.05)
    drawn = (
        replace(t, status=TrialStatus.AWAITING_RATING, score=None) for t in timed(10, truth).trials
    )
    assert expected_seconds(replace(timed(10, truth), trials=tuple(drawn))) is not None
    assert expected_seconds(timed(5, truth)) is None
    assert expected_seconds(timed(10, lambda action: None)) is None


def test_references_cost_where_they_are_attended_to(pool=None) -> None:
    problem = synthetic("pool-4", 0)
    history = History(problem.space, problem.pool(0), (), "maximize", 0)
    history = played(history, lambda a, i: [problem.evaluate(a, i)], 24, SobolProposer())

    def truth(action: Action) -> float:
        params, steps = action.params, action.params.denoising_steps
        first = round(steps * params.feedback_start)
        inside = max(min(round(steps * params.feedback_end) + 1, steps) - first, 0)
        used = len(action.liked) + len(action.disliked) * (params.neg_scale > 0)
        return 1.0 + 0.05 * used * inside * (params.max_weight > 0)

    trials = tuple(replace(t, seconds=truth(t.action)) for t in history.trials)
    expected = expected_seconds(replace(history, trials=trials))
    assert expected is not None
    for trial in trials:
        assert expected(trial.action) == pytest.approx(truth(trial.action), rel=0.02)


def test_where_seconds_are_scarce_cheaper_actions_are_proposed() -> None:
    """Steps do not matter to the score, only to the price."""
    history = timed(12, lambda action: 0.1 * action.params.denoising_steps**1.0)
    spends = {}
    for spend in ("trials", "seconds"):
        actions = []
        for seed in range(4):
            known = replace(history, spend=spend, seed=seed)
            actions.append(SurrogateProposer().propose(known).action.params.denoising_steps)
        spends[spend] = np.mean(actions)
    assert spends["seconds"] < 0.8 * spends["trials"]


def liked_steps(spend: str, seed: int) -> History:
    """A person who likes many denoising steps, which take their time."""
    history = replace(timed(12, lambda a: 0.1 * a.params.denoising_steps), spend=spend, seed=seed)
    steps = [trial.action.params.denoising_steps for trial in history.trials]
    # Their scores do not differ: all is for the person to say.
    alike = tuple(replace(t, score=Score((0.0, 1.0))) for t in history.trials)
    said = [Preference(a, b) for a in range(12) for b in range(12) if steps[a] > steps[b]]
    return replace(history, trials=alike, preferences=tuple(said))


def test_where_people_judge_seconds_do_not_make_the_cheapest_win() -> None:
    steps = [
        SurrogateProposer().propose(liked_steps("seconds", seed)).action.params.denoising_steps
        for seed in range(3)
    ]
    assert min(steps) > 20


def test_where_people_judge_cheaper_of_equals_are_proposed() -> None:
    def proposed(spend: str) -> float:
        known = [liked_steps(spend, seed) for seed in range(3)]
        # The person sees no steps, only guidance.
        for number, history in enumerate(known):
            guidance = [abs(t.action.params.guidance_scale - 5) for t in history.trials]
            ranked = sorted(range(12), key=lambda index: guidance[index])
            said = [Preference(a, b) for a, b in pairwise(ranked)]
            known[number] = replace(history, preferences=tuple(said))
        return np.mean(
            [SurrogateProposer().propose(h).action.params.denoising_steps for h in known]
        )

    assert proposed("seconds") < proposed("trials")


# Replicates


def noisy_history(noise: float, seeds: tuple[int, ...]) -> History:
    history = replace(empty(), seeds=seeds)
    return played(history, lambda a, i: [noisy(near(a, 5, 0.4), i, noise)], 12, SobolProposer())


def test_noise_makes_a_leader_worth_drawing_again_and_it_says_so() -> None:
    again = SurrogateProposer().propose(noisy_history(1.0, seeds=(7,)))
    assert again.source == "bo-again"
    tried = {trial.action for trial in noisy_history(1.0, seeds=(7,)).trials}
    assert again.action in tried


@pytest.mark.parametrize("case", ["little noise", "seeds unknown", "same seeds"])
def test_otherwise_nothing_is_drawn_twice(case: str) -> None:
    history = noisy_history(1.0 if case != "little noise" else 0.001, seeds=(7,))
    if case == "seeds unknown":
        history = replace(history, seeds=())
    if case == "same seeds":
        trials = tuple(replace(trial, seeds=(7,)) for trial in history.trials)
        history = replace(history, trials=trials)
    proposal = SurrogateProposer().propose(history)
    assert proposal.source == "bo"
    assert proposal.action not in {trial.action for trial in history.trials}


def test_where_all_is_tried_the_leaders_are_drawn_again() -> None:
    space = ActionSpace({"prompt_dropout": Choice((0.0, 0.3))})
    history = replace(empty(), space=space, seeds=(7,))
    history = played(history, lambda a, i: [noisy(0.0, i, 1.0)], 2, SobolProposer())
    proposal = SurrogateProposer().propose(history)
    assert proposal.source == "bo-again"
    assert proposal.action in {trial.action for trial in history.trials}


# An earlier study


def test_an_earlier_study_gives_a_head_start() -> None:
    """Same surface, another level: after one trial of its own the search is where it was left."""
    earlier = played(empty(seed=5), lambda a, i: [noisy(near(a, 6.5, 0.6), i)], 20)
    start = replace(empty(seed=1), earlier=earlier.trials)

    def elsewhere(action: Action, index: int) -> list[Score]:
        return [noisy(10 + near(action, 6.5, 0.6), index)]

    warm, cold = played(start, elsewhere, 4), played(empty(seed=1), elsewhere, 4)
    assert [trial.source for trial in warm.trials] == ["hand", "bo", "bo", "bo"]
    reached = [max(near(t.action, 6.5, 0.6) for t in known.trials) for known in (warm, cold)]
    assert reached[0] > 0.95
    assert reached[0] > reached[1]


def test_what_an_earlier_study_got_wrong_is_unlearnt() -> None:
    misleading = played(empty(seed=5), lambda a, i: [noisy(near(a, 1.5, 0.1), i)], 12)
    start = replace(empty(seed=1), earlier=misleading.trials)
    history = played(start, lambda a, i: [noisy(near(a, 8.5, 0.75), i)], 16)
    assert max(near(trial.action, 8.5, 0.75) for trial in history.trials) > 0.9


def test_levels_are_aligned_also_where_the_hand_settings_failed() -> None:
    earlier = played(empty(seed=5), lambda a, i: [noisy(near(a, 6.5, 0.6), i)], 12)
    start = replace(empty(seed=1), earlier=earlier.trials)
    history = played(start, lambda a, i: [noisy(10 + near(a, 6.5, 0.6), i)], 3)
    failed = replace(history.trials[0], status=TrialStatus.FAILED, score=None)
    history = replace(history, trials=(failed, *history.trials[1:]))
    found = AxProposer().assess(history).estimates
    for trial in history.trials[1:]:
        assert found[trial.index][0].mean == pytest.approx(trial.score.mean, abs=0.3)


@pytest.mark.parametrize("hand", [-10.0, 10.0], ids=["far below", "far above"])
def test_levels_are_compared_like_with_like(hand: float) -> None:
    """The earlier study's hand settings say nothing of a level where ours have no score."""

    def scores(action: Action, index: int) -> list[Score]:
        return [noisy(near(action, 6.5, 0.6) if index else hand, index)]

    earlier = played(empty(seed=5), scores, 12)
    history = played(replace(empty(seed=1), earlier=earlier.trials), scores, 4, SobolProposer())
    failed = replace(history.trials[0], status=TrialStatus.FAILED, score=None)
    surrogate = fit_surrogate(replace(history, trials=(failed, *history.trials[1:])))
    actions = [trial.action for trial in earlier.trials[1:]]
    found = [estimate.mean for (estimate,) in surrogate.estimates(actions)]
    assert found == pytest.approx([near(action, 6.5, 0.6) for action in actions], abs=1.0)


def test_the_largest_scores_are_carried_over() -> None:
    """Moved to the level of another study they may be too large for a score."""

    def large(action: Action, index: int) -> list[Score]:
        return [Score((9e149 * (-1) ** (index + 1) if index else 9e149,))]

    earlier = played(empty(seed=5), large, 6, SobolProposer())
    start = replace(empty(seed=1), earlier=earlier.trials)
    history = played(start, lambda a, i: [Score((-9e149,))], 2, SobolProposer())
    assert AxProposer().assess(history).estimates.keys() == {0, 1}


def test_estimates_are_of_this_study(seeds=None) -> None:
    earlier = played(empty(seed=5), lambda a, i: [noisy(near(a, 6.5, 0.6), i)], 12)
    start = replace(empty(seed=1), earlier=earlier.trials)
    history = played(start, lambda a, i: [noisy(10 + near(a, 6.5, 0.6), i)], 4)
    found = AxProposer().assess(history).estimates
    assert found.keys() == {0, 1, 2, 3}
    for trial in history.trials:
        assert found[trial.index][0].mean == pytest.approx(trial.score.mean, abs=0.1)


def test_references_of_an_earlier_study_stay_known() -> None:
    """What was learnt about a reference holds in a pool that it is in, by itself or by likeness."""
    problem = synthetic("pool-8", 3)
    whole = problem.pool(0)
    history = History(problem.space, whole[:6], (), "maximize", 0)
    earlier = played(history, lambda a, i: [problem.evaluate(a, i)], 24)
    start = History(problem.space, whole[3:], (), "maximize", 1, earlier=earlier.trials)
    warm = played(start, lambda a, i: [problem.evaluate(a, i)], 3)
    surrogate = fit_surrogate(warm)
    assert set(whole) == set(surrogate.features.references)
    assert surrogate.transfers


# Effects and slices


def test_effects_tell_helpful_references_from_harmful_ones() -> None:
    problem = synthetic("pool-8", 2)
    start = History(problem.space, problem.pool(0), (), "maximize", 0)
    history = played(start, lambda a, i: [problem.evaluate(a, i)], 40, SobolProposer())
    found = AxProposer().assess(history)
    assert [effect.reference for effect in found.effects] == [r.id for r in history.pool]
    chosen = best(history.trials, history.measures, found.estimates)
    assert chosen is not None and problem.value is not None
    told, truth = [], []
    for effect, reference in zip(found.effects, history.pool, strict=True):
        liked = tuple(r for r in chosen.action.liked if r != reference)
        disliked = tuple(r for r in chosen.action.disliked if r != reference)
        without = replace(chosen.action, liked=liked, disliked=disliked)
        with_ = replace(without, liked=(*liked, reference))
        truth.append(problem.value(with_) - problem.value(without))
        told.append(effect.liked.mean)
        assert effect.liked.standard_error > 0
    assert np.corrcoef(told, truth)[0, 1] > 0.6


def test_effects_and_slices_turn_with_the_direction() -> None:
    problem = synthetic("pool-4", 2)
    start = History(problem.space, problem.pool(0), (), "maximize", 0)
    history = played(start, lambda a, i: [problem.evaluate(a, i)], 16, SobolProposer())
    turned = replace(
        history,
        direction="minimize",
        trials=tuple(
            replace(t, score=Score(tuple(-v for v in t.score.values))) for t in history.trials
        ),
    )
    one, other = AxProposer().assess(history), AxProposer().assess(turned)
    for a, b in zip(one.effects, other.effects, strict=True):
        assert a.liked.mean == pytest.approx(-b.liked.mean, abs=1e-6)
        assert a.disliked.standard_error == pytest.approx(b.disliked.standard_error, abs=1e-6)
    for a, b in zip(one.slices, other.slices, strict=True):
        assert [e.mean for e in a.estimates] == pytest.approx(
            [-e.mean for e in b.estimates], abs=1e-6
        )


def test_slices_stay_windows_and_whole_steps() -> None:
    space = ActionSpace(
        {
            "feedback_start": Range(0.0, 1.0),
            "feedback_end": Range(0.0, 1.0),
            "denoising_steps": Range(10, 20),
            "guidance_scale": Range(1.0, 9.0),
        }
    )
    history = History(space, synthetic("pool-4", 0).pool(0), (), "maximize", 0)
    history = played(history, lambda a, i: [noisy(near(a, 5, 0.0), i)], 8, SobolProposer())
    found = AxProposer().assess(history)
    chosen = best(history.trials, history.measures, found.estimates)
    assert chosen is not None
    by_name = {slice_.parameter: slice_.values for slice_ in found.slices}
    assert max(by_name["feedback_start"]) <= chosen.action.params.feedback_end
    assert min(by_name["feedback_end"]) >= chosen.action.params.feedback_start
    assert by_name["denoising_steps"] == tuple(float(n) for n in range(10, 21))
