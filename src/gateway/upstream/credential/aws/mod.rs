//! AWS Signature Version 4: each attempt is signed with keys that may change at any time.

mod chunks;
mod keys;
mod service;
mod signature;
mod spelling;
#[cfg(test)]
mod tests;

use std::{fmt::Write, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use tokio::sync::Semaphore;
use url::Url;

use self::{
    chunks::Chunks,
    keys::Chain,
    signature::{Moment, Scope, Secrets, signed},
};
use super::{
    super::{Outgoing, SetupError, UpstreamError},
    renewed::Renewed,
};
use crate::{
    clock::Clock,
    gateway::upstream::outgoing::Gathered,
    secret::{self, ExposeSecret},
};

pub use self::keys::Keys;

/// The longest body that is read ahead to be signed, bytes.
const MAX_WHOLE: u64 = 32 * 1024 * 1024;
/// Bytes of all bodies that are read ahead and have not gone out, in the whole process.
const MAX_HELD: usize = 256 * 1024 * 1024;
static HELD: Semaphore = Semaphore::const_new(MAX_HELD);
/// The longest silence of a caller whose body is read ahead.
const SILENCE: Duration = Duration::from_secs(30);

/// Where requests are signed for, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// Such as `eu-central-1`.
    pub region: String,
    /// The service's signing name, such as `bedrock` or `sagemaker`.
    pub service: String,
    /// Where the keys come from.
    pub keys: Keys,
    /// How the body is covered by the signature.
    pub payload: Payload,
    /// Another metadata service (for keys of an instance), or another STS (for a web identity).
    pub endpoint: Option<Url>,
}

/// How the body is covered by the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// By its hash: the body is read to its end first.
    Signed,
    /// Not at all (`UNSIGNED-PAYLOAD`): it streams. Not every service takes it.
    Unsigned,
    /// Chunk by chunk (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`): it streams. Amazon S3 and what speaks its protocol take it.
    Chunked,
}

/// Keys as they are at the moment.
pub(super) struct AccessKeys {
    pub(super) id: String,
    pub(super) secret: secret::SecretString,
    pub(super) session: Option<secret::SecretString>,
}

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const CHUNKED: &str = "aws-chunked";

/// Signs requests.
pub(super) struct Signer {
    scope: Scope,
    payload: Payload,
    clock: Clock,
    keys: Renewed<Chain>,
}

impl Signer {
    /// Looks whether keys that are named are there; asks nobody yet.
    pub(super) fn new(model: &str, config: &Aws, clock: &Clock) -> Result<Self, SetupError> {
        Ok(Self {
            scope: Scope { region: config.region.clone(), service: config.service.clone() },
            payload: config.payload,
            clock: clock.clone(),
            keys: Renewed::new(model, Chain::new(config, clock)?, clock),
        })
    }

    pub(super) fn keep(&self) {
        self.keys.keep();
    }

    pub(super) fn inherit(&self, before: &Self) {
        self.keys.inherit(&before.keys);
    }

    pub(super) fn refused(&self) {
        self.keys.refused();
    }

    /// Reads as much of the body as the signature needs. Once, before a server and its connection wait for the caller.
    pub(super) async fn gather(&self, request: &mut Request<Outgoing>) -> Result<(), UpstreamError> {
        let body = request.body_mut();
        let ahead = match self.payload {
            Payload::Signed => true,
            Payload::Unsigned => false,
            Payload::Chunked => body.plain_length().is_none(),
        };
        if !ahead {
            return Ok(());
        }
        let unsignable = || UpstreamError::Unsignable { limit: MAX_WHOLE };
        if body.plain_length().is_some_and(|length| length > MAX_WHOLE) {
            return Err(unsignable());
        }
        let gathered = body.gather(MAX_WHOLE, SILENCE, &HELD).await;
        let gathered = gathered.map_err(|fault| UpstreamError::of(fault, body.meter()))?;
        match gathered {
            Gathered::Whole => Ok(()),
            Gathered::TooLong => Err(unsignable()),
            Gathered::NoRoom => Err(UpstreamError::Crowded),
        }
    }

    /// Signs the request, gathered before, as it will be written. What an earlier attempt has put in is replaced.
    pub(super) async fn sign(&self, request: &mut Request<Outgoing>) -> Result<(), UpstreamError> {
        let body = request.body_mut();
        body.encode(None);
        let plain = body.plain_length();
        let keys = self.keys.get().await.map_err(|cause| UpstreamError::Credential { cause })?;
        let moment = Moment::of(self.clock.now());
        let unwritable = |_| UpstreamError::Credential {
            cause: "a key holds characters that no header can carry".to_owned(),
        };
        *request.uri_mut() = spelling::respell(request.uri())?;
        let headers = request.headers_mut();
        clear(headers);
        headers.insert(DATE, HeaderValue::from_str(&moment.stamp).map_err(unwritable)?);
        if let Some(session) = &keys.session {
            let mut session = HeaderValue::from_str(session.expose_secret()).map_err(unwritable)?;
            session.set_sensitive(true);
            headers.insert(TOKEN, session);
        }
        let content = match self.payload {
            Payload::Signed => hex(request.body().gathered_sha256().as_ref()),
            Payload::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
            Payload::Chunked => "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned(),
        };
        let headers = request.headers_mut();
        headers.insert(CONTENT_SHA256, HeaderValue::from_str(&content).map_err(unwritable)?);
        if let (Payload::Chunked, Some(plain)) = (self.payload, plain) {
            frame(headers, plain);
        }
        let secrets = Secrets::new(&keys, &self.scope, &moment);
        let signed = signed(request, &self.scope, &secrets, &moment, &content);
        let mut value = HeaderValue::from_str(&signed.authorization).map_err(unwritable)?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        if let (Payload::Chunked, Some(plain)) = (self.payload, plain) {
            let chunks = Chunks::new(&secrets, &self.scope, &moment, signed.signature, plain);
            request.body_mut().encode(Some(Box::new(chunks)));
        }
        Ok(())
    }
}

/// The headers of aws-chunked bodies (Amazon S3, "Signature Calculations: Transferring Payload in Multiple Chunks").
fn frame(headers: &mut HeaderMap, plain: u64) {
    let encodings: Vec<String> = std::iter::once(CHUNKED.to_owned())
        .chain(
            headers
                .get_all(header::CONTENT_ENCODING)
                .iter()
                .filter_map(|v| v.to_str().ok().map(str::to_owned)),
        )
        .collect();
    if let Ok(value) = HeaderValue::from_str(&encodings.join(",")) {
        headers.insert(header::CONTENT_ENCODING, value);
    }
    headers.insert(DECODED_LENGTH, plain.into());
    headers.insert(header::CONTENT_LENGTH, chunks::length(plain).into());
}

/// Takes out what a caller's own signature, or that of an earlier attempt, has put in.
fn clear(headers: &mut HeaderMap) {
    const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");
    let was_chunked = headers.contains_key(DECODED_LENGTH);
    for name in
        [&DATE, &TOKEN, &CONTENT_SHA256, &DECODED_LENGTH, &TRAILER, &header::DATE, &header::AUTHORIZATION]
    {
        headers.remove(name);
    }
    if was_chunked {
        let rest: Vec<String> = headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|encoding| !encoding.eq_ignore_ascii_case(CHUNKED) && !encoding.is_empty())
            .map(str::to_owned)
            .collect();
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        if let Ok(value) = HeaderValue::from_str(&rest.join(","))
            && !rest.is_empty()
        {
            headers.insert(header::CONTENT_ENCODING, value);
        }
    }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
