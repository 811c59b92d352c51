"""Questions to name servers and what their answers mean, for the resolvers of all drivers.

See RFC 1034, 5.3.1 for stub resolvers, and RFC 5452 for answers that attackers forge.
"""

import socket
from typing import Final

from postel.errors import ArgumentError, TcpError, WireError
from postel.sockets.names import UnresolvedName
from postel.wire import dns
from postel.wire.address import Address, Endpoint, octets_of, to_text
from postel.wire.dns import DnsMessage, ResourceRecord

# Seconds to wait for each server's answer, in the first, second and third round
PATIENCE: Final = (1.0, 2.0, 4.0)
LONGEST_CHAIN: Final = 16  # most CNAMEs to follow from one name
FIRST_PORT: Final = 1024  # lowest source port: RFC 5452, 9.2 wants a random port out of many
ATTEMPTS_AT_A_PORT: Final = 16
TYPES: Final = {16: dns.AAAA, 4: dns.A}  # record type by the length of an address in octets, IPv6 preferred


class AliasChain:
    """Names that a look-up asks for, one after another: the name itself, then where its aliases lead.

    A server may answer with an alias alone, without addresses of the name to which the alias leads (RFC 1034,
    3.6.2). ``name`` is the name to ask for next.
    """

    def __init__(self, name: str) -> None:
        """Begin with ``name``."""
        self.name: str = name
        self._first = name
        self._left = LONGEST_CHAIN

    def follow(self, answer: DnsMessage) -> list[bytes] | None:
        """Return the addresses in the answer about ``name``; None if `name` is now another name to ask for.

        The list is empty for a name without such addresses. Raises NotResolved where the name doesn't exist,
        or its aliases have no end.
        """
        if answer.rcode == dns.NAME_ERROR:
            raise UnresolvedName(socket.EAI_NONAME, f"there is no name {self._first}")
        last, found = followed(answer)
        if found or dns.canonical(last) == dns.canonical(self.name):
            return found
        self.name = last
        self._left -= 1
        if not self._left:
            raise UnresolvedName(socket.EAI_FAIL, f"{self._first} has too many aliases")
        return None


def is_useful(answer: DnsMessage) -> bool:
    """Tell whether a server has answered the question. Otherwise another server is asked."""
    return answer.rcode in (dns.NO_ERROR, dns.NAME_ERROR)


def no_server() -> UnresolvedName:
    """Make the error of a resolver without a name server."""
    return UnresolvedName(socket.EAI_AGAIN, "there is no name server to ask")


def unanswered(where: Endpoint, error: Exception) -> UnresolvedName:
    """Make the error for a server that couldn't be asked, or that sent no answer in time."""
    if isinstance(error, TcpError):
        return UnresolvedName(socket.EAI_AGAIN, str(error.about(f"name server {where}").strerror))
    if isinstance(error, TimeoutError):
        return UnresolvedName(socket.EAI_AGAIN, f"name server {where} doesn't answer")
    return UnresolvedName(
        socket.EAI_AGAIN, f"name server {where}: {getattr(error, 'strerror', None) or error}"
    )


def refused(where: Endpoint, answer: DnsMessage) -> UnresolvedName:
    """Make the error for a server that answered with an error code."""
    said = dns.RCODES.get(answer.rcode, f"error {answer.rcode}")
    return UnresolvedName(socket.EAI_FAIL, f"name server {where} answers {said} for {answer.question.name}")


def require_answer(message: DnsMessage, query: DnsMessage) -> None:
    """Raise WireError for a message over TCP that doesn't answer ``query``, or isn't whole."""
    if not answers(message, query) or message.is_truncated:
        raise WireError("dns", "the answer over TCP doesn't belong to the question")


def answers(message: DnsMessage, query: DnsMessage) -> bool:
    """Tell whether a message answers the query: identifier and question must agree (RFC 5452, 9.1)."""
    ours, theirs = query.question, message.question
    is_same = (dns.canonical(theirs.name), *theirs[1:]) == (dns.canonical(ours.name), *ours[1:])
    return message.is_response and message.id == query.id and is_same


def followed(answer: DnsMessage) -> tuple[str, list[bytes]]:
    """Return the name to which the answer's aliases lead, and its addresses.

    Records about other names don't count.
    """
    records: dict[str, list[ResourceRecord]] = {}
    for record in answer.answers:
        if record.rclass == dns.INTERNET:
            records.setdefault(dns.canonical(record.name), []).append(record)
    name = answer.question.name
    for _ in range(LONGEST_CHAIN):
        here = records.get(dns.canonical(name), [])
        found = [record.data for record in here if record.type == answer.question.type]
        alias = next((record for record in here if record.type == dns.CNAME), None)
        if found or alias is None:
            return name, found
        name = dns.decode_name(alias.data)
    return name, []


def server(text: Address) -> Endpoint:
    """Return the endpoint of a name server, with port 53 unless another one is given. Raises ArgumentError.

    ``text`` is ``10.7.0.1``, ``10.7.0.1:5353``, ``fd07::1``, ``[fd07::1]:5353``, or an object of `ipaddress`.
    """
    try:
        return Endpoint.parse(text if isinstance(text, str) else to_text(octets_of(text)), dns.PORT)
    except ArgumentError as error:
        raise ArgumentError("name server", text, error.allowed) from None


def encoded(name: str) -> str:
    """Return a name as it is sent (RFC 3490). Raises NotResolved for text that can't be a name."""
    try:
        encoded = name.encode("idna").decode("ascii")
        dns.encode_name(encoded)
    except (UnicodeError, ArgumentError) as error:
        raise UnresolvedName(socket.EAI_NONAME, f"{name!r} can't be a name") from error
    if not encoded:
        raise UnresolvedName(socket.EAI_NONAME, "a name is empty")
    return encoded
