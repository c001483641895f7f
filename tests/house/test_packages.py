"""What is built holds what it needs at run time, and the licences of all that is in it."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _committed(*folders: str) -> set[str]:
    """The files that git knows, or would take, below some folders of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return {name for name in listed if (ROOT / name).exists()}


def _built(project: Path, kind: str, into: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)],
        cwd=project,
        check=True,
        capture_output=True,
    )
    (made,) = into.iterdir()
    return made


@pytest.mark.parametrize(
    ("project", "folder", "licences"),
    [(".", "aurra", {"LICENSE", "NOTICE"}), ("sdk/python", "sdk/python/aurra_sdk", {"LICENSE"})],
)
def test_a_package_holds_every_file_of_its_folder(
    tmp_path: Path, project: str, folder: str, licences: set[str]
) -> None:
    """Assets, queries, prose and `py.typed` too, in the wheel and in the source; migrations are inside the wheel."""
    prefix = f"{project}/" if project != "." else ""
    needed = {name.removeprefix(prefix) for name in _committed(folder)}
    with zipfile.ZipFile(_built(ROOT / project, "wheel", tmp_path / "wheel")) as wheel:
        inside = set(wheel.namelist())
    assert needed - inside == set()
    assert licences <= {Path(name).name for name in inside if "/licenses/" in name}
    if project == ".":
        assert {f"aurra/{name}" for name in _committed("migrations")} - inside == set()
        needed |= _committed("migrations")
    with tarfile.open(_built(ROOT / project, "sdist", tmp_path / "source")) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert (needed | licences | {"README.md", "pyproject.toml"}) - names == set()
    assert not any(name.startswith(("tests/", "sdk/", "generator/")) for name in names)
