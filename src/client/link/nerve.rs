//! Feels the network under a connection: looks at it a few times a second and does what the pulse says.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{
    Core, Line,
    pulse::{Act, Change, Pulse, Seen},
};

/// Between looks while streams are open, and while none is.
const BUSY: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(1);

/// What is felt.
pub(super) enum Sign {
    Change(Change),
    Silence,
}

/// The senses of one connection.
pub(super) struct Nerve {
    pulse: Pulse,
    next: Instant,
}

impl Nerve {
    pub(super) fn of(core: &Core, line: &Line) -> Self {
        let first = look(core, line);
        Self { pulse: Pulse::new(first, line.connection.transport()), next: first.at + BUSY }
    }

    /// Resolves when there is something to tell. Cancel safe.
    pub(super) async fn feel(&mut self, core: &Core, line: &Arc<Line>) -> Sign {
        loop {
            let seen = self.beat(core, line).await;
            let (change, act) = self.pulse.judge(seen);
            match act {
                Act::Nothing => {}
                Act::Ask => line.connection.ping(),
                Act::MoveOn => line.connection.move_on(),
                Act::GiveUp => return Sign::Silence,
            }
            if let Some(change) = change {
                return Sign::Change(change);
            }
        }
    }

    /// Resolves when a silent connection is heard. It is asked again and again, from wherever this machine is then. Cancel safe.
    pub(super) async fn heard_again(&mut self, core: &Core, line: &Arc<Line>) {
        let before = line.connection.heard();
        loop {
            let seen = self.beat(core, line).await;
            if seen.heard != before {
                self.pulse = Pulse::new(seen, line.connection.transport());
                return;
            }
            match self.pulse.judge(seen).1 {
                Act::Nothing => {}
                Act::Ask | Act::GiveUp => line.connection.ping(),
                Act::MoveOn => line.connection.move_on(),
            }
        }
    }

    async fn beat(&mut self, core: &Core, line: &Line) -> Seen {
        sleep_until(self.next).await;
        let seen = look(core, line);
        self.next = seen.at + if seen.busy { BUSY } else { IDLE };
        seen
    }
}

fn look(core: &Core, line: &Line) -> Seen {
    Seen {
        at: Instant::now(),
        wall: core.laptop.settings.clock.now(),
        heard: line.connection.heard(),
        sent: line.connection.sent(),
        busy: !line.streams.is_empty(),
        address: address_towards(line.connection.remote_address()),
    }
}

/// This machine's address on the route to `remote`, which the system knows without a packet being sent.
fn address_towards(remote: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if remote.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
