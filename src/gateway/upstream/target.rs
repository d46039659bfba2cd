//! Where a request goes: authority and base path of the model's URL, the rest of the target byte for byte.

use http::{
    HeaderValue, Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};

use super::SetupError;

/// The fixed part of every request's target.
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    /// Without its trailing slash; empty for the root.
    base: String,
}

impl Target {
    pub(super) fn new(url: &url::Url) -> Result<Self, SetupError> {
        let wrong = |why: &str| SetupError::Setting(format!("the upstream URL {url} {why}"));
        let scheme = match url.scheme() {
            "https" => Scheme::HTTPS,
            "http" => Scheme::HTTP,
            "unix" => return Ok(Self::local()),
            _ => return Err(wrong("is neither https nor http")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SetupError::Setting(
                "the upstream URL holds a user or password: use `credential` with { env } or { file }"
                    .to_owned(),
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or fragment: only a path is put before requests"));
        }
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => return Err(wrong("has no host")),
        };
        Ok(Self {
            scheme,
            host: HeaderValue::from_str(&authority).map_err(|_| wrong("has an unusable host"))?,
            authority: authority.parse().map_err(|_| wrong("has an unusable host"))?,
            base: url.path().trim_end_matches('/').to_owned(),
        })
    }

    /// Behind a unix socket: the path is the socket's, and the only name there is this machine's.
    fn local() -> Self {
        Self {
            scheme: Scheme::HTTP,
            authority: Authority::from_static("localhost"),
            host: HeaderValue::from_static("localhost"),
            base: String::new(),
        }
    }

    /// Addresses the request to the model's server in the terms of its protocol: RFC 9112 §3.2.1 origin form and `Host`, or
    /// RFC 9113 §8.3.1 pseudo-headers. `path` is what [`Self::path`] made of the caller's.
    pub(super) fn address<B>(&self, request: &mut Request<B>, path: PathAndQuery, h2: bool) {
        let (uri, version) = if h2 {
            request.headers_mut().remove(header::HOST);
            let mut parts = http::uri::Parts::default();
            parts.scheme = Some(self.scheme.clone());
            parts.authority = Some(self.authority.clone());
            parts.path_and_query = Some(path);
            (Uri::from_parts(parts).unwrap_or_default(), Version::HTTP_2)
        } else {
            request.headers_mut().insert(header::HOST, self.host.clone());
            (Uri::from(path), Version::HTTP_11)
        };
        *request.uri_mut() = uri;
        *request.version_mut() = version;
    }

    /// The caller's path and query, byte for byte, behind the base path.
    pub(super) fn path(&self, uri: &Uri) -> PathAndQuery {
        let sent = uri.path_and_query();
        match sent.map(PathAndQuery::as_str) {
            Some(text) if !self.base.is_empty() && text.starts_with(['/', '?']) => {
                format!("{}{text}", self.base).parse().unwrap_or_else(|_| PathAndQuery::from_static("/"))
            }
            _ => sent.cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, SetupError> {
        Target::new(&url.parse().unwrap())
    }

    #[test]
    fn path_and_query_travel_byte_for_byte_behind_the_base_path() {
        for (base, sent, path) in [
            ("https://m.test", "/a%2Fb//c/../d?x=%20&y=+#", "/a%2Fb//c/../d?x=%20&y=+"),
            ("https://m.test/", "/", "/"),
            ("https://m.test/base", "/v1?q", "/base/v1?q"),
            ("https://m.test/base/", "/v1", "/base/v1"),
            ("https://m.test", "*", "*"),
            ("https://m.test", "http://127.0.0.1:9/v1?a", "/v1?a"),
            ("unix:/run/model.sock", "/v1?a", "/v1?a"),
        ] {
            let uri: Uri = sent.parse().unwrap();
            assert_eq!(target(base).unwrap().path(&uri).as_str(), path, "{base} {sent}");
        }
    }

    #[test]
    fn each_protocol_is_told_the_upstreams_own_authority() {
        let target = target("https://m.test:8443/b").unwrap();
        let mut request = Request::get("/x").header("host", "127.0.0.1:1").body(()).unwrap();
        let path = target.path(request.uri());
        target.address(&mut request, path.clone(), false);
        assert_eq!(
            (request.uri().to_string().as_str(), &request.headers()["host"]),
            ("/b/x", &HeaderValue::from_static("m.test:8443"))
        );
        target.address(&mut request, path, true);
        assert_eq!(request.uri().to_string(), "https://m.test:8443/b/x");
        assert!(!request.headers().contains_key("host"));
    }

    #[test]
    fn a_url_with_a_secret_or_without_a_host_is_refused() {
        for wrong in
            ["https://u:p@m.test", "https://m.test/?k=v", "https://m.test/#f", "ftp://m.test", "data:x"]
        {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }
}
