//! The journal file being written: after a failed write it is cut back to its last whole line, or takes nothing more.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

/// What a segment is written to: a file, or a test's double of one.
pub(super) trait Medium {
    /// Appends all bytes; after an error some of them may be there.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file that many bytes long.
    fn cut(&self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// The file being written.
pub(super) struct Segment<M> {
    medium: Arc<M>,
    /// Up to the last whole line.
    length: u64,
    /// Bytes of a failed write may lie past `length`.
    torn: bool,
}

impl<M: Medium> Segment<M> {
    /// A file whose first `length` bytes are whole lines, and has no others.
    pub(super) fn new(medium: Arc<M>, length: u64) -> Self {
        Self { medium, length, torn: false }
    }

    pub(super) fn medium(&self) -> &Arc<M> {
        &self.medium
    }

    /// Appends whole lines. On an error nothing of them counts: the file is cut back at once, or before the next append.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.medium.cut(self.length)?;
            self.torn = false;
        }
        if let Err(error) = self.medium.append(lines) {
            self.torn = self.medium.cut(self.length).is_err();
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A disk with room for so many bytes, which can refuse to cut.
    #[derive(Default)]
    struct Disk {
        bytes: Mutex<Vec<u8>>,
        room: Mutex<usize>,
        cuts: Mutex<bool>,
    }

    impl Medium for Disk {
        fn append(&self, bytes: &[u8]) -> io::Result<()> {
            let mut held = self.bytes.lock().unwrap();
            let fits = bytes.len().min(*self.room.lock().unwrap() - held.len());
            held.extend_from_slice(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn cut(&self, length: u64) -> io::Result<()> {
            if !*self.cuts.lock().unwrap() {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            self.bytes.lock().unwrap().truncate(usize::try_from(length).unwrap());
            Ok(())
        }
    }

    #[test]
    fn a_torn_write_is_cut_back_and_space_that_returns_is_used() {
        let disk = Arc::new(Disk { room: Mutex::new(7), cuts: Mutex::new(true), ..Disk::default() });
        let mut segment = Segment::new(Arc::clone(&disk), 0);
        segment.append(b"one\n").unwrap();
        assert_eq!(segment.append(b"two\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(*disk.bytes.lock().unwrap(), b"one\n");
        *disk.room.lock().unwrap() = 100;
        segment.append(b"three\n").unwrap();
        assert_eq!(*disk.bytes.lock().unwrap(), b"one\nthree\n");
    }

    #[test]
    fn nothing_is_appended_behind_torn_bytes() {
        let disk = Arc::new(Disk { room: Mutex::new(7), ..Disk::default() });
        let mut segment = Segment::new(Arc::clone(&disk), 0);
        segment.append(b"one\n").unwrap();
        segment.append(b"two\n").unwrap_err();
        *disk.room.lock().unwrap() = 100;
        assert_eq!(segment.append(b"three\n").unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        assert_eq!(*disk.bytes.lock().unwrap(), b"one\ntwo");
        *disk.cuts.lock().unwrap() = true;
        segment.append(b"three\n").unwrap();
        assert_eq!(*disk.bytes.lock().unwrap(), b"one\nthree\n");
    }
}
