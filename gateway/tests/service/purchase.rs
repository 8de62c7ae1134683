//! The way of a purchase: ACCEPTED is told for what was recorded inside the lease, PROCESSING for
//! everything else that may have taken a hold, and a buyer who leaves cancels nothing.

use std::{collections::HashSet, time::Duration};

use futures::future::join_all;
use proto::{
    gateway::v1::PurchaseState::{Accepted, Processing},
    inventory::v1 as inventory,
};
use tonic::Status;

use crate::{
    stage::{Plan, Stage, reason},
    stubs::{batch, held, lock},
};

#[tokio::test]
async fn what_was_recorded_is_accepted_and_a_replay_is_the_same_order() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(2, "mine").await;
    assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Accepted);
    let recorded = stage.recorded(1).await;
    let hold = &recorded[0];
    assert_eq!((hold.order, hold.user), (ticket.order, buyer.user));
    assert_eq!((hold.quantity, hold.unit_price), (2, 1999));
    assert_eq!(hold.taken_at_ms, 4711, "the record is built from what the ledger stored");

    assert_eq!(buyer.buy(&ticket, 2).await.unwrap(), Accepted);
    assert_eq!(stage.recorded(2).await, [hold.clone(), hold.clone()]);
    assert_eq!(lock(&stage.world.ledger).stock, 98, "units are taken once");
}

#[tokio::test]
async fn one_ticket_sent_fifty_times_is_one_order() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let answers = join_all((0..50).map(|_| buyer.buy(&ticket, 1))).await;
    for answer in answers {
        assert_eq!(answer.unwrap(), Accepted);
    }
    assert_eq!(lock(&stage.world.ledger).stock, 99);
    let orders: HashSet<_> = stage.recorded(1).await.iter().map(|hold| hold.order).collect();
    assert_eq!(orders, HashSet::from([ticket.order]));
}

#[tokio::test]
async fn purchases_share_a_call_and_a_record() {
    let one_core = |config: &mut gateway::Config| config.purchase.batches_in_flight_max = 1;
    let stage = Stage::with(Plan { config: Box::new(one_core), ..Plan::default() }).await;
    let point = stage.pause.arm("gateway.after_reserve");
    // One connection, so one core, so one coalescer.
    let first = stage.buyer().await;
    let tickets: Vec<_> = join_all((0..21).map(|number| {
        let first = first.clone();
        async move { first.ticket(1, &number.to_string()).await }
    }))
    .await;
    let buy = |number: usize| first.buy(&tickets[number], 1);
    let others = async {
        point.hit(1).await;
        let others = join_all((1..21).map(buy));
        let release = async {
            // Comes after the others on the same connection, and takes a hop more than they do:
            // once it is answered, all of them gather.
            assert!(first.order(tickets[0].order, "").await.is_err());
            point.release();
        };
        futures::join!(others, release).0
    };
    let (first, others) = futures::join!(buy(0), others);
    assert_eq!(first.unwrap(), Accepted);
    assert!(others.into_iter().all(|answer| answer.unwrap() == Accepted));
    assert_eq!(stage.world.batches(), [1, 20]);
    let lens: Vec<_> = stage.records(21).await.iter().map(Vec::len).collect();
    assert_eq!(lens, [1, 20], "one record for each batch");
}

#[tokio::test]
async fn a_buyer_who_leaves_cancels_nothing() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let point = stage.pause.arm("gateway.after_reserve");
    {
        let mut sent = Box::pin(buyer.buy(&ticket, 1));
        let reached = point.hit(1);
        tokio::select! {
            biased;
            _ = &mut sent => panic!("nobody answers while the batch is held"),
            () = reached => {}
        }
        // The request, and with it the handler, ends here.
    }
    drop(buyer);
    assert_eq!(stage.record_count().await, 0);
    point.release();
    assert_eq!(stage.recorded(1).await[0].order, ticket.order);
}

#[tokio::test]
async fn many_buyers_who_leave_at_any_moment_lose_no_hold() {
    let stage = Stage::open().await;
    let buyers = join_all((0..100).map(|_| stage.buyer())).await;
    let sent = buyers.iter().zip(0_u64..).map(|(buyer, number)| async move {
        let ticket = buyer.ticket(1, "mine").await;
        let leave = Duration::from_micros(number * 50);
        tokio::time::timeout(leave, buyer.buy(&ticket, 1)).await.is_err()
    });
    let left: usize = join_all(sent).await.into_iter().map(usize::from).sum();
    assert!(left > 0, "nobody left before the answer");
    // Whatever the ledger took is recorded, every hold of it.
    let recorded = async || {
        let taken: HashSet<_> = lock(&stage.world.ledger).open.keys().cloned().collect();
        let holds = stage.recorded(taken.len()).await;
        let orders = holds.iter().map(|hold| bytes::Bytes::copy_from_slice(hold.order.as_bytes()));
        taken == orders.collect()
            && taken == lock(&stage.world.ledger).open.keys().cloned().collect()
    };
    stage.until("all holds are recorded", recorded).await;
}

#[tokio::test]
async fn a_gateway_that_was_frozen_past_its_lease_promises_nothing() {
    for point in ["gateway.after_reserve", "gateway.after_produce"] {
        for (frozen_ms, expected) in [(0, Accepted), (1000, Accepted), (2000, Processing)] {
            let stage = Stage::open().await;
            let buyer = stage.buyer().await;
            let ticket = buyer.ticket(1, "mine").await;
            let held = stage.pause.arm(point);
            let freeze = async {
                held.hit(1).await;
                stage.shift.jump(Duration::from_millis(frozen_ms));
                held.release();
            };
            let (answer, ()) = futures::join!(buyer.buy(&ticket, 1), freeze);
            assert_eq!(answer.unwrap(), expected, "{frozen_ms} ms at {point}");
            assert_eq!(stage.recorded(1).await[0].order, ticket.order, "the journal has it anyway");
        }
    }
}

#[tokio::test]
async fn the_answer_comes_at_the_lease_though_the_batch_does_not() {
    let stage = Stage::with(Plan { lease_ms: 1000, ..Plan::default() }).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let point = stage.pause.arm("gateway.after_reserve");
    // Far from the deadline of the call, which is 10 s.
    let answer = tokio::time::timeout(Duration::from_secs(6), buyer.buy(&ticket, 1)).await;
    assert_eq!(answer.expect("it waits no longer than the lease").unwrap(), Processing);
    assert_eq!(point.count(), 1, "the batch is still held");
    point.release();
    assert_eq!(stage.recorded(1).await[0].order, ticket.order, "and goes on");
}

#[tokio::test]
async fn the_answer_comes_before_the_callers_deadline() {
    // A margin that a busy machine can keep.
    let early = |config: &mut gateway::Config| config.purchase.answer_margin_ms = 800;
    let plan = Plan { config: Box::new(early), lease_ms: 5000, ..Plan::default() };
    let stage = Stage::with(plan).await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let _held = stage.pause.arm("gateway.after_reserve");
    let message = proto::gateway::v1::PurchaseRequest { ticket: ticket.text.clone(), attempt: 1 };
    let mut request = buyer.request(message);
    request.set_timeout(Duration::from_millis(1500));
    let answer = buyer.client.clone().purchase(request).await;
    assert_eq!(answer.unwrap().into_inner().state(), Processing);
}

#[tokio::test]
async fn a_reserve_without_an_answer_is_processing() {
    let statuses: [fn() -> Status; 4] = [
        || Status::unavailable("gone"),
        || Status::internal("broken"),
        || Status::deadline_exceeded("late"),
        || Status::failed_precondition("what"),
    ];
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    for status in statuses {
        stage.world.reserve_with(move |_| Err(status()));
        let ticket = buyer.ticket(1, &format!("{:?}", status().code())).await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing, "{}", status());
    }
    assert_eq!(stage.record_count().await, 0);
    // Refused as malformed, nothing can have been taken.
    stage.world.reserve_with(|_| Err(Status::invalid_argument("entries")));
    let ticket = buyer.ticket(1, "malformed").await;
    assert_eq!(reason(buyer.buy(&ticket, 1).await), "LOADING");
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_processing() {
    type Spoil = fn(inventory::ReserveRequest) -> inventory::ReserveResponse;
    fn told(hold: inventory::Hold) -> inventory::EntryAnswer {
        inventory::EntryAnswer { answer: Some(inventory::entry_answer::Answer::Held(hold)) }
    }
    let table: [(&str, Spoil); 7] = [
        ("nothing", |_| inventory::ReserveResponse { answer: None }),
        ("too few answers", |_| batch(Vec::new())),
        ("too many answers", |request| batch(vec![told(held(&request.entries[0])); 2])),
        ("an empty answer", |_| batch(vec![inventory::EntryAnswer { answer: None }])),
        ("another order", |request| {
            let mut hold = held(&request.entries[0]);
            let mut id = hold.order_id.to_vec();
            id[15] ^= 1;
            hold.order_id = id.into();
            batch(vec![told(hold)])
        }),
        ("an order id of 3 bytes", |request| {
            let mut hold = held(&request.entries[0]);
            hold.order_id.truncate(3);
            batch(vec![told(hold)])
        }),
        ("no epoch", |request| {
            let mut answer = batch(vec![told(held(&request.entries[0]))]);
            if let Some(inventory::reserve_response::Answer::Batch(batch)) = &mut answer.answer {
                batch.epoch = 0;
            }
            answer
        }),
    ];
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    for (what, spoil) in table {
        stage.world.reserve_with(move |request| Ok(spoil(request)));
        let ticket = buyer.ticket(1, what).await;
        assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing, "{what}");
    }
    assert_eq!(stage.record_count().await, 0);
}

#[tokio::test]
async fn a_ledger_outside_its_lease_is_recorded_and_not_believed() {
    let stage = Stage::open().await;
    lock(&stage.world.ledger).lease_lapsed = true;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    assert_eq!(buyer.buy(&ticket, 1).await.unwrap(), Processing);
    assert_eq!(stage.recorded(1).await[0].order, ticket.order);
    // Not even its refusals.
    lock(&stage.world.ledger).stock = 0;
    let other = buyer.ticket(1, "other").await;
    assert_eq!(buyer.buy(&other, 2).await.unwrap(), Processing);
}

#[tokio::test]
async fn a_gateway_that_is_dropped_stops_at_once_and_leaves_the_hold() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let point = stage.pause.arm("gateway.after_reserve");
    let crash = async {
        point.hit(1).await;
        drop(stage.owner);
    };
    let (answer, ()) = futures::join!(buyer.buy(&ticket, 1), crash);
    assert!(answer.is_err(), "the connection is gone");
    point.release();
    assert_eq!(lock(&stage.world.ledger).open.len(), 1);
    let mark = stage.journal.reader(1).unwrap().watermarks().await.unwrap();
    assert_eq!(mark.1, 0, "nothing runs on after a crash");
}

#[tokio::test]
async fn a_stop_lets_the_batch_end() {
    let stage = Stage::open().await;
    let buyer = stage.buyer().await;
    let ticket = buyer.ticket(1, "mine").await;
    let point = stage.pause.arm("gateway.after_reserve");
    let stop = async {
        point.hit(1).await;
        stage.stopper.stop();
        // The server goes on to answer what it has begun.
        point.release();
    };
    let (answer, ()) = futures::join!(buyer.buy(&ticket, 1), stop);
    assert_eq!(answer.unwrap(), Accepted);
    let refused = async || buyer.buy(&ticket, 2).await.is_err();
    stage.until("nothing new is taken", refused).await;
    assert!(stage.recorded(1).await.iter().all(|hold| hold.order == ticket.order));
}
