"""Reading a pool: order, roles, and every reason to refuse one."""

from pathlib import Path

import pytest
from PIL import Image

from fabricbo.imagefiles import pixel_hash
from fabricbo.records import Role
from fabricbo.space import MAX_POOL, ActionSpace
from fabricbo.study import check_settings
from fabricbo.study.pool import check_pool, read_pool
from tests.tiny import reference


def put(folder: Path, name: str, color: str, size: tuple[int, int] = (4, 4)) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(file)
    return file


def test_folders_tell_the_hand_roles_and_names_the_order(tmp_path: Path) -> None:
    put(tmp_path, "b.png", "red")
    put(tmp_path, "a.JPG", "blue")
    put(tmp_path, "disliked/c.bmp", "green")
    put(tmp_path, "liked/d.webp", "white")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "other").mkdir()
    put(tmp_path, "other/e.png", "black")
    pool = read_pool(tmp_path)
    assert [(r.name, r.hand_role) for r in pool] == [
        ("a", Role.LIKED),
        ("b", Role.LIKED),
        ("d", Role.LIKED),
        ("c", Role.DISLIKED),
    ]
    assert all(r.id == pixel_hash(r.image) and r.image.mode == "RGB" for r in pool)


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pool\.folder: no folder .*none"):
        read_pool(tmp_path / "none")


def test_file_in_place_of_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pool\.folder: no folder .*a\.png"):
        read_pool(put(tmp_path, "a.png", "red"))


def test_folder_without_images_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ValueError, match=r"pool\.folder: no image in "):
        read_pool(tmp_path)


def test_too_many_images_are_refused_before_one_is_read(tmp_path: Path) -> None:
    for number in range(MAX_POOL + 1):
        (tmp_path / f"{number}.png").write_bytes(b"never read")
    with pytest.raises(ValueError, match=f"{MAX_POOL + 1} images in .*; at most {MAX_POOL}"):
        read_pool(tmp_path)


@pytest.mark.parametrize("kind", ["text", "folder", "broken link"])
def test_unreadable_image_is_named(tmp_path: Path, kind: str) -> None:
    put(tmp_path, "a.png", "red")
    odd = tmp_path / "odd.png"
    if kind == "text":
        odd.write_text("This is no image.")
    elif kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=r"pool\.folder: .*odd\.png"):
        read_pool(tmp_path)


def test_same_pixels_twice_are_told_by_name(tmp_path: Path) -> None:
    put(tmp_path, "a.png", "red")
    put(tmp_path, "disliked/b.bmp", "red")
    with pytest.raises(ValueError, match="the same pixels twice: a, b"):
        ActionSpace().check_pool(read_pool(tmp_path))


def test_caps_that_leave_no_reference_are_refused(tmp_path: Path) -> None:
    settings = check_settings(
        {"name": "x", "prompt": "a cat", "space": {"max_liked": 0, "max_disliked": 0}}
    )
    with pytest.raises(ValueError, match="both 0, so no reference can be used"):
        check_pool(settings, (reference("red"),))
