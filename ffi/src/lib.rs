//! The C ABI. Thin: each function checks what it was given, calls the core, and hands the answer over.
//!
//! The manual is `include/imagxp.h`, made from these files by tools/header; its preamble is the contract that every
//! `SAFETY` comment here cites. The only unsafe code of the project is in this crate: what a pointer may be read or
//! written for is decided in `memory`, and nowhere else.
#![cfg_attr(panic = "abort", no_std)]
// The names are those of C.
#![allow(non_camel_case_types)]

pub mod agent;
pub mod agent_keys;
pub mod broker;
mod decision;
pub mod evidence;
pub mod feedback;
mod growing;
pub mod host;
pub mod log;
mod memory;
mod out;
pub mod packed;
pub mod policy;
pub mod provenance;
pub mod publisher;
pub mod refusal;
mod runtime;
mod same;
pub mod state;
pub mod status;
pub mod story;
mod texts;
pub mod types;
mod verdict;
