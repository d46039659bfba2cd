//! The control stream: hello and welcome, renewals, notices. Frames of at most [`super::MAX_FRAME`].

use serde::{Deserialize, Serialize};

use super::Refusal;

/// What the laptop says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromLaptop {
    /// First on the stream.
    Hello {
        /// The sender's [`super::VERSION`].
        version: u32,
        /// Program and version, such as `hoopctl/0.1.0 linux-x86_64`, for the audit log.
        client: String,
        /// Optional behaviours the sender knows.
        #[serde(default)]
        capabilities: Vec<String>,
    },
    /// Asks for the lease to be extended with a certificate for a fresh key.
    Renew {
        /// PKCS #10 request, PEM.
        csr: String,
    },
    /// A kind this version does not know; ignored.
    #[serde(other)]
    Unknown,
}

/// What the gateway says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum FromGateway {
    /// Answers [`FromLaptop::Hello`]: only now is the laptop connected.
    Welcome {
        /// The gateway's [`super::VERSION`].
        version: u32,
        /// Program and version.
        gateway: String,
        /// Who the gateway takes the caller for.
        user: String,
        /// When the connection's lease ends unless renewed, RFC 3339.
        lease_expires_at: String,
        /// Optional behaviours the sender knows.
        #[serde(default)]
        capabilities: Vec<String>,
    },
    /// Answers [`FromLaptop::Renew`]: the lease is extended.
    Renewed(super::api::Credential),
    /// Answers hello or renew with a no. After a refused hello the connection is closed.
    Refused(Refusal),
    /// Something to tell the person; never needs an answer.
    Notice(Notice),
    /// A kind this version does not know; ignored.
    #[serde(other)]
    Unknown,
}

/// What a person at the laptop should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The gateway is going away: open streams go on, new ones belong on a new connection.
    Draining,
    /// The session has been ended: streams are being reset.
    Revoked {
        /// Why, in a sentence.
        reason: String,
    },
    /// An exchange waits for a person's yes.
    ApprovalPending {
        /// The approval.
        id: String,
        /// The model.
        model: String,
        /// Groups whose members may approve.
        approvers: Vec<String>,
        /// How many yeses it takes.
        #[serde(default = "one")]
        needed: u32,
        /// The page where it is decided.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// It has it.
    ApprovalGranted {
        /// The approval.
        id: String,
        /// Its end, RFC 3339: streams that live by it are ended then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<String>,
    },
    /// The roots by which to believe the gateway from now on have changed, or are about to.
    Roots {
        /// Counts the changes: an older one than is known is ignored.
        version: u64,
        /// Every root, PEM.
        roots: String,
    },
    /// It was denied, or nobody answered in time.
    ApprovalRefused {
        /// The approval.
        id: String,
        /// Who, or that nobody did, in a sentence.
        reason: String,
    },
    /// A kind this version does not know; ignored.
    #[serde(other)]
    Unknown,
}

fn one() -> u32 {
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_message_of_a_newer_peer_is_unknown_not_an_error() {
        let heard: FromGateway = serde_json::from_str(r#"{"say":"sing","tune":"x"}"#).unwrap();
        assert_eq!(heard, FromGateway::Unknown);
        let heard: FromGateway = serde_json::from_str(r#"{"say":"notice","notice":"weather"}"#).unwrap();
        assert_eq!(heard, FromGateway::Notice(Notice::Unknown));
    }
}
