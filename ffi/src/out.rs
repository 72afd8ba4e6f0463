//! A text for the caller: its length is told whenever it is known, and it is written whole or not at all.

use imagxp_core::Error;
use imagxp_core::codec::writer::Writer;

use crate::memory::{Output, Region};
use crate::status::OK;
use crate::types::{imagxp_buf, imagxp_status};

/// A buffer for a text, and a place for its length.
pub(crate) struct Text {
    out: Output<u8>,
    needed: Option<Output<usize>>,
}

impl Text {
    pub(crate) fn new(out: imagxp_buf, needed: *mut usize) -> Result<Self, Error> {
        let needed = if needed.is_null() { None } else { Some(Output::one(needed)?) };
        Ok(Self { out: Output::buf(out)?, needed })
    }

    pub(crate) fn regions(&self) -> [Region; 2] {
        [self.out.region(), self.needed.map_or(Region::EMPTY, |needed| needed.region())]
    }

    /// The place of a text of this length, after its length has been told.
    ///
    /// # Safety
    /// The contract of the preamble; `regions` are apart from everything else.
    pub(crate) unsafe fn reserve<'a>(&self, len: usize) -> Result<&'a mut [u8], Error> {
        if let Some(needed) = self.needed {
            // SAFETY: checked.
            unsafe { needed.write(len) };
        }
        // SAFETY: checked.
        unsafe { self.out.slice() }.get_mut(..len).ok_or(Error::BufferTooSmall)
    }

    /// Hands over a finished text.
    ///
    /// # Safety
    /// As [`Self::reserve`].
    pub(crate) unsafe fn put(&self, text: &[u8]) -> Result<imagxp_status, Error> {
        // SAFETY: the caller's.
        unsafe { self.reserve(text.len())? }.copy_from_slice(text);
        Ok(OK)
    }

    /// Hands over what `write` writes: it runs twice, first to count.
    ///
    /// # Safety
    /// As [`Self::reserve`].
    pub(crate) unsafe fn fill<'a>(
        &self,
        write: impl Fn(&mut Writer<'_>) -> Result<(), Error>,
    ) -> Result<&'a str, Error> {
        let mut counter = Writer::new(&mut []);
        write(&mut counter)?;
        // SAFETY: the caller's.
        let mut writer = Writer::new(unsafe { self.reserve(counter.needed())? });
        write(&mut writer)?;
        Ok(writer.finish()?.0)
    }
}
