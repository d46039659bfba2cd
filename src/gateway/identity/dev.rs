//! The `dev` provider: on loopback alone, anybody signs in as anybody the configuration names.

use super::{config::DevUser, provider::Claimed};

/// The users of a `dev` provider.
pub(super) struct Dev {
    name: String,
    users: Vec<DevUser>,
}

impl Dev {
    pub(super) fn new(name: String, users: Vec<DevUser>) -> Self {
        Self { name, users }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Who can be chosen.
    pub(super) fn users(&self) -> &[DevUser] {
        &self.users
    }

    /// The user of that name, as the configuration says now.
    pub(super) fn user(&self, name: &str) -> Option<Claimed> {
        let user = self.users.iter().find(|user| user.name == name)?;
        Some(Claimed {
            subject: user.name.clone(),
            email: user.name.contains('@').then(|| user.name.clone()),
            name: Some(user.name.clone()),
            groups: user.groups.clone(),
        })
    }
}
