"""Servers from Debian's packages: root installs them, other users unpack them into a folder. Standard library only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from progress import Progress, SetupError

POLICY = Path("/usr/sbin/policy-rc.d")
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


def find(program: str) -> Path | None:
    """Find the program on the PATH or in the folders for servers, which are not on an ordinary user's PATH in Debian.

    Ignores this checkout's wrappers: a wrapper that calls itself would never end.
    """
    folders = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}".split(os.pathsep)
    others = os.pathsep.join(folder for folder in folders if not folder.endswith(".runtime/bin"))
    found = shutil.which(program, path=others)
    return Path(found) if found else None


def lacks_libraries(program: Path) -> bool:
    """Whether this machine lacks a shared library of the program."""
    linked = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False)
    return "not found" in linked.stdout


def install(progress: Progress, packages: list[str]) -> None:
    """Install packages for the whole machine (root only) without starting their services.

    Raises SetupError if apt-get does not exist or fails.
    """
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    progress.run("reading Debian's package lists", ["apt-get", "update"])
    with _no_services_started():
        progress.run(
            f"installing {', '.join(packages)} from Debian",
            ["apt-get", "install", "-y", "--no-install-recommends", *packages],
            environment=quiet,
        )
    if shutil.which("systemctl"):
        # The platform starts its own servers; those of the packages would also start at the next boot.
        for package in packages:
            subprocess.run(["systemctl", "disable", f"{package}.service"], capture_output=True, check=False)


@contextlib.contextmanager
def _no_services_started() -> Iterator[None]:
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def unpack(progress: Progress, packages: list[str], root: Path) -> None:
    """Download packages with their dependencies and unpack them under `root`, without root's rights.

    Raises SetupError if apt-get does not exist or fails.
    """
    state = root.parent / "apt"
    downloads = state / "downloads"
    for folder in (state / "lists" / "partial", state / "cache" / "archives" / "partial", downloads, root):
        folder.mkdir(parents=True, exist_ok=True)
    settings = (
        f"Dir::State={state}",
        "Dir::State::status=/var/lib/dpkg/status",
        f"Dir::Cache={state / 'cache'}",
        "Debug::NoLocking=1",
    )
    apt = ["apt-get", *(part for setting in settings for part in ("-o", setting))]
    progress.run("reading Debian's package lists", [*apt, "update"])
    plan = progress.run(
        f"looking up what {', '.join(packages)} need",
        [*apt, "install", "--simulate", "--no-install-recommends", *packages],
    )
    # "Inst name (version …)" is a new package; "Inst name [old] (version …)" is an upgrade, which is not needed.
    needed = [words[1] for line in plan.splitlines() if (words := line.split())[:1] == ["Inst"] and words[2][0] == "("]
    progress.run(f"downloading {len(needed)} Debian packages", [*apt, "download", *needed], cwd=downloads)
    for archive in sorted(downloads.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)
    shutil.rmtree(state)
    progress.say(f"  unpacked into {root}")


def unpacked_environment(root: Path) -> dict[str, str]:
    """Return the environment in which a program unpacked under `root` finds its libraries and Erlang."""
    folders = [str(folder) for part in ("usr/lib", "lib") for folder in sorted((root / part).glob("*-linux-gnu"))]
    runtimes = sorted((root / "usr/lib/erlang").glob("erts-*/bin"))
    if not runtimes:
        return {"LD_LIBRARY_PATH": ":".join(folders)}
    return {
        "LD_LIBRARY_PATH": ":".join(folders),
        "ROOTDIR": str(root / "usr/lib/erlang"),
        "BINDIR": str(runtimes[-1]),
        "EMU": "beam",
        "PROGNAME": "erl",
    }


def get(progress: Progress, packages: list[str], root: Path) -> None:
    """Install or unpack, depending on this user's rights. Raises SetupError."""
    if not shutil.which("apt-get"):
        raise SetupError(f"these are missing and there is no apt-get to get them with: {', '.join(packages)}")
    if os.geteuid() == 0:
        install(progress, packages)
    else:
        unpack(progress, packages, root)
