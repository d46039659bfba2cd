//! Completions, man pages and the command reference are made from the one definition of the command
//! line; this compares the files with it. `HOOPCTL_BLESS=1 cargo test --test runner generated` rewrites them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Command;
use clap_complete::Shell;

/// File name → content.
type Files = BTreeMap<PathBuf, Vec<u8>>;

#[test]
fn completions_are_those_of_the_definition() {
    let names = [
        (Shell::Bash, "hoopctl.bash"),
        (Shell::Zsh, "_hoopctl"),
        (Shell::Fish, "hoopctl.fish"),
        (Shell::PowerShell, "_hoopctl.ps1"),
    ];
    let files = names.map(|(shell, name)| {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut definition(), "hoopctl", &mut script);
        (name.into(), script)
    });
    compare("completions", files.into());
}

#[test]
fn man_pages_are_those_of_the_definition() {
    let mut files = Files::new();
    man_pages(&definition(), &mut files);
    compare("docs/man", files);
}

#[test]
fn the_reference_is_that_of_the_definition() {
    let mut text =
        "# hoopctl: the command line\n\nMade from the program's own `--help`; do not edit.\n".to_owned();
    reference(&definition(), &mut text);
    compare("docs/reference", Files::from([("cli.md".into(), text.into_bytes())]));
}

#[test]
fn every_verb_and_flag_says_what_it_does() {
    fn check(command: &Command) {
        assert!(command.get_about().is_some(), "{} has no description", command.get_name());
        for argument in command.get_arguments().filter(|one| !one.is_hide_set()) {
            assert!(
                argument.get_help().is_some(),
                "{} {} has no help",
                command.get_name(),
                argument.get_id()
            );
        }
        command.get_subcommands().for_each(check);
    }
    check(&definition());
}

/// The definition, complete and independent of the terminal it is looked at in.
fn definition() -> Command {
    fn wide(command: Command) -> Command {
        command.term_width(100).mut_subcommands(wide)
    }
    let mut definition = wide(hoopctl::cli::command());
    definition.build();
    definition
}

fn man_pages(command: &Command, files: &mut Files) {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    // The version would change every page at every release.
    clap_mangen::Man::new(command.clone().version(None::<&str>))
        .title(name.to_uppercase())
        .source("hoopctl")
        .manual("hoopctl manual")
        .render(&mut page)
        .unwrap();
    files.insert(format!("{name}.1").into(), page);
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        man_pages(verb, files);
    }
}

fn reference(command: &Command, text: &mut String) {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    // The options of every verb are told once, at the top.
    let top = !name.contains(' ');
    let own = |one: clap::Arg| if one.is_global_set() { one.hide(!top) } else { one };
    let help = command.clone().mut_args(own).render_long_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n")));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        reference(verb, text);
    }
}

/// Compares a folder with what should be in it, both ways.
fn compare(folder: &str, wanted: Files) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let bless = std::env::var_os("HOOPCTL_BLESS").is_some();
    let there = files_in(&folder);
    if bless {
        fs::create_dir_all(&folder).unwrap();
        for stale in there.keys().filter(|name| !wanted.contains_key(*name)) {
            fs::remove_file(folder.join(stale)).unwrap();
        }
        for (name, content) in &wanted {
            fs::write(folder.join(name), content).unwrap();
        }
        return;
    }
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    let remedy = "run: HOOPCTL_BLESS=1 cargo test --test runner generated";
    assert_eq!(names(&there), names(&wanted), "{}: {remedy}", folder.display());
    for (name, content) in &wanted {
        let same = there.get(name) == Some(content);
        assert!(same, "{} is not what the definition makes; {remedy}", folder.join(name).display());
    }
}

fn files_in(folder: &Path) -> Files {
    let Ok(entries) = fs::read_dir(folder) else { return Files::new() };
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().into(), fs::read(&path).unwrap())
        })
        .collect()
}
