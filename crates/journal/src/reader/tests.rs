//! How a reader gathers a batch, without a broker.

use super::*;

const KIB: usize = 1024;

fn raw(offset: u64, len: usize) -> Raw {
    Raw { offset, bytes: vec![0; len].into(), appended_at: None }
}

/// What is gathered behind record 0 while `there` lasts, and how many of `there` were left.
fn gathered(
    max: usize,
    there: Vec<Result<Raw, ReadError>>,
) -> (Vec<u64>, Option<ReadError>, usize) {
    let mut there = there.into_iter();
    let (batch, failed) = gather(raw(0, KIB), max, || there.next());
    (batch.iter().map(|raw| raw.offset).collect(), failed, there.len())
}

#[test]
fn a_batch_takes_what_is_there_up_to_its_bounds() {
    let small = || (1..=5).map(|offset| Ok(raw(offset, KIB))).collect();
    assert_eq!(gathered(10, small()), (vec![0, 1, 2, 3, 4, 5], None, 0));
    assert_eq!(gathered(3, small()), (vec![0, 1, 2], None, 3));
    assert_eq!(gathered(1, small()), (vec![0], None, 5));
    let large = (1..=9).map(|offset| Ok(raw(offset, 1024 * KIB))).collect();
    assert_eq!(gathered(10, large), (vec![0, 1, 2, 3, 4], None, 5), "4 MiB are enough");
}

#[test]
fn an_error_behind_records_is_kept_and_nothing_is_taken_after_it() {
    let error = ReadError::OutOfRange { partition: 0, offset: 2 };
    let there = vec![Ok(raw(1, KIB)), Err(error.clone()), Ok(raw(2, KIB))];
    assert_eq!(gathered(10, there), (vec![0, 1], Some(error), 1));
}

#[test]
fn the_digest_is_sha_256() {
    let raw = Raw { offset: 0, bytes: Bytes::from_static(b"abc"), appended_at: None };
    let expected = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea];
    assert_eq!(raw.digest()[..8], expected, "FIPS 180-2, appendix B.1");
}
