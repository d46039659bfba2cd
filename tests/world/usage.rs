//! A simulated company that uses models: people with office hours, agents, jobs, services, holidays, a new joiner; and labelled attacks.
//! The same seed is the same company. The tests and the benchmark of anomalies look at it.

use hoopctl::{
    clock::{from_unix_millis, rfc3339},
    evidence::event::{Caller, Decision, Event, Request, Response, SCHEMA, Tokens},
    gateway::audit::anomalies::{Alarm, Config, Detector, Rule},
};

/// Monday, 5 October 2026, 00:00 UTC.
const BEGINS: i64 = 1_791_158_400;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// A Thursday on which nobody is at the office.
const HOLIDAY: i64 = 17;
/// Somebody is away in these days.
const AWAY: (usize, std::ops::Range<i64>) = (3, 21..26);
/// The joiner's first day.
const JOINS: i64 = 9;
/// Attacks happen in the week after these.
const QUIET_WEEKS: i64 = 4;

/// How somebody works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Office,
    Roamer,
    Agent,
    Joiner,
    NightShift,
    Nightly,
    Weekly,
    Service,
}

/// A caller.
struct Person {
    kind: Kind,
    /// The first hour of their day.
    start: i64,
    model: &'static str,
    second: &'static str,
    group: &'static str,
    home: [u8; 3],
    away: [u8; 3],
}

/// One exchange.
#[derive(Clone, Debug)]
struct Use {
    at: i64,
    who: usize,
    model: &'static str,
    bytes: u64,
    masked: u64,
    input: u64,
    network: [u8; 3],
    denied: bool,
}

/// An attack, and who it is.
#[derive(Clone, Debug)]
pub struct Attack {
    /// What it is called.
    pub name: &'static str,
    /// The rules that must find it.
    pub must: &'static [Rule],
    /// Those that may as well.
    pub may: &'static [Rule],
    who: usize,
    from: i64,
    until: i64,
}

/// What the detector said of a company.
pub struct Outcome {
    /// Every alarm, with whether it is one of an attack.
    pub alarms: Vec<(Alarm, String, bool)>,
    /// Every attack, with the rules that found it.
    pub attacks: Vec<(Attack, Vec<Rule>)>,
    /// Exchanges.
    pub exchanges: usize,
}

/// Four quiet weeks.
pub fn quiet(seed: u64, config: &Config) -> Outcome {
    let mut company = Company::new(seed);
    company.work(QUIET_WEEKS * 7);
    company.watched(config)
}

/// Four quiet weeks, and a fifth with attacks.
pub fn attacked(seed: u64, config: &Config) -> Outcome {
    let mut company = Company::new(seed);
    company.work((QUIET_WEEKS + 1) * 7);
    company.attack();
    company.watched(config)
}

struct Company {
    dice: Dice,
    people: Vec<Person>,
    uses: Vec<Use>,
    attacks: Vec<Attack>,
}

impl Company {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xa5a5);
        let kinds = [
            (Kind::Office, 30),
            (Kind::Roamer, 4),
            (Kind::Agent, 5),
            (Kind::Joiner, 1),
            (Kind::NightShift, 2),
            (Kind::Nightly, 4),
            (Kind::Weekly, 1),
            (Kind::Service, 3),
        ];
        let mut people = Vec::new();
        for kind in kinds.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count)) {
            let number = people.len();
            let (model, group) = match number {
                8..20 => ("crm", "sales"),
                25..30 => ("fraud", "risk"),
                _ => ("chat", "staff"),
            };
            people.push(Person {
                kind,
                start: if kind == Kind::NightShift { 21 } else { dice.between(6, 9) },
                model,
                second: if group == "sales" { "chat" } else { "embed" },
                group,
                home: [10, 20, u8::try_from(number).unwrap()],
                away: [203, 0, 113],
            });
        }
        Self { dice, people, uses: Vec::new(), attacks: Vec::new() }
    }

    fn work(&mut self, days: i64) {
        for day in 0..days {
            for who in 0..self.people.len() {
                match self.people[who].kind {
                    Kind::Nightly => self.job(who, day, 2, 300, 4.0),
                    Kind::Weekly if day % 7 == 6 => self.job(who, day, 4, 2_500, 1.0),
                    Kind::Weekly => {}
                    Kind::Service => (0..24).for_each(|hour| {
                        let count = self.dice.around(20.0, 0.25);
                        self.scattered(who, day * 24 + hour, count);
                    }),
                    Kind::NightShift => self.shift(who, day),
                    _ => self.office_day(who, day),
                }
            }
        }
    }

    fn office_day(&mut self, who: usize, day: i64) {
        let kind = self.people[who].kind;
        let absent = day == HOLIDAY
            || (who == AWAY.0 && AWAY.1.contains(&day))
            || (kind == Kind::Joiner && day < JOINS);
        if absent {
            return;
        }
        if kind == Kind::Roamer && self.dice.chance(0.3) {
            // Another hotel.
            self.people[who].home = [100, 64, u8::try_from(self.dice.between(0, 255)).unwrap()];
        }
        let start = day * 24 + self.people[who].start;
        if day % 7 >= 5 {
            if self.dice.chance(0.02) {
                let (hour, count) = (self.dice.between(1, 7), self.dice.between(1, 5));
                self.scattered(who, start + hour, count);
            }
            return;
        }
        for hour in start..start + 9 {
            if !self.dice.chance(0.85) {
                continue;
            }
            let count = self.dice.around(9.0, 0.6).min(60);
            self.scattered(who, hour, count);
            if kind == Kind::Agent && self.dice.chance(0.25) {
                let count = self.dice.between(40, 140);
                self.run(who, hour * HOUR + 300, count, 15.0);
            }
        }
        for hour in start + 9..start + 13 {
            if self.dice.chance(0.04) {
                let count = self.dice.between(1, 6);
                self.scattered(who, hour, count);
            }
        }
    }

    fn shift(&mut self, who: usize, day: i64) {
        if day % 7 < 5 {
            for hour in 0..8 {
                let count = self.dice.around(9.0, 0.5);
                self.scattered(who, day * 24 + 21 + hour, count);
            }
        }
    }

    fn job(&mut self, who: usize, day: i64, hour: i64, count: i64, pace: f64) {
        let count = self.dice.around(count as f64, 0.1);
        self.run(who, day * DAY + hour * HOUR, count, pace);
    }

    /// Exchanges anywhere in an hour.
    fn scattered(&mut self, who: usize, hour: i64, count: i64) {
        for _ in 0..count {
            let at = hour * HOUR + self.dice.between(0, HOUR - 1);
            let other = self.dice.chance(0.1);
            let denied = self.dice.chance(0.003);
            let bytes = self.dice.around(3_000.0, 0.8);
            let model = if other { self.people[who].second } else { self.people[who].model };
            let masked = if model == "crm" { self.dice.between(0, 3) } else { 0 };
            let again = self.dice.chance(0.1);
            let input = if again { 7 } else { self.dice.next() };
            let network = self.network(who, at);
            self.uses.push(Use {
                at,
                who,
                model: if denied { "payroll" } else { model },
                bytes: u64::try_from(bytes).unwrap(),
                masked: u64::try_from(masked).unwrap(),
                input,
                network,
                denied,
            });
        }
    }

    /// One exchange after the other, evenly.
    fn run(&mut self, who: usize, from: i64, count: i64, pace: f64) {
        let mut at = from as f64;
        for _ in 0..count {
            at += pace * (0.7 + 0.6 * self.dice.unit());
            let one = self.one(who, at as i64, 2_500.0);
            self.uses.push(one);
        }
    }

    fn one(&mut self, who: usize, at: i64, bytes: f64) -> Use {
        let (model, network) = (self.people[who].model, self.network(who, at));
        let bytes = u64::try_from(self.dice.around(bytes, 0.3)).unwrap();
        Use { at, who, model, bytes, masked: 0, input: self.dice.next(), network, denied: false }
    }

    /// The office from Tuesday to Thursday by day, else home.
    fn network(&self, who: usize, at: i64) -> [u8; 3] {
        let person = &self.people[who];
        let office =
            (1..4).contains(&(at.div_euclid(DAY) % 7)) && (6..19).contains(&(at.rem_euclid(DAY) / HOUR));
        match person.kind {
            Kind::Nightly | Kind::Weekly | Kind::Service => [10, 0, 0],
            _ if office => person.away,
            _ => person.home,
        }
    }

    /// Each attack twice, on different people and days.
    fn attack(&mut self) {
        for (nth, shift) in [0_usize, 1].into_iter().zip([0, 1]) {
            let time = |day: i64, hour: i64| (QUIET_WEEKS * 7 + day + shift) * DAY + hour * HOUR;
            let who = |first: usize| first + nth;
            self.night(who(1) + nth, time(1, 3));
            self.burst(who(5), time(1, 11));
            self.network_change(who(20), time(1, 10));
            self.probing(who(22), time(1, 14));
            self.slow(who(25), time(1, 9));
            self.masked_rise(who(10), time(1, 14));
            self.new_model(who(15), time(1, 13));
        }
    }

    fn label(
        &mut self,
        name: &'static str,
        (must, may): (&'static [Rule], &'static [Rule]),
        who: usize,
        (from, lasts): (i64, i64),
    ) {
        self.attacks.push(Attack { name, must, may, who, from, until: from + lasts });
    }

    fn night(&mut self, who: usize, from: i64) {
        self.label(
            "exfiltration at night",
            (&[Rule::Volume, Rule::Hour], &[Rule::Rate, Rule::Extraction]),
            who,
            (from, HOUR),
        );
        for n in 0..150 {
            let one = self.one(who, from + n * 20, 40_000.0);
            self.uses.push(one);
        }
    }

    fn burst(&mut self, who: usize, from: i64) {
        self.label("burst", (&[Rule::Rate], &[Rule::Volume, Rule::Extraction]), who, (from, HOUR));
        for n in 0..900 {
            let one = self.one(who, from + n, 2_000.0);
            self.uses.push(one);
        }
    }

    fn network_change(&mut self, who: usize, from: i64) {
        self.label("another network", (&[Rule::Network], &[]), who, (from, HOUR));
        for n in 0..10 {
            let one = self.one(who, from + n * 60, 3_000.0);
            self.uses.push(Use { network: [198, 51, 100], ..one });
        }
    }

    fn probing(&mut self, who: usize, from: i64) {
        self.label("probing", (&[Rule::Denials], &[]), who, (from, HOUR));
        for n in 0..40 {
            let one = self.one(who, from + n * 9, 0.0);
            self.uses.push(Use { model: "payroll", bytes: 0, denied: true, ..one });
        }
    }

    fn slow(&mut self, who: usize, from: i64) {
        self.label(
            "slow extraction",
            (&[Rule::Extraction], &[Rule::Rate, Rule::Volume]),
            who,
            (from, 6 * HOUR),
        );
        self.run(who, from, 500, 40.0);
    }

    fn masked_rise(&mut self, who: usize, from: i64) {
        self.label("masked values", (&[Rule::Masked], &[Rule::Rate]), who, (from, HOUR));
        for n in 0..40 {
            let one = self.one(who, from + n * 60, 3_000.0);
            self.uses.push(Use { masked: 15, ..one });
        }
    }

    fn new_model(&mut self, who: usize, from: i64) {
        self.label("a model never used", (&[Rule::Model], &[]), who, (from, HOUR));
        for n in 0..3 {
            let one = self.one(who, from + n * 60, 3_000.0);
            self.uses.push(Use { model: "fraud", ..one });
        }
    }

    fn watched(mut self, config: &Config) -> Outcome {
        self.uses.sort_by_key(|one| one.at);
        let mut detector = Detector::default();
        let mut alarms = Vec::new();
        let mut found: Vec<(Attack, Vec<Rule>)> =
            self.attacks.drain(..).map(|attack| (attack, Vec::new())).collect();
        for one in &self.uses {
            for alarm in detector.fold(&self.event(one), config) {
                // What an attack set going may be said some time after it.
                let of = |attack: &Attack| {
                    attack.who == one.who && (attack.from..attack.until + HOUR).contains(&one.at)
                };
                let mut fair = false;
                for (attack, rules) in found.iter_mut().filter(|(attack, _)| of(attack)) {
                    fair |= attack.must.contains(&alarm.rule) || attack.may.contains(&alarm.rule);
                    rules.push(alarm.rule);
                }
                let at = rfc3339(from_unix_millis((BEGINS + one.at) * 1000));
                let who = format!("{at} {:?} {}", self.people[one.who].kind, one.who);
                alarms.push((alarm, who, fair));
            }
        }
        Outcome { alarms, attacks: found, exchanges: self.uses.len() }
    }

    fn event(&self, one: &Use) -> Event {
        let [a, b, c] = one.network;
        let outcome = if one.denied { "refused" } else { "complete" };
        Event {
            schema: SCHEMA.to_owned(),
            id: "ev_1".to_owned(),
            time: rfc3339(from_unix_millis((BEGINS + one.at) * 1000)),
            kind: "exchange".to_owned(),
            caller: Some(Caller {
                subject: format!("person-{}", one.who),
                groups: vec!["all".to_owned(), self.people[one.who].group.to_owned()],
                provider: "corp".to_owned(),
                ..Caller::default()
            }),
            model: Some(one.model.to_owned()),
            decision: Some(Decision {
                verdict: if one.denied { "deny" } else { "permit" }.to_owned(),
                ..Decision::default()
            }),
            request: Some(Request { sha256: Some(format!("{:016x}", one.input)), ..Request::default() }),
            response: Some(Response {
                status: if one.denied { 403 } else { 200 },
                bytes: if one.denied { 0 } else { one.bytes },
                tokens: Some(Tokens { output: one.bytes / 4, ..Tokens::default() }),
                duration_ms: 900,
                outcome: outcome.to_owned(),
                ..Response::default()
            }),
            masked: if one.masked > 0 { [("EMAIL".to_owned(), one.masked)].into() } else { [].into() },
            source: Some(format!("{a}.{b}.{c}.9")),
            ..Event::default()
        }
    }
}

/// splitmix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn chance(&mut self, of: f64) -> bool {
        self.unit() < of
    }

    fn between(&mut self, least: i64, most: i64) -> i64 {
        least + (self.next() % (most - least + 1).unsigned_abs()) as i64
    }

    /// Log-normal around a median.
    fn around(&mut self, median: f64, sigma: f64) -> i64 {
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        (median * (sigma * normal).exp()).round() as i64
    }
}
