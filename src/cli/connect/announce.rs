//! The one line per model that says it can be used.

use serde::Serialize;

use super::super::{error::Failure, printer::Printer, sanitize};
use super::address::Address;
use crate::{config::laptop::Output, tunnel::Transport};

/// The JSON form of the line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    schema: u32,
    model: &'a str,
    url: &'a str,
    host: &'a str,
    port: Option<u16>,
    socket: Option<String>,
    session: &'a str,
    transport: Option<Transport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_key: Option<&'a str>,
}

/// Prints the base URL, or one JSON object.
pub(super) fn announce(
    door: &Address,
    transport: Option<Transport>,
    key: Option<&str>,
    printer: &Printer,
) -> Result<(), Failure> {
    if printer.manner().output == Output::Human {
        return printer.line(&sanitize::line(&door.url));
    }
    printer.object_line(&Line {
        schema: 1,
        model: &door.model,
        url: &door.url,
        host: &door.host,
        port: door.port,
        socket: door.socket.as_ref().map(|socket| socket.to_string_lossy().into_owned()),
        session: &door.session,
        transport,
        local_key: key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::printer::paper;

    fn door() -> Address {
        Address {
            model: "m".into(),
            session: "ses_1".into(),
            url: "http://127.0.0.1:4100".into(),
            host: "127.0.0.1".into(),
            port: Some(4100),
            socket: None,
        }
    }

    #[test]
    fn the_line_is_the_base_url_or_one_object() {
        let (printer, out, _) = paper::printer(Output::Human);
        announce(&door(), None, None, &printer).unwrap();
        assert_eq!(out.text(), "http://127.0.0.1:4100\n");
        let (printer, out, _) = paper::printer(Output::Json);
        announce(&door(), Some(Transport::Tcp), None, &printer).unwrap();
        assert_eq!(
            out.text(),
            "{\"schema\":1,\"model\":\"m\",\"url\":\"http://127.0.0.1:4100\",\"host\":\"127.0.0.1\",\"port\":4100,\
             \"socket\":null,\"session\":\"ses_1\",\"transport\":\"tcp\"}\n"
        );
    }
}
