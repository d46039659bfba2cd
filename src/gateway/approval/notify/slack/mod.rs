//! Slack: a message with buttons for each request, brought up to date when it is decided; the buttons' answers are `interaction`'s.

mod api;
mod interaction;
mod message;
mod signature;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use url::Url;

use super::{Delivered, Kind, Notice};
use crate::{
    clock::Clock,
    gateway::outbound::acceptable,
    secret::{self, SecretString},
};
use api::{Api, SlackError};
pub(super) use interaction::Interactions;

/// Messages remembered, to be brought up to date.
const MOST_MESSAGES: usize = 10_000;

/// `[approvals] slack`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackConfig {
    /// The bot's token, `xoxb-…`.
    pub token: secret::Source,
    /// By which Slack signs what it sends.
    pub signing_secret: secret::Source,
    /// The id of the channel where requests are shown, `C…`.
    pub channel: String,
    /// The only workspace whose people may decide, `T…`; absent: whichever the token is of.
    pub team: Option<String>,
    /// `https://slack.com/api`.
    pub api: Url,
}

/// The channel, opened.
pub(super) struct Slack {
    api: Api,
    channel: String,
    team: Option<String>,
    signing_secret: SecretString,
    clock: Clock,
    messages: Arc<Messages>,
}

/// Where the messages of requests stand, by the requests' ids, which are in the order of time.
#[derive(Default)]
pub(super) struct Messages(Mutex<BTreeMap<String, Place>>);

/// Where a message stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    channel: String,
    ts: String,
}

impl Slack {
    /// Reads the secrets; blocks on files and commands.
    pub(super) fn open(config: &SlackConfig, clock: Clock, messages: Arc<Messages>) -> Result<Self, String> {
        if !acceptable(&config.api) {
            return Err("its api must be https, or http on loopback".to_owned());
        }
        let token = config.token.read().map_err(|e| e.to_string())?;
        let signing_secret = config.signing_secret.read().map_err(|e| e.to_string())?;
        Ok(Self {
            api: Api::new(config.api.clone(), &token)?,
            channel: config.channel.clone(),
            team: config.team.clone(),
            signing_secret,
            clock,
            messages,
        })
    }

    /// Posts the message of a request, or brings it up to date.
    pub(super) async fn deliver(&self, notice: &Notice) -> Delivered {
        let approval = &notice.approval;
        let place = self.messages.of(&approval.id);
        let told = match place {
            None if notice.kind == Kind::Requested => {
                self.api.post(&self.channel, &message::of(notice)).await.map(|ts| {
                    self.messages.stands(&approval.id, Place { channel: self.channel.clone(), ts });
                })
            }
            // Nobody was shown a button: there is nothing to take back.
            None => return Delivered::Done,
            Some(place) => self.api.update(&place.channel, &place.ts, &message::of(notice)).await,
        };
        match told {
            Ok(()) => Delivered::Done,
            Err(SlackError::Later { why, after }) => Delivered::Again { why, after },
            Err(SlackError::Refused(word)) if is_final(&word) => {
                Delivered::Never(format!("Slack says {word}"))
            }
            // An operator can mend these: invite the bot, renew the token.
            Err(SlackError::Refused(word)) => {
                Delivered::Again { why: format!("Slack says {word}"), after: None }
            }
        }
    }
}

impl Messages {
    fn of(&self, request: &str) -> Option<Place> {
        self.map().get(request).cloned()
    }

    /// Remembers where the message of a request stands.
    fn stands(&self, request: &str, place: Place) {
        let mut messages = self.map();
        messages.insert(request.to_owned(), place);
        if messages.len() > MOST_MESSAGES {
            messages.pop_first();
        }
    }

    fn map(&self) -> MutexGuard<'_, BTreeMap<String, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether Slack's word means that this very message will never be taken.
fn is_final(word: &str) -> bool {
    matches!(
        word,
        "message_not_found"
            | "cant_update_message"
            | "edit_window_closed"
            | "invalid_blocks"
            | "invalid_blocks_format"
            | "msg_too_long"
            | "msg_blocks_too_long"
            | "no_text"
    )
}
