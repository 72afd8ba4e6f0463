//! Signatures as a verifier takes them: with 1/s, which a request and its visa compute together.

use crate::curve;

/// A signature, and what verification computes first. Nothing of it is verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inverted {
    /// `r || s`
    bytes: [u8; 64],
    /// None if r or s is out of range.
    inverted: Option<curve::Inverted>,
}

impl Inverted {
    /// Of one signature.
    pub(crate) fn of(bytes: &[u8; 64]) -> Self {
        let inverted = curve::Signature::from_bytes(bytes).map(|signature| signature.invert());
        Self { bytes: *bytes, inverted }
    }

    /// Of two, with one inversion.
    pub(crate) fn of_both(first: &[u8; 64], second: &[u8; 64]) -> [Self; 2] {
        match [first, second].map(curve::Signature::from_bytes) {
            [Some(a), Some(b)] => {
                let [a, b] = a.invert_both(&b);
                [Self { bytes: *first, inverted: Some(a) }, Self { bytes: *second, inverted: Some(b) }]
            }
            _ => [Self::of(first), Self::of(second)],
        }
    }

    /// Whether this is the signature of these bytes.
    pub(crate) fn is(&self, bytes: &[u8; 64]) -> bool {
        self.bytes == *bytes
    }

    /// For the curve; none is refused.
    pub(crate) fn get(&self) -> Option<&curve::Inverted> {
        self.inverted.as_ref()
    }
}
