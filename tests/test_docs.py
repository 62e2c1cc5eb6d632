"""The documentation: its links lead somewhere, its commands exist, its configuration is accepted."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from intake.command.arguments import parser
from intake.config import load
from routing.commands import NAMES, CommandName, parse

ROOT = Path(__file__).parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-Hant.md"
READMES = [ENGLISH, CHINESE]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("systemd/*.md")})
PICTURES = sorted(ROOT.glob("docs/pictures/*.png"))
MAX_PICTURE = 300_000  # octets; a page with several is read on a telephone, too

FENCED = re.compile(r"(?ms)^(```+).*?^\1\s*$")
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\))?)\)|<img[^>]*\ssrc=\"([^\"]+)\"")
HEADING = re.compile(r"(?m)^#{1,6} +(.+?) *#*$")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(markdown: str) -> list[str]:
    """Where a page points to, code left out: `docs/operations.md#upgrading`."""
    prose = CODE.sub("", FENCED.sub("", markdown))
    return [first or second for first, second in LINK.findall(prose)]


def anchors(markdown: str) -> set[str]:
    """The headings as code-hosting pages name them: lower case, words joined by `-`; repeated ones are counted."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(FENCED.sub("", markdown)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        found[slug] = found.get(slug, 0) + 1
    return set(found) | {f"{slug}-{n}" for slug, count in found.items() for n in range(1, count)}


def dead_links(page: Path, markdown: str) -> Iterator[str]:
    """The relative links that lead nowhere."""
    for link in links(markdown):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            yield link


def written_code(markdown: str) -> Iterator[str]:
    """Every line that somebody is told to type: in backquotes, and in blocks by four spaces or a fence."""
    for block in FENCED.finditer(markdown):
        yield from (line.strip() for line in block[0].splitlines()[1:-1])
    prose = FENCED.sub("", markdown)
    yield from (code.strip("`").strip() for code in CODE.findall(prose))
    yield from (line.strip() for line in prose.splitlines() if line.startswith("    "))


COMMAND = re.compile(r"(?:^|\(|&& |\w+=\S+ |/bin/)intake (?=[a-z-])([^#)>|]*)")


def commands(markdown: str) -> set[str]:
    """What is typed behind `intake`: `show 1042 --why`. A path that ends in it counts, `cp -r intake` does not."""
    found = set()
    for line in written_code(markdown):
        for match in COMMAND.finditer(line):
            found.add(" ".join(match[1].split()))
    return found


def targets(markdown: str) -> set[str]:
    """What is typed behind `make`."""
    return {match[1] for line in written_code(markdown) if (match := re.match(r"make ([a-z]+)\b", line))}


def configuration(readme: Path) -> str:
    found = re.search(r"(?ms)^```toml\n(.*?)^```", readme.read_text("utf-8"))
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert [*dead_links(page, page.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("markdown", "dead"),
    [
        ("[here](README.md) and [there](docs/configuration.md#desk)", []),
        ("[gone](docs/gone.md)", ["docs/gone.md"]),
        ("[no such heading](docs/configuration.md#moon)", ["docs/configuration.md#moon"]),
        ("[of this page](#what-it-does-not-do-yet)", []),
        ("![a picture](docs/pictures/gone.png)", ["docs/pictures/gone.png"]),
        ('<img alt="" src="docs/gone.svg">', ["docs/gone.svg"]),
        ("[out](../elsewhere)", ["../elsewhere"]),
        ("[outside](https://www.example.org/) `[code](gone.md)`\n```\n[block](gone.md)\n```\n", []),
    ],
)
def test_a_dead_link_is_found(markdown: str, dead: list[str]) -> None:
    assert [*dead_links(ENGLISH, markdown)] == dead


def test_headings_are_named_as_pages_name_them() -> None:
    markdown = "# It's `intake`\n## Backup, by hand\n## Backup, by hand\n```\n# no heading\n```\n"

    assert anchors(markdown) == {"its-intake", "backup-by-hand", "backup-by-hand-1"}


@pytest.fixture(scope="module")
def helped() -> set[str]:
    """The commands that `intake --help` lists."""
    shown = subprocess.run(
        [sys.executable, "-m", "intake", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return set(re.findall(r"(?m)^    ([a-z]+) {2,}\S", shown.stdout))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_exists(page: Path, helped: set[str]) -> None:
    written = {words for words in commands(page.read_text("utf-8")) if not words.startswith("-")}

    assert {words.split()[0] for words in written} - helped == set()


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_every_command_of_the_readme_is_understood(readme: Path) -> None:
    written = commands(readme.read_text("utf-8"))
    understood = set()
    for words in written:
        try:
            parser().parse_args(shlex.split(words))
        except SystemExit:
            continue
        understood.add(words)

    assert len(written) > 8
    assert written - understood == set()


@pytest.mark.parametrize(
    ("markdown", "found"),
    [
        ("`intake show 1042 --why`", {"show 1042 --why"}),
        ("    KEY=/etc/x intake check --probe-mail   # a word\n", {"check --probe-mail"}),
        ("       .venv/bin/intake status\n", {"status"}),
        ("    (cd /etc/intake && intake check)\n", {"check"}),
        ("    intake secret new hotline >hotline   # a word\n", {"secret new hotline"}),
        ("the `intake` program, `journalctl -u intake -n 20`, `cp -r intake /opt/intake`", set()),
    ],
)
def test_commands_are_found_where_they_are_typed(markdown: str, found: set[str]) -> None:
    assert commands(markdown) == found


def test_both_readmes_name_the_same_commands() -> None:
    english, chinese = (readme.read_text("utf-8") for readme in READMES)

    assert commands(english) == commands(chinese)
    assert targets(english) == targets(chinese)


def test_both_readmes_show_the_same_configuration() -> None:
    assert tomllib.loads(configuration(ENGLISH)) == tomllib.loads(configuration(CHINESE))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_the_configuration_of_the_readme_is_accepted(
    readme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the secrets that its second step makes, handed over as its fourth step does."""
    written = readme.read_text("utf-8")
    secrets = set(re.findall(r"LoadCredential=([\w-]+):", written)) | {"token-key"}
    for secret in secrets:
        (tmp_path / secret).write_text("0123456789abcdef" * 4)
        assert re.search(rf"(?m)^    .*>{secret}\b", written), f"{secret} is never made"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "config.toml").write_text(configuration(readme), "utf-8")

    config = load(tmp_path / "config.toml")

    assert set(config.channels) == {"support-mail", "website", "hotline"}
    assert config.http.public_url in next(c for c in config.channels.values() if c.type == "webchat").origins


def test_the_longer_example_is_accepted_and_works_behind_its_proxy() -> None:
    config = load(ROOT / "docs/example-firm.toml", secrets=False)

    chat, phone = config.channels["website"], config.channels["hotline"]
    assert config.http.public_url in chat.origins
    assert not phone.sources or config.http.proxies
    comment = (ROOT / "docs/example-firm.toml").read_text("utf-8").partition("\n\n")[0]
    assert f"{NUMBERS[len(config.policy.agents)]} people answer customers" in comment


NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


def test_the_build_server_runs_what_the_readme_says() -> None:
    run = [line for line in (ROOT / ".ci/run").read_text("utf-8").splitlines() if line.startswith("exec ")]

    assert run == ["exec make test"]
    assert "test" in targets(ENGLISH.read_text("utf-8"))


@pytest.mark.parametrize("readme", READMES, ids=name_of)
def test_every_make_target_exists(readme: Path) -> None:
    there = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text("utf-8")))

    assert targets(readme.read_text("utf-8")) - there == set()


@pytest.mark.parametrize("picture", PICTURES, ids=name_of)
def test_pictures_are_small(picture: Path) -> None:
    assert picture.stat().st_size < MAX_PICTURE


def unnamed_files(page: str, room: Path) -> list[str]:
    """The files of a package that a page does not name, by themselves or by a pattern as `config_*.py`."""
    named = re.findall(r"[\w*]+\.py\b", page)
    files = sorted(path.name for path in room.glob("*.py") if path.name != "__init__.py")
    return [name for name in files if not any(fnmatchcase(name, one) for one in named)]


@pytest.mark.parametrize("room", ["routing", "intake"])
def test_the_design_says_where_every_file_belongs(room: str) -> None:
    design = (ROOT / "docs" / "design.md").read_text("utf-8")

    assert unnamed_files(design, ROOT / room) == []


def test_a_file_that_is_not_named_is_found(tmp_path: Path) -> None:
    for name in ("__init__.py", "told.py", "list_new.py", "forgotten.py"):
        (tmp_path / name).touch()

    assert unnamed_files("`told.py`, `list_*.py`", tmp_path) == ["forgotten.py"]


TYPED = re.compile(r"[!！]([A-Za-z][A-Za-z-]*|[\u4e00-\u9fff]+)")  # the word; Chinese may run on: ！等3天


def typed_commands(markdown: str) -> tuple[set[CommandName], list[str]]:
    """The commands that a page shows, by any of their names; and words behind a mark that are none."""
    commands, unknown = set[CommandName](), list[str]()
    for code in re.findall(r"`([^`\n]+)`|「([^」\n]+)」", markdown):
        for word in TYPED.findall("".join(code)):
            parsed = parse(f"!{word}")
            commands |= {one.name for one in parsed.commands}
            unknown += [word] if parsed.unknown else []
    return commands, unknown


@pytest.mark.parametrize("page", ["agents.md", "agents.zh-Hant.md"])
def test_the_agents_page_shows_every_command_and_no_other(page: str) -> None:
    commands, unknown = typed_commands((ROOT / "docs" / page).read_text("utf-8"))

    assert (set(NAMES) - commands, unknown) == (set(), [])


def test_the_agents_page_shows_each_command_in_both_scripts() -> None:
    page = (ROOT / "docs" / "agents.md").read_text("utf-8")
    in_chinese, _ = typed_commands("".join(f"`！{word}`" for word in TYPED.findall(page) if not word.isascii()))

    assert set(NAMES) - in_chinese == set()


@pytest.mark.parametrize(
    ("markdown", "commands", "unknown"),
    [
        ("| `!close` `！結案` |", {CommandName.CLOSE}, []),
        ("寫「！等3天」", {CommandName.WAIT}, []),
        ("| `!clsoe` |", set(), ["clsoe"]),
        ("What a surprise! `note`", set(), []),
    ],
)
def test_commands_are_found_where_agents_read_them(
    markdown: str, commands: set[CommandName], unknown: list[str]
) -> None:
    assert typed_commands(markdown) == (commands, unknown)
