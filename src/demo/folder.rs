//! The gateway's files, written as a person would write them, and removed in the end unless they asked to keep them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{error::Error, model::Model};
use crate::{
    id,
    secret::{self, ExposeSecret},
};

/// The first line of a `gateway.toml` that may be written over.
const MARK: &str = "# Written by `hoopctl demo`, anew at each start.";

/// A folder with `gateway.toml`, `policies/`, `state/` and the laptop's own files.
pub(super) struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    /// `dir`, or a new one that is removed when this value is dropped.
    pub(super) fn open(dir: Option<PathBuf>) -> Result<Self, Error> {
        let temporary = dir.is_none();
        let unusable = |path: &Path, error: io::Error| {
            Error::new(&format!("the folder {} cannot be used", path.display()), error)
        };
        let path = match dir {
            Some(dir) => dir,
            None => {
                std::env::temp_dir().join(format!("hoopctl-demo-{:016x}", u64::from_ne_bytes(id::random())))
            }
        };
        secret::create_private_dir(&path).map_err(|error| unusable(&path, error))?;
        let path = path.canonicalize().map_err(|error| unusable(&path, error))?;
        let folder = Self { path, temporary };
        folder.check_ours()?;
        Ok(folder)
    }

    /// Somebody's own gateway is never written over.
    fn check_ours(&self) -> Result<(), Error> {
        match fs::read_to_string(self.configuration()) {
            Ok(text) if !text.starts_with(MARK) => Err(Error::new(
                "the folder cannot be used",
                format!("{} was not written by the demo", self.configuration().display()),
            )
            .remedy("give --dir another folder, or a new name".to_owned())),
            _ => Ok(()),
        }
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.path.join("gateway.toml")
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.path.join("state").join("ca.pem")
    }

    /// Where the demo's own laptop keeps its profile.
    pub(super) fn laptop(&self) -> PathBuf {
        self.path.join("laptop")
    }

    /// Who may do what.
    pub(super) fn policy(&self) -> PathBuf {
        self.path.join("policies").join("demo.cedar")
    }

    /// Writes what a gateway at `port` needs to serve `model`.
    pub(super) fn write(&self, port: u16, model: &Model) -> Result<(), Error> {
        self.try_write(port, model)
            .map_err(|error| Error::new(&format!("{} cannot be written", self.path.display()), error))
    }

    fn try_write(&self, port: u16, model: &Model) -> io::Result<()> {
        secret::create_private_dir(&self.path.join("policies"))?;
        fs::write(self.policy(), POLICY)?;
        fs::write(self.path.join("model-ca.pem"), model.ca_pem())?;
        secret::write_private(&self.path.join("model.key"), model.key().expose_secret().as_bytes())?;
        fs::write(self.configuration(), configuration(port, &model.url()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, path = %self.path.display(), "the demo's folder could not be removed");
        }
    }
}

const POLICY: &str = r#"// Written by `hoopctl demo`. Change it: the next request is decided by what stands here.

@id("demo-users")
permit(principal in Group::"demo-users", action in [Action::"list", Action::"invoke"], resource);

@id("demo-audit")
permit(principal in Group::"demo-users", action == Action::"read_audit", resource);
"#;

fn configuration(port: u16, upstream: &str) -> String {
    format!(
        r#"{MARK}

[gateway]
public_url = "https://127.0.0.1:{port}"
listen     = "127.0.0.1:{port}"
state      = "state"
policies   = "policies"

# Signs in whoever asks: for loopback only, and refused anywhere else.
[[identity]]
kind  = "dev"
name  = "dev"
users = [{{ name = "alice", groups = ["demo-users"] }}, {{ name = "bob", groups = [] }}]

[[model]]
name       = "demo"
upstream   = "{upstream}"
dialect    = "openai"
ca         = "model-ca.pem"
credential = {{ header = "authorization", value = {{ file = "model.key", prefix = "Bearer " }} }}
labels     = {{ data = "public" }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebodys_own_gateway_is_not_written_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gateway.toml"), "[gateway]\n").unwrap();
        let error = Folder::open(Some(dir.path().to_owned())).err().unwrap();
        assert!(error.remedy.is_some());
        fs::write(dir.path().join("gateway.toml"), configuration(1, "https://x")).unwrap();
        assert!(Folder::open(Some(dir.path().to_owned())).is_ok());
    }

    #[test]
    fn a_folder_of_our_own_is_gone_afterwards() {
        let folder = Folder::open(None).unwrap();
        let path = folder.path.clone();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }
}
