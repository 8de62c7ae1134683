//! Five hundred people sign in at once and don't give up while others buy: hashing passwords is the
//! dearest thing that anybody can ask for, and buyers hardly notice it. The hashes are made by
//! threads that step back for the serving cores, so many at a time and in memory that is used
//! again. Quiet and flood take turns; what is compared is the median of the undisturbed rounds.

use std::{cell::Cell, collections::BTreeSet, fs, sync::Arc, time::Duration};

use chassis::status::retry_after_of;
use futures::future::join_all;
use proto::user::v1::{RegisterRequest, SignInRequest, user_service_client::UserServiceClient};
use tonic::{Status, transport::Channel};

use super::{
    CAPACITY, WAY,
    load::Crowd,
    machine::undisturbed,
    rounds, seconds,
    seen::{Seen, median},
    slow_ledger::SlowLedger,
};
use crate::{
    house::{House, PATIENCE, reason},
    strictness::{at_least, at_most, is_strict},
};

const PEOPLE: usize = 500;
const CONNECTIONS: usize = 8;
const PASSWORD: &str = "correct horse";
const LENGTH: Duration = seconds(4);
const SETTLED: Duration = seconds(1);
/// What a round takes at most.
const TICKETS: usize = 5_000;
const MEMORY_MORE_MAX_KIB: u64 = 100 * 1024;

/// What the people were answered.
#[derive(Default)]
struct Answers {
    signed_in: Cell<usize>,
    sent_away: Cell<usize>,
}

#[tokio::test]
async fn buyers_hardly_notice_five_hundred_who_sign_in() {
    let house = House::open_with(Arc::new(SlowLedger::new(CAPACITY, WAY)), |_| {}).await;
    let doors: Vec<_> = (0..CONNECTIONS).map(|_| UserServiceClient::new(house.channel())).collect();
    let door = |person: usize| doors[person % CONNECTIONS].clone();
    join_all((0..PEOPLE).map(|person| register(door(person), person))).await;
    let mut crowd = Crowd::gather(&house, rounds() * TICKETS).await;
    let per_s = 0.5 * f64::from(CAPACITY);

    let (answers, mut before_kib, peak_kib) = (Answers::default(), None, Cell::new(0));
    let judged = undisturbed(rounds(), async || {
        crowd.stock_up(TICKETS).await;
        let quiet = crowd.offer(per_s, LENGTH, SETTLED).await;
        quiet.tell("nobody signs in");
        before_kib.get_or_insert_with(resident_kib);
        let flood = join_all((0..PEOPLE).map(|person| insist(door(person), person, &answers)));
        let flooded = tokio::select! {
            seen = crowd.offer(per_s, LENGTH, SETTLED) => seen,
            _ = flood => unreachable!("they don't give up"),
            () = watch_memory(&peak_kib) => unreachable!("nor does it end"),
        };
        flooded.tell("five hundred sign in");
        let can_tell = (quiet.is_on_time() && flooded.is_on_time()) || !is_strict();
        can_tell.then_some((quiet, flooded))
    });
    let (usual, flooded): (Vec<_>, Vec<_>) = judged.await.into_iter().unzip();
    // Of all floods, also those of rounds that were taken anew.
    let more_kib = peak_kib.get().saturating_sub(before_kib.expect("there was a round"));
    let (signed_in, sent_away) = (answers.signed_in.get(), answers.sent_away.get());
    #[expect(clippy::print_stdout, reason = "the figures are what the story is about")]
    {
        println!("{signed_in} signed in, {sent_away} were sent away, {more_kib} KiB more");
    }

    assert!(signed_in > 0 && sent_away > signed_in, "it was a flood, and some came through");
    for seen in &flooded {
        let (accepted, offered) = (seen.accepted_in_all(), seen.offered);
        assert!(accepted as f64 >= at_least(0.98) * offered as f64, "{accepted} of {offered}");
    }
    let (usual_p99, p99) = (median(&usual, Seen::p99), median(&flooded, Seen::p99));
    assert!(p99 <= usual_p99.mul_f64(at_most(1.2)), "{p99:?}, {usual_p99:?}");
    assert!(more_kib <= MEMORY_MORE_MAX_KIB, "{more_kib} KiB");
    house.judge(&crowd.sale, &BTreeSet::new(), PATIENCE).await;
    house.close().await;
}

fn email(person: usize) -> String {
    format!("person-{person}@example.org")
}

async fn register(mut users: UserServiceClient<Channel>, person: usize) {
    let request = RegisterRequest { email: email(person), password: PASSWORD.to_owned() };
    while let Err(refusal) = users.register(request.clone()).await {
        as_told(&refusal).await;
    }
}

/// Signs in again and again, as often as it is allowed to.
async fn insist(mut users: UserServiceClient<Channel>, person: usize, answers: &Answers) {
    let request = SignInRequest { email: email(person), password: PASSWORD.to_owned() };
    loop {
        match users.sign_in(request.clone()).await {
            Ok(_) => answers.signed_in.update(|count| count + 1),
            Err(refusal) => {
                answers.sent_away.update(|count| count + 1);
                as_told(&refusal).await;
            }
        }
    }
}

/// Waits as long as a refused client shall.
async fn as_told(refusal: &Status) {
    assert_eq!(reason(refusal), "OVERLOADED", "{refusal:?}");
    let wait = retry_after_of(refusal).expect("it says when to come back");
    tokio::time::sleep(wait).await;
}

/// Looks at how much there is, from time to time.
async fn watch_memory(peak_kib: &Cell<u64>) {
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    loop {
        beat.tick().await;
        peak_kib.set(peak_kib.get().max(resident_kib()));
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number of KiB")
}
