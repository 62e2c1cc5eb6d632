"""OAuth as mail needs it: what is asked, what answers mean, and that a replaced login is never lost or told."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import traceback
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError
from support.tokenserver import CLIENT, TokenServer

from channels import oauth_account
from channels.adapter import ChannelAway, LoginRefused
from channels.oauth import Granted, NotGranted, app_form, device_code, endpoints, granted, oauthbearer, xoauth2
from channels.oauth_account import OAuthAccount
from channels.oauth_file import SavedLogin, read_login, write_login
from channels.settings import OAuthSettings

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
USER = "desk@firm.example"


class StandingClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    async def sleep_until(self, when: datetime) -> None:
        raise NotImplementedError


def body(**answer: Any) -> bytes:
    return json.dumps(answer).encode()


def settings(server: TokenServer, **changes: Any) -> OAuthSettings:
    return OAuthSettings(**{"provider": "custom", "client_id": CLIENT, **server.addresses, **changes})


def saved(refresh_token: str, **changes: Any) -> SavedLogin:
    facts: dict[str, Any] = {"client_id": CLIENT, "refresh_token": refresh_token, "obtained_at": NOW, "used_at": NOW}
    return SavedLogin(**{**facts, **changes})


def account(server: TokenServer, path: Path, clock: StandingClock | None = None, **changes: Any) -> OAuthAccount:
    return OAuthAccount("support-mail", settings(server, **changes), USER, path, clock or StandingClock())


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with TokenServer() as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "oauth" / "support-mail.json"


# ---- what answers mean


@pytest.mark.parametrize(
    ("status", "answer", "error", "is_passing"),
    [
        (400, body(error="invalid_grant"), "invalid_grant", False),
        (401, body(error="invalid_client"), "invalid_client", False),
        (400, body(error="unauthorized_client"), "unauthorized_client", False),
        (403, body(error="access_denied"), "access_denied", False),
        (400, body(error="temporarily_unavailable"), "temporarily_unavailable", True),
        (429, body(error="rate_limited"), "rate_limited", True),
        (503, body(error="invalid_grant"), "invalid_grant", True),
        (502, b"<html>Bad gateway</html>", "", True),
        (400, b"<html>a proxy's own page</html>", "", True),
        (200, b"{}", "", True),
        (200, body(access_token=["no", "text"]), "", True),
        (200, body(access_token="x" * 20_000), "", True),
        (200, b"[" * 100_000, "", True),
        (200, b"\xff\xfe", "", True),
    ],
)
def test_a_refusal_waits_for_a_person_or_passes(status: int, answer: bytes, error: str, is_passing: bool) -> None:
    said = granted(status, answer, ())

    assert isinstance(said, NotGranted)
    assert (said.error, said.is_passing) == (error, is_passing)


def test_words_of_a_server_lose_what_is_secret_and_what_is_only_for_its_log() -> None:
    words = "AADSTS700082: token-canary\x1b[2J expired. Trace ID: 1 Correlation ID: 2 Timestamp: 3"

    said = granted(400, body(error="invalid_grant", error_description=words), ("token-canary", ""))

    assert isinstance(said, NotGranted)
    assert said.words == "AADSTS700082: … [2J expired."


@pytest.mark.parametrize(
    ("expires_in", "usable_for"), [(3600, 3300), ("3600", 3300), (100, 80), (None, 3300), (-5, 3300), ("x", 3300)]
)
def test_a_token_is_renewed_before_its_end(expires_in: Any, usable_for: float) -> None:
    answer = granted(200, body(access_token="a", expires_in=expires_in), ())

    assert isinstance(answer, Granted)
    assert answer.usable_for == usable_for


def test_nothing_shows_a_token_in_its_repr() -> None:
    code = device_code(200, body(device_code="canary", user_code="AB", verification_url="https://x.example"))
    shown = [granted(200, body(access_token="canary", refresh_token="canary"), ()), code, saved("canary")]

    assert "canary" not in repr(shown)
    assert "user_code='AB'" in repr(code)


def test_the_providers_addresses() -> None:
    google = endpoints(OAuthSettings(provider="google", client_id="x"))
    microsoft = endpoints(OAuthSettings(provider="microsoft", client_id="x", tenant="firm.example"))
    anyone = endpoints(OAuthSettings(provider="microsoft", client_id="x"))

    assert google.scope == "https://mail.google.com/"
    assert microsoft.token_url == "https://login.microsoftonline.com/firm.example/oauth2/v2.0/token"
    assert "offline_access" in microsoft.scope
    assert "/organizations/" in anyone.device_url


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"provider": "google", "flow": "device"}, "open no mail"),
        ({"provider": "microsoft", "flow": "app-only"}, "tenant"),
        ({"provider": "microsoft", "flow": "app-only", "tenant": "t"}, "client_secret"),
        ({"provider": "custom"}, "token_url"),
        ({"provider": "custom", "token_url": "https://x.example/t"}, "device_url"),
        ({"provider": "google", "token_url": "http://x.example/t"}, "encrypted"),
        ({"provider": "google", "token_url": "ftp://127.0.0.1/t"}, "encrypted"),
        ({"provider": "google", "client_secret": "GOCSPX-canary"}, "do not belong"),
    ],
)
def test_settings_that_cannot_work_are_refused(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        OAuthSettings(client_id="x", **written)


def test_what_mail_servers_are_shown() -> None:
    assert xoauth2("u@x.example", "t") == b"user=u@x.example\x01auth=Bearer t\x01\x01"
    assert oauthbearer("a,b=c", "t", "mail.x.example", 993) == (
        b"n,a=a=2Cb=3Dc,\x01host=mail.x.example\x01port=993\x01auth=Bearer t\x01\x01"
    )


def test_a_service_account_signs_for_the_mailbox() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    google = OAuthSettings(provider="google", client_id="a@p.example", flow="app-only", client_secret={"file": "k"})

    form = app_form(google, json.dumps({"private_key": pem, "private_key_id": "k1"}), USER, NOW)

    head, claims, signature = form["assertion"].split(".")
    key.public_key().verify(decoded(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), SHA256())
    said = json.loads(decoded(claims))
    assert (said["iss"], said["sub"], said["aud"]) == ("a@p.example", USER, "https://oauth2.googleapis.com/token")
    assert said["iat"] < NOW.timestamp() < said["exp"] <= said["iat"] + 3600


@pytest.mark.parametrize("key_file", ["", "{}", '{"private_key": "canary"}', "canary", "[1]"])
def test_a_key_file_that_is_none_is_not_repeated(key_file: str) -> None:
    google = OAuthSettings(provider="google", client_id="x", flow="app-only", client_secret={"file": "k"})

    with pytest.raises(ValueError, match="no key file") as refused:
        app_form(google, key_file, USER, NOW)

    assert "canary" not in "".join(traceback.format_exception(refused.value))


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


# ---- the account


async def test_however_many_ask_one_request_is_made(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    one = account(server, path)

    tokens = await asyncio.gather(*(one.token() for _ in range(20)))

    assert len(set(tokens)) == 1
    assert await one.token() == tokens[0]
    assert len(server.asked) == 1


async def test_a_replaced_login_is_on_the_disk_before_its_token_is_used(server: TokenServer, path: Path) -> None:
    first = server.grant()
    write_login(path, saved(first))

    await account(server, path).token()

    kept = read_login(path)
    assert kept is not None
    assert kept.refresh_token in server.refresh
    assert kept.refresh_token != first
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0


async def test_a_full_disk_costs_no_login(server: TokenServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old refresh token is worth nothing any more: the new one is kept, and saved before anything is used."""
    write_login(path, saved(server.grant()))
    one = account(server, path)
    with monkeypatch.context() as broken:
        broken.setattr(oauth_account, "write_login", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(ChannelAway, match="cannot be saved: No space left"):
            await one.token()

    token = await one.token()

    assert token in server.alive
    assert len(server.asked) == 2
    assert {form["refresh_token"] for form in server.asked} & server.refresh == set()  # each was exchanged once


async def test_who_asked_may_go_the_answer_is_saved_all_the_same(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    one = account(server, path)
    server.waits = asyncio.Event()
    asking = asyncio.create_task(one.token())
    while not server.asked:
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    server.waits.set()
    await one.close()

    kept = read_login(path)
    assert kept is not None
    assert {kept.refresh_token} == server.refresh


async def test_two_channels_of_one_account_never_exchange_one_token_twice(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    both = [account(server, path), account(server, path)]

    tokens = await asyncio.gather(*(one.token() for one in both))

    assert set(tokens) <= server.alive.keys()
    assert len({form["refresh_token"] for form in server.asked}) == 2


async def test_another_process_is_waited_for(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    with (path.parent / f"{path.name}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        asking = asyncio.create_task(account(server, path).token())
        await asyncio.sleep(0.15)
        before = list(server.asked)
        newer = server.grant()
        write_login(path, saved(newer))  # it exchanged the login meanwhile
    await asking

    assert before == []
    assert [form["refresh_token"] for form in server.asked] == [newer]


async def test_a_wall_clock_that_jumps_changes_nothing(server: TokenServer, path: Path) -> None:
    clock = StandingClock()
    write_login(path, saved(server.grant()))
    one = account(server, path, clock)
    first = await one.token()

    for jump in (timedelta(days=400), timedelta(days=-800)):
        clock.at += jump
        assert await one.token() == first


async def test_a_short_lived_token_is_renewed(path: Path) -> None:
    async with TokenServer(expires_in=1) as server:
        write_login(path, saved(server.grant()))
        one = account(server, path)
        first = await one.token()
        await asyncio.sleep(0.85)

        assert await one.token() != first


async def test_a_login_that_ended_says_what_to_do_and_is_not_asked_again_and_again(
    server: TokenServer, path: Path
) -> None:
    write_login(path, saved("refresh-canary-of-yesterday"))
    one = account(server, path)
    for _ in range(3):
        with pytest.raises(LoginRefused, match="intake login support-mail") as refused:
            await one.token()
        assert "canary" not in "".join(traceback.format_exception(refused.value))
    assert len(server.asked) == 1

    write_login(path, saved(server.grant()))  # as `intake login` does

    assert await one.token() in server.alive


@pytest.mark.parametrize(
    ("login", "said"), [(None, "nobody has signed support-mail in"), ("another", "another client_id's")]
)
async def test_without_a_login_of_its_own_nothing_is_asked(
    server: TokenServer, path: Path, login: str | None, said: str
) -> None:
    if login is not None:
        write_login(path, saved(server.grant(), client_id=login))

    with pytest.raises(LoginRefused, match=said):
        await account(server, path).token()

    assert server.asked == []


async def test_a_server_in_trouble_is_left_alone_for_ever_longer(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    one = account(server, path)
    server.fails = [(503, "busy")] * 9

    rests = []
    for _ in range(3):
        with pytest.raises(ChannelAway) as away:
            await one.token()
        assert not isinstance(away.value, LoginRefused)
        rests.append(away.value.retry_after)
        with pytest.raises(ChannelAway):
            await one.token()  # at once: said again, not asked again
        one._failure.until = 0.0  # type: ignore[union-attr]

    assert rests == [1.0, 2.0, 4.0]
    assert len(server.asked) == 3


async def test_the_server_says_how_long_to_wait(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    server.fails, server.headers = [(429, {"error": "slow"})], {"Retry-After": "77"}

    with pytest.raises(ChannelAway) as away:
        await account(server, path).token()

    assert away.value.retry_after == 77


async def test_a_server_that_is_not_there(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    one = account(server, path, token_url="http://127.0.0.1:1/token")

    with pytest.raises(ChannelAway, match=r"^127\.0\.0\.1: ") as away:
        await one.token()

    assert "canary" not in "".join(traceback.format_exception(away.value))


async def test_an_application_needs_nobody(server: TokenServer, path: Path, tmp_path: Path) -> None:
    server.secret = "app-secret-canary"
    (tmp_path / "secret").write_text(server.secret + "\n")
    one = account(server, path, flow="app-only", client_secret={"file": tmp_path / "secret"})

    assert await one.token() in server.alive
    assert server.asked[0]["grant_type"] == "client_credentials"
    assert not path.exists()


async def test_a_wrong_secret_is_refused_and_not_told(server: TokenServer, path: Path, tmp_path: Path) -> None:
    server.secret = "another"
    (tmp_path / "secret").write_text("secret-canary\n")
    one = account(server, path, flow="app-only", client_secret={"file": tmp_path / "secret"})

    with pytest.raises(LoginRefused, match="AADSTS7000215") as refused:
        await one.token()

    assert "canary" not in "".join(traceback.format_exception(refused.value))


async def test_a_mail_servers_no_to_an_old_token_brings_a_new_one(server: TokenServer, path: Path) -> None:
    write_login(path, saved(server.grant()))
    one = account(server, path)
    first = await one.token()

    assert one.refused(first) is False  # it was new: a newer one would help no more
    second = await one.token()
    one._token.minted_at -= 100  # type: ignore[union-attr]

    assert one.refused(second) is True
    assert second != first
    assert await one.token() not in (first, second)


# ---- the file


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"refresh_token": "canary"}', "\x00canary"])
def test_a_file_that_is_no_login_is_not_repeated(tmp_path: Path, text: str) -> None:
    (tmp_path / "login").write_text(text)

    with pytest.raises(ValueError, match="holds no saved login") as refused:
        read_login(tmp_path / "login")

    assert "canary" not in "".join(traceback.format_exception(refused.value))


def test_a_login_is_replaced_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_login(path, saved("first"))
    steps: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (steps.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, target: steps.append("replace") or os.rename(self, target))

    write_login(path, saved("second"))

    kept = read_login(path)
    assert kept is not None
    assert kept.refresh_token == "second"
    assert steps == ["fsync", "replace", "fsync"]  # the octets, the name, the folder
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]


def test_a_login_that_cannot_be_written_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_login(path, saved("first"))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left")))

    with pytest.raises(OSError, match="No space left"):
        write_login(path, saved("second"))

    kept = read_login(path)
    assert kept is not None
    assert kept.refresh_token == "first"
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name]
