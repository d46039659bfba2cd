//! What the room is told by `gateway.toml`.

use std::{fmt, path::PathBuf, time::Duration};

use crate::secret;

/// What the room is told by `gateway.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// What laptops dial, without a path; the issuer of the gateway's own tokens.
    pub public_url: url::Url,
    /// The identity providers, in their order in the file.
    pub providers: Vec<ProviderConfig>,
    /// Life of a client certificate. Default 15 min.
    pub credential_life: Duration,
    /// Life of a login session. Default 12 h.
    pub session_life: Duration,
    /// Life of an access token. Default 5 min.
    pub token_life: Duration,
    /// `<state>`: `token.key` (access tokens) and `seal.key` (what is stored sealed) live there, 0600.
    pub state: PathBuf,
    /// Whether the server's leaf is one of the own CA, so that laptops need that CA as their root.
    pub own_roots: bool,
}

/// One `[[identity]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderConfig {
    /// Unique.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
}

/// The kinds of identity providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenID Connect: people sign in at the company's provider.
    Oidc {
        /// Where discovery begins; https, or http on loopback.
        issuer: url::Url,
        /// As registered at the provider.
        client_id: String,
        /// Absent for a public client.
        client_secret: Option<secret::Source>,
        /// What is asked for; `openid` always is. Empty: the preset's own, as far as the provider advertises them.
        scopes: Vec<String>,
        /// The claim that holds the groups, a string or an array of strings; a path with dots leads into objects.
        groups_claim: String,
        /// A PEM file of roots in place of the operating system's.
        ca: Option<PathBuf>,
        /// Whose product it is.
        preset: Preset,
    },
    /// SAML 2.0: people sign in at the company's provider.
    Saml(Box<SamlConfig>),
    /// Tokens that a platform (a cluster, a CI system) gives its workloads.
    Workload {
        /// `iss` of the tokens, exactly.
        issuer: String,
        /// `aud` of the tokens must hold it.
        audience: String,
        /// Where the keys are; discovered from the issuer if absent.
        jwks: Option<Jwks>,
        /// The claim that names the workload.
        subject_claim: String,
        /// The claim that holds groups, if any.
        groups_claim: Option<String>,
        /// A PEM file of roots in place of the operating system's.
        ca: Option<PathBuf>,
    },
    /// Programs of the operator's own, each with a secret or a key.
    Service {
        /// The accounts; their names are unique.
        accounts: Vec<ServiceAccount>,
    },
    /// Anybody on this machine signs in as anybody: for trying things out on loopback.
    Dev {
        /// Who can be chosen.
        users: Vec<DevUser>,
    },
}

/// An account of a `service` provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// The subject.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
    /// How it proves itself.
    pub proof: ServiceProof,
}

/// How a service account proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceProof {
    /// By a secret of at least 32 characters.
    Secret(secret::Source),
    /// By signing with the key whose public half is in this PEM file (RFC 7523).
    PublicKey(PathBuf),
}

/// Whose product an OpenID provider is: what it is asked for, and where its groups are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Any certified provider.
    #[default]
    Generic,
    /// Okta, the org's or a custom authorization server.
    Okta,
    /// Microsoft Entra ID, one tenant.
    Entra {
        /// Where Microsoft Graph is: it has the groups of people who have too many for a token.
        graph: url::Url,
    },
    /// Google Workspace or Cloud Identity.
    Google {
        /// The `hd` an account must have; never empty.
        hosted_domains: Vec<String>,
        /// Where groups are asked for; Google puts none into tokens.
        directory: Option<Directory>,
    },
    /// Keycloak.
    Keycloak,
    /// Auth0.
    Auth0,
}

/// Google's interface for groups, and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The JSON key of a service account.
    pub service_account: secret::Source,
    /// The administrator the service account acts for (domain-wide delegation).
    pub admin_email: Option<String>,
    /// Which interface.
    pub api: DirectoryApi,
    /// Where it is.
    pub url: url::Url,
}

/// Google's two interfaces for groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirectoryApi {
    /// Cloud Identity: groups of groups too; Enterprise and Premium editions only.
    CloudIdentity,
    /// The Admin SDK's Directory: direct memberships, every edition.
    AdminSdk,
}

impl Preset {
    /// Why this issuer cannot be believed, and what to write.
    pub fn unusable(&self, issuer: &url::Url) -> Option<(&'static str, &'static str)> {
        // Their tokens are of every tenant there is, so that anybody with some account could log in.
        const MANY: [&str; 4] =
            ["common", "organizations", "consumers", "9188040d-6c67-4c5b-b112-36a304b66dad"];
        let tenant = issuer.path_segments().and_then(|mut path| path.next()).unwrap_or_default();
        let many = MANY.iter().any(|one| tenant.eq_ignore_ascii_case(one));
        (matches!(self, Self::Entra { .. }) && many).then_some((
            "an issuer of every tenant there is",
            "name your own tenant: https://login.microsoftonline.com/TENANT-ID/v2.0",
        ))
    }
}

/// Where a JSON Web Key Set is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// A file.
    File(PathBuf),
    /// An https URL, or http on loopback.
    Url(url::Url),
}

/// What `[[identity]] kind = "saml"` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamlConfig {
    /// Where the provider's metadata is read.
    pub metadata: MetadataOrigin,
    /// A PEM file: who must have signed the metadata.
    pub metadata_certificate: Option<PathBuf>,
    /// A PEM file of roots in place of the operating system's, for metadata from a URL.
    pub ca: Option<PathBuf>,
    /// How the provider knows this gateway; `{public_url}/saml/{name}` if absent.
    pub entity_id: Option<String>,
    /// The attribute that holds the groups.
    pub groups_attribute: String,
    /// The attribute that holds the email address.
    pub email_attribute: String,
    /// The attribute that holds the display name.
    pub name_attribute: String,
    /// The attribute that names the caller, in place of the NameID.
    pub subject: Option<String>,
    /// Whether requests are signed; as the provider's metadata wants it if absent.
    pub sign_requests: Option<bool>,
    /// What of an answer must be signed.
    pub require_signed: Signed,
    /// How far the provider's clock may be off, at most 5 min.
    pub clock_skew: Duration,
    /// The longest session of this provider.
    pub session: Option<Duration>,
}

/// Where a SAML identity provider's metadata is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataOrigin {
    /// A file.
    File(PathBuf),
    /// An https URL, or http on loopback.
    Url(url::Url),
}

impl fmt::Display for MetadataOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// What of a SAML answer must be signed. What is read is always covered by a valid signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The assertion itself.
    Assertion,
    /// The whole response.
    Response,
    /// One of the two.
    Either,
}

/// A user of the `dev` provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevUser {
    /// The subject; also the email address when it looks like one.
    pub name: String,
    /// Groups.
    pub groups: Vec<String>,
}
