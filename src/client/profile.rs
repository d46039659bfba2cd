//! A profile: which gateway, how it is believed, who is logged in. Public facts only, 0600 all the same.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::{
    client::{ClientError, Settings, vault::Backend},
    secret,
    tls::{self, Trust},
};

/// Where one profile keeps things.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// `profile.toml` and `roots.pem`.
    config: PathBuf,
    /// Ports, remembered transport, lock, vault files.
    state: PathBuf,
}

/// The longest profile name, in bytes.
const MAX_NAME: usize = 64;

impl Places {
    /// The folders of the profile that `settings` name; none is made yet.
    pub(super) fn of(settings: &Settings) -> Result<Self, ClientError> {
        let name = settings.profile.as_str();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_NAME || name.starts_with('.') || !name.chars().all(allowed) {
            return Err(ClientError::usage(format!("{name:?} cannot be the name of a profile")).remedy(
                format!(
                    "use letters, digits, `-`, `_` and `.`, at most {MAX_NAME}, not beginning with a dot"
                ),
            ));
        }
        Ok(Self {
            config: settings.config_dir.join("profiles").join(name),
            state: settings.state_dir.join("profiles").join(name),
        })
    }

    /// A file of the profile's state.
    pub(super) fn state(&self, file: &str) -> PathBuf {
        self.state.join(file)
    }

    /// Makes both folders, for the owner alone.
    pub(super) fn create(&self) -> Result<(), ClientError> {
        for dir in [&self.config, &self.state] {
            secret::create_private_dir(dir).map_err(|e| ClientError::file(dir, &e))?;
        }
        Ok(())
    }

    /// What [`create`](Self::create) would make, the innermost folders first.
    pub(super) fn missing(&self) -> Vec<PathBuf> {
        let above = [&self.config, &self.state].into_iter().flat_map(|dir| dir.ancestors());
        let missing =
            above.filter(|dir| !dir.as_os_str().is_empty() && matches!(dir.try_exists(), Ok(false)));
        let mut missing: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        missing.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
        missing.dedup();
        missing
    }

    fn toml(&self) -> PathBuf {
        self.config.join("profile.toml")
    }

    fn roots(&self) -> PathBuf {
        self.config.join("roots.pem")
    }
}

/// `profile.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Profile {
    /// 1.
    pub(super) schema: u32,
    /// The gateway's origin.
    pub(super) gateway: Url,
    /// How it is believed.
    pub(super) trust: Believed,
    /// How often the gateway's roots had changed when these were learnt; absent where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) roots_version: Option<u64>,
    /// Where the secrets are.
    pub(super) credential_store: Backend,
    /// How the last login was made; absent in profiles of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) login: Option<Made>,
    /// Who is logged in; none after a logout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) who: Option<Who>,
}

/// How a login was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Made {
    /// `browser`, `paste`, `device` or `workload`; newer versions may write other words.
    pub(super) method: String,
    /// Whether a person asked for it: then it is this profile's way.
    pub(super) asked: bool,
    /// The way that was asked for earlier, where this login went another without being asked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wanted: Option<String>,
}

impl Made {
    /// That way, because somebody asked for it.
    pub(super) fn asked(method: &str) -> Self {
        Self { method: method.to_owned(), asked: true, wanted: None }
    }

    /// That way, because it was the one that fits; what was asked for earlier is kept for logins to come.
    pub(super) fn fitting(method: &str, earlier: Option<&Self>) -> Self {
        let wanted = earlier.and_then(Self::wanted).map(str::to_owned);
        Self { method: method.to_owned(), asked: false, wanted }
    }

    /// By what the process's surroundings gave it.
    pub(super) fn by_machine(earlier: Option<&Self>) -> Self {
        Self::fitting(MACHINE, earlier)
    }

    /// The way that this profile's person asked for last.
    pub(super) fn wanted(&self) -> Option<&str> {
        if self.asked { Some(&self.method) } else { self.wanted.as_deref() }
    }
}

/// The word of a login by machine credentials.
const MACHINE: &str = "workload";

/// By whom the gateway is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Believed {
    /// The operating system's roots.
    Platform,
    /// `roots.pem` beside the profile, and nobody else.
    Pinned,
}

/// The caller, as the gateway said at the last login, refresh or renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    /// Who.
    pub(super) user: String,
    /// Groups as the provider said them last.
    pub(super) groups: Vec<String>,
    /// The identity provider's name.
    pub(super) provider: String,
    /// The login session.
    pub(super) session: String,
}

/// The longest profile file that is read, in bytes.
const MAX_PROFILE: u64 = 1024 * 1024;

impl Profile {
    /// Whether machine credentials made the login, and may make the next.
    pub(super) fn by_machine(&self) -> bool {
        self.login.as_ref().is_some_and(|made| made.method == MACHINE)
    }

    /// Reads the profile; `None` when there was no login yet.
    pub(super) fn load(places: &Places) -> Result<Option<Self>, ClientError> {
        let path = places.toml();
        let Some(text) = read_bounded(&path)? else {
            return Ok(None);
        };
        toml::from_str(&text).map(Some).map_err(|e| {
            ClientError::failed(
                "profile_unusable",
                format!("{} is not a profile: {}", path.display(), e.message()),
            )
            .remedy("log in again: hoopctl login GATEWAY-URL")
        })
    }

    /// Writes the profile, and its roots when it pins some.
    pub(super) fn store(&self, places: &Places, trust: &Trust) -> Result<(), ClientError> {
        places.create()?;
        // Roots first: a profile that says "pinned" must find them.
        if let Trust::Roots(roots) = trust {
            let path = places.roots();
            secret::write_private(&path, tls::to_pem(roots).as_bytes())
                .map_err(|e| ClientError::file(&path, &e))?;
        }
        self.store_facts(places)
    }

    /// Writes the profile without touching its roots.
    pub(super) fn store_facts(&self, places: &Places) -> Result<(), ClientError> {
        let path = places.toml();
        let text = toml::to_string(self).map_err(|e| {
            ClientError::failed("profile_unusable", format!("the profile cannot be written: {e}"))
        })?;
        secret::write_private(&path, text.as_bytes()).map_err(|e| ClientError::file(&path, &e))
    }

    /// By whom the gateway is believed.
    pub(super) fn trust(&self, places: &Places) -> Result<Trust, ClientError> {
        match self.trust {
            Believed::Platform => Ok(Trust::Platform),
            Believed::Pinned => Trust::from_file(&places.roots()).map_err(|e| {
                ClientError::untrusted(format!("the gateway's pinned CA cannot be read: {e}"))
                    .remedy(format!("hoopctl login {} --ca-fingerprint sha256:…", self.gateway))
            }),
        }
    }
}

fn read_bounded(path: &Path) -> Result<Option<String>, ClientError> {
    let length = match fs::metadata(path) {
        Ok(facts) => facts.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ClientError::file(path, &e)),
    };
    if length > MAX_PROFILE {
        return Err(ClientError::file(path, &io::Error::other("it is too long")));
    }
    fs::read_to_string(path).map(Some).map_err(|e| ClientError::file(path, &e))
}

/// A gateway's address as people write it, reduced to `https://host[:port]/`.
pub(super) fn origin(url: &Url) -> Result<Url, ClientError> {
    if url.scheme() != "https" {
        return Err(ClientError::usage(format!("TLS is mandatory: {url} is not an https address"))
            .remedy(format!("hoopctl login https://{}", url.host_str().unwrap_or("GATEWAY"))));
    }
    let bare = url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none();
    if url.host_str().is_none_or(str::is_empty) || !bare {
        return Err(ClientError::usage(
            "a gateway's address is https://HOST or https://HOST:PORT, nothing more",
        )
        .remedy(format!("hoopctl login {}", url.origin().ascii_serialization())));
    }
    Ok(url.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::client::{Kind, testing};

    #[test]
    fn a_login_that_nobody_asked_to_go_its_way_keeps_the_way_that_was_asked_for() {
        let asked = Made::asked("device");
        let other = Made::fitting("browser", Some(&asked));
        assert_eq!((other.method.as_str(), other.wanted()), ("browser", Some("device")));
        assert_eq!(Made::by_machine(Some(&other)).wanted(), Some("device"));
        assert_eq!(Made::fitting("browser", None).wanted(), None);
        assert_eq!(Made::asked("paste").wanted(), Some("paste"));
    }

    #[test]
    fn a_profile_round_trips_and_only_its_owner_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let places = Places::of(&testing::settings(home.path())).unwrap();
        let profile = Profile {
            schema: 1,
            gateway: Url::parse("https://gateway.example.test").unwrap(),
            trust: Believed::Pinned,
            roots_version: Some(3),
            credential_store: Backend::File,
            login: Some(Made::asked("device")),
            who: Some(Who {
                user: "alice@example.test".into(),
                groups: vec!["ml".into()],
                provider: "dev".into(),
                session: "ls_1".into(),
            }),
        };
        let ca = Arc::new(testing::Ca::new());
        profile.store(&places, &Trust::Roots(vec![ca.certificate()])).unwrap();
        assert_eq!(Profile::load(&places).unwrap(), Some(profile.clone()));
        assert!(
            matches!(profile.trust(&places).unwrap(), Trust::Roots(roots) if roots == vec![ca.certificate()])
        );
        #[cfg(unix)]
        for (path, mode) in [
            (places.toml(), 0o600),
            (places.roots(), 0o600),
            (places.config.clone(), 0o700),
            (places.state, 0o700),
        ] {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "{}", path.display());
        }
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        let home = tempfile::tempdir().unwrap();
        for name in ["", "..", "../x", "a/b", ".hidden", "a\nb", &"x".repeat(65)] {
            let settings = Settings { profile: name.to_owned(), ..testing::settings(home.path()) };
            assert_eq!(Places::of(&settings).unwrap_err().kind, Kind::Usage, "{name:?}");
        }
    }

    #[test]
    fn only_a_bare_https_address_is_a_gateway() {
        let plain = origin(&Url::parse("http://gateway.example.test").unwrap()).unwrap_err();
        assert!(plain.message.contains("TLS is mandatory"), "{plain}");
        for wrong in ["https://a:b@h", "https://h/path", "https://h/?q", "https://h/#f", "ftp://h"] {
            assert!(origin(&Url::parse(wrong).unwrap()).is_err(), "{wrong}");
        }
        assert!(origin(&Url::parse("https://h:8443").unwrap()).is_ok());
    }
}
