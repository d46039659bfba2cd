//! What is known of one caller: some 4 KiB, however much they do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Rule,
    exchange::{Exchange, Prefix},
    level::{Level, WEEK},
    rules::{denials::Recent, extraction::Run},
};

/// Active hours, and days, before anything can be unusual.
const HOURS: u32 = 12;
const DAYS: u32 = 5;
/// Models and networks of a caller that are remembered, the last used.
const MOST_MODELS: usize = 64;
const MOST_NETWORKS: usize = 16;
/// An event may be so much older than the one before, hours; a clock that is set back farther begins the hour anew.
const LATE: i64 = 48;
/// What is left of counts after a week of the caller's.
const FADE: f64 = 0.9;
/// An episode that does not end is told again after so long, seconds.
const AGAIN: i64 = 86_400;

/// A caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Profile {
    /// Hours since 1970: of the first exchange, and the one under way.
    first: i64,
    hour: i64,
    day: i64,
    week: i64,
    /// Days and hours with any exchange; these two never fade.
    days: u32,
    active: u32,
    /// When the caller was last seen, seconds since 1970.
    pub(super) last: i64,
    pub(super) requests: Level,
    pub(super) bytes: Level,
    pub(super) tokens: Level,
    pub(super) masked: Level,
    /// Active hours by hour of the day, of working days and then of weekends.
    clock: Vec<f64>,
    /// Exchanges, active hours, and networks that were new, fading.
    pub(super) exchanges: f64,
    pub(super) hours: f64,
    pub(super) moves: f64,
    models: Vec<u64>,
    networks: Vec<Prefix>,
    groups: Vec<u64>,
    pub(super) recent: Recent,
    pub(super) run: Run,
    episodes: Vec<Option<Episode>>,
    /// The numbers of the rules that have raised an alarm about the hour under way.
    alarmed: Vec<u8>,
}

/// A rule's alarm, and what came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Episode {
    told: i64,
    /// When the rule last said so.
    last: i64,
}

impl Profile {
    pub(super) fn new(at: i64) -> Self {
        let hour = at.div_euclid(3600);
        Self {
            first: hour,
            hour,
            day: hour.div_euclid(24),
            week: week(hour),
            days: 1,
            active: 0,
            last: at,
            requests: Level::default(),
            bytes: Level::default(),
            tokens: Level::default(),
            masked: Level::default(),
            clock: vec![0.0; 48],
            exchanges: 0.0,
            hours: 0.0,
            moves: 0.0,
            models: Vec::new(),
            networks: Vec::new(),
            groups: Vec::new(),
            recent: Recent::default(),
            run: Run::default(),
            episodes: vec![None; Rule::ALL.len()],
            alarmed: Vec::new(),
        }
    }

    /// Goes on to the hour of an event; what lies before it is closed and learned.
    pub(super) fn advance(&mut self, at: i64) {
        self.last = at;
        let hour = at.div_euclid(3600);
        if hour < self.hour.saturating_sub(LATE) {
            return self.begin_anew(hour);
        }
        if hour <= self.hour {
            return;
        }
        self.close();
        if hour.div_euclid(24) != self.day {
            self.days = self.days.saturating_add(1);
        }
        if week(hour) != self.week {
            self.fade();
        }
        (self.hour, self.day, self.week) = (hour, hour.div_euclid(24), week(hour));
    }

    /// Whether enough is known to say that something is unusual.
    pub(super) fn is_warm(&self, warm_up: Duration) -> bool {
        let known = self.hour.saturating_sub(self.first).saturating_mul(3600);
        let enough = i64::try_from(warm_up.as_secs()).unwrap_or(i64::MAX);
        known >= enough && self.active >= HOURS && self.days >= DAYS
    }

    /// The hour of the week under way, 0 is the first of Monday, in UTC.
    pub(super) fn slot(&self) -> usize {
        // 1970 began on a Thursday.
        usize::try_from((self.hour.saturating_add(72)).rem_euclid(WEEK as i64)).unwrap_or(0)
    }

    /// The hour under way, seconds since 1970.
    pub(super) fn hour_began(&self) -> i64 {
        self.hour.saturating_mul(3600)
    }

    /// How many of the active hours lay at this hour of the day or beside it, on days of this kind; and how many there are.
    pub(super) fn at_this_hour(&self) -> (f64, f64) {
        let (kind, hour) = self.hour_of_day();
        let near = [23, 0, 1].into_iter().filter_map(|off| self.clock.get(kind * 24 + (hour + off) % 24));
        (near.sum(), self.clock.iter().sum())
    }

    /// 0 for working days and 1 for weekends, and the hour of the day.
    fn hour_of_day(&self) -> (usize, usize) {
        (usize::from(self.slot() >= 120), self.slot() % 24)
    }

    pub(super) fn knows_model(&self, model: u64) -> bool {
        self.models.contains(&model)
    }

    pub(super) fn models(&self) -> usize {
        self.models.len()
    }

    pub(super) fn knows_network(&self, network: Prefix) -> bool {
        self.networks.contains(&network)
    }

    pub(super) fn networks(&self) -> &[Prefix] {
        &self.networks
    }

    pub(super) fn is_peer_of(&self, other: &Self) -> bool {
        self.groups.iter().any(|group| other.groups.contains(group))
    }

    /// Counts an exchange into the hour under way.
    pub(super) fn count(&mut self, exchange: &Exchange) {
        if exchange.refused {
            return;
        }
        self.requests.add(1);
        self.bytes.add(exchange.bytes);
        self.tokens.add(exchange.tokens);
        self.masked.add(exchange.masked);
        self.exchanges += 1.0;
    }

    /// Learns what is not counted by the hour: models, networks, groups.
    pub(super) fn learn(&mut self, exchange: &Exchange) {
        self.groups.clone_from(&exchange.groups);
        if let Some(network) = exchange.network {
            let known = self.networks.iter().position(|known| *known == network);
            if known.is_none() && !self.networks.is_empty() {
                self.moves += 1.0;
            }
            used(&mut self.networks, known, network, MOST_NETWORKS);
        }
        if !exchange.refused {
            let known = self.models.iter().position(|known| *known == exchange.model);
            used(&mut self.models, known, exchange.model, MOST_MODELS);
        }
    }

    /// A rule says that something is an alarm: whether it is to be told, which it is once an episode.
    pub(super) fn is_news(&mut self, rule: Rule, at: i64, cool_down: Duration) -> bool {
        let number = place(rule);
        if !self.has_alarmed(rule) {
            self.alarmed.push(u8::try_from(number).unwrap_or(u8::MAX));
        }
        let quiet = i64::try_from(cool_down.as_secs()).unwrap_or(i64::MAX);
        let Some(episode) = self.episodes.get_mut(number) else { return false };
        let news = match episode {
            Some(Episode { told, last }) => {
                let since = at.saturating_sub(*last);
                // A clock that was set back is no reason to be silent for years.
                since >= quiet || since <= -AGAIN || at.saturating_sub(*told) >= AGAIN.max(quiet)
            }
            None => true,
        };
        let told = episode.filter(|_| !news).map_or(at, |episode| episode.told);
        *episode = Some(Episode { told, last: at });
        news
    }

    fn has_alarmed(&self, rule: Rule) -> bool {
        self.alarmed.iter().any(|known| usize::from(*known) == place(rule))
    }

    fn close(&mut self) {
        let slot = self.slot();
        let [rate, volume, masked, denials] =
            [Rule::Rate, Rule::Volume, Rule::Masked, Rule::Denials].map(|rule| self.has_alarmed(rule));
        self.alarmed.clear();
        self.recent.close(denials);
        if self.requests.now == 0 {
            // Nothing but refusals: no hour's work.
            return;
        }
        self.requests.close(slot, rate);
        self.bytes.close(slot, volume);
        self.tokens.close(slot, volume);
        self.masked.close(slot, masked);
        self.active = self.active.saturating_add(1);
        self.hours += 1.0;
        let (kind, hour) = self.hour_of_day();
        if let Some(count) = self.clock.get_mut(kind * 24 + hour) {
            *count += 1.0;
        }
    }

    fn fade(&mut self) {
        for level in [&mut self.requests, &mut self.bytes, &mut self.tokens, &mut self.masked] {
            level.fade();
        }
        for count in [&mut self.exchanges, &mut self.hours, &mut self.moves] {
            *count *= FADE;
        }
        self.clock.iter_mut().for_each(|count| *count *= FADE);
        self.run.fade();
    }

    /// The clock was set back: what is under way is dropped, what was learned stays.
    fn begin_anew(&mut self, hour: i64) {
        for level in [&mut self.requests, &mut self.bytes, &mut self.tokens, &mut self.masked] {
            level.now = 0;
        }
        self.recent.forget();
        self.run.forget();
        self.alarmed.clear();
        self.first = self.first.min(hour);
        (self.hour, self.day, self.week) = (hour, hour.div_euclid(24), week(hour));
    }
}

/// The last used stands last, and the one that was not used for longest goes.
fn used<T>(list: &mut Vec<T>, known: Option<usize>, one: T, most: usize) {
    match known {
        Some(at) if at + 1 == list.len() => return,
        Some(at) => {
            list.remove(at);
        }
        None if list.len() >= most => {
            list.remove(0);
        }
        None => {}
    }
    list.push(one);
}

fn place(rule: Rule) -> usize {
    Rule::ALL.iter().position(|one| *one == rule).unwrap_or_default()
}

/// Weeks since 1970, each beginning on a Monday.
fn week(hour: i64) -> i64 {
    hour.saturating_add(72).div_euclid(WEEK as i64)
}
