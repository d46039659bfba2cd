//! The way to the gateway over TCP: its name, a connection, TLS and whom it is believed by, who answers, what time it is there.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http::{Request, header};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::Instant,
};
use url::Url;

use super::{
    Finding, Patient, Verdict, chain,
    clock::{by_date, by_validity, http_date},
    proxy::Seen,
    within,
};
use crate::client::{
    ClientError, Kind,
    https::{self, Https},
};

/// How long each step may take.
const LOOKUP: Duration = Duration::from_millis(2500);
const CONNECT: Duration = Duration::from_millis(2500);
const HANDSHAKE: Duration = Duration::from_millis(3000);
pub(super) const TALK: Duration = Duration::from_millis(2000);
/// Addresses tried of one name.
const MAX_ADDRESSES: usize = 8;

/// What became of the gateway's name.
pub(super) struct Dns {
    pub(super) finding: Finding,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Looks the gateway's name up.
pub(super) async fn dns(gateway: &Url) -> Dns {
    let (host, port) = https::address(gateway);
    if let Ok(address) = host.parse::<IpAddr>() {
        let finding = Finding::skip("dns", "the gateway's address is a number: there is no name to look up");
        return Dns { finding, addresses: vec![SocketAddr::new(address, port)] };
    }
    let action = format!(
        "check the name {host:?}; if it is right, check this machine's DNS servers (a VPN may have to be up)"
    );
    let failed = |why: String| Dns {
        finding: Finding::fail("dns", format!("{host} cannot be looked up: {why}"), action.clone()),
        addresses: Vec::new(),
    };
    match within(LOOKUP, lookup_host((host.as_str(), port))).await {
        None => failed(format!("no answer within {} ms", LOOKUP.as_millis())),
        Some(Err(error)) => failed(error.to_string()),
        Some(Ok(found)) => {
            let mut addresses: Vec<SocketAddr> = found.collect();
            addresses.dedup();
            addresses.truncate(MAX_ADDRESSES);
            if addresses.is_empty() {
                return failed("it has no address".to_owned());
            }
            let list: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Dns { finding: Finding::pass("dns", format!("{host} is {}", list.join(", "))), addresses }
        }
    }
}

/// What became of the way over TCP.
pub(super) struct OverTcp {
    /// `tcp`, `tls`, `gateway` and `clock`.
    pub(super) findings: Vec<Finding>,
    /// Whether TCP connected.
    pub(super) connected: bool,
    /// Whether TLS's first flights, which need several packets each way, went through.
    pub(super) shook_hands: bool,
    /// Whether the handshake went unanswered although TCP had connected.
    pub(super) hung: bool,
}

/// Connects, looks at TLS, and, where the gateway is believed, asks it who it is and what time it has.
pub(super) async fn over_tcp(patient: &Patient, gateway: &Url, dns: &Dns, proxy: &Seen) -> OverTcp {
    let tcp = tcp(gateway, dns, proxy).await;
    let connected = tcp.status == Verdict::Pass;
    let mut seen = OverTcp { findings: vec![tcp], connected, shook_hands: false, hung: false };
    if !connected {
        let why = "there is no TCP connection to look through";
        seen.findings.extend(["tls", "gateway", "clock"].map(|check| Finding::skip(check, why)));
        return seen;
    }
    let looked = match within(HANDSHAKE, https::look(gateway, &patient.laptop.settings.proxies)).await {
        None => {
            seen.hung = true;
            let action = "see the check mtu; else ask who runs the network what stops TLS to this address";
            let detail = format!(
                "TCP connects, but the TLS handshake is not answered within {} s",
                HANDSHAKE.as_secs()
            );
            return without_tls(seen, Finding::fail("tls", detail, action));
        }
        Some(Err(error)) => return without_tls(seen, of_error("tls", &error)),
        Some(Ok(looked)) => looked,
    };
    seen.shook_hands = true;
    let judged = chain::judge(patient, gateway, &looked).await;
    let (believed, validity) = (judged.believed, judged.validity);
    seen.findings.push(judged.finding);
    if !believed {
        seen.findings.push(Finding::skip("gateway", "not asked: its certificate is not believed"));
        seen.findings.push(by_validity(validity, patient.laptop.settings.clock.now()));
        return seen;
    }
    seen.findings.extend(introduce(patient, gateway).await);
    seen
}

fn without_tls(mut seen: OverTcp, tls: Finding) -> OverTcp {
    seen.findings.push(tls);
    let why = "there is no TLS to ask through";
    seen.findings.extend(["gateway", "clock"].map(|check| Finding::skip(check, why)));
    seen
}

/// All addresses at once: one that answers is enough, and those that do not are named.
async fn tcp(gateway: &Url, dns: &Dns, proxy: &Seen) -> Finding {
    let authority = https::authority(gateway);
    if let Some(through) = &proxy.through {
        return match proxy.finding.status {
            Verdict::Pass => Finding::pass("tcp", format!("connected to {authority} through {through}")),
            _ => Finding::skip("tcp", format!("{through} would carry it, and does not")),
        };
    }
    if dns.addresses.is_empty() {
        return Finding::skip("tcp", "there is no address to connect to");
    }
    let mut tries = JoinSet::new();
    for address in dns.addresses.clone() {
        let start = Instant::now();
        tries.spawn(async move {
            let outcome = match within(CONNECT, TcpStream::connect(address)).await {
                Some(Ok(_)) => Ok(start.elapsed()),
                Some(Err(error)) => Err(error.to_string()),
                None => Err(format!("no answer within {} ms", CONNECT.as_millis())),
            };
            (address, outcome)
        });
    }
    let (mut reached, mut silent) = (Vec::new(), Vec::new());
    for (address, outcome) in tries.join_all().await {
        match outcome {
            Ok(took) => reached.push(format!("{address} in {} ms", took.as_millis())),
            Err(why) => silent.push(format!("{address}: {why}")),
        }
    }
    silent.sort();
    if reached.is_empty() {
        return Finding::fail(
            "tcp",
            format!("{authority} cannot be reached ({})", silent.join("; ")),
            "check that the gateway runs, its address and port, and that no firewall on the way refuses it; \
             set HTTPS_PROXY where this network lets nothing out directly",
        );
    }
    reached.sort();
    let mut detail = format!("connected to {}", reached.join(", "));
    if !silent.is_empty() {
        detail.push_str(&format!("; no way to {}", silent.join("; ")));
    }
    Finding::pass("tcp", detail)
}

/// Who the gateway says it is, and its time.
async fn introduce(patient: &Patient, gateway: &Url) -> Vec<Finding> {
    let now = || patient.laptop.settings.clock.now();
    let asked = async {
        let https = Https::new(gateway, &patient.trust, &patient.laptop.settings.proxies)?;
        let found = https.discover().await?;
        let request =
            Request::get(gateway.join("/.well-known/hoopctl").map_or_else(|_| String::new(), Into::into))
                .body(Vec::new())
                .map_err(|e| ClientError::failed("request", e.to_string()))?;
        let before = now();
        let answer = https.send(request).await?;
        let date =
            answer.headers().get(header::DATE).and_then(|value| value.to_str().ok()).and_then(http_date);
        Ok::<_, ClientError>((found, date, before))
    };
    match within(TALK, asked).await {
        None => {
            let detail = format!("no answer to a request within {} s", TALK.as_secs());
            vec![
                Finding::fail("gateway", detail, "try again; if it stays so, tell the gateway's operator"),
                Finding::skip("clock", "the gateway does not say what time it has"),
            ]
        }
        Some(Err(error)) => vec![
            of_error("gateway", &error),
            Finding::skip("clock", "the gateway does not say what time it has"),
        ],
        Some(Ok((found, date, before))) => {
            let providers: Vec<_> = found.providers.iter().map(|one| one.name.as_str()).collect();
            let detail = format!("{} answers; one can log in with {}", found.gateway, providers.join(", "));
            vec![Finding::pass("gateway", detail), by_date(date, before)]
        }
    }
}

fn of_error(check: &'static str, error: &ClientError) -> Finding {
    let action = error.remedy.clone().unwrap_or_else(|| match error.kind {
        Kind::Trust => "ask who runs the network what stands between this machine and the gateway".to_owned(),
        _ => "try again; if it stays so, tell the gateway's operator".to_owned(),
    });
    Finding::fail(check, error.message.clone(), action)
}
