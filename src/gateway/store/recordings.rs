//! Recordings as files: `<folder>/<model>/<day>/<recording>.rec`, for the gateway's own user alone.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::lock::Lock;
use crate::{
    gateway::record::{Place, Shelf},
    secret,
};

/// What files of recordings end with.
const EXTENSION: &str = ".rec";

/// A folder of recordings.
pub(super) struct FileShelf {
    folder: PathBuf,
    /// Kept with the state folder: who writes here is the one gateway that has it.
    _lock: Arc<Lock>,
}

impl FileShelf {
    /// Touches nothing before the first recording.
    pub(super) fn new(folder: PathBuf, lock: Arc<Lock>) -> Self {
        Self { folder, _lock: lock }
    }

    fn day(&self, place: &Place) -> PathBuf {
        self.folder.join(place.model()).join(place.day())
    }

    fn file(&self, place: &Place) -> PathBuf {
        self.day(place).join([place.name(), EXTENSION].concat())
    }
}

impl Shelf for FileShelf {
    fn create(&self, place: &Place, bytes: &[u8]) -> io::Result<()> {
        let path = self.file(place);
        let mut file = match private().create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                secret::create_private_dir(&self.day(place))?;
                private().create_new(true).open(&path)?
            }
            opened => opened?,
        };
        file.write_all(bytes).inspect_err(|_| {
            // What is not whole is none.
            let _ = fs::remove_file(&path);
        })
    }

    fn append(&self, place: &Place, bytes: &[u8]) -> io::Result<()> {
        let mut file = private().open(self.file(place))?;
        let before = file.metadata()?.len();
        file.write_all(bytes).inspect_err(|_| {
            // A part of a segment would hide those that follow it.
            let _ = file.set_len(before);
        })
    }

    fn remove(&self, place: &Place) -> io::Result<()> {
        match fs::remove_file(self.file(place)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                // The day's folder goes with its last file; others in it keep it.
                let _ = fs::remove_dir(self.day(place));
                Ok(())
            }
        }
    }

    fn find(&self, day: &str, name: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        for model in listed(&self.folder)? {
            let path = self.folder.join(model).join(day).join([name, EXTENSION].concat());
            match fs::File::open(path) {
                Ok(file) => return Ok(Some(Box::new(io::BufReader::new(file)))),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn days(&self, model: &str) -> io::Result<Vec<String>> {
        listed(&self.folder.join(model))
    }

    fn names(&self, model: &str, day: &str) -> io::Result<Vec<String>> {
        let files = listed(&self.folder.join(model).join(day))?;
        Ok(files.iter().filter_map(|file| file.strip_suffix(EXTENSION)).map(str::to_owned).collect())
    }
}

/// Names in a folder, in order; none where there is no such folder. What is no text is not of this gateway.
fn listed(folder: &Path) -> io::Result<Vec<String>> {
    let found = match fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in found {
        names.extend(entry?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Appends to a file that only its owner can read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::from_unix_millis, id};

    fn place() -> Place {
        Place::of("m", &id::new("ex", from_unix_millis(1_795_418_146_123))).unwrap()
    }

    fn shelf(dir: &Path) -> FileShelf {
        let lock = Arc::new(Lock::take(&dir.join("lock")).unwrap());
        FileShelf::new(dir.join("recordings"), lock)
    }

    fn text(shelf: &FileShelf, place: &Place) -> Option<String> {
        let mut text = String::new();
        shelf.find(place.day(), place.name()).unwrap()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn a_recording_is_begun_once_grows_and_goes_with_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let (shelf, place) = (shelf(dir.path()), place());
        assert_eq!(text(&shelf, &place), None);
        assert!(shelf.append(&place, b"x").is_err(), "not before it is there");
        shelf.create(&place, b"one ").unwrap();
        assert!(shelf.create(&place, b"other").is_err(), "written once");
        shelf.append(&place, b"two").unwrap();
        assert_eq!(text(&shelf, &place).as_deref(), Some("one two"));
        assert_eq!(shelf.days("m").unwrap(), ["2026-11-23"]);
        assert_eq!(shelf.names("m", "2026-11-23").unwrap(), [place.name()]);
        assert!(shelf.days("other").unwrap().is_empty());
        shelf.remove(&place).unwrap();
        shelf.remove(&place).unwrap();
        assert_eq!(text(&shelf, &place), None);
        assert!(shelf.days("m").unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_a_recording() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (shelf, place) = (shelf(dir.path()), place());
        shelf.create(&place, b"one").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&shelf.file(&place)), 0o600);
        for folder in shelf.file(&place).ancestors().skip(1).take(3) {
            assert_eq!(mode(folder), 0o700, "{}", folder.display());
        }
    }
}
