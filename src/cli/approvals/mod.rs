//! `hoopctl approvals`: what waits for a person's yes, and the yes itself.

mod show;

use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    asking,
    error::{DONE, Failure, Outcome},
    invocation::Invocation,
};
use crate::{
    client::Link,
    clock,
    wire::api::{Approval, ApprovalDecision},
};

/// The flags of `approvals`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
Without a subcommand: what waits, of yours and for you. Nobody approves their own request.

  hoopctl approvals approve apr_01J… --lasts 30m --comment 'for the audit only'")]
pub(super) struct Approvals {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List requests for approval: yours, and those you may decide
    List(List),
    /// Show one, with what its requester did lately
    Show(One),
    /// Say yes
    Approve(Approve),
    /// Say no; also takes an approval back, and ends what lives by it
    Deny(Deny),
    /// Ask for an approval before you need it
    Request(Request),
}

#[derive(Args, Debug, Default)]
struct List {
    /// Which: those that wait unless said
    #[arg(long, value_parser = PossibleValuesParser::new(["pending", "approved", "denied", "expired", "all"]),
        default_value = "pending")]
    state: String,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(Args, Debug)]
struct One {
    /// As `approvals list` shows it
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Args, Debug)]
struct Approve {
    #[command(flatten)]
    one: One,
    /// Shorten the approval, such as to 30m; never longer than its policy says
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    lasts: Option<u64>,
    #[command(flatten)]
    word: Word,
}

#[derive(Args, Debug)]
struct Deny {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    word: Word,
}

#[derive(Args, Debug)]
struct Word {
    /// A word to the requester
    #[arg(long, value_name = "TEXT", value_parser = asking::reason)]
    comment: Option<String>,
}

#[derive(Args, Debug)]
struct Request {
    /// The model
    #[arg(value_name = "MODEL", add = clap_complete::ArgValueCandidates::new(super::remembered::candidates))]
    model: String,
    /// Why you need it
    #[arg(long, value_name = "TEXT", value_parser = asking::reason)]
    reason: Option<String>,
}

/// The body of `GET /api/v1/approvals`.
#[derive(Debug, Deserialize)]
struct Page {
    approvals: Vec<Approval>,
    #[serde(default)]
    next: Option<String>,
}

/// Asks the gateway.
pub(super) async fn perform(args: Approvals, with: &Invocation) -> Outcome {
    let what = args.what.unwrap_or_else(|| What::List(List { state: "pending".to_owned(), limit: 50 }));
    let (_laptop, link) = with.connected().await?;
    let done = answer(what, &link, with).await;
    link.close().await;
    done.map(|()| DONE)
}

async fn answer(what: What, link: &Link, with: &Invocation) -> Result<(), Failure> {
    let now = with.clock.now();
    match what {
        What::List(List { state, limit }) => {
            let page: Page = link.api("GET", &listing(&state, limit), None::<&()>).await?;
            show::list(&page.approvals, &state, now, &with.printer)?;
            if page.next.is_some() {
                with.printer.note(&format!("there are more than these {limit}: --limit shows up to 200"));
            }
            Ok(())
        }
        What::Show(one) => {
            let approval: Approval = link.api("GET", &path(&one.id, "")?, None::<&()>).await?;
            show::one(&approval, now, &with.printer)
        }
        What::Approve(Approve { one, lasts, word }) => {
            let decision = ApprovalDecision { lasts, comment: word.comment };
            let approval: Approval = link.api("POST", &path(&one.id, "/approve")?, Some(&decision)).await?;
            show::decided(&approval, now, &with.printer)
        }
        What::Deny(Deny { one, word }) => {
            let decision = ApprovalDecision { lasts: None, comment: word.comment };
            let approval: Approval = link.api("POST", &path(&one.id, "/deny")?, Some(&decision)).await?;
            show::decided(&approval, now, &with.printer)
        }
        What::Request(Request { model, reason }) => {
            let approval = asking::request(link, &model, reason).await?;
            show::requested(&approval, now, &with.printer)
        }
    }
}

fn listing(state: &str, limit: u32) -> String {
    let limit = limit.to_string();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("state", state)
        .append_pair("limit", &limit)
        .finish();
    format!("/api/v1/approvals?{query}")
}

/// Ids are ours: anything else is a slip of the keyboard, and never part of a path.
fn path(id: &str, verb: &str) -> Result<String, Failure> {
    let plain = |one: char| one.is_ascii_alphanumeric() || one == '_';
    if id.is_empty() || !id.chars().all(plain) {
        return Err(Failure::usage(format!("{id:?} is no approval's id"))
            .remedy("hoopctl approvals list shows the ids: apr_…"));
    }
    Ok(format!("/api/v1/approvals/{id}{verb}"))
}

fn seconds(text: &str) -> Result<u64, String> {
    clock::parse_duration(text)
        .map(|lasts| lasts.as_secs())
        .filter(|lasts| *lasts >= 60)
        .ok_or_else(|| "write a time of a minute or more, such as 30m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_becomes_part_of_a_path() {
        assert_eq!(path("apr_01J9", "/deny").unwrap(), "/api/v1/approvals/apr_01J9/deny");
        for wrong in ["", "../me", "a/b", "a?b", "a b", "ä"] {
            assert_eq!(path(wrong, "").unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn times_are_a_minute_or_more() {
        assert_eq!(seconds("30m"), Ok(1800));
        assert!(seconds("59s").is_err() && seconds("soon").is_err());
    }

    #[test]
    fn the_listing_names_state_and_limit() {
        assert_eq!(listing("all", 5), "/api/v1/approvals?state=all&limit=5");
    }
}
