//! By whom a gateway is believed before anything is sent to it.

use url::Url;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{FirstTrust, Talk};
use crate::{
    client::{
        ClientError, Laptop,
        https::{self, ConnectError, Https},
        profile::{Believed, Profile},
    },
    tls::{self, CertificateDer, Trust},
    tunnel::Proxies,
};

/// Finds the roots and has the gateway's certificate verified by them.
pub(super) async fn establish(
    laptop: &Laptop,
    gateway: &Url,
    known: Option<&Profile>,
    first: FirstTrust,
    talk: &dyn Talk,
) -> Result<Trust, ClientError> {
    let proxies = &laptop.settings.proxies;
    match first {
        FirstTrust::File(path) => {
            verified(gateway, Trust::from_file(&path)?, proxies).await.map_err(|error| match error {
                ConnectError::UnknownIssuer(message) => ClientError::untrusted(format!(
                    "{message}: it does not come from a CA in {}; nothing was sent",
                    path.display()
                ))
                .remedy("compare with `hoopctl gateway ca export` on the gateway"),
                ConnectError::Other(error) => error,
            })
        }
        FirstTrust::Fingerprint(text) => by_fingerprint(gateway, &text, proxies).await,
        FirstTrust::Known => match known.filter(|profile| profile.trust == Believed::Pinned) {
            Some(profile) => pinned(gateway, profile.trust(&laptop.places)?, proxies).await,
            None => platform_or_ask(gateway, proxies, talk).await,
        },
    }
}

async fn verified(gateway: &Url, trust: Trust, proxies: &Proxies) -> Result<Trust, ConnectError> {
    let https = Https::new(gateway, &trust, proxies).map_err(ConnectError::Other)?;
    https.connect().await?;
    Ok(trust)
}

async fn pinned(gateway: &Url, trust: Trust, proxies: &Proxies) -> Result<Trust, ClientError> {
    verified(gateway, trust, proxies).await.map_err(|error| match error {
        // Never asked here: a gateway that changed its CA looks like somebody in between.
        ConnectError::UnknownIssuer(message) => ClientError::untrusted(format!(
            "{message}, though this profile knows the gateway's CA: the CA was replaced, or somebody is in between; nothing was sent"
        ))
        .remedy(format!(
            "ask for the output of `hoopctl gateway ca fingerprint` on the gateway, then: hoopctl login {} --ca-fingerprint sha256:…",
            shown(gateway)
        )),
        ConnectError::Other(error) => error,
    })
}

async fn by_fingerprint(gateway: &Url, text: &str, proxies: &Proxies) -> Result<Trust, ClientError> {
    let wanted = tls::parse_fingerprint(text)?;
    let chain = https::look(gateway, proxies).await?.chain;
    let Some(root) = chain.iter().find(|c| tls::fingerprint(c) == wanted) else {
        let presented = authority_of(&chain).map_or_else(
            || "no CA at all".to_owned(),
            |ca| format!("the CA {}", tls::fingerprint_text(&tls::fingerprint(ca))),
        );
        return Err(ClientError::untrusted(format!(
            "{} presents {presented}, not {text}: the wrong fingerprint, the wrong gateway, or somebody in between; nothing was sent",
            shown(gateway)
        ))
        .remedy("compare with `hoopctl gateway ca fingerprint` on the gateway"));
    };
    if !is_authority(root) {
        return Err(ClientError::untrusted(format!(
            "{text} is the gateway's own certificate, which changes, not its CA's"
        ))
        .remedy("use what `hoopctl gateway ca fingerprint` on the gateway prints"));
    }
    Ok(verified(gateway, Trust::Roots(vec![root.clone()]), proxies).await?)
}

async fn platform_or_ask(gateway: &Url, proxies: &Proxies, talk: &dyn Talk) -> Result<Trust, ClientError> {
    let unknown = match Https::new(gateway, &Trust::Platform, proxies) {
        Ok(https) => match https.connect().await {
            Ok(()) => return Ok(Trust::Platform),
            Err(ConnectError::UnknownIssuer(message)) => message,
            Err(ConnectError::Other(error)) => return Err(error),
        },
        // A machine without roots of its own can still pin one.
        Err(error) => error.message,
    };
    let chain = https::look(gateway, proxies).await?.chain;
    let Some(root) = authority_of(&chain) else {
        return Err(ClientError::untrusted(format!(
            "{unknown}, and the gateway does not present its CA; nothing was sent"
        ))
        .remedy(format!("hoopctl login {} --ca-file PEM", shown(gateway))));
    };
    let fingerprint = tls::fingerprint_text(&tls::fingerprint(root));
    if !talk.trust(gateway, &fingerprint) {
        return Err(ClientError::untrusted(format!(
            "{unknown}; nothing was sent. Its CA presents itself as {fingerprint}: compare that with the output of `hoopctl gateway ca fingerprint` on the gateway"
        ))
        .remedy(format!("hoopctl login {} --ca-fingerprint {fingerprint}", shown(gateway))));
    }
    Ok(verified(gateway, Trust::Roots(vec![root.clone()]), proxies).await?)
}

fn shown(gateway: &Url) -> &str {
    gateway.as_str().trim_end_matches('/')
}

/// The chain's last certificate, when it is a CA's.
fn authority_of<'a>(chain: &'a [CertificateDer<'static>]) -> Option<&'a CertificateDer<'static>> {
    chain.last().filter(|certificate| is_authority(certificate))
}

fn is_authority(certificate: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| parsed.is_ca())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Kind, StoreChoice, testing};

    #[tokio::test]
    async fn the_right_fingerprint_pins_the_ca_and_the_wrong_one_sends_nothing() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::Memory);
        let stranger = tls::fingerprint_text(&tls::fingerprint(&testing::Ca::new().certificate()));
        let leaf = tls::fingerprint_text(&tls::fingerprint(&fake.leaf));
        for wrong in [stranger, leaf] {
            let error = testing::log_in(&fake, &laptop, FirstTrust::Fingerprint(wrong)).await.unwrap_err();
            assert_eq!(error.kind, Kind::Trust);
        }
        assert_eq!(fake.state.lock().unwrap().requests, 0, "nothing was sent");
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        // From now on the pinned CA is enough.
        testing::log_in(&fake, &laptop, FirstTrust::Known).await.unwrap();
        let error = testing::log_in(&fake, &laptop, FirstTrust::Fingerprint("sha256:12".into())).await;
        assert_eq!(error.unwrap_err().kind, Kind::Usage);
    }

    #[tokio::test]
    async fn a_presented_ca_that_did_not_sign_the_leaf_is_no_proof() {
        let honest = testing::Ca::new();
        let fingerprint = tls::fingerprint_text(&tls::fingerprint(&honest.certificate()));
        let evil = testing::Fake::start_presenting(Some(honest.certificate())).await;
        let home = tempfile::tempdir().unwrap();
        let laptop = evil.laptop(home.path(), StoreChoice::Memory);
        let error = testing::log_in(&evil, &laptop, FirstTrust::Fingerprint(fingerprint)).await.unwrap_err();
        assert_eq!(error.kind, Kind::Trust);
        assert_eq!(evil.state.lock().unwrap().requests, 0, "nothing was sent");
    }

    #[tokio::test]
    async fn an_unknown_ca_is_asked_about_and_a_no_names_the_command() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::Memory);
        let error = testing::log_in(&fake, &laptop, FirstTrust::Known).await.unwrap_err();
        assert_eq!(error.kind, Kind::Trust);
        let FirstTrust::Fingerprint(fingerprint) = fake.fingerprint() else { unreachable!() };
        let command = format!("hoopctl login {} --ca-fingerprint {fingerprint}", shown(&fake.url));
        assert_eq!(error.remedy, Some(command));
        assert_eq!(fake.state.lock().unwrap().requests, 0, "nothing was sent");
        let talk = testing::Silent::believing();
        let method = super::super::Method::Machine(super::super::Machine::token("a.workload.jwt".into()));
        laptop.login(FirstTrust::Known, method, &talk).await.unwrap();
    }

    #[tokio::test]
    async fn a_pinned_gateway_that_changed_its_ca_is_refused_without_asking() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::Memory);
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        let roots = testing::Ca::new().certificate();
        let profile = Profile::load(&laptop.places).unwrap().unwrap();
        profile.store(&laptop.places, &Trust::Roots(vec![roots])).unwrap();
        let talk = testing::Silent::believing();
        let method = super::super::Method::Machine(super::super::Machine::token("a.workload.jwt".into()));
        let error = laptop.login(FirstTrust::Known, method, &talk).await.unwrap_err();
        assert_eq!(error.kind, Kind::Trust);
    }

    #[tokio::test]
    async fn a_ca_file_is_believed() {
        let fake = testing::Fake::start().await;
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::Memory);
        let file = home.path().join("ca.pem");
        std::fs::write(&file, tls::to_pem(&[testing::Ca::new().certificate()])).unwrap();
        let wrong = testing::log_in(&fake, &laptop, FirstTrust::File(file.clone())).await;
        assert_eq!(wrong.unwrap_err().kind, Kind::Trust);
        std::fs::write(&file, tls::to_pem(&[fake.ca.certificate()])).unwrap();
        testing::log_in(&fake, &laptop, FirstTrust::File(file)).await.unwrap();
    }
}
