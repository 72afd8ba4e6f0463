//! The shared library's name and its one dependency, for those who build it with cargo alone.
//! `make install` links the same objects by tools/prelink.sh.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libimagxp.so.1");
        // memcpy and its like.
        println!("cargo:rustc-cdylib-link-arg=-lc");
    }
}
