//! Texts of errors that are put together.

use super::whole_ms;
use std::fmt;
use std::time::Duration;

pub(super) fn write_memory_limit(
    f: &mut fmt::Formatter<'_>,
    wanted: usize,
    of: Option<(u64, u64)>,
) -> fmt::Result {
    let Some((used, limit)) = of else {
        return write!(f, "memory limit reached: {wanted} more bytes are wanted");
    };
    write!(
        f,
        "memory limit reached (max {limit} bytes): {used} bytes are in use, {wanted} more are wanted"
    )
}

pub(super) fn write_backoff_too_long(
    f: &mut fmt::Formatter<'_>,
    index: usize,
    got: Duration,
    max: Duration,
) -> fmt::Result {
    let (got, max) = (whole_ms(got), whole_ms(max));
    write!(
        f,
        "Invalid backoffSchedule, interval at index {index} is invalid (max {max} ms): got {got} ms"
    )
}
