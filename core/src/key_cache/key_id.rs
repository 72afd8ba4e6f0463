//! Which key in the cache a verdict means: a number that a host may keep and hand back.

/// One key in the cache: a hint to [`super::KeyCache::prepare`]. It goes stale without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(u64);

impl KeyId {
    pub(super) fn agent(slot: u32, index: usize, point: &[u64; 8]) -> Self {
        Self::new(0, slot, index, point)
    }

    pub(super) fn issuer(slot: u32, index: usize, point: &[u64; 8]) -> Self {
        Self::new(1, slot, index, point)
    }

    /// Region (1 bit), index (7), slot (32), and 24 bits of the point, by which a stale id is known.
    fn new(region: u64, slot: u32, index: usize, point: &[u64; 8]) -> Self {
        let index = u64::try_from(index).unwrap_or_default() & 0x7F;
        Self(region << 63 | index << 56 | u64::from(slot) << 24 | point[0] & 0xFF_FFFF)
    }

    /// The id as a number, for the C ABI; never zero for a key that exists.
    #[must_use]
    pub const fn to_number(self) -> u64 {
        self.0
    }

    /// The id of a number. Any number is safe.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(super) fn is_issuer(self) -> bool {
        self.0 >> 63 == 1
    }

    pub(super) fn index(self) -> usize {
        usize::try_from(self.0 >> 56 & 0x7F).unwrap_or_default()
    }

    pub(super) fn slot(self) -> usize {
        usize::try_from(self.0 >> 24 & 0xFFFF_FFFF).unwrap_or_default()
    }

    pub(super) fn matches(self, point: &[u64; 8]) -> bool {
        self.0 & 0xFF_FFFF == point[0] & 0xFF_FFFF
    }
}
