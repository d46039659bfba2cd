//! Wire forms and what must become of them, the same wherever requests come in. `@P` stands for what is put before a path, `@A` for the
//! header lines by which a caller is known there.

/// A form that is refused: what it is, its bytes, and the status.
pub(in crate::gateway) type Refused = (&'static str, &'static [u8], u16);

/// Requests whose framing, or whose meaning, could be read in two ways: nothing of them reaches a model.
pub(in crate::gateway) const REFUSED: &[Refused] = &[
    // Lengths.
    ("length and coding", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding and length", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n", 400),
    ("two lengths", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 1\r\ncontent-length: 2\r\n\r\nxy", 400),
    ("one length twice", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 1\r\ncontent-length: 1\r\n\r\nx", 400),
    ("lengths in a list", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 1, 1\r\n\r\nx", 400),
    ("no length", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: \r\n\r\n", 400),
    ("length with a plus", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: +1\r\n\r\nx", 400),
    ("negative length", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: -1\r\n\r\nx", 400),
    ("hexadecimal length", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 0x1\r\n\r\nx", 400),
    ("octal length", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 010\r\n\r\n0123456789", 400),
    ("length in words", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 1 1\r\n\r\nx", 400),
    ("length with a fraction", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 1.0\r\n\r\nx", 400),
    ("length beyond 64 bits", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 18446744073709551617\r\n\r\nx", 400),
    ("length beyond 63 bits", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 9223372036854775808\r\n\r\nx", 400),
    ("length as CGI has it", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent_length: 1\r\n\r\n", 400),
    // Codings.
    ("unknown coding", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    ("coding and identity", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("identity and coding", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding that compresses", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding twice", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding with a parameter", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400),
    ("quoted coding", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    ("coding with a tab inside", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chun\tked\r\n\r\n0\r\n\r\n", 400),
    ("coding with a comma", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked,\r\n\r\n0\r\n\r\n", 400),
    ("no coding", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding:\r\n\r\n0\r\n\r\n", 400),
    ("coding in HTTP/1.0", b"POST @P/ HTTP/1.0\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding as CGI has it", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer_encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("blank before the coding's colon", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    ("coding on a folded line", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    // Chunks.
    ("chunk without a size", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n\r\nx\r\n0\r\n\r\n", 400),
    ("chunk with 0x", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n", 400),
    ("chunk with a plus", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n", 400),
    ("negative chunk", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n", 400),
    ("blank before a chunk", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n 1\r\nx\r\n0\r\n\r\n", 400),
    ("blank behind a size", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n", 400),
    ("chunk beyond 64 bits", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n", 400),
    ("chunk beyond 63 bits", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nx\r\n0\r\n\r\n", 400),
    ("chunk longer than its size", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", 400),
    ("chunk that ends with LF", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n", 400),
    ("size that ends with LF", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n", 400),
    ("size that ends with CR", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1\rx\r\n0\r\n\r\n", 400),
    ("extension with LF", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n", 400),
    ("extension with CR", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n", 400),
    ("extension with NUL", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1;a\0\r\nx\r\n0\r\n\r\n", 400),
    ("last chunk with LF", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\n\n", 400),
    ("trailers that end with LF", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\nx: y\n\r\n", 400),
    ("length in trailers", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\n\r\n", 400),
    ("coding in trailers", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\ntransfer-encoding: chunked\r\n\r\n", 400),
    ("host in trailers", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\n", 400),
    ("key in trailers", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\nauthorization: x\r\n\r\n", 400),
    ("folded trailers", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\nx: y\r\n z\r\n\r\n", 400),
    ("trailer without a colon", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n", 400),
    // Lines.
    ("lines that end with LF", b"GET @P/ HTTP/1.1\nhost: a\n@A\n", 400),
    ("header that ends with LF", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: y\nz: w\r\n\r\n", 400),
    ("header with CR", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: y\rz: w\r\n\r\n", 400),
    ("header with NUL", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: y\0\r\n\r\n", 400),
    ("header with DEL", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: y\x7f\r\n\r\n", 400),
    ("folded header", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: y\r\n z\r\n\r\n", 400),
    ("first header folded", b"GET @P/ HTTP/1.1\r\n host: a\r\n@A\r\n", 400),
    ("blank before a colon", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax : y\r\n\r\n", 400),
    ("header without a colon", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax\r\n\r\n", 400),
    ("header without a name", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@A: y\r\n\r\n", 400),
    ("name with a byte beyond ASCII", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax\xe9: y\r\n\r\n", 400),
    ("name with brackets", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax(y): z\r\n\r\n", 400),
    ("two empty lines first", b"\r\n\r\nGET @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    // Request lines.
    ("HTTP/0.9", b"GET @P/\r\nhost: a\r\n@A\r\n", 400),
    ("two blanks", b"GET  @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("a tab", b"GET\t@P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("a blank at the end", b"GET @P/ HTTP/1.1 \r\nhost: a\r\n@A\r\n", 400),
    ("four words", b"GET @P/ x HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("lower-case version", b"GET @P/ http/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("HTTP/1.10", b"GET @P/ HTTP/1.10\r\nhost: a\r\n@A\r\n", 400),
    ("HTTP/1.2", b"GET @P/ HTTP/1.2\r\nhost: a\r\n@A\r\n", 505),
    ("HTTP/2.0", b"GET @P/ HTTP/2.0\r\nhost: a\r\n@A\r\n", 505),
    ("HTTP/0.9 by name", b"GET @P/ HTTP/0.9\r\nhost: a\r\n@A\r\n", 505),
    ("lower-case method", b"get @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("method that is no token", b"GE(T @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("TRACE", b"TRACE @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("CONNECT", b"CONNECT @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("fragment", b"GET @P/x#y HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("target beyond ASCII", b"GET @P/\xc3\xa9 HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("target with NUL", b"GET @P/\0 HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("target with a bare CR", b"GET @P/\rx HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    // Hosts.
    ("no host", b"GET @P/ HTTP/1.1\r\n@A\r\n", 400),
    ("two hosts", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ahost: b\r\n\r\n", 400),
    ("one host twice", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ahost: a\r\n\r\n", 400),
    ("hosts in a list", b"GET @P/ HTTP/1.1\r\nhost: a, b\r\n@A\r\n", 400),
    ("host with a path", b"GET @P/ HTTP/1.1\r\nhost: a/b\r\n@A\r\n", 400),
    ("host and another target", b"GET http://b@P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("target with a user", b"GET http://u@a@P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    ("target of another scheme", b"GET ftp://a@P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", 400),
    // Leaving HTTP, and expectations.
    ("bytes behind a wish to leave", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Aconnection: upgrade\r\nupgrade: websocket\r\n\r\nGET @P/2 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
    ("unknown expectation", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Aexpect: a-miracle\r\ncontent-length: 1\r\n\r\n", 417),
];

/// What the request is, its bytes, its line at the model, a line of its head there, its body there.
type Passed = (&'static str, &'static [u8], &'static [u8], &'static [u8], &'static [u8]);

/// Requests that are odd, and legal: they reach the model. `@P` and `@A` as above; then the request line as the model must see it, a line
/// its head must hold, and the body.
pub(in crate::gateway) const PASSED: &[Passed] = &[
    ("escapes stay", b"GET @P/a%2Fb%2e%2E/%00?q=%2F&x=%zz HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET /a%2Fb%2e%2E/%00?q=%2F&x=%zz HTTP/1.1", b"", b""),
    ("slashes and dots stay", b"GET @P//a//../b/./ HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET //a//../b/./ HTTP/1.1", b"", b""),
    ("parameters stay", b"GET @P/a;v=1,2/b=c;d?e;f HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET /a;v=1,2/b=c;d?e;f HTTP/1.1", b"", b""),
    ("an empty query stays", b"GET @P/a? HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET /a? HTTP/1.1", b"", b""),
    ("question marks in a query stay", b"GET @P/a??b=?&&=&c HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET /a??b=?&&=&c HTTP/1.1", b"", b""),
    ("what applications do not escape stays", b"GET @P/a|b\"{c}[d]^\\?e[]={f}|`\\ HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET /a|b\"{c}[d]^\\?e[]={f}|`\\ HTTP/1.1", b"", b""),
    ("an unknown method", b"BREW-POT! @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", b"BREW-POT! / HTTP/1.1", b"", b""),
    ("an empty line first", b"\r\nGET @P/ HTTP/1.1\r\nhost: a\r\n@A\r\n", b"GET / HTTP/1.1", b"", b""),
    ("8-bit values", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: \xff\xe9\t\xc3\xa9\r\n\r\n", b"GET / HTTP/1.1", b"x: \xff\xe9\t\xc3\xa9\r\n", b""),
    ("blanks around values", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax:\t y  z \t\r\n\r\n", b"GET / HTTP/1.1", b"x: y  z\r\n", b""),
    ("an empty value", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax:\r\n\r\n", b"GET / HTTP/1.1", b"x: \r\n", b""),
    ("names of any token", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax!#$%&'*+-.^_`|~9: y\r\n\r\n", b"GET / HTTP/1.1", b"x!#$%&'*+-.^_`|~9: y\r\n", b""),
    ("a header many times, in its order", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: 2\r\nX: 1\r\nx: 2\r\n\r\n", b"GET / HTTP/1.1", b"x: 2\r\nx: 1\r\nx: 2\r\n", b""),
    ("colons in values", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Ax: :y: z\r\n\r\n", b"GET / HTTP/1.1", b"x: :y: z\r\n", b""),
    ("a body of GET", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 3\r\n\r\nabc", b"GET / HTTP/1.1", b"content-length: 3\r\n", b"abc"),
    ("no body by length", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 0\r\n\r\n", b"POST / HTTP/1.1", b"", b""),
    ("chunks, their sizes in any case", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@ATransfer-Encoding: CHUNKED\r\n\r\n00A\r\n0123456789\r\n0\r\n\r\n", b"POST / HTTP/1.1", b"transfer-encoding: chunked\r\n", b"A\r\n0123456789\r\n0\r\n\r\n"),
    ("chunk extensions end here", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atransfer-encoding: chunked\r\n\r\n1;a;b=c;d=\"e f\"\r\nx\r\n0;z\r\n\r\n", b"POST / HTTP/1.1", b"transfer-encoding: chunked\r\n", b"1\r\nx\r\n0\r\n\r\n"),
    ("trailers", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Atrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-sum: \xff\r\n\r\n", b"POST / HTTP/1.1", b"trailer: x-sum\r\n", b"1\r\nx\r\n0\r\nx-sum: \xff\r\n\r\n"),
    ("a body that looks like a request", b"POST @P/ HTTP/1.1\r\nhost: a\r\n@Acontent-length: 30\r\n\r\nGET / HTTP/1.1\r\nhost: b\r\n\r\n\n\r\0", b"POST / HTTP/1.1", b"", b"GET / HTTP/1.1\r\nhost: b\r\n\r\n\n\r\0"),
    ("HTTP/1.0 without a host", b"GET @P/ HTTP/1.0\r\n@A\r\n", b"GET / HTTP/1.1", b"", b""),
    ("a host without a name", b"GET @P/ HTTP/1.1\r\nhost:\r\n@A\r\n", b"GET / HTTP/1.1", b"", b""),
    ("a whole URI", b"GET http://a:1@P/x?y HTTP/1.1\r\nHost: a:1\r\n@A\r\n", b"GET /x?y HTTP/1.1", b"", b""),
    ("ranges", b"GET @P/ HTTP/1.1\r\nhost: a\r\n@Arange: bytes=0-1,5-\r\n\r\n", b"GET / HTTP/1.1", b"range: bytes=0-1,5-\r\n", b""),
];

/// A wire form for a place where models have this prefix and callers are known by these header lines.
pub(in crate::gateway) fn placed(form: &[u8], prefix: &str, lines: &str) -> Vec<u8> {
    let mut placed = Vec::new();
    let mut rest = form;
    while let Some((byte, after)) = rest.split_first() {
        match (byte, after.split_first()) {
            (b'@', Some((b'P', after))) => (placed.extend(prefix.bytes()), rest = after),
            (b'@', Some((b'A', after))) => (placed.extend(lines.bytes()), rest = after),
            _ => (placed.push(*byte), rest = after),
        };
    }
    placed
}
