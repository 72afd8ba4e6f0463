//! What a program without the standard library owes the compiler.

/// No panic can be reached (`make panic-free`); were it otherwise, the process ends here.
#[cfg(all(panic = "abort", not(feature = "panic-proof")))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    abort()
}

/// An instruction that no processor executes: no unwinding, no message, no dependency.
#[cfg(all(panic = "abort", not(feature = "panic-proof")))]
fn abort() -> ! {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    // SAFETY: it ends the process and touches nothing.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nomem, nostack))
    }
    #[cfg(any(target_arch = "arm", target_arch = "aarch64"))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nomem, nostack))
    }
    #[cfg(any(target_arch = "riscv32", target_arch = "riscv64"))]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("unimp", options(noreturn, nomem, nostack))
    }
    #[allow(unreachable_code)]
    loop {
        core::hint::spin_loop();
    }
}

/// The proof: a function that exists nowhere, so that an entry point from which a panic can be reached does not link.
#[cfg(all(panic = "abort", feature = "panic-proof"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        fn imagxp_a_panic_can_be_reached() -> !;
    }
    // SAFETY: never linked, let alone called.
    unsafe { imagxp_a_panic_can_be_reached() }
}

// The prebuilt `core` was compiled to unwind and names this symbol; nothing here unwinds, so nobody calls it. Hidden,
// and only in this leaf crate: a program with another Rust library in it keeps that library's own.
#[cfg(all(panic = "abort", target_os = "linux"))]
core::arch::global_asm!(
    ".section .rodata.imagxp_no_unwinding,\"a\"",
    ".hidden rust_eh_personality",
    ".globl rust_eh_personality",
    "rust_eh_personality:",
    ".byte 0",
    ".text",
);
