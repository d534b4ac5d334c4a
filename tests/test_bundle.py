"""The guest images that come with the package."""

import hashlib
from importlib import resources
from pathlib import Path

import pytest

from emulator.bundle import Bundle, BundleError, load_bundle


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "kernel.elf").write_bytes(b"kernel")
    (folder / "MANIFEST").write_text(f"{hashlib.sha256(b'kernel').hexdigest()}  kernel.elf\n")
    monkeypatch.setattr(resources, "files", lambda package: tmp_path)
    return folder


def test_the_images_are_those_of_the_manifest(images: Path) -> None:
    (images / "stray.elf").write_bytes(b"")
    assert load_bundle() == Bundle({"kernel.elf": b"kernel"})


def test_a_damaged_image_is_refused(images: Path) -> None:
    (images / "kernel.elf").write_bytes(b"kernal")
    with pytest.raises(BundleError, match=r"kernel\.elf is damaged"):
        load_bundle()


def test_a_missing_image_is_refused(images: Path) -> None:
    (images / "kernel.elf").unlink()
    with pytest.raises(BundleError, match=r"kernel\.elf: No such file"):
        load_bundle()


def test_a_tree_where_nothing_was_built_says_how_to_build(images: Path) -> None:
    (images / "MANIFEST").unlink()
    with pytest.raises(BundleError, match="make guest"):
        load_bundle()


def test_an_image_that_does_not_exist_is_named_beside_those_that_do() -> None:
    with pytest.raises(BundleError, match=r"no guest image b\.elf; there are a\.elf"):
        Bundle({"a.elf": b""})["b.elf"]


def test_extensions_are_the_objects_but_the_runtime() -> None:
    assert Bundle({"null.o": b"", "runtime.o": b"", "kernel.elf": b"", "counter.o": b""}).extensions == [
        "counter",
        "null",
    ]
