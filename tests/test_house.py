"""The house: which way imports run, who may ask the time, and what no file may hold."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("intake", "channels", "routing", "store")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

#: What deciding may import beside the standard library (ARCHITECTURE: contract 3).
ROUTING_MAY_IMPORT = ("routing", "channels.message", "channels.adapter", "holidays", "phonenumbers")
#: Parts of the standard library that do input or output, or wait.
WAITING = {"asyncio", "socket", "ssl", "subprocess", "threading", "multiprocessing", "select", "selectors"}
WAITING |= {
    "http",
    "urllib.request",
    "smtplib",
    "imaplib",
    "poplib",
    "ftplib",
    "sqlite3",
    "logging",
    "concurrent",
}

#: Calls that ask the machine what time it is.
WALL_CLOCK = {
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime", "time.ctime", "time.strftime"),
    *("email.utils.localtime", "email.utils.formatdate", "email.utils.make_msgid", "uuid.uuid1"),
}
#: With an argument these only convert a moment that is given.
CONVERTS_WHEN_GIVEN = {
    "time.localtime",
    "time.gmtime",
    "time.ctime",
    "email.utils.localtime",
    "email.utils.formatdate",
}


def name_of(path: Path, root: Path = ROOT) -> str:
    """`routing/sla.py` as `routing.sla`."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str) -> Iterator[tuple[str, int]]:
    """Every imported module with its line; `from a import b` gives `a.b` as well, for b may be a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." * node.level, node.lineno)


def is_within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def foreign_imports(source: str, allowed: tuple[str, ...]) -> list[str]:
    """What a pure module imports though it may not: `line 3: aiohttp.web`."""
    return [
        f"line {line}: {module}"
        for module, line in imports_of(source)
        if not is_within(module, *allowed) and (not is_standard(module) or is_within(module, *WAITING))
    ]


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute chain, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (inner := dotted(node.value)):
        return f"{inner}.{node.attr}"
    return ""


def aliases_of(tree: ast.AST) -> dict[str, str]:
    """Local name -> where it comes from, for all imports."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def asks_the_time(source: str) -> list[str]:
    """Calls and references that read the wall clock: `line 7: datetime.datetime.now`."""
    tree = ast.parse(source)
    aliases = aliases_of(tree)
    converting = {
        id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and (node.args or node.keywords)
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        head, dot, rest = dotted(node).partition(".")
        name = f"{aliases.get(head, head)}{dot}{rest}"
        if name in WALL_CLOCK and not (name in CONVERTS_WHEN_GIVEN and id(node) in converting):
            found.append(f"line {node.lineno}: {name}")
    return found


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter over a checkout, by the contracts in its pyproject.toml."""
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
    ]
    return subprocess.run([*command, "--no-cache"], cwd=folder, capture_output=True, text=True, timeout=60)


def test_imports_run_one_way() -> None:
    result = linted(ROOT)

    assert result.returncode == 0, result.stdout
    assert "3 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("channels/message.py", "import routing.words", "imports run one way"),
        ("routing/words.py", "import store", "imports run one way"),
        ("store/__init__.py", "import intake", "imports run one way"),
        ("store/__init__.py", "import channels.registry", "store and routing know of channels only"),
        ("routing/words.py", "import channels.settings", "store and routing know of channels only"),
        ("routing/policy.py", "import sqlalchemy", "deciding does no input or output"),
        ("routing/policy.py", "import logging", "deciding does no input or output"),
        ("channels/message.py", "import asyncio", "deciding does no input or output"),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, module: str, planted: str, contract: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / module).open("a") as target:
        target.write(f"\n{planted}\n")

    result = linted(tmp_path)

    after_its_name = " ".join(result.stdout.split()).partition(contract)[2]
    verdict = re.search(r"KEPT|BROKEN", after_its_name)
    assert result.returncode == 1
    assert verdict is not None
    assert verdict[0] == "BROKEN"


@pytest.mark.parametrize("path", [p for p in MODULES if is_within(name_of(p), "routing")], ids=name_of)
def test_routing_imports_only_what_cannot_wait(path: Path) -> None:
    assert foreign_imports(path.read_text("utf-8"), ROUTING_MAY_IMPORT) == []


def test_the_normal_form_is_of_the_standard_library() -> None:
    assert foreign_imports((ROOT / "channels/message.py").read_text("utf-8"), ()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import aiohttp", ["line 1: aiohttp"]),
        ("from asyncio import sleep", ["line 1: asyncio.sleep"]),
        ("def f():\n    import channels.mime", ["line 2: channels.mime"]),
        ("from . import sla", ["line 1: ."]),
        ("import holidays\nfrom datetime import date\nfrom channels.message import Medium", []),
    ],
)
def test_a_foreign_import_is_found(source: str, found: list[str]) -> None:
    assert foreign_imports(source, ROUTING_MAY_IMPORT) == found


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p) != "intake.daemon"], ids=name_of)
def test_only_the_daemons_clock_asks_the_time(path: Path) -> None:
    assert asks_the_time(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from datetime import datetime, UTC\ndatetime.now(UTC)", ["line 2: datetime.datetime.now"]),
        ("import datetime as dt\ndt.datetime.utcnow()", ["line 2: datetime.datetime.utcnow"]),
        ("from time import time\nstamp = time", ["line 2: time.time"]),
        ("from email.utils import formatdate\nformatdate()", ["line 2: email.utils.formatdate"]),
        ("from email.utils import formatdate\nformatdate(at.timestamp())", []),
        ("clock.now()\nself._clock.now()\nloop.time()", []),
        ("import time\ntime.monotonic()\ntime.perf_counter()", []),
    ],
)
def test_asking_the_time_is_found(source: str, found: list[str]) -> None:
    assert asks_the_time(source) == found


@pytest.mark.parametrize("path", [p for p in MODULES if p.stat().st_size], ids=name_of)
def test_the_first_line_says_what_a_module_is(path: Path) -> None:
    first = path.read_text("utf-8").splitlines()[0]

    assert first.startswith('"""')
    assert len(first.strip('"')) > 10


def test_no_module_shadows_the_standard_library() -> None:
    """`import email` inside a folder on the path must find the library (ARCHITECTURE, Rooms)."""
    shadows = {"channels.email", "routing.threading", "routing.calendar", "store.queue", "intake.logging"}

    assert shadows & {name_of(path) for path in MODULES} == set()


def committed() -> list[Path]:
    """The files of the checkout, those not yet committed included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = (ROOT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


#: Assembled, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package registry's address": re.compile(
        "|".join(("py" + r"pi\.org", "pythonhosted" + r"\.org", r"npm" + r"js\.(?:org|com)"))
    ),
    "an index option": re.compile(r"(?m)^\s*--(?:extra-)?index" + r"-url|find" + r"-links\s*[=:]"),
    "a path of somebody's machine": re.compile(
        r"(?<![\w.$~*-])/(?:" + "|".join(("work", "root", "home", "Users")) + r")/\w"
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_holds(what: str) -> None:
    holders = [
        str(path.relative_to(ROOT))
        for path in committed()
        if FORBIDDEN[what].search(path.read_bytes().decode("utf-8", "replace"))
    ]

    assert holders == []


def pins_of(name: str) -> dict[str, str]:
    """Package -> version."""
    return dict(re.findall(r"(?m)^([a-z0-9-]+)==([^\s;]+)", (ROOT / name).read_text("utf-8")))


@pytest.mark.parametrize("name", ["requirements-core.lock", "requirements.lock", "requirements-dev.lock"])
def test_every_pinned_package_has_a_hash(name: str) -> None:
    lines = (ROOT / name).read_text("utf-8").splitlines()

    pins = [i for i, line in enumerate(lines) if re.match(r"[a-z0-9]", line)]
    unhashed = [lines[i] for i in pins if not lines[i + 1].strip().startswith("--hash=sha256:")]

    assert len(pins) > 30
    assert unhashed == []


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("requirements-core.lock", ("postgres", "build")),
        ("requirements.lock", ("demo", "postgres", "build")),
        ("requirements-dev.lock", ("dev",)),
    ],
)
def test_the_lock_covers_what_the_project_asks_for(name: str, extras: tuple[str, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = list(project["dependencies"])
    for extra in extras:
        wanted += project["optional-dependencies"][extra]

    assert {named(one) for one in wanted} - pins_of(name).keys() == set()


def named(requirement: str) -> str:
    """`pymap==0.36.7` as `pymap`."""
    return re.split(r"[\[<>=~!]", requirement)[0].lower()


def test_a_server_gets_nothing_of_the_playground() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    demo = {named(one) for one in extras["demo"]} - {named(one) for one in extras["lmtp"]}
    core, whole = pins_of("requirements-core.lock"), pins_of("requirements.lock")

    assert demo & core.keys() == set()
    assert core.items() <= whole.items()
    assert {"pymap", "proxy-protocol", "pysasl"} <= whole.keys() - core.keys()


@pytest.mark.parametrize("page", ["README.md", "README.zh-Hant.md", "docs/operations.md"])
def test_a_server_is_set_up_from_its_own_lock(page: str) -> None:
    installed = re.findall(r"(?m)^    .*pip install .*--requirement (\S+)", (ROOT / page).read_text("utf-8"))

    assert set(installed) == {"requirements-core.lock"}


#: The libraries of the extra `demo` as they are where it was not installed.
WITHOUT_DEMO = "import sys\nfor name in ('aiosmtpd', 'pymap', 'proxyprotocol', 'pysasl'): sys.modules[name] = None\n"


def without_demo(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_DEMO + code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_the_daemon_needs_nothing_of_the_playground() -> None:
    adapters = "from channels import mail, registry, telephony, webchat\n"

    ended = without_demo(f"{adapters}import intake.daemon\nassert 'intake.demo' not in sys.modules")

    assert (ended.returncode, ended.stderr) == (0, "")


def test_without_its_libraries_the_playground_is_refused_in_a_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "config.toml", tmp_path)
    words = ["run", "--demo", "--config", str(tmp_path / "config.toml")]

    ended = without_demo("from intake.__main__ import main\nsys.exit(main(sys.argv[1:]))", *words)

    [line] = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, line["event"]) == (2, "not_started")
    assert line["reason"].startswith('the playground needs the extra "demo": pip install')


def test_what_makes_the_locks_is_asked_for_by_name() -> None:
    ended = subprocess.run(
        ["make", "lock", "UV=a-uv-that-is-not-there"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )

    assert ended.returncode == 2
    assert "make lock needs uv" in ended.stderr
