"""Ax's analyses of a study, and the page they come on."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fabricbo.assessment import Analysed
from fabricbo.cli import app
from fabricbo.compose import analyse
from fabricbo.proposers import AxProposer
from fabricbo.report import analyses, write_analyses, write_report
from fabricbo.study import Parts, SettingsError, Study, check_settings
from tests.fakes import ColourSampler, redness
from tests.tiny import reference


def blueness(images, prompt):
    return [image.getpixel((0, 0))[2] for image in images]


def small(tmp_path: Path, objective=redness) -> Study:
    settings = {
        "name": "small",
        "prompt": "a cat",
        "storage": tmp_path,
        "rounds": 1,
        "trials": 7,
        "images": 2,
        "space": {"max_weight": [0.0, 1.5], "feedback_start": 0.0, "feedback_end": 1.0},
    }
    parts = Parts(AxProposer(), ColourSampler(), objective)
    return Study.create(check_settings(settings), parts, (reference("red"),))


def test_every_analysis_is_made_or_says_why_not(tmp_path: Path) -> None:
    study = small(
        tmp_path, {"red": redness, "blue": lambda i, p: [x.getpixel((0, 0))[2] for x in i]}
    )
    study.run()
    results = analyse(study)
    made = {result.name for result in results if result.problem is None}
    assert {"Summary", "MetricSummary", "ArmEffectsPlot", "CrossValidationPlot"} <= made
    assert {"SensitivityAnalysisPlot", "ScatterPlot", "ParallelCoordinatesPlot"} <= made
    summary = next(result for result in results if result.name == "Summary")
    assert len(summary.table) == 9  # a header and eight trials
    assert "red" in summary.table[0] or any("red" in cell for cell in summary.table[0])
    figures = [result for result in results if result.figure is not None]
    assert all(json.loads(result.figure)["data"] for result in figures)
    assert not any(study.rounds[0].pool[0].id in (r.figure or "") for r in results)
    page = write_analyses(study, results).read_text("utf-8")
    assert page.count("Plotly.newPlot") >= len(figures)
    assert page.count("define.amd") <= 2  # plotly's script is there once
    report = write_report(study).read_text("utf-8")
    assert 'href="analyses.html"' in report
    # Of these the study's page shows the two that fit, for both objectives, with the one script.
    assert report.count("Modeled Arm Effects on ") == report.count("Cross Validation for ") == 4
    assert "Marginal Effects" not in report
    assert report.count("plotly.js v") == page.count("plotly.js v") == 1


def test_what_the_page_shows_of_them_is_kept_and_bounded(tmp_path: Path, monkeypatch) -> None:
    study = small(tmp_path)
    study.run()
    figure = json.dumps({"data": [{"type": "scatter", "y": [1.0]}], "layout": {}})
    table = json.dumps({"data": [{"type": "table"}], "layout": {}})
    results = [
        Analysed("ArmEffectsPlot", "effects", figure=figure),
        Analysed("CrossValidationPlot", "table", figure=table),
        Analysed("CrossValidationPlot", "no figure", problem="none"),
        Analysed("CrossValidationPlot", "twice", figure=figure),
    ]
    monkeypatch.setattr(analyses, "ROOM", 3 * len(figure) // 2)
    write_analyses(study, results)
    kept = analyses.kept_analyses(study)
    assert kept.results == tuple(results[:1])
    assert (kept.scored, kept.size) == (8, len(figure))
    assert "It knew" not in write_report(study).read_text("utf-8")
    text = (study.folder / "analyses.json").read_text("utf-8")
    (study.folder / "analyses.json").write_text(text.replace('"scored":8', '"scored":6'))
    assert "It knew 6 of the 8 trials with scores." in write_report(study).read_text("utf-8")
    (study.folder / "analyses.json").write_text("{")
    assert 'id="second-opinion"' not in write_report(study).read_text("utf-8")


def test_the_command_says_what_was_made_and_where(tmp_path: Path) -> None:
    study = small(tmp_path)
    study.run()
    arguments = ["show", "small", "--storage", str(tmp_path), "--analyses"]
    told = CliRunner().invoke(app.app, arguments)
    assert told.exit_code == 0, told.output
    assert "ArmEffectsPlot" in told.output
    assert (study.folder / "analyses.html").is_file()
    quiet = CliRunner().invoke(app.app, [*arguments, "--json"])
    found = json.loads(quiet.stdout)
    assert (found["name"], found["analyses"]) == ("small", str(study.folder / "analyses.html"))
    shown = CliRunner().invoke(app.app, [*arguments[:-1], "--json"])
    assert json.loads(shown.stdout)["analyses"] is None


def test_without_scores_there_is_nothing_to_analyse(tmp_path: Path) -> None:
    study = small(tmp_path)
    with pytest.raises(SettingsError, match="nothing to analyse"):
        analyse(study)
    assert 'href="analyses.html"' not in write_report(study).read_text("utf-8")


def test_the_page_escapes_what_others_wrote(tmp_path: Path) -> None:
    results = [
        Analysed("X", "<script>alert(1)</script>", table=(("<b>",), ("<i>",))),
        Analysed("Y", "Y", problem="<img src=x>"),
    ]
    page = write_analyses(small(tmp_path), results).read_text("utf-8")
    for raw in ("<script>alert", "<b>", "<i>", "<img"):
        assert raw not in page
    assert "Ax could not make this analysis: &lt;img src=x&gt;" in page
