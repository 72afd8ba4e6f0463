//! The C ABI. Thin: each function checks what it was given, calls the core, and hands the answer over.
//!
//! The manual is `include/imagxp.h`, made from these files by tools/header; its preamble is the contract that every
//! `SAFETY` comment here cites. The only unsafe code of the project is in this crate: what a pointer may be read or
//! written for is decided in `memory`, and nowhere else.
#![cfg_attr(panic = "abort", no_std)]
// The names are those of C.
#![allow(non_camel_case_types)]

mod agent;
mod agent_keys;
mod host;
mod memory;
mod policy;
mod publisher;
mod runtime;
mod state;
mod status;
mod texts;
mod types;
mod verdict;
