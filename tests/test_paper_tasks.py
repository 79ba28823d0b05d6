"""Tasks of the paper's experiments: those of the demo, and from files."""

from pathlib import Path

import pytest
from PIL import Image

from experiments.paper.tasks import TUNING_FIRST, TasksError, demo_tasks, file_tasks


def test_demo_tasks_are_always_the_same_and_share_no_prompt_with_the_tuning_ones() -> None:
    reported, tuning = demo_tasks(100, 12)
    assert (len(reported), len(tuning)) == (100, 12)
    assert demo_tasks(100, 12) == (reported, tuning)
    assert demo_tasks(40, 12)[0] == reported[:40]
    assert not {task.prompt for task in reported} & {task.prompt for task in tuning}
    assert tuning[0].index == TUNING_FIRST
    for task in (*reported, *tuning):
        assert task.shown is not None
        assert task.shown.concept in task.prompt
        assert task.shown.style in task.prompt or "style" not in task.prompt


def write(file: Path, text: str) -> Path:
    file.write_text(text, "utf-8")
    return file


def test_prompts_from_text(tmp_path: Path) -> None:
    file = write(tmp_path / "prompts.txt", "a cat\n\n  a dog \nan owl\n")
    reported, tuning = file_tasks(file, 2, 1, with_targets=False)
    assert [task.prompt for task in reported] == ["a cat", "a dog"]
    assert [(task.index, task.prompt) for task in tuning] == [(TUNING_FIRST, "an owl")]


def test_prompts_and_targets_from_csv(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    file = write(tmp_path / "p.csv", 'prompt,image\n"a cat, gold",red.png\na dog,red.png\n')
    (task,), (other,) = file_tasks(file, 1, 1, with_targets=True)
    assert (task.prompt, other.prompt) == ("a cat, gold", "a dog")
    assert task.target is not None
    assert task.target.getpixel((0, 0)) == (255, 0, 0)


def test_prompts_from_parquet_or_a_word_on_what_is_missing(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    file = tmp_path / "prompts.parquet"
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        file.write_bytes(b"PAR1")
        with pytest.raises(TasksError, match="pip install pandas pyarrow"):
            file_tasks(file, 1, 1, with_targets=False)
        return
    pandas.DataFrame({"prompt": ["a cat", "a dog"]}).to_parquet(file)
    (task,), (other,) = file_tasks(file, 1, 1, with_targets=False)
    assert (task.prompt, other.prompt) == ("a cat", "a dog")


def test_parquet_is_read_through_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without pyarrow: bytes as data sets of the hub hold them."""
    pandas = pytest.importorskip("pandas")
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "blue.png")
    image = {"bytes": (tmp_path / "blue.png").read_bytes(), "path": None}
    frame = pandas.DataFrame({"prompt": ["a cat", "a dog"], "image": [image, image]})
    monkeypatch.setattr(pandas, "read_parquet", lambda _: frame)
    file = write(tmp_path / "prompts.parquet", "")
    (task,), _ = file_tasks(file, 1, 1, with_targets=True)
    assert task.target is not None
    assert task.target.getpixel((0, 0)) == (0, 0, 255)


@pytest.mark.parametrize(
    ("name", "text", "with_targets", "message"),
    [
        ("none.csv", None, False, "no file"),
        ("prompts.json", "[]", False, r"must be a \.csv, \.parquet or \.txt file"),
        ("prompts.txt", "a cat\n", True, r"need a \.csv or \.parquet file with a column image"),
        ("prompts.txt", "a cat\n", False, "has 1 prompts; 1 to report and 1 others to search"),
        ("prompts.txt", "a cat\na cat\n", False, "has 2 prompts; 1 to report and 1 others"),
        ("prompts.csv", "text\na cat\n", False, "needs a column prompt, its columns: text"),
        ("prompts.csv", "prompt,image\na,none.png\nb,none.png\n", True, "target of 'a'"),
        ("prompts.csv", "prompt\na\nb\n", True, "target of 'a'"),
    ],
)
def test_bad_files_of_prompts_are_refused(
    tmp_path: Path, name: str, text: str | None, with_targets: bool, message: str
) -> None:
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(TasksError, match=message):
        file_tasks(tmp_path / name, 1, 1, with_targets=with_targets)
