//! Holes, as the bytes that they mean.
//!
//! Invariant: whoever stops the work waits for no more than one piece, however long the hole is.

use orlop_layer::Error as LayerError;
use orlop_spec::{Cancel, Fault};

/// Feeds as many zeros as a hole is long.
pub(super) fn feed_zeros<E: From<LayerError>>(
    length: u64,
    cancel: &Cancel,
    mut feed: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    static ZEROS: [u8; 64 << 10] = [0; 64 << 10];
    let mut left = length;
    while left > 0 {
        cancel.check().map_err(|stopped| LayerError::Read(Fault::from(stopped).into()))?;
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        feed(&ZEROS[..count])?;
        left -= count as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use orlop_spec::Kind;

    #[test]
    fn a_hole_is_as_long_as_it_is() {
        for length in [0, 1, 64 << 10, (64 << 10) + 1] {
            let mut fed = 0;
            let feed = |zeros: &[u8]| {
                fed += zeros.len() as u64;
                if zeros.iter().all(|byte| *byte == 0) {
                    Ok(())
                } else {
                    Err(LayerError::Tar { offset: 0, what: "no zero" })
                }
            };
            feed_zeros(length, &Cancel::new(), feed).expect("nobody stops it");
            assert_eq!(fed, length);
        }
    }

    #[test]
    fn t4_a_hole_without_end_can_be_stopped() {
        let (cancel, mut pieces) = (Cancel::new(), 0);
        let stopped = feed_zeros::<LayerError>(u64::MAX, &cancel, |_| {
            pieces += 1;
            cancel.set();
            Ok(())
        });
        let error = Fault::from(stopped.expect_err("it was stopped"));
        assert_eq!((pieces, error.kind()), (1, Kind::Interrupted));
    }
}
