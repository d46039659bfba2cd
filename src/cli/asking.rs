//! What a caller wants where a request needs somebody's approval: `--no-wait`, `--reason`, and what is shown meanwhile.

use clap::Args;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    error::Failure,
    printer::{Printer, Progress},
};
use crate::{
    client::{Kind, Link, LinkEvent},
    wire::{
        api::{Approval, ApprovalRequest, Model},
        code,
        control::Notice,
        stream::{self, MAX_REASON},
    },
};

/// The flags of verbs that send requests.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Asking {
    /// Do not wait for somebody's approval: exit 75 with its id
    #[arg(long)]
    no_wait: bool,
    /// Why you need the model, for the people who may approve it
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
}

impl Asking {
    /// Tells the link.
    pub(super) fn of(&self, link: Link) -> Link {
        link.asking(stream::Asking { wait: !self.no_wait, reason: self.reason.clone() })
    }

    /// With `--no-wait`, asks for the approval that the model still needs, and says so with exit code 75.
    ///
    /// # Errors
    /// When an approval is missing, or cannot be asked for.
    pub(super) async fn settle(&self, link: &Link, model: &Model) -> Result<(), Failure> {
        if !self.no_wait || model.access != "ask" {
            return Ok(());
        }
        let asked = request(link, &model.name, self.reason.clone()).await?;
        Err(pending(&asked))
    }
}

/// A reason for people, bounded as the gateway does it.
pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.len() > MAX_REASON {
        return Err(format!("write at most {MAX_REASON} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("write one line, without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// Asks for an approval.
pub(super) async fn request(link: &Link, model: &str, reason: Option<String>) -> Result<Approval, Failure> {
    let wanted = ApprovalRequest { model: model.to_owned(), reason };
    Ok(link.api("POST", "/api/v1/approvals", Some(&wanted)).await?)
}

/// Nobody has said yes yet.
fn pending(asked: &Approval) -> Failure {
    let by = by(&asked.approvers, asked.needed);
    let message = format!("`{}` needs an approval{by}; it was asked for as {}", asked.model, asked.id);
    Failure::new(Kind::ApprovalPending, code::APPROVAL_REQUIRED, message).remedy(format!(
        "send this link to somebody who may approve, and run this again once {} is approved: {}",
        asked.id, asked.url
    ))
}

/// " by two people of a, b".
pub(super) fn by(approvers: &[String], needed: u32) -> String {
    let people = if needed == 1 { String::new() } else { format!("{needed} people of ") };
    match approvers {
        [] if needed == 1 => String::new(),
        [] => format!(" by {needed} people"),
        groups => format!(" by {people}{}", groups.join(", ")),
    }
}

/// Shows what is waited for, on a terminal with a spinner, until it is decided.
pub(super) struct Waiting<'a> {
    printer: &'a Printer,
    /// Ids that wait, and the spinner while there are some.
    pending: Vec<String>,
    spinner: Option<Progress<'a>>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(printer: &'a Printer) -> Self {
        Self { printer, pending: Vec::new(), spinner: None }
    }

    /// Takes note of an event; false when it is about something else.
    pub(super) fn heed(&mut self, event: &LinkEvent) -> bool {
        let LinkEvent::Notice(notice) = event else { return false };
        match notice {
            Notice::ApprovalPending { id, model, approvers, needed, url } => {
                let by = by(approvers, *needed);
                let page = url.as_deref().map(|url| format!("\n  {url}")).unwrap_or_default();
                // Somebody has to act, so `--quiet` does not silence it.
                self.printer.warn(&format!("a request to {model} waits for approval {id}{by}{page}"));
                if !self.pending.contains(id) {
                    self.pending.push(id.clone());
                }
                if self.spinner.is_none() {
                    self.spinner = Some(self.printer.progress(&format!("waiting for a yes{by} …")));
                }
            }
            Notice::ApprovalGranted { id, until } => {
                self.done(id);
                let until = until.as_deref().map(|until| format!(", until {until}")).unwrap_or_default();
                self.printer.note(&format!("approval {id} was given{until}"));
            }
            Notice::ApprovalRefused { id, reason } => {
                self.done(id);
                self.printer.warn(&format!("approval {id}: {reason}"));
            }
            _ => return false,
        }
        true
    }

    fn done(&mut self, id: &str) {
        self.pending.retain(|one| one != id);
        if self.pending.is_empty() {
            self.spinner = None;
        }
    }
}

/// Does the work and shows meanwhile what it waits for.
pub(super) async fn shown<T>(work: impl Future<Output = T>, link: &Link, printer: &Printer) -> T {
    let mut events = link.events();
    let mut waiting = Waiting::new(printer);
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            event = next(&mut events) => {
                waiting.heed(&event);
            }
        }
    }
}

/// The next event; never, once there will be none.
pub(super) async fn next(events: &mut Receiver<LinkEvent>) -> LinkEvent {
    loop {
        match events.recv().await {
            Ok(event) => return event,
            // What was missed is old news.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::printer::paper, config::laptop::Output};

    fn notice(notice: Notice) -> LinkEvent {
        LinkEvent::Notice(notice)
    }

    #[test]
    fn a_wait_says_who_can_end_it_and_how_it_ended() {
        let (printer, out, err) = paper::printer(Output::Human);
        let mut waiting = Waiting::new(&printer);
        assert!(waiting.heed(&notice(Notice::ApprovalPending {
            id: "apr_1".into(),
            model: "fraud".into(),
            approvers: vec!["risk-leads".into()],
            needed: 2,
            url: Some("https://gw.example.test/console/approvals/apr_1".into()),
        })));
        assert!(
            waiting.heed(&notice(Notice::ApprovalGranted { id: "apr_1".into(), until: Some("then".into()) }))
        );
        assert!(
            waiting
                .heed(&notice(Notice::ApprovalRefused { id: "apr_2".into(), reason: "bob said no".into() }))
        );
        assert!(!waiting.heed(&notice(Notice::Draining)));
        assert_eq!(out.text(), "");
        assert_eq!(
            err.text(),
            "warning: a request to fraud waits for approval apr_1 by 2 people of risk-leads\n  \
             https://gw.example.test/console/approvals/apr_1\napproval apr_1 was given, until then\n\
             warning: approval apr_2: bob said no\n"
        );
    }

    #[test]
    fn who_may_say_yes_is_told_as_people_say_it() {
        for (groups, needed, expected) in [
            (&[][..], 1, ""),
            (&[], 2, " by 2 people"),
            (&["a", "b"], 1, " by a, b"),
            (&["a"], 3, " by 3 people of a"),
        ] {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            assert_eq!(by(&groups, needed), expected);
        }
    }

    #[test]
    fn reasons_are_bounded() {
        assert_eq!(reason("because of this"), Ok("because of this".to_owned()));
        for text in ["because\nof this", "a\ttab", "\u{1b}[2J", "\u{85}"] {
            assert!(reason(text).unwrap_err().contains("one line"), "{text:?}");
        }
        assert!(reason(&"x".repeat(MAX_REASON)).is_ok());
        assert!(reason(&"x".repeat(MAX_REASON + 1)).unwrap_err().contains("1000 bytes"));
    }
}
