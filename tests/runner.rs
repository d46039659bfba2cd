//! The one integration binary. A file in this folder that is not listed here fails `no_test_file_is_forgotten`.
#![allow(missing_docs, unreachable_pub, reason = "tests are read by their names")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod anomalies;
mod approvals;
mod architecture;
mod audit;
mod bad_input;
mod certificates;
#[cfg(unix)]
mod connect;
mod doctor;
mod generated;
mod ingress;
mod limits;
mod masking;
mod networks;
mod path;
mod recordings;
mod report;
mod schema;
#[cfg(target_os = "linux")]
mod secrets;
mod sessions;
mod upstreams;
mod workloads;
mod world;

#[test]
fn no_test_file_is_forgotten() {
    let runner = include_str!("runner.rs");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(module) = name.strip_suffix(".rs").filter(|m| *m != "runner") else { continue };
        assert!(
            runner.contains(&format!("\nmod {module};")),
            "tests/{name} is in no binary: add `mod {module};` to runner.rs"
        );
    }
}
