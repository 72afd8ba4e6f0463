//! What crate p256 says: its scalars, its point additions, its normalisation. A multiple of G is the sum of one point a
//! digit, from a table that p256 made; every so often the sum is compared with p256's own multiplication and verdict.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::elliptic_curve::Group;
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::ff::BatchInverter;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::{AffineCoordinates, BatchNormalize};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

use crate::cases::Case;

/// Cases that share p256's inversions.
pub(crate) const TOGETHER: usize = 128;
/// Points that are normalised together.
const PIECE: usize = 256;

/// x(k·G) mod n; none for infinity.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    pub(crate) k: Scalar,
    pub(crate) x: Option<Scalar>,
}

/// The points b·2^(bits·i)·G for 0 < b < 2^bits.
pub(crate) struct Oracle {
    /// Bits of a digit: 8, or 16 for long runs (72 MB).
    bits: usize,
    table: Vec<Vec<AffinePoint>>,
}

impl Oracle {
    pub(crate) fn new(bits: usize) -> Self {
        let mut first = ProjectivePoint::GENERATOR;
        let table = (0..256 / bits).map(|_| {
            let (mut sum, mut row) = (ProjectivePoint::IDENTITY, Vec::with_capacity(1 << bits));
            for _ in 0..(1 << bits) / PIECE {
                let multiples: [ProjectivePoint; PIECE] = std::array::from_fn(|_| {
                    sum += first;
                    sum
                });
                row.extend(ProjectivePoint::batch_normalize(&multiples));
            }
            // The last one is 2^bits times the first: where the next row begins.
            row.pop();
            first = sum;
            row
        });
        Self { bits, table: table.collect() }
    }

    /// k·G.
    pub(crate) fn multiple(&self, k: &Scalar) -> ProjectivePoint {
        let bytes = k.to_repr();
        let digits =
            bytes.rchunks(self.bits / 8).map(|digit| digit.iter().fold(0, |d, byte| d << 8 | usize::from(*byte)));
        let terms = digits.zip(&self.table).filter(|(digit, _)| *digit > 0);
        terms.fold(ProjectivePoint::IDENTITY, |sum, (digit, multiples)| sum + multiples[digit - 1])
    }

    /// x(k·G) mod n for each k; none for infinity.
    pub(crate) fn x_mod_n(&self, k: &[Scalar; TOGETHER]) -> [Option<Scalar>; TOGETHER] {
        let points = k.each_ref().map(|k| self.multiple(k));
        let affine = ProjectivePoint::batch_normalize(&points);
        std::array::from_fn(|i| (!bool::from(points[i].is_identity())).then(|| x_mod_n(&affine[i])))
    }

    /// As [`Self::x_mod_n`], but what is `known` of the same k is not computed again.
    fn x_mod_n_unless(&self, k: &[Scalar; TOGETHER], known: &[Known; TOGETHER]) -> [Option<Scalar>; TOGETHER] {
        let is_known: [bool; TOGETHER] = std::array::from_fn(|i| known[i].k == k[i]);
        let x = self.x_mod_n(&std::array::from_fn(|i| if is_known[i] { Scalar::ZERO } else { k[i] }));
        std::array::from_fn(|i| if is_known[i] { known[i].x } else { x[i] })
    }

    /// The verdicts by FIPS 186-5 section 6.4.2 for the key d·G: u1·G + u2·Q is (u1 + u2·d)·G.
    pub(crate) fn verdicts(&self, cases: &[Case; TOGETHER], d: &Scalar, known: &[Known; TOGETHER]) -> [bool; TOGETHER] {
        let w = inverses(&cases.each_ref().map(|case| case.s));
        let k = std::array::from_fn(|i| {
            let e = <Scalar as Reduce<FieldBytes>>::reduce(&cases[i].digest.into());
            e * w[i] + cases[i].r * w[i] * d
        });
        let x = self.x_mod_n_unless(&k, known);
        let verdicts: [bool; TOGETHER] = std::array::from_fn(|i| x[i] == Some(cases[i].r));
        self.check_itself(&cases[0], d, &k[0], verdicts[0]);
        verdicts
    }

    /// The short cut through the table is p256's own multiplication, and the verdict that of its ECDSA.
    fn check_itself(&self, case: &Case, d: &Scalar, k: &Scalar, verdict: bool) {
        assert_eq!(self.multiple(k), ProjectivePoint::GENERATOR * k);
        let key = p256::ecdsa::VerifyingKey::from_affine((ProjectivePoint::GENERATOR * d).to_affine()).unwrap();
        let signature = p256::ecdsa::Signature::from_scalars(case.r, case.s).unwrap();
        assert_eq!(key.verify_prehash(&case.digest, &signature).is_ok(), verdict);
    }
}

/// 1/a for each a, and 0 for 0.
pub(crate) fn inverses(a: &[Scalar; TOGETHER]) -> [Scalar; TOGETHER] {
    let (mut inverses, mut scratch) = (*a, [Scalar::ZERO; TOGETHER]);
    BatchInverter::invert_with_external_scratch(&mut inverses, &mut scratch);
    inverses
}

/// x modulo n of a point that is not infinity.
pub(crate) fn x_mod_n(point: &AffinePoint) -> Scalar {
    <Scalar as Reduce<FieldBytes>>::reduce(&point.x())
}
