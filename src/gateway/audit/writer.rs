//! The locked end of the journal: which intents are open, which finishes are still owed, and when appending is refused.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{AuditError, Journal};

/// Serialises appends. Every method holds one short lock around one `write`.
pub(super) struct Writer {
    journal: Arc<dyn Journal>,
    max_lag: u64,
    /// Up to where the ledger has the journal.
    indexed: AtomicU64,
    state: Mutex<State>,
}

struct State {
    /// Intents whose finish is not in the journal, by ticket: a new journal file begins with them.
    open: BTreeMap<u64, Vec<u8>>,
    next_ticket: u64,
    /// Finishes that could not be written when they happened. Never more than there were open intents: none is given out meanwhile.
    owed: VecDeque<(u64, Vec<u8>)>,
    /// The journal's end.
    end: u64,
    /// An append failed: the file itself may be bad, so a new one is tried.
    troubled: bool,
    /// A sync failed: what the page cache holds of this file can no longer be trusted to reach the disk (the kernel reports the
    /// error once and then calls the pages clean), so nothing durable can be promised before a new file is begun.
    unsyncable: bool,
}

impl Writer {
    pub(super) fn new(journal: Arc<dyn Journal>, max_lag: u64) -> Self {
        let end = journal.extent().end;
        let state = State {
            open: BTreeMap::new(),
            next_ticket: 0,
            owed: VecDeque::new(),
            end,
            troubled: false,
            unsyncable: false,
        };
        Self { journal, max_lag, indexed: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Appends an intent: its ticket and the position after it.
    pub(super) fn intend(&self, record: Vec<u8>) -> Result<(u64, u64), AuditError> {
        let mut state = self.lock();
        self.admit(&mut state)?;
        let position = self.append(&mut state, &record)?;
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.open.insert(ticket, record);
        Ok((ticket, position))
    }

    /// Appends the finish of an intent. On an error the record is owed, and written as soon as the journal takes records again.
    pub(super) fn finish(&self, ticket: u64, record: Vec<u8>) -> Result<u64, AuditError> {
        let mut state = self.lock();
        let written = self.pay(&mut state).and_then(|()| self.append(&mut state, &record));
        match &written {
            Ok(_) => drop(state.open.remove(&ticket)),
            Err(_) => state.owed.push_back((ticket, record)),
        }
        written
    }

    /// Appends a complete event.
    pub(super) fn event(&self, record: &[u8]) -> Result<u64, AuditError> {
        let mut state = self.lock();
        self.admit(&mut state)?;
        self.append(&mut state, record)
    }

    /// Goes on in a new file, which begins with the open intents.
    pub(super) fn rotate(&self, at_least: u64) -> Result<(), AuditError> {
        self.rotate_locked(&mut self.lock(), at_least)
    }

    /// Tries to leave trouble behind: writes what is owed, begins a new file when the present one failed. Blocks.
    pub(super) fn mend(&self) -> Result<(), AuditError> {
        let unsyncable = {
            let mut state = self.lock();
            if state.troubled || state.unsyncable {
                self.rotate_locked(&mut state, 0)?;
            }
            self.pay(&mut state)?;
            state.troubled = false;
            state.unsyncable
        };
        if unsyncable {
            self.journal.sync()?;
            self.lock().unsyncable = false;
        }
        Ok(())
    }

    /// The journal was moved on at the start; goes on at its end.
    pub(super) fn follow(&self) {
        self.lock().end = self.journal.extent().end;
    }

    /// A sync failed: refuse until [`Self::mend`] succeeds.
    pub(super) fn distrust(&self) {
        self.lock().unsyncable = true;
    }

    pub(super) fn troubled(&self) -> bool {
        let state = self.lock();
        state.troubled || state.unsyncable || !state.owed.is_empty()
    }

    pub(super) fn open(&self) -> usize {
        self.lock().open.len()
    }

    /// The journal's end.
    pub(super) fn end(&self) -> u64 {
        self.lock().end
    }

    pub(super) fn indexed(&self) -> u64 {
        self.indexed.load(Ordering::Relaxed)
    }

    pub(super) fn set_indexed(&self, position: u64) {
        self.indexed.store(position, Ordering::Relaxed);
    }

    /// Whether something new may begin.
    fn admit(&self, state: &mut State) -> Result<(), AuditError> {
        self.pay(state)?;
        if state.unsyncable {
            return Err(AuditError("the journal could not be synced to disk".into()));
        }
        let lag = state.end.saturating_sub(self.indexed());
        if lag > self.max_lag {
            return Err(AuditError(format!(
                "the database is {lag} bytes behind the journal, more than the {} allowed; see the gateway's log for why",
                self.max_lag
            )));
        }
        Ok(())
    }

    /// Writes the owed finishes, oldest first.
    fn pay(&self, state: &mut State) -> Result<(), AuditError> {
        while let Some((ticket, record)) = state.owed.pop_front() {
            if let Err(error) = self.append(state, &record) {
                state.owed.push_front((ticket, record));
                return Err(error);
            }
            state.open.remove(&ticket);
        }
        Ok(())
    }

    fn append(&self, state: &mut State, record: &[u8]) -> Result<u64, AuditError> {
        match self.journal.append(record) {
            Ok(end) => {
                state.end = end;
                Ok(end)
            }
            Err(error) => {
                state.troubled = true;
                Err(error)
            }
        }
    }

    fn rotate_locked(&self, state: &mut State, at_least: u64) -> Result<(), AuditError> {
        let carry: Vec<&[u8]> = state.open.values().map(Vec::as_slice).collect();
        state.end = self.journal.rotate(at_least, &carry)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics; were it to happen, each step leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
