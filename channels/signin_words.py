"""What mail and token servers say when they let nobody in, and what to do about it. Pure.

One table, the particular before the general. The words are the servers' own, as Microsoft, Google, Tencent and NetEase
send them; of what is not in the table the server's words are all that can be told.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """Who wanted in, and where: what the advice is filled in with."""

    channel: str
    host: str
    username: str
    client_id: str = ""
    tenant: str = ""
    is_app_only: bool = False
    by_token: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Advice:
    problem: str
    mend: str  # an instruction


@dataclass(frozen=True, slots=True)
class _Entry:
    said: tuple[str, ...]  # in lower case; any of them, where it is of one piece; " & " joins what must all be there
    problem: str
    mend: str
    host: str = ""  # a part of the host's name; "" for every host
    if_app_only: bool | None = None  # None: either way
    if_by_token: bool | None = None


_AGAIN = "intake login {channel}"
_MICROSOFT = "outlook|office365|microsoft"
_GOOGLE = "google|gmail"
_NETEASE = "163.|126.|188.|yeah.net|netease"

_TABLE = (
    # ---- Microsoft's token server
    _Entry(("aadsts7000222",), "the client secret has expired",
           "make a new one (Entra, App registrations, {client_id}, Certificates & secrets) and set secret_expires_on"),
    _Entry(("aadsts7000215",), "the client secret is wrong",
           "put the secret's Value into the file, not its Secret ID"),
    _Entry(("aadsts7000218", "aadsts70002"), "the application may not sign people in by code",
           "Entra, App registrations, {client_id}, Authentication: Allow public client flows = Yes"),
    _Entry(("aadsts65001", "aadsts65004", "aadsts90094", "consent_required"),
           "nobody has consented that the application reads and sends mail",
           "an administrator opens https://login.microsoftonline.com/{tenant}/adminconsent?client_id={client_id}"),
    _Entry(("aadsts90002", "aadsts900021", "aadsts900023", "aadsts50059"), "there is no such directory",
           "set oauth.tenant to the directory's id or domain (Entra, Overview)"),
    _Entry(("aadsts50194", "aadsts50020", "aadsts90072"), "the account is not of the application's directory",
           "set oauth.tenant to the directory of {username}, and register the application there"),
    _Entry(("aadsts700016",), "that directory does not know the application",
           "check oauth.client_id (Entra, App registrations, Application ID) and oauth.tenant"),
    _Entry(("aadsts7000112",), "the application is disabled",
           "Entra, Enterprise applications, {client_id}, Properties: Enabled for users to sign in = Yes"),
    _Entry(("aadsts50057",), "the account {username} is disabled",
           "let an administrator enable it, or use another mailbox"),
    _Entry(("aadsts50034",), "there is no account {username}", "check imap.username, and oauth.tenant"),
    _Entry(("aadsts50105",), "{username} is not assigned to the application",
           "Entra, Enterprise applications, {client_id}, Users and groups: add {username}"),
    _Entry(("aadsts53003", "aadsts53000", "aadsts530034", "aadsts530003"), "a policy of the firm forbids this sign-in",
           "let an administrator except it from Conditional Access, or use flow = \"app-only\""),
    _Entry(("aadsts500011", "aadsts650052"), "the directory has no Exchange Online",
           "check oauth.tenant, and that the mailbox has a licence"),
    _Entry(("aadsts50173",), "the account's password was changed, which ends its logins", _AGAIN),
    _Entry(("aadsts50076", "aadsts50078", "aadsts50079", "aadsts50158"), "a second factor is wanted", _AGAIN),
    _Entry(("aadsts700082", "aadsts70008", "aadsts700084"), "the saved login has expired", _AGAIN),
    _Entry(("aadsts70011", "aadsts1002012", "aadsts70000: the provided value for scope"), "the scope is not known",
           "take oauth.scope out, or correct it"),
    # ---- Google's
    _Entry(("invalid_rapt", "rapt_required"), "the firm wants people to sign in again after some time",
           _AGAIN + "; or Admin console, Security, Google Cloud session control: never; or flow = \"app-only\""),
    _Entry(("admin_policy_enforced", "org_internal"), "the firm's administrator does not allow the application",
           "Admin console, Security, API controls: trust {client_id}"),
    _Entry(("invalid_grant & short-lived",), "this machine's clock is wrong", "set the clock (NTP)"),
    _Entry(("invalid_grant & invalid email",), "there is no account {username}", "check imap.username"),
    _Entry(("unauthorized_client",), "the service account may not act for {username}",
           "Admin console, Security, API controls, Domain-wide delegation: its number with the scope "
           "https://mail.google.com/", if_app_only=True, host=_GOOGLE),
    _Entry(("deleted_client", "disabled_client", "invalid_client"), "the server does not know the application",
           "check oauth.client_id and the client secret"),
    _Entry(("unauthorized_client",), "the application may not sign in in this way",
           "check oauth.flow, and what kind of application {client_id} was registered as"),
    _Entry(("access_denied",), "whoever signed in said no", _AGAIN),
    _Entry(("invalid_grant",), "the saved login counts no more", _AGAIN),
    # ---- Microsoft's mail servers
    _Entry(("smtpclientauthentication is disabled for the tenant",), "SMTP AUTH is off for the whole directory",
           "Exchange Online PowerShell: Set-CASMailbox -Identity {username} -SmtpClientAuthenticationDisabled $false"),
    _Entry(("smtpclientauthentication is disabled",), "SMTP AUTH is off for this mailbox",
           "Exchange Online PowerShell: Set-CASMailbox -Identity {username} -SmtpClientAuthenticationDisabled $false"),
    _Entry(("sendasdenied", "5.2.252", "5.7.60", "send as this sender"),
           "the account may not send as this address (SendAs)",
           "Exchange PowerShell: Add-RecipientPermission -Identity ADDRESS -Trustee {username} -AccessRights SendAs"),
    _Entry(("5.7.139",), "Microsoft takes no passwords here", "write [channels.{channel}.oauth]", if_by_token=False),
    _Entry(("5.7.139",), "a policy of the directory forbids the sign-in",
           "look into Entra, Sign-in logs, for {client_id}", if_by_token=True),
    _Entry(("authenticated but not connected",), "the application has no right to this mailbox, or IMAP is off for it",
           "Exchange Online PowerShell: Add-MailboxPermission -Identity {username} -User OBJECT-ID -AccessRights "
           "FullAccess; Set-CASMailbox -Identity {username} -ImapEnabled $true; intake login {channel} shows both",
           if_app_only=True),
    _Entry(("authenticated but not connected",), "IMAP is off for this mailbox, or it is another's than the login's",
           "Exchange Online PowerShell: Set-CASMailbox -Identity {username} -ImapEnabled $true; " + _AGAIN),
    _Entry(("authenticate failed",), "IMAP is off for this mailbox, or the application may not use it",
           "Exchange Online PowerShell: Set-CASMailbox -Identity {username} -ImapEnabled $true, New-ServicePrincipal "
           "and Add-MailboxPermission as intake login {channel} shows them", host=_MICROSOFT, if_app_only=True),
    _Entry(("authenticate failed",), "IMAP is off for this mailbox, or the login is another account's",
           "Exchange Online PowerShell: Set-CASMailbox -Identity {username} -ImapEnabled $true; " + _AGAIN,
           host=_MICROSOFT, if_by_token=True),
    _Entry(("login failed", "authenticate failed", "basicauthblocked"), "Microsoft takes no passwords for IMAP",
           "write [channels.{channel}.oauth]", host=_MICROSOFT, if_by_token=False),
    _Entry(("5.7.3 ",), "the application may not send from this mailbox",
           "it needs the permission SMTP.SendAsApp and Add-MailboxPermission: intake login {channel} shows both",
           host=_MICROSOFT, if_app_only=True),
    _Entry(("5.7.3 ",), "the login is not taken for sending", _AGAIN, host=_MICROSOFT, if_by_token=True),
    # ---- Google's mail servers
    _Entry(("application-specific password", "invalidsecondfactor"), "the account wants an app password",
           "make one at https://myaccount.google.com/apppasswords, or write [channels.{channel}.oauth]"),
    _Entry(("weblogin", "web login required", "log in via your web browser", "log in with your web browser"),
           "the provider wants a person to sign in with a browser first",
           "sign in as {username} in a browser and confirm; at Google write [channels.{channel}.oauth]"),
    _Entry(("not enabled for imap", "imap access is disabled", "imap is disabled", "imap service is not"),
           "IMAP is off for this mailbox", "switch IMAP on in the mailbox's settings (Gmail: Forwarding and POP/IMAP)"),
    _Entry(("too many login attempts", "too many bad auth", "5.7.0 too many"), "there were too many logins",
           "wait an hour; look whether another program uses a wrong password"),
    _Entry(("too many simultaneous",), "the mailbox has too many connections",
           "close other mail programs; name fewer folders in imap.folders"),
    _Entry(("invalid credentials", "badcredentials", "username and password not accepted"),
           "Google takes neither this password nor a plain account password",
           "make an app password at https://myaccount.google.com/apppasswords, or write [channels.{channel}.oauth]",
           host=_GOOGLE, if_by_token=False),
    _Entry(("invalid credentials", "badcredentials", "username and password not accepted"),
           "the token is not {username}'s, or IMAP is off in the firm",
           _AGAIN + " as {username}; Admin console, Gmail, End User Access: IMAP on", host=_GOOGLE, if_by_token=True),
    # ---- Tencent, NetEase
    _Entry(("authorization code", "授权码", "授權碼"), "the mailbox wants an authorisation code, no password",
           "Settings, Account, IMAP/SMTP: on, generate a code (授权码), put it into the password file"),
    _Entry(("login fail", "account is abnormal"), "IMAP/SMTP is off for this mailbox, or the code is an old one",
           "Settings, Account, IMAP/SMTP: on, generate a code (授权码), put it into the password file", host="qq.com"),
    _Entry(("unsafe login",), "the mailbox has not allowed this program",
           "mail.163.com, Settings, POP3/SMTP/IMAP: IMAP on and a new authorisation code (授权码)"),
    _Entry(("user has no permission",), "IMAP/SMTP is off for this mailbox",
           "Settings, POP3/SMTP/IMAP: both on, with an authorisation code (授权码)", host=_NETEASE),
    _Entry(("login or password error", "authentication failed", "login error"),
           "the password is not taken: 163, 126 and 188 want an authorisation code",
           "Settings, POP3/SMTP/IMAP: generate a code (授权码), put it into the password file", host=_NETEASE),
    # ---- anybody's
    _Entry(("no sign-in by token",), "the server knows no tokens", "take the table oauth out and write a password"),
)  # fmt: skip


def advice(words: str, login: Login) -> Advice | None:
    """What these words mean and what helps; None for words that are not in the table."""
    said = words.lower()
    for entry in _TABLE:
        if _fits(entry, said, login):
            facts = {name: getattr(login, name) for name in ("channel", "username", "client_id")}
            facts["tenant"] = login.tenant or "organizations"
            return Advice(problem=entry.problem.format(**facts), mend=entry.mend.format(**facts))
    return None


def _fits(entry: _Entry, said: str, login: Login) -> bool:
    if entry.host and not any(part in login.host.lower() for part in entry.host.split("|")):
        return False
    if entry.if_app_only is not None and entry.if_app_only != login.is_app_only:
        return False
    if entry.if_by_token is not None and entry.if_by_token != login.by_token:
        return False
    return any(all(part in said for part in one.split(" & ")) for one in entry.said)
