"""Transport security to a mail server: whom we trust, and what to do when we cannot.

Contexts are made anew for each connection, so a renewed authority file is used without a restart.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path


async def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """A context that verifies name and chain: against `ca_file` alone where one is given, else the system's.

    Raises OSError when the file cannot be read, ssl.SSLError when it holds no certificate.
    """
    # Reading the system's authorities takes 20 ms: not in the loop.
    return await asyncio.to_thread(ssl.create_default_context, cafile=None if ca_file is None else str(ca_file))


def mend_for(error: BaseException, host: str) -> str:
    """What an operator should do about a failed handshake, as an instruction; "" for other failures."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _WRONG_NAME:
            return f"write the host as the certificate names it, or give {host} a certificate of that name"
        if error.verify_code == _EXPIRED:
            return f"renew the certificate of {host}"
        return 'set ca_file = "/path/to/authority.pem" to the authority that signed it, if it is your own'
    if isinstance(error, ssl.SSLError):
        return 'if the port begins in plain text, set security = "starttls"'
    return ""


# The numbers of X509_V_ERR_… in openssl/x509_vfy.h.
_WRONG_NAME = frozenset({62, 64})  # the host name, the IP address
_EXPIRED = 10
