//! A person at a browser of a few lines: follows redirects, keeps cookies, fills in the one form of the `dev` provider.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use url::{Url, form_urlencoded};

use super::{PATIENCE, World, split_head, text};

/// Pages that one sign-in may take.
const MOST_PAGES: usize = 10;

/// Signs in as `user` from `start` on, until the laptop's own page has answered.
pub fn sign_in(world: &World, start: &str, user: &str) {
    let mut cookies: Vec<(String, String)> = Vec::new();
    let (mut at, mut form) = (Url::parse(start).unwrap(), None);
    for _ in 0..MOST_PAGES {
        let request = request(&at, &cookies, form.take());
        if at.scheme() == "http" {
            let mut laptop = TcpStream::connect(("127.0.0.1", at.port().unwrap())).unwrap();
            laptop.set_read_timeout(Some(PATIENCE)).unwrap();
            laptop.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            laptop.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            return;
        }
        let (head, page) = exchange(world, &request);
        for cookie in headers(&head, "set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            cookies.retain(|(known, _)| known != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        if let Some(to) = headers(&head, "location").next() {
            at = at.join(to).unwrap();
            continue;
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{at}: {head}\n{page}");
        let action = attribute(&page, "action").unwrap_or_else(|| panic!("no form: {page}"));
        let (_, hidden) = page.split_once("type=\"hidden\"").unwrap();
        let pairs = [(attribute(hidden, "name").unwrap(), attribute(hidden, "value").unwrap())];
        form = Some(
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .append_pair("user", user)
                .finish(),
        );
        at = at.join(&action).unwrap();
    }
    panic!("the sign-in went in circles");
}

fn request(at: &Url, cookies: &[(String, String)], form: Option<String>) -> String {
    let path = at.query().map_or_else(|| at.path().to_owned(), |query| format!("{}?{query}", at.path()));
    let (method, body) = form.map_or(("GET", String::new()), |body| ("POST", body));
    let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = match at.scheme() == "https" && !cookies.is_empty() {
        true => format!("cookie: {}\r\n", cookies.join("; ")),
        false => String::new(),
    };
    let posted = match method {
        "POST" => format!(
            "origin: {}\r\ncontent-type: application/x-www-form-urlencoded\r\n",
            at.origin().ascii_serialization()
        ),
        _ => String::new(),
    };
    format!(
        "{method} {path} HTTP/1.1\r\nhost: {}:{}\r\naccept: text/html\r\nconnection: close\r\n\
         {cookies}{posted}content-length: {}\r\n\r\n{body}",
        at.host_str().unwrap(),
        at.port_or_known_default().unwrap(),
        body.len()
    )
}

/// Cookies and addresses tell upper from lower case, unlike the heads of [`split_head`].
fn exchange(world: &World, request: &str) -> (String, String) {
    let mut line = world.https();
    line.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).unwrap();
    let (_, body) = split_head(&answer);
    (text(&answer[..answer.len() - body.len()]), text(&body))
}

fn headers<'a>(head: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    head.lines()
        .filter_map(move |line| line.split_once(": ").filter(|(known, _)| known.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value.trim())
}

/// The value of the first attribute of that name.
fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, after) = html.split_once(&format!(" {name}=\""))?;
    let (value, _) = after.split_once('"')?;
    Some(value.replace("&#38;", "&").replace("&amp;", "&"))
}
