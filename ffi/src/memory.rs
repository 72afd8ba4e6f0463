//! The caller's memory: checked before it is touched (threats.md section 10), and touched only through here.
//!
//! A pointer becomes an [`Input`] or an [`Output`] when it is not NULL, aligned, and no longer than an object can be;
//! [`disjoint`] holds outputs apart from everything else; only then are references made of them. What cannot be checked
//! is the contract of the header's preamble: that the memory is there, and that nobody else writes it meanwhile.

use core::mem::{align_of, size_of};
use core::slice;

use imagxp_core::Error;

use crate::types::{imagxp_buf, imagxp_str};

/// Addresses that a call reads or writes.
#[derive(Clone, Copy)]
pub(crate) struct Region {
    start: usize,
    end: usize,
}

impl Region {
    pub(crate) const EMPTY: Self = Self { start: 0, end: 0 };

    fn new<T>(ptr: *const T, count: usize) -> Result<Self, Error> {
        if count == 0 {
            return Ok(Self::EMPTY);
        }
        if ptr.is_null() {
            return Err(Error::AbiNull);
        }
        let len = count.checked_mul(size_of::<T>()).filter(|len| isize::try_from(*len).is_ok());
        let end = len.and_then(|len| ptr.addr().checked_add(len)).ok_or(Error::AbiLength)?;
        if !ptr.addr().is_multiple_of(align_of::<T>()) {
            return Err(Error::AbiStorage);
        }
        Ok(Self { start: ptr.addr(), end })
    }

    fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Outputs overlap nothing: no input, no other output.
///
/// # Errors
/// `ABI_OVERLAP`
pub(crate) fn disjoint(outputs: &[Region], inputs: &[Region]) -> Result<(), Error> {
    for (index, output) in outputs.iter().enumerate() {
        let later = outputs.iter().skip(index + 1);
        if later.chain(inputs).any(|other| output.overlaps(*other)) {
            return Err(Error::AbiOverlap);
        }
    }
    Ok(())
}

/// Memory that a call reads.
#[derive(Clone, Copy)]
pub(crate) struct Input<T> {
    ptr: *const T,
    count: usize,
    region: Region,
}

impl<T> Input<T> {
    /// `count` values.
    pub(crate) fn many(ptr: *const T, count: usize) -> Result<Self, Error> {
        Region::new(ptr, count).map(|region| Self { ptr, count, region })
    }

    /// One value, which must be there.
    pub(crate) fn one(ptr: *const T) -> Result<Self, Error> {
        Self::many(ptr, 1)
    }

    /// A struct that begins with its size.
    ///
    /// # Errors
    /// `ABI_VERSION` for a size that this library does not know.
    pub(crate) fn sized(ptr: *const T) -> Result<Self, Error> {
        let input = Self::one(ptr)?;
        check_size(ptr)?;
        Ok(input)
    }

    pub(crate) fn region(&self) -> Region {
        self.region
    }

    /// The values.
    ///
    /// # Safety
    /// The contract of the preamble, and `disjoint` from every output.
    pub(crate) unsafe fn slice<'a>(&self) -> &'a [T] {
        if self.count == 0 {
            return &[];
        }
        // SAFETY: not NULL, aligned, at most isize::MAX bytes; the caller's for as long as the call takes.
        unsafe { slice::from_raw_parts(self.ptr, self.count) }
    }
}

impl<T: Copy> Input<T> {
    /// The one value, copied.
    ///
    /// # Safety
    /// As [`Self::slice`]; made by `one` or `sized`.
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: not NULL, aligned, one value.
        unsafe { self.ptr.read() }
    }
}

impl Input<u8> {
    pub(crate) fn text(text: imagxp_str) -> Result<Self, Error> {
        Self::many(text.ptr.cast(), text.len)
    }

    /// The filled part of a scratch, to read texts from.
    pub(crate) fn buf(buf: imagxp_buf) -> Result<Self, Error> {
        Self::many(buf.ptr, buf.len)
    }

    /// `N` bytes, which must be there.
    pub(crate) fn bytes<const N: usize>(ptr: *const u8) -> Result<Input<[u8; N]>, Error> {
        Input::one(ptr.cast())
    }
}

/// Memory that a call writes.
#[derive(Clone, Copy)]
pub(crate) struct Output<T> {
    ptr: *mut T,
    count: usize,
    region: Region,
}

impl<T> Output<T> {
    /// `count` values.
    pub(crate) fn many(ptr: *mut T, count: usize) -> Result<Self, Error> {
        Region::new(ptr, count).map(|region| Self { ptr, count, region })
    }

    /// One value, which must have a place.
    pub(crate) fn one(ptr: *mut T) -> Result<Self, Error> {
        Self::many(ptr, 1)
    }

    /// A struct that begins with its size.
    ///
    /// # Errors
    /// `ABI_VERSION` for a size that this library does not know.
    pub(crate) fn sized(ptr: *mut T) -> Result<Self, Error> {
        let output = Self::one(ptr)?;
        check_size(ptr)?;
        Ok(output)
    }

    pub(crate) fn region(&self) -> Region {
        self.region
    }

    /// The values.
    ///
    /// # Safety
    /// The contract of the preamble, `disjoint` from everything else, and no second call on the same memory.
    pub(crate) unsafe fn slice<'a>(&self) -> &'a mut [T] {
        if self.count == 0 {
            return &mut [];
        }
        // SAFETY: not NULL, aligned, at most isize::MAX bytes; the caller's, and ours alone for as long as the call takes.
        unsafe { slice::from_raw_parts_mut(self.ptr, self.count) }
    }

    /// Stores the one value.
    ///
    /// # Safety
    /// As [`Self::slice`]; made by `one` or `sized`.
    pub(crate) unsafe fn write(&self, value: T) {
        // SAFETY: not NULL, aligned, one value.
        unsafe { self.ptr.write(value) }
    }
}

impl<T: Copy> Output<T> {
    /// The one value as it stands.
    ///
    /// # Safety
    /// As [`Self::write`].
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: not NULL, aligned, one value.
        unsafe { self.ptr.read() }
    }
}

impl Output<u8> {
    pub(crate) fn buf(buf: imagxp_buf) -> Result<Self, Error> {
        Self::many(buf.ptr, buf.len)
    }
}

/// Bytes, apart from the outputs.
pub(crate) fn read_bytes<'a>(text: imagxp_str, outputs: &[Region]) -> Result<&'a [u8], Error> {
    let text = Input::text(text)?;
    disjoint(outputs, &[text.region()])?;
    // SAFETY: checked, and apart from the outputs.
    Ok(unsafe { text.slice() })
}

/// A text, apart from the outputs.
///
/// # Errors
/// `invalid` if it is not UTF-8.
pub(crate) fn read_str<'a>(text: imagxp_str, outputs: &[Region], invalid: Error) -> Result<&'a str, Error> {
    core::str::from_utf8(read_bytes(text, outputs)?).map_err(|_| invalid)
}

/// An array, apart from the outputs.
pub(crate) fn read_array<'a, T>(ptr: *const T, count: usize, outputs: &[Region]) -> Result<&'a [T], Error> {
    let array = Input::many(ptr, count)?;
    disjoint(outputs, &[array.region()])?;
    // SAFETY: checked, and apart from the outputs.
    Ok(unsafe { array.slice() })
}

/// A struct that begins with its size, copied, apart from the outputs.
pub(crate) fn read_sized<T: Copy>(ptr: *const T, outputs: &[Region]) -> Result<T, Error> {
    let input = Input::sized(ptr)?;
    disjoint(outputs, &[input.region()])?;
    // SAFETY: checked, and apart from the outputs.
    Ok(unsafe { input.read() })
}

/// The first member of a struct that may grow is its size, a `size_t`.
fn check_size<T>(ptr: *const T) -> Result<(), Error> {
    // SAFETY: `Region::new` has seen a place for a T here, and every T that comes here begins with a usize.
    let size = unsafe { ptr.cast::<usize>().read() };
    if size == size_of::<T>() { Ok(()) } else { Err(Error::AbiVersion) }
}
