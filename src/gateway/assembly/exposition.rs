//! The text that metrics are served as: OpenMetrics 1.0 for who asks for it, Prometheus's older format for everybody else.

use http::{HeaderMap, header};

/// What Prometheus asks for first.
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What every scraper reads.
pub(super) const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether the scraper reads OpenMetrics.
pub(super) fn reads_open_metrics(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named =
            parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/openmetrics-text"));
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// The older format of an OpenMetrics text: there the name of a family is that of its samples, and there are neither units nor an end.
pub(super) fn classic(open_metrics: &str) -> String {
    let lines: Vec<&str> = open_metrics.lines().collect();
    let suffix = |name: &str| {
        let kind = |kind: &str| {
            lines.iter().any(|line| line.strip_prefix("# TYPE ") == Some(&format!("{name} {kind}")))
        };
        if kind("counter") {
            "_total"
        } else if kind("info") {
            "_info"
        } else {
            ""
        }
    };
    let mut text = String::with_capacity(open_metrics.len());
    for line in &lines {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("UNIT" | "EOF"), _) => continue,
            (Some("#"), Some(said @ ("HELP" | "TYPE")), Some(name)) => {
                let rest = match (said, words.next().unwrap_or_default()) {
                    ("TYPE", "info") => "gauge",
                    ("TYPE", "unknown") => "untyped",
                    (_, rest) => rest,
                };
                text.push_str(&format!("# {said} {name}{} {rest}\n", suffix(name)));
            }
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_older_format_names_families_as_their_samples() {
        let text = "# HELP a_requests Requests there were.\n# TYPE a_requests counter\na_requests_total{m=\"x y\"} 1\n\
                    # HELP a_build This program.\n# TYPE a_build info\na_build_info{version=\"1\"} 1\n\
                    # HELP a_lag_seconds Lag.\n# TYPE a_lag_seconds gauge\n# UNIT a_lag_seconds seconds\na_lag_seconds 2.5\n# EOF\n";
        assert_eq!(
            classic(text),
            "# HELP a_requests_total Requests there were.\n# TYPE a_requests_total counter\na_requests_total{m=\"x y\"} 1\n\
             # HELP a_build_info This program.\n# TYPE a_build_info gauge\na_build_info{version=\"1\"} 1\n\
             # HELP a_lag_seconds Lag.\n# TYPE a_lag_seconds gauge\na_lag_seconds 2.5\n"
        );
    }

    #[test]
    fn who_asks_for_openmetrics_gets_it() {
        for (accept, wanted) in [
            ("application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5", true),
            ("text/plain;q=0.5, application/openmetrics-text", true),
            ("application/openmetrics-text;q=0,text/plain", false),
            ("text/plain", false),
            ("*/*", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(reads_open_metrics(&headers), wanted, "{accept}");
        }
        assert!(!reads_open_metrics(&HeaderMap::new()));
    }
}
