//! Bytes for a receiver that answers nothing: a connection of TLS (or plain TCP on loopback) that is written, ended, and read to the other side's end.

use std::{io, path::Path, sync::Arc};

use futures_util::FutureExt;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Host;

use super::{OutboundError, TIMEOUT};
use crate::tls::{self, HotKey, Identity, Trust};

/// What a receiver may say before it ends, in bytes; none is expected to say anything.
const MAX_SAID: usize = 64 * 1024;

/// The way to such a receiver.
pub(in crate::gateway) struct OneWay {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl OneWay {
    /// TLS that believes the roots of `ca`, or the operating system's, and shows `identity` to who asks for a certificate. Blocks on files.
    ///
    /// # Errors
    /// When the roots cannot be used or the host is no server name.
    pub(in crate::gateway) fn encrypted(
        host: &Host,
        port: u16,
        ca: Option<&Path>,
        identity: Option<Identity>,
    ) -> Result<Self, String> {
        let trust = match ca {
            Some(path) => Trust::from_file(path).map_err(|e| e.to_string())?,
            None => Trust::Platform,
        };
        let verifier = trust.verifier().map_err(|e| e.to_string())?;
        let key = identity.map(HotKey::new);
        let mut config = tls::upstream(verifier, key.as_ref()).map_err(|e| e.to_string())?;
        // It is not HTTP that follows.
        config.alpn_protocols.clear();
        let host = plain(host);
        let name = ServerName::try_from(host.clone()).map_err(|_| format!("`{host}` is no server name"))?;
        Ok(Self { host, port, tls: Some((TlsConnector::from(Arc::new(config)), name)) })
    }

    /// Without TLS.
    ///
    /// # Errors
    /// When the host is not this machine.
    pub(in crate::gateway) fn on_loopback(host: &Host, port: u16) -> Result<Self, String> {
        let here = match host {
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
            Host::Domain(name) => name == "localhost",
        };
        if !here {
            return Err("plain TCP is for loopback alone: use TLS".to_owned());
        }
        Ok(Self { host: plain(host), port, tls: None })
    }

    /// Writes everything on a connection of its own and ends it. Done when the other side has ended it too: it does so after it has
    /// read our end, which comes after the bytes (RFC 5425 §4.4). Some end TCP without a word in TLS; that counts.
    pub(in crate::gateway) async fn send(&self, bytes: &[u8]) -> Result<(), OutboundError> {
        let target = format!("{}:{}", self.host, self.port);
        match timeout(TIMEOUT, self.exchange(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(OutboundError(format!("{target}: {error}"))),
            Err(_) => Err(OutboundError(format!(
                "{target}: it did not take the events and end the connection within {} s",
                TIMEOUT.as_secs()
            ))),
        }
    }

    async fn exchange(&self, bytes: &[u8]) -> io::Result<()> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some((connector, name)) => written(connector.connect(name.clone(), stream).await?, bytes).await,
            None => written(stream, bytes).await,
        }
    }
}

/// An address without the brackets of a URL.
fn plain(host: &Host) -> String {
    host.to_string().trim_matches(['[', ']']).to_owned()
}

async fn written<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    let mut said = [0; 1024];
    // An end before ours says nothing of what was read.
    if let Some(read) = stream.read(&mut said).now_or_never()
        && ended(read)?
    {
        return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it ended the connection by itself"));
    }
    stream.shutdown().await?;
    let mut left = MAX_SAID;
    loop {
        let read = stream.read(&mut said).await;
        left = left.saturating_sub(*read.as_ref().unwrap_or(&0));
        if ended(read)? {
            return Ok(());
        }
        if left == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it says more than a receiver should"));
        }
    }
}

fn ended(read: io::Result<usize>) -> io::Result<bool> {
    match read {
        Ok(count) => Ok(count == 0),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn listening() -> (TcpListener, OneWay) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = OneWay::on_loopback(&Host::parse("127.0.0.1").unwrap(), port).unwrap();
        (listener, way)
    }

    #[tokio::test]
    async fn it_is_done_when_the_receiver_has_read_to_the_end() {
        let (listener, way) = listening().await;
        let receiver = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            all
        });
        let bytes = vec![7; 3 * 1024 * 1024];
        way.send(&bytes).await.unwrap();
        assert!(receiver.await.unwrap() == bytes);
    }

    #[tokio::test]
    async fn it_is_not_done_when_the_receiver_leaves_before_the_end() {
        let (listener, way) = listening().await;
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 10];
            stream.read_exact(&mut some).await.unwrap();
        });
        way.send(&vec![7; 8 * 1024 * 1024]).await.unwrap_err();
    }

    #[test]
    fn plain_tcp_is_for_loopback_alone() {
        for (host, fits) in [
            ("127.0.0.1", true),
            ("[::1]", true),
            ("localhost", true),
            ("logs.example.com", false),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(OneWay::on_loopback(&Host::parse(host).unwrap(), 601).is_ok(), fits, "{host}");
        }
    }
}
