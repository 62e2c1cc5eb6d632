"""What an administrator does once so that the daemon may open one mailbox without anybody's password. Pure.

learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth,
developers.google.com/identity/protocols/oauth2/service-account.
"""

from __future__ import annotations

from channels.settings import MailSettings, OAuthSettings


def admin_commands(settings: MailSettings, oauth: OAuthSettings) -> tuple[str, list[str]]:
    """(what they are for, the lines to be copied, with the names of this channel filled in)."""
    if oauth.provider == "microsoft":
        return "An administrator of the directory does this once:", _microsoft(settings, oauth)
    if oauth.provider == "google":
        return "An administrator of the Workspace does this once:", _google(settings, oauth)
    return "The identity provider must allow this client to ask for tokens by itself:", [oauth.client_id]


def _microsoft(settings: MailSettings, oauth: OAuthSettings) -> list[str]:
    mailbox, app = _quoted(settings.login_name), _quoted(oauth.client_id)
    lines = [
        f"# Entra, App registrations, {oauth.client_id}, API permissions, Add, APIs my organization uses,",
        "# Office 365 Exchange Online, Application permissions: IMAP.AccessAsApp and SMTP.SendAsApp. Then consent:",
        f"# https://login.microsoftonline.com/{oauth.tenant}/adminconsent?client_id={oauth.client_id}",
        "Install-Module ExchangeOnlineManagement, Microsoft.Graph.Applications -Scope CurrentUser",
        f"Connect-MgGraph -Scopes Application.Read.All -TenantId {_quoted(oauth.tenant)}",
        f"Connect-ExchangeOnline -Organization {_quoted(oauth.tenant)}",
        # The object id of the enterprise application, not that of the registration: the usual mistake.
        f"$app = Get-MgServicePrincipal -Filter \"appId eq '{oauth.client_id}'\"",
        f"New-ServicePrincipal -AppId {app} -ObjectId $app.Id -DisplayName 'intake'",
        f"Add-MailboxPermission -Identity {mailbox} -User $app.Id -AccessRights FullAccess",
        f"Set-CASMailbox -Identity {mailbox} -ImapEnabled $true -SmtpClientAuthenticationDisabled $false",
    ]
    if settings.address.lower() != settings.login_name.lower():
        address = _quoted(settings.address)
        lines.append(f"Add-RecipientPermission -Identity {address} -Trustee $app.Id -AccessRights SendAs")
    lines += ["# Rights take up to an hour to count. To see them:", f"Get-MailboxPermission -Identity {mailbox}"]
    return lines


def _google(settings: MailSettings, oauth: OAuthSettings) -> list[str]:
    return [
        "Google Cloud console: enable the Gmail API; IAM, Service accounts: one, with a key of type JSON",
        "Admin console, Security, Access and data control, API controls, Domain-wide delegation, Add new:",
        f"  client ID: the number of the service account {oauth.client_id}",
        "  scope:     https://mail.google.com/",
        f"Admin console, Apps, Gmail, End User Access: IMAP on for {settings.login_name}",
    ]


def _quoted(text: str) -> str:
    """A PowerShell string: nothing in it is read as anything else."""
    return "'" + text.replace("'", "''") + "'"
