//! BoringSSL's vectors for the insides of a P-256: field, order, points (`p256-nistz_tests.txt`).
//!
//! All numbers are big-endian hex in Montgomery form, a·2^256 mod p (`OrdMulMont`: mod n). Points are Jacobian with Z = 0
//! for infinity; the result is affine, zeros for infinity.

use imagxp::ec::testing::{Number, field_mul, field_negate, field_square, order_mul, point_add, point_double};

use super::fields::Block;
use crate::cases::{Outcome, bytes, equal};

/// One block: `Test = name`, and its operands.
pub(crate) fn case(block: &Block<'_>) -> Outcome {
    let number = |name: &str| bytes::unhex_32(block.get(name)).ok_or(format!("no number {name}"));
    match block.get("Test") {
        "Negate" => equal(field_negate(&number("A")?), Some(number("B")?)),
        "MulMont" => {
            let (a, b) = (number("A")?, number("B")?);
            equal(field_mul(&a, &b), Some(number("Result")?))?;
            equal(field_mul(&b, &a), Some(number("Result")?))?;
            equal(field_square(&a), field_mul(&a, &a))
        }
        "OrdMulMont" => equal(order_mul(&number("A")?, &number("B")?), Some(number("Result")?)),
        "PointAdd" => {
            let point = |name: &str| -> Result<[Number; 3], String> {
                Ok([number(&format!("{name}.X"))?, number(&format!("{name}.Y"))?, number(&format!("{name}.Z"))?])
            };
            let ([ax, ay, az], [bx, by, bz]) = (point("A")?, point("B")?);
            let sum = Some([number("Result.X")?, number("Result.Y")?]);
            equal(point_add([&ax, &ay, &az], [&bx, &by, &bz]), sum)?;
            equal(point_add([&bx, &by, &bz], [&ax, &ay, &az]), sum)?;
            equal(point_double([&ax, &ay, &az]), point_add([&ax, &ay, &az], [&ax, &ay, &az]))
        }
        other => Err(format!("unknown test {other:?}")),
    }
}
