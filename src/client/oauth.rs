//! What the laptop says to the gateway's authorization server (RFC 6749, 7009, 8693).

use std::pin::Pin;

use http::{Request, header};
use oauth2::{
    AsyncHttpClient, AuthorizationCode, ClientId, EndpointNotSet, EndpointSet, ErrorResponse,
    ErrorResponseType, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardErrorResponse, TokenResponse, TokenUrl,
    basic::{BasicClient, BasicTokenResponse},
};

use crate::{
    client::{ClientError, Kind, https::Https},
    secret::{ExposeSecret, SecretString},
    wire::api::{CLIENT_ID, Credential, CredentialRequest, Discovery, OAuthError},
};

/// What the token endpoint gives.
pub(super) struct Granted {
    /// For the credential endpoint.
    pub(super) access_token: SecretString,
    /// For the next time; absent for workloads.
    pub(super) refresh_token: Option<SecretString>,
}

type TokenClient = BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl<'c> AsyncHttpClient<'c> for Https {
    type Error = ClientError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ClientError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

fn token_client(discovery: &Discovery) -> Result<TokenClient, ClientError> {
    let token = TokenUrl::new(discovery.token_endpoint.clone()).map_err(|e| not_understood(&e))?;
    Ok(BasicClient::new(ClientId::new(CLIENT_ID.to_owned())).set_token_uri(token))
}

/// Trades an authorization code, proven to be ours by `verifier` (RFC 7636).
pub(super) async fn redeem(
    https: &Https,
    discovery: &Discovery,
    code: AuthorizationCode,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
) -> Result<Granted, ClientError> {
    let client = token_client(discovery)?.set_redirect_uri(redirect);
    let answer = client.exchange_code(code).set_pkce_verifier(verifier).request_async(https).await;
    answer.map(granted).map_err(failed)
}

/// Trades the refresh token for new ones; the old one is void afterwards.
pub(super) async fn refresh(
    https: &Https,
    discovery: &Discovery,
    token: &str,
) -> Result<Granted, ClientError> {
    let token = RefreshToken::new(token.to_owned());
    let answer = token_client(discovery)?.exchange_refresh_token(&token).request_async(https).await;
    answer.map(granted).map_err(failed)
}

/// Trades a workload's token (RFC 8693).
pub(super) async fn exchange(
    https: &Https,
    discovery: &Discovery,
    token: &SecretString,
) -> Result<Granted, ClientError> {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", token.expose_secret().trim()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("client_id", CLIENT_ID),
    ];
    trade(https, discovery, &form).await
}

/// Trades what a service account shows (RFC 6749 §4.4); `shown` are the fields that prove it.
pub(super) async fn client_credentials(
    https: &Https,
    discovery: &Discovery,
    shown: &[(&str, &str)],
) -> Result<Granted, ClientError> {
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(shown);
    trade(https, discovery, &form).await
}

async fn trade(https: &Https, discovery: &Discovery, form: &[(&str, &str)]) -> Result<Granted, ClientError> {
    let answer = https.send(post_form(&discovery.token_endpoint, form)?).await?;
    if !answer.status().is_success() {
        return Err(serde_json::from_slice::<OAuthError>(answer.body()).map_or_else(
            |_| not_understood(&answer.status()),
            |error| oauth_error(&error.error, error.error_description.as_deref()),
        ));
    }
    // The parser's message could quote the token.
    let answer: BasicTokenResponse =
        serde_json::from_slice(answer.body()).map_err(|_| not_understood(&"no token"))?;
    Ok(granted(answer))
}

/// Ends a session (RFC 7009).
pub(super) async fn revoke(https: &Https, discovery: &Discovery, token: &str) -> Result<(), ClientError> {
    let form = [("token", token), ("token_type_hint", "refresh_token"), ("client_id", CLIENT_ID)];
    let answer = https.send(post_form(&discovery.revocation_endpoint, &form)?).await?;
    if answer.status().is_success() {
        Ok(())
    } else {
        Err(ClientError::failed("revocation", format!("the gateway answered {}", answer.status())))
    }
}

/// Has a certificate issued for the key that signed `csr`.
pub(super) async fn certify(
    https: &Https,
    discovery: &Discovery,
    access_token: &SecretString,
    csr: &str,
) -> Result<Credential, ClientError> {
    let body =
        serde_json::to_vec(&CredentialRequest { csr: csr.to_owned() }).map_err(|e| not_understood(&e))?;
    let mut bearer = http::HeaderValue::from_str(&format!("Bearer {}", access_token.expose_secret()))
        .map_err(|_| not_understood(&"the access token cannot be sent"))?;
    bearer.set_sensitive(true);
    let request = Request::post(&discovery.credential_endpoint)
        .header(header::AUTHORIZATION, bearer)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|e| not_understood(&e))?;
    let answer = https.send(request).await?;
    if !answer.status().is_success() {
        return Err(super::https::refused(answer.status(), answer.body()));
    }
    serde_json::from_slice(answer.body()).map_err(|e| not_understood(&e))
}

fn post_form(to: &str, form: &[(&str, &str)]) -> Result<Request<Vec<u8>>, ClientError> {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    Request::post(to)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(body.into_bytes())
        .map_err(|e| not_understood(&e))
}

fn granted(answer: BasicTokenResponse) -> Granted {
    Granted {
        access_token: answer.access_token().secret().as_str().into(),
        refresh_token: answer.refresh_token().map(|token| token.secret().as_str().into()),
    }
}

fn failed<T>(error: RequestTokenError<ClientError, StandardErrorResponse<T>>) -> ClientError
where
    T: ErrorResponseType + AsRef<str> + std::fmt::Display + 'static,
    StandardErrorResponse<T>: ErrorResponse,
{
    match error {
        RequestTokenError::ServerResponse(said) => {
            oauth_error(said.error().as_ref(), said.error_description().map(String::as_str))
        }
        RequestTokenError::Request(error) => error,
        // Both may quote the answer, and with it a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => not_understood(&"no token"),
    }
}

/// An error of RFC 6749 §5.2 or §4.1.2.1 in our terms.
pub(super) fn oauth_error(word: &str, description: Option<&str>) -> ClientError {
    let said = match description {
        Some(text) if text.contains(word) => text.to_owned(),
        Some(text) => format!("{text} ({word})"),
        None => word.to_owned(),
    };
    let error = match word {
        "invalid_grant" | "invalid_client" | "access_denied" | "login_required" => {
            ClientError::login_needed(format!("the gateway does not accept this login: {said}"))
        }
        _ => ClientError::failed(word, format!("the gateway refused the login: {said}"))
            .remedy("hoopctl login"),
    };
    ClientError { code: word.to_owned(), ..error }
}

fn not_understood(cause: &dyn std::fmt::Display) -> ClientError {
    ClientError::new(
        Kind::Failed,
        "protocol",
        format!("the gateway's authorization server said something that is not understood: {cause}"),
    )
    .remedy("compare the versions: `hoopctl --version` here and on the gateway")
}
