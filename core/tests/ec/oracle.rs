//! What crate p256 says: its scalars, its point additions, its normalisation. A multiple of G is the sum of one point a
//! byte, from a table that p256 made; every so often the sum is compared with p256's own multiplication and verdict.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::elliptic_curve::Group;
use p256::elliptic_curve::PrimeField;
use p256::elliptic_curve::ff::BatchInverter;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::{AffineCoordinates, BatchNormalize};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

use crate::cases::Case;

/// Cases that share p256's inversions.
pub(crate) const TOGETHER: usize = 64;

/// The points b·256^i·G.
pub(crate) struct Oracle {
    table: Vec<[AffinePoint; 255]>,
}

impl Oracle {
    pub(crate) fn new() -> Self {
        let mut first = ProjectivePoint::GENERATOR;
        let table = (0..32).map(|_| {
            let mut multiples = [first; 255];
            for i in 1..255 {
                multiples[i] = multiples[i - 1] + first;
            }
            first = multiples[254] + first;
            ProjectivePoint::batch_normalize(&multiples)
        });
        Self { table: table.collect() }
    }

    /// k·G.
    pub(crate) fn multiple(&self, k: &Scalar) -> ProjectivePoint {
        let bytes = k.to_repr();
        let terms = bytes.iter().rev().zip(&self.table).filter(|(byte, _)| **byte > 0);
        terms.fold(ProjectivePoint::IDENTITY, |sum, (byte, multiples)| sum + multiples[usize::from(*byte) - 1])
    }

    /// x(k·G) mod n for each k; none for infinity.
    pub(crate) fn x_mod_n(&self, k: &[Scalar; TOGETHER]) -> [Option<Scalar>; TOGETHER] {
        let points = k.each_ref().map(|k| self.multiple(k));
        let affine = ProjectivePoint::batch_normalize(&points);
        std::array::from_fn(|i| (!bool::from(points[i].is_identity())).then(|| x_mod_n(&affine[i])))
    }

    /// The verdicts by FIPS 186-5 section 6.4.2 for the key d·G: u1·G + u2·Q is (u1 + u2·d)·G.
    pub(crate) fn verdicts(&self, cases: &[Case; TOGETHER], d: &Scalar) -> [bool; TOGETHER] {
        let w = inverses(&cases.each_ref().map(|case| case.s));
        let k = std::array::from_fn(|i| {
            let e = <Scalar as Reduce<FieldBytes>>::reduce(&cases[i].digest.into());
            e * w[i] + cases[i].r * w[i] * d
        });
        let x = self.x_mod_n(&k);
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
