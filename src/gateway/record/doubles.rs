//! A shelf in memory that can be full, slow or gone, and keys for it.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read},
    sync::{
        Arc, Condvar, LazyLock, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use super::{Keys, Place, Recordings, Shelf};
use crate::{
    clock::Clock,
    evidence::recording::{Entry, Identities, Reader, entries},
};

static KEY: LazyLock<Identities> = LazyLock::new(Identities::generate);

/// Recordings by model, day and name.
#[derive(Clone, Default)]
pub(crate) struct MemoryShelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    files: Mutex<BTreeMap<(String, String, String), Vec<u8>>>,
    full: AtomicBool,
    stuck: Mutex<bool>,
    freed: Condvar,
}

impl MemoryShelf {
    /// Nothing more is taken, or is again.
    pub(crate) fn full(&self, full: bool) {
        self.0.full.store(full, SeqCst);
    }

    /// Whoever writes waits, or goes on again.
    pub(crate) fn stuck(&self, stuck: bool) {
        *self.0.stuck.lock().unwrap() = stuck;
        self.0.freed.notify_all();
    }

    /// Every recording as it lies here.
    pub(crate) fn files(&self) -> Vec<Vec<u8>> {
        self.0.files.lock().unwrap().values().cloned().collect()
    }

    fn write(&self) -> io::Result<()> {
        let stuck = self.0.stuck.lock().unwrap();
        drop(self.0.freed.wait_while(stuck, |stuck| *stuck).unwrap());
        if self.0.full.load(SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn key(place: &Place) -> (String, String, String) {
    (place.model().to_owned(), place.day().to_owned(), place.name().to_owned())
}

impl Shelf for MemoryShelf {
    fn create(&self, place: &Place, bytes: &[u8]) -> io::Result<()> {
        self.write()?;
        self.0.files.lock().unwrap().insert(key(place), bytes.to_vec());
        Ok(())
    }

    fn append(&self, place: &Place, bytes: &[u8]) -> io::Result<()> {
        self.write()?;
        let mut files = self.0.files.lock().unwrap();
        files.get_mut(&key(place)).ok_or(io::ErrorKind::NotFound)?.extend_from_slice(bytes);
        Ok(())
    }

    fn remove(&self, place: &Place) -> io::Result<()> {
        self.0.files.lock().unwrap().remove(&key(place));
        Ok(())
    }

    fn find(&self, day: &str, name: &str) -> io::Result<Option<Box<dyn Read + Send>>> {
        let files = self.0.files.lock().unwrap();
        let found = files.iter().find(|((_, d, n), _)| d == day && n == name);
        Ok(found.map(|(_, bytes)| Box::new(Cursor::new(bytes.clone())) as Box<dyn Read + Send>))
    }

    fn days(&self, model: &str) -> io::Result<Vec<String>> {
        let files = self.0.files.lock().unwrap();
        let mut days: Vec<_> = files.keys().filter(|(m, ..)| m == model).map(|(_, day, _)| day.clone()).collect();
        days.dedup();
        Ok(days)
    }

    fn names(&self, model: &str, day: &str) -> io::Result<Vec<String>> {
        let files = self.0.files.lock().unwrap();
        Ok(files.keys().filter(|(m, d, _)| m == model && d == day).map(|(.., name)| name.clone()).collect())
    }
}

/// Recordings in memory.
pub(crate) fn memory(clock: Clock) -> (MemoryShelf, Recordings) {
    let shelf = MemoryShelf::default();
    let keys = Keys { recipients: KEY.recipients(), identities: Some(KEY.clone()) };
    let recordings = Recordings::new(keys, Arc::new(shelf.clone()), clock);
    (shelf, recordings)
}

/// Recordings for those who record nothing.
pub(crate) fn unused() -> Recordings {
    memory(Clock::system()).1
}

/// Everything a recording holds that can be opened.
pub(crate) fn opened(file: &[u8]) -> Vec<Entry> {
    let mut reader = Reader::new(file).unwrap();
    let mut all = Vec::new();
    while let Some(segment) = reader.segment().unwrap() {
        let lines = segment.open(reader.header(), &KEY).unwrap();
        all.extend(entries(&lines).map(Result::unwrap));
    }
    all
}
