//! Which way a person logs in: as asked, as the last time, or as these surroundings allow.

use crate::client::{ClientError, Kind};

/// A way for people to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The browser of this machine, which comes back to a loopback port (RFC 8252).
    Browser,
    /// A browser of any machine; what it ends on is pasted here, or reaches the loopback port through a tunnel.
    Paste,
    /// A browser of any machine, which confirms a code (RFC 8628).
    Device,
}

impl Way {
    const ALL: [Self; 3] = [Self::Browser, Self::Paste, Self::Device];

    /// As it is remembered and shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Paste => "paste",
            Self::Device => "device",
        }
    }

    /// The way of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Browser => "--browser",
            Self::Paste => "--no-browser",
            Self::Device => "--device",
        }
    }

    fn described(self) -> &'static str {
        match self {
            Self::Browser => "with this machine's browser",
            Self::Paste => "with an address to visit",
            Self::Device => "with a code that any browser can confirm",
        }
    }
}

/// Where a login runs.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// A person sits at a terminal.
    pub terminal: bool,
    /// `BROWSER` names a browser.
    pub named_browser: bool,
    /// A browser would have somewhere to show itself.
    pub display: bool,
    /// The terminal is on another machine: how that machine's `ssh` calls this one, where that is known.
    pub remote: Option<String>,
    /// A container or a build, where a browser would be nobody's.
    pub container: bool,
}

impl Here {
    /// Why no browser can be opened here.
    fn obstacle(&self) -> Option<&'static str> {
        if self.named_browser {
            None
        } else if self.remote.is_some() {
            Some("this is an SSH session")
        } else if self.container {
            Some("this is a container")
        } else if !self.display {
            Some("there is no display here")
        } else {
            None
        }
    }
}

/// What decides.
pub(super) struct Wishes {
    /// Asked for now.
    pub(super) asked: Option<Way>,
    /// A callback port was asked for: only a loopback redirect has one.
    pub(super) loopback: bool,
    /// Asked for at an earlier login.
    pub(super) remembered: Option<Way>,
    /// Whether the gateway serves device logins.
    pub(super) device: bool,
}

/// A way, and how it came to be chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) way: Way,
    /// By a person, now or earlier: remembered for the next time.
    pub(super) asked: bool,
    because: String,
}

impl Choice {
    /// One line for the person.
    pub(super) fn line(&self) -> String {
        let others: Vec<_> = Way::ALL.iter().filter(|way| **way != self.way).map(|way| way.flag()).collect();
        format!("logging in {}{}; other ways: {}", self.way.described(), self.because, others.join(", "))
    }
}

/// Fails where nobody could answer, before anything is sent: a script never opens a browser.
pub(super) fn somebody_is_here(asked: Option<Way>, here: &Here) -> Result<(), ClientError> {
    let enough = match asked {
        Some(Way::Paste | Way::Device) => true,
        Some(Way::Browser) | None => here.terminal || here.named_browser,
    };
    if enough {
        return Ok(());
    }
    let message = "logging in needs a person and a browser, and this is not a terminal";
    Err(ClientError::new(Kind::LoginNeeded, "no_terminal", message).remedy(
        "hoopctl login --device shows a code and --no-browser an address, for a person elsewhere; a workload sets \
         HOOPCTL_WORKLOAD_TOKEN or --workload-token-file",
    ))
}

/// Chooses: flags before what is remembered before the surroundings.
pub(super) fn choose(wishes: &Wishes, here: &Here) -> Result<Choice, ClientError> {
    let obstacle = here.obstacle();
    if let Some(way) = wishes.asked {
        if way == Way::Device && !wishes.device {
            return Err(ClientError::failed(
                "no_device_login",
                "this gateway does not serve logins by a code",
            )
            .remedy("hoopctl login --no-browser"));
        }
        return Ok(Choice { way, asked: true, because: String::new() });
    }
    let makes_sense = |way: &Way| match way {
        Way::Browser => obstacle.is_none(),
        Way::Device => wishes.device && !wishes.loopback,
        Way::Paste => true,
    };
    if let Some(way) = wishes.remembered.filter(makes_sense) {
        return Ok(Choice { way, asked: true, because: ", as the last time".to_owned() });
    }
    Ok(match obstacle {
        None => Choice { way: Way::Browser, asked: false, because: String::new() },
        Some(why) => {
            let device = wishes.device && !wishes.loopback;
            let way = if device { Way::Device } else { Way::Paste };
            Choice { way, asked: false, because: format!(", as {why}") }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Here {
        Here { terminal: true, display: true, ..Here::default() }
    }

    fn ssh() -> Here {
        Here { remote: Some("alice@192.0.2.7".into()), ..desk() }
    }

    fn wishes() -> Wishes {
        Wishes { asked: None, loopback: false, remembered: None, device: true }
    }

    #[test]
    fn the_surroundings_choose() {
        let bare = Here { display: false, ..desk() };
        let container = Here { container: true, ..desk() };
        let named = Here { named_browser: true, ..ssh() };
        for (here, device, way) in [
            (desk(), true, Way::Browser),
            (ssh(), true, Way::Device),
            (ssh(), false, Way::Paste),
            (bare, true, Way::Device),
            (container, true, Way::Device),
            (named, true, Way::Browser),
        ] {
            let choice = choose(&Wishes { device, ..wishes() }, &here).unwrap();
            assert_eq!((choice.way, choice.asked), (way, false), "{here:?}");
        }
        let line = choose(&wishes(), &ssh()).unwrap().line();
        assert_eq!(
            line,
            "logging in with a code that any browser can confirm, as this is an SSH session; other ways: --browser, --no-browser"
        );
    }

    #[test]
    fn flags_go_before_memory_and_memory_before_the_surroundings() {
        let remembered = |way| Wishes { remembered: Some(way), ..wishes() };
        assert_eq!(choose(&remembered(Way::Paste), &desk()).unwrap().way, Way::Paste);
        assert_eq!(choose(&remembered(Way::Device), &desk()).unwrap().way, Way::Device);
        let asked = Wishes { asked: Some(Way::Browser), ..remembered(Way::Device) };
        assert_eq!(choose(&asked, &ssh()).unwrap().way, Way::Browser);
        // What is remembered must still make sense.
        assert_eq!(choose(&remembered(Way::Browser), &ssh()).unwrap().way, Way::Device);
        let gone = Wishes { device: false, ..remembered(Way::Device) };
        assert_eq!(choose(&gone, &desk()).unwrap().way, Way::Browser);
        let port = Wishes { loopback: true, ..remembered(Way::Device) };
        assert_eq!(choose(&port, &ssh()).unwrap().way, Way::Paste);
    }

    #[test]
    fn a_gateway_without_device_logins_says_so() {
        let wishes = Wishes { asked: Some(Way::Device), device: false, ..wishes() };
        assert_eq!(choose(&wishes, &desk()).unwrap_err().code, "no_device_login");
    }

    #[test]
    fn a_script_never_opens_a_browser() {
        let script = Here { display: true, ..Here::default() };
        for asked in [None, Some(Way::Browser)] {
            let error = somebody_is_here(asked, &script).unwrap_err();
            assert_eq!((error.kind, error.code.as_str()), (Kind::LoginNeeded, "no_terminal"));
            assert!(error.remedy.unwrap().contains("--device"));
        }
        somebody_is_here(Some(Way::Device), &script).unwrap();
        somebody_is_here(None, &Here { named_browser: true, ..script }).unwrap();
    }

    #[test]
    fn names_are_read_back() {
        for way in Way::ALL {
            assert_eq!(Way::named(way.name()), Some(way));
        }
        assert_eq!(Way::named("workload"), None);
    }
}
