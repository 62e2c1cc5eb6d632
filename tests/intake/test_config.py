"""config.toml: everything that is wrong with it is said at once, each with its place and its mend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from channels.settings import ImapSettings, MailSettings, SmtpSettings, TelephonySettings, WebchatSettings
from intake import config_tables as tables
from intake.config import Config, ConfigError, diff_restart, load, reloaded
from intake.config_calendars import built_in
from routing.calendars import due_at, parse_budget, windows
from routing.policy import BudgetUnit
from routing.sla import TARGET_KEYS
from routing.words import Evidence, Kind

ROOT = Path(__file__).parents[2]

GOOD = """
[desk]
firm = "Firm"
region = "TW"

[tokens]
key = { file = "token.key" }

[channels.mail]
type = "mail"
address = "support@firm.example"
imap = { host = "mail.firm.example", username = "support", password = { file = "pw" } }
smtp = { host = "mail.firm.example", username = "support", password = { file = "pw" } }

[channels.phone]
type = "telephony"
secret = { file = "phone" }
reply_channel = "mail"
users = { 201 = "chen" }

[agents.chen]
display_name = "陳"
addresses = ["Chen@Firm.example"]

[agents.wu]
display_name = "吳"
addresses = ["wu@firm.example"]
supervisor = true

[teams.tax]
display_name = "稅務組"
members = ["chen"]
supervisors = ["wu"]
"""


@pytest.fixture
def written(tmp_path: Path):
    """Writes a file, with secrets beside it, and returns its path."""
    for name in ("token.key", "pw", "phone"):
        (tmp_path / name).write_text("0123456789abcdef" * 4 + "\n")

    def write(text: str, name: str = "config.toml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(path: Path, **how: bool) -> dict[str, str]:
    """path -> "message -> mend", several joined by a line end."""
    with pytest.raises(ConfigError) as caught:
        load(path, **how)
    found: dict[str, str] = {}
    for problem in caught.value.problems:
        said = f"{problem.message} -> {problem.mend}"
        found[problem.path] = f"{found[problem.path]}\n{said}" if problem.path in found else said
    return found


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_good_file_becomes_a_policy(written) -> None:
    config = load(written(GOOD))

    policy = config.policy
    assert policy.agents["chen"].addresses == ("chen@firm.example",)
    assert policy.agents["chen"].evidence == {Evidence.AUTHSERV}
    assert policy.agents["wu"].is_supervisor
    assert policy.agent_by_address("CHEN@firm.example") is policy.agents["chen"]
    assert (policy.default_team, policy.calendar, policy.timezone) == ("tax", "TW", "Asia/Taipei")
    assert (policy.channels["mail"].medium, policy.channels["mail"].address) == ("email", "support@firm.example")
    assert policy.channels["phone"].phone_users == {"201": "chen"}
    assert policy.channels["phone"].reply_channel == "mail"
    assert policy.topics["tax_filing"].names["zh-Hant"] == "納稅申報"
    assert "投訴" in policy.cues["complaint"]
    assert "投诉" in policy.cues["complaint"]
    assert str(policy.supervisor_after["first_response.chat"]) == "180s"


@pytest.mark.parametrize(
    ("key", "written_as", "unit"),
    [
        ("first_response.email", "8wh", BudgetUnit.WORKING_HOURS),
        ("first_response.chat", "60s", BudgetUnit.WALL),
        ("first_response.messaging", "3min in hours", BudgetUnit.WORKING_HOURS),
        ("first_response.default", "4wh", BudgetUnit.WORKING_HOURS),
        ("phone.callback", "30min in hours", BudgetUnit.WORKING_HOURS),
        ("feedback.report_back", "5wd", BudgetUnit.WORKING_DAYS),
        ("complaint.answer", "2wh", BudgetUnit.WORKING_HOURS),
        ("complaint.initial_opinion", "1wd", BudgetUnit.WORKING_DAYS),
        ("complaint.initial_opinion_urgent", "4wh", BudgetUnit.WORKING_HOURS),
        ("complaint.resolution", "10wd", BudgetUnit.WORKING_DAYS),
        ("complaint.resolution_tw", "15d", BudgetUnit.CALENDAR_DAYS),
    ],
)
def test_the_promises_that_hold_where_none_are_written(written, key: str, written_as: str, unit: BudgetUnit) -> None:
    budget = load(written(GOOD)).policy.targets[key]

    assert (str(budget), budget.unit) == (written_as, unit)


def test_written_promises_replace_their_defaults_and_no_others(written) -> None:
    targets = load(written(GOOD + '[targets.first_response]\nemail = "4wh"\nphone = "20s"\n')).policy.targets

    assert str(targets["first_response.email"]) == "4wh"
    assert str(targets["first_response.phone"]) == "20s"
    assert str(targets["first_response.chat"]) == "60s"


WRONG = """
unknown_key = 1

[desk]
firm = "Firm"
language = "zh-TW"
default_team = "taxx"

[stroe]
url = "x"

[limits]
retries = ["1m"]
parser_memory = "lots"

[channels.mail]
type = "mail"
address = "support@firm.example"
team = "tox"
calendar = "offic"
imap = { host = "h", username = "u", password = { file = "pw" }, prot = 993, port = 99999 }
smtp = { host = "h", security = "ssl" }

[channels.fax]
type = "fax"

[channels.phone]
type = "telephony"
secret = { file = "a", credential = "b" }
reply_channel = "mial"
users = { 201 = "chenn" }

[agents.chen]
display_name = "陳"
addresses = ["chen@firm.example"]
topics = ["tax_filling"]
capacity = 0

[agents.lin]
display_name = "林"
addresses = ["CHEN@firm.example", "support@firm.example"]

[teams.tax]
display_name = "稅務組"
members = ["chen", "wang"]
calendar = "ofice"

[calendars.office]
timezone = "Asia/Taipeh"
hours = { mon-fri = ["09:00-13:00", "12:00-18:00"], fridey = ["09:00-12:00"], sat = ["9 to 5"] }
exceptions = { 2026-02-30 = "closed", 2026-12-31 = "shut" }

[calendars.never]
timezone = "Asia/Taipei"
hours = { mon = [] }

[calendars.nights]
timezone = "Asia/Taipei"
hours = { fri = ["22:00-06:00"], sat = ["05:00-12:00"] }

[targets.first_response]
emial = "8wh"
chat = "3m"

[supervisor_after]
phone.callback = 3

[[rules]]
name = "everything"
urgent = true

[[rules]]
name = "dangling"
channels = ["mial"]
topic = "taxes"
team = "tox"
agent = "chenn"
senders = ["bank"]

[[rules]]
name = "idle"
words = ["x"]
knid = "complaint"
"""


@pytest.mark.parametrize(
    ("path", "message", "mend"),
    [
        ("unknown_key", 'unknown table "unknown_key"', ""),
        ("stroe", 'unknown table "stroe"', 'did you mean "store"?'),
        ("desk.language", "this value is not known", "one of 'zh-Hant', 'zh-Hans' or 'en'"),
        ("desk.default_team", 'there is no team "taxx"', 'did you mean "tax"?'),
        ("tokens.key", "without a key no answer can be told from a forged one", "intake secret new token-key >/etc"),
        ("limits.retries[0]", '"1m" is no duration', '"3min"'),
        ("limits.parser_memory", '"lots" is no size', '"512MiB"'),
        ("channels.mail.team", 'there is no team "tox"', 'did you mean "tax"?'),
        ("channels.mail.calendar", 'there is no calendar "offic"', 'did you mean "office"?'),
        ("channels.mail.imap.prot", 'unknown key "prot"', 'did you mean "port"?'),
        ("channels.mail.imap.port", "this is too large", "at most 65535"),
        ("channels.mail.smtp.security", "this value is not known", "one of 'tls', 'starttls' or 'none'"),
        ("channels.fax.type", "the type is not known", "mail, telegram, telephony, webchat"),
        ("channels.phone.secret", "this cannot be used", "give exactly one of"),
        ("channels.phone.reply_channel", 'there is no channel "mial"', 'did you mean "mail"?'),
        ("channels.phone.users.201", 'there is no agent "chenn"', 'did you mean "chen"?'),
        ("agents.chen.capacity", "this is too small", "at least 1"),
        ("agents.chen.topics", 'there is no topic "tax_filling"', 'did you mean "tax_filing"?'),
        ("agents.lin.addresses", "chen@firm.example is already in agents.chen.addresses", "one agent"),
        ("agents.lin.addresses", "support@firm.example is the desk's own address", "own mailbox"),
        ("teams.tax.members", 'there is no agent "wang"', "chen, lin"),
        ("teams.tax.calendar", 'there is no calendar "ofice"', 'did you mean "office"?'),
        ("calendars.office.timezone", '"Asia/Taipeh" is no time zone', 'did you mean "Asia/Taipei"?'),
        ("calendars.office.hours", "hours overlap on mon, tue, wed, thu, fri: 09:00-13:00 and 12:00-18:00", "end one"),
        ("calendars.office.hours.fridey", '"fridey" names no days', '"mon-fri"'),
        ("calendars.office.hours.sat", '"9 to 5" is no stretch of hours', '"09:00-12:00"'),
        ("calendars.office.exceptions.2026-02-30", '"2026-02-30" is no date', "2027-02-13"),
        ("calendars.office.exceptions.2026-12-31", '"shut" is no exception', '"closed"'),
        ("calendars.never", "this calendar has no open hour", "hours ="),
        ("calendars.nights.hours", "hours overlap on fri: 22:00-06:00 and the next day's 05:00-12:00", "end one"),
        ("targets.first_response.emial", 'unknown key "first_response.emial"', 'did you mean "first_response.email"?'),
        ("targets.first_response.chat", '"3m" is no budget', 'did you mean "3min"?'),
        ("supervisor_after.phone.callback", "this must be a text", '"8wh"'),
        ("rules[0]", '"everything" holds for everything', "put it last"),
        ("rules[1].channels", 'there is no channel or medium "mial"', 'did you mean "mail"?'),
        ("rules[1].topic", 'there is no topic "taxes"', "tax_filing"),
        ("rules[1].team", 'there is no team "tox"', 'did you mean "tax"?'),
        ("rules[1].agent", 'there is no agent "chenn"', 'did you mean "chen"?'),
        ("rules[1].senders", '"bank" is no sender', '"@b.example"'),
        ("rules[2].knid", 'unknown key "knid"', 'did you mean "kind"?'),
    ],
)
def test_everything_wrong_is_said_at_once(written, path: str, message: str, mend: str) -> None:
    found = problems(written(WRONG))

    lines = [line for line in found.get(path, "").split("\n") if line.startswith(message)]
    assert lines, f"{path}: {found.get(path)}"
    assert mend in lines[0].partition(" -> ")[2]


def test_nothing_that_is_right_is_called_wrong(written) -> None:
    assert len(problems(written(WRONG))) == 39  # the paths of the table above


@pytest.mark.parametrize(
    ("old", "new", "path", "message"),
    [
        ('[desk]\nfirm = "Firm"', "[dusk]", "desk", "this table is missing"),
        ('firm = "Firm"', 'firm = ""', "desk.firm", "this is empty"),
        ('region = "TW"', 'region = "FR"', "desk.calendar", "FR has no built-in calendar"),
        ('region = "TW"', 'region = "Taiwan"', "desk.region", '"Taiwan" is no country code'),
        ('region = "TW"', 'timezone = "Asia"', "desk.timezone", '"Asia" is no time zone'),
        ('members = ["chen"]', "members = []", "teams.tax.members", "this is empty"),
        ("[agents.chen]", '[agents."陳"]', "agents.陳", '"陳" cannot be a name'),
        (
            'addresses = ["wu@firm.example"]',
            'addresses = ["wu"]',
            "agents.wu.addresses",
            '"wu" is no mail address -> write it',
        ),
        ('type = "telephony"', 'path = "/x"', "channels.phone.type", "the type is missing"),
        ('reply_channel = "mail"', 'reply_channel = "phone"', "channels.phone.reply_channel", '"phone" sends no mail'),
        ('display_name = "吳"', "display_name = 5", "agents.wu.display_name", "this must be a text"),
    ],
)
def test_one_thing_wrong_is_one_problem(written, old: str, new: str, path: str, message: str) -> None:
    found = problems(written(changed(old, new)))

    assert path in found
    assert found[path].startswith(message)


def test_several_teams_need_a_default(written) -> None:
    more = GOOD + '[teams.care]\ndisplay_name = "C"\nmembers = ["wu"]\n'

    assert set(problems(written(more))) == {"desk.default_team"}
    assert load(written(more.replace("[desk]", '[desk]\ndefault_team = "care"'))).policy.default_team == "care"


def test_without_teams_everybody_is_one(written) -> None:
    config = load(written(GOOD[: GOOD.index("[teams.tax]")]))

    team = config.policy.teams[config.policy.default_team]
    assert (team.members, team.supervisors) == (("chen",), ("wu",))


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ('[desk]\nfirm = "x\n', "line 2, column 10", "this is no TOML"),
        ("[desk\n", "line 1, column 6", "this is no TOML"),
        ("[desk]\n[desk]\n", "line 2, column 6", "this is no TOML"),
        ('firm = "x"\n' * 100_000, "", "this is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_place(written, text: str, path: str, message: str) -> None:
    (place, said), *more = problems(written(text)).items()

    assert not more
    assert place == (path or str(written(text)))
    assert said.startswith(message)


def test_a_file_that_is_no_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes('[desk]\nfirm = "財稅"'.encode("big5"))

    assert problems(path) == {"line 2": "this is no UTF-8 -> save the file as UTF-8"}


def test_a_byte_order_mark_does_no_harm(written) -> None:
    assert load(written("\ufeff" + GOOD)).desk.firm == "Firm"


@pytest.mark.parametrize("name", ["absent.toml", "."])
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, name: str) -> None:
    ((place, said),) = problems(tmp_path / name).items()

    assert place == str(tmp_path / name)
    assert said.startswith("cannot read it")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('password = { file = "pw" } }\nsmtp', 'password = "hunter2" }\nsmtp'),
        ('password = { file = "pw" } }\nsmtp', 'password = { value = "hunter2" } }\nsmtp'),
        ('password = { file = "pw" } }\nsmtp', 'password = ["hunter2"] }\nsmtp'),
        ('key = { file = "token.key" }', 'key = "hunter2"'),
        ('key = { file = "token.key" }', 'key = { file = ["hunter2"] }'),
        ("[tokens]", '[store]\nurl = "postgresql://intake:hunter2@db/intake"\n[tokens]'),
        ("[tokens]", '[store]\nurl = "mysql://intake:hunter2@db/intake"\n[tokens]'),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(written, old: str, new: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(changed(old, new)))

    assert caught.value.problems
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.problems)


def test_secrets_that_cannot_be_read_are_named_by_path(written, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (tmp_path / "phone").unlink()
    (tmp_path / "pw").write_text("\n")
    (tmp_path / "token.key").write_text("short")
    text = changed(
        'smtp = { host = "mail.firm.example", username = "support", password = { file = "pw" } }', ""
    ).replace(
        "[channels.phone]",
        '[channels.mail.smtp]\nhost = "h"\nusername = "u"\npassword = { credential = "smtp" }\n[channels.phone]',
    )

    found = problems(written(text))

    assert set(found) == {
        "tokens.key",
        "channels.mail.imap.password",
        "channels.mail.smtp.password",
        "channels.phone.secret",
    }
    assert "shorter than 32" in found["tokens.key"]
    assert "empty" in found["channels.mail.imap.password"]
    assert "no credentials were handed over" in found["channels.mail.smtp.password"]
    assert f"cannot read {tmp_path / 'phone'}: No such file" in found["channels.phone.secret"]
    assert load(written(text), secrets=False).policy.firm == "Firm"


def test_only_the_playground_starts_without_a_key(written) -> None:
    text = changed('[tokens]\nkey = { file = "token.key" }', "")

    assert set(problems(written(text), secrets=False)) == {"tokens.key"}
    assert load(written(text), demo=True).tokens.key is None


def test_relative_paths_count_from_the_files_folder(written, tmp_path: Path) -> None:
    config = load(written(GOOD))

    assert config.tokens.key is not None
    assert config.tokens.key.path() == tmp_path / "token.key"
    assert config.channels["mail"].imap.password.path() == tmp_path / "pw"
    assert config.store.url == f"sqlite:///{tmp_path}/var/intake.db"
    assert config.store.state_dir == tmp_path / "var"


def test_the_password_of_a_database_is_put_in_only_when_asked(written, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("p@ss/word")
    store = '[store]\nurl = "postgresql://intake@db.example/intake"\npassword = { file = "pw" }\n[tokens]'
    config = load(written(changed("[tokens]", store)))

    assert "p%40ss" not in repr(config)
    assert config.store.full_url() == "postgresql://intake:p%40ss%2Fword@db.example/intake"


def test_two_channels_do_not_share_a_path_or_a_mailbox(written) -> None:
    chat = '[channels.chat]\ntype = "webchat"\norigins = ["https://firm.example"]\npath = "/phone/chat"\n'
    twin = GOOD[GOOD.index("[channels.mail]") : GOOD.index("[channels.phone]")].replace("mail]", "twin]")

    found = problems(written(GOOD + chat + twin.replace("support@", "other@")))

    assert set(found) == {"channels.chat.path", "channels.twin.imap"}


# --- calendars ---


def test_every_built_in_calendar_opens_on_an_ordinary_week() -> None:
    for name, spec in built_in().items():
        opened = [day for day in range(16, 21) if windows(spec, datetime(2026, 11, day, tzinfo=UTC).date())]
        assert len(opened) == 5, name


def test_a_calendar_may_change_a_part_of_a_built_in_one(written) -> None:
    config = load(
        written(
            GOOD
            + '[calendars.TW.exceptions]\n2026-11-23 = "closed"\n2026-11-28 = "workday"\n'
            + '[calendars.late]\nlike = "TW"\nhours = { mon-fri = ["12:00-24:00"], "sat,sun" = ["22:00-02:00"] }\n'
            + '[calendars.later]\nlike = "late"\ncountry = ""\n'
        )
    )

    start = datetime(2026, 11, 20, 10, tzinfo=UTC)  # Friday 18:00 in Taipei, at closing
    calendars = config.policy.calendars
    due = {name: due_at(spec, start, parse_budget("9wh")) for name, spec in calendars.items()}
    assert due == {
        "TW": datetime(2026, 11, 25, 2, tzinfo=UTC),
        "late": datetime(2026, 11, 21, 17, tzinfo=UTC),
        "later": datetime(2026, 11, 21, 17, tzinfo=UTC),
    }
    assert len({spec.version for spec in calendars.values()}) == 3


def test_calendars_that_lean_on_each_other_are_refused(written) -> None:
    ring = '[calendars.a]\nlike = "b"\n[calendars.b]\nlike = "a"\n'

    assert {"calendars.a.like", "calendars.b.like"} <= set(problems(written(GOOD + ring)))


# --- versions and reloading ---


def test_the_version_follows_the_policy_and_nothing_else(written) -> None:
    first = load(written(GOOD)).policy.version

    assert load(written("# a remark\n" + GOOD)).policy.version == first
    assert load(written(changed("[tokens]", '[log]\nlevel = "debug"\n[tokens]'))).policy.version == first
    assert load(written(changed('"陳"', '"陳怡君"'))).policy.version != first
    assert load(written(GOOD + '[targets]\nphone.callback = "20min"\n')).policy.version != first


HOT = (
    GOOD.replace('members = ["chen"]', 'members = ["chen", "wu"]').replace('"陳"', '"陳怡君"')
    + """
[calendars.TW]
hours = { mon-fri = ["10:00-16:00"] }
[targets.first_response]
email = "4wh"
[log]
level = "debug"
[[rules]]
name = "r"
words = ["急"]
urgent = true
"""
)


def test_what_sighup_may_change_needs_no_restart(written) -> None:
    old, new = load(written(GOOD)), load(written(HOT))

    assert diff_restart(old, new) == []
    assert reloaded(old, new).policy == new.policy
    assert reloaded(old, new).log.level == "debug"


def test_any_other_change_is_named_and_waits_for_a_restart(written) -> None:
    old = load(written(GOOD))
    cold = HOT.replace('firm = "Firm"', 'firm = "Other"').replace('host = "mail.firm.example"', 'host = "h"')
    cold = cold.replace('reply_channel = "mail"\n', "").replace("[tokens]", "[http]\nport = 80\n[tokens]")
    chat = '[channels.chat]\ntype = "webchat"\norigins = ["https://firm.example"]\n'
    new = load(written(cold + chat))

    after = reloaded(old, new)

    assert diff_restart(old, new) == [
        "channels.chat",
        "channels.mail.imap.host",
        "channels.mail.smtp.host",
        "channels.phone.reply_channel",
        "desk.firm",
        "http.port",
    ]
    assert (after.policy.firm, after.http.port, set(after.channels)) == ("Firm", 8080, {"mail", "phone"})
    assert after.policy.agents["chen"].display_name == "陳怡君"
    assert after.policy.targets == new.policy.targets


def test_a_rule_on_a_channel_that_waits_for_a_restart_is_refused(written) -> None:
    old = load(written(GOOD))
    site = '[channels.site]\ntype = "webchat"\norigins = ["https://firm.example"]\n'
    new = load(written(GOOD + site + '[[rules]]\nname = "r"\nchannels = ["site"]\nurgent = true\n'))

    with pytest.raises(ConfigError) as caught:
        reloaded(old, new)

    assert [problem.path for problem in caught.value.problems] == ["rules[0].channels"]


def test_rules_are_folded_as_messages_are(written) -> None:
    rule = '[[rules]]\nname = "r"\nwords = ["ＶＡＴ", "Complaint"]\nsenders = ["@Bank.example"]\nkind = "complaint"\n'

    (read,) = load(written(GOOD + rule)).policy.rules

    assert (read.words, read.senders, read.kind) == (("vat", "complaint"), ("@bank.example",), Kind.COMPLAINT)


# --- the files that come with it ---


def shipped() -> Config:
    return load(ROOT / "config.toml", demo=True)


def test_the_shipped_file_is_right_and_listens_on_the_loopback_only() -> None:
    config = shipped()

    mail = config.channels["support-mail"]
    assert {mail.imap.host, mail.smtp.host, config.http.host} == {"127.0.0.1"}
    assert config.store.url == f"sqlite:///{ROOT}/var/intake.db"
    assert set(config.policy.channels) == {"support-mail", "website", "hotline"}


def test_the_shipped_file_fits_the_people_of_the_playground() -> None:
    people = pytest.importorskip("intake.demo.people")
    config = shipped()

    living = {person.address for person in people.PEOPLE}
    assert {address for agent in config.policy.agents.values() for address in agent.addresses} <= living
    assert config.channels["support-mail"].address in living
    folder = config.store.state_dir / people.FOLDER
    assert config.tokens.key is not None
    assert config.tokens.key.path() == folder / "token.key"
    assert config.channels["hotline"].secret.path() == folder / "hotline.secret"
    assert config.channels["support-mail"].imap.password.path() == folder / "support.password"


def test_the_example_of_a_whole_firm_is_right() -> None:
    config = load(ROOT / "docs" / "example-firm.toml", secrets=False)

    assert len(config.policy.agents) == 5
    assert config.policy.calendar_of("hongkong-mail", "hongkong").name == "HK"


def test_every_key_is_explained() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    models = [
        MailSettings,
        ImapSettings,
        SmtpSettings,
        TelephonySettings,
        WebchatSettings,
        tables.ChannelKeys,
        tables.Desk,
        tables.Store,
    ]
    models += [tables.Http, tables.Log, tables.Tokens, tables.Limits, tables.AgentTable, tables.TeamTable]
    models += [tables.CalendarTable, tables.RuleTable, tables.TargetRuleTable, tables.CustomerClassTable]
    keys = {key for model in models for key in model.model_fields} | TARGET_KEYS

    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


@pytest.mark.parametrize("text", ["9999999999d", "²s", "1.2.3s", "-5s", "s", "5"])
def test_a_duration_nobody_can_count_is_refused(written, text: str) -> None:
    found = problems(written(changed("[tokens]", f'[limits]\nretry_for = "{text}"\n[tokens]')))

    assert found["limits.retry_for"].startswith(f'"{text}" is no duration')


def test_durations_of_limits_are_read(written) -> None:
    limits = load(written(changed("[tokens]", '[limits]\nretries = ["2min"]\nfree_space = "2GiB"\n[tokens]'))).limits

    assert limits.retries == (timedelta(minutes=2),)
    assert limits.free_space == 2 * 1024**3


def test_the_roster_and_assignment_belong_to_the_policy_and_change_with_it(written, tmp_path: Path) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text("agent,what,from,until,name\nchen,shift,mon-fri 09:00,18:00,\n", encoding="utf-8")
    text = GOOD + '\n[roster]\nfile = "roster.csv"\n\n[assignment]\nweights = { chat = 2 }\n'
    before = load(written(text))

    roster.write_text("agent,what,from,until,name\nchen,shift,mon-fri 10:00,18:00,\n", encoding="utf-8")
    after = reloaded(before, load(written(text)))

    assert before.policy.roster.has_shifts("chen")
    assert before.policy.assigning.loads.of("chat", "business").weight == 2
    assert after.policy.roster != before.policy.roster
    assert after.policy.version != before.policy.version
    assert diff_restart(before, after) == []


def test_a_roster_that_is_wrong_is_told_with_everything_else(written, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("agent,what,from,until,name\nho,shift,mon 09:00,18:00,\n", encoding="utf-8")

    found = problems(written(changed("[desk]", "[desk]\nhotlin = 'x'") + '[roster]\nfile = "roster.csv"\n'))

    assert set(found) == {"desk.hotlin", "roster.file: roster.csv, row 2"}
