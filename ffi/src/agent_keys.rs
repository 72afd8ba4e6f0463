//! Keys of the agent, in the caller's memory.

use imagxp_core::{Error, KeyPair, PublicKey, Signing};
use zeroize::Zeroize;

use crate::memory::{Input, Output, Region, disjoint};
use crate::out::Text;
use crate::status::{OK, answer, answer_and_wipe};
use crate::types::*;

/// `imagxpS1`: what the words are, and the version of their layout.
const MAGIC: u64 = u64::from_le_bytes(*b"imagxpS1");

/// The key of a key object.
///
/// # Safety
/// The contract of the preamble.
unsafe fn read(key: &Input<imagxp_key>) -> Result<KeyPair, Error> {
    // SAFETY: the caller's.
    let [imagxp_key { opaque }] = (unsafe { key.slice() }) else { return Err(Error::AbiState) };
    match opaque {
        [MAGIC, words @ .., 0, 0, 0] => KeyPair::from_words(words).map_err(|_| Error::AbiState),
        _ => Err(Error::AbiState),
    }
}

/// # Safety
/// The contract of the preamble, and apart from every input.
unsafe fn write(key: &Output<imagxp_key>, pair: &KeyPair) {
    // SAFETY: the caller's.
    if let [imagxp_key { opaque: [magic, words @ .., a, b, c] }] = unsafe { key.slice() } {
        words.copy_from_slice(&*pair.to_words());
        (*magic, *a, *b, *c) = (MAGIC, 0, 0, 0);
    }
}

/// Who signs, and with what care.
pub(crate) struct Signer {
    key: Input<imagxp_key>,
    hedge: Input<u8>,
    check: bool,
}

impl Signer {
    /// `hedge` is 32 bytes, or NULL.
    pub(crate) fn new(key: *const imagxp_key, hedge: *const u8, flags: u32, outputs: &[Region]) -> Result<Self, Error> {
        let (key, hedge) = (Input::one(key)?, Input::many(hedge, if hedge.is_null() { 0 } else { 32 })?);
        disjoint(outputs, &[key.region(), hedge.region()])?;
        if flags & !IMAGXP_SIGN_CHECK != 0 {
            return Err(Error::AbiArgument);
        }
        Ok(Self { key, hedge, check: flags & IMAGXP_SIGN_CHECK != 0 })
    }

    /// # Safety
    /// The contract of the preamble.
    pub(crate) unsafe fn read<'a>(&self) -> Result<(KeyPair, Signing<'a>), Error> {
        // SAFETY: checked by `new`, and apart from the outputs.
        let (pair, hedge) = unsafe { (read(&self.key)?, self.hedge.slice()) };
        Ok((pair, Signing { hedge, check: self.check }))
    }
}

/// A public key in `IMAGXP_FORMAT_TEXT` or `IMAGXP_FORMAT_PEM`.
pub(crate) fn public(text: &[u8]) -> Result<PublicKey, Error> {
    if text.starts_with(b"-----") { PublicKey::from_pem(text) } else { PublicKey::from_text(text) }
}

fn make(key: *mut imagxp_key, input: Input<u8>, read: fn(&[u8]) -> Result<KeyPair, Error>) -> imagxp_status {
    answer_and_wipe(|| {
        let key = Output::one(key)?;
        disjoint(&[key.region()], &[input.region()])?;
        // SAFETY: checked, and apart from each other.
        let pair = read(unsafe { input.slice() })?;
        // SAFETY: as above.
        unsafe { write(&key, &pair) };
        Ok(OK)
    })
}

/// A new key from 32 random bytes: they become the private scalar. Wipe them afterwards.
///
/// Errors: `PRIVKEY_INVALID`, once in 2^32: draw others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_from_random(random: *const u8, key: *mut imagxp_key) -> imagxp_status {
    match Input::many(random, 32) {
        Ok(random) => make(key, random, |random| KeyPair::from_random(random.try_into().map_err(|_| Error::AbiNull)?)),
        Err(error) => answer(|| Err(error)),
    }
}

/// From text: base64 of PKCS#8 as in `IMAGXP_PRIVATE_KEY`, PEM (`PRIVATE KEY`, `EC PRIVATE KEY`), a JWK with `d`, or 64
/// hex digits of the scalar. White space around it is passed over.
///
/// Errors: `PRIVKEY_INVALID`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_from_text(text: imagxp_str, key: *mut imagxp_key) -> imagxp_status {
    match Input::text(text) {
        Ok(text) => make(key, text, KeyPair::from_text),
        Err(error) => answer(|| Err(error)),
    }
}

/// From DER: PKCS#8 or SEC1 `ECPrivateKey`, at most 512 bytes. A public part, if there is one, must match.
///
/// Errors: `PRIVKEY_INVALID`
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_from_der(der: imagxp_str, key: *mut imagxp_key) -> imagxp_status {
    match Input::text(der) {
        Ok(der) => make(key, der, KeyPair::from_der),
        Err(error) => answer(|| Err(error)),
    }
}

/// Writes the public key in `IMAGXP_FORMAT_TEXT`, `_PEM`, `_DER`, `_JWK` or `_KID`; at most 240 bytes. `needed`, which may be
/// NULL, gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: an unknown format; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_public(
    key: *const imagxp_key,
    format: i32,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer_and_wipe(|| {
        let (key, out) = (Input::one(key)?, Text::new(out, needed)?);
        disjoint(&out.regions(), &[key.region()])?;
        // SAFETY: checked.
        let pair = unsafe { read(&key)? };
        let key = pair.public();
        let mut space = [0; 240];
        // SAFETY: checked, and apart from the key.
        unsafe {
            match format {
                IMAGXP_FORMAT_TEXT => out.put(key.to_text().as_str().as_bytes()),
                IMAGXP_FORMAT_PEM => out.put(key.to_pem(&mut space)?.as_bytes()),
                IMAGXP_FORMAT_DER => out.put(&key.to_spki()),
                IMAGXP_FORMAT_JWK => out.put(key.to_jwk(&mut space)?.as_bytes()),
                IMAGXP_FORMAT_KID => out.put(key.kid().as_str().as_bytes()),
                _ => Err(Error::AbiArgument),
            }
        }
    })
}

/// Writes the private key in `IMAGXP_FORMAT_TEXT`, `_PEM`, `_DER` or `_JWK`; at most 260 bytes. `needed`, which may be NULL,
/// gets the length, with `IMAGXP_BUFFER_TOO_SMALL` too. Wipe `out` when it has served.
///
/// Errors: `BUFFER_TOO_SMALL`; `ABI_ARGUMENT`: an unknown format; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_export(
    key: *const imagxp_key,
    format: i32,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer_and_wipe(|| {
        let (key, out) = (Input::one(key)?, Text::new(out, needed)?);
        disjoint(&out.regions(), &[key.region()])?;
        // SAFETY: checked.
        let pair = unsafe { read(&key)? };
        let mut space = zeroize::Zeroizing::new([0; 260]);
        // SAFETY: checked, and apart from the key.
        unsafe {
            match format {
                IMAGXP_FORMAT_TEXT => out.put(pair.to_text(&mut *space)?.as_bytes()),
                IMAGXP_FORMAT_PEM => out.put(pair.to_pem(&mut *space)?.as_bytes()),
                IMAGXP_FORMAT_DER => out.put(&*pair.to_pkcs8()),
                IMAGXP_FORMAT_JWK => out.put(pair.to_jwk(&mut *space)?.as_bytes()),
                _ => Err(Error::AbiArgument),
            }
        }
    })
}

/// Overwrites a key with zeros, in a way that compilers do not leave out. NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_key_wipe(key: *mut imagxp_key) {
    if let Ok(key) = Output::one(key) {
        // SAFETY: checked.
        for imagxp_key { opaque } in unsafe { key.slice() } {
            opaque.zeroize();
        }
    }
}
