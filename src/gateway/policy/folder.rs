//! Reads the policy folder: what, in which order, and how much at most.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::Mistake;

/// The longest policy file that is read, bytes.
pub const MAX_FILE: u64 = 1024 * 1024;

/// The most policy files that are read.
pub const MAX_FILES: usize = 1_000;

/// The `*.cedar` of a folder, by name, with what could not be read.
pub(super) fn read(dir: &Path) -> (Vec<(PathBuf, String)>, Vec<Mistake>) {
    let names = match list(dir) {
        Ok(names) => names,
        Err(mistake) => return (Vec::new(), vec![mistake]),
    };
    let mut sources = Vec::with_capacity(names.len());
    let mut mistakes = Vec::new();
    for path in names {
        match read_file(&path) {
            Ok(text) => sources.push((path, text)),
            Err((message, remedy)) => mistakes.push(mistake(&path, message, remedy)),
        }
    }
    (sources, mistakes)
}

fn list(dir: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => mistake(
            dir,
            "the policy folder does not exist".into(),
            "create it, or name another one: `policies` in [gateway]; an empty folder denies everything",
        ),
        _ => mistake(
            dir,
            format!("the policy folder cannot be read: {error}"),
            "`policies` in [gateway] names a folder that the gateway's user can read",
        ),
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        // A link counts as what it leads to, because mounted configuration is made of links.
        if hidden || path.extension().is_none_or(|e| e != "cedar") || path.is_dir() {
            continue;
        }
        if paths.len() == MAX_FILES {
            return Err(mistake(
                dir,
                format!("the policy folder holds more than {MAX_FILES} policy files"),
                "join some of them: a file can hold many policies",
            ));
        }
        paths.push(path);
    }
    paths.sort();
    Ok(paths)
}

fn read_file(path: &Path) -> Result<String, (String, &'static str)> {
    let readable = "make it a file that the gateway's user can read, or remove it";
    let failed = |error: io::Error| (format!("the policy file cannot be read: {error}"), readable);
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(("the policy file is not a regular file".into(), readable));
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err((
            format!("the policy file is longer than {MAX_FILE} bytes"),
            "split it into several files",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        (format!("the policy file is not UTF-8 text (byte {at})"), "save it as UTF-8")
    })
}

fn mistake(path: &Path, message: String, remedy: &str) -> Mistake {
    Mistake { file: path.to_owned(), line: None, column: None, message, remedy: Some(remedy.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_policy_files_are_read_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.cedar", "a.cedar", ".hidden.cedar", "notes.txt"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("folder.cedar")).unwrap();
        let (sources, mistakes) = read(dir.path());
        assert!(mistakes.is_empty());
        let read: Vec<&str> = sources.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(read, ["a.cedar", "b.cedar"]);
    }

    #[test]
    fn what_cannot_be_read_is_a_mistake_with_a_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let (_, missing) = read(&dir.path().join("nowhere"));
        assert!(missing[0].message.contains("does not exist"), "{missing:?}");

        fs::write(dir.path().join("big.cedar"), vec![b' '; MAX_FILE as usize + 1]).unwrap();
        fs::write(dir.path().join("latin.cedar"), b"// \xe9").unwrap();
        let (sources, mistakes) = read(dir.path());
        assert!(sources.is_empty());
        assert!(mistakes[0].message.contains("longer than"), "{mistakes:?}");
        assert!(mistakes[1].message.contains("not UTF-8"), "{mistakes:?}");
        assert!(mistakes.iter().chain(&missing).all(|m| m.remedy.is_some()));
    }

    #[test]
    fn the_number_of_files_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..=MAX_FILES {
            fs::write(dir.path().join(format!("{n}.cedar")), "").unwrap();
        }
        let (sources, mistakes) = read(dir.path());
        assert!(sources.is_empty());
        assert!(mistakes[0].message.contains("more than 1000"), "{mistakes:?}");
    }
}
