//! The group spreads the partitions over those who are there, and goes on without those who aren't.

use std::collections::BTreeSet;

use chassis::{Clock, Kind, Stopper, TaskOwner};
use journal::Assignment;
use tokio::sync::watch;

use super::{elsewhere::Elsewhere, *};

/// Whom the group has thrown out that much later is a failure: the session's time-out, a heartbeat
/// of those who are left, and some room for a busy machine.
const THROWN_OUT_WITHIN: Duration = Duration::from_secs(6 + 4);

/// A member that takes part in this process. Dropped, it leaves.
struct Here {
    assignment: watch::Receiver<Assignment>,
    _task: TaskOwner,
}

fn take_part(journal: &Journal, group: &str) -> Here {
    let membership = journal.membership(group).unwrap();
    let assignment = membership.assignment();
    let task = TaskOwner::new("member", Stopper::new());
    task.tasks().spawn(Kind::Essential, "member", async {
        membership.run().await;
    });
    Here { assignment, _task: task }
}

impl Here {
    async fn until(&self, what: &str, is_so: impl Fn(&BTreeSet<u32>) -> bool) -> BTreeSet<u32> {
        let is_so = |assignment: &Assignment| assignment.as_ref().is_some_and(&is_so);
        let mut assignment = self.assignment.clone();
        match tokio::time::timeout(PATIENCE, assignment.wait_for(is_so)).await {
            Ok(met) => met.unwrap().clone().unwrap_or_default(),
            Err(_) => panic!("never: {what}; it has {:?}", self.now()),
        }
    }

    async fn until_it_has(&self, partitions: &[u32]) {
        let wanted = BTreeSet::from_iter(partitions.iter().copied());
        self.until(&format!("it has {partitions:?}"), |has| *has == wanted).await;
    }

    fn now(&self) -> Assignment {
        self.assignment.borrow().clone()
    }
}

/// Played by another process: takes part until it is killed.
#[tokio::test]
async fn a_member_elsewhere() {
    let Some(place) = elsewhere::place() else { return };
    let journal = Journal::connect(&place.settings).unwrap();
    let member = take_part(&journal, &place.settings.topic);
    member.until("it gets a share", |has| has.len() == 2).await;
    elsewhere::say("has a share");
    // Ends by itself if whoever started it can't end it.
    let _ = tokio::time::timeout(4 * PATIENCE, std::future::pending::<()>()).await;
}

#[tokio::test]
async fn who_is_alone_has_all_partitions() {
    let place = Place::new();
    let journal = place.journal();
    let member = take_part(&journal, &place.settings.topic);
    assert_eq!(member.now(), None, "nothing is known before the group answers");
    member.until_it_has(&[0, 1, 2, 3]).await;
}

#[tokio::test]
async fn members_share_and_who_leaves_is_followed_at_once() {
    let place = Place::new();
    let journal = place.journal();
    let first = take_part(&journal, &place.settings.topic);
    first.until_it_has(&[0, 1, 2, 3]).await;
    let second = take_part(&journal, &place.settings.topic);
    let of_second = second.until("it gets its share", |has| has.len() == 2).await;
    let of_first = first.until("it gives up a share", |has| has.len() == 2).await;
    assert!(of_first.is_disjoint(&of_second), "{of_first:?} and {of_second:?}");

    let clock = Clock::system();
    let left_at = clock.now();
    drop(first);
    second.until_it_has(&[0, 1, 2, 3]).await;
    let took = clock.now() - left_at;
    assert!(took < Duration::from_secs(5), "it left, and was not waited for: {took:?}");
}

#[tokio::test]
async fn more_members_than_partitions_leave_some_with_nothing() {
    let place = Place::new();
    let journal = place.journal();
    let members: Vec<_> = (0..5).map(|_| take_part(&journal, &place.settings.topic)).collect();
    let mut all = Vec::new();
    for member in &members {
        let share =
            member.until("it is told what it has, or that it has nothing", |has| has.len() <= 1);
        all.extend(share.await);
    }
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
}

#[tokio::test]
async fn the_partitions_of_a_killed_process_are_taken_over_within_its_session() {
    let place = Place::new();
    let journal = place.journal();
    let group = &place.settings.topic;
    let here = take_part(&journal, group);
    here.until_it_has(&[0, 1, 2, 3]).await;
    let part = "membership::a_member_elsewhere";
    let mut there = Elsewhere::start(part, &place, "has a share").await;
    here.until("it gives up a share", |has| has.len() == 2).await;
    let clock = Clock::system();
    let killed_at = clock.now();
    there.kill();
    here.until_it_has(&[0, 1, 2, 3]).await;
    let took = clock.now() - killed_at;
    assert!(took < THROWN_OUT_WITHIN, "{took:?}");
}

#[tokio::test]
async fn who_is_stuck_loses_its_partitions_and_gets_some_again() {
    let place = Place::new();
    let journal = place.journal();
    let group = &place.settings.topic;
    let stuck = journal.membership(group).unwrap();
    let mut of_stuck = stuck.assignment();
    let run = stuck.run();
    tokio::pin!(run);
    {
        let has_all = of_stuck.wait_for(|has| has.as_ref().is_some_and(|has| has.len() == 4));
        let got = tokio::select! {
            got = tokio::time::timeout(PATIENCE, has_all) => got.is_ok_and(|got| got.is_ok()),
            _ = &mut run => false,
        };
        assert!(got, "it is alone at first");
    }
    // From here on nobody polls it; its heartbeats go on.
    let other = take_part(&journal, group);
    other.until_it_has(&[0, 1, 2, 3]).await;
    assert_eq!(of_stuck.borrow().as_ref().map(BTreeSet::len), Some(4), "nobody told it");
    let shares = of_stuck.wait_for(|has| has.as_ref().is_some_and(|has| has.len() == 2));
    tokio::select! {
        shared = tokio::time::timeout(PATIENCE, shares) => drop(shared.unwrap().unwrap()),
        _ = &mut run => {}
    }
    other.until("they share", |has| has.len() == 2).await;
}
