//! The agent's calls: sign, in one step or in two, and publish the manifest.

use imagxp_core::agent::{self, ListedKey, Manifest, RevokedKey};
use imagxp_core::codec::hex;
use imagxp_core::{Claims, Error, Purpose, SignedHeaders, UnixMillis};

use crate::agent_keys::{Signer, public};
use crate::memory::{Input, Output, Region, disjoint, read_array, read_str};
use crate::out::Text;
use crate::status::{OK, answer, answer_and_wipe};
use crate::texts::{Texts, text};
use crate::types::*;

/// The buffer that every signed request fits. 900 bytes do for most.
pub const IMAGXP_SIGNED_LEN: usize = 4_348;
const _: () = assert!(IMAGXP_SIGNED_LEN == SignedHeaders::BYTES_MAX);

/// What both ways of signing write.
struct Target {
    out: Output<u8>,
    headers: Output<imagxp_signed>,
}

impl Target {
    fn new(out: imagxp_buf, headers: *mut imagxp_signed) -> Result<Self, Error> {
        Ok(Self { out: Output::buf(out)?, headers: Output::sized(headers)? })
    }

    /// Room for so many bytes; if there is not, the need is told.
    ///
    /// # Safety
    /// The contract of the preamble; `out` and `headers` are apart from everything else.
    unsafe fn reserve<'a>(&self, len: usize) -> Result<&'a mut [u8], Error> {
        // SAFETY: the caller's.
        let (out, before) = unsafe { (self.out.slice(), self.headers.read()) };
        let place = out.get_mut(..len);
        if place.is_none() {
            // SAFETY: the caller's.
            unsafe { self.headers.write(imagxp_signed { needed: len, ..before }) };
        }
        place.ok_or(Error::BufferTooSmall)
    }
}

fn spans(texts: &mut Texts<'_>, payload: &str, signature: &str, public_key: &str) -> Result<imagxp_signed, Error> {
    let needed = payload.len().saturating_add(signature.len()).saturating_add(public_key.len());
    Ok(imagxp_signed {
        size: size_of::<imagxp_signed>(),
        needed,
        payload: texts.span(payload)?,
        signature: texts.span(signature)?,
        public_key: texts.span(public_key)?,
    })
}

/// Claims, read and apart from the outputs.
pub(crate) fn read_claims<'a>(claims: *const imagxp_claims, outputs: &[Region]) -> Result<Claims<'a>, Error> {
    let input = Input::sized(claims)?;
    // SAFETY: checked.
    let claims = unsafe { input.read() };
    disjoint(outputs, &[input.region()])?;
    Ok(Claims {
        agent_id: read_str(claims.agent_id, outputs, Error::AgentIdInvalid)?,
        resource: read_str(claims.resource, outputs, Error::ResourceInvalid)?,
        purpose: Purpose::from_number(claims.purpose).map_err(|_| Error::AbiArgument)?,
        ads_displayed: match claims.ads_displayed {
            0 => false,
            1 => true,
            _ => return Err(Error::AbiArgument),
        },
    })
}

/// Signs one request: the headers to send, in `out`. `nonce` is 16 fresh random bytes, `hedge` 32 more or NULL: they
/// protect the key against faults of the hardware, and bad ones do no harm. `flags` is `IMAGXP_SIGN_CHECK` or 0.
/// Send `headers->public_key` under both of its names, and `IMAGXP_PRODUCT` within `User-Agent`.
///
/// Errors: `BUFFER_TOO_SMALL`, with `headers->needed`; `AGENT_ID_INVALID`, `RESOURCE_INVALID`, `PAYLOAD_TOO_LARGE`: a verifier
/// would refuse; `CLOCK_UNKNOWN`; `SIGN_FAULT`; `ABI_ARGUMENT`; `ABI_STATE`: not a key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_sign(
    key: *const imagxp_key,
    claims: *const imagxp_claims,
    nonce: *const u8,
    hedge: *const u8,
    flags: u32,
    now_ms: i64,
    out: imagxp_buf,
    headers: *mut imagxp_signed,
) -> imagxp_status {
    answer_and_wipe(|| {
        let target = Target::new(out, headers)?;
        let outputs = [target.out.region(), target.headers.region()];
        let nonce = Input::bytes::<16>(nonce)?;
        disjoint(&outputs, &[nonce.region()])?;
        let signer = Signer::new(key, hedge, flags, &outputs)?;
        let claims = read_claims(claims, &outputs)?;
        // SAFETY: checked, and apart from the outputs.
        let ((pair, signing), nonce) = unsafe { (signer.read()?, nonce.read()) };
        let now = UnixMillis::from_ms(now_ms);
        // SAFETY: checked.
        let place = unsafe { target.reserve(agent::signed_len(&claims, now)?)? };
        let (place, mut texts) = Texts::new(place, 0);
        let signed = agent::sign_request(&pair, &claims, &nonce, now, signing, place)?;
        let found = spans(&mut texts, signed.payload, signed.signature, signed.public_key)?;
        // SAFETY: checked.
        unsafe { target.headers.write(found) };
        Ok(OK)
    })
}

/// The first half of signing, for a key in hardware or behind an API: everything but the signature, in `out`, and the 32
/// bytes to sign in `digest` (ECDSA, P-256, the bytes as they are: they are a SHA-256 already). `public_key` is
/// `IMAGXP_FORMAT_TEXT` or `_PEM`. `imagxp_request_attach` is the second half.
///
/// Errors: as `imagxp_request_sign`; `KEY_FORMAT` and `KEY_INVALID` of the public key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_prepare(
    public_key: imagxp_str,
    claims: *const imagxp_claims,
    nonce: *const u8,
    now_ms: i64,
    out: imagxp_buf,
    headers: *mut imagxp_signed,
    digest: *mut u8,
) -> imagxp_status {
    answer(|| {
        let target = Target::new(out, headers)?;
        let digest = Output::one(digest.cast::<[u8; 32]>())?;
        let outputs = [target.out.region(), target.headers.region(), digest.region()];
        let (key, nonce) = (Input::text(public_key)?, Input::bytes::<16>(nonce)?);
        disjoint(&outputs, &[key.region(), nonce.region()])?;
        let claims = read_claims(claims, &outputs)?;
        // SAFETY: checked, and apart from the outputs.
        let (key, nonce) = unsafe { (public(key.slice())?, nonce.read()) };
        let now = UnixMillis::from_ms(now_ms);
        // SAFETY: checked.
        let place = unsafe { target.reserve(agent::signed_len(&claims, now)?)? };
        let (place, mut texts) = Texts::new(place, 0);
        let prepared = agent::prepare(&key, &claims, &nonce, now, place)?;
        let hash = *prepared.digest();
        let signed = prepared.attach(&[0; 64])?;
        let found = spans(&mut texts, signed.payload, signed.signature, signed.public_key)?;
        // SAFETY: checked.
        unsafe {
            target.headers.write(found);
            digest.write(hash);
        }
        Ok(OK)
    })
}

/// The second half: writes `signature`, 64 bytes `r || s`, into its place in `out`. A DER signature must be taken apart
/// first. Until then the header is 128 zeros, which nobody admits.
///
/// Errors: `ABI_STATE`: `headers` is not what `imagxp_request_prepare` made of `out`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_request_attach(
    headers: *const imagxp_signed,
    signature: *const u8,
    out: imagxp_buf,
) -> imagxp_status {
    answer(|| {
        let (headers, signature, out) = (Input::sized(headers)?, Input::bytes::<64>(signature)?, Output::buf(out)?);
        disjoint(&[out.region()], &[headers.region(), signature.region()])?;
        // SAFETY: checked, and apart from each other.
        let (headers, signature, out) = unsafe { (headers.read(), signature.read(), out.slice()) };
        let at = text(out, headers.signature)?;
        if at.len() != hex::encoded_len(signature.len()) || !at.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(Error::AbiState);
        }
        let place = out.iter_mut().skip(headers.signature.at as usize).take(headers.signature.len as usize);
        let mut digits = [0; 128];
        hex::encode(&signature, &mut digits)?;
        for (place, digit) in place.zip(digits) {
            *place = digit;
        }
        Ok(OK)
    })
}

/// Writes the manifest document, at most 8,192 bytes, to be served at `IMAGXP_MANIFEST_PATH` with status 200 and
/// `application/json`. `needed`, which may be NULL, gets its length, with `IMAGXP_BUFFER_TOO_SMALL` too.
///
/// Errors: `BUFFER_TOO_SMALL`; `AGENT_ID_INVALID`; `KEY_FORMAT`, `KEY_INVALID`; `MANIFEST_INVALID`: more keys than a verifier
/// reads, or a text that is not UTF-8; `MANIFEST_TOO_LARGE`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn imagxp_manifest_write(
    manifest: *const imagxp_manifest,
    out: imagxp_buf,
    needed: *mut usize,
) -> imagxp_status {
    answer(|| {
        let (input, out) = (Input::sized(manifest)?, Text::new(out, needed)?);
        // SAFETY: checked.
        let manifest = unsafe { input.read() };
        disjoint(&out.regions(), &[input.region()])?;
        let read = |text| read_str(text, &out.regions(), Error::ManifestInvalid);
        let keys = read_array(manifest.keys, manifest.keys_len, &out.regions())?;
        let revoked = read_array(manifest.revoked, manifest.revoked_len, &out.regions())?;

        let current = public(read(manifest.public_key)?.as_bytes())?;
        let mut parsed = [current; 4];
        let mut listed = [ListedKey { key: &current, nbf_s: None, exp_s: None }; 4];
        let listed = listed.get_mut(..keys.len()).ok_or(Error::ManifestInvalid)?;
        for (place, key) in parsed.iter_mut().zip(keys) {
            *place = public(read(key.public_key)?.as_bytes())?;
        }
        for ((place, from), key) in listed.iter_mut().zip(keys).zip(&parsed) {
            *place = ListedKey { key, nbf_s: date(from.nbf_s)?, exp_s: date(from.exp_s)? };
        }
        let mut ended = [RevokedKey { kid: "", at_s: 0 }; 16];
        let ended = ended.get_mut(..revoked.len()).ok_or(Error::ManifestInvalid)?;
        for (place, from) in ended.iter_mut().zip(revoked) {
            *place =
                RevokedKey { kid: read(from.kid)?, at_s: u64::try_from(from.at_s).map_err(|_| Error::AbiArgument)? };
        }
        let contact = read(manifest.contact_email)?;
        let document = Manifest {
            agent_id: read(manifest.agent_id)?,
            public_key: &current,
            contact_email: (!contact.is_empty()).then_some(contact),
            keys: listed,
            revoked: ended,
        };
        // SAFETY: checked, and apart from every input.
        let place = unsafe { out.reserve(agent::manifest_len(&document)?)? };
        agent::write_manifest(&document, place)?;
        Ok(OK)
    })
}

/// 0 is none.
fn date(seconds: i64) -> Result<Option<u64>, Error> {
    let seconds = u64::try_from(seconds).map_err(|_| Error::AbiArgument)?;
    Ok(if seconds == 0 { None } else { Some(seconds) })
}
