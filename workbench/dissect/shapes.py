"""What an allowed text must look like to be shown; anything else in its place is content and is masked.

A dissector puts whatever stands on the wire into its fields: on a port that carries something else, or in the
middle of a dialogue, the "command" of a mail session can be a password. So every text of the allow-list has a
shape: a character set, or a closed list of words. Shapes may also shorten: a path loses its query.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

#: Longest text that is shown of a field, characters.
LONGEST: Final = 240

#: A text to what is shown of it, or None to mask it.
Shape = Callable[[str], str | None]


def _like(pattern: str) -> Shape:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: text if compiled.fullmatch(text) else None


def _one_of(words: str, *, case: bool = False) -> Shape:
    """One of the words, split at `|`; letter case counts only if asked."""
    known = {word if case else word.upper(): word for word in words.split("|")}
    return lambda text: known.get(text if case else text.upper())


_PATH = re.compile(r"[/*][\x21-\x7e]*", re.ASCII)
_QUERY = re.compile(r"[?;#&=]|%(?:25)*(?:3[fbd]|2[36])", re.ASCII | re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+*-]{1,80}", re.ASCII)
_ALGORITHMS = re.compile(r"[\w@.,+-]*", re.ASCII)
_PIPE = re.compile(r"(?:.*\\)?([^\\]+)", re.ASCII)
_PIPES = (
    "atsvc browser cert dhcpserver dnsserver drsuapi efsrpc epmapper eventlog fssagentrpc initshutdown keysvc lsarpc "
    "lsass msftewds netdfs netlogon ntsvcs plugplay protected_storage router samr scerpc spoolss srvsvc svcctl tapsrv "
    "trkwks w32time winreg wkssvc wtsapi"
)
_CLASSES = "krbtgt host cifs http ldap gc dns nfs rpcss termsrv mssqlsvc wsman restrictedkrbhost imap smtp"


def _path(text: str) -> str | None:
    """A request's path without query, parameters and fragment. A whole URL, or one with a user in it, is none.

    Nor with what stands there where a query was encoded, once or more often, or begun without its sign.
    """
    path = _QUERY.split(text, maxsplit=1)[0]
    return path if _PATH.fullmatch(path) and "@" not in path and "://" not in path else None


def _media_type(text: str) -> str | None:
    kind = text.split(";", 1)[0].strip()
    return kind if _MEDIA_TYPE.fullmatch(kind) else None


def _algorithms(text: str) -> str | None:
    return text if _ALGORITHMS.fullmatch(text) else None


def _pipe(text: str) -> str | None:
    """The name of a well-known pipe; every other name is that of somebody's file."""
    found = _PIPE.fullmatch(text)
    return text if found and found.group(1).lower() in _PIPES.split() and len(text) <= len(found.group(1)) + 6 else None


def _principal(text: str) -> str | None:
    """A service's class or a host's full name; a bare name may be a person's."""
    if text.lower() in _CLASSES.split():
        return text
    return text if text.count(".") >= 2 and re.fullmatch(r"[\w.-]{1,200}", text, re.ASCII) else None


#: Without a shape: numbers, addresses, identifiers, flags and times, as tshark writes them.
NUMBER: Final[Shape] = _like(r"[\w:.,+() -]{0,80}")

SHAPES: Final[dict[str, Shape]] = {
    "name": _like(r"<Root>|[\w.*$-]{1,255}(?:<[0-9a-f]{2}>)?"),
    "host": _like(r"[\w.\[\]:-]{1,255}"),
    "path": _path,
    "mediatype": _media_type,
    "product": _like(r"[\x20-\x7e]{1,120}"),
    "token": _like(r"[\w.+*/-]{1,60}(?:, ?[\w.+*/-]{1,60}){0,8}"),
    "count": _like(r"\d{1,20}"),
    "version": _like(r"HTTP/\d(?:\.\d)?"),
    "status": _like(r"[A-Za-z' -]{1,60}"),
    "hash": _like(r"[0-9a-f]{32}"),
    "hex": _like(r"[0-9a-f:]{0,80}"),
    "oid": _like(r"[\w.:-]{1,200}"),
    "when": _like(r"[\w:., ()+-]{1,64}"),
    "protocols": _like(r"[\w.:+/-]{0,1000}"),
    "tcpflags": _like(r"[\u00b7*A-Za-z]{1,20}"),
    "sshversion": _like(r"SSH-[\x21-\x7e]{1,80}(?: [\x20-\x7e]{0,80})?"),
    "algorithms": _algorithms,
    "share": _like(r"\\\\[\w.:-]{1,200}\\[\w.$-]{1,80}"),
    "pipe": _pipe,
    "dialect": _like(r"[\w .+?-]{1,32}"),
    "realm": _like(r"[\w.-]{1,120}"),
    "spn": _principal,
    "certname": _like(r"[\x20-\x7e]{1,120}"),
    "service": _like(r"service:[\w:.,-]{1,200}"),
    "dbversion": _like(r"[\w.+~:-]{1,60}"),
    "method": _one_of(
        "GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK|REPORT|SEARCH|"
        "NOTIFY|M-SEARCH|SUBSCRIBE|UNSUBSCRIBE|RPC_IN_DATA|RPC_OUT_DATA|PRI",
        case=True,
    ),
    "sipmethod": _one_of(
        "INVITE|ACK|BYE|CANCEL|OPTIONS|REGISTER|PRACK|SUBSCRIBE|NOTIFY|PUBLISH|INFO|REFER|MESSAGE|UPDATE", case=True
    ),
    "ftpverb": _one_of(
        "ABOR|ACCT|ALLO|APPE|AUTH|CCC|CDUP|CLNT|CWD|DELE|EPRT|EPSV|FEAT|HELP|HOST|LIST|MDTM|MFMT|MKD|MLSD|MLST|MODE|NLST|NOOP|OPTS|"
        "PASS|PASV|PBSZ|PORT|PROT|PWD|QUIT|REIN|REST|RETR|RMD|RNFR|RNTO|SITE|SIZE|SMNT|STAT|STOR|STOU|STRU|SYST|TYPE|USER|XCWD|XMKD|XPWD|XRMD"
    ),
    "smtpverb": _one_of("HELO|EHLO|LHLO|MAIL|RCPT|DATA|BDAT|RSET|VRFY|EXPN|NOOP|QUIT|AUTH|STARTTLS|HELP|TURN|ETRN"),
    "popverb": _one_of("USER|PASS|APOP|AUTH|CAPA|DELE|LIST|NOOP|QUIT|RETR|RSET|STAT|STLS|TOP|UIDL"),
    "popstatus": _one_of("+OK|-ERR"),
    "imapverb": _one_of(
        "LOGIN|LOGOUT|AUTHENTICATE|CAPABILITY|NOOP|SELECT|EXAMINE|CREATE|DELETE|RENAME|SUBSCRIBE|UNSUBSCRIBE|LIST|LSUB|STATUS|APPEND|"
        "CHECK|CLOSE|EXPUNGE|SEARCH|FETCH|STORE|COPY|MOVE|UID|IDLE|STARTTLS|ID|NAMESPACE|ENABLE|UNSELECT"
    ),
    "imapstatus": _one_of("OK|NO|BAD|BYE|PREAUTH"),
    "tftpmode": _one_of("octet|netascii|mail"),
    "memcacheverb": _one_of(
        "get|gets|set|add|replace|append|prepend|cas|delete|incr|decr|touch|gat|gats|stats|flush_all|version|verbosity|quit"
    ),
    "pgtype": _one_of(
        "Startup message|SSL request|Cancel request|Simple query|Password message|SASL initial response message|"
        "SASL response message|GSS response message|Terminate|Parse|Bind|Describe|Execute|Sync|Close|Flush|"
        "Authentication request|Parameter status|Backend key data|Ready for query|Row description|Data row|Command completion|"
        "Error|Notice|Parse completion|Bind completion|Close completion|No data|Portal suspended|Parameter description|"
        "Empty query|Function call|Function call response|Copy data|Copy completion|Copy failure|Copy in response|"
        "Copy out response|Notification|Negotiate protocol version"
    ),
}


def shown(shape: str, text: str) -> str | None:
    """What is shown of a text of that shape ('' = a number); None where it must be masked."""
    found = (SHAPES[shape] if shape else NUMBER)(text)
    return found if found is None or len(found) <= LONGEST else found[:LONGEST] + "…"
