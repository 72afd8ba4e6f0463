//! Another Rust library: it allocates, panics, unwinds and recovers, with a runtime of its own.

/// One more than `number`, by way of a panic.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour_recovers(number: i32) -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| {
        let numbers = vec![number];
        assert!(numbers.is_empty(), "{numbers:?}");
    });
    if caught.is_err() { number + 1 } else { 0 }
}
