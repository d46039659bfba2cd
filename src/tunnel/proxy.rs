//! HTTP proxies that carry the TCP leg by CONNECT (RFC 9110 §9.3.6): `HTTPS_PROXY`, `NO_PROXY`, basic authentication (RFC 7617).

use std::{fmt, net::IpAddr};

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{TunnelError, reach};
use crate::secret::{ExposeSecret, SecretString};

/// The longest head of a proxy's answer, in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// The proxy's port where its URL names none.
const PORT: u16 = 80;
/// What to write instead of something that is no proxy.
const FORM: &str = "set HTTPS_PROXY to http://HOST:PORT or http://USER:PASSWORD@HOST:PORT (in a password write %40 for @, %3A for : and %2F for /)";

/// Which hosts are reached through which proxy. Without one, all are reached directly.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// The proxy, or why the variable names none.
    https: Option<Result<Proxy, String>>,
    except: Vec<Exception>,
}

/// A proxy and what it wants to know.
#[derive(Clone)]
pub(super) struct Proxy {
    host: String,
    port: u16,
    /// `Basic …`.
    authorization: Option<SecretString>,
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everything,
    /// A domain and all below it, at one port or at all.
    Domain(String, Option<u16>),
    /// Addresses that share so many leading bits, at one port or at all.
    Network(IpAddr, u8, Option<u16>),
}

impl Proxies {
    /// As the values of `HTTPS_PROXY` and `NO_PROXY` have it; an empty one says nothing. A value that is no proxy is told when a host would
    /// be reached through it, and nothing is sent then.
    pub fn of(https: &str, except: &str) -> Self {
        let https = https.trim();
        Self {
            https: (!https.is_empty()).then(|| Proxy::parse(https)),
            except: except.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()).map(exception).collect(),
        }
    }

    /// The proxy on the way to a host as people call it, `HOST:PORT`; `None`: directly.
    ///
    /// # Errors
    /// [`TunnelError::Proxy`] when the variable names none that can be used.
    pub fn via(&self, host: &str, port: u16) -> Result<Option<String>, TunnelError> {
        Ok(self.towards(host, port)?.map(ToString::to_string))
    }

    /// Whether a proxy is named at all.
    pub fn any(&self) -> bool {
        self.https.is_some()
    }

    /// The proxy on the way to a host; `None`: directly. This machine itself is never reached through a proxy.
    ///
    /// # Errors
    /// [`TunnelError::Proxy`] when the variable names none that can be used.
    pub(super) fn towards(&self, host: &str, port: u16) -> Result<Option<&Proxy>, TunnelError> {
        let Some(proxy) = &self.https else { return Ok(None) };
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        let address: Option<IpAddr> = host.parse().ok();
        if address.is_some_and(|address| address.is_loopback()) || host.eq_ignore_ascii_case("localhost") {
            return Ok(None);
        }
        if self.except.iter().any(|exception| exception.covers(host, address, port)) {
            return Ok(None);
        }
        proxy.as_ref().map(Some).map_err(|why| TunnelError::Proxy(format!("{why}; {FORM}")))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Proxy {
    /// Errors never quote the text: it may hold a password.
    fn parse(text: &str) -> Result<Self, String> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Zeroizing::new(whole);
        let url = Url::parse(&url).map_err(|_| "the value of HTTPS_PROXY is not a URL".to_owned())?;
        if url.scheme() != "http" {
            return Err(format!(
                "HTTPS_PROXY names a proxy of the kind {}://, and only http:// ones are spoken to",
                url.scheme()
            ));
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => address.to_string(),
            Some(host) => host.to_string(),
            None => return Err("the value of HTTPS_PROXY names no host".to_owned()),
        };
        let authorization = (!url.username().is_empty() || url.password().is_some()).then(|| {
            let mut pair = Zeroizing::new(decoded(url.username()));
            pair.push(b':');
            pair.extend_from_slice(&Zeroizing::new(decoded(url.password().unwrap_or_default())));
            format!("Basic {}", BASE64_STANDARD.encode(&*pair)).into()
        });
        Ok(Self { host, port: url.port().unwrap_or(PORT), authorization })
    }

    /// A connection to the host that the proxy carries; TLS with the host is still to come, so the proxy sees its name and no more.
    ///
    /// # Errors
    /// [`TunnelError::Proxy`] when the proxy is not there, refuses, or is none.
    pub(super) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, TunnelError> {
        let failed = |why: String, next: &str| {
            TunnelError::Proxy(format!("the proxy {self} of HTTPS_PROXY {why}; {next}"))
        };
        let mut stream = reach::direct(&self.host, self.port).await.map_err(|e| {
            failed(
                format!("cannot be reached ({e})"),
                "check HTTPS_PROXY, or name the gateway in NO_PROXY to go past the proxy",
            )
        })?;
        let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        if target.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(TunnelError::Unreachable(format!("{target:?} is not a host and a port")));
        }
        let mut ask = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
        if let Some(authorization) = &self.authorization {
            ask.push_str("Proxy-Authorization: ");
            ask.push_str(authorization.expose_secret());
            ask.push_str("\r\n");
        }
        ask.push_str("\r\n");
        let asked = async {
            stream.write_all(ask.as_bytes()).await.map_err(|e| e.to_string())?;
            status(&mut stream).await
        };
        let again = "check that HTTPS_PROXY names an HTTP proxy";
        match asked.await.map_err(|why| failed(format!("did not answer as a proxy: {why}"), again))? {
            200..=299 => Ok(stream),
            407 if self.authorization.is_some() => {
                Err(failed("does not accept the user and password in HTTPS_PROXY (407)".to_owned(), FORM))
            }
            407 => Err(failed("wants a user and a password (407)".to_owned(), FORM)),
            refused => Err(failed(
                format!("does not connect to {target} (it answered {refused})"),
                "ask whoever runs it to allow CONNECT to this host and port, or name the host in NO_PROXY",
            )),
        }
    }
}

/// The status of the proxy's answer. Not a byte after its head is read: that is the host's.
async fn status(from: &mut (impl AsyncRead + Unpin)) -> Result<u16, String> {
    let mut head = Vec::with_capacity(128);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(format!("more than {MAX_HEAD} bytes and no end of its head"));
        }
        head.push(from.read_u8().await.map_err(|_| "it hung up".to_owned())?);
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| "its answer is not HTTP".to_owned())?;
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let code = words.next().filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    match code {
        Some(code) if matches!(version, "HTTP/1.1" | "HTTP/1.0") => Ok(code),
        _ => Err("its answer is not HTTP".to_owned()),
    }
}

impl Exception {
    fn covers(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        let at = |only: &Option<u16>| only.is_none_or(|only| only == port);
        match self {
            Self::Everything => true,
            Self::Domain(domain, only) => {
                let host = host.to_ascii_lowercase();
                let below = host.strip_suffix(domain.as_str());
                at(only) && below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Self::Network(network, bits, only) => {
                at(only) && address.is_some_and(|address| share(*network, address, *bits))
            }
        }
    }
}

fn exception(entry: &str) -> Exception {
    if entry == "*" {
        return Exception::Everything;
    }
    if let Some((network, bits)) = entry.split_once('/')
        && let (Ok(network), Ok(bits)) = (network.parse(), bits.parse())
    {
        return Exception::Network(network, bits, None);
    }
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Exception::Network(address, u8::MAX, None);
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => (name, port.parse().ok()),
        _ => (entry, None),
    };
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return Exception::Network(address, u8::MAX, port);
    }
    let domain = name.trim_start_matches('*').trim_start_matches('.').trim_end_matches('.');
    Exception::Domain(domain.to_ascii_lowercase(), port)
}

/// Whether two addresses of one family share their first bits.
fn share(a: IpAddr, b: IpAddr, bits: u8) -> bool {
    let differing = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    let width = if a.is_ipv4() { 32 } else { 128 };
    differing >= u32::from(bits).min(width)
}

/// Percent-encoding undone (RFC 3986 §2.1).
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|pair| std::str::from_utf8(pair).ok())
            .and_then(|pair| u8::from_str_radix(pair, 16).ok());
        bytes.push(hex.unwrap_or(*first));
        rest = if hex.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn through(except: &str, host: &str, port: u16) -> bool {
        Proxies::of("http://proxy.example.test:3128", except).towards(host, port).unwrap().is_some()
    }

    #[test]
    fn no_proxy_names_domains_addresses_networks_and_ports() {
        for (except, host, port, proxied) in [
            ("", "gateway.example.com", 443, true),
            ("", "localhost", 443, false),
            ("", "127.0.0.1", 443, false),
            ("", "[::1]", 443, false),
            ("*", "gateway.example.com", 443, false),
            ("example.com", "gateway.example.com", 443, false),
            (".example.com", "Gateway.Example.Com.", 443, false),
            ("*.example.com", "gateway.example.com", 443, false),
            ("example.com", "notexample.com", 443, true),
            ("corp.test, gateway.example.com:8443", "gateway.example.com", 443, true),
            ("corp.test, gateway.example.com:8443", "gateway.example.com", 8443, false),
            ("10.0.0.0/8", "10.9.8.7", 443, false),
            ("10.0.0.0/8", "11.9.8.7", 443, true),
            ("10.0.0.0/8", "10.example.com", 443, true),
            ("192.0.2.7", "192.0.2.7", 443, false),
            ("192.0.2.7:444", "192.0.2.7", 443, true),
            ("2001:db8::/32", "2001:db8::7", 443, false),
            ("[2001:db8::7]:443", "2001:db8::7", 443, false),
            ("0.0.0.0/0", "2001:db8::7", 443, true),
        ] {
            assert_eq!(through(except, host, port), proxied, "{except:?} {host}:{port}");
        }
        assert!(Proxies::default().towards("gateway.example.com", 443).unwrap().is_none());
    }

    #[test]
    fn what_is_no_proxy_is_told_with_the_remedy_and_without_the_password() {
        let password = ["hun", "ter2"].concat();
        for text in [
            format!("socks5://u:{password}@proxy:1080"),
            format!("https://u:{password}@proxy"),
            format!("http://u:{password}@:80"),
            format!("http://u:{password}@pro xy:80"),
        ] {
            let proxies = Proxies::of(&text, "");
            let error = proxies.towards("gateway.example.com", 443).unwrap_err().to_string();
            assert!(error.contains("http://USER:PASSWORD@HOST:PORT"), "{error}");
            assert!(!format!("{error}{proxies:?}").contains(&password), "{error}");
            assert!(proxies.towards("localhost", 443).unwrap().is_none(), "it is of no concern there");
        }
        let proxies = Proxies::of(&format!("u:{password}@proxy.example.test"), "");
        assert!(!format!("{proxies:?}").contains(&password));
    }

    /// A proxy that answers so; what it was asked.
    async fn asked(credentials: &str, answer: &'static [u8]) -> (Result<TcpStream, TunnelError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut ask = Vec::new();
            while !ask.ends_with(b"\r\n\r\n") {
                ask.push(stream.read_u8().await.unwrap());
            }
            let _ = stream.write_all(answer).await;
            String::from_utf8(ask).unwrap()
        });
        let proxies = Proxies::of(&format!("http://{credentials}{address}"), "");
        let proxy_of = proxies.towards("gateway.example.com", 8443).unwrap().unwrap();
        let outcome = proxy_of.connect("gateway.example.com", 8443).await;
        (outcome, proxy.await.unwrap())
    }

    #[tokio::test]
    async fn connect_is_asked_with_the_password_decoded_and_not_a_byte_too_much_is_read() {
        let (stream, ask) = asked("us%65r:p%40ss@", b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhost").await;
        let credentials = BASE64_STANDARD.encode("user:p@ss");
        assert_eq!(
            ask,
            format!(
                "CONNECT gateway.example.com:8443 HTTP/1.1\r\nHost: gateway.example.com:8443\r\n\
                 Proxy-Authorization: Basic {credentials}\r\n\r\n"
            )
        );
        let mut rest = String::new();
        stream.unwrap().read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "host");
        let (_, ask) = asked("", b"HTTP/1.0 200\r\n\r\n").await;
        assert!(!ask.contains("Authorization"), "{ask}");
    }

    #[tokio::test]
    async fn a_proxy_that_does_not_carry_is_told_with_what_to_do() {
        let endless: &'static [u8] = Box::leak(vec![b'x'; MAX_HEAD + 1].into_boxed_slice());
        for (credentials, answer, words) in [
            ("", b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".as_slice(), "USER:PASSWORD"),
            ("u:secretly@", b"HTTP/1.1 407 No\r\n\r\n", "does not accept the user and password"),
            ("", b"HTTP/1.1 403 Forbidden\r\n\r\n", "it answered 403"),
            ("", b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", "it answered 302"),
            ("", b"220 mail.example.test ESMTP\r\n\r\n", "is not HTTP"),
            ("", b"HTTP/1.1 200 OK\r\n", "hung up"),
            ("", endless, "no end of its head"),
        ] {
            let (outcome, _) = asked(credentials, answer).await;
            let Err(TunnelError::Proxy(why)) = outcome else { panic!("{words}: {outcome:?}") };
            assert!(why.contains(words) && !why.contains("secretly"), "{why}");
        }
    }
}
