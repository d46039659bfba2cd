//! Who holds a loopback port, as far as the operating system tells us: for the error message alone.

/// The process that listens on `port`, such as `process 4711 (node)`; only one's own processes can be seen.
#[cfg(target_os = "linux")]
pub(in crate::client) fn of_port(port: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let inode = listening_inode(&table, port)?;
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    for process in processes {
        let name = process.file_name();
        let Some(pid) = name.to_str().and_then(|text| text.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(open) = std::fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = open.filter_map(Result::ok).any(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str())
        });
        if holds {
            let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("process {pid} ({})", printable(program.trim())));
        }
    }
    None
}

/// Elsewhere nobody is asked.
#[cfg(not(target_os = "linux"))]
pub(in crate::client) fn of_port(_: u16) -> Option<String> {
    None
}

/// A program can name itself anything, a terminal's control codes included.
#[cfg(target_os = "linux")]
fn printable(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(32).collect()
}

/// The inode of the socket that listens on `port`, from a table of proc(5).
#[cfg(target_os = "linux")]
fn listening_inode(table: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?;
        let (_, number) = local.rsplit_once(':')?;
        (state == LISTEN && u16::from_str_radix(number, 16) == Ok(port)).then_some(inode)
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_listening_line_of_the_table_is_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:4E20 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 111 1\n\
            \x20  1: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 222 1\n";
        assert_eq!(listening_inode(table, 20_000), Some("222"));
        assert_eq!(listening_inode(table, 20_001), None);
        assert_eq!(printable("a\u{1b}[31mb"), "a[31mb");
    }
}
