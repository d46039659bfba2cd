//! The encryption-in-transit report: what an audit log says about a time, as figures that anyone can work out again from the same events.
//!
//! ```text
//!  events of a gateway's ledger ─┐
//!                                ├─▶ Folding ─▶ Report ─▶ JSON, or one HTML page
//!  entries of a verified bundle ─┘    pure, bounded
//! ```

use serde::{Deserialize, Serialize};

mod approvals;
mod chart;
mod control;
mod fold;
mod html;
mod legs;
mod lives;
mod markup;
mod sections;
mod tally;
#[cfg(test)]
mod tests;
mod uses;

pub use fold::{Folding, Made};
pub use html::page;

/// The value of [`Report::schema`].
pub const SCHEMA: u32 = 1;

/// The figures of a time. Fields may be added, never renamed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When the report was made, RFC 3339.
    pub made_at: String,
    /// By which program, and from what.
    pub made_by: String,
    /// The first moment that counts, RFC 3339; empty for the log's beginning.
    pub since: String,
    /// The first moment that counts no more, RFC 3339.
    pub until: String,
    /// What was read.
    pub events: Events,
    /// How often models were used, and how it ended.
    pub exchanges: Exchanges,
    /// Caller → gateway, of all exchanges.
    pub client: LegFigures,
    /// Gateway → model, of the exchanges that reached a model's server.
    pub upstream: LegFigures,
    /// Uses of models whose TLS is relaxed, by model and server.
    pub relaxed: Listed<Relaxed>,
    /// Connections without TLS that were refused.
    pub plaintext: Plaintext,
    /// What happened to certificates.
    pub certificates: Listed<Happening>,
    /// Approvals that were asked for, decided or used.
    pub approvals: Listed<Approval>,
    /// What was masked, by entity.
    pub masked: Listed<Masked>,
    /// Answers that a caller was let see as they were although the model's answers are masked.
    pub unmasked: Listed<UnmaskedUse>,
    /// Starts, and changes of policies and configuration.
    pub changes: Listed<Happening>,
    /// Logins that were ended.
    pub revocations: Listed<Happening>,
    /// Who came, and who tried to.
    pub access: Access,
    /// Exchanges that were recorded, and what could not be.
    pub recordings: Recordings,
    /// What the log does not show, or not whole.
    pub gaps: Listed<Gap>,
    /// Day by day.
    pub days: Vec<Day>,
    /// By caller, the busiest first.
    pub callers: Listed<CallerUse>,
    /// By model, the busiest first.
    pub models: Listed<ModelUse>,
    /// Which figures speak to which control.
    pub controls: Vec<Control>,
    /// The signed head of the log that the figures are of.
    pub checkpoint: Option<Head>,
}

/// The first of a list, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listed<T> {
    /// How many there are; where that is more than could be told apart, at least so many.
    pub total: u64,
    /// Those that are shown.
    pub shown: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { total: 0, shown: Vec::new() }
    }
}

impl<T> Listed<T> {
    /// How many are not shown.
    pub fn more(&self) -> u64 {
        self.total.saturating_sub(self.shown.len() as u64)
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Events {
    /// Events of the time.
    pub total: u64,
    /// The time of the earliest, RFC 3339.
    pub first: String,
    /// The time of the latest, RFC 3339.
    pub last: String,
    /// Entries of the log that are not understood, whatever their time: no figure has them.
    pub unread: u64,
    /// By kind, the most frequent first.
    pub kinds: Vec<Count>,
}

/// A name and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Count {
    /// What.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// How often models were used, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exchanges {
    /// Every exchange, refused ones too.
    pub total: u64,
    /// Encrypted on each leg there was.
    pub encrypted: u64,
    /// Not encrypted on a leg.
    pub unencrypted: u64,
    /// Of those: no leg that left the gateway's machine was unencrypted.
    pub unencrypted_local: u64,
    /// The log does not say how they were carried.
    pub unknown: u64,
    /// Encrypted with a post-quantum key exchange on each leg there was.
    pub post_quantum: u64,
    /// By outcome.
    pub outcomes: Vec<Count>,
    /// By what policy said.
    pub verdicts: Vec<Count>,
}

/// One leg's figures; those behind `encrypted`, `plaintext` and `local` add up to `exchanges`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LegFigures {
    /// Exchanges that had this leg.
    pub exchanges: u64,
    /// By TLS.
    pub encrypted: u64,
    /// With a post-quantum key exchange.
    pub post_quantum: u64,
    /// Not encrypted, over a network.
    pub plaintext: u64,
    /// Not encrypted, over a socket of the gateway's own machine.
    pub local: u64,
    /// Encrypted, and the server's certificate was not verified.
    pub unverified: u64,
    /// By TLS version.
    pub versions: Vec<Share>,
    /// By cipher suite.
    pub ciphers: Vec<Share>,
    /// By key-exchange group.
    pub groups: Vec<Share>,
    /// By carrier.
    pub transports: Vec<Share>,
}

/// A part of a leg's exchanges.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// What they have in common.
    pub name: String,
    /// How many.
    pub exchanges: u64,
    /// Of all of the leg, with two digits behind the point, rounded down: 100 is all of them.
    pub percent: f64,
    /// Not encrypted.
    pub unencrypted: bool,
}

/// Uses of a model whose TLS is relaxed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Relaxed {
    /// The model.
    pub model: String,
    /// Which server, where the log says.
    pub url: String,
    /// How often.
    pub exchanges: u64,
    /// Of those, without any encryption.
    pub plaintext: u64,
    /// Of those, encrypted to a server that was not verified.
    pub unverified: u64,
    /// The first time.
    pub first: String,
    /// The last time.
    pub last: String,
}

/// Connections without TLS that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plaintext {
    /// How many.
    pub attempts: u64,
    /// By day.
    pub days: Vec<Count>,
    /// By where they came from, the most frequent first.
    pub sources: Listed<Count>,
}

/// An event other than an exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Happening {
    /// When.
    pub time: String,
    /// The event's kind.
    pub kind: String,
    /// Whose, where it is somebody's.
    pub user: String,
    /// What happened.
    pub detail: String,
}

/// An approval.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Approval {
    /// `apr_…`.
    pub id: String,
    /// For which model.
    pub model: String,
    /// Who asked; empty when that was before the time.
    pub requester: String,
    /// When; empty when that was before the time.
    pub requested_at: String,
    /// Who said yes, in the order in which they did.
    pub approvers: Vec<String>,
    /// Who said no.
    pub denied_by: String,
    /// What last became of it: `requested`, `approved`, `granted`, `denied`, `expired` or `ended`; `used` when only its uses are of the time.
    pub state: String,
    /// When that was.
    pub changed_at: String,
    /// What the log says of it.
    pub detail: String,
    /// Exchanges that it let pass.
    pub exchanges: u64,
}

/// What was masked of one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Masked {
    /// The entity.
    pub entity: String,
    /// Values.
    pub values: u64,
    /// In how many exchanges.
    pub exchanges: u64,
}

/// Answers that a caller saw unmasked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnmaskedUse {
    /// Who.
    pub user: String,
    /// Of which model.
    pub model: String,
    /// By which policies.
    pub policies: Vec<String>,
    /// How often.
    pub exchanges: u64,
    /// The first time.
    pub first: String,
    /// The last time.
    pub last: String,
}

/// Who came, and who tried to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Access {
    /// Logins.
    pub logins: u64,
    /// Renewals, at which groups are asked for anew.
    pub renewals: u64,
    /// Logins that failed.
    pub failed_logins: u64,
    /// Requests to models that no caller stood behind.
    pub unknown_callers: u64,
    /// Logins ended.
    pub revocations: u64,
    /// How often somebody read of the log what others did.
    pub audit_reads: u64,
    /// How often somebody opened a recording.
    pub recording_reads: u64,
}

/// Recordings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recordings {
    /// Exchanges with a recording.
    pub recorded: u64,
    /// What could not be recorded, or is gone.
    pub failures: Listed<Happening>,
}

/// Something that the log does not show, or not whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// `journal_damaged`, `interrupted`, `audit_outage`, `stopped`, `crashed`, `clock_back` or `unread`.
    pub kind: String,
    /// From when; where that is not known, when it was found.
    pub from: String,
    /// Until when; empty where it has no length, or no end yet.
    pub until: String,
    /// What is missing.
    pub detail: String,
}

/// A day, UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Day {
    /// `2026-11-23`.
    pub day: String,
    /// Exchanges.
    pub exchanges: u64,
    /// Of those, not encrypted on a leg.
    pub unencrypted: u64,
    /// Of those, refused by the gateway.
    pub refused: u64,
}

/// A caller's exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallerUse {
    /// Email address, or subject.
    pub user: String,
    /// Stable at the provider.
    pub subject: String,
    /// The provider's name.
    pub provider: String,
    /// How often.
    pub exchanges: u64,
    /// Of those, refused by the gateway.
    pub refused: u64,
    /// Of those, not encrypted on a leg.
    pub unencrypted: u64,
}

/// A model's exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelUse {
    /// The model.
    pub name: String,
    /// How often.
    pub exchanges: u64,
    /// Of those, refused by the gateway.
    pub refused: u64,
    /// Of those, not encrypted on a leg.
    pub unencrypted: u64,
    /// Of those, with relaxed TLS.
    pub relaxed: u64,
    /// Of those, with values masked.
    pub masked: u64,
    /// Of those, shown unmasked although the model's answers are masked.
    pub unmasked: u64,
}

/// A control, and the figures that speak to it. Whether it is met is not for a program to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Control {
    /// Of which framework.
    pub framework: String,
    /// Its number there.
    pub id: String,
    /// What it is about, in our words.
    pub about: String,
    /// What the log shows.
    pub evidence: Vec<String>,
    /// What an auditor should ask about.
    pub attention: Vec<String>,
}

/// The signed head of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Head {
    /// The log's name.
    pub origin: String,
    /// Its events.
    pub size: u64,
    /// The root of its tree, hex.
    pub root: String,
    /// The public key, a vkey.
    pub key: String,
    /// SHA-256 of the vkey's text, hex.
    pub key_sha256: String,
    /// The signed note.
    pub note: String,
    /// It covers every event of the report.
    pub covers: bool,
    /// The report was made from the log itself, each event checked against the head.
    pub verified: bool,
}
