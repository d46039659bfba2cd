//! What masks one side of an exchange for its recording alone, on the thread that writes it.

use tokio::runtime::Handle;

use super::UNREADABLE;
use crate::gateway::{
    mask::{self, Decoder},
    record::Veil,
};

/// Masks one side for its recording alone.
pub(super) struct Masks {
    pub(super) answer: mask::Answer,
    pub(super) decoder: Option<Decoder>,
    /// Where those are asked who find names: a writer's thread has no runtime of its own.
    pub(super) runtime: Option<Handle>,
}

impl Masks {
    fn within<T>(
        &mut self,
        masks: impl FnOnce(&mut Self) -> Result<T, mask::NotUnderstood>,
    ) -> Result<T, String> {
        let runtime = self.runtime.clone();
        let _within = runtime.as_ref().map(Handle::enter);
        masks(self).map_err(|error| format!("{UNREADABLE}: {error}"))
    }
}

impl Veil for Masks {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let done = self.within(|this| match &mut this.decoder {
            None => this.answer.push(bytes, out),
            Some(decoder) => {
                let plain = decoder.push(bytes)?;
                this.answer.push(&plain, out)
            }
        });
        done.inspect_err(|_| self.answer.abort(out))
    }

    fn finish(&mut self, whole: bool, out: &mut Vec<u8>) -> Result<(), String> {
        if !whole {
            return self.within(|this| {
                this.answer.abort(out);
                Ok(())
            });
        }
        let done = self.within(|this| {
            if let Some(decoder) = &mut this.decoder {
                let plain = decoder.finish()?;
                this.answer.push(&plain, out)?;
            }
            this.answer.finish(out)
        });
        done.inspect_err(|_| self.answer.abort(out))
    }
}
