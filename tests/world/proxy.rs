//! An HTTP proxy that knows every name as this machine, and writes down what it was asked.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

pub struct Proxy {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Carries whoever presents this `Authorization` value; anybody when it is empty.
    pub fn start(authorization: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, wanted) = (Arc::new(Mutex::new(Vec::new())), authorization.to_owned());
        let told = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (told, wanted) = (Arc::clone(&told), wanted.clone());
                thread::spawn(move || carry(stream.unwrap(), &wanted, &told));
            }
        });
        Self { port, asked }
    }

    /// The heads of all requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn carry(mut near: TcpStream, wanted: &str, told: &Mutex<Vec<String>>) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        near.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    told.lock().unwrap().push(head.clone());
    if !wanted.is_empty() && !head.contains(&format!("Proxy-Authorization: {wanted}\r\n")) {
        let no =
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n";
        return near.write_all(no).ok();
    }
    let target = head.strip_prefix("CONNECT ")?.split(' ').next()?;
    let port: u16 = target.rsplit(':').next()?.parse().ok()?;
    let mut far = TcpStream::connect(("127.0.0.1", port)).ok()?;
    near.write_all(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n").ok()?;
    let (mut near_in, mut far_out) = (near.try_clone().ok()?, far.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut near_in, &mut far_out);
        let _ = far_out.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(Shutdown::Write);
    Some(())
}
