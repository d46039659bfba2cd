//! Tells cargo that the embedded database migrations are an input of the build.

fn main() {
    println!("cargo::rerun-if-changed=src/gateway/store/migrations");
}
