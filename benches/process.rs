//! Child processes that end with the benchmark, and what the kernel knows of them.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

pub struct Process(Child);

impl Process {
    /// Starts it and waits for a line on `stdout` or `stderr` that holds `ready`; returns that line.
    pub fn start(mut command: Command, ready: &str, on_stdout: bool) -> (Self, String) {
        command.stdin(Stdio::null());
        if on_stdout {
            command.stdout(Stdio::piped()).stderr(Stdio::inherit());
        } else {
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let pipe: Box<dyn std::io::Read + Send> = if on_stdout {
            Box::new(child.stdout.take().unwrap())
        } else {
            Box::new(child.stderr.take().unwrap())
        };
        let mut lines = BufReader::new(pipe);
        let mut line = String::new();
        while !line.contains(ready) {
            line.clear();
            assert_ne!(lines.read_line(&mut line).unwrap(), 0, "{command:?} ended before it was ready");
        }
        // Keep the pipe drained, so that a talkative child never waits for us.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        (Self(child), line)
    }

    /// Starts a program that does not say when it is ready: asks its port.
    pub fn start_on_port(mut command: Command, port: u16) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Self(child)
    }

    /// Itself and, for programs with worker processes, its children.
    fn ids(&self) -> Vec<u32> {
        let id = self.0.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let mut ids = vec![id];
        ids.extend(children.split_whitespace().filter_map(|c| c.parse::<u32>().ok()));
        ids
    }

    /// User and system time so far, seconds.
    pub fn cpu(&self) -> f64 {
        self.ids().into_iter().map(cpu_of).sum()
    }

    pub fn resident_kib(&self) -> f64 {
        self.ids().into_iter().map(|id| memory_of(id, "VmRSS:")).sum()
    }

    /// The most it ever had.
    pub fn peak_kib(&self) -> f64 {
        self.ids().into_iter().map(|id| memory_of(id, "VmHWM:")).sum()
    }
}

/// As many descriptors as the system gives us, and those we start: thousands of connections have two ends here.
pub fn raise_limits() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}

/// From the scheduler's own nanosecond account of every thread: `stat` counts in ticks of 10 ms.
fn cpu_of(id: u32) -> f64 {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return 0.0 };
    let nanos: u64 = threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1e9
}

fn memory_of(id: u32, what: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    status.lines().find_map(|l| l.strip_prefix(what)?.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

impl Drop for Process {
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap();
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Processor, cores and load, for the head of the table.
pub fn machine() -> String {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        cpuinfo.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": ")).map_or("?", |(_, n)| n);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{name}, {cores} cores, load before: {}", load())
}

/// The machine's load averages.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
