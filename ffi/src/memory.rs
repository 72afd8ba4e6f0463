//! The caller's memory: checked before it is touched (threats.md section 10), and touched only through here.
//!
//! A pointer becomes an [`Input`] or an [`Output`] when it is not NULL, aligned, and no longer than an object can be;
//! [`disjoint`] holds outputs apart from everything else; only then are references made of them. What cannot be checked
//! is the contract of the header's preamble: that the memory is there, and that nobody else writes it meanwhile.

use core::mem::{MaybeUninit, align_of, size_of};
use core::slice;

use imagxp_core::Error;

use crate::types::{imagxp_buf, imagxp_str};

/// A struct that may grow at its end, release by release.
///
/// # Safety
/// It is `repr(C)` and begins with a `usize`, its size as its owner's header knows it; all zeroes are a value of it.
pub(crate) unsafe trait Growing: Copy {
    /// Its size in the first release. Once it grows: `offset_of!(Self, the first member that was added)`.
    const FIRST: usize = size_of::<Self>();
}

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

    fn len(self) -> usize {
        self.end.wrapping_sub(self.start)
    }

    /// Of a struct that begins with its size: as much of it as its owner's header knows.
    fn sized<T: Growing>(ptr: *const T) -> Result<Self, Error> {
        let Self { start, .. } = Self::new(ptr.cast::<usize>(), 1)?;
        if !start.is_multiple_of(align_of::<T>()) {
            return Err(Error::AbiStorage);
        }
        // SAFETY: a place for a usize, with which every `Growing` begins.
        let size = unsafe { ptr.cast::<usize>().read() };
        if !(T::FIRST..=size_of::<T>()).contains(&size) {
            return Err(Error::AbiVersion);
        }
        let end = start.checked_add(size).ok_or(Error::AbiLength)?;
        Ok(Self { start, end })
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
    /// The one value, copied; zeroes for what its owner's header does not know.
    ///
    /// # Safety
    /// As [`Self::slice`]; made by `one` or `sized`.
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: not NULL, aligned, one value.
        unsafe { read(self.ptr, self.region) }
    }
}

impl<T: Growing> Input<T> {
    /// A struct that begins with its size, of this release or an earlier one. Never take its `slice`.
    ///
    /// # Errors
    /// `ABI_VERSION` for a size that this library does not know.
    pub(crate) fn sized(ptr: *const T) -> Result<Self, Error> {
        Region::sized(ptr).map(|region| Self { ptr, count: 1, region })
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

    /// Stores the one value, as far as its owner's header knows it; the owner's `size` stays.
    ///
    /// # Safety
    /// As [`Self::slice`]; made by `one` or `sized`.
    pub(crate) unsafe fn write(&self, value: T) {
        let len = self.region.len();
        if len == size_of::<T>() {
            // SAFETY: not NULL, aligned, one value.
            return unsafe { self.ptr.write(value) };
        }
        // SAFETY: not NULL, aligned, `len` bytes, less than a value; it begins with its size, since only `sized` is shorter.
        unsafe {
            self.ptr.cast::<u8>().copy_from_nonoverlapping((&raw const value).cast(), len);
            self.ptr.cast::<usize>().write(len);
        }
    }
}

impl<T: Copy> Output<T> {
    /// The one value as it stands; zeroes for what its owner's header does not know.
    ///
    /// # Safety
    /// As [`Self::write`].
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: not NULL, aligned, one value.
        unsafe { read(self.ptr, self.region) }
    }
}

impl<T: Growing> Output<T> {
    /// A struct that begins with its size, of this release or an earlier one. Never take its `slice`.
    ///
    /// # Errors
    /// `ABI_VERSION` for a size that this library does not know.
    pub(crate) fn sized(ptr: *mut T) -> Result<Self, Error> {
        Region::sized(ptr.cast_const()).map(|region| Self { ptr, count: 1, region })
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
pub(crate) fn read_sized<T: Growing>(ptr: *const T, outputs: &[Region]) -> Result<T, Error> {
    let input = Input::sized(ptr)?;
    disjoint(outputs, &[input.region()])?;
    // SAFETY: checked, and apart from the outputs.
    Ok(unsafe { input.read() })
}

/// One value, or as much of it as there is: the rest are zeroes.
///
/// # Safety
/// `ptr` is aligned, and `region`, a whole value or the beginning of a [`Growing`] one, is there to read.
unsafe fn read<T: Copy>(ptr: *const T, region: Region) -> T {
    if region.len() == size_of::<T>() {
        // SAFETY: a whole value.
        return unsafe { ptr.read() };
    }
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: `sized` has seen that it is no longer than a value, and zeroes are good for the rest of it.
    unsafe {
        value.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(ptr.cast(), region.len());
        value.assume_init()
    }
}
