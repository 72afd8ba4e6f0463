//! Points of P-256, y^2 = x^3 - 3x + b (SP 800-186 section 3.2.1.3), and the formulas that add them.
//!
//! The curve has prime order n: there is no point of order 2, and a multiple c·P of any point P other than infinity is
//! infinity exactly when n divides c. EFD is the Explicit-Formulas Database (D. J. Bernstein, T. Lange,
//! hyperelliptic.org/EFD), section "short Weierstrass curves".

use zeroize::DefaultIsZeroes;

use super::field::{Fe, P};
use super::word::{Word, from_u64, mask, to_u64};

/// The coefficient b.
const B: Fe = Fe::from_u64(&to_u64(&P.mul(
    &from_u64(&[0x3bce_3c3e_27d2_604b, 0x651d_06b0_cc53_b0f6, 0xb3eb_bd55_7698_86bc, 0x5ac6_35d8_aa3a_93e7]),
    &P.r2,
)));

/// Affine coordinates; not infinity.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Affine {
    pub(super) x: Fe,
    pub(super) y: Fe,
}

impl DefaultIsZeroes for Affine {}

impl Affine {
    /// Whether it satisfies the curve's equation. Infinity has no affine coordinates, and (0, 0) is not on the curve.
    pub(super) fn is_on_curve(&self) -> bool {
        let x3 = self.x.square().sub(&Fe::ONE.triple()).mul(&self.x);
        self.y.square() == x3.add(&B)
    }

    /// -P where `mask` is all ones, P where it is zero.
    #[inline(always)]
    pub(super) fn negate_masked(&self, mask: Word) -> Self {
        Self { x: self.x, y: self.y.negate_masked(mask) }
    }

    /// -P if `condition`, else P, in variable time.
    #[inline(always)]
    pub(super) fn negate_if(&self, condition: bool) -> Self {
        Self { x: self.x, y: self.y.negate_if(condition) }
    }

    /// What tables hold: x and y in Montgomery form, 64 bytes.
    #[inline(always)]
    pub(super) fn to_entry(self) -> Entry {
        let ([x0, x1, x2, x3], [y0, y1, y2, y3]) = (self.x.to_u64(), self.y.to_u64());
        [x0, x1, x2, x3, y0, y1, y2, y3]
    }

    /// From what [`Affine::to_entry`] gave; from anything else, coordinates of no meaning.
    #[inline(always)]
    pub(super) fn from_entry(&[x0, x1, x2, x3, y0, y1, y2, y3]: &Entry) -> Self {
        Self { x: Fe::from_u64(&[x0, x1, x2, x3]), y: Fe::from_u64(&[y0, y1, y2, y3]) }
    }
}

/// A point in a table.
pub(super) type Entry = [u64; 8];

/// XYZZ coordinates (EFD "xyzz"): x = X/ZZ, y = Y/ZZZ, ZZ^3 = ZZZ^2. Infinity is all zero.
#[derive(Clone, Copy, Default)]
pub(super) struct Xyzz {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) zz: Fe,
    pub(super) zzz: Fe,
}

impl DefaultIsZeroes for Xyzz {}

impl Xyzz {
    pub(super) const INFINITY: Self = Self { x: Fe::ZERO, y: Fe::ZERO, zz: Fe::ZERO, zzz: Fe::ZERO };

    /// The same point.
    #[inline(always)]
    pub(super) fn from_affine(point: &Affine) -> Self {
        Self { x: point.x, y: point.y, zz: Fe::ONE, zzz: Fe::ONE }
    }

    /// The same point, with Z = z, which is not zero. 3M + 1S.
    pub(super) fn from_affine_scaled(point: &Affine, z: &Fe) -> Self {
        let zz = z.square();
        let zzz = zz.mul(z);
        Self { x: point.x.mul(&zz), y: point.y.mul(&zzz), zz, zzz }
    }

    /// Adds q in variable time, for every self and q. 8M + 2S and one reduction less: EFD madd-2008-s.
    ///
    /// With P = x2·ZZ1 - X1, the formula fails exactly where P is zero: there self is q, -q or infinity (whose X and
    /// ZZ are zero). Those go another way, so no case is missed.
    #[inline(always)]
    pub(super) fn add_affine(&mut self, q: &Affine) {
        let p = q.x.mul_inline(&self.zz).sub(&self.x);
        let r = q.y.mul_inline(&self.zzz).sub(&self.y);
        if p.is_zero() {
            return self.add_affine_same_x(q, &r);
        }
        self.add_affine_with(&p, &r);
    }

    /// Adds q where neither is infinity and they are neither equal nor opposite. Constant time.
    #[inline(always)]
    pub(super) fn add_affine_distinct(&mut self, q: &Affine) {
        let p = q.x.mul_inline(&self.zz).sub(&self.x);
        let r = q.y.mul_inline(&self.zzz).sub(&self.y);
        self.add_affine_with(&p, &r);
    }

    /// The rest of madd-2008-s: `p` and `r` are the differences of x and of y, scaled.
    #[inline(always)]
    fn add_affine_with(&mut self, p: &Fe, r: &Fe) {
        let pp = p.square_inline();
        let ppp = pp.mul_inline(p);
        let q = self.x.mul_inline(&pp);
        let x = r.square_inline().sub(&ppp).sub(&q).sub(&q);
        self.y = r.mul_sub_inline(&q.sub(&x), &self.y, &ppp);
        self.x = x;
        self.zz = self.zz.mul_inline(&pp);
        self.zzz = self.zzz.mul_inline(&ppp);
    }

    /// Adds q where X/ZZ of both agree, or self is infinity.
    #[cold]
    #[inline(never)]
    fn add_affine_same_x(&mut self, q: &Affine, r: &Fe) {
        *self = if self.zz.is_zero() {
            Self::from_affine(q)
        } else if r.is_zero() {
            Self::double_affine(q)
        } else {
            Self::INFINITY
        };
    }

    /// Doubles. 7M + 2S with a = -3, one reduction less: EFD dbl-2008-s-1, 3·X^2 + a·ZZ^2 = 3·(X - ZZ)·(X + ZZ).
    ///
    /// Holds for infinity (ZZ stays zero, and X and Y too); Y is never zero otherwise, as no point has order 2.
    #[inline(always)]
    pub(super) fn double(&mut self) {
        let u = self.y.double();
        let v = u.square_inline();
        let w = u.mul_inline(&v);
        let s = self.x.mul_inline(&v);
        let m = self.x.sub(&self.zz).mul_inline(&self.x.add(&self.zz)).triple();
        self.x = m.square_inline().sub(&s).sub(&s);
        self.y = m.mul_sub_inline(&s.sub(&self.x), &w, &self.y);
        self.zz = v.mul_inline(&self.zz);
        self.zzz = w.mul_inline(&self.zzz);
    }

    /// 2·q: EFD mdbl-2008-s-1. Constant time.
    pub(super) fn double_affine(q: &Affine) -> Self {
        let u = q.y.double();
        let v = u.square();
        let w = u.mul(&v);
        let s = q.x.mul(&v);
        let m = q.x.square().sub(&Fe::ONE).triple();
        let x = m.square().sub(&s).sub(&s);
        let y = m.mul(&s.sub(&x)).sub(&w.mul(&q.y));
        Self { x, y, zz: v, zzz: w }
    }

    /// Adds q, for every self and q, in constant time: the sum and the double are both computed.
    pub(super) fn add_affine_complete(&mut self, q: &Affine) {
        let p = q.x.mul(&self.zz).sub(&self.x);
        let r = q.y.mul(&self.zzz).sub(&self.y);
        let infinity = mask(self.zz.zero_bit());
        let same_x = mask(p.zero_bit());
        let same = mask(p.zero_bit() & r.zero_bit());
        self.add_affine_with(&p, &r);
        // Opposite points: infinity. Its X and Y are zero here, which the formula does not give.
        *self = Self::select(same_x, &Self::INFINITY, self);
        *self = Self::select(same, &Self::double_affine(q), self);
        *self = Self::select(infinity, &Self::from_affine(q), self);
    }

    /// `a` where `mask` is all ones, `b` where it is zero.
    fn select(mask: Word, a: &Self, b: &Self) -> Self {
        Self {
            x: Fe::select(mask, &a.x, &b.x),
            y: Fe::select(mask, &a.y, &b.y),
            zz: Fe::select(mask, &a.zz, &b.zz),
            zzz: Fe::select(mask, &a.zzz, &b.zzz),
        }
    }
}

/// Jacobian coordinates: x = X/Z^2, y = Y/Z^3. Cheapest to double; infinity has Z = 0.
#[derive(Clone, Copy)]
pub(super) struct Jacobian {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Fe,
}

impl Jacobian {
    /// All zero: the X of infinity must be zero for [`Jacobian::add_affine`].
    pub(super) const INFINITY: Self = Self { x: Fe::ZERO, y: Fe::ZERO, z: Fe::ZERO };

    /// The same point.
    pub(super) fn from_affine(point: &Affine) -> Self {
        Self { x: point.x, y: point.y, z: Fe::ONE }
    }

    /// Doubles. 4M + 4S with a = -3, one reduction less: EFD dbl-2001-b, with Z3 = 2·Y·Z.
    ///
    /// Holds for infinity: Z stays zero.
    #[inline(always)]
    pub(super) fn double(&mut self) {
        let delta = self.z.square_inline();
        let gamma = self.y.square_inline();
        let alpha = self.x.sub(&delta).mul_inline(&self.x.add(&delta)).triple();
        let beta4 = self.x.mul_inline(&gamma).double().double();
        let gamma2 = gamma.double();
        self.z = self.y.mul_inline(&self.z).double();
        self.x = alpha.square_inline().sub(&beta4).sub(&beta4);
        self.y = alpha.mul_sub_inline(&beta4.sub(&self.x), &gamma2, &gamma2.double());
    }

    /// Adds q in variable time, for every self and q. 8M + 3S and one reduction less: EFD madd-2004-hmv.
    ///
    /// As in [`Xyzz::add_affine`], the formula fails exactly where H = x2·Z1^2 - X1 is zero.
    #[inline(always)]
    pub(super) fn add_affine(&mut self, q: &Affine) {
        let zz = self.z.square_inline();
        let h = q.x.mul_inline(&zz).sub(&self.x);
        let r = q.y.mul_inline(&zz.mul_inline(&self.z)).sub(&self.y);
        if h.is_zero() {
            return self.add_affine_same_x(q, &r);
        }
        let hh = h.square_inline();
        let hhh = hh.mul_inline(&h);
        let v = self.x.mul_inline(&hh);
        let x = r.square_inline().sub(&hhh).sub(&v).sub(&v);
        self.y = r.mul_sub_inline(&v.sub(&x), &self.y, &hhh);
        self.x = x;
        self.z = self.z.mul_inline(&h);
    }

    /// Adds q where x = X/Z^2 of both agree, or self is infinity.
    #[cold]
    #[inline(never)]
    fn add_affine_same_x(&mut self, q: &Affine, r: &Fe) {
        if self.z.is_zero() {
            *self = Self::from_affine(q);
        } else if r.is_zero() {
            self.double();
        } else {
            *self = Self::INFINITY;
        }
    }

    /// The same point. 1S + 1M.
    pub(super) fn to_xyzz(self) -> Xyzz {
        let zz = self.z.square();
        Xyzz { x: self.x, y: self.y, zz, zzz: zz.mul(&self.z) }
    }
}
