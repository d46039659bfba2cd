//! Which figures speak to which control of SOC 2, ISO 27001 and HIPAA. It maps; it does not attest.

use super::{Control, Report};

/// The controls, each with the figures that speak to it.
pub(super) fn controls(report: &Report, interrupted: u64) -> Vec<Control> {
    let figures = Figures { report, interrupted };
    vec![
        Control {
            framework: "SOC 2".to_owned(),
            id: "CC6.1".to_owned(),
            about: "logical access to protected information is restricted to those who are let".to_owned(),
            evidence: figures.access(),
            attention: figures.ask_about_access(),
        },
        Control {
            framework: "SOC 2".to_owned(),
            id: "CC6.6".to_owned(),
            about: "access from outside the system's boundary is protected".to_owned(),
            evidence: figures.boundary(),
            attention: figures.ask_about_leg(true),
        },
        Control {
            framework: "SOC 2".to_owned(),
            id: "CC6.7".to_owned(),
            about: "information is protected while it is transmitted, and its movement is restricted"
                .to_owned(),
            evidence: [figures.transmission(), figures.removal()].concat(),
            attention: [figures.ask_about_leg(true), figures.ask_about_leg(false)].concat(),
        },
        Control {
            framework: "ISO/IEC 27001:2022".to_owned(),
            id: "A.8.24".to_owned(),
            about: "cryptography is used by rule, keys and certificates are managed".to_owned(),
            evidence: [figures.cryptography(), figures.keys()].concat(),
            attention: [figures.ask_about_leg(false), figures.ask_about_keys()].concat(),
        },
        Control {
            framework: "HIPAA".to_owned(),
            id: "§164.312(e)".to_owned(),
            about:
                "transmitted information is guarded against being read (encryption) and altered (integrity)"
                    .to_owned(),
            evidence: [figures.transmission(), figures.integrity()].concat(),
            attention: [
                figures.ask_about_leg(true),
                figures.ask_about_leg(false),
                figures.ask_about_integrity(),
            ]
            .concat(),
        },
    ]
}

struct Figures<'a> {
    report: &'a Report,
    interrupted: u64,
}

/// A sentence, where there is something to say.
fn when(count: u64, sentence: impl FnOnce() -> String) -> Vec<String> {
    if count > 0 { vec![sentence()] } else { Vec::new() }
}

fn verdict(report: &Report, word: &str) -> u64 {
    report.exchanges.verdicts.iter().filter(|known| known.name == word).map(|known| known.count).sum()
}

impl Figures<'_> {
    fn access(&self) -> Vec<String> {
        let Report { exchanges, access, approvals, .. } = self.report;
        let (permitted, asked, denied) =
            (verdict(self.report, "permit"), verdict(self.report, "ask"), verdict(self.report, "deny"));
        vec![
            format!(
                "{} exchanges were decided by policy one by one: {permitted} permitted, {asked} made to wait for an approval, {denied} denied",
                exchanges.total
            ),
            format!(
                "{} logins and {} renewals, {} revocations, {} approvals",
                access.logins, access.renewals, access.revocations, approvals.total
            ),
        ]
    }

    fn ask_about_access(&self) -> Vec<String> {
        let Report { access, unmasked, changes, .. } = self.report;
        [
            when(access.failed_logins, || format!("{} logins failed", access.failed_logins)),
            when(unmasked.total, || "answers were shown unmasked by policy: see “Unmasked”".to_owned()),
            when(changes.total, || {
                "the gateway was started, or its configuration changed: see “Changes”".to_owned()
            }),
        ]
        .concat()
    }

    fn boundary(&self) -> Vec<String> {
        let Report { client, plaintext, access, .. } = self.report;
        vec![
            format!("{} of {} exchanges came in over TLS", client.encrypted, client.exchanges),
            format!("{} connections without TLS were refused", plaintext.attempts),
            format!("{} requests that no known caller stood behind were refused", access.unknown_callers),
        ]
    }

    fn transmission(&self) -> Vec<String> {
        let Report { client, upstream, .. } = self.report;
        [("caller to gateway", client), ("gateway to model", upstream)]
            .map(|(leg, figures)| {
                format!("{leg}: {} of {} exchanges encrypted by TLS", figures.encrypted, figures.exchanges)
            })
            .to_vec()
    }

    /// What should be asked about the leg of callers, or of models.
    fn ask_about_leg(&self, of_callers: bool) -> Vec<String> {
        let (leg, which) = if of_callers {
            (&self.report.client, "caller to gateway")
        } else {
            (&self.report.upstream, "gateway to model")
        };
        [
            when(leg.plaintext, || format!("{which}: {} exchanges were not encrypted", leg.plaintext)),
            when(leg.local, || {
                format!(
                    "{which}: {} exchanges went over a socket of the gateway's machine, not encrypted",
                    leg.local
                )
            }),
            when(leg.unverified, || {
                format!(
                    "{which}: {} exchanges were encrypted to a server that was not verified",
                    leg.unverified
                )
            }),
        ]
        .concat()
    }

    fn removal(&self) -> Vec<String> {
        let Report { masked, exchanges, .. } = self.report;
        let values = masked.shown.iter().fold(0_u64, |sum, masked| sum.saturating_add(masked.values));
        vec![format!("{values} values were masked in the answers of {} exchanges", exchanges.total)]
    }

    fn cryptography(&self) -> Vec<String> {
        let names = |shares: &[super::Share]| {
            let names: Vec<&str> = shares.iter().take(8).map(|share| share.name.as_str()).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let Report { client, upstream, exchanges, .. } = self.report;
        vec![
            format!(
                "versions, caller to gateway: {}; gateway to model: {}",
                names(&client.versions),
                names(&upstream.versions)
            ),
            format!(
                "{} of {} exchanges had a post-quantum key exchange on each leg",
                exchanges.post_quantum, exchanges.total
            ),
        ]
    }

    fn keys(&self) -> Vec<String> {
        vec![format!(
            "{} events of certificates: made, renewed, rotated, refused, expiring",
            self.report.certificates.total
        )]
    }

    fn ask_about_keys(&self) -> Vec<String> {
        let bad =
            |kind: &&super::Count| kind.name == "certificate_refused" || kind.name == "certificate_expiring";
        let count: u64 = self.report.events.kinds.iter().filter(bad).map(|kind| kind.count).sum();
        when(count, || format!("{count} certificates were refused or about to expire: see “Certificates”"))
    }

    fn integrity(&self) -> Vec<String> {
        match &self.report.checkpoint {
            Some(head) if head.verified => {
                vec![format!(
                    "each of the log's {} events was checked against its signed head when this report was made",
                    head.size
                )]
            }
            Some(head) => vec![format!(
                "the log of {} events is a Merkle tree with a signed head: see “Verify”",
                head.size
            )],
            None => Vec::new(),
        }
    }

    fn ask_about_integrity(&self) -> Vec<String> {
        let covers = self.report.checkpoint.as_ref().is_some_and(|head| head.covers);
        [
            when(u64::from(!covers), || {
                "the signed head does not cover every event of this report yet".to_owned()
            }),
            when(self.report.gaps.total, || format!("{} gaps: see “Gaps”", self.report.gaps.total)),
            when(self.interrupted, || format!("{} exchanges have no end", self.interrupted)),
        ]
        .concat()
    }
}
