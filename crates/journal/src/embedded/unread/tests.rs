//! The count of what is unread, whoever tells first.

use super::*;

const KIB: usize = 1024;

#[test]
fn a_record_counts_from_the_moment_it_is_sent_until_the_books_have_it() {
    let unread = Unread::new(2);
    unread.sent(0, 100);
    assert_eq!(unread.count(0), UnreadCount { records: 1, bytes: 186, evicted: 0 });
    unread.landed(0, 100, Some(0));
    assert_eq!(unread.count(0), UnreadCount { records: 1, bytes: 186, evicted: 0 });
    unread.seen(0, 0, 100);
    assert_eq!(unread.count(0).records, 1, "seen again, counted once");
    unread.committed(0, 1);
    assert_eq!(unread.count(0), UnreadCount::default());
    assert_eq!(unread.count(1), UnreadCount::default());
    assert_eq!(unread.end(0), 1);
}

#[test]
fn a_record_that_failed_counts_no_more() {
    let unread = Unread::new(1);
    unread.sent(0, 100);
    unread.landed(0, 100, None);
    assert_eq!(unread.count(0), UnreadCount::default());
}

#[test]
fn a_record_that_was_never_acknowledged_counts_once_it_is_read() {
    let unread = Unread::new(1);
    unread.seen(0, 5, 100);
    assert_eq!(unread.count(0).records, 1);
    assert_eq!(unread.end(0), 6);
}

#[test]
fn an_acknowledgement_after_the_commit_counts_nothing() {
    let unread = Unread::new(1);
    unread.sent(0, 100);
    unread.seen(0, 0, 100);
    unread.committed(0, 1);
    unread.landed(0, 100, Some(0));
    assert_eq!(unread.count(0), UnreadCount::default());
}

#[test]
fn a_reader_that_reads_again_from_an_old_place_changes_nothing() {
    let unread = Unread::new(1);
    for offset in 0..4 {
        unread.seen(0, offset, 100);
    }
    unread.committed(0, 3);
    unread.seen(0, 0, 100);
    unread.committed(0, 1);
    assert_eq!(unread.count(0).records, 1);
}

#[test]
fn room_ends_at_half_the_bytes() {
    let unread = Unread::new(1);
    let mut next = 0;
    while unread.has_room(0) {
        unread.sent(0, 64 * KIB);
        unread.landed(0, 64 * KIB, Some(next));
        next += 1;
    }
    assert_eq!(next, 40, "40 records of 64 KiB are 2.5 MiB");
    unread.committed(0, 1);
    assert!(unread.has_room(0));
}

#[test]
fn room_ends_at_half_the_records() {
    let unread = Unread::new(1);
    for offset in 0..49_999 {
        unread.seen(0, offset, 0);
    }
    // Their frames alone are more bytes than there is room for; only the records matter here.
    let mut partition = unread.of(0).unwrap();
    partition.landed_bytes = 49_999;
    drop(partition);
    assert!(unread.has_room(0));
    unread.sent(0, 0);
    assert!(!unread.has_room(0));
}

#[test]
fn what_goes_beyond_the_space_counts_as_evicted() {
    let unread = Unread::new(1);
    for offset in 0..80 {
        unread.seen(0, offset, 64 * KIB);
    }
    let count = unread.count(0);
    assert_eq!((count.records, count.evicted), (79, 1), "80 with frames are more than 5 MiB");
}

#[test]
fn a_log_that_begins_later_than_the_books_have_is_a_loss() {
    let unread = Unread::new(1);
    for offset in 0..4 {
        unread.seen(0, offset, 100);
    }
    unread.committed(0, 2);
    unread.starts_at(0, 2);
    assert_eq!(unread.count(0).evicted, 0, "what the books have may go");
    unread.starts_at(0, 3);
    assert_eq!(unread.count(0).evicted, 1);
}

#[test]
fn a_partition_that_is_not_there_changes_nothing() {
    let unread = Unread::new(1);
    unread.sent(1, 100);
    unread.landed(1, 100, Some(0));
    unread.seen(1, 0, 100);
    unread.committed(1, 1);
    assert_eq!(unread.count(1), UnreadCount::default());
}
