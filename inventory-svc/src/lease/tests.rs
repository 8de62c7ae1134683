//! Stories of one shard's lease on a clock that the test moves.

use chassis::ClockShift;

use super::*;

const LEASE: Duration = Duration::from_secs(2);

fn shard(number: u32) -> ShardNo {
    ShardNo::new(number).unwrap()
}

fn row(phase: Phase, epoch: i64) -> LeaseRow {
    let epoch = Epoch::from_wire(epoch).unwrap();
    let item = ItemId::from_bytes([2; 16]);
    LeaseRow {
        shard: shard(1),
        partition: 1,
        item,
        epoch,
        phase,
        paused: false,
        lease: LEASE,
        unit_price: 990,
    }
}

struct Room {
    clock: Clock,
    shift: ClockShift,
    view: LeaseView,
}

impl Room {
    fn new() -> Self {
        let (clock, shift) = Clock::adjustable();
        Self { view: LeaseView::new(clock.clone()), clock, shift }
    }

    fn read(&self, rows: Vec<LeaseRow>) {
        self.view.show(self.clock.now(), LeaseRows { highest: 3, rows });
    }
}

#[test]
fn nothing_is_leased_before_the_catalog_was_read() {
    assert_eq!(Room::new().view.check(shard(1)), Err(NotLeased::Lapsed));
}

#[test]
fn each_phase_has_its_answer() {
    let room = Room::new();
    let check = |phase, epoch, wanted| {
        room.read(vec![row(phase, epoch)]);
        assert_eq!(room.view.check(shard(1)).map(|leased| leased.epoch.get()), wanted, "{phase:?}");
    };
    check(Phase::New, 0, Err(NotLeased::Loading));
    check(Phase::Loading, 7, Err(NotLeased::Loading));
    check(Phase::Open, 7, Ok(7));
    check(Phase::Open, 0, Err(NotLeased::Loading));
    check(Phase::Retired, 7, Err(NotLeased::Retired));
}

#[test]
fn a_number_that_is_not_listed_is_retired_or_unknown() {
    let room = Room::new();
    room.read(vec![row(Phase::Open, 7)]);
    assert_eq!(room.view.check(shard(3)), Err(NotLeased::Retired));
    assert_eq!(room.view.check(shard(4)), Err(NotLeased::UnknownShard));
}

#[test]
fn what_was_heard_long_ago_is_no_answer_but_that_a_shard_is_retired() {
    let room = Room::new();
    room.read(vec![row(Phase::Loading, 7)]);
    assert!(room.view.is_fresh());
    room.shift.jump(TOLD_FOR);
    assert!(!room.view.is_fresh());
    assert_eq!(room.view.check(shard(1)), Err(NotLeased::Lapsed));
    assert_eq!(room.view.check(shard(4)), Err(NotLeased::Lapsed));
    assert_eq!(room.view.check(shard(3)), Err(NotLeased::Retired));
}

#[tokio::test]
async fn a_lease_is_half_of_l_from_before_the_question() {
    let room = Room::new();
    let slow = async {
        room.shift.jump(Duration::from_millis(600));
        Ok::<_, ()>(LeaseRows { highest: 1, rows: vec![row(Phase::Open, 7)] })
    };
    room.view.refresh(slow).await.unwrap();
    let leased = room.view.check(shard(1)).unwrap();
    assert!(room.view.still_valid(&leased));
    room.shift.jump(Duration::from_millis(400));
    assert_eq!(room.view.check(shard(1)), Err(NotLeased::Lapsed));
    assert!(!room.view.still_valid(&leased));
}

#[test]
fn a_lease_is_renewed_by_a_new_look_but_what_was_begun_under_the_old_one_is_not() {
    let room = Room::new();
    room.read(vec![row(Phase::Open, 7)]);
    let leased = room.view.check(shard(1)).unwrap();
    room.shift.jump(Duration::from_millis(900));
    room.read(vec![row(Phase::Open, 7)]);
    assert!(room.view.still_valid(&leased));
    room.shift.jump(Duration::from_millis(100));
    assert!(!room.view.still_valid(&leased));
    let renewed = room.view.check(shard(1)).unwrap();
    assert_eq!(renewed.epoch, leased.epoch);
    assert!(room.view.still_valid(&renewed));
}

#[test]
fn a_lapsed_lease_does_not_revive_with_another_epoch() {
    let room = Room::new();
    room.read(vec![row(Phase::Open, 7)]);
    let leased = room.view.check(shard(1)).unwrap();
    room.shift.jump(LEASE);
    room.read(vec![row(Phase::Open, 8)]);
    assert!(!room.view.still_valid(&leased));
    assert_eq!(room.view.check(shard(1)).unwrap().epoch.get(), 8);
}

#[test]
fn an_older_answer_does_not_replace_a_newer_one() {
    let room = Room::new();
    let earlier = room.clock.now();
    room.shift.jump(Duration::from_millis(10));
    room.read(vec![row(Phase::Loading, 8)]);
    let rows = vec![row(Phase::Open, 7)];
    room.view.show(earlier, LeaseRows { highest: 1, rows });
    assert_eq!(room.view.check(shard(1)), Err(NotLeased::Loading));
}
