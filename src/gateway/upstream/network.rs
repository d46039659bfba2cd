//! The places in which a relaxed upstream may lie.

use std::{fmt, net::IpAddr, str::FromStr};

/// How the unix sockets of this machine are called among networks.
pub const UNIX: &str = "unix";

/// Where plaintext and unverified TLS are allowed.
#[derive(Clone, Debug)]
pub(super) struct Places {
    unix: bool,
    networks: Vec<Network>,
}

impl Places {
    /// Of `relaxed_networks`: networks and [`UNIX`]; an empty list is the default, unix sockets and loopback.
    pub(super) fn parse(list: &[String]) -> Result<Self, NetworkError> {
        if list.is_empty() {
            return Ok(Self { unix: true, networks: Network::loopback().to_vec() });
        }
        let networks: Result<_, _> = list.iter().filter(|one| *one != UNIX).map(|one| one.parse()).collect();
        Ok(Self { unix: list.iter().any(|one| one == UNIX), networks: networks? })
    }

    /// Whether this machine's unix sockets are among them.
    pub(super) fn unix(&self) -> bool {
        self.unix
    }

    /// Whether the address is in one of the networks.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

/// A CIDR network, such as `10.0.0.0/8` or `fd00::/8`; a bare address is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// As 128 bits; IPv4 in its IPv6-mapped form, so that both spellings of an address are one.
    bits: u128,
    prefix: u32,
}

impl Network {
    /// `127.0.0.0/8` and `::1`.
    pub fn loopback() -> [Self; 2] {
        [
            Self { bits: bits(IpAddr::from([127, 0, 0, 0])), prefix: 104 },
            Self { bits: bits(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])), prefix: 128 },
        ]
    }

    /// Whether the address lies inside. `::ffff:127.0.0.1` is `127.0.0.1`.
    pub fn contains(&self, address: IpAddr) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
        bits(address) & mask == self.bits & mask
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network: write it as 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let (widest, offset) = match address {
            IpAddr::V4(_) => (32, 96),
            IpAddr::V6(_) => (128, 0),
        };
        let prefix = match prefix {
            Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => {
                prefix.parse().ok().filter(|p| *p <= widest).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
            None => widest,
        };
        Ok(Self { bits: bits(address), prefix: prefix + offset })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = std::net::Ipv6Addr::from_bits(self.bits);
        match address.to_ipv4_mapped() {
            Some(v4) if self.prefix >= 96 => write!(f, "{v4}/{}", self.prefix - 96),
            _ => write!(f, "{address}/{}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_inside_by_its_bits_in_either_spelling() {
        for (network, address, inside) in [
            ("127.0.0.0/8", "127.255.0.1", true),
            ("127.0.0.0/8", "128.0.0.1", false),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("127.0.0.0/8", "::1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "8.8.8.8", true),
            ("fd00::/8", "fdab::1", true),
            ("fd00::/8", "fe80::1", false),
            ("192.168.1.129/25", "192.168.1.200", true),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
        assert!(Network::loopback().iter().any(|n| n.contains("127.0.0.1".parse().unwrap())));
        assert!(Network::loopback().iter().any(|n| n.contains("::1".parse().unwrap())));
        assert!(!Network::loopback().iter().any(|n| n.contains("10.0.0.1".parse().unwrap())));
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/+8", "localhost"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        assert_eq!("10.0.0.0/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }
}
