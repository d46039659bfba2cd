//! The `hoopctl` binary: everything is in the library.
fn main() -> std::process::ExitCode {
    hoopctl::cli::main()
}
