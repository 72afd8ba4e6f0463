//! The two JOSE formats that the protocol uses: JWK (RFC 7517) and compact JWS (RFC 7515), ES256 only.

pub mod jwk;
pub mod jws;
