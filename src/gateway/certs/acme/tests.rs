//! ACME against a directory on loopback: the first certificate, renewal, back-off, restarts, external accounts.

use std::{
    fs,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::UNIX_EPOCH,
};

use tokio::{net::TcpListener, time::sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{
    super::{Certificates, OVERLAP, Source, Witness},
    directory::Directory,
    *,
};
use crate::{
    clock::{Clock, Hand},
    tls,
};

const LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    hand: Hand,
    directory: Directory,
    heard: Arc<Mutex<Vec<Happening>>>,
    stop: CancellationToken,
}

impl World {
    async fn new() -> Self {
        let (clock, hand) = Clock::manual(UNIX_EPOCH + Duration::from_secs(1_795_418_146));
        let directory = Directory::start(clock.clone(), LIFE).await;
        let folder = tempfile::tempdir().unwrap();
        Self { folder, clock, hand, directory, heard: Arc::default(), stop: CancellationToken::new() }
    }

    /// A start; names lead to it from now on.
    async fn open(&mut self, external: Option<External>) -> Certificates {
        std::mem::take(&mut self.stop).cancel();
        let acme = Config {
            directory: self.directory.url(),
            contact: vec!["mailto:ops@example.test".to_owned()],
            ca: None,
            external,
        };
        let room = Room {
            state: self.folder.path().to_owned(),
            names: vec!["gateway.example.test".to_owned()],
            source: Source::Acme(acme),
            overlap: OVERLAP,
            client_life: Duration::from_secs(900),
        };
        let heard = Arc::clone(&self.heard);
        let witness: Witness =
            Arc::new(move |happening| heard.lock().unwrap_or_else(PoisonError::into_inner).push(happening));
        let certificates = Certificates::open(&room, self.clock.clone(), witness, &self.stop).await.unwrap();
        let port = listen(certificates.challenges().unwrap(), self.stop.clone()).await;
        self.directory.point_at(port);
        certificates
    }

    fn refused(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let refused = heard.iter().filter_map(|happening| match happening {
            Happening::Refused { problem } => Some(problem.clone()),
            _ => None,
        });
        refused.collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The part of the TCP leg that answers a directory.
async fn listen(key: &ChallengeKey, stop: CancellationToken) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls::acme_server(key).unwrap()));
    tokio::spawn(stop.run_until_cancelled_owned(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    }));
    address
}

/// Waits for what other tasks do over real sockets.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

fn from_directory(certificates: &Certificates, world: &World) -> bool {
    certificates.key().current().chain().last() == Some(&world.directory.root())
}

fn leaf(certificates: &Certificates) -> Vec<u8> {
    certificates.key().current().chain()[0].to_vec()
}

#[tokio::test]
async fn the_first_certificate_comes_while_the_gateway_runs_is_kept_and_is_renewed_at_two_thirds() {
    let mut world = World::new().await;
    let certificates = world.open(None).await;
    assert_eq!(certificates.key().current().chain().len(), 1, "nobody can pin what is shown until then");
    until("a first certificate", || from_directory(&certificates, &world)).await;
    let first = leaf(&certificates);
    #[cfg(unix)]
    for file in ["acme.pem", "acme-account.json"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(world.folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    let again = world.open(None).await;
    assert_eq!(leaf(&again), first, "a restart asks for nothing");
    world.hand.advance(LIFE * 2 / 3 - Duration::from_secs(60));
    sleep(POLL * 3).await;
    assert_eq!((leaf(&again), world.directory.books().ordered), (first.clone(), 1));
    world.hand.advance(Duration::from_secs(60));
    until("a renewal", || leaf(&again) != first).await;
    assert!(from_directory(&again, &world));
    assert_eq!(world.directory.accounts(), 1, "the account is kept");
    let renewed = |happening: &&Happening| matches!(happening, Happening::Renewed { .. });
    until("two events", || world.heard.lock().unwrap().iter().filter(renewed).count() == 2).await;
}

#[tokio::test]
async fn a_directory_out_of_order_is_asked_again_ever_more_slowly_and_the_old_certificate_stays() {
    let mut world = World::new().await;
    let certificates = world.open(None).await;
    until("a first certificate", || from_directory(&certificates, &world)).await;
    let first = leaf(&certificates);
    world.directory.books().out_of_order = Some("too many certificates\u{1b}[31m".to_owned());
    world.hand.advance(LIFE * 2 / 3);
    until("a refusal", || !world.refused().is_empty()).await;
    let told = world.refused().remove(0);
    assert!(told.contains("too many certificates") && !told.contains('\u{1b}'), "{told}");
    assert_eq!(leaf(&certificates), first);
    sleep(POLL * 3).await;
    assert_eq!(world.directory.books().ordered, 2, "asked again before the pause was over");
    world.hand.advance(FIRST_PAUSE);
    until("a second try", || world.directory.books().ordered == 3).await;
    world.directory.books().out_of_order = None;
    world.hand.advance(FIRST_PAUSE * 2);
    until("a renewal", || leaf(&certificates) != first).await;
    assert_eq!(world.refused().len(), 1, "the same failure is told once");
}

#[tokio::test]
async fn an_external_account_is_bound_by_its_key_and_a_wrong_key_gets_no_account() {
    let mut world = World::new().await;
    let secret = id::random::<32>();
    world.directory.books().external = Some(("kid-1".to_owned(), secret.to_vec()));
    let path = world.folder.path().join("eab.key");
    fs::write(&path, URL_SAFE_NO_PAD.encode(id::random::<32>())).unwrap();
    let external = External { kid: "kid-1".to_owned(), key: secret::Source::File(path.clone()) };
    let certificates = world.open(Some(external)).await;
    until("a refusal", || !world.refused().is_empty()).await;
    assert_eq!(world.directory.accounts(), 0);
    fs::write(&path, URL_SAFE_NO_PAD.encode(secret)).unwrap();
    world.hand.advance(FIRST_PAUSE);
    until("a certificate", || from_directory(&certificates, &world)).await;
}

#[tokio::test]
async fn an_account_the_directory_lost_is_made_anew() {
    let mut world = World::new().await;
    let certificates = world.open(None).await;
    until("a first certificate", || from_directory(&certificates, &world)).await;
    let first = leaf(&certificates);
    let fresh = Directory::start(world.clock.clone(), LIFE).await;
    let file = world.folder.path().join("acme-account.json");
    let kept = fs::read_to_string(&file).unwrap();
    let (old, new) = (world.directory.url(), fresh.url());
    let moved =
        kept.replace(&old.as_str().replace("/directory", ""), &new.as_str().replace("/directory", ""));
    secret::write_private(&file, moved.as_bytes()).unwrap();
    world.directory = fresh;
    let again = world.open(None).await;
    assert_eq!(leaf(&again), first);
    world.hand.advance(LIFE * 2 / 3);
    until("a refusal", || !world.refused().is_empty()).await;
    world.hand.advance(FIRST_PAUSE);
    until("a renewal", || from_directory(&again, &world)).await;
}

#[test]
fn pauses_double_up_to_six_hours() {
    for (failures, most) in [(0, FIRST_PAUSE), (3, FIRST_PAUSE * 8), (60, LONGEST_PAUSE)] {
        let rest = pause(failures);
        assert!(rest <= most && rest >= most.mul_f64(0.79), "{failures}: {rest:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_kept_is_used() {
    let mut world = World::new().await;
    let certificates = world.open(None).await;
    until("a first certificate", || from_directory(&certificates, &world)).await;
    let first = leaf(&certificates);
    let file = world.folder.path().join("acme.pem");
    fs::remove_file(&file).unwrap();
    fs::create_dir_all(file.join("in the way")).unwrap();
    world.hand.advance(LIFE * 2 / 3);
    until("a renewal", || leaf(&certificates) != first).await;
    assert!(world.refused().iter().any(|problem| problem.contains("acme.pem")), "{:?}", world.refused());
}

#[test]
fn the_challenge_is_shown_to_whoever_asks_for_its_name_alone() {
    let (key, pair, name) = (ChallengeKey::default(), KeyPair::generate().unwrap(), "gateway.example.test");
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&pair).unwrap();
    key.show(name, certificate.into(), PrivateKeyDer::from(pair)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let config = Arc::new(config);
    for (asked, shown) in [(name, true), ("other.example.test", false), ("127.0.0.1", false)] {
        let asks = asked.to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::clone(&config), asks).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::new(tls::acme_server(&key).unwrap())).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        server.read_tls(&mut hello.as_slice()).unwrap();
        assert_eq!(server.process_new_packets().is_ok(), shown, "{asked}");
    }
}
