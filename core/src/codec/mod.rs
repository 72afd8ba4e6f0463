//! Bytes to values and back: base64, hex, JSON, JCS, DER, PEM. Knows nothing of the protocol.

pub mod base64;
pub mod decimal;
pub mod der;
pub mod hex;
pub mod jcs;
pub mod json;
pub mod json_text;
mod number;
pub mod pem;
pub mod punycode;
pub mod writer;
