//! A struct that has grown since the first release, given by programs of that time and of today.
#![allow(unreachable_pub, clippy::undocumented_unsafe_blocks)]

use core::mem::{offset_of, size_of};

use imagxp_core::Error;
use memory::{Growing, Input, Output, disjoint};

#[allow(dead_code)]
#[path = "../src/memory.rs"]
mod memory;

/// What memory.rs takes of them.
#[allow(non_camel_case_types)]
mod types {
    #[derive(Clone, Copy)]
    pub struct imagxp_str {
        pub ptr: *const core::ffi::c_char,
        pub len: usize,
    }
    #[derive(Clone, Copy)]
    pub struct imagxp_buf {
        pub ptr: *mut u8,
        pub len: usize,
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Grown {
    size: usize,
    old: u64,
    /// Added since.
    new: u64,
}

unsafe impl Growing for Grown {
    const FIRST: usize = offset_of!(Self, new);
}

const WHOLE: usize = size_of::<Grown>();

#[test]
fn only_what_the_header_of_the_caller_knows_is_read() {
    let words: [u64; 4] = [0, 7, 8, 9];
    for (size, read) in [(Grown::FIRST, 0), (WHOLE, 8)] {
        let mut words = words;
        words[0] = size as u64;
        let input = Input::sized(words.as_ptr().cast::<Grown>()).unwrap();
        assert_eq!(unsafe { input.read() }, Grown { size, old: 7, new: read });
    }
}

#[test]
fn only_what_the_header_of_the_caller_knows_is_written_and_its_size_stays() {
    for (size, new) in [(Grown::FIRST, 9), (WHOLE, 2)] {
        let mut words: [u64; 4] = [size as u64, 7, 9, 9];
        let output = Output::sized(words.as_mut_ptr().cast::<Grown>()).unwrap();
        unsafe { output.write(Grown { size: WHOLE, old: 1, new: 2 }) };
        assert_eq!(words, [size as u64, 1, new, 9]);
    }
}

#[test]
fn what_lies_behind_a_short_struct_is_somebody_elses() {
    let mut words: [u64; 4] = [Grown::FIRST as u64, 0, 0, 0];
    let at = words.as_mut_ptr();
    let output = Output::sized(at.cast::<Grown>()).unwrap();
    let behind = Input::one(at.wrapping_add(2).cast_const()).unwrap();
    assert!(disjoint(&[output.region()], &[behind.region()]).is_ok());
    let within = Input::one(at.wrapping_add(1).cast_const()).unwrap();
    assert_eq!(disjoint(&[output.region()], &[within.region()]), Err(Error::AbiOverlap));
}

#[test]
fn other_sizes_are_of_no_release() {
    for size in [0, 1, Grown::FIRST - 1, WHOLE + 1, WHOLE + 8, usize::MAX] {
        let words: [u64; 4] = [size as u64, 0, 0, 0];
        assert_eq!(Input::sized(words.as_ptr().cast::<Grown>()).err(), Some(Error::AbiVersion), "{size}");
    }
    assert_eq!(Input::sized(core::ptr::null::<Grown>()).err(), Some(Error::AbiNull));
    let words = [WHOLE as u64; 4];
    let crooked = words.as_ptr().wrapping_byte_add(4).cast::<Grown>();
    assert_eq!(Input::sized(crooked).err(), Some(Error::AbiStorage));
}
