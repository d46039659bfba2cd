//! The laptop's settings: flag > variable > the user's file > the system's file, each value with its source.

mod layers;
mod values;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use url::Url;

use layers::{Key, Said, read_environment, read_file, read_flags};
pub use values::gateway_url;
use values::{carrier, color, output, profile_name, store_choice, truth, verbosity};

use crate::{
    client::{Settings, StoreChoice},
    clock::Clock,
    tunnel::{Proxies, Transport},
};

/// The settings' file in the user's and the system's folder.
pub const FILE: &str = "config.toml";

/// Where a value was said, weakest first: the order is the precedence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nowhere.
    Default,
    /// The system's file and the line in it.
    System(PathBuf, usize),
    /// The user's file and the line in it.
    User(PathBuf, usize),
    /// An environment variable.
    Variable(&'static str),
    /// A flag on the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::System(file, line) | Self::User(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and where it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it was said.
    pub source: Source,
}

/// How verbs answer on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people: sentences and aligned tables.
    Human,
    /// One JSON document.
    Json,
    /// One JSON value a line.
    Jsonl,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What was said on the command line; `None`, `false` and 0 say nothing.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--gateway`.
    pub gateway: Option<String>,
    /// `--profile`.
    pub profile: Option<String>,
    /// `--output`.
    pub output: Option<String>,
    /// `--quiet`.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
    /// `--color`.
    pub color: Option<String>,
    /// `--credential-store`.
    pub credential_store: Option<String>,
    /// `--transport`.
    pub transport: Option<String>,
}

/// The folders of this user on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// `$XDG_CONFIG_HOME/hoopctl`.
    pub config_dir: PathBuf,
    /// `$XDG_STATE_HOME/hoopctl`; where the system knows no such folder, one under its data folder.
    pub state_dir: PathBuf,
}

impl Places {
    /// The folders of the user this process runs as; `None` when the user has no home.
    pub fn of_process() -> Option<Self> {
        let project = directories::ProjectDirs::from("", "", "hoopctl")?;
        let state_dir =
            project.state_dir().map_or_else(|| project.data_local_dir().join("state"), Path::to_path_buf);
        Some(Self { config_dir: project.config_dir().to_path_buf(), state_dir })
    }
}

/// One mistake: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it was said; a file's line is in it.
    pub source: Source,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

/// The laptop's settings, each with its source.
#[derive(Clone, Debug)]
pub struct Laptop {
    /// The gateway's address; `None`: the profile's.
    pub gateway: Option<Sourced<Url>>,
    /// The profile, `default` unless said.
    pub profile: Sourced<String>,
    /// How verbs answer.
    pub output: Sourced<Output>,
    /// No talk on stderr but errors.
    pub quiet: Sourced<bool>,
    /// 0 warnings, 1 information, 2 and more debugging.
    pub verbose: Sourced<u8>,
    /// When colours are used.
    pub color: Sourced<Color>,
    /// Where secrets are kept; `None`: the best this machine has.
    pub credential_store: Option<Sourced<StoreChoice>>,
    /// The carrier to the gateway; `None`: whichever answers first.
    pub transport: Option<Sourced<Option<Transport>>>,
    /// What TCP connections to the outside go through.
    pub proxies: Proxies,
    /// The folders; `None` when the user has no home.
    pub places: Option<Places>,
}

impl Laptop {
    /// What the client room needs to know; `None` when there is no folder to keep anything in.
    pub fn settings(&self, clock: Clock) -> Option<Settings> {
        let places = self.places.as_ref()?;
        Some(Settings {
            gateway: self.gateway.as_ref().map(|gateway| gateway.value.clone()),
            profile: self.profile.value.clone(),
            credential_store: self.credential_store.as_ref().map(|store| store.value),
            transport: self.transport.as_ref().and_then(|transport| transport.value),
            proxies: self.proxies.clone(),
            config_dir: places.config_dir.clone(),
            state_dir: places.state_dir.clone(),
            clock,
            machine: None,
        })
    }
}

/// Reads every layer and chooses for each setting what the strongest says.
///
/// # Errors
/// Every mistake of every layer at once, those of overruled layers too.
pub fn load(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<OsString>,
    places: Option<Places>,
    system: &Path,
) -> Result<Laptop, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let mut said = Vec::new();
    read_file(system, Source::System, &mut said, &mut mistakes);
    if let Some(places) = &places {
        read_file(&places.config_dir.join(FILE), Source::User, &mut said, &mut mistakes);
    }
    read_environment(environment, &mut said, &mut mistakes);
    read_flags(flags, &mut said);
    let chosen = Laptop {
        gateway: choose(&said, Key::Gateway, gateway_url, &mut mistakes),
        profile: choose(&said, Key::Profile, profile_name, &mut mistakes)
            .unwrap_or_else(|| by_default("default".to_owned())),
        output: choose(&said, Key::Output, output, &mut mistakes)
            .unwrap_or_else(|| by_default(Output::Human)),
        quiet: choose(&said, Key::Quiet, truth, &mut mistakes).unwrap_or_else(|| by_default(false)),
        verbose: choose(&said, Key::Verbose, verbosity, &mut mistakes).unwrap_or_else(|| by_default(0)),
        color: choose(&said, Key::Color, color, &mut mistakes).unwrap_or_else(|| by_default(Color::Auto)),
        credential_store: choose(&said, Key::CredentialStore, store_choice, &mut mistakes),
        transport: choose(&said, Key::Transport, carrier, &mut mistakes),
        proxies: read_proxies(environment),
        places,
    };
    if mistakes.is_empty() { Ok(chosen) } else { Err(mistakes) }
}

/// The variables that every program of this kind heeds; ones that say nothing are as good as none.
fn read_proxies(environment: &dyn Fn(&str) -> Option<OsString>) -> Proxies {
    let said = |names: [&str; 2]| {
        let values = names.into_iter().filter_map(|name| environment(name)?.into_string().ok());
        values.into_iter().find(|value| !value.trim().is_empty()).unwrap_or_default()
    };
    Proxies::of(&said(["HTTPS_PROXY", "https_proxy"]), &said(["NO_PROXY", "no_proxy"]))
}

fn by_default<T>(value: T) -> Sourced<T> {
    Sourced { value, source: Source::Default }
}

/// Checks what every layer says of one setting and takes the strongest.
fn choose<T>(
    said: &[Said],
    key: Key,
    read: impl Fn(&str) -> Result<T, String>,
    mistakes: &mut Vec<Mistake>,
) -> Option<Sourced<T>> {
    let mut best: Option<Sourced<T>> = None;
    for one in said.iter().filter(|one| one.key == key) {
        match read(&one.text) {
            Ok(value) if best.as_ref().is_none_or(|best| best.source <= one.source) => {
                best = Some(Sourced { value, source: one.source.clone() });
            }
            Ok(_) => {}
            Err(remedy) => mistakes.push(Mistake {
                source: one.source.clone(),
                message: format!("{:?} cannot be used here", one.text),
                remedy: Some(remedy),
            }),
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
    }

    impl World {
        fn new(user: &str, system: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), user).unwrap();
            std::fs::write(dir.path().join("system.toml"), system).unwrap();
            Self { dir }
        }

        fn load(&self, flags: &Flags, variables: &[(&str, &str)]) -> Result<Laptop, Vec<Mistake>> {
            let places = Places {
                config_dir: self.dir.path().to_path_buf(),
                state_dir: self.dir.path().join("state"),
            };
            let environment = |name: &str| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
            };
            load(flags, &environment, Some(places), &self.dir.path().join("system.toml"))
        }
    }

    #[test]
    fn the_stronger_layer_wins_and_every_value_knows_its_source() {
        let world =
            World::new("output = \"json\"\nquiet = true\n", "# \nprofile = \"shop\"\noutput = \"jsonl\"\n");
        let flags = Flags { gateway: Some("gw.example.test".into()), ..Flags::default() };
        let variables = [
            ("HOOPCTL_GATEWAY", "https://other.example.test"),
            ("HOOPCTL_COLOR", "never"),
            ("HOOPCTL_QUIET", ""),
        ];
        let laptop = world.load(&flags, &variables).unwrap();
        let gateway = laptop.gateway.clone().unwrap();
        assert_eq!(gateway.value.as_str(), "https://gw.example.test/");
        assert_eq!(gateway.source, Source::Flag("--gateway"));
        assert_eq!(laptop.color.source, Source::Variable("HOOPCTL_COLOR"));
        assert_eq!(
            (laptop.output.value, &laptop.output.source),
            (Output::Json, &Source::User(world.dir.path().join(FILE), 1))
        );
        assert!(laptop.quiet.value, "an empty variable says nothing");
        assert_eq!(laptop.profile.source, Source::System(world.dir.path().join("system.toml"), 2));
        assert_eq!(laptop.verbose.source, Source::Default);
        let settings = laptop.settings(Clock::system()).unwrap();
        assert_eq!(settings.profile, "shop");
        assert_eq!(settings.state_dir, world.dir.path().join("state"));
    }

    #[test]
    fn every_mistake_of_every_layer_is_reported_at_once_with_its_line_and_the_nearest_name() {
        let world = World::new(
            "gatway = \"x\"\noutput = \"xml\"\ncolor = [1]\nprofile = \n",
            "quiet = \"perhaps\"\n",
        );
        let flags = Flags { gateway: Some("http://gw.example.test".into()), ..Flags::default() };
        let mistakes = world.load(&flags, &[("HOOPCTL_CREDENTIAL_STORE", "cloud")]).unwrap_err();
        let seen: Vec<String> = mistakes
            .iter()
            .map(|m| format!("{}: {} ({})", m.source, m.message, m.remedy.clone().unwrap_or_default()))
            .collect();
        let seen = seen.join("\n");
        for expected in [
            "config.toml:1: unknown key `gatway` (did you mean `gateway`?)",
            "config.toml:2: \"xml\" cannot be used here (write human, json or jsonl)",
            "config.toml:3: `color` cannot be of type array",
            "config.toml:4: ",
            "system.toml:1: \"perhaps\" cannot be used here",
            "HOOPCTL_CREDENTIAL_STORE: \"cloud\" cannot be used here (write keyring, file or memory)",
            "--gateway: \"http://gw.example.test\" cannot be used here (TLS is mandatory",
        ] {
            assert!(seen.contains(expected), "{expected}\nnot in\n{seen}");
        }
    }

    #[test]
    fn files_that_are_absent_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let laptop = load(&Flags::default(), &|_| None, None, &dir.path().join("none.toml")).unwrap();
        assert_eq!(laptop.profile, by_default("default".to_owned()));
        assert!(laptop.settings(Clock::system()).is_none(), "nowhere to keep anything");
    }
}
