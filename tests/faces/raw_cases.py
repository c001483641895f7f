"""Requests as bytes: what clients, proxies and attackers send, and what nobody should. `cases` makes them for a key."""

from collections.abc import Iterator

MOST = 1 << 20


def cases(key: str) -> dict[str, bytes]:
    """Every case by its name."""
    auth = f"Authorization: Bearer {key}"
    made: dict[str, bytes] = {}
    for group in (_lines(auth), _heads(auth), _lengths(auth), _chunks(auth), _bodies(auth), _paths(auth)):
        for name, raw in group:
            assert name not in made, name
            made[name] = raw
    return made


def _request(
    *headers: str | bytes,
    method: str = "POST",
    target: str = "/agent/memories",
    body: bytes = b"",
    version: str = "1.1",
) -> bytes:
    lines = [f"{method} {target} HTTP/{version}", *headers]
    return (
        b"\r\n".join(line if isinstance(line, bytes) else line.encode("utf-8") for line in lines) + b"\r\n\r\n" + body
    )


def _with(auth: str, *headers: str | bytes, body: bytes = b'{"content": "x"}', length: bool = True) -> bytes:
    """A write that would be good but for what is given."""
    usual = ["Host: aurra", auth, "Content-Type: application/json", "Connection: close"]
    sized = [f"Content-Length: {len(body)}"] if length else []
    return _request(*usual, *sized, *headers, body=body)


def _lines(auth: str) -> Iterator[tuple[str, bytes]]:
    """Request lines."""
    rest = f"\r\nHost: aurra\r\n{auth}\r\nConnection: close\r\n\r\n".encode()
    lines = [
        *(
            f"{method} /agent/memories HTTP/1.1"
            for method in (
                "get",
                "GeT",
                "HEAD",
                "OPTIONS",
                "TRACE",
                "CONNECT",
                "PUT",
                "DELETE",
                "PATCH",
                "PROPFIND",
                "PURGE",
                "LINK",
                "BREW",
                "G",
                "GET\t",
                "",
                "M-SEARCH",
                "SOURCE",
                "PRI",
                "QUERY",
                "123",
                "GET,POST",
                "\u0141",
                "X" * 5000,
            )
        ),
        *(
            f"GET /agent/memories HTTP/{version}"
            for version in (
                "0.9",
                "1.0",
                "1.2",
                "2",
                "2.0",
                "3",
                "11",
                "1.1.1",
                "",
                "1",
                "1.",
                ".1",
                "-1",
                "1.1 ",
                "a",
                "\u0661.1",
            )
        ),
        *(
            f"GET {target} HTTP/1.1"
            for target in (
                "*",
                "//",
                "/../../etc/passwd",
                "/agent/../agent/memories",
                "/agent//memories",
                "/agent/memories/",
                "/agent/memories#x",
                "http://aurra/agent/memories",
                "http://[::1/agent",
                "https://other/agent/memories",
                "ftp://aurra/",
                "aurra:80",
                ":",
                "?",
                "/?",
                "/agent/memories?",
                "/agent/memories??",
                "/%",
                "/%0",
                "/%zz",
                "/%00",
                "/%0d%0aX: y",
                "/%ff",
                "/%c0%ae%c0%ae/",
                "/agent%2fmemories",
                "/\u00e9",
                "/\\",
                "/{memory_id}",
                "/agent/memories?limit=%00",
                "/agent/memories?" + "a=b&" * 2000,
                "/" + "a" * 8000,
                "/memories/%00/audit",
                "/agent/memories?cursor=" + "A" * 4000,
                "/agent/memories?limit=" + "9" * 4000,
                "/agent/conversations/%2F",
                "/agent/conversations/%2f%2f/messages",
                "/agent/subjects/%00",
                "/agent/subjects/%ff%fe",
            )
        ),
        "GET",
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP 1.1",
        "HTTP/1.1 200 OK",
        "/ GET HTTP/1.1",
        "\0",
        "GET \0 HTTP/1.1",
        "GET / HTTP/1.1\0",
        "\r",
        "é",
        "PRI * HTTP/2.0\r\n\r\nSM",
        "\x16\x03\x01\x02\x00",
        "SSH-2.0-OpenSSH_9.0",
        "EHLO x",
        "*1\r\n$4\r\nPING",
    ]
    for number, line in enumerate(lines):
        yield f"line {number} {line[:40]!r}", line.encode("utf-8") + rest


def _heads(auth: str) -> Iterator[tuple[str, bytes]]:
    """Header fields."""
    fields: list[bytes | str] = [
        auth,
        "Host: aurra",
        "Host:",
        "Host: a, b",
        "Host: \u00e9",
        "Host: a b",
        b"Host: \xff",
        "Host: [::1]",
        "Host: a:99999",
        "Authorization:",
        "Authorization: Bearer",
        "authorization: bearer x",
        "Authorization : x",
        "No colon",
        ": no name",
        " Folded: x",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X\tY: z",
        "X Y: z",
        "X(): z",
        "X\0: z",
        b"X\xff: z",
        b"X: \xff\xfe",
        b"X: \x00",
        b"X: \x01\x02",
        b"X: \x7f",
        "X: " + "y" * 20_000,
        "Y" * 20_000 + ": x",
        "X: \u202e",
        "X:",
        "X: ",
        "X:\t",
        "X: a\rY: b",
        "X: a\nY: b",
        "Content-Type:",
        "Content-Type: application/json; charset=utf-16",
        "Content-Type: text/plain",
        "Content-Type: application/json, text/html",
        "Content-Type: \u00e9",
        b"Content-Type: \xff",
        "Content-Type: " + "a" * 9000,
        "Content-Encoding: gzip",
        "Content-Encoding: identity",
        "Content-Encoding: \u00e9",
        "Content-Encoding: identity, identity",
        "Content-Encoding:",
        "Expect: 100-continue",
        "Expect: 200-ok",
        "Expect:",
        "Upgrade: websocket",
        "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Connection: keep-alive, close",
        "Connection: upgrade",
        "Connection: \u00e9",
        "Keep-Alive: timeout=999999",
        "TE: trailers",
        "Trailer: X",
        "Trailer: Content-Length",
        "Range: bytes=0-",
        "If-Match: *",
        "If-Modified-Since: never",
        "Accept: ",
        "Accept: text/markdown",
        "Accept: text/markdown;q=9.9",
        "Accept: */*;q=" + "1" * 5000,
        b"Accept: \xff",
        "Accept-Encoding: \u00e9",
        "Accept-Encoding: gzip;q=nan",
        "Accept-Language: \u00e9",
        "Cookie: " + "a=b;" * 2000,
        "Cookie: \u00e9=\u00e9",
        b"Cookie: \xff",
        "Cookie: ;;;===",
        "Origin: null",
        "Origin: \u00e9",
        b"Origin: \xff",
        "Access-Control-Request-Method: POST",
        "X-Request-Id: " + "a" * 5000,
        "X-Request-Id: a b",
        b"X-Request-Id: \xff",
        "X-Request-Id: \u0661",
        "Idempotency-Key:",
        "Idempotency-Key: " + "k" * 256,
        "Idempotency-Key: \u00e9",
        b"Idempotency-Key: \xff\xfe",
        "Idempotency-Key: a\tb",
        "Idempotency-Key: a b",
        "X-Forwarded-For: \u00e9",
        "X-Forwarded-For: 1.2.3.4, ::1, x",
        "X-Forwarded-For: " + "1.1.1.1," * 3000,
        "X-Forwarded-Proto: javascript",
        "X-Forwarded-Host: a\tb",
        'Forwarded: for="[::1"',
        "X-HTTP-Method-Override: DELETE",
        "X-Real-Ip: x",
        "Proxy-Authorization: Basic x",
        "Via: 1.1 x",
        "Max-Forwards: -1",
        "\r\n".join(f"X-{n}: y" for n in range(500)),
    ]
    for number, field in enumerate(fields):
        shown = field if isinstance(field, str) else repr(field)
        yield f"head {number} {shown[:40]!r}", _with(auth, field)
        yield (
            f"head of a read {number} {shown[:40]!r}",
            _request("Host: aurra", auth, "Connection: close", field, method="GET", target="/agent/memories?limit=1"),
        )
    yield "no host", _request(auth, "Connection: close", method="GET")
    yield "bare line feeds", f"GET /plan/status HTTP/1.1\nHost: a\n{auth}\nConnection: close\n\n".encode()
    yield "bare carriage returns", f"GET /plan/status HTTP/1.1\rHost: a\r{auth}\r\r".encode()
    yield "blank lines first", b"\r\n\r\n\r\n" + _with(auth)
    yield "two requests", _request("Host: a", auth, method="GET", target="/plan/status") + _with(auth)
    yield "a request and rubbish", _request("Host: a", auth, method="GET", target="/plan/status") + b"\0\xff\r\n\r\n"


def _lengths(auth: str) -> Iterator[tuple[str, bytes]]:
    """Content-Length, and Transfer-Encoding beside it."""
    values = [
        "",
        " ",
        "+16",
        "-1",
        "-16",
        "0x10",
        "1e1",
        "16.0",
        "16,16",
        "16, 17",
        "16 16",
        "016",
        "00000000016",
        "\u0661\u0666",
        "abc",
        "NaN",
        "9" * 30,
        "18446744073709551616",
        "9223372036854775807",
        "1048577",
        "16;q=1",
        "\u00b2",
        "1_6",
    ]
    for number, value in enumerate(values):
        yield f"length {number} {value[:30]!r}", _with(auth, f"Content-Length: {value}", length=False)
        yield (
            f"length of a read {number} {value[:30]!r}",
            _request("Host: a", auth, "Connection: close", f"Content-Length: {value}", method="GET"),
        )
    yield "length twice", _with(auth, "Content-Length: 16")
    yield "lengths that differ", _with(auth, "Content-Length: 5")
    yield "a length of nothing", _with(auth, "Content-Length: 0", length=False)
    yield "a body on a read", _request("Host: a", auth, "Content-Length: 2", method="GET", body=b"{}")
    chunked = b"10\r\n" + b'{"content": "x"}' + b"\r\n0\r\n\r\n"
    for number, codings in enumerate(
        (
            "chunked",
            "Chunked",
            "identity",
            "gzip",
            "gzip, chunked",
            "chunked, gzip",
            "chunked, chunked",
            "xchunked",
            "chunked;q=1",
            "",
            " ",
            "\x0bchunked",
            "chunke\u00e4",
            "identity, chunked",
            "chunked,",
            ",chunked",
            "deflate",
        )
    ):
        coding = f"Transfer-Encoding: {codings}"
        yield f"coding {number} {codings!r}", _with(auth, coding, body=chunked, length=False)
        yield (
            f"length, coding {number} {codings!r}",
            _with(auth, "Content-Length: 16", coding, body=chunked, length=False),
        )
        yield (
            f"coding, length {number} {codings!r}",
            _with(auth, coding, "Content-Length: 16", body=chunked, length=False),
        )
    twice = ("Transfer-Encoding: chunked", "Transfer-Encoding: identity")
    yield "two codings", _with(auth, *twice, body=chunked, length=False)


def _chunks(auth: str) -> Iterator[tuple[str, bytes]]:
    """Chunked bodies."""
    bodies = [
        b"",
        b"\r\n",
        b"0\r\n",
        b"0\r\n\r\n",
        b"-1\r\nx\r\n0\r\n\r\n",
        b"0x10\r\nx",
        b"g\r\nx\r\n",
        b"FFFFFFFFFFFFFFFFF\r\nx",
        b"7FFFFFFFFFFFFFFF\r\nx",
        b'10;a=b\r\n{"content": "x"}\r\n0\r\n\r\n',
        b'10 ;a\r\n{"content": "x"}\r\n0\r\n\r\n',
        b"10;" + b"a" * 70_000 + b"\r\n",
        b"1\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}\n0\r\n\r\n",
        b"2\n{}\n0\n\n",
        b"2\r\n{}\r\n0\r\nX: y\r\n\r\n",
        b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"2\r\n{}\r\n0\r\nAuthorization: x\r\n\r\n",
        b"2\r\n{}\r\n0\r\n\0: y\r\n\r\n",
        b"2\r\n{}\r\n00000\r\n\r\n",
        b"\0\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{",
        b"1\r\n{\r\n" * 50,
        b"100001\r\n" + b" " * 0x100001 + b"\r\n0\r\n\r\n",
        b"".join(b"1\r\n \r\n" for _ in range(5000)) + b"0\r\n\r\n",
    ]
    for number, body in enumerate(bodies):
        yield f"chunks {number} {body[:20]!r}", _with(auth, "Transfer-Encoding: chunked", body=body, length=False)


def _bodies(auth: str) -> Iterator[tuple[str, bytes]]:
    """Bodies, to every kind of operation that reads one."""
    bodies = [
        b"",
        b" ",
        b"{",
        b"}",
        b"[]",
        b"null",
        b"1",
        b'"x"',
        b"\0",
        b"\xff",
        b"\xfe\xff\0{\0}",
        b"\xff\xfe{\0}\0",
        b"\xef\xbb\xbf{}",
        b"{}" * 2,
        b'{"content":"\\ud800"}',
        b'{"content":"\\u0000"}',
        b'{"content":"\xed\xa0\x80"}',
        b'{"content":"\xc0\x80"}',
        b'{"content":"x","content":"y"}',
        b'{"":""}',
        b'{"content":1e999}',
        b'{"limit":1' + b"0" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"metadata":' + b"[" * 40 + b"]" * 40 + b"}",
        b"NaN",
        b"/**/{}",
        b'{"content":"' + b"x" * MOST + b'"}',
        b'{"content":"x","metadata":{"\xff":1}}',
        b"content=x&y=z",
        b"<a/>",
        b'{"llm":{"provider":"\\u0000"}}',
        b'{"valid_from":"0000-00-00"}',
        b'{"messages":[[]]}',
        b'{"memories":[null]}',
    ]
    for target in ("/agent/memories", "/agent/memories/bulk", "/agent/query", "/agent/conversations"):
        for number, body in enumerate(bodies):
            sized = f"Content-Length: {len(body)}"
            usual = ("Host: aurra", auth, "Content-Type: application/json", "Connection: close", sized)
            yield f"body {number} {body[:20]!r} to {target}", _request(*usual, target=target, body=body)


def _paths(auth: str) -> Iterator[tuple[str, bytes]]:
    """Ids and names inside paths."""
    odd = (
        "%00",
        "%ff",
        "..",
        "%2e%2e",
        "0",
        "-1",
        "9" * 100,
        "a" * 3000,
        "%F0%9F%98%80",
        "%ed%a0%80",
        "null",
        "'",
        "%25",
        "%",
        "*",
    )
    for name in odd:
        for target in ("/memories/{}", "/agent/receipts/{}", "/agent/transactions/{}", "/agent/subjects/{}"):
            yield (
                f"path {target} {name[:20]}",
                _request("Host: a", auth, "Connection: close", method="GET", target=target.format(name)),
            )
