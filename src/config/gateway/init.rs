//! `hoopctl gateway init`: a first configuration that runs as it is.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

const FILES: [(&str, &str); 3] = [
    ("gateway.toml", include_str!("sample/gateway.toml")),
    ("policies/models.cedar", include_str!("sample/models.cedar")),
    ("policy-tests.toml", include_str!("sample/policy-tests.toml")),
];

/// `hoopctl gateway init DIR`: writes a commented gateway.toml, policies/ that [`super::load`] accepts, and tests of them; refuses to
/// overwrite. Returns the files written.
///
/// # Errors
/// `AlreadyExists` before anything is written when one of the files is there; otherwise what the file system says.
pub fn init(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let files = FILES.map(|(name, content)| (dir.join(name), content));
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        let message = format!("{} already exists and is left as it is", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::OpenOptions::new().write(true).create_new(true).open(&path)?.write_all(content.as_bytes())?;
        written.push(path);
    }
    Ok(written)
}
