//! The audit journal as files: `<state>/journal/<position of the first byte, 20 digits>.log`, each a run of lines (see `framing`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    framing::{self, Lines},
    lock::Lock,
    segment::Segment,
};
use crate::{
    gateway::audit::{AuditError, Extent, Journal, MAX_RECORD, Record},
    secret,
};

/// About as many bytes as one [`Journal::read_from`] returns at most.
const MAX_READ: usize = 8 * 1024 * 1024;

/// The farthest a file may begin: positions beyond it are no journal's, and sums with them stay whole.
const FARTHEST: u64 = u64::MAX / 4;

/// The journal of one state folder, whose lock keeps others out.
pub(super) struct FileJournal {
    folder: PathBuf,
    state: Mutex<State>,
    _lock: Arc<Lock>,
}

struct State {
    /// Where each kept file begins, ascending; the last is being written.
    starts: Vec<u64>,
    segment: Segment<File>,
    /// After the last whole line.
    end: u64,
    /// Older files not synced since they were written.
    unsynced: Vec<Arc<File>>,
    /// The folder itself must be synced: a file is new in it.
    renamed: bool,
    /// The line being made, kept for its memory.
    line: Vec<u8>,
}

impl FileJournal {
    /// Opens the journal, or begins one. A torn last line is cut off: its write never returned, so nobody was promised anything by it.
    pub(super) fn open(folder: &Path, lock: Arc<Lock>) -> io::Result<Self> {
        secret::create_private_dir(folder)?;
        let mut starts = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            match path.extension().and_then(|e| e.to_str()) {
                Some("log") => starts.extend(start_of(&path)),
                // A rotation that a crash interrupted before it took effect.
                Some("new") => fs::remove_file(&path)?,
                _ => {}
            }
        }
        starts.sort_unstable();
        if starts.is_empty() {
            starts.push(0);
        }
        let start = starts.last().copied().unwrap_or_default();
        let path = path_of(folder, start);
        let file = writable(&path)?;
        let length = file.metadata()?.len();
        let whole = whole_length(&path, length)?;
        if whole < length {
            tracing::warn!(bytes = length - whole, "the audit journal ended in a torn line; it is cut off");
            file.set_len(whole)?;
        }
        let state = State {
            starts,
            segment: Segment::new(Arc::new(file), whole),
            end: start + whole,
            unsynced: Vec::new(),
            renamed: true,
            line: Vec::new(),
        };
        Ok(Self { folder: folder.to_owned(), state: Mutex::new(state), _lock: lock })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics; were it to happen, each step leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append_line(&self, record: &[u8]) -> io::Result<u64> {
        if record.len() > MAX_RECORD || record.contains(&b'\n') {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a record is too long or not one line"));
        }
        let mut state = self.lock();
        let State { line, segment, end, .. } = &mut *state;
        line.clear();
        framing::encode(record, line);
        segment.append(line)?;
        *end += line.len() as u64;
        Ok(*end)
    }

    fn sync_files(&self) -> io::Result<()> {
        let (older, current, renamed, files) = {
            let state = self.lock();
            (state.unsynced.clone(), Arc::clone(state.segment.medium()), state.renamed, state.starts.clone())
        };
        for file in older.iter().chain([&current]) {
            file.sync_data()?;
        }
        if renamed {
            sync_folder(&self.folder)?;
        }
        let mut state = self.lock();
        state.unsynced.retain(|file| !older.iter().any(|synced| Arc::ptr_eq(file, synced)));
        if state.starts.last() == files.last() {
            state.renamed = false;
        }
        Ok(())
    }

    fn read(&self, position: u64, max: usize) -> io::Result<Vec<Record>> {
        let (starts, end) = {
            let state = self.lock();
            (state.starts.clone(), state.end)
        };
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut position = position;
        let mut skipped = 0;
        let ends = starts.iter().skip(1).copied().chain([end]);
        for (start, end) in starts.iter().copied().zip(ends) {
            if end <= position {
                continue;
            }
            // Positions that no file has: bytes lost between two files.
            skipped += start.saturating_sub(position);
            position = position.max(start);
            let mut file = File::open(path_of(&self.folder, start))?;
            file.seek(SeekFrom::Start(position - start))?;
            let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, file), end - position);
            while let Some(line) = lines.next()? {
                position += line.skipped + line.length;
                skipped += line.skipped;
                bytes += line.record.len();
                records.push(Record { end: position, skipped, bytes: line.record.to_vec() });
                skipped = 0;
                if records.len() >= max || bytes >= MAX_READ {
                    return Ok(records);
                }
            }
        }
        Ok(records)
    }

    /// Until the rename the new file does not exist for a reader, and after it the file holds all of `carry`. The lock keeps appends out
    /// meanwhile, so that the old file ends where the new one begins.
    fn follow_up(&self, at_least: u64, carry: &[&[u8]]) -> io::Result<u64> {
        let mut state = self.lock();
        let start = state.end.max(at_least);
        let mut lines = Vec::new();
        for record in carry {
            framing::encode(record, &mut lines);
        }
        let path = path_of(&self.folder, start);
        let partial = path.with_extension("new");
        let file = begin(&partial, &lines).and_then(|file| fs::rename(&partial, &path).map(|()| file));
        let file = match file {
            Ok(file) => Arc::new(file),
            Err(error) => {
                // It may not exist; if it does and stays, the next opening removes it.
                let _ = fs::remove_file(&partial);
                return Err(error);
            }
        };
        let length = lines.len() as u64;
        let old = std::mem::replace(&mut state.segment, Segment::new(file, length));
        // An empty file is replaced by its successor of the same name.
        if state.starts.last() != Some(&start) {
            state.starts.push(start);
            state.unsynced.push(Arc::clone(old.medium()));
        }
        state.renamed = true;
        state.end = start + length;
        Ok(state.end)
    }

    fn remove_before(&self, position: u64) -> io::Result<()> {
        self.sync_files()?;
        loop {
            let first = {
                let state = self.lock();
                match state.starts.get(..2) {
                    Some([first, second]) if *second <= position => *first,
                    _ => break,
                }
            };
            fs::remove_file(path_of(&self.folder, first))?;
            self.lock().starts.retain(|start| *start != first);
        }
        sync_folder(&self.folder)
    }
}

impl Journal for FileJournal {
    fn append(&self, record: &[u8]) -> Result<u64, AuditError> {
        self.append_line(record).map_err(|e| unwell("written", &e))
    }

    fn sync(&self) -> Result<(), AuditError> {
        self.sync_files().map_err(|e| unwell("synced", &e))
    }

    fn read_from(&self, position: u64, max: usize) -> Result<Vec<Record>, AuditError> {
        self.read(position, max).map_err(|e| unwell("read", &e))
    }

    fn extent(&self) -> Extent {
        let state = self.lock();
        let start = state.starts.first().copied().unwrap_or_default();
        let current = state.starts.last().copied().unwrap_or_default();
        Extent { start, current, second: state.starts.get(1).copied(), end: state.end }
    }

    fn rotate(&self, at_least: u64, carry: &[&[u8]]) -> Result<u64, AuditError> {
        self.follow_up(at_least, carry).map_err(|e| unwell("continued in a new file", &e))
    }

    fn prune(&self, position: u64) -> Result<(), AuditError> {
        self.remove_before(position).map_err(|e| unwell("pruned", &e))
    }
}

fn unwell(what: &str, error: &io::Error) -> AuditError {
    AuditError(format!("its journal cannot be {what}: {error}"))
}

fn path_of(folder: &Path, start: u64) -> PathBuf {
    folder.join(format!("{start:020}.log"))
}

/// `None` for every name that [`path_of`] does not give: such a file is none of ours, and is left alone.
fn start_of(path: &Path) -> Option<u64> {
    let start = path.file_stem()?.to_str()?.parse().ok().filter(|start| *start <= FARTHEST)?;
    (path_of(path.parent()?, start).as_path() == path).then_some(start)
}

fn writable(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A file that holds just these lines.
fn begin(path: &Path, lines: &[u8]) -> io::Result<File> {
    let file = writable(path)?;
    file.set_len(0)?;
    io::Write::write_all(&mut &file, lines)?;
    Ok(file)
}

/// Up to the end of the last whole line of a file.
fn whole_length(path: &Path, length: u64) -> io::Result<u64> {
    let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, File::open(path)?), length);
    let mut whole = 0;
    while let Some(line) = lines.next()? {
        whole += line.skipped + line.length;
    }
    Ok(whole)
}

/// Makes new and removed names durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and names are durable with their files.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &tempfile::TempDir) -> FileJournal {
        let lock = Arc::new(Lock::take(&dir.path().join("lock")).unwrap());
        FileJournal::open(&dir.path().join("journal"), lock).unwrap()
    }

    fn all(journal: &FileJournal) -> Vec<String> {
        let records = journal.read_from(0, usize::MAX).unwrap();
        records.into_iter().map(|r| String::from_utf8(r.bytes).unwrap()).collect()
    }

    fn files(dir: &tempfile::TempDir) -> Vec<String> {
        let names = fs::read_dir(dir.path().join("journal")).unwrap();
        let mut names: Vec<_> = names.map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn positions_go_on_across_reopening_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let one = journal.append(b"one").unwrap();
        drop(journal);
        let journal = open(&dir);
        assert_eq!(journal.extent().end, one);
        let carried = journal.rotate(0, &[b"open"]).unwrap();
        let two = journal.append(b"two").unwrap();
        assert!(one < carried && carried < two);
        assert_eq!(all(&journal), ["one", "open", "two"]);
        let from_one = journal.read_from(one, 1).unwrap();
        assert_eq!(from_one, [Record { end: carried, skipped: 0, bytes: b"open".to_vec() }]);
        assert!(journal.read_from(two, 10).unwrap().is_empty());
    }

    #[test]
    fn pruning_removes_what_lies_wholly_before_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let end = journal.append(b"one").unwrap();
        journal.rotate(0, &[]).unwrap();
        journal.append(b"two").unwrap();
        journal.prune(end - 1).unwrap();
        assert_eq!(all(&journal), ["one", "two"]);
        journal.prune(end).unwrap();
        assert_eq!(all(&journal), ["two"]);
        journal.prune(u64::MAX).unwrap();
        assert_eq!(all(&journal), ["two"], "the file being written stays");
        assert_eq!(journal.extent().start, end);
    }

    #[test]
    fn a_rotation_that_did_not_take_effect_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let end = journal.append(b"one").unwrap();
        drop(journal);
        fs::write(path_of(&dir.path().join("journal"), end).with_extension("new"), b"half a li").unwrap();
        let journal = open(&dir);
        assert_eq!(all(&journal), ["one"]);
        assert_eq!(files(&dir), ["00000000000000000000.log"]);
    }

    #[test]
    fn files_that_are_not_the_journals_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        open(&dir).append(b"one").unwrap();
        for stray in ["7.log", "+0000000000000000007.log", "18446744073709551615.log", "-1.log", "x.log"] {
            fs::write(dir.path().join("journal").join(stray), b"stray").unwrap();
        }
        let journal = open(&dir);
        journal.append(b"two").unwrap();
        assert_eq!(all(&journal), ["one", "two"]);
        journal.prune(u64::MAX).unwrap();
        assert_eq!(files(&dir).len(), 6);
    }

    #[test]
    fn rotating_an_empty_file_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        journal.rotate(0, &[]).unwrap();
        journal.rotate(0, &[]).unwrap();
        journal.append(b"one").unwrap();
        assert_eq!(files(&dir).len(), 1);
        assert_eq!(all(&journal), ["one"]);
        journal.sync().unwrap();
    }

    #[test]
    fn a_position_beyond_the_end_is_where_the_next_file_begins() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        journal.append(b"one").unwrap();
        assert_eq!(journal.rotate(5000, &[]).unwrap(), 5000);
        let two = journal.append(b"two").unwrap();
        drop(journal);
        let journal = open(&dir);
        assert_eq!(journal.extent().end, two);
        let records = journal.read_from(0, 10).unwrap();
        assert_eq!(records.len(), 2);
        assert_eq!(records[1].skipped, 5000 - records[0].end);
        assert_eq!(journal.read_from(5000, 10).unwrap()[0].skipped, 0);
    }

    #[test]
    fn damage_in_the_middle_costs_its_own_record_only() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        let one = journal.append(b"one").unwrap();
        journal.append(b"two").unwrap();
        journal.append(b"three").unwrap();
        drop(journal);
        let path = path_of(&dir.path().join("journal"), 0);
        let mut bytes = fs::read(&path).unwrap();
        bytes[usize::try_from(one).unwrap() + 10] ^= 1;
        fs::write(&path, bytes).unwrap();
        let journal = open(&dir);
        let records = journal.read_from(0, 10).unwrap();
        assert_eq!(records.iter().map(|r| r.bytes.as_slice()).collect::<Vec<_>>(), [&b"one"[..], b"three"]);
        assert_eq!(records[1].skipped, 13);
    }

    #[test]
    fn a_record_of_two_lines_or_beyond_the_bound_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(&dir);
        assert!(journal.append(b"one\ntwo").is_err());
        assert!(journal.append(&vec![b'x'; MAX_RECORD + 1]).is_err());
        assert_eq!(journal.extent().end, 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_each_time() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        let path = path_of(&dir.path().join("journal"), 0);
        std::os::unix::fs::symlink("/dev/full", path).unwrap();
        let lock = Arc::new(Lock::take(&dir.path().join("lock")).unwrap());
        let journal = FileJournal::open(&dir.path().join("journal"), lock).unwrap();
        for _ in 0..2 {
            let error = journal.append(b"one").unwrap_err();
            assert!(error.to_string().contains("journal cannot be written"), "{error}");
        }
        assert_eq!(journal.extent().end, 0);
        // The device is bad, the folder is not: a new file takes over.
        journal.rotate(0, &[b"open"]).unwrap();
        assert_eq!(all(&journal), ["open"]);
    }
}
