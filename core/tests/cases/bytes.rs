//! Bytes and their texts, for runners: independent of the codecs under test where a case is about them.

use imagxp::codec::json::{Document, Limits, Node};
use imagxp::codec::{base64, jcs, writer::Writer};
use imagxp::{Error, PublicKey};

/// Bytes of hexadecimal text, in either case.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> = text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or("the row's hexadecimal is not whole")?;
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Exactly 32 bytes of a hexadecimal number: shorter ones are filled up in front; none if it is larger.
pub(crate) fn unhex_32(text: &str) -> Option<[u8; 32]> {
    let digits = text.trim_start_matches('0');
    if digits.len() > 64 {
        return None;
    }
    unhex(&format!("{digits:0>64}")).ok()?.try_into().ok()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Padded standard base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = vec![0; base64::encoded_len(bytes.len())];
    base64::encode(bytes, &mut out).expect("the buffer is as long as asked").to_owned()
}

/// Unpadded base64url.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    let mut out = vec![0; base64::url_encoded_len(bytes.len())];
    base64::url_encode(bytes, &mut out).expect("the buffer is as long as asked").to_owned()
}

/// `r || s` of two hexadecimal numbers; none if either has more than 32 bytes.
pub(crate) fn signature(r: &str, s: &str) -> Option<[u8; 64]> {
    let mut both = [0; 64];
    both[..32].copy_from_slice(&unhex_32(r)?);
    both[32..].copy_from_slice(&unhex_32(s)?);
    Some(both)
}

/// The key with hexadecimal coordinates.
pub(crate) fn public_key(x: &str, y: &str) -> Result<PublicKey, Error> {
    match (unhex_32(x), unhex_32(y)) {
        (Some(x), Some(y)) => PublicKey::from_coordinates(&x, &y),
        _ => Err(Error::KeyInvalid),
    }
}

/// The canonical form of a JSON text.
pub(crate) fn canonical(json: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let mut nodes = vec![Node::default(); limits.nodes.min(60_000)];
    let document = Document::parse(json, limits, &mut nodes)?;
    let mut out = vec![0; 6 * json.len() + 32];
    let mut writer = Writer::new(&mut out);
    jcs::write(&document.root(), &mut writer)?;
    Ok(writer.finish()?.0.as_bytes().to_vec())
}
